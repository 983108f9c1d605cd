/**
 * Opening an experiment's folder after its process has ended, in whatever way.
 *
 * All segments are read and verified. What is whole is kept; what is not is said, with its place. Only a segment that
 * nobody finished is changed, and only once: bytes after its last whole message are cut off, so that other tools can
 * read it, and it is listed as finished.
 */
import { join } from 'node:path';
import { setImmediate as turn } from 'node:timers/promises';
import { CHUNK_ROWS } from '../../assembly/layout.js';
import { StorageError } from '../errors.js';
import { type Batch, subBatch } from '../ring/batch.js';
import { OVERFLOW_TEXT } from '../ring/dictionary.js';
import { type ExperimentDocument, readDocument, type SegmentRecord, writeDocument } from './document.js';
import { guarded } from './errors.js';
import type { FileSystem } from './file-system.js';
import { segmentName } from './paths.js';
import type { BatchEntry, RingLosses, SegmentColumns } from './segment-format.js';
import { readBatch } from './segment-reader.js';
import { type SegmentIndex, scanSegment } from './segment-scan.js';
import { recordOf } from './segment-writer.js';
import { segmentNumbers } from './segments.js';

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
  /** Whether anything on disk was changed. */
  readonly changed: boolean;
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
  /** Called with each batch in capture order, every row once, and the dictionaries that all of them refer to. */
  readonly onBatch?: (batch: Batch, texts: Dictionaries) => void;
  /** Called with the bytes of every batch that has been read. */
  readonly onBytes?: (bytes: number) => void;
}

export interface Dictionaries {
  readonly bindings: readonly string[];
  readonly strings: readonly string[];
}

const NO_LOSSES: RingLosses = { overwritten: 0, refused: 0, malformed: 0, overflowed: 0 };
/** How the text of a binding begins that was given up. */
const OVERFLOW_BINDING = JSON.stringify([OVERFLOW_TEXT]).slice(0, -1);
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

/** A file, and the segment that is in it. */
interface Found {
  /** The number in the file's name. */
  readonly number: number;
  readonly index: SegmentIndex;
}

interface Place {
  readonly number: number;
  readonly entry: BatchEntry;
}

