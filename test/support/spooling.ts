/**
 * A spooler on the calling thread, between a real ring and a disk in memory, with a model beside it: what was
 * captured, per producer. `check` compares the two.
 */
import { expect } from 'vitest';
import {
  CHUNK_ENTRY_BYTES,
  CHUNK_FREE,
  CHUNK_STATE_OFFSET,
  HEADER_BYTES,
  PRODUCER_BYTES,
  PRODUCER_MAX,
  PRODUCER_PUBLISHED_OFFSET,
  PRODUCERS,
} from '../../assembly/layout.js';
import type { EventWriter } from '../../src/capture/event-writer.js';
import type { Recorder } from '../../src/capture/recorder.js';
import { TelemetryError } from '../../src/errors.js';
import { DurableStore } from '../../src/readers/durable-store.js';
import { mergeRefs } from '../../src/readers/merge-refs.js';
import type { Batch } from '../../src/ring/batch.js';
import type { OverflowPolicy } from '../../src/ring/memory.js';
import { SpoolWords } from '../../src/ring/spool.js';
import { FORMAT, FORMAT_VERSION, writeDocument } from '../../src/storage/disk/document.js';
import type { FileSystem } from '../../src/storage/disk/file-system.js';
import { type FolderContents, openFolder } from '../../src/storage/recovery.js';
import { NO_LOSSES, type SegmentColumns } from '../../src/storage/segment/format.js';
import { Segments } from '../../src/storage/segment/segments.js';
import {
  type FsyncPolicy,
  type Retention,
  Spooler,
  type SpoolerOptions,
  type StepOptions,
} from '../../src/storage/spooler/spooler.js';
import { createFileSystem as createFaultyDisk, type Fault, FaultControl } from './disks/faulty-disk.mjs';
import { crashState, type DiskContent, PowerLossDisk } from './disks/power-loss-disk.mjs';
import { makeRing, type TestRing } from './ring.js';
import { SOURCE } from './rows.js';

export const FOLDER = '/data/exp-1';

export interface RigOptions {
  readonly overflow?: OverflowPolicy;
  readonly fsync?: FsyncPolicy;
  readonly chunks?: number;
  readonly producers?: number;
  readonly segmentBytes?: number;
  readonly retention?: Retention;
  readonly columns?: SegmentColumns;
  readonly experimentId?: string;
  readonly faults?: readonly Fault[];
  /** Puts something between the spooler and the disk. */
  readonly wrap?: (files: FileSystem) => FileSystem;
}

/** A row as the model keeps it. Its serial is its latency, its producer its cost. */
export interface ModelRow {
  readonly serial: number;
  readonly producer: number;
}

/** What a row is made of, from its serial: to compare every value of what comes back. */
export const timeUsOf = (serial: number): number => 1_700_000_000_000_000 + serial * 7;
export const tokensOf = (serial: number): number => serial % 1000;

export class SpoolRig {
  readonly ring: TestRing;
  readonly disk: PowerLossDisk;
  readonly control = new FaultControl();
  readonly words: SpoolWords;
  /** As the experiment keeps it, for as long as it lives. */
  readonly segments: Segments;
  readonly options: SpoolerOptions;
  /** Rows that the ring took, in the order of their capture. */
  readonly captured: ModelRow[][];
  readonly clock = { ms: 0, nowMs: () => this.clock.ms, nowUs: () => 1.7e15 + this.clock.ms * 1000 };
  /** Ends of its life: the model's own count of what the ring refused. */
  refused = 0;
  spooler: Spooler | undefined;
  lastError: TelemetryError | undefined;

  #kill: { leftOperations: number; takesEffect: boolean; restore?: () => void } | undefined;
  readonly #files: FileSystem;
  readonly #writers: EventWriter[] = [];
  readonly #recorders: Recorder[] = [];
  #serial = 0;

