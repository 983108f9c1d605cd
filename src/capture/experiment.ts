/** Experiment: capture, lifecycle and reading of one isolated set of events. */
import { Readable } from 'node:stream';
import { setTimeout as sleep } from 'node:timers/promises';
import { STRINGS } from '../../assembly/layout.js';
import { MetricsCollector } from '../analysis/metrics.js';
import { streamingMetrics } from '../analysis/streaming.js';
import type { Metrics, StreamingMetrics, WindowRow } from '../analysis/types.js';
import {
  checkWindowed,
  resolveWindow,
  type WindowedOptions,
  type WindowSpec,
  windowedMetrics,
} from '../analysis/windows.js';
import { anchor, type Clock, systemClock } from '../clock.js';
import { ConfigError, StateError } from '../errors.js';
import { type ExportResult, exportChunks, exportFile, type FileExportOptions } from '../export/index.js';
import { type ImportFileOptions, type ImportProgress, importRecords } from '../import/index.js';
import { compileFilter, within } from '../readers/filter.js';
import { matches } from '../readers/matches.js';
import { MemoryStore } from '../readers/memory-store.js';
import { allEvents, lastEvents, orderedEvents, orderedRows } from '../readers/ordered.js';
import type { RowSource } from '../readers/rows.js';
import { openView, type RowStore, type View } from '../readers/source.js';
import { AccumulatorReader } from '../ring/accumulators.js';
import { BindingTable } from '../ring/bindings.js';
import { RingControl } from '../ring/control.js';
import { Dictionary } from '../ring/dictionary.js';
import { allocateMemory, type Geometry, prefaultChunks } from '../ring/memory.js';
import { RingReader } from '../ring/reader.js';
import type { SharedMemory } from '../ring/wasm.js';
import type { Context, EventRow, Filter, Json, Measurements, Metadata } from '../schema/event.js';
import type { PriceTable } from '../schema/prices.js';
import { VERSION } from '../version.js';
import { telemetry } from './bus.js';
import { activeRun } from './context.js';
import { EventWriter } from './event-writer.js';
import type { ResolvedOptions } from './options.js';
import type { Recorder } from './recorder.js';
import type { ExperimentHandle } from './share.js';

export type ExperimentStatus = 'running' | 'paused' | 'stopped' | 'archived';
export type ExportFormat = 'csv' | 'jsonl' | 'msgpack' | 'parquet' | 'arrow';

export interface ExperimentCounts {
  /** Events taken in. */
  captured: number;
  /** Of those, still readable. */
  retained: number;
  /** Lost: overwritten by newer ones or refused by a full ring. */
  dropped: number;
  /** Taken in with only what could be read of them. */
  malformed: number;
}

export interface ExportOptions extends Omit<FileExportOptions, 'counts' | 'libraryVersion'> {
  filter?: Filter;
}

export interface ImportOptions extends ImportFileOptions {
  onProgress?: (progress: ImportProgress) => void;
  /** Ends the import early; what has been imported stays. */
  signal?: AbortSignal;
}

export interface ImportResult {
  /** Records that became events. */
  rows: number;
  /** Records left out because they could not be understood. */
  skipped: number;
  /** Records, or parts of them, that could not be understood. */
  malformed: number;
  /** The first 20 of those. */
  errors: { line: number; message: string }[];
  bytes: number;
}

export interface FlushReport {
  /** Events captured when the flush began. */
  captured: number;
  /** Of those, kept by durable storage; 0 for an experiment in memory. */
  durable: number;
  /** Captured and not durable when the flush ended. */
  pending: number;
  deadlineExceeded: boolean;
}

/** What the experiment needs of the Crucible that it belongs to. */
export interface ExperimentOwner {
  readonly clock: Clock;
  readonly prices: PriceTable;
  forget(experiment: Experiment): void;
}

/** How long `stop` waits for writers on other threads to hand in their last rows. */
const STOP_GRACE_MS = 250;
const STOP_POLL_MS = 5;

export class Experiment {
  readonly id: string;
  readonly name: string;
  readonly hypothesis: string | null;
  readonly condition: string;
  readonly tags: readonly string[];
  readonly metadata: Readonly<Record<string, Json>>;
  readonly sampleSize: number | null;
  /** Microseconds since the Unix epoch, as all times here. */
  readonly startedAt: number;

