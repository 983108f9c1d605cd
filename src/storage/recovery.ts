/**
 * Opening an experiment's folder after its process has ended, in whatever way.
 *
 * All segments are read and verified. What is whole is kept; what is not is said, with its place. Only a segment that
 * nobody finished is changed, and only once: bytes after its last whole message are cut off, so that other tools can
 * read it, and it is listed as finished.
 */
import { join } from 'node:path';
import { setImmediate as turn } from 'node:timers/promises';
import { StorageError } from '../errors.js';
import { type Batch, subBatch } from '../ring/batch.js';
import { type ExperimentDocument, readDocument, type SegmentRecord, writeDocument } from './document.js';
import { guarded, ifThere } from './errors.js';
import type { FileSystem } from './file-system.js';
import { type ParquetIndex, readParquetIndex } from './parquet-footer.js';
import { ParquetFileReader } from './parquet-reader.js';
import {
  compactedName,
  parseCompactedName,
  parseTemporaryName,
  segmentFileName,
  segmentName,
} from './paths.js';
import type {
  BatchEntry,
  BatchPlace,
  RingLosses,
  SegmentColumns,
  SegmentIdentity,
} from './segment-format.js';
import { readBatch } from './segment-reader.js';
import { type SegmentIndex, scanSegment } from './segment-scan.js';
import { recordOf } from './segment-writer.js';
import { type SegmentFiles, segmentFiles } from './segments.js';

/** Something in the folder that is not as it was written. */
export interface Damage {
  /** The file's name. */
  readonly file: string;
  /** Where in it, bytes; null when it is the file that is missing or misplaced. */
  readonly offset: number | null;
  readonly bytes: number | null;
  /** Rows that cannot be read because of it; null when nobody can tell. */
  readonly rowsLost: number | null;
  readonly reason: string;
}

/** Bytes of a segment after its last whole message: rows that were being written when the process ended. */
export interface CutTail {
  readonly file: string;
  readonly bytes: number;
}

export interface FolderContents {
  readonly document: ExperimentDocument;
  /** Rows that can be read, each counted once. */
  readonly rows: number;
  readonly bytes: number;
  readonly segments: number;
  readonly timeMinUs: number | null;
  readonly timeMaxUs: number | null;
  readonly damage: readonly Damage[];
  readonly cut: readonly CutTail[];
  /** What the ring had lost or could not understand, as of the newest batch. */
  readonly losses: RingLosses;
  /** Sequence for the next chunk. */
  readonly nextChunk: number;
  /** Texts of the dictionaries by id. */
  readonly bindings: readonly string[];
  readonly strings: readonly string[];
}

export interface OpenOptions {
  /** Cut off what is not whole and list every segment; the caller holds the experiment's lock. */
  readonly repair: boolean;
  /** Called with the dictionaries that a segment's batches refer to, and then with each batch, in file order. */
  readonly onBatch?: (batch: Batch, texts: Dictionaries) => void;
}

export interface Dictionaries {
  readonly bindings: readonly string[];
  readonly strings: readonly string[];
}

const NO_LOSSES: RingLosses = { overwritten: 0, refused: 0, malformed: 0, overflowed: 0 };
/** Bytes to read between two turns of the event loop. */
const PACE_BYTES = 16 << 20;

/** @throws NotFoundError, StorageError, LayoutError as `readDocument` and `scanSegment` do */
export async function openFolder(
  files: FileSystem,
  folder: string,
  columns: SegmentColumns,
  options: OpenOptions,
): Promise<FolderContents> {
  const examination = new Examination(files, folder, columns, options);
  await examination.run();
  return examination.contents;
}

class Examination {
  readonly #files: FileSystem;
  readonly #folder: string;
  readonly #columns: SegmentColumns;
  readonly #options: OpenOptions;
  readonly #damage: Damage[] = [];
  readonly #cut: CutTail[] = [];
  readonly #records = new Map<number, SegmentRecord>();
  /** Rows of each chunk that have been seen: they come in order, from row 0. */
  readonly #seen = new Map<number, number>();
  #document: ExperimentDocument;
  #bindings: readonly string[] = [];
  #strings: readonly string[] = [];
  #losses = NO_LOSSES;
  #rows = 0;
  #bytes = 0;
  #segments = 0;
  #timeMinUs = Number.POSITIVE_INFINITY;
  #timeMaxUs = Number.NEGATIVE_INFINITY;
  #nextChunk = 0;
  #bytesSinceTurn = 0;

