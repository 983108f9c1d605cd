/**
 * The segments of an experiment as its readers see them: refs to all record batches in them.
 *
 * What is known of a file is kept, and only what has been appended since is looked at again. A batch's body is read
 * and verified when somebody wants its rows. Of a segment that became Parquet a whole row group is decoded for that,
 * and kept, since the next batch is most likely in it too.
 */
import { join } from 'node:path';
import { CHUNK_ROWS } from '../../assembly/layout.js';
import type { Batch, BatchRef } from '../ring/batch.js';
import { systemCodeOf } from '../system-errors.js';
import { isCorrupt } from './errors.js';
import type { FileSystem } from './file-system.js';
import { readParquetIndex } from './parquet-footer.js';
import { DecodedGroups, groupOf, ParquetFileReader } from './parquet-reader.js';
import { compactedName, parseCompactedName, parseSegmentName, segmentName } from './paths.js';
import type {
  BatchEntry,
  BatchPlace,
  Dictionaries,
  SegmentColumns,
  SegmentIdentity,
} from './segment-format.js';
import { readBatch } from './segment-reader.js';
import { type SegmentIndex, scanSegment } from './segment-scan.js';

/** Part of a segment that is no longer what was written. */
export interface DamagedBatch {
  readonly path: string;
  readonly offset: number;
  /** Rows that cannot be read because of it; null when nobody can tell. */
  readonly rows: number | null;
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
  /** null when it is Parquet: then it does not grow. */
  readonly arrow: SegmentIndex | null;
  readonly texts: Dictionaries;
  /** One for each batch. */
  readonly refs: SegmentRef[];
}

export class Segments {
  readonly files: FileSystem;
  readonly columns: SegmentColumns;
  readonly #folder: string;
  readonly #experimentId: string;
  readonly #known = new Map<number, KnownSegment>();
  /** Files that cannot be used at all, by their paths, and why. */
  readonly #unusable = new Map<string, string>();
  /** Batches that could not be read, and the damage that is to blame, which others may share. */
  readonly #damaged = new Map<SegmentRef, { path: string; offset: number; reason: string }>();
  /** The file that was read last stays open for the next batch. */
  #open: { path: string; fd: number } | undefined;
  #openParquet: ParquetFileReader | undefined;
  readonly #groups = new DecodedGroups();

  constructor(files: FileSystem, folder: string, columns: SegmentColumns, experimentId: string) {
    this.files = files;
    this.#folder = folder;
    this.columns = columns;
    this.#experimentId = experimentId;
  }

