/**
 * Opening an experiment's folder after its process has ended, in whatever way.
 *
 * All segments are read and verified. What is whole is kept; what is not is said, with its place. Only a segment that
 * nobody finished is changed, and only once: bytes after its last whole message are cut off, so that other tools can
 * read it, and it is listed as finished. What a compaction has left over is removed.
 */
import { join } from 'node:path';
import { setImmediate as turn } from 'node:timers/promises';
import { CHUNK_ROWS } from '../../assembly/layout.js';
import type { StorageError } from '../errors.js';
import { type Batch, subBatch } from '../ring/batch.js';
import { guarded } from '../system-errors.js';
import { DecodedGroups } from './compaction/parquet-reader.js';
import { type ExperimentDocument, readDocument, type SegmentRecord, writeDocument } from './disk/document.js';
import { ifThere, isCorrupt } from './disk/errors.js';
import type { FileSystem } from './disk/file-system.js';
import {
  parseCompactedName,
  parseTemporaryName,
  type SegmentForm,
  segmentFileName,
  segmentName,
} from './disk/paths.js';
import { ArrowFile, ParquetFile, type SegmentFile, type SegmentFolder } from './segment/file.js';
import {
  type BatchPlace,
  type Dictionaries,
  laterLosses,
  type RingLosses,
  type SegmentColumns,
} from './segment/format.js';
import { Intervals } from './segment/intervals.js';
import { KnownDictionaries } from './segment/known-dictionaries.js';
import { type SegmentFiles, segmentFiles } from './segment/segments.js';

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
  /** What the ring had lost or could not understand, as of the newest batch or document. */
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
  /** Called with the bytes of every batch, or row group of them, before it is read. */
  readonly onBytes?: (bytes: number) => void;
}

/** Bytes to read between two turns of the event loop. */
const PACE_BYTES = 1 << 20;

/** @throws NotFoundError, StorageError, LayoutError as `readDocument`, `scanSegment` and `readParquetIndex` do */
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

/** A batch that cannot be read. */
interface Broken {
  readonly file: SegmentFile;
  readonly place: BatchPlace;
  readonly error: StorageError;
}

