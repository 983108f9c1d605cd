/**
 * The spooler: takes published rows from the ring and appends them to segment files.
 *
 * It waits for nobody and nobody waits for it, except a producer that finds the ring full. A row goes through four
 * states, each recorded where the next spooler finds it if this one dies: published (in the ring), taken (the ring
 * will not count it as lost), written (handed to the file system), durable (synced). A chunk is given back to the
 * ring once it is durable, so that a failed sync can always be made good from memory: the rows are taken again and
 * written to a fresh segment.
 *
 * Everything here is synchronous; it runs on a thread of its own, or at the very end of a process on the main one.
 */
import { join } from 'node:path';
import { FLAG_BLOB, STRINGS, TAG_BINDING_MASK } from '../../../assembly/layout.js';
import { StoredValueReader } from '../../formats/msgpack/stored-value.js';
import type { Batch } from '../../ring/batch.js';
import { BindingTable } from '../../ring/bindings.js';
import { joinedChunks } from '../../ring/byte-area.js';
import { RingControl } from '../../ring/control.js';
import { Dictionary } from '../../ring/dictionary.js';
import type { Geometry, OverflowPolicy } from '../../ring/memory.js';
import { BatchBuffers, type ChunkView, RingReader } from '../../ring/reader.js';
import { SpoolRing, SpoolWords } from '../../ring/spool.js';
import type { SharedMemory } from '../../ring/wasm.js';
import type { Json } from '../../schema/event.js';
import { guarded, isFull, systemCodeOf } from '../../system-errors.js';
import { readParquetIndex } from '../compaction/parquet-footer.js';
import { withCompacted } from '../compaction/segment-to-parquet.js';
import { type DamagedBatch, DamageLedger, lossOf, replacedLoss } from '../damage.js';
import {
  type ExperimentDocument,
  permissionsIn,
  readDocument,
  type SegmentRecord,
  writeDocument,
} from '../disk/document.js';
import { clearUp, ifThere, isCorrupt, reasonOf } from '../disk/errors.js';
import { type FileSystem, versionOf } from '../disk/file-system.js';
import type { LockPlace } from '../disk/lock.js';
import { compactedName, segmentFileName, segmentName } from '../disk/paths.js';
import { isSameJson } from '../disk/shape.js';
import type { BatchEntry, BatchPlace, RingLosses, SegmentIdentity } from '../segment/format.js';
import { type SegmentIndex, scanSegment } from '../segment/scan.js';
import { segmentFiles } from '../segment/segments.js';
import { recordOf, SegmentWriter, type Take } from '../segment/writer.js';
import { ReadyIds } from './ready-ids.js';

export type FsyncPolicy = 'interval' | 'always' | 'never';

export interface Retention {
  /** Oldest segments are deleted while all finished ones together are larger. */
  readonly maxBytes?: number;
  /** Segments whose newest row is older are deleted. */
  readonly maxAgeMs?: number;
}

/** Structured-cloneable: what a spooler needs to know. */
export interface SpoolerOptions {
  readonly memory: SharedMemory;
  readonly geometry: Geometry;
  /** The experiment's folder. */
  readonly folder: string;
  /** What this process has locked it with; null where nobody else can want it. */
  readonly lock: LockPlace | null;
  readonly identity: Omit<SegmentIdentity, 'segment' | 'createdUs' | 'experiment'>;
  readonly overflow: OverflowPolicy;
  readonly fsync: FsyncPolicy;
  readonly flushIntervalMs: number;
  readonly segmentBytes: number;
  readonly retention: Retention;
  /** What had been lost before this memory existed. */
  readonly losses: RingLosses;
  /** Rows that the document listed, deleted ones included, before this memory existed. */
  readonly rowsBefore: number;
  /** Of those, rows that had expired. */
  readonly expiredBefore: number;
  /** This spooler's number; one with a higher number replaces it. */
  readonly epoch: number;
}

/** What `step` is to do. */
export interface StepOptions {
  /** Take whatever is written, not only sealed chunks. */
  readonly everything: boolean;
  /** Make it durable. */
  readonly sync: boolean;
}