  constructor(options: RigOptions = {}) {
    const { overflow = 'reject', fsync = 'interval', chunks = 4, producers = 2, columns = [] } = options;
    const { experimentId = 'exp-1' } = options;
    const { segmentBytes = 1 << 20, retention = {}, faults = [], wrap = (files) => files } = options;
    this.ring = makeRing({
      capacityRows: chunks * 1024,
      producerCount: producers,
      overflow,
      columns: [...columns],
      spooled: true,
    });
    // Statistics are another matter, and would be written twice by a spooler that is killed and begins again.
    this.ring.control.streaming = false;
    this.disk = new PowerLossDisk();
    this.disk.makeFolder(FOLDER);
    this.disk.syncFolder('/data');
    this.disk.syncFolder('/');
    writeDocument(this.disk, FOLDER, {
      format: FORMAT,
      formatVersion: FORMAT_VERSION,
      libraryVersion: '0.0.0-test',
      experiment: { id: experimentId, name: 'test' },
      segments: [],
      current: null,
      expired: { throughSegment: 0, lastChunk: null, segments: 0, rows: 0, bytes: 0 },
      losses: NO_LOSSES,
      updatedAtUs: 0,
    });
    const faulty = createFaultyDisk({ faults, control: this.control.words }, this.disk);
    this.#files = hooked(wrap(faulty), (perform) => this.#operate(perform));
    this.words = new SpoolWords(this.ring.memory);
    this.segments = new Segments(this.disk, FOLDER, columns, experimentId);
    this.options = {
      memory: this.ring.memory,
      geometry: this.ring.geometry,
      folder: FOLDER,
      lock: null,
      identity: {
        formatVersion: FORMAT_VERSION,
        libraryVersion: '0.0.0-test',
        experimentId,
        columns,
        priceVersion: '1',
      },
      overflow,
      fsync,
      flushIntervalMs: 200,
      segmentBytes,
      retention,
      losses: NO_LOSSES,
      rowsBefore: 0,
      expiredBefore: 0,
      epoch: 0,
    };
    for (let producer = 0; producer < producers; producer++) {
      const writer = this.ring.writer();
      this.#writers.push(writer);
      this.#recorders.push(writer.recorder(`event ${producer}`, { model: `model ${producer}` }));
    }
    this.captured = this.#writers.map(() => []);
  }

  // ── What may happen ────────────────────────────────────────────────────────────────────────────

  /** Captures rows as the producer does, in one of two ways. */
  capture(producer: number, rows: number, withPayload = false): void {
    for (let i = 0; i < rows; i++) {
      const before = this.ring.control.counts().refused;
      const serial = this.#serial++;
      if (withPayload) {
        const told = {
          latencyMs: serial,
          costUsd: producer,
          promptTokens: tokensOf(serial),
          completionTokens: null,
          isPartial: false,
          success: null,
          model: null,
          provider: null,
        };
        const metadata = { note: 'x'.repeat(serial % 40), serial };
        this.#writers[producer]!.captureRecord(timeUsOf(serial), `event ${producer}`, told, metadata, []);
      } else {
        this.#recorders[producer]!.recordAt(timeUsOf(serial), serial, producer, tokensOf(serial));
      }
      if (this.ring.control.counts().refused > before) this.refused++;
      else this.captured[producer]!.push({ serial, producer });
    }
  }

