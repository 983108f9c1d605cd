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

/** A batch whose bytes are no longer what was written. */
export interface DamagedBatch {
  readonly path: string;
  readonly offset: number;
  readonly rows: number;
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
  readonly refs: SegmentRef[];
}

export class Segments {
  readonly files: FileSystem;
  readonly columns: SegmentColumns;
  readonly #folder: string;
  readonly #known = new Map<number, KnownSegment>();
  readonly #damaged = new Map<string, DamagedBatch>();
  /** The file that was read last stays open for the next batch. */
  #open: { path: string; fd: number } | undefined;

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
    for (const { index } of this.#known.values()) {
      if (index.bindings.length > bindings.length) bindings = index.bindings;
      if (index.strings.length > strings.length) strings = index.strings;
    }
    return { bindings, strings };
  }

  /** All batches there are now, by segment; a row may be in two of them. */
  refs(): BatchRef[] {
    const numbers = segmentNumbers(this.files, this.#folder);
    for (const number of this.#known.keys()) if (!numbers.includes(number)) this.#known.delete(number);
    return numbers.flatMap((number) => this.#update(number)?.refs ?? []);
  }

  #update(number: number): KnownSegment | undefined {
    const path = join(this.#folder, segmentName(number));
    const known = this.#known.get(number);
    try {
      if (known?.index.ended === true) return known;
      const index = scanSegment(this.files, path, known === undefined ? {} : { from: known.index });
      const refs = known?.refs ?? [];
      for (let i = refs.length; i < index.entries.length; i++) {
        refs.push(new SegmentRef(this, path, index.entries[i]));
      }
      const updated = { index, refs };
      this.#known.set(number, updated);
      return updated;
    } catch (error) {
      // Not even begun, deleted meanwhile, or unreadable: whoever opens the folder looks into that.
      if (isGone(error) || isCorrupt(error)) return known;
      throw error;
    }
  }

  /** @internal For SegmentRef. */
  read(path: string, entry: BatchEntry): Batch | undefined {
    try {
      if (this.#open?.path !== path) {
        this.close();
        this.#open = { path, fd: this.files.open(path, 'r') };
      }
      return readBatch(this.files, this.#open.fd, entry, this.columns);
    } catch (error) {
      if (isCorrupt(error)) {
        const { offset, rows } = entry;
        const reason = error.message;
        this.#damaged.set(`${path}:${offset}`, { path, offset, rows, reason });
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
  private readonly segments: Segments;
  private readonly path: string;
  private readonly entry: BatchEntry;

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
    return this.segments.read(this.path, this.entry);
  }
}

function isCorrupt(error: unknown): error is StorageError {
  return error instanceof StorageError && error.code === 'ERR_SEGMENT_CORRUPT';
}

/** Deleted on purpose: the rows have expired. */
function isGone(error: unknown): boolean {
  return systemCodeOf(error) === 'ENOENT';
}
