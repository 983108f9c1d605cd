/**
 * The segments of an experiment as its readers see them: refs to all record batches in them.
 *
 * What is known of a file is kept, and only what has been appended since is looked at again. A batch's body is read
 * and verified when somebody wants its rows. Of a segment that became Parquet a whole row group is decoded for that,
 * and kept, since the next batch is most likely in it too.
 */
import { join } from 'node:path';
import { CHUNK_ROWS } from '../../assembly/layout.js';
import { StorageError } from '../errors.js';
import type { Batch, BatchRef } from '../ring/batch.js';
import { systemCodeOf } from './errors.js';
import type { FileSystem } from './file-system.js';
import { type ParquetGroup, type ParquetIndex, readParquetIndex } from './parquet-footer.js';
import { ParquetFileReader } from './parquet-reader.js';
import { compactedName, parseCompactedName, parseSegmentName, segmentName } from './paths.js';
import type { BatchEntry, BatchPlace, SegmentColumns } from './segment-format.js';
import { readBatch } from './segment-reader.js';
import { type SegmentIndex, scanSegment } from './segment-scan.js';

/** A batch whose bytes are no longer what was written. */
export interface DamagedBatch {
  readonly path: string;
  readonly offset: number;
  readonly rows: number;
  readonly reason: string;
}

/** Which files of a segment are there: both while it is being compacted. */
export interface SegmentFiles {
  readonly segment: number;
  readonly arrow: boolean;
  readonly parquet: boolean;
}

/** The segments that there are files of, ascending. */
export function segmentFiles(files: FileSystem, folder: string): SegmentFiles[] {
  const names = files.list(folder);
  const arrow = new Set(names.flatMap((name) => parseSegmentName(name) ?? []));
  const parquet = new Set(names.flatMap((name) => parseCompactedName(name) ?? []));
  return [...new Set([...arrow, ...parquet])]
    .sort((a, b) => a - b)
    .map((segment) => ({ segment, arrow: arrow.has(segment), parquet: parquet.has(segment) }));
}

interface KnownSegment {
  readonly arrow: SegmentIndex | null;
  readonly texts: { readonly bindings: readonly string[]; readonly strings: readonly string[] };
  readonly refs: SegmentRef[];
}

/** Row groups that are kept decoded: of one reader the last, and of another. */
const GROUPS_KEPT = 2;

export class Segments {
  readonly files: FileSystem;
  readonly columns: SegmentColumns;
  readonly #folder: string;
  readonly #known = new Map<number, KnownSegment>();
  readonly #damaged = new Map<string, DamagedBatch>();
  /** The file that was read last stays open for the next batch. */
  #open: { path: string; fd: number } | undefined;
  #openParquet: ParquetFileReader | undefined;
  /** Decoded row groups by path and number, the one used last at the end. */
  readonly #groups = new Map<string, Promise<Batch[]>>();

  constructor(files: FileSystem, folder: string, columns: SegmentColumns) {
    this.files = files;
    this.#folder = folder;
    this.columns = columns;
  }

