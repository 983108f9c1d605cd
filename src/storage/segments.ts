/**
 * The segments of an experiment as its readers see them: refs to all record batches in them.
 *
 * What is known of a file is kept, and only what has been appended since is looked at again. A batch's body is read
 * and verified when somebody wants its rows.
 */
import { join } from 'node:path';
import { CHUNK_ROWS } from '../../assembly/layout.js';
import { StorageError } from '../errors.js';
import type { Batch, BatchRef } from '../ring/batch.js';
import { systemCodeOf } from './errors.js';
import type { FileSystem } from './file-system.js';
import { parseSegmentName, segmentName } from './paths.js';
import type { BatchEntry, SegmentColumns } from './segment-format.js';
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

/** Numbers of the segments whose files are there, ascending. */
export function segmentNumbers(files: FileSystem, folder: string): number[] {
  return files
    .list(folder)
    .flatMap((name) => parseSegmentName(name) ?? [])
    .sort((a, b) => a - b);
}

interface KnownSegment {
  readonly index: SegmentIndex;
  /** One for each of the index's entries. */
  readonly refs: SegmentRef[];
}

export class Segments {
  readonly files: FileSystem;
  readonly columns: SegmentColumns;
  readonly #folder: string;
  readonly #experimentId: string;
  readonly #known = new Map<number, KnownSegment>();
  /** Segments that cannot be used at all, and why. */
  readonly #unusable = new Map<number, string>();
  /** Batches that could not be read, and why. */
  readonly #damaged = new Map<SegmentRef, string>();
  /** The file that was read last stays open for the next batch. */
  #open: { path: string; fd: number } | undefined;

  constructor(files: FileSystem, folder: string, columns: SegmentColumns, experimentId: string) {
    this.files = files;
    this.#folder = folder;
    this.columns = columns;
    this.#experimentId = experimentId;
  }

  /** What was found damaged, when the segments were last listed or when batches were read since. */
  get damaged(): DamagedBatch[] {
    const found: DamagedBatch[] = [];
    for (const [number, reason] of this.#unusable) {
      found.push({ path: this.#path(number), offset: 0, rows: null, reason });
    }
    for (const [number, { index }] of this.#known) {
      const path = this.#path(number);
      for (const { offset, reason } of index.damage) found.push({ path, offset, rows: null, reason });
    }
    for (const [{ path, entry }, reason] of this.#damaged) {
      found.push({ path, offset: entry.offset, rows: entry.rows, reason });
    }
    return found;
  }

  /** The dictionaries that batches refer to: each segment's continue those of the one before. */
  get texts(): { bindings: readonly string[]; strings: readonly string[] } {
    let bindings: readonly string[] = [];
    let strings: readonly string[] = [];
    for (const { index } of this.#known.values()) {
      if (index.bindings.length > bindings.length) bindings = index.bindings;
      if (index.strings.length > strings.length) strings = index.strings;
    }
    return { bindings, strings };
  }

  /** All batches there are now, by segment; a row may be in two of them. */
  refs(): BatchRef[] {
    const numbers = segmentNumbers(this.files, this.#folder);
    this.#unusable.clear();
    for (const number of this.#known.keys()) if (!numbers.includes(number)) this.#forget(number);
    for (const number of numbers) this.#update(number);
    const refs = numbers.flatMap((number) => this.#known.get(number)?.refs ?? []);
    if (this.#damaged.size === 0) return refs;
    const sound = refs.filter((ref) => !this.#damaged.has(ref));
    // After an error of the disk, rows are written again elsewhere, and their first batch is cut off.
    for (const ref of this.#damaged.keys()) if (isCovered(ref, sound)) this.#damaged.delete(ref);
    return sound;
  }

  #update(number: number): void {
    const path = this.#path(number);
    const known = this.#known.get(number);
    if (known?.index.ended === true) return;
    try {
      const index = scanSegment(this.files, path, known === undefined ? {} : { from: known.index });
      if (known !== undefined && index.fileBytes < index.validBytes) {
        this.#forget(number);
        this.#update(number);
        const { entries } = this.#known.get(number)?.index ?? { entries: [] };
        for (const ref of known.refs.slice(entries.length))
          this.#damaged.set(ref, 'the file was cut off before it');
        return;
      }
      if (index.identity.experimentId !== this.#experimentId) {
        this.#unusable.set(number, `it belongs to experiment ${index.identity.experimentId}`);
        return;
      }
      const refs = known?.refs ?? [];
      for (let i = refs.length; i < index.entries.length; i++) {
        refs.push(new SegmentRef(this, path, index.entries[i]));
      }
      this.#known.set(number, { index, refs });
    } catch (error) {
      // Deleted meanwhile, or not even begun.
      if (isGone(error)) return;
      if (!isCorrupt(error)) throw error;
      if (error.context.isCut !== true) this.#unusable.set(number, error.message);
    }
  }

  #forget(number: number): void {
    for (const ref of this.#known.get(number)?.refs ?? []) this.#damaged.delete(ref);
    this.#known.delete(number);
  }

  #path(number: number): string {
    return join(this.#folder, segmentName(number));
  }

  /** @internal For SegmentRef. */
  read(ref: SegmentRef): Batch | undefined {
    const { path, entry } = ref;
    try {
      if (this.#open?.path !== path) {
        this.close();
        this.#open = { path, fd: this.files.open(path, 'r') };
      }
      return readBatch(this.files, this.#open.fd, entry, this.columns);
    } catch (error) {
      if (isCorrupt(error)) {
        this.#damaged.set(ref, error.message);
        return undefined;
      }
      if (isGone(error)) return undefined;
      throw error;
    }
  }

  /** Lets go of the open file; reading opens it again. */
  close(): void {
    if (this.#open !== undefined) this.files.close(this.#open.fd);
    this.#open = undefined;
  }
}

class SegmentRef implements BatchRef {
  readonly firstSequence: number;
  readonly rows: number;
  readonly producer: number;
  readonly timeMinUs: number;
  readonly timeMaxUs: number;
  readonly path: string;
  readonly entry: BatchEntry;
  private readonly segments: Segments;

  constructor(segments: Segments, path: string, entry: BatchEntry) {
    this.firstSequence = entry.chunk * CHUNK_ROWS + entry.firstRow;
    this.rows = entry.rows;
    this.producer = entry.producer;
    this.timeMinUs = entry.timeMinUs;
    this.timeMaxUs = entry.timeMaxUs;
    this.segments = segments;
    this.path = path;
    this.entry = entry;
  }

  read(): Batch | undefined {
    return this.segments.read(this);
  }
}

function isCovered(ref: BatchRef, others: readonly BatchRef[]): boolean {
  const end = ref.firstSequence + ref.rows;
  let covered = ref.firstSequence;
  for (const { firstSequence, rows } of [...others].sort((a, b) => a.firstSequence - b.firstSequence)) {
    if (firstSequence <= covered) covered = Math.max(covered, firstSequence + rows);
  }
  return covered >= end;
}

function isCorrupt(error: unknown): error is StorageError {
  return error instanceof StorageError && error.code === 'ERR_SEGMENT_CORRUPT';
}

/** Deleted on purpose: the rows have expired. */
function isGone(error: unknown): boolean {
  return systemCodeOf(error) === 'ENOENT';
}