class Examination {
  readonly #files: FileSystem;
  readonly #folder: string;
  readonly #columns: SegmentColumns;
  readonly #options: OpenOptions;
  readonly #damage: Damage[] = [];
  readonly #cut: CutTail[] = [];
  readonly #records = new Map<number, SegmentRecord>();
  /** Files that hold nothing of use. */
  readonly #unusable = new Set<number>();
  readonly #bindings = new KnownTexts((text) => text.startsWith(OVERFLOW_BINDING));
  readonly #strings = new KnownTexts((text) => text === OVERFLOW_TEXT);
  #document: ExperimentDocument;
  #losses = NO_LOSSES;
  #rows = 0;
  #bytes = 0;
  #segments = 0;
  #timeMinUs = Number.POSITIVE_INFINITY;
  #timeMaxUs = Number.NEGATIVE_INFINITY;
  #nextChunk = 0;
  #changed = false;
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
      changed: this.#changed,
      losses: this.#losses,
      nextChunk: this.#nextChunk,
      bindings: this.#bindings.texts,
      strings: this.#strings.texts,
    };
  }

  async run(): Promise<void> {
    const { segments, expired, current } = this.#document;
    this.#nextChunk = (expired.lastChunk ?? -1) + 1;
    for (const record of segments) {
      this.#records.set(record.segment, record);
      this.#nextChunk = Math.max(this.#nextChunk, (record.lastChunk ?? -1) + 1);
    }
    const present = segmentNumbers(this.#files, this.#folder);
    const found: Found[] = [];
    for (const number of present) {
      if (number <= expired.throughSegment) this.#removeExpired(number);
      else found.push(...this.#look(number));
    }
    const originals = this.#originals(found);
    for (const { segment, rows } of segments) {
      if (originals.has(segment) || this.#unusable.has(segment)) continue;
      this.#addDamage(segment, null, null, rows, 'the file is missing');
    }
    const isCurrentMissing = current !== null && !present.includes(current) && !this.#records.has(current);
    if (isCurrentMissing)
      this.#addDamage(current, null, null, null, 'the file is missing; it was being written');
    for (const { index } of found) {
      this.#bindings.learn(index.bindings);
      this.#strings.learn(index.strings);
    }
    await this.#read(found);
    for (const [segment, original] of originals) this.#conclude(segment, original);
    this.#damage.sort((a, b) =>
      a.file < b.file ? -1 : a.file > b.file ? 1 : (a.offset ?? 0) - (b.offset ?? 0),
    );
    if (this.#options.repair) this.#list();
  }

  /** What is in a file. @returns nothing when it is of no use to this experiment */
  #look(number: number): Found[] {
    const index = this.#scan(number);
    if (index === undefined) return [];
    const { experimentId, segment } = index.identity;
    if (experimentId !== this.#document.experiment.id) {
      const rowsLost = this.#records.get(number)?.rows ?? 0;
      this.#unusable.add(number);
      this.#addDamage(number, 0, null, rowsLost, `it belongs to experiment ${experimentId}`);
      return [];
    }
    if (segment !== number) this.#addDamage(number, 0, null, 0, `it was written as segment ${segment}`);
    for (const { offset, bytes, reason } of index.damage) {
      // How many rows a file should have is known once it is finished; `#compare` says what is missing then.
      this.#addDamage(number, offset, bytes, null, reason);
    }
    return [{ number, index }];
  }

  /** @returns undefined when not even its first message is of use */
  #scan(number: number): SegmentIndex | undefined {
    const path = join(this.#folder, segmentName(number));
    try {
      const index = scanSegment(this.#files, path);
      const record = this.#records.get(index.identity.segment);
      // What follows the end of a finished segment is written elsewhere.
      if (record === undefined || index.fileBytes <= record.bytes) return index;
      return scanSegment(this.#files, path, { limitBytes: record.bytes });
    } catch (error) {
      if (!isCorrupt(error)) throw error;
      this.#unusable.add(number);
      const record = this.#records.get(number);
      // Created, and the process ended before anything was in it: nothing is lost.
      if (record === undefined && error.context.isCut === true) this.#removeUnbegun(number);
      else this.#addDamage(number, 0, null, record?.rows ?? null, String(error.context.reason));
      return undefined;
    }
  }

  /** The file of each segment: the one of its name, unless that holds another. Other files are copies. */
  #originals(found: readonly Found[]): Map<number, Found> {
    const originals = new Map<number, Found>();
    for (const file of found) {
      const { segment } = file.index.identity;
      if (segment === file.number || !originals.has(segment)) originals.set(segment, file);
    }
    return originals;
  }

  /** Reads every batch, each row from the first copy of it that is whole. */
  async #read(found: readonly Found[]): Promise<void> {
    const places = found
      .flatMap(({ number, index }) => index.entries.map((entry): Place => ({ number, entry })))
      .sort((a, b) => firstSequenceOf(a.entry) - firstSequenceOf(b.entry));
    const broken: { place: Place; reason: string }[] = [];
    const covered = new Intervals();
    const file = new OpenFile(this.#files, this.#folder);
    try {
      for (const place of places) {
        const { number, entry } = place;
        await this.#pace(entry.bytes);
        this.#options.onBytes?.(entry.bytes);
        this.#nextChunk = Math.max(this.#nextChunk, entry.chunk + 1);
        try {
          const batch = readBatch(this.#files, file.open(number), entry, this.#columns);
          const fresh = covered.add(batch.firstSequence, batch.firstSequence + batch.rows);
          // Fewer where it was written again after an error of the disk.
          if (fresh > 0) this.#take(subBatch(batch, batch.rows - fresh, batch.rows), entry);
        } catch (error) {
          if (!isCorrupt(error)) throw error;
          broken.push({ place, reason: String(error.context.reason) });
        }
      }
    } finally {
      file.close();
    }
    for (const { place, reason } of broken) {
      const { offset, bytes, rows } = place.entry;
      const from = firstSequenceOf(place.entry);
      this.#addDamage(place.number, offset, bytes, rows - covered.within(from, from + rows), reason);
    }
  }

  #take(batch: Batch, { timeMinUs, timeMaxUs, losses }: BatchEntry): void {
    this.#rows += batch.rows;
    this.#timeMinUs = Math.min(this.#timeMinUs, timeMinUs);
    this.#timeMaxUs = Math.max(this.#timeMaxUs, timeMaxUs);
    this.#losses = {
      overwritten: Math.max(this.#losses.overwritten, losses.overwritten),
      refused: Math.max(this.#losses.refused, losses.refused),
      malformed: Math.max(this.#losses.malformed, losses.malformed),
      overflowed: Math.max(this.#losses.overflowed, losses.overflowed),
    };
    const { texts: bindings } = this.#bindings;
    this.#options.onBatch?.(batch, { bindings, strings: this.#strings.texts });
  }

  #conclude(segment: number, { number, index }: Found): void {
    this.#segments++;
    this.#bytes += index.validBytes;
    const record = this.#records.get(segment);
    if (record !== undefined) this.#compare(number, index, record);
    else if (segment === number) this.#finish(number, index);
  }

  /**
   * A segment that nobody finished is as long as what is whole of it. Rows of a batch whose body is broken are listed,
   * as in a segment whose body broke later: the next one who opens the folder is to find the same of it.
   */
  #finish(number: number, index: SegmentIndex): void {
    if (!this.#options.repair) return;
    const path = join(this.#folder, segmentName(number));
    guarded('repair a segment', path, () => {
      const fd = this.#files.open(path, 'r+');
      try {
        if (index.torn && index.fileBytes > index.validBytes) {
          this.#files.truncate(fd, index.validBytes);
          this.#cut.push({ file: segmentName(number), bytes: index.fileBytes - index.validBytes });
          this.#changed = true;
        }
        this.#files.sync(fd);
      } finally {
        this.#files.close(fd);
      }
    });
    const bytes = index.torn ? index.validBytes : index.fileBytes;
    this.#records.set(number, { ...recordOf(number, index), bytes });
  }

  /** Whether a finished segment still is what it was. */
  #compare(number: number, index: SegmentIndex, record: SegmentRecord): void {
    const rows = index.entries.reduce((sum, entry) => sum + entry.rows, 0);
    const missing = record.rows - rows;
    if (index.validBytes >= record.bytes && missing <= 0) return;
    const isRest = ({ file, bytes, offset }: Damage) =>
      file === segmentName(number) && bytes === null && offset === index.validBytes;
    const at = this.#damage.findIndex(isRest);
    if (at < 0) {
      const reason = `it is ${record.bytes - index.validBytes} bytes shorter than it was`;
      this.#addDamage(number, index.validBytes, null, missing, reason);
    } else if (missing > 0) {
      this.#damage[at] = { ...this.#damage[at], rowsLost: missing };
    }
  }

  #addDamage(
    number: number,
    offset: number | null,
    bytes: number | null,
    rowsLost: number | null,
    reason: string,
  ): void {
    this.#damage.push({ file: segmentName(number), offset, bytes, rowsLost, reason });
  }

  #removeUnbegun(number: number): void {
    this.#remove(number, 'repair a segment');
  }

  /** The document no longer lists it; the process ended before it was deleted. */
  #removeExpired(number: number): void {
    this.#remove(number, 'delete a segment');
  }

  #remove(number: number, what: string): void {
    if (!this.#options.repair) return;
    const path = join(this.#folder, segmentName(number));
    guarded(what, path, () => this.#files.unlink(path));
    this.#changed = true;
  }

  /** Lists the segments that were finished just now. */
  #list(): void {
    const segments = [...this.#records.values()].sort((a, b) => a.segment - b.segment);
    if (segments.length === this.#document.segments.length && this.#document.current === null) return;
    this.#document = { ...this.#document, segments, current: null };
    writeDocument(this.#files, this.#folder, this.#document);
    this.#changed = true;
  }

  async #pace(bytes: number): Promise<void> {
    this.#bytesSinceTurn += bytes;
    if (this.#bytesSinceTurn < PACE_BYTES) return;
    this.#bytesSinceTurn = 0;
    await turn();
  }
}

/** Texts of a dictionary by id, from all segments. Where one has given up waiting for a text, a later one may have it. */
class KnownTexts {
  readonly texts: string[] = [];
  readonly #isGivenUp: (text: string) => boolean;
  readonly #givenUp = new Set<number>();

  constructor(isGivenUp: (text: string) => boolean) {
    this.#isGivenUp = isGivenUp;
  }

  learn(texts: readonly string[]): void {
    for (const id of this.#givenUp) {
      if (id >= texts.length || this.#isGivenUp(texts[id])) continue;
      this.texts[id] = texts[id];
      this.#givenUp.delete(id);
    }
    for (let id = this.texts.length; id < texts.length; id++) {
      this.texts.push(texts[id]);
      if (this.#isGivenUp(texts[id])) this.#givenUp.add(id);
    }
  }
}

/** Sequences that have been seen; ranges are added in the order of their beginnings. */
class Intervals {
  readonly #starts: number[] = [];
  readonly #ends: number[] = [];

  /** @returns how many of them are new; they are the last ones */
  add(start: number, end: number): number {
    const last = this.#ends.length - 1;
    if (last >= 0 && start <= this.#ends[last]) {
      const fresh = end - this.#ends[last];
      if (fresh > 0) this.#ends[last] = end;
      return Math.max(0, fresh);
    }
    this.#starts.push(start);
    this.#ends.push(end);
    return end - start;
  }

  /** How many of [start, end) have been seen. */
  within(start: number, end: number): number {
    let seen = 0;
    this.#starts.forEach((from, i) => {
      seen += Math.max(0, Math.min(end, this.#ends[i]) - Math.max(start, from));
    });
    return seen;
  }
}

/** One segment file at a time, open for reading. */
class OpenFile {
  readonly #files: FileSystem;
  readonly #folder: string;
  #number = 0;
  #fd: number | undefined;

  constructor(files: FileSystem, folder: string) {
    this.#files = files;
    this.#folder = folder;
  }

  open(number: number): number {
    if (this.#fd === undefined || this.#number !== number) {
      this.close();
      this.#number = number;
      this.#fd = this.#files.open(join(this.#folder, segmentName(number)), 'r');
    }
    return this.#fd;
  }

  close(): void {
    if (this.#fd !== undefined) this.#files.close(this.#fd);
    this.#fd = undefined;
  }
}

function firstSequenceOf({ chunk, firstRow }: BatchEntry): number {
  return chunk * CHUNK_ROWS + firstRow;
}

function isCorrupt(error: unknown): error is StorageError {
  return error instanceof StorageError && error.code === 'ERR_SEGMENT_CORRUPT';
}