  /** Batches that were found damaged when they were read. */
  get damaged(): DamagedBatch[] {
    return [...this.#damaged.values()];
  }

  /** The dictionaries that batches refer to: each segment's continue those of the one before. */
  get texts(): { bindings: readonly string[]; strings: readonly string[] } {
    let bindings: readonly string[] = [];
    let strings: readonly string[] = [];
    for (const { texts } of this.#known.values()) {
      if (texts.bindings.length > bindings.length) bindings = texts.bindings;
      if (texts.strings.length > strings.length) strings = texts.strings;
    }
    return { bindings, strings };
  }

  /** All batches there are now, by segment; a row may be in two of them. */
  refs(): BatchRef[] {
    const present = segmentFiles(this.files, this.#folder);
    const numbers = new Set(present.map(({ segment }) => segment));
    for (const number of this.#known.keys()) if (!numbers.has(number)) this.#known.delete(number);
    return present.flatMap((files) => this.#update(files)?.refs ?? []);
  }

  #update({ segment, arrow }: SegmentFiles): KnownSegment | undefined {
    const known = this.#known.get(segment);
    try {
      return (arrow ? this.#updateArrow(segment, known) : undefined) ?? this.#updateParquet(segment, known);
    } catch (error) {
      // Not even begun, deleted meanwhile, or unreadable: whoever opens the folder looks into that.
      if (isGone(error) || isCorrupt(error)) return known;
      throw error;
    }
  }

  /** @returns undefined when the file has been deleted since it was listed */
  #updateArrow(segment: number, known: KnownSegment | undefined): KnownSegment | undefined {
    if (known !== undefined && known.arrow?.ended !== false) return known;
    const from = known?.arrow ?? undefined;
    let index: SegmentIndex;
    try {
      index = scanSegment(this.files, join(this.#folder, segmentName(segment)), { from });
    } catch (error) {
      if (isGone(error)) return undefined;
      throw error;
    }
    return this.#know(segment, { arrow: index, texts: index, refs: known?.refs ?? [] }, index.entries);
  }

  #updateParquet(segment: number, known: KnownSegment | undefined): KnownSegment {
    if (known?.arrow === null) return known;
    const index = readParquetIndex(this.files, join(this.#folder, compactedName(segment)));
    return this.#know(segment, { arrow: null, texts: index, refs: [] }, index.places);
  }

  #know(segment: number, known: KnownSegment, places: readonly (BatchPlace | BatchEntry)[]): KnownSegment {
    const { refs } = known;
    for (let i = refs.length; i < places.length; i++) refs.push(new SegmentRef(this, segment, i, places[i]));
    this.#known.set(segment, known);
    return known;
  }

  /**
   * @internal For SegmentRef.
   * @param batch - the batch's number within the segment
   */
  read(segment: number, batch: number, place: BatchPlace | BatchEntry): MaybePromise<Batch | undefined> {
    if (!('offset' in place)) return this.#readCompacted(segment, batch);
    const path = join(this.#folder, segmentName(segment));
    try {
      if (this.#open?.path !== path) {
        this.#closeArrow();
        this.#open = { path, fd: this.files.open(path, 'r') };
      }
      return readBatch(this.files, this.#open.fd, place, this.columns);
    } catch (error) {
      // Compacted since the ref was made: it has the same batches.
      if (isGone(error)) return this.#readCompacted(segment, batch);
      return this.#addDamage(path, place.rows, error);
    }
  }

  async #readCompacted(segment: number, batch: number): Promise<Batch | undefined> {
    const path = join(this.#folder, compactedName(segment));
    let group: ParquetGroup | undefined;
    try {
      if (this.#openParquet?.path !== path) {
        this.#closeParquet();
        this.#openParquet = new ParquetFileReader(this.files, path, readParquetIndex(this.files, path));
      }
      group = groupOf(this.#openParquet.index, batch);
      const batches = await this.#decoded(this.#openParquet, group);
      return batches[batch - group.firstBatch];
    } catch (error) {
      if (isGone(error)) return undefined;
      return this.#addDamage(path, group?.rows ?? 0, error);
    }
  }

  #decoded(reader: ParquetFileReader, group: ParquetGroup): Promise<Batch[]> {
    const key = `${reader.path}:${group.offset}`;
    let decoded = this.#groups.get(key);
    if (decoded === undefined) {
      decoded = reader.batches(group);
      decoded.catch(() => this.#groups.delete(key));
    }
    this.#groups.delete(key);
    this.#groups.set(key, decoded);
    for (const oldest of this.#groups.keys()) {
      if (this.#groups.size <= GROUPS_KEPT) break;
      this.#groups.delete(oldest);
    }
    return decoded;
  }

  /** @throws the error, unless it says that bytes have changed */
  #addDamage(path: string, rows: number, error: unknown): undefined {
    if (!isCorrupt(error)) throw error;
    const offset = Number(error.context.offset);
    this.#damaged.set(`${path}:${offset}`, { path, offset, rows, reason: error.message });
  }

  /** Lets go of the open files; reading opens them again. */
  close(): void {
    this.#closeArrow();
    this.#closeParquet();
    this.#groups.clear();
  }

  #closeArrow(): void {
    if (this.#open !== undefined) this.files.close(this.#open.fd);
    this.#open = undefined;
  }

  #closeParquet(): void {
    this.#openParquet?.close();
    this.#openParquet = undefined;
  }
}

type MaybePromise<T> = T | Promise<T>;

function groupOf({ groups }: ParquetIndex, batch: number): ParquetGroup {
  const group = groups.findLast(({ firstBatch }) => firstBatch <= batch);
  if (group === undefined) throw new RangeError(`there is no batch ${batch}`);
  return group;
}

class SegmentRef implements BatchRef {
  readonly firstSequence: number;
  readonly rows: number;
  readonly producer: number;
  readonly timeMinUs: number;
  readonly timeMaxUs: number;
  private readonly segments: Segments;
  private readonly segment: number;
  private readonly batch: number;
  private readonly place: BatchPlace | BatchEntry;

  constructor(segments: Segments, segment: number, batch: number, place: BatchPlace | BatchEntry) {
    this.firstSequence = place.chunk * CHUNK_ROWS + place.firstRow;
    this.rows = place.rows;
    this.producer = place.producer;
    this.timeMinUs = place.timeMinUs;
    this.timeMaxUs = place.timeMaxUs;
    this.segments = segments;
    this.segment = segment;
    this.batch = batch;
    this.place = place;
  }

  read(): MaybePromise<Batch | undefined> {
    return this.segments.read(this.segment, this.batch, this.place);
  }
}

function isCorrupt(error: unknown): error is StorageError {
  return error instanceof StorageError && error.code === 'ERR_SEGMENT_CORRUPT';
}

/** Deleted on purpose: the rows have expired. */
function isGone(error: unknown): boolean {
  return systemCodeOf(error) === 'ENOENT';
}