  readonly #options: ResolvedOptions;
  readonly #owner: ExperimentOwner;
  readonly #clock: Clock;
  #stores: Stores | undefined;
  /** What was counted when the memory was let go. */
  #finalCounts: ExperimentCounts | undefined;
  #status: ExperimentStatus = 'running';
  #stoppedAt: number | null = null;
  #pausedAt: number | null = null;
  #pausedUs = 0;
  #pauseCount = 0;
  #streaming: boolean;
  /** The one stop there is, for everybody who asks for it. */
  #stopping: Promise<void> | undefined;

  /** @internal Use `Crucible.startExperiment`. */
  constructor(options: ResolvedOptions, owner: ExperimentOwner) {
    this.id = options.id;
    this.name = options.name;
    this.hypothesis = options.hypothesis;
    this.condition = options.condition;
    this.tags = options.tags;
    this.metadata = options.metadata;
    this.sampleSize = options.sampleSize;
    this.#options = options;
    this.#owner = owner;
    this.#clock = owner.clock;
    this.#stores = new Stores(options, owner);
    this.#streaming = options.streamingMetrics;
    this.#stores.control.streaming = this.#streaming;
    this.startedAt = this.#clock.nowUs();
    this.#attach();
  }

  get status(): ExperimentStatus {
    return this.#status;
  }

  get stoppedAt(): number | null {
    return this.#stoppedAt;
  }

  get pausedAt(): number | null {
    return this.#pausedAt;
  }

  get pauseCount(): number {
    return this.#pauseCount;
  }