/** Staged bytes at which they are written. */
const STAGE_BYTES = 1 << 20;
/** Written bytes at which they are synced, where producers may be waiting: a sync should take a second at the most. */
const SYNC_BYTES = 16 << 20;
/** A producer's lock is held for microseconds; after so long its holder is taken for dead, ms. */
const LOCK_PATIENCE_MS = 1000;
/** Another spooler has taken over. */
export class Superseded extends Error {}
/** Rows were given back to the ring that were taken in this pass: another one takes them in their order. */
class TakenBack extends Error {}

/** Wall clock and monotonic milliseconds; tests supply their own. */
export interface SpoolerClock {
  nowUs(): number;
  nowMs(): number;
}

export interface SpoolerSurroundings {
  readonly clock?: SpoolerClock;
  /** Called before anything is written: throws ERR_LOCKED where somebody else writes by now. */
  readonly keepLock?: () => void;
}

const systemSpoolerClock: SpoolerClock = {
  nowUs: () => Math.floor((performance.timeOrigin + performance.now()) * 1000),
  nowMs: () => performance.now(),
};

/** What the document says of the experiment. */
export type ExperimentFields = Readonly<Record<string, Json>>;

export class Spooler {
  readonly #options: SpoolerOptions;
  readonly #files: FileSystem;
  readonly #clock: SpoolerClock;
  readonly #keepLock: () => void;
  readonly #words: SpoolWords;
  readonly #ring: SpoolRing;
  readonly #reader: RingReader;
  readonly #control: RingControl;
  readonly #buffers: BatchBuffers;
  readonly #bindings: BindingTable;
  readonly #strings: Dictionary;
  readonly #readyBindings: ReadyIds;
  readonly #readyStrings: ReadyIds;
  readonly #dictColumns: readonly number[];
  readonly #isKnown: (chunk: number, generation: number, rows: number) => boolean;
  /** Chunks that have rows in a segment and are not given back yet. */
  readonly #kept = new Map<number, { generation: number; rows: number }>();
  /** Producers whose lock was held at the last attempt, and since when. */
  readonly #lockedSinceMs = new Map<number, number>();
  /** Files still to be deleted whose segments have expired, oldest first. */
  readonly #expired: string[] = [];
  /** Segments whose Arrow file goes once the document lists their Parquet file. */
  readonly #compacted = new Set<number>();
  /** Whether half of the ring, or more, was waiting to be taken when the last pass began. */
  #isBehind = false;
  readonly #ledger: DamageLedger;
  /** Files of finished segments as they were when they were last looked at, by their paths. */
  readonly #versions = new Map<string, string>();
  #document: ExperimentDocument;
  #documentIsStale = false;
  #segment: SegmentWriter | undefined;
  #isFolderDeleted = false;
  #nextSegment: number;

  /**
   * Takes over the folder: segments that no document lists are finished as they are.
   * @throws StorageError
   */
  constructor(
    options: SpoolerOptions,
    files: FileSystem,
    { clock = systemSpoolerClock, keepLock = () => {} }: SpoolerSurroundings = {},
  ) {
    const { memory, geometry } = options;
    this.#options = options;
    this.#files = files;
    this.#clock = clock;
    this.#keepLock = keepLock;
    this.#words = new SpoolWords(memory);
    this.#ring = new SpoolRing(memory, geometry);
    this.#reader = new RingReader(memory, geometry);
    this.#control = new RingControl(memory, geometry);
    this.#buffers = new BatchBuffers(geometry);
    this.#bindings = new BindingTable(memory.buffer);
    this.#strings = new Dictionary(memory.buffer, STRINGS);
    this.#readyBindings = new ReadyIds(this.#bindings, clock);
    this.#readyStrings = new ReadyIds(this.#strings, clock);
    this.#dictColumns = geometry.columns.flatMap(({ type }, i) => (type === 'dict' ? [i] : []));
    this.#ledger = new DamageLedger(options.folder);
    this.#isKnown = (chunk, generation, rows) => this.#ring.taken(chunk, generation) >= rows;
    this.#document = guarded('take over', options.folder, () => readDocument(files, options.folder));
    // Numbers are never used again: what has one that has expired is deleted.
    const { expired, segments } = this.#document;
    this.#nextSegment = Math.max(expired.throughSegment, ...segments.map(({ segment }) => segment)) + 1;
    guarded('take over', options.folder, () => {
      // Whoever opened the folder has read them.
      for (const record of segments) this.#trust(record);
      this.#takeOver();
    });
  }