  /** Captures a row with a text for the declared column `label`. */
  captureLabelled(producer: number, label: string): void {
    const serial = this.#serial++;
    this.#writers[producer]!.capture(
      `event ${producer}`,
      { latency_ms: serial },
      { label },
      undefined,
      timeUsOf(serial),
    );
    this.captured[producer]!.push({ serial, producer });
  }

  publish(producer: number): void {
    this.#writers[producer]!.ring.publish();
  }

  /** Ends the producer's chunk as a full byte area does. */
  seal(producer: number): void {
    const { ring } = this.#writers[producer]!;
    const before = this.ring.control.counts().refused;
    ring.publish();
    // It claims the next one at once, and may be refused it.
    ring.reserve(ring.blobBytes + 1 - ring.blobEnd);
    this.refused += this.ring.control.counts().refused - before;
  }

  closeWriters(): void {
    for (const { ring } of this.#writers) ring.close();
  }

  /** Runs `operation` on the spooler, begun if there is none. @returns what it returned, undefined after an error */
  attempt<T>(operation: (spooler: Spooler) => T): T | undefined {
    try {
      this.spooler ??= this.begin();
      const result = operation(this.spooler);
      this.lastError = undefined;
      return result;
    } catch (error) {
      if (this.#kill?.restore !== undefined) return undefined;
      if (!(error instanceof TelemetryError)) throw error;
      this.lastError = error;
      return undefined;
    }
  }

  begin(): Spooler {
    return new Spooler({ ...this.options, epoch: this.words.nextEpoch() }, this.#files, {
      clock: this.clock,
    });
  }

  step(options: StepOptions): boolean | undefined {
    return this.attempt((spooler) => spooler.step(options));
  }

  /** Makes everything durable, whatever it takes now that the disk works. */
  settle(): void {
    this.control.faults = false;
    for (let tries = 0; tries < 20; tries++) {
      if (this.step({ everything: true, sync: true }) === true) return;
    }
    throw new Error(`it does not settle: ${this.lastError?.message}`);
  }

  /** The spooler is gone between two of its steps, as a thread that is terminated. */
  lose(): void {
    this.spooler = undefined;
  }

  /**
   * The spooler is gone in the midst of a step, as a thread that is terminated while it waits for the disk: at its
   * operation number `operations`, from 0, which may still take effect.
   */
  kill(operations: number, takesEffect: boolean, options: StepOptions): void {
    this.#kill = { leftOperations: operations, takesEffect };
    this.step(options);
    this.#kill.restore?.();
    this.#kill = undefined;
    this.spooler = undefined;
  }

  #operate<T>(perform: () => T): T {
    const kill = this.#kill;
    if (kill === undefined) return perform();
    if (kill.restore === undefined) {
      if (kill.leftOperations-- > 0) return perform();
      if (kill.takesEffect) perform();
      kill.restore = savedState(this.ring);
    }
    // Whatever the spooler does on its way out is undone: a thread that is gone does nothing.
    throw new Error('killed');
  }

  // ── What can be seen ───────────────────────────────────────────────────────────────────────────

  /** Rows published in the ring, in chunks that nobody has given back. */
  inRing(): Set<number> {
    const serials = new Set<number>();
    const { directoryAddress } = this.ring.geometry;
    const i32 = new Int32Array(this.ring.memory.buffer);
    for (const view of this.ring.reader.chunks()) {
      const state = i32[(directoryAddress + view.chunk * CHUNK_ENTRY_BYTES + CHUNK_STATE_OFFSET) >> 2];
      const batch = this.ring.reader.read(view);
      if (state === CHUNK_FREE || batch === undefined) continue;
      for (const serial of batch.latencyMs) serials.add(serial);
    }
    return serials;
  }

  /** Rows that the ring holds, published or not. */
  held(): Set<number> {
    const serials = this.inRing();
    this.captured.forEach((rows, producer) => {
      const pending = this.#pending(producer);
      for (const { serial } of pending === 0 ? [] : rows.slice(-pending)) serials.add(serial);
    });
    return serials;
  }

  /** Rows on the disk as readers find them, ascending; fails when one is there twice or not as it was. */
  onDisk(): ModelRow[] {
    const segments = new Segments(this.disk, FOLDER, this.options.identity.columns, 'exp-1');
    try {
      const batches = mergeRefs(segments.refs(), []).map((ref) => ref.read() as Batch);
      expect(segments.damaged).toEqual([]);
      return modelRows(batches);
    } finally {
      segments.close();
    }
  }

  /** What the experiment's readers see. */
  readable(): Batch[] {
    const store = new DurableStore(this.segments, this.ring.reader, SOURCE, () => {});
    const { refs } = store.snapshot(Number.NEGATIVE_INFINITY, Number.POSITIVE_INFINITY);
    return refs.map((ref) => ref.read() as Batch);
  }

  /** What a power cut leaves at least. */
  synced(): DiskContent {
    return crashState(this.disk.initial, this.disk.journal, this.disk.journal.length).content;
  }

  get expired(): number {
    return this.words.expired;
  }

  /**
   * Every invariant that holds at every moment.
   * @param options.quiet - no operation has ever failed, and no spooler has died in the midst of one
   * @param options.settled - a step has succeeded since
   */
  async check({ quiet, settled = quiet }: { quiet: boolean; settled?: boolean }): Promise<void> {
    const { overflow, fsync } = this.options;
    const disk = this.onDisk();
    const durable = await rowsOf(this.synced());
    const inRing = this.held();
    const readable = new Set(modelRows(this.readable()).map(({ serial }) => serial));
    const { overwritten, refused } = this.ring.control.counts();
    const onDisk = new Set(disk.map(({ serial }) => serial));
    const isDurable = new Set(durable.map(({ serial }) => serial));
    const accepted = this.captured.flat();
    const unpublished = this.captured.flatMap((rows, producer) => {
      const pending = this.#pending(producer);
      return pending === 0 ? [] : rows.slice(-pending);
    });
    for (const { serial } of unpublished) readable.add(serial);

    expect(refused, 'refused').toBe(this.refused);
    const missing = accepted.filter(({ serial }) => !readable.has(serial));
    if (quiet || (settled && overflow !== 'overwrite'))
      expect(missing.length - this.expired, 'lost and counted').toBe(overwritten);
    else if (overflow !== 'overwrite') expect(missing.length, 'lost').toBeLessThanOrEqual(this.expired);
    else expect(missing.length - this.expired, 'lost and counted').toBeGreaterThanOrEqual(overwritten);

    if (quiet) expect(this.words.written - this.expired, 'written').toBe(disk.length);
    else expect(this.words.written - this.expired, 'written').toBeLessThanOrEqual(disk.length);
    expect(this.words.durable - this.expired, 'durable').toBeLessThanOrEqual(durable.length);
    expect(this.words.durable, 'durable').toBeLessThanOrEqual(this.words.written);

    this.captured.forEach((rows, producer) => {
      const last = rows.findLastIndex(({ serial }) => onDisk.has(serial));
      // What is neither on the disk nor readable has expired, or is lost and counted.
      const holes = rows
        .slice(0, last + 1)
        .filter(({ serial }) => !onDisk.has(serial) && readable.has(serial));
      expect(holes, `producer ${producer} has a prefix on disk`).toEqual([]);
    });

    if (overflow !== 'overwrite') {
      const kept = fsync === 'never' ? onDisk : isDurable;
      const released = accepted.filter(({ serial }) => !inRing.has(serial) && !kept.has(serial));
      expect(released.length, 'given back before they were kept').toBeLessThanOrEqual(this.expired);
    }
  }

  /** Rows that the producer has written and nobody has published. */
  #pending(producer: number): number {
    const block = PRODUCERS + producer * PRODUCER_BYTES;
    const published = new Float64Array(this.ring.memory.buffer)[(block + PRODUCER_PUBLISHED_OFFSET) >> 3]!;
    return this.captured[producer]!.length - published;
  }
}

