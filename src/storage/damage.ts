/**
 * What has been found lost of an experiment's segments, by whomever: the thread that writes, those that read, or whoever
 * opened the folder. The same damage, found twice, is one. What was once found lost stays in it.
 */
import { basename, dirname, join } from 'node:path';
import type { SegmentRecord } from './disk/document.js';
import { ifThere, isCorrupt, reasonOf } from './disk/errors.js';
import type { FileSystem } from './disk/file-system.js';
import { compactedName, parseCompactedName, parseSegmentName, segmentFileName } from './disk/paths.js';
import type { BatchEntry, BatchPlace, SegmentIdentity } from './segment/format.js';
import { scanSegment } from './segment/scan.js';
import { recordOf } from './segment/writer.js';

/** Part of a segment that is no longer what was written. */
export interface DamagedBatch {
  readonly path: string;
  readonly offset: number;
  /** From there on; null: to the file's end, or all of a file that is missing. */
  readonly bytes: number | null;
  /** Rows that cannot be read because of it; null when nobody can tell. */
  readonly rows: number | null;
  readonly reason: string;
}

export class DamageLedger {
  readonly #folder: string;
  readonly #onFound: (damage: DamagedBatch) => void;
  readonly #entries = new Map<string, DamagedBatch>();
  #listed: readonly DamagedBatch[] = [];

  /**
   * @param folder - the experiment's; damage elsewhere is none of its
   * @param onFound - told of what has not been known to be damaged, once it costs rows, or may do so
   */
  constructor(folder: string, onFound: (damage: DamagedBatch) => void = () => {}) {
    this.#folder = folder;
    this.#onFound = onFound;
  }

  /** Another array when there are others. */
  get entries(): readonly DamagedBatch[] {
    return this.#listed;
  }

  /** Rows that cannot be read, as far as anybody can tell. */
  get rows(): number {
    return rowsOf(this.#listed);
  }

  /** Of those, rows in segments up to that one. */
  rowsThrough(segment: number): number {
    return rowsOf(
      this.#listed.filter(({ path }) => (segmentOf(path) ?? Number.POSITIVE_INFINITY) <= segment),
    );
  }

  add(damage: DamagedBatch): void {
    const { path, offset, bytes, rows } = damage;
    if (dirname(path) !== this.#folder) return;
    const key = `${path}:${offset}`;
    const others = this.#listed.filter((other) => other.path === path);
    const known = this.#entries.get(key);
    // Within what is lost already.
    if (others.some((other) => other.bytes === null && other.rows !== null && other.offset < offset)) return;
    if (known !== undefined && (known.rows ?? -1) >= (rows ?? -1)) return;
    if (bytes === null && rows !== null) {
      for (const other of others) if (other.offset > offset) this.#entries.delete(`${path}:${other.offset}`);
    }
    this.#entries.set(key, damage);
    this.#listed = [...this.#entries.values()];
    if (known === undefined) this.#onFound(damage);
  }
}

/**
 * What a listed segment has lost, as far as its name, its size and its heads show. Bodies are compared when they are read.
 * @throws what `files` throws
 */
export function lossOf(
  files: FileSystem,
  folder: string,
  { segment, form, bytes, rows }: SegmentRecord,
): DamagedBatch | undefined {
  const path = join(folder, segmentFileName(segment, form));
  const whole = { path, offset: 0, bytes: null, rows };
  const stat = ifThere(() => files.stat(path));
  if (stat === undefined) {
    // Compacted, and not listed so yet.
    const isCompacted = form === 'arrow' && ifThere(() => files.stat(join(folder, compactedName(segment))));
    return isCompacted ? undefined : { ...whole, reason: 'the file is missing' };
  }
  if (stat.isFile && stat.bytes >= bytes) return undefined;
  const reason = `it is ${bytes - stat.bytes} bytes shorter than it was`;
  if (form === 'parquet') return { ...whole, reason };
  try {
    const index = scanSegment(files, path);
    const missing = rows - rowsOf(index.entries);
    return { path, offset: index.validBytes, bytes: null, rows: Math.max(0, missing), reason };
  } catch (error) {
    if (!isCorrupt(error)) throw error;
    return { ...whole, reason: reasonOf(error) };
  }
}

/** What is known of a segment's file: of Arrow with the places in the file, of Parquet without. */
export interface SegmentContents {
  readonly identity: SegmentIdentity;
  readonly places: readonly (BatchPlace | BatchEntry)[];
}

/**
 * What a listed segment has lost whose file is a segment, whole, and as long as it was: another one stands under its name.
 * @param experimentId - whose segment it is to be
 */
export function replacedLoss(
  folder: string,
  record: SegmentRecord,
  experimentId: string,
  { identity, places }: SegmentContents,
): DamagedBatch | undefined {
  const { segment, form, bytes, rows } = record;
  const loss = (reason: string) => {
    return { path: join(folder, segmentFileName(segment, form)), offset: 0, bytes: null, rows, reason };
  };
  if (identity.experimentId !== experimentId)
    return loss(`it belongs to experiment ${identity.experimentId}`);
  if (identity.segment !== segment) return loss(`it was written as segment ${identity.segment}`);
  // What follows the end of a finished segment is written elsewhere.
  const entries = places.filter((place) => !('offset' in place) || place.offset + place.bytes <= bytes);
  const found = recordOf(segment, { entries, validBytes: bytes, ended: record.ended });
  const isOther =
    found.rows === rows &&
    (found.lastChunk !== record.lastChunk ||
      found.timeMinUs !== record.timeMinUs ||
      found.timeMaxUs !== record.timeMaxUs);
  return isOther ? loss('it holds other events than it was written with') : undefined;
}

/** The segment that a file is of, whichever form it has. */
function segmentOf(path: string): number | undefined {
  const name = basename(path);
  return parseSegmentName(name) ?? parseCompactedName(name);
}

function rowsOf(items: readonly { readonly rows: number | null }[]): number {
  return items.reduce((sum, { rows }) => sum + (rows ?? 0), 0);
}