  /** What was found damaged, when the segments were last listed or when batches were read since. */
  get damaged(): DamagedBatch[] {
    const found: DamagedBatch[] = [];
    for (const [path, reason] of this.#unusable) found.push({ path, offset: 0, rows: null, reason });
    for (const [segment, { arrow }] of this.#known) {
      const path = this.#path(segment);
      for (const { offset, reason } of arrow?.damage ?? []) found.push({ path, offset, rows: null, reason });
    }
    const unread = new Map<string, DamagedBatch>();
    for (const [{ rows }, damage] of this.#damaged) {
      const key = `${damage.path}:${damage.offset}`;
      unread.set(key, { ...damage, rows: rows + (unread.get(key)?.rows ?? 0) });
    }
    return [...found, ...unread.values()];
  }

  /** The dictionaries that batches refer to: each segment's continue those of the one before. */
  get texts(): Dictionaries {
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
    this.#unusable.clear();
    for (const number of this.#known.keys()) if (!numbers.has(number)) this.#forget(number);
    for (const found of present) this.#update(found);
    const refs = present.flatMap(({ segment }) => this.#known.get(segment)?.refs ?? []);
    if (this.#damaged.size === 0) return refs;
    const sound = refs.filter((ref) => !this.#damaged.has(ref));
    // After an error of the disk, rows are written again elsewhere, and their first batch is cut off.
    const ascending = [...sound].sort((a, b) => a.firstSequence - b.firstSequence);
    for (const ref of this.#damaged.keys()) if (isCovered(ref, ascending)) this.#damaged.delete(ref);
    return sound;
  }

  #update({ segment, arrow }: SegmentFiles): void {
    const path = this.#path(segment);
    if (arrow && this.#attempt(path, () => this.#updateArrow(segment, path))) return;
    // It may have become Parquet since the folder was listed.
    const compacted = this.#compactedPath(segment);
    this.#attempt(compacted, () => this.#updateParquet(segment, compacted));
  }

  /** @returns whether the file is there, of use or not */
  #attempt(path: string, update: () => void): boolean {
    try {
      update();
      return true;
    } catch (error) {
      if (isGone(error)) return false;
      if (!isCorrupt(error)) throw error;
      // Otherwise it is not even begun.
      if (error.context.isCut !== true) this.#unusable.set(path, error.message);
      return true;
    }
  }

  #updateArrow(segment: number, path: string): void {
    const known = this.#known.get(segment);
    if (known !== undefined && known.arrow?.ended !== false) return;
    const index = scanSegment(this.files, path, { from: known?.arrow ?? undefined });
    if (known !== undefined && index.fileBytes < index.validBytes) {
      this.#forget(segment);
      this.#attempt(path, () => this.#updateArrow(segment, path));
      const { length } = this.#known.get(segment)?.refs ?? [];
      for (const ref of known.refs.slice(length)) {
        const { offset } = ref.place as BatchEntry;
        this.#damaged.set(ref, { path, offset, reason: 'the file was cut off before it' });
      }
    } else if (this.#isMine(path, index.identity)) {
      this.#know(segment, { arrow: index, texts: index, refs: known?.refs ?? [] }, index.entries);
    }
  }

  #updateParquet(segment: number, path: string): void {
    if (this.#known.get(segment)?.arrow === null) return;
    const index = readParquetIndex(this.files, path);
    this.#forget(segment);
    if (this.#isMine(path, index.identity)) {
      this.#know(segment, { arrow: null, texts: index, refs: [] }, index.places);
    }
  }

  #isMine(path: string, { experimentId }: SegmentIdentity): boolean {
    if (experimentId === this.#experimentId) return true;
    this.#unusable.set(path, `it belongs to experiment ${experimentId}`);
    return false;
  }

  #know(segment: number, known: KnownSegment, places: readonly (BatchPlace | BatchEntry)[]): void {
    const { refs } = known;
    for (let i = refs.length; i < places.length; i++) refs.push(new SegmentRef(this, segment, i, places[i]));
    this.#known.set(segment, known);
  }

  #forget(segment: number): void {
    for (const ref of this.#known.get(segment)?.refs ?? []) this.#damaged.delete(ref);
    this.#known.delete(segment);
  }

  #path(segment: number): string {
    return join(this.#folder, segmentName(segment));
  }

  #compactedPath(segment: number): string {
    return join(this.#folder, compactedName(segment));
  }

  /** @internal For SegmentRef. */
  read(ref: SegmentRef): MaybePromise<Batch | undefined> {
    const { segment, place } = ref;
    if (!('offset' in place)) return this.#readCompacted(ref);
    const path = this.#path(segment);
    try {
      if (this.#open?.path !== path) {
        this.#closeArrow();
        this.#open = { path, fd: this.files.open(path, 'r') };
      }
      return readBatch(
        this.files,
        this.#open.fd,
        place,
        this.columns,
        this.#known.get(segment)?.texts ?? this.texts,
      );
    } catch (error) {
      // Compacted since the ref was made: it has the same batches.
      if (isGone(error)) return this.#readCompacted(ref);
      return this.#blame(error, path, [ref]);
    }
  }

  async #readCompacted(ref: SegmentRef): Promise<Batch | undefined> {
    const { segment, batch } = ref;
    const path = this.#compactedPath(segment);
    let affected: readonly SegmentRef[] = [ref];
    try {
      if (this.#openParquet?.path !== path) {
        this.#closeParquet();
        this.#openParquet = new ParquetFileReader(this.files, path, readParquetIndex(this.files, path));
      }
      const reader = this.#openParquet;
      const { firstBatch, batches } = groupOf(reader.index, batch);
      const { refs } = this.#known.get(segment) ?? { refs: affected };
      affected = refs.filter((other) => other.batch >= firstBatch && other.batch < firstBatch + batches);
      return await this.#groups.batch(reader, batch);
    } catch (error) {
      if (isGone(error)) return undefined;
      return this.#blame(error, path, affected);
    }
  }

  /** Notes that `refs` cannot be read. @throws the error, unless it says that bytes have changed */
  #blame(error: unknown, path: string, refs: readonly SegmentRef[]): undefined {
    if (!isCorrupt(error)) throw error;
    const damage = { path, offset: Number(error.context.offset), reason: error.message };
    for (const ref of refs) this.#damaged.set(ref, damage);
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

class SegmentRef implements BatchRef {
  readonly firstSequence: number;
  readonly rows: number;
  readonly producer: number;
  readonly timeMinUs: number;
  readonly timeMaxUs: number;
  readonly segment: number;
  /** The batch's number within the segment, whichever form that has. */
  readonly batch: number;
  readonly place: BatchPlace | BatchEntry;
  private readonly segments: Segments;

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
    return this.segments.read(this);
  }
}

/** @param others - ascending */
function isCovered(ref: BatchRef, others: readonly BatchRef[]): boolean {
  const end = ref.firstSequence + ref.rows;
  let covered = ref.firstSequence;
  for (const { firstSequence, rows } of others) {
    if (firstSequence <= covered) covered = Math.max(covered, firstSequence + rows);
  }
  return covered >= end;
}

/** Deleted on purpose: the rows have expired, or are in the segment's other file. */
function isGone(error: unknown): boolean {
  return systemCodeOf(error) === 'ENOENT';
}