  constructor(files: FileSystem, folder: string, columns: SegmentColumns, options: OpenOptions) {
    this.#files = files;
    this.#folder = folder;
    this.#columns = columns;
    this.#options = options;
    this.#document = readDocument(files, folder);
  }

  get contents(): FolderContents {
    const isEmpty = this.#rows === 0;
    return {
      document: this.#document,
      rows: this.#rows,
      bytes: this.#bytes,
      segments: this.#segments,
      timeMinUs: isEmpty ? null : this.#timeMinUs,
      timeMaxUs: isEmpty ? null : this.#timeMaxUs,
      damage: this.#damage,
      cut: this.#cut,
      losses: this.#losses,
      nextChunk: this.#nextChunk,
      bindings: this.#bindings,
      strings: this.#strings,
    };
  }

  async run(): Promise<void> {
    const { segments, expired, current } = this.#document;
    for (const record of segments) {
      this.#records.set(record.segment, record);
      this.#nextChunk = Math.max(this.#nextChunk, (record.lastChunk ?? -1) + 1);
    }
    this.#removeTemporaries();
    const files = segmentFiles(this.#files, this.#folder);
    const present = new Set(files.map(({ segment }) => segment));
    for (const found of files) {
      if (found.segment <= expired.throughSegment) this.#removeExpired(found);
      else await this.#segment(found);
    }
    for (const { segment, form, rows } of segments) {
      const name = segmentFileName(segment, form);
      if (!present.has(segment)) this.#addDamage(name, null, null, rows, 'the file is missing');
    }
    if (current !== null && !present.has(current) && !this.#records.has(current)) {
      const reason = 'the file is missing; it was being written';
      this.#addDamage(segmentName(current), null, null, null, reason);
    }
    this.#damage.sort((a, b) =>
      a.file < b.file ? -1 : a.file > b.file ? 1 : (a.offset ?? 0) - (b.offset ?? 0),
    );
    if (this.#options.repair) this.#list();
  }

  /** Of a segment's two files, which compaction may have left, the one that the document lists is read. */
  async #segment({ segment, arrow, parquet }: SegmentFiles): Promise<void> {
    const listed = this.#records.get(segment);
    const isCompacted = parquet && (!arrow || listed?.form === 'parquet');
    const record = listed?.form === (isCompacted ? 'parquet' : 'arrow') ? listed : undefined;
    const isWhole = isCompacted ? await this.#parquet(segment, record) : await this.#arrow(segment, record);
    if (arrow && parquet && isWhole)
      this.#remove(segmentFileName(segment, isCompacted ? 'arrow' : 'parquet'));
  }

  /** @returns whether it is what it was */
  async #arrow(number: number, record: SegmentRecord | undefined): Promise<boolean> {
    const name = segmentName(number);
    const damageBefore = this.#damage.length;
    const index = this.#scan(number, record);
    if (index === undefined || !this.#isMine(number, name, index.identity, record)) return false;
    const found = await this.#batches(number, index);
    this.#learn(index);
    this.#segments++;
    this.#bytes += index.validBytes;
    if (record === undefined) this.#finish(number, index, found);
    else this.#compare(number, index, record);
    return this.#damage.length === damageBefore;
  }