class Examination {
  readonly #files: FileSystem;
  readonly #folder: string;
  readonly #segmentFolder: SegmentFolder;
  readonly #options: OpenOptions;
  readonly #damage: Damage[] = [];
  readonly #cut: CutTail[] = [];
  readonly #records = new Map<number, SegmentRecord>();
  /** Segments whose file holds nothing of use. */
  readonly #unusable = new Set<number>();
  readonly #texts = new KnownDictionaries();
  #document: ExperimentDocument;
  #losses: RingLosses;
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
    this.#segmentFolder = { files, path: folder, columns, decoded: new DecodedGroups() };
    this.#options = options;
    this.#document = readDocument(files, folder);
    this.#losses = this.#document.losses;
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
      bindings: this.#texts.bindings,
      strings: this.#texts.strings,
    };
  }

  async run(): Promise<void> {
    const { segments, expired } = this.#document;
    this.#nextChunk = (expired.lastChunk ?? -1) + 1;
    for (const record of segments) {
      this.#records.set(record.segment, record);
      this.#nextChunk = Math.max(this.#nextChunk, (record.lastChunk ?? -1) + 1);
    }
    this.#removeTemporaries();
    const present = segmentFiles(this.#files, this.#folder);
    const found = present.flatMap((files) => this.#find(files));
    const originals = this.#originals(found);
    this.#findMissing(present, originals);
    for (const { index } of found) this.#texts.learn(index);
    await this.#read(found);
    for (const [segment, original] of originals) this.#conclude(segment, original);
    for (const files of present) this.#removeLeftover(files, found);
    this.#damage.sort((a, b) =>
      a.file < b.file ? -1 : a.file > b.file ? 1 : (a.offset ?? 0) - (b.offset ?? 0),
    );
    if (this.#options.repair) this.#list();
  }

  // ── Looking ────────────────────────────────────────────────────────────────────────────────────

  /** The file of a segment that is to be read. @returns nothing when it cannot be used by this experiment */
  #find({ segment, arrow, parquet }: SegmentFiles): SegmentFile[] {
    if (segment <= this.#document.expired.throughSegment) {
      // The document no longer lists it; the process ended before it was deleted.
      if (arrow) this.#remove(segmentFileName(segment, 'arrow'), 'delete a segment at');
      if (parquet) this.#remove(segmentFileName(segment, 'parquet'), 'delete a segment at');
      return [];
    }
    // Of two files, which compaction may have left, the one that the document lists is read.
    const isCompacted = parquet && (!arrow || this.#listed(segment, 'parquet') !== undefined);
    return this.#look(segment, isCompacted ? 'parquet' : 'arrow');
  }

  /** What is in a file. @returns nothing when it cannot be used by this experiment */
  #look(number: number, form: SegmentForm): SegmentFile[] {
    const file = this.#open(number, form);
    if (file === undefined) return [];
    const { experimentId, segment } = file.index.identity;
    if (experimentId !== this.#document.experiment.id) {
      const rowsLost = this.#records.get(number)?.rows ?? 0;
      this.#unusable.add(number);
      this.#addDamage(file.name, 0, null, rowsLost, `it belongs to experiment ${experimentId}`);
      return [];
    }
    if (segment !== number) this.#addDamage(file.name, 0, null, 0, `it was written as segment ${segment}`);
    if (file.form === 'arrow') {
      for (const { offset, bytes, reason } of file.index.damage) {
        // How many rows a file should have is known once it is finished; `#compare` says what is missing then.
        this.#addDamage(file.name, offset, bytes, null, reason);
      }
    }
    return [file];
  }

  /** @returns undefined when not even the beginning of an Arrow file, or the end of a Parquet one, is of use */
  #open(number: number, form: SegmentForm): SegmentFile | undefined {
    try {
      return form === 'arrow' ? this.#openArrow(number) : new ParquetFile(this.#segmentFolder, number);
    } catch (error) {
      if (!isCorrupt(error)) throw error;
      this.#unusable.add(number);
      const name = segmentFileName(number, form);
      const { isCut, offset, reason } = error.context;
      const record = this.#records.get(number);
      // Created, and the process ended before anything was in it: nothing is lost.
      if (record === undefined && isCut === true) this.#remove(name, 'repair a segment at');
      else this.#addDamage(name, Number(offset), null, record?.rows ?? null, String(reason));
      return undefined;
    }
  }

  #openArrow(number: number): ArrowFile {
    const file = new ArrowFile(this.#segmentFolder, number);
    const { identity, fileBytes } = file.index;
    const record = this.#listed(identity.segment, 'arrow');
    // What follows the end of a finished segment is written elsewhere.
    if (record === undefined || fileBytes <= record.bytes) return file;
    return new ArrowFile(this.#segmentFolder, number, record.bytes);
  }

  /** What the document says of a segment, if it lists it in this form. */
  #listed(segment: number, form: SegmentForm): SegmentRecord | undefined {
    const record = this.#records.get(segment);
    return record?.form === form ? record : undefined;
  }

  /** The file of each segment: the one of its name, unless that holds another. Other files are copies. */
  #originals(found: readonly SegmentFile[]): Map<number, SegmentFile> {
    const originals = new Map<number, SegmentFile>();
    for (const file of found) {
      const { segment } = file.index.identity;
      if (segment === file.number || !originals.has(segment)) originals.set(segment, file);
    }
    return originals;
  }

  #findMissing(present: readonly SegmentFiles[], originals: ReadonlyMap<number, SegmentFile>): void {
    const { segments, current } = this.#document;
    for (const { segment, form, rows } of segments) {
      if (originals.has(segment) || this.#unusable.has(segment)) continue;
      this.#addDamage(segmentFileName(segment, form), null, null, rows, 'the file is missing');
    }
    if (current === null || this.#records.has(current)) return;
    if (present.some(({ segment }) => segment === current)) return;
    this.#addDamage(segmentName(current), null, null, null, 'the file is missing; it was being written');
  }

  // ── Reading ────────────────────────────────────────────────────────────────────────────────────

  /** Reads every batch, each row from the first copy of it that is whole. */
  async #read(found: readonly SegmentFile[]): Promise<void> {
    const batches = found
      .flatMap((file) => file.places.map((place, batch) => ({ file, batch, place })))
      .sort((a, b) => firstSequenceOf(a.place) - firstSequenceOf(b.place));
    const broken: Broken[] = [];
    const covered = new Intervals();
    // One file at a time is open.
    let open: SegmentFile | undefined;
    try {
      for (const { file, batch: number, place } of batches) {
        if (file !== open) open?.close();
        open = file;
        const bytes = file.bytesOf(number);
        await this.#pace(bytes);
        this.#options.onBytes?.(bytes);
        this.#nextChunk = Math.max(this.#nextChunk, place.chunk + 1);
        try {
          const batch = await file.read(number);
          const fresh = covered.add(batch.firstSequence, batch.firstSequence + batch.rows);
          // Fewer where it was written again after an error of the disk.
          if (fresh > 0) this.#take(subBatch(batch, batch.rows - fresh, batch.rows), place);
        } catch (error) {
          if (!isCorrupt(error)) throw error;
          broken.push({ file, place, error });
        }
      }
    } finally {
      open?.close();
    }
    this.#addBroken(broken, covered);
  }

  #take(batch: Batch, { timeMinUs, timeMaxUs, losses }: BatchPlace): void {
    this.#rows += batch.rows;
    this.#timeMinUs = Math.min(this.#timeMinUs, timeMinUs);
    this.#timeMaxUs = Math.max(this.#timeMaxUs, timeMaxUs);
    this.#losses = laterLosses(this.#losses, losses);
    this.#options.onBatch?.(batch, this.#texts);
  }

  /** Batches that cannot be read for the same reason, those of a row group, are one damage. */
  #addBroken(broken: readonly Broken[], covered: Intervals): void {
    const found = new Map<string, Damage>();
    for (const { file, place, error } of broken) {
      const { offset, bytes, reason } = error.context;
      const key = `${file.name}:${offset}`;
      const from = firstSequenceOf(place);
      const missing = place.rows - covered.within(from, from + place.rows);
      found.set(key, {
        file: file.name,
        offset: Number(offset),
        bytes: Number(bytes),
        rowsLost: missing + (found.get(key)?.rowsLost ?? 0),
        reason: String(reason),
      });
    }
    this.#damage.push(...found.values());
  }

  // ── Concluding ─────────────────────────────────────────────────────────────────────────────────

  #conclude(segment: number, file: SegmentFile): void {
    this.#segments++;
    this.#bytes += file.bytes;
    const record = this.#listed(segment, file.form);
    if (record !== undefined) this.#compare(file, record);
    else if (segment === file.number) this.#finish(file);
  }

  /**
   * A segment that nobody finished is as long as what is whole of it. Rows of a batch whose body is broken are listed,
   * as in a segment whose body broke later: the next one who opens the folder is to find the same of it.
   */
  #finish(file: SegmentFile): void {
    if (!this.#options.repair) return;
    if (file.form === 'arrow') this.#cutTail(file);
    this.#records.set(file.number, file.record);
  }

  #cutTail({ name, index: { torn, fileBytes, validBytes } }: ArrowFile): void {
    const path = join(this.#folder, name);
    guarded('repair a segment at', path, () => {
      const fd = this.#files.open(path, 'r+');
      try {
        if (torn && fileBytes > validBytes) {
          this.#files.truncate(fd, validBytes);
          this.#cut.push({ file: name, bytes: fileBytes - validBytes });
          this.#changed = true;
        }
        this.#files.sync(fd);
      } finally {
        this.#files.close(fd);
      }
    });
  }

  /** Whether a finished segment still is what it was. */
  #compare(file: SegmentFile, record: SegmentRecord): void {
    const { name, bytes } = file;
    const missing = record.rows - file.record.rows;
    if (file.form === 'parquet') {
      if (bytes === record.bytes && missing === 0) return;
      this.#addDamage(name, null, null, Math.max(0, missing), 'it is not the file that was listed');
      return;
    }
    if (bytes >= record.bytes && missing <= 0) return;
    const isRest = (damage: Damage) =>
      damage.file === name && damage.bytes === null && damage.offset === bytes;
    const at = this.#damage.findIndex(isRest);
    if (at < 0) {
      const reason = `it is ${record.bytes - bytes} bytes shorter than it was`;
      this.#addDamage(name, bytes, null, missing, reason);
    } else if (missing > 0) {
      this.#damage[at] = { ...this.#damage[at], rowsLost: missing };
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

  // ── Repairing ──────────────────────────────────────────────────────────────────────────────────

  /** What a compaction has left that did not come to its end. */
  #removeTemporaries(): void {
    for (const name of this.#files.list(this.#folder)) {
      const target = parseTemporaryName(name);
      if (target !== undefined && parseCompactedName(target) !== undefined) {
        this.#remove(name, 'delete a temporary file at');
      }
    }
  }

  /** Of a segment's two files the one that was not read, as long as nothing is wrong with the other. */
  #removeLeftover({ segment, arrow, parquet }: SegmentFiles, found: readonly SegmentFile[]): void {
    if (!arrow || !parquet) return;
    const read = found.find(({ number }) => number === segment);
    if (read === undefined || this.#damage.some(({ file }) => file === read.name)) return;
    this.#remove(
      segmentFileName(segment, read.form === 'arrow' ? 'parquet' : 'arrow'),
      'delete a segment at',
    );
  }

  #remove(name: string, what: string): void {
    if (!this.#options.repair) return;
    const path = join(this.#folder, name);
    guarded(what, path, () => {
      // What is no file is none of ours.
      if (ifThere(() => this.#files.stat(path))?.isFile !== true) return;
      this.#files.unlink(path);
      this.#changed = true;
    });
  }

  /** Lists the segments that were finished just now, and the form in which others were found. */
  #list(): void {
    const segments = [...this.#records.values()].sort((a, b) => a.segment - b.segment);
    const listed = this.#document.segments;
    const isListed = segments.length === listed.length && segments.every((record, i) => record === listed[i]);
    if (isListed && this.#document.current === null) return;
    this.#document = { ...this.#document, segments, current: null, losses: this.#losses };
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

function firstSequenceOf({ chunk, firstRow }: BatchPlace): number {
  return chunk * CHUNK_ROWS + firstRow;
}