  /** Replaces the experiment's part of its document, at the next step. A change of pausedUs alone is not saved. */
  set experiment(experiment: ExperimentFields) {
    const timeless = (fields: ExperimentFields) => ({ ...fields, pausedUs: 0 });
    if (isSameJson(timeless(experiment), timeless(this.#document.experiment))) return;
    this.#document = { ...this.#document, experiment };
    this.#documentIsStale = true;
  }

  /** Lists a segment's Parquet file, at the next step, and then deletes the Arrow one. Idempotent. */
  compacted(segment: number, bytes: number): void {
    const document = withCompacted(this.#document, segment, bytes);
    if (document !== undefined) {
      this.#document = document;
      this.#documentIsStale = true;
    }
    this.#compacted.add(segment);
  }

  /** What has been found lost of what was written. */
  get damaged(): readonly DamagedBatch[] {
    return this.#ledger.entries;
  }

  /** Looks whether all finished segments are where they were. @throws StorageError where the whole folder is away */
  inspect(): void {
    guarded('look at the segments in', this.#options.folder, () => {
      // What was moved away may be moved back; nothing of it is lost yet.
      if (!this.#isFolderDeleted) this.#files.list(this.#options.folder);
      for (const record of this.#document.segments) {
        const loss = lossOf(this.#files, this.#options.folder, record) ?? this.#replaced(record);
        if (loss !== undefined) this.#ledger.add(loss);
      }
    });
  }

  /** What a finished segment has lost that has been written to, or replaced, since it was last looked at. */
  #replaced(record: SegmentRecord): DamagedBatch | undefined {
    const { folder, identity } = this.#options;
    const path = join(folder, segmentFileName(record.segment, record.form));
    const version = this.#versionAt(path);
    if (version === undefined || version === this.#versions.get(path)) return undefined;
    try {
      const index = ifThere(() =>
        record.form === 'parquet' ? readParquetIndex(this.#files, path) : scanSegment(this.#files, path),
      );
      if (index === undefined) return undefined;
      const places = 'places' in index ? index.places : index.entries;
      this.#versions.set(path, version);
      return replacedLoss(folder, record, identity.experimentId, { identity: index.identity, places });
    } catch (error) {
      if (!isCorrupt(error)) throw error;
      return { path, offset: 0, bytes: null, rows: record.rows, reason: reasonOf(error) };
    }
  }

  /** Takes a finished segment for whole as it is now. Where the disk does not say what it is, it is looked at later. */
  #trust({ segment, form }: SegmentRecord): void {
    const path = join(this.#options.folder, segmentFileName(segment, form));
    clearUp(() => {
      const version = this.#versionAt(path);
      if (version !== undefined) this.#versions.set(path, version);
    });
  }

  #versionAt(path: string): string | undefined {
    const stat = ifThere(() => this.#files.stat(path));
    return stat && versionOf(stat);
  }

  /** Finished segments; another array when there are others. */
  get segments(): readonly SegmentRecord[] {
    return this.#document.segments;
  }

  /**
   * One pass over the ring.
   * @returns false when there was something that could not be taken just now; try again soon
   * @throws StorageError; whatever was taken is kept and written by the next step
   * @throws Superseded
   */
  step({ everything, sync }: StepOptions): boolean {
    this.#beat();
    return this.#pass('write a segment at', () => {
      if (this.#segment?.isEnding) this.#endSegment();
      this.#write();
      const published = everything ? this.#publishForAll() : true;
      const complete = this.#takeChunks(everything) && published;
      this.#write();
      if (sync || this.#options.fsync === 'always' || this.#isFilling()) this.#sync();
      this.#giveBack();
      if (this.#segment !== undefined && this.#segment.bytes >= this.#options.segmentBytes)
        this.#endSegment();
      // Last, since rows must not wait for it.
      if (this.#documentIsStale) this.#writeDocument();
      this.#removeCompacted();
      if (everything) this.#expire();
      return complete;
    });
  }

  /**
   * Ends the segment in good order and writes the document. Every row must have been taken by a `step` before.
   * @returns false when rows have to be taken again; so must `step` be called
   */
  finish(): boolean {
    this.#beat();
    return this.#pass('end a segment at', () => {
      if (this.#segment !== undefined) this.#endSegment();
      // What was lost after the last rows were taken is in no batch.
      const isToldOfLosses = isSameJson(this.#document.losses, this.#countLosses());
      if (this.#documentIsStale || !isToldOfLosses) this.#writeDocument();
      this.#removeCompacted();
      return true;
    });
  }

  /** @returns what `work` does; false when the segment that it wrote to was lost */
  #pass(what: string, work: () => boolean): boolean {
    try {
      return guarded(what, this.#options.folder, work);
    } catch (error) {
      if (error instanceof TakenBack) return false;
      throw error;
    }
  }

  /** Lets go of the open file, whatever its state. */
  close(): void {
    this.#segment?.close();
    this.#segment = undefined;
  }

  // ── Taking ─────────────────────────────────────────────────────────────────────────────────────

  /** Rows that a busy thread has written count as captured, even if it has not come to publish them. */
  #publishForAll(): boolean {
    let complete = true;
    for (const producer of this.#control.activeProducers()) {
      const nowMs = this.#clock.nowMs();
      const sinceMs = this.#lockedSinceMs.get(producer) ?? nowMs;
      if (this.#ring.publishFor(producer, nowMs - sinceMs > LOCK_PATIENCE_MS)) {
        this.#lockedSinceMs.delete(producer);
      } else {
        this.#lockedSinceMs.set(producer, sinceMs);
        complete = false;
      }
    }
    return complete;
  }

  /**
   * Takes the rows of all chunks claimed by now, in the order of their claims: what is on disk must be a prefix of
   * what each producer wrote, as what the reader lists is.
   */
  #takeChunks(everything: boolean): boolean {
    const losses = this.#countLosses();
    const waiting = new Set<number>();
    const views = this.#reader.chunks(this.#isKnown);
    this.#isBehind = views.length * 2 >= this.#options.geometry.chunkCount;
    for (const view of views) {
      if (!view.sealed && !everything) continue;
      if (waiting.has(view.producer) || !this.#takeChunk(view, losses)) waiting.add(view.producer);
    }
    return waiting.size === 0;
  }

  /** What has been lost by now, in this memory and before it. */
  #countLosses(): RingLosses {
    const { losses } = this.#options;
    const counts = this.#control.counts();
    return {
      overwritten: losses.overwritten + counts.overwritten,
      refused: losses.refused + counts.refused,
      malformed: losses.malformed + counts.malformed,
      overflowed: losses.overflowed + counts.overflowed,
      cut: losses.cut + counts.cut,
    };
  }

  /** @returns false when its rows name something that another thread is just adding to a dictionary */
  #takeChunk(view: ChunkView, losses: RingLosses): boolean {
    const from = this.#ring.taken(view.chunk, view.generation);
    const batch = this.#reader.read(view, from, this.#buffers);
    // Reused meanwhile: the rows are lost, and counted by whoever reused the chunk.
    if (batch === undefined) return true;
    if (!this.#isReady(batch)) return false;
    const segment = this.#openSegment();
    segment.encoder.bindings(this.#readyBindings.count, (id) => this.#bindings.binding(id));
    if (this.#dictColumns.length > 0) {
      segment.encoder.strings(this.#readyStrings.count, (id) => this.#strings.text(id));
    }
    const mark = segment.encoder.position;
    const entry = segment.encoder.batch(trimmed(batch), view.sequence, from, losses);
    if (!this.#ring.take(view, from, view.rows)) {
      segment.encoder.rewind(mark);
      return true;
    }
    const chunks = 1 + joinedChunks(this.#options.geometry, batch.blob.length);
    segment.stage({ chunk: view.chunk, generation: view.generation, from, rows: batch.rows, chunks, entry });
    if (segment.encoder.stagedBytes >= STAGE_BYTES) {
      this.#write();
      // In the midst of a long pass: producers may be waiting for room.
      if (this.#isFilling()) this.#sync();
      this.#giveBack();
    }
    return true;
  }

  /** Whether every text that the rows refer to can be written. */
  #isReady(batch: Batch): boolean {
    let binding = 0;
    for (let i = 0; i < batch.rows; i++) binding = Math.max(binding, batch.tags[i] & TAG_BINDING_MASK);
    let text = 0;
    for (const column of this.#dictColumns) {
      const codes = batch.declared[column];
      for (let i = 0; i < batch.rows; i++) text = Math.max(text, codes[i]);
    }
    const ready = this.#readyBindings.covers(binding) && this.#readyStrings.covers(text);
    // A text that was given up turned up after all: the open segment calls it something else.
    const late = this.#readyBindings.takeLate() || this.#readyStrings.takeLate();
    if (late && this.#segment !== undefined) this.#endSegment();
    return ready;
  }

  // ── Writing ────────────────────────────────────────────────────────────────────────────────────

  #openSegment(): SegmentWriter {
    if (this.#segment !== undefined) return this.#segment;
    const { folder, identity } = this.#options;
    this.#checkTurn();
    for (;;) {
      const number = this.#nextSegment++;
      const path = join(folder, segmentName(number));
      try {
        const fd = this.#files.open(path, 'wx', permissionsIn(this.#files, folder));
        const createdUs = this.#clock.nowUs();
        const { experiment } = this.#document;
        this.#segment = new SegmentWriter(this.#files, fd, path, {
          ...identity,
          segment: number,
          createdUs,
          experiment,
        });
        break;
      } catch (error) {
        // A name that somebody has used before; others can be had.
        if (systemCodeOf(error) !== 'EEXIST') throw error;
      }
    }
    this.#document = { ...this.#document, current: this.#segment.number };
    this.#documentIsStale = true;
    return this.#segment;
  }

  #write(): void {
    const segment = this.#segment;
    if (segment === undefined) return;
    this.#beat();
    if (!segment.isInPlace()) throw this.#forsaken(segment);
    try {
      const written = segment.write();
      for (const { chunk, generation, from, rows } of written)
        this.#ring.setWritten(chunk, generation, from + rows);
      this.#words.addWritten(rowsOf(written));
      if (this.#options.fsync === 'never') this.#keep(written);
    } catch (error) {
      // A full disk may have room again; on any other error the file is given up.
      if (!isFull(error)) this.#abandon();
      throw error;
    }
  }

  #sync(): void {
    const segment = this.#segment;
    if (segment === undefined || segment.unsyncedBytes === 0) return;
    this.#beat();
    let synced: readonly Take[] | undefined;
    try {
      synced = segment.sync(this.#options.folder);
    } catch (error) {
      // After a failed sync nobody knows what of the file is on disk, and a second one may claim that all is.
      this.#abandon();
      throw error;
    }
    if (synced === undefined) throw this.#forsaken(segment);
    this.#words.addDurable(rowsOf(synced));
    if (this.#options.fsync !== 'never') this.#keep(synced);
  }

  /** Gives a segment up whose file is not where readers look for it, or not whole. @returns what ends the pass */
  #forsaken(segment: SegmentWriter): TakenBack {
    this.#forsake(segment);
    return new TakenBack('the segment was taken away, or cut off');
  }

  /**
   * Gives a segment up whose file somebody has deleted, moved, cut off or replaced. What is whole under its name stays
   * there; of the rest, rows that the ring still has are taken again from there, and others are lost.
   */
  #forsake(segment: SegmentWriter): void {
    const { synced, unsynced, staged, number, path, bytes } = segment;
    const { folder } = this.#options;
    // First, since these may fail: then the segment is still the open one, and the next pass tries again. A folder that
    // was moved away may be back by then, with the file in it.
    if (segment.isDeleted()) this.#isFolderDeleted = ifThere(() => this.#files.list(folder)) === undefined;
    else this.#files.list(folder);
    const index = this.#finish(number, true);
    this.#segment = undefined;
    segment.close();
    const placeOf = ({ offset, bytes }: BatchEntry) => `${offset} ${bytes}`;
    const whole = new Set(index?.entries.map(placeOf));
    // Newest first: a chunk's rows are given back from their end.
    const takenBack = (takes: readonly Take[], isKept: boolean) => {
      const missing = takes.filter(({ entry }) => !whole.has(placeOf(entry))).reverse();
      const lost = missing.filter((take) => !this.#takeBack(take, isKept));
      return { lost, rows: rowsOf(missing) - rowsOf(lost) };
    };
    const neverWritten = rowsOf(takenBack(staged, false).lost);
    const written = takenBack(unsynced, this.#options.fsync === 'never');
    const durable = takenBack(synced, true);
    if (neverWritten > 0) this.#ring.loseTaken(neverWritten);
    this.#words.addWritten(-written.rows - durable.rows);
    this.#words.addDurable(-durable.rows);
    const gone = [...durable.lost, ...written.lost].map(({ entry }) => entry);
    if (gone.length === 0) return;
    // Listed with what is missing, so that everybody finds that it is.
    const entries = [...(index?.entries ?? []), ...gone];
    const record = recordOf(number, { entries, validBytes: bytes, ended: false });
    const others = this.#document.segments.filter((other) => other.segment !== number);
    this.#document = { ...this.#document, segments: others };
    this.#addRecord(record);
    const { reason } = lossOf(this.#files, folder, record) ?? { reason: 'it was replaced' };
    this.#ledger.add({ path, offset: index?.validBytes ?? 0, bytes: null, rows: rowsOf(gone), reason });
  }

  /** Gives rows back to the ring, if it still has them. @param isKept - whether their chunk may have been given back */
  #takeBack({ chunk, generation, from }: Take, isKept: boolean): boolean {
    const kept = this.#kept.get(chunk);
    const isHeld = kept?.generation === generation;
    // A chunk that was given back may be anybody's by now.
    if (isKept && !isHeld && this.#options.overflow !== 'overwrite') return false;
    if (!this.#ring.untake(chunk, generation, from)) return false;
    if (isHeld && kept.rows > from) this.#kept.set(chunk, { generation, rows: from });
    return true;
  }

  #keep(takes: readonly Take[]): void {
    if (this.#options.overflow === 'overwrite') return;
    for (const { chunk, generation, from, rows } of takes)
      this.#kept.set(chunk, { generation, rows: from + rows });
  }

  /** Gives chunks back to the ring whose rows are all kept. */
  #giveBack(): void {
    for (const [chunk, { generation, rows }] of this.#kept) {
      if (this.#ring.release(chunk, generation, rows)) this.#kept.delete(chunk);
    }
  }

  /** Whether producers would soon wait for chunks that only a sync can free. */
  #isFilling(): boolean {
    const segment = this.#segment;
    if (segment === undefined || this.#options.fsync === 'never') return false;
    if (this.#isBehind && segment.unsyncedBytes >= SYNC_BYTES) return true;
    return segment.unsyncedChunks * 4 >= this.#options.geometry.chunkCount;
  }

  /**
   * Gives the open segment up. Rows that are not known to be on disk are taken again from the ring, where they
   * still are; those that the ring has reused meanwhile stay in the file as they are.
   */
  #abandon(): void {
    const segment = this.#segment;
    if (segment === undefined) return;
    this.#segment = undefined;
    const restored = (take: Take) => this.#ring.untake(take.chunk, take.generation, take.from);
    const lost = segment.staged.filter((take) => !restored(take));
    if (lost.length > 0) this.#ring.loseTaken(rowsOf(lost));
    const { fsync, overflow } = this.#options;
    let kept = segment.unsynced.length;
    // Chunks that were given back once they were written may be anybody's by now.
    if (fsync !== 'never' || overflow === 'overwrite') {
      while (kept > 0 && restored(segment.unsynced[kept - 1])) kept--;
      this.#words.addWritten(-rowsOf(segment.unsynced.slice(kept)));
    }
    this.#addRecord(segment.abandon(kept));
  }

  #endSegment(): void {
    const segment = this.#segment as SegmentWriter;
    // Nothing may be staged behind what a failed write has left.
    if (!segment.isEnding) this.#write();
    segment.beginEnd();
    this.#write();
    this.#sync();
    this.#giveBack();
    this.#segment = undefined;
    this.#addRecord(segment.end());
  }

  // ── The document ───────────────────────────────────────────────────────────────────────────────

  #addRecord(record: SegmentRecord | undefined): void {
    const segments = record === undefined ? this.#document.segments : [...this.#document.segments, record];
    if (record !== undefined) this.#trust(record);
    this.#document = { ...this.#document, segments, current: null };
    this.#documentIsStale = true;
  }

  #writeDocument(changed = this.#document): void {
    this.#checkTurn();
    const document = { ...changed, losses: this.#countLosses(), updatedAtUs: this.#clock.nowUs() };
    writeDocument(this.#files, this.#options.folder, document);
    this.#document = document;
    this.#documentIsStale = false;
  }

  /** Deletes what the document says has been compacted, or what was compacted when it had expired. */
  #removeCompacted(): void {
    for (const segment of this.#compacted) {
      const isListed = this.#document.segments.some((record) => record.segment === segment);
      const name = isListed ? segmentName(segment) : compactedName(segment);
      this.#delete(name);
      this.#compacted.delete(segment);
    }
  }

  /** Deletes old segments, if that is wanted. The document goes first: what it does not list is not missed. */
  #expire(): void {
    this.#deleteExpired();
    const { maxBytes, maxAgeMs } = this.#options.retention;
    if (maxBytes === undefined && maxAgeMs === undefined) return;
    const segments = [...this.#document.segments];
    let totalBytes = segments.reduce((sum, { bytes }) => sum + bytes, 0) + (this.#segment?.bytes ?? 0);
    const oldestUs = this.#clock.nowUs() - (maxAgeMs ?? Number.POSITIVE_INFINITY) * 1000;
    const expired: SegmentRecord[] = [];
    while (segments.length > 0) {
      const [oldest] = segments;
      const isTooOld = oldest.timeMaxUs !== null && oldest.timeMaxUs < oldestUs;
      if (!(isTooOld || totalBytes > (maxBytes ?? Number.POSITIVE_INFINITY))) break;
      totalBytes -= oldest.bytes;
      expired.push(...segments.splice(0, 1));
    }
    if (expired.length === 0) return;
    const before = this.#document.expired;
    this.#writeDocument({
      ...this.#document,
      segments,
      expired: {
        throughSegment: expired[expired.length - 1].segment,
        lastChunk: expired.reduce(
          (last: number | null, { lastChunk }) =>
            lastChunk === null ? last : Math.max(last ?? 0, lastChunk),
          before.lastChunk,
        ),
        segments: before.segments + expired.length,
        rows: before.rows + rowsOf(expired),
        bytes: before.bytes + expired.reduce((sum, { bytes }) => sum + bytes, 0),
      },
    });
    this.#words.addExpired(rowsOf(expired), expired[expired.length - 1].segment);
    this.#expired.push(...expired.map(({ segment, form }) => segmentFileName(segment, form)));
    this.#deleteExpired();
  }

  #deleteExpired(): void {
    for (const name of [...this.#expired]) {
      this.#delete(name);
      this.#expired.shift();
    }
  }

  #delete(name: string): void {
    ifThere(() => this.#files.unlink(join(this.#options.folder, name)));
  }

  /**
   * What the spooler before this one left: segments that it did not finish are finished as far as they are whole,
   * and rows of the ring that are in a segment are not taken again.
   */
  #takeOver(): void {
    this.#checkTurn();
    const { folder, overflow, rowsBefore, expiredBefore } = this.#options;
    const views = this.#reader.chunks();
    const oldestChunk = views[0]?.sequence ?? Number.POSITIVE_INFINITY;
    const onDisk = new Map<number, number>();
    const records = new Map(this.#document.segments.map((record) => [record.segment, record]));
    for (const { segment, arrow, parquet } of segmentFiles(this.#files, folder)) {
      this.#nextSegment = Math.max(this.#nextSegment, segment + 1);
      if (segment <= this.#document.expired.throughSegment) {
        if (arrow) this.#expired.push(segmentName(segment));
        if (parquet) this.#expired.push(compactedName(segment));
        continue;
      }
      const record = records.get(segment);
      if (record !== undefined && (record.lastChunk ?? -1) < oldestChunk) continue;
      if (record === undefined && !arrow) continue;
      const places = record === undefined ? this.#finish(segment, false)?.entries : this.#placesIn(record);
      for (const { chunk, firstRow, rows } of places ?? []) {
        onDisk.set(chunk, Math.max(onDisk.get(chunk) ?? 0, firstRow + rows));
      }
    }
    // Names too, before anything counts as durable, or is deleted because the document says that it has expired.
    this.#files.syncFolder(folder);
    for (const view of views) {
      const { chunk, generation, sequence } = view;
      // Not all that was written is there: some has expired.
      const written = Math.max(onDisk.get(sequence) ?? 0, this.#ring.written(chunk, generation));
      const kept = Math.min(view.rows, written);
      const taken = this.#ring.taken(chunk, generation);
      if (taken < kept) this.#ring.take(view, taken, kept);
      else this.#ring.untake(chunk, generation, kept);
      if (kept > 0 && overflow !== 'overwrite') this.#kept.set(chunk, { generation, rows: kept });
    }
    const { segments, expired } = this.#document;
    const rows = rowsOf(segments) + expired.rows - rowsBefore;
    const unsyncedRows = segments.reduce((sum, record) => sum + (record.unsyncedRows ?? 0), 0);
    this.#words.setKept(rows, unsyncedRows, expired.rows - expiredBefore, expired.throughSegment);
    // What was taken, is not written, and has been overwritten since it was taken.
    const lost = this.#ring.takenRows - rows;
    if (overflow === 'overwrite' && lost > 0) this.#ring.loseTaken(lost);
  }

  /** @returns undefined when the segment is gone or invalid: whoever opens the folder next says so */
  #placesIn({ segment, form, bytes }: SegmentRecord): readonly BatchPlace[] | undefined {
    const path = join(this.#options.folder, segmentFileName(segment, form));
    try {
      if (form === 'parquet') return ifThere(() => readParquetIndex(this.#files, path))?.places;
      return ifThere(() => scanSegment(this.#files, path, { limitBytes: bytes }))?.entries;
    } catch (error) {
      if (!isCorrupt(error)) throw error;
      return undefined;
    }
  }

  /**
   * Lists a segment as far as it is whole.
   * @param isOurs - it was not a spooler before this one that wrote it: whatever follows damage is written elsewhere
   * @returns undefined when there is nothing of ours in it
   */
  #finish(number: number, isOurs: boolean): SegmentIndex | undefined {
    const path = join(this.#options.folder, segmentName(number));
    const index = this.#scanUnfinished(path);
    if (index === undefined) return undefined;
    const { experimentId } = this.#options.identity;
    // Somebody put it there: whoever opens the folder next says so.
    if (index.identity.experimentId !== experimentId || index.identity.segment !== number) return undefined;
    // Otherwise what follows damage is not cut off: it is for whoever opens the folder next to report.
    const isCut = index.torn || isOurs;
    const fd = this.#files.open(path, 'r+');
    try {
      if (isCut) this.#files.truncate(fd, index.validBytes);
      this.#files.sync(fd);
    } finally {
      this.#files.close(fd);
    }
    const bytes = isCut ? index.validBytes : index.fileBytes;
    this.#addRecord({ ...recordOf(number, index), bytes });
    return index;
  }

  /** @returns undefined when it is gone, or not even its first message is whole */
  #scanUnfinished(path: string): SegmentIndex | undefined {
    try {
      return ifThere(() => scanSegment(this.#files, path, { verifyBodies: true }));
    } catch (error) {
      if (!isCorrupt(error)) throw error;
      // Created, and nothing came of it.
      if (error.context.isCut === true) this.#files.unlink(path);
      return undefined;
    }
  }

  #beat(): void {
    this.#checkTurn();
    this.#words.beat();
  }

  /** Whether this one is still to write. */
  #checkTurn(): void {
    if (this.#words.epoch !== this.#options.epoch) throw new Superseded('another spooler has taken over');
    // The process may have slept since the last look: what it writes now would stand where the other's rows are.
    this.#keepLock();
  }
}

/** A batch without the bytes that its last row does not own. */
function trimmed(batch: Batch): Batch {
  let last = batch.rows - 1;
  while (last >= 0 && (batch.tags[last] & FLAG_BLOB) === 0) last--;
  if (last < 0) return batch;
  const reader = new StoredValueReader(batch.blob, batch.blobOffsets[last]);
  reader.skip();
  reader.skip();
  if ((batch.tags[last] & TAG_BINDING_MASK) === 0) reader.skip();
  return { ...batch, blob: batch.blob.subarray(0, reader.position) };
}

function rowsOf(items: readonly { readonly rows: number }[]): number {
  return items.reduce((sum, { rows }) => sum + rows, 0);
}