/** A disk each of whose operations is handed to `run`. */
export function hooked(
  files: FileSystem,
  run: <T>(perform: () => T, operation: keyof FileSystem, args: readonly unknown[]) => T,
): FileSystem {
  return new Proxy(files, {
    get: (target, operation: keyof FileSystem) => {
      const method = target[operation] as (...args: unknown[]) => unknown;
      return (...args: unknown[]) => run(() => method.apply(target, args), operation, args);
    },
  });
}

/** Rows of batches; fails when one is there twice, out of order or with another value than it was given. */
export function modelRows(batches: readonly Batch[]): ModelRow[] {
  const rows: ModelRow[] = [];
  const seen = new Set<number>();
  let next = 0;
  for (const batch of batches) {
    expect(batch.firstSequence).toBeGreaterThanOrEqual(next);
    next = batch.firstSequence + batch.rows;
    for (let i = 0; i < batch.rows; i++) {
      const serial = batch.latencyMs[i]!;
      if (seen.has(serial)) throw new Error(`row ${serial} is there twice`);
      seen.add(serial);
      const isRight =
        batch.timeUs[i] === timeUsOf(serial) &&
        batch.costUsd[i] === batch.producer &&
        batch.promptTokens[i] === tokensOf(serial);
      if (!isRight) throw new Error(`row ${serial} has a value that it was not given`);
      rows.push({ serial, producer: batch.producer });
    }
  }
  return rows;
}

/** The rows of a disk's content as recovery finds them, ascending. */
export async function rowsOf(content: DiskContent, columns: SegmentColumns = []): Promise<ModelRow[]> {
  return (await recovered(new PowerLossDisk(content), { columns })).rows;
}

export async function recovered(
  files: FileSystem,
  { repair = false, columns = [] }: { repair?: boolean; columns?: SegmentColumns } = {},
): Promise<{ contents: FolderContents; rows: ModelRow[] }> {
  const batches: Batch[] = [];
  const contents = await openFolder(files, FOLDER, columns, {
    repair,
    onBatch: (batch) => batches.push(batch),
  });
  batches.sort((a, b) => a.firstSequence - b.firstSequence);
  const rows = modelRows(batches);
  expect(rows.length).toBe(contents.rows);
  return { contents, rows };
}

/** Everything in the memory that a spooler changes; put back, nothing that it did has happened. */
export function savedState(ring: TestRing): () => void {
  const { directoryAddress, chunkCount } = ring.geometry;
  const regions = [
    new Uint8Array(ring.memory.buffer, 0, HEADER_BYTES),
    new Uint8Array(ring.memory.buffer, PRODUCERS, PRODUCER_MAX * PRODUCER_BYTES),
    new Uint8Array(ring.memory.buffer, directoryAddress, chunkCount * CHUNK_ENTRY_BYTES),
  ];
  const saved = regions.map((region) => region.slice());
  return () => {
    regions.forEach((region, i) => {
      region.set(saved[i]!);
    });
  };
}
