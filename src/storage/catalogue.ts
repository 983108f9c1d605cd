/**
 * What experiments there are in a folder, without reading their rows: their documents, the sizes of their segments,
 * and the metadata of the batches in the segment that was written last. Nothing is changed, nothing verified but what
 * is read; `Crucible.recover` reads and verifies all of it.
 */
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { setImmediate as turn } from 'node:timers/promises';
import { NotFoundError, serializeError, type WireError } from '../errors.js';
import { absolutePath, guarded, storageError } from '../system-errors.js';
import { type ExperimentDocument, readDocument, type SegmentRecord } from './disk/document.js';
import { ifThere, isCorrupt } from './disk/errors.js';
import { nodeFileSystem as files } from './disk/file-system.js';
import { acquireLock, holderOf } from './disk/lock.js';
import { parseSegmentName, segmentFileName, segmentName } from './disk/paths.js';
import { experimentFolders } from './folders.js';
import { laterLosses } from './segment/format.js';
import { type SegmentIndex, scanSegment } from './segment/scan.js';
import { recordOf } from './segment/writer.js';
import { type StoredFields, storedFields } from './stored-fields.js';

export type { StoredFields };

/** An experiment on disk, as it is now. Times in µs since the Unix epoch. */
export interface StoredExperiment {
  readonly id: string;
  readonly folder: string;
  /** What its document says of it; null when that cannot be read: `error` says why. */
  readonly experiment: StoredFields | null;
  readonly error: WireError | null;
  /** The version of the library that wrote the document. */
  readonly libraryVersion: string | null;
  /** Who captures it now. */
  readonly heldBy: { readonly pid: number; readonly host: string | null } | null;
  /** Its document's; interrupted where that says running or paused and nobody captures it: its process has died. */
  readonly status: StoredFields['status'] | 'interrupted' | 'unreadable';
  readonly interrupted: boolean;
  /** When it ended; of one that has not been stopped, the last time that anything was written of it. */
  readonly lastSeenAt: number | null;
  /** Rows in its segments. A row that had to be written twice, after an error of the disk, counts twice here. */
  readonly rows: number;
  readonly bytes: number;
  readonly segments: number;
  /** Segments that are listed and not there. */
  readonly missingSegments: number;
  readonly timeRange: readonly [number, number] | null;
  /** Rows that had not been kept in the first place, as counted when the last rows, or the document, were written. */
  readonly dropped: number;
}

/**
 * The experiments found under `dir`, or in it when it is a single experiment's folder, in the order of their ids.
 * They may be being captured meanwhile. None where there is no `dir` yet.
 * @throws StorageError when the disk fails, or `dir` is a file
 */
export async function listExperiments(dir: string): Promise<StoredExperiment[]> {
  const found: StoredExperiment[] = [];
  for (const folder of experimentFolders(absolutePath('dir', dir))) {
    found.push(lookAt(folder));
    await turn();
  }
  return found;
}

/**
 * Deletes an experiment's folder with all that is in it: there is no way back.
 * @throws StateError ERR_LOCKED while a process captures it, this one included
 * @throws StorageError when the disk fails; what was deleted until then is gone
 */
export async function deleteExperiment(folder: string): Promise<void> {
  const path = absolutePath('folder', folder);
  if (experimentFolders(path)[0] !== path) throw new NotFoundError('experiment', path);
  const lock = acquireLock(files, path);
  try {
    await rm(path, { recursive: true, force: true });
  } catch (cause) {
    throw storageError(cause, 'delete', { path });
  } finally {
    lock.release();
  }
}

/** The experiment in a folder, as it is now; what is wrong with it is its `error`. */
export function lookAt(folder: string): StoredExperiment {
  try {
    // In this order: one that is stopped in between must not look as if its process had died.
    const holder = holderOf(files, folder);
    const document = readDocument(files, folder);
    return describe(folder, document, holder && { pid: holder.pid, host: holder.host });
  } catch (error) {
    return {
      id: folder.split(/[\\/]/).at(-1) as string,
      folder,
      experiment: null,
      error: serializeError(error),
      libraryVersion: null,
      heldBy: null,
      status: 'unreadable',
      interrupted: false,
      lastSeenAt: null,
      ...NOTHING,
    };
  }
}