  get counts(): ExperimentCounts {
    if (this.#stores === undefined) return { ...(this.#finalCounts as ExperimentCounts) };
    const { published, overwritten, refused, malformed } = this.#published().control.counts();
    return {
      captured: published,
      retained: published - overwritten,
      dropped: overwritten + refused,
      malformed,
    };
  }

  /** Names and dictionary values that found the dictionary full; captured events keep them all the same. */
  get overflowed(): number {
    return this.#stores?.control.counts().overflowed ?? 0;
  }

  /** Progress towards `sampleSize`; null without one. */
  get progress(): { collected: number; target: number; fraction: number } | null {
    if (this.sampleSize === null) return null;
    const collected = this.counts.captured;
    return { collected, target: this.sampleSize, fraction: Math.min(1, collected / this.sampleSize) };
  }

  /** The fields of SEMANTICS as one plain object. */
  toJSON(): Record<string, unknown> {
    const { id, name, hypothesis, condition, metadata, tags, startedAt, sampleSize } = this;
    const { stoppedAt, pausedAt, status, pauseCount, counts } = this;
    return {
      id,
      name,
      hypothesis,
      condition,
      metadata,
      tags,
      startedAt,
      stoppedAt,
      pausedAt,
      status,
      sampleSize,
      pauseCount,
      counts,
    };
  }

  // ── Capture ────────────────────────────────────────────────────────────────────────────────────

  /**
   * A recorder bound to an event name, model, provider and further metadata: the quickest way to capture.
   * @throws ConfigError when the event name or a bound value is of no use
   * @throws StateError ERR_CLOSED after cleanup
   */
  recorder(event: string, bound?: Readonly<Record<string, unknown>>): Recorder {
    return this.#open().writer.recorder(event, bound);
  }

  /**
   * Captures an event now, enriched. Never throws because of what is in the event: what cannot be understood is
   * left out, and the event counted as malformed. Does nothing unless the experiment is running.
   */
  capture(event: string, measurements: Measurements, metadata?: Metadata): void {
    if (this.#status === 'running')
      this.#stores?.writer.capture(event, measurements, metadata, this.#context());
  }

  /** As `capture`, with the event's own time in microseconds since the Unix epoch. */
  captureAt(timestampUs: number, event: string, measurements: Measurements, metadata?: Metadata): void {
    if (this.#status !== 'running') return;
    this.#stores?.writer.capture(event, measurements, metadata, this.#context(), timestampUs);
  }

  /**
   * Runs `fn` so that every event emitted on the bus inside it, across awaits too, goes to this experiment alone,
   * with `context` added to its metadata.
   */
  run<T>(fn: () => T, context?: Context): T {
    return activeRun.run({ experimentId: this.id, context }, fn);
  }

  /** What another thread needs to capture for this experiment; see `attachExperiment`. */
  share(): ExperimentHandle {
    const { memory, geometry } = this.#open();
    const ownClock = this.#clock !== systemClock;
    return { experimentId: this.id, memory, geometry, prices: this.#owner.prices, ownClock };
  }

  /**
   * Captures every record of a CSV, JSON Lines or YAML file.
   * @throws StorageError when the file cannot be read
   * @throws ConfigError when the mapping does not parse or fit the file
   * @throws StateError ERR_NOT_RUNNING unless the experiment is running
   */
  async importFile(path: string, options: ImportOptions = {}): Promise<ImportResult> {
    const { onProgress, signal, ...file } = options;
    if (this.#status !== 'running') throw this.#notRunning('import into');
    const { writer } = this.#open();
    const summary = await importRecords(
      path,
      file,
      (record) => {
        signal?.throwIfAborted();
        if (this.#status !== 'running') throw this.#notRunning('import into');
        const { timestampUs, event, latencyMs, costUsd, promptTokens, completionTokens, success } = record;
        const known = {
          latencyMs: latencyMs ?? Number.NaN,
          costUsd: costUsd ?? Number.NaN,
          prompt: promptTokens ?? -1,
          completion: completionTokens ?? -1,
          success,
          model: record.model,
          provider: record.provider,
        };
        const metadata: Record<string, Json> = { ...record.metadata };
        if (record.model !== null) metadata.model = record.model;
        if (record.provider !== null) metadata.provider = record.provider;
        writer.captureKnown(timestampUs ?? this.#clock.nowUs(), event, known, metadata);
      },
      onProgress,
    );
    const { rows, skipped, problems, errors, bytes } = summary;
    return { rows, skipped, malformed: problems, errors, bytes };
  }

  // ── Lifecycle ──────────────────────────────────────────────────────────────────────────────────

  /** @throws StateError ERR_ALREADY_PAUSED, ERR_NOT_RUNNING */
  pause(): void {
    if (this.#status === 'paused') {
      throw new StateError('ERR_ALREADY_PAUSED', `experiment ${this.name} is paused already`, {
        id: this.id,
      });
    }
    if (this.#status !== 'running') throw this.#notRunning('pause');
    const { writer, control } = this.#open();
    writer.ring.suspend();
    control.pause();
    this.#status = 'paused';
    this.#pausedAt = this.#clock.nowUs();
    this.#pauseCount++;
  }

  /** @throws StateError ERR_NOT_PAUSED */
  resume(): void {
    if (this.#status !== 'paused') {
      throw new StateError('ERR_NOT_PAUSED', `experiment ${this.name} is ${this.#status}, not paused`, {
        id: this.id,
        status: this.#status,
      });
    }
    const { writer, control } = this.#open();
    control.run();
    writer.ring.resume();
    this.#status = 'running';
    this.#endPause();
  }

  /** Ends capture. What was captured stays readable. Stopping twice changes nothing. */
  async stop(): Promise<void> {
    this.#stopping ??= this.#stop();
    await this.#stopping;
  }

  /**
   * Detaches the experiment and unregisters it. Unless `keepData`, its memory is let go and reading it is a
   * StateError ERR_CLOSED from then on; with it, whoever holds the experiment can read on.
   */
  async cleanup(options: { keepData?: boolean } = {}): Promise<void> {
    await this.stop();
    this.#owner.forget(this);
    this.#streaming = false;
    if (options.keepData === true || this.#stores === undefined) return;
    this.#finalCounts = this.counts;
    this.#stores.writer.close();
    this.#stores = undefined;
  }

  /**
   * Publishes everything captured so far. An experiment in memory has nothing more to wait for.
   * `deadlineMs` bounds the wait for durable storage.
   */
  async flush(options: { deadlineMs?: number } = {}): Promise<FlushReport> {
    const { deadlineMs } = options;
    if (deadlineMs !== undefined && !(deadlineMs >= 0)) {
      throw new ConfigError('deadlineMs', 'a number of milliseconds', deadlineMs);
    }
    this.#published();
    const { captured } = this.counts;
    return { captured, durable: 0, pending: captured, deadlineExceeded: false };
  }

  // ── Reading ────────────────────────────────────────────────────────────────────────────────────

  /**
   * Counts and moments exact, quantiles within 1 %, over everything captured since the start or the last reset:
   * what the ring has overwritten is in them too. Constant memory, whatever the number of events.
   * @throws StateError ERR_NOT_RUNNING when streaming metrics are off
   */
  streamingMetrics(): StreamingMetrics {
    if (!this.#streaming) {
      throw new StateError('ERR_NOT_RUNNING', `streaming metrics of ${this.name} are off`, { id: this.id });
    }
    const { accumulators, bindings } = this.#published();
    return streamingMetrics(accumulators, bindings);
  }

  /** Starts the streaming metrics afresh. */
  resetStreamingMetrics(): void {
    this.#published().accumulators.reset();
  }

  /** Ends them: capture gets a little cheaper, `streamingMetrics` is an error from now on. */
  stopStreamingMetrics(): void {
    this.#published().control.streaming = false;
    this.#streaming = false;
  }

  /** Exact metrics over the retained events that pass the filter. */
  async metrics(filter?: Filter): Promise<Metrics> {
    const view = this.#view(filter);
    const times = this.#times();
    const collector = new MetricsCollector(view.source);
    for await (const rows of matches(view)) collector.add(rows);
    return collector.result(times);
  }

  /** The retained events that pass the filter, ascending by time; ties keep capture order. */
  async query(filter?: Filter): Promise<EventRow[]> {
    return allEvents(this.#view(filter));
  }

  /** As `query`, one event at a time, in bounded memory. What is captured meanwhile is not in it. */
  async *events(filter?: Filter): AsyncGenerator<EventRow> {
    yield* orderedEvents(this.#view(filter));
  }

  /** Events of a recent or given time, or the last n, ascending. @throws ConfigError for an unknown unit */
  async window(spec: WindowSpec, filter?: Filter): Promise<EventRow[]> {
    const resolved = resolveWindow(spec, this.#clock.nowUs());
    if (resolved === null) return [];
    if ('lastN' in resolved) return lastEvents(this.#view(filter), resolved.lastN);
    return allEvents(this.#view(filter, resolved.range));
  }

  /** Metrics per tumbling or hopping window. @throws ConfigError for a size or step that is not above 0 */
  async windowedMetrics(options: WindowedOptions & { filter?: Filter }): Promise<WindowRow[]> {
    checkWindowed(options);
    return windowedMetrics(orderedRows(this.#view(options.filter)), options);
  }

  /**
   * Writes the retained events to a file, and a manifest beside it.
   * @throws ExportError ERR_NO_DATA, ERR_UNSUPPORTED_FORMAT, ERR_EXPORT_PATH
   * @throws StorageError when the file cannot be written
   */
  async export(format: ExportFormat, options: ExportOptions = {}): Promise<ExportResult> {
    const { filter, ...file } = options;
    const name = file.name ?? this.name;
    const counts = { ...this.counts };
    return exportFile(this.eventSource(filter), format, { ...file, name, counts, libraryVersion: VERSION });
  }

  /** The export as a stream, with back-pressure. Errors are those of `export`, on the stream. */
  exportStream(format: ExportFormat, options: ExportOptions = {}): Readable {
    const { filter, ...encode } = options;
    return Readable.from(exportChunks(this.eventSource(filter), format, encode), { objectMode: false });
  }

  // ── Inside ─────────────────────────────────────────────────────────────────────────────────────

  /** @internal The matching events as of now, as often as they are asked for. */
  eventSource(filter?: Filter): () => AsyncGenerator<EventRow> {
    const view = this.#view(filter);
    return () => orderedEvents(view);
  }

  /** What passes the filter now, of a time range (µs, both ends inclusive) or of all time. */
  #view(filter: Filter | undefined, range?: readonly [number, number]): View {
    const compiled = compileFilter(filter, this.condition);
    return openView(this.#store(), range === undefined ? compiled : within(compiled, ...range));
  }

  /** The retained rows. */
  #store(): RowStore {
    const { reader, source, control, writer } = this.#published();
    const someoneWrites =
      this.#status !== 'stopped' ||
      control.activeProducers().some((producer) => producer !== writer.ring.producer);
    return new MemoryStore(reader, source, this.#options.overflow === 'overwrite' && someoneWrites);
  }

  #open(): Stores {
    if (this.#stores === undefined) {
      throw new StateError('ERR_CLOSED', `experiment ${this.name} was cleaned up`, { id: this.id });
    }
    return this.#stores;
  }

  /** The stores, with this thread's rows readable. */
  #published(): Stores {
    const stores = this.#open();
    stores.writer.ring.publish();
    return stores;
  }

  #context(): Context | undefined {
    const run = activeRun.getStore();
    return run !== undefined && run.experimentId === this.id ? run.context : undefined;
  }

  #attach(): void {
    telemetry.attach(this.#handlerId, this.#options.events, (event, measurements, metadata) => {
      if (this.#status !== 'running') return;
      const run = activeRun.getStore();
      if (run === undefined) this.#stores?.writer.capture(event, measurements, metadata);
      else if (run.experimentId === this.id)
        this.#stores?.writer.capture(event, measurements, metadata, run.context);
    });
  }

  get #handlerId(): string {
    return `experiment:${this.id}`;
  }

  async #stop(): Promise<void> {
    this.#stopCapture();
    await this.#collectOtherThreads();
  }

  #stopCapture(): void {
    const { writer, control } = this.#open();
    telemetry.detach(this.#handlerId);
    writer.ring.suspend();
    control.stop();
    this.#endPause();
    this.#status = 'stopped';
    this.#stoppedAt = this.#clock.nowUs();
  }

  /** Waits for writers on other threads, and takes over the rows of those that are gone. */
  async #collectOtherThreads(): Promise<void> {
    const { control, writer } = this.#open();
    const others = () => control.activeProducers().filter((producer) => producer !== writer.ring.producer);
    for (let waitedMs = 0; waitedMs < STOP_GRACE_MS && others().length > 0; waitedMs += STOP_POLL_MS) {
      await sleep(STOP_POLL_MS);
    }
    control.adopt(others());
  }

  #endPause(): void {
    if (this.#pausedAt === null) return;
    this.#pausedUs += Math.max(0, this.#clock.nowUs() - this.#pausedAt);
    this.#pausedAt = null;
  }

  #times() {
    const endUs = this.#stoppedAt ?? this.#clock.nowUs();
    const wallUs = Math.max(0, endUs - this.startedAt);
    const pausedUs = this.#pausedUs + (this.#pausedAt === null ? 0 : Math.max(0, endUs - this.#pausedAt));
    return {
      wallClockSeconds: wallUs / 1e6,
      activeSeconds: Math.max(0, wallUs - pausedUs) / 1e6,
      pausedSeconds: pausedUs / 1e6,
    };
  }

  #notRunning(verb: string): StateError {
    return new StateError(
      'ERR_NOT_RUNNING',
      `cannot ${verb} experiment ${this.name}: it is ${this.#status}`,
      {
        id: this.id,
        status: this.#status,
      },
    );
  }
}

/** The experiment's memory and everything that looks into it; let go as a whole. */
class Stores {
  readonly memory: SharedMemory;
  readonly geometry: Geometry;
  readonly writer: EventWriter;
  readonly control: RingControl;
  readonly reader: RingReader;
  readonly accumulators: AccumulatorReader;
  readonly bindings: BindingTable;
  readonly source: RowSource;

  constructor(options: ResolvedOptions, { clock, prices }: ExperimentOwner) {
    const { memory, geometry } = allocateMemory({
      capacityRows: options.capacity,
      columns: options.columns,
      producerCount: options.producers,
      overflow: options.overflow,
      ...anchor(clock),
    });
    if (options.prefault) prefaultChunks(memory, geometry);
    this.memory = memory;
    this.geometry = geometry;
    this.writer = new EventWriter(memory, geometry, prices, clock);
    this.control = new RingControl(memory, geometry);
    this.reader = new RingReader(memory, geometry);
    this.accumulators = new AccumulatorReader(memory, geometry);
    this.bindings = new BindingTable(memory.buffer);
    const strings = new Dictionary(memory.buffer, STRINGS);
    this.source = {
      experimentId: options.id,
      experimentName: options.name,
      condition: options.condition,
      tags: options.tags,
      priceVersion: prices.version,
      columns: options.columns,
      binding: (id) => this.bindings.binding(id),
      text: (id) => strings.text(id),
    };
  }
}