  /** @returns whether it is what it was */
  async #parquet(number: number, record: SegmentRecord | undefined): Promise<boolean> {
    const name = compactedName(number);
    const damageBefore = this.#damage.length;
    let index: ParquetIndex;
    try {
      index = readParquetIndex(this.#files, join(this.#folder, name));
    } catch (error) {
      if (!isCorrupt(error)) throw error;
      const { offset, reason } = error.context;
      this.#addDamage(name, Number(offset), null, record?.rows ?? null, String(reason));
      return false;
    }
    if (!this.#isMine(number, name, index.identity, record)) return false;
    this.#learn(index);
    await this.#rowGroups(name, index);
    this.#segments++;
    this.#bytes += index.fileBytes;
    const found = recordOf(number, { entries: index.places, validBytes: index.fileBytes, ended: true });
    if (record === undefined) this.#records.set(number, { ...found, form: 'parquet' });
    else if (found.rows !== record.rows || found.bytes !== record.bytes) {
      const missing = Math.max(0, record.rows - found.rows);
      this.#addDamage(name, null, null, missing, 'it is not the file that was listed');
    }
    return this.#damage.length === damageBefore;
  }

  /** Reads every row group; those that are not wanted are verified only. */
  async #rowGroups(name: string, index: ParquetIndex): Promise<void> {
    const reader = new ParquetFileReader(this.#files, join(this.#folder, name), index);
    try {
      for (const group of index.groups) {
        const places = index.places.slice(group.firstBatch, group.firstBatch + group.batches);
        for (const { chunk } of places) this.#nextChunk = Math.max(this.#nextChunk, chunk + 1);
        let batches: readonly (Batch | undefined)[] = [];
        try {
          if (this.#options.onBatch === undefined) reader.verify(group);
          else batches = await reader.batches(group);
        } catch (error) {
          if (!isCorrupt(error)) throw error;
          this.#addDamage(name, group.offset, group.bytes, group.rows, String(error.context.reason));
          continue;
        }
        places.forEach((place, i) => {
          this.#take(batches[i], place, index);
        });
        await this.#pace(group.bytes);
      }
    } finally {
      reader.close();
    }
  }

  #isMine(
    number: number,
    name: string,
    { experimentId, segment }: SegmentIdentity,
    record: SegmentRecord | undefined,
  ): boolean {
    if (experimentId !== this.#document.experiment.id) {
      this.#addDamage(name, 0, null, record?.rows ?? null, `it belongs to experiment ${experimentId}`);
      return false;
    }
    if (segment !== number) this.#addDamage(name, 0, null, 0, `it was written as segment ${segment}`);
    return true;
  }

  #learn({ bindings, strings }: Dictionaries): void {
    if (bindings.length > this.#bindings.length) this.#bindings = bindings;
    if (strings.length > this.#strings.length) this.#strings = strings;
  }

  /** @returns undefined when not even its first message is of use */
  #scan(number: number, record: SegmentRecord | undefined): SegmentIndex | undefined {
    try {
      const path = join(this.#folder, segmentName(number));
      return scanSegment(this.#files, path, record === undefined ? {} : { limitBytes: record.bytes });
    } catch (error) {
      if (!isCorrupt(error)) throw error;
      const reason = String(error.context.reason);
      const name = segmentName(number);
      // Created, and the process ended before anything was in it: nothing is lost.
      if (record === undefined && error.context.isCut === true) this.#remove(name);
      else this.#addDamage(name, 0, null, record?.rows ?? null, reason);
      return undefined;
    }
  }

  /** Reads every batch. @returns those that are whole */
  async #batches(number: number, index: SegmentIndex): Promise<BatchEntry[]> {
    const path = join(this.#folder, segmentName(number));
    const fd = this.#files.open(path, 'r');
    const whole: BatchEntry[] = [];
    try {
      for (const entry of index.entries) {
        await this.#pace(entry.bytes);
        this.#nextChunk = Math.max(this.#nextChunk, entry.chunk + 1);
        const batch = this.#read(fd, entry, number);
        if (batch === undefined) continue;
        whole.push(entry);
        this.#take(batch, entry, index);
      }
    } finally {
      this.#files.close(fd);
    }
    for (const { offset, bytes, reason } of index.damage) {
      // How many rows a file should have is known once it is finished; `compare` says what is missing then.
      this.#addDamage(segmentName(number), offset, bytes, null, reason);
    }
    return whole;
  }

  #read(fd: number, entry: BatchEntry, number: number): Batch | undefined {
    try {
      return readBatch(this.#files, fd, entry, this.#columns);
    } catch (error) {
      if (!isCorrupt(error)) throw error;
      const { offset, bytes, rows } = entry;
      this.#addDamage(segmentName(number), offset, bytes, rows, String(error.context.reason));
      return undefined;
    }
  }

  /** @param batch - undefined when nobody wants it */
  #take(batch: Batch | undefined, place: BatchPlace, texts: Dictionaries): void {
    const { chunk, firstRow, rows, timeMinUs, timeMaxUs, losses } = place;
    const seen = this.#seen.get(chunk) ?? 0;
    const fresh = firstRow + rows - Math.max(seen, firstRow);
    // Written again after an error of the disk.
    if (fresh <= 0) return;
    this.#seen.set(chunk, firstRow + rows);
    this.#rows += fresh;
    this.#timeMinUs = Math.min(this.#timeMinUs, timeMinUs);
    this.#timeMaxUs = Math.max(this.#timeMaxUs, timeMaxUs);
    this.#losses = {
      overwritten: Math.max(this.#losses.overwritten, losses.overwritten),
      refused: Math.max(this.#losses.refused, losses.refused),
      malformed: Math.max(this.#losses.malformed, losses.malformed),
      overflowed: Math.max(this.#losses.overflowed, losses.overflowed),
    };
    if (batch !== undefined) this.#options.onBatch?.(subBatch(batch, rows - fresh, rows), texts);
  }

  /** A segment that nobody finished is as long as what is whole of it. */
  #finish(number: number, index: SegmentIndex, whole: readonly BatchEntry[]): void {
    if (!this.#options.repair) return;
    const path = join(this.#folder, segmentName(number));
    const fileBytes = guarded('repair a segment', path, () => {
      const fd = this.#files.open(path, 'r+');
      try {
        const bytes = this.#files.sizeBytes(fd);
        if (bytes > index.validBytes && index.torn) {
          this.#files.truncate(fd, index.validBytes);
          this.#cut.push({ file: segmentName(number), bytes: bytes - index.validBytes });
        }
        this.#files.sync(fd);
        return bytes;
      } finally {
        this.#files.close(fd);
      }
    });
    const bytes = index.torn ? index.validBytes : fileBytes;
    this.#records.set(number, { ...recordOf(number, { ...index, entries: whole }), bytes });
  }

  /** Whether a finished segment still is what it was. */
  #compare(number: number, index: SegmentIndex, record: SegmentRecord): void {
    const rows = index.entries.reduce((sum, entry) => sum + entry.rows, 0);
    if (index.validBytes >= record.bytes && rows === record.rows) return;
    const isReported = index.damage.some(({ bytes }) => bytes === null);
    const missing = record.rows - rows;
    if (isReported) {
      const at = this.#damage.findIndex(({ file, bytes }) => file === segmentName(number) && bytes === null);
      this.#damage[at] = { ...this.#damage[at], rowsLost: missing };
    } else {
      const reason = `it is ${record.bytes - index.validBytes} bytes shorter than it was`;
      this.#addDamage(segmentName(number), index.validBytes, null, missing, reason);
    }
  }

  #addDamage(
    file: string,
    offset: number | null,
    bytes: number | null,
    rowsLost: number | null,
    reason: string,
  ): void {
    this.#damage.push({ file, offset, bytes, rowsLost, reason });
  }

  /** The document no longer lists it; the process ended before it was deleted. */
  #removeExpired({ segment, arrow, parquet }: SegmentFiles): void {
    if (arrow) this.#remove(segmentName(segment));
    if (parquet) this.#remove(compactedName(segment));
  }

  /** What a compaction has left that did not come to its end. */
  #removeTemporaries(): void {
    for (const name of this.#files.list(this.#folder)) {
      const target = parseTemporaryName(name);
      if (target !== undefined && parseCompactedName(target) !== undefined) this.#remove(name);
    }
  }

  #remove(name: string): void {
    const path = join(this.#folder, name);
    if (!this.#options.repair) return;
    guarded('delete a segment', path, () => ifThere(() => this.#files.unlink(path)));
  }

  /** Lists the segments that were finished just now, and the form in which others were found. */
  #list(): void {
    const segments = [...this.#records.values()].sort((a, b) => a.segment - b.segment);
    const listed = this.#document.segments;
    const isListed =
      segments.length === listed.length && segments.every(({ form }, i) => form === listed[i].form);
    if (isListed && this.#document.current === null) return;
    this.#document = { ...this.#document, segments, current: null };
    writeDocument(this.#files, this.#folder, this.#document);
  }

  async #pace(bytes: number): Promise<void> {
    this.#bytesSinceTurn += bytes;
    if (this.#bytesSinceTurn < PACE_BYTES) return;
    this.#bytesSinceTurn = 0;
    await turn();
  }
}

function isCorrupt(error: unknown): error is StorageError {
  return error instanceof StorageError && error.code === 'ERR_SEGMENT_CORRUPT';
}