function describe(
  folder: string,
  document: ExperimentDocument,
  heldBy: StoredExperiment['heldBy'] | undefined,
): StoredExperiment {
  const fields = storedFields(folder, document);
  const totals = totalsOf(folder, document);
  const isOpen = fields.status === 'running' || fields.status === 'paused';
  const interrupted = isOpen && heldBy === undefined;
  const lastWrittenAt = Math.max(totals.timeRange?.[1] ?? fields.startedAt, document.updatedAtUs);
  return {
    id: fields.id,
    folder,
    experiment: fields,
    error: null,
    libraryVersion: document.libraryVersion,
    heldBy: heldBy ?? null,
    status: interrupted ? 'interrupted' : fields.status,
    interrupted,
    lastSeenAt: fields.stoppedAt ?? lastWrittenAt,
    ...totals,
  };
}

type Totals = Pick<
  StoredExperiment,
  'rows' | 'bytes' | 'segments' | 'missingSegments' | 'timeRange' | 'dropped'
>;

const NOTHING: Totals = {
  rows: 0,
  bytes: 0,
  segments: 0,
  missingSegments: 0,
  timeRange: null,
  dropped: 0,
};

function totalsOf(folder: string, { segments, expired, losses }: ExperimentDocument): Totals {
  const names = new Set(guarded('look at an experiment at', folder, () => files.list(folder)));
  const isThere = ({ form, segment }: SegmentRecord) => names.has(segmentFileName(segment, form));
  const listed = new Set(segments.map(({ segment }) => segment));
  const unlisted = [...names]
    .flatMap((name) => parseSegmentName(name) ?? [])
    .filter((number) => number > expired.throughSegment && !listed.has(number))
    .sort((a, b) => a - b)
    .flatMap((number) => skim(folder, number) ?? []);
  const finished = segments.filter(isThere);
  const all = [...finished, ...unlisted.map((index) => recordOf(index.identity.segment, index))];
  const times = all.flatMap(({ timeMinUs, timeMaxUs }) =>
    timeMinUs === null || timeMaxUs === null ? [] : [{ timeMinUs, timeMaxUs }],
  );
  const newest = unlisted.findLast(({ entries }) => entries.length > 0) ?? newestFinished(folder, finished);
  const asOfNewest = newest?.entries.at(-1)?.losses ?? losses;
  const { overwritten, refused } = laterLosses(losses, asOfNewest);
  const sum = (key: 'rows' | 'bytes') => all.reduce((total, record) => total + record[key], 0);
  return {
    rows: sum('rows'),
    bytes: sum('bytes'),
    segments: all.length,
    missingSegments: segments.length - finished.length,
    timeRange:
      times.length === 0
        ? null
        : [
            Math.min(...times.map(({ timeMinUs }) => timeMinUs)),
            Math.max(...times.map(({ timeMaxUs }) => timeMaxUs)),
          ],
    dropped: overwritten + refused,
  };
}

/** The newest finished segment with rows in it, as long as it is Arrow: the document knows what is in a Parquet one. */
function newestFinished(folder: string, finished: readonly SegmentRecord[]): SegmentIndex | undefined {
  const record = finished.findLast(({ rows, form }) => rows > 0 && form === 'arrow');
  return record && skim(folder, record.segment);
}

/** The metadata of a segment's batches; undefined when it is gone by now, or not even its beginning can be read. */
function skim(folder: string, number: number): SegmentIndex | undefined {
  const path = join(folder, segmentName(number));
  return guarded('look at a segment at', path, () => {
    try {
      return ifThere(() => scanSegment(files, path));
    } catch (error) {
      // Recovery says what is wrong with it.
      if (isCorrupt(error)) return undefined;
      throw error;
    }
  });
}
