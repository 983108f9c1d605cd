/** Experiment: capture, lifecycle and reading of one isolated set of events. */

import type { Readable } from 'node:stream';
import { setTimeout as sleep } from 'node:timers/promises';
import {
  type AttemptsOptions,
  type AttemptsReport,
  attemptsOf,
  checkAttempts,
} from '../analysis/attempts.js';
import { type JudgesReport, reportOfJudges } from '../analysis/judges.js';
import type { ExperimentTimes } from '../analysis/metrics.js';
import { streamingMetrics } from '../analysis/streaming.js';
import type {
  MetricName,
  Metrics,
  MetricsGroup,
  Outcome,
  StreamingMetrics,
  WindowRow,
} from '../analysis/types.js';
import { checkWindowed, resolveWindow, type WindowedOptions, type WindowSpec } from '../analysis/windows.js';
import { type ActiveRun, contextIn, runOf } from '../capture/context.js';
import { tellDeferred } from '../capture/deferred.js';
import { INSPECT, type Inspect, inspected, type StylizedOptions } from '../capture/inspection.js';
import { LateRuns } from '../capture/late-runs.js';
import { listen, unlisten } from '../capture/listening.js';
import { howToReopen, type Losses } from '../capture/losses.js';
import type { Recorder } from '../capture/recorder.js';
import { bindTo, runIn } from '../capture/results/bind.js';
import { type Selection, selectionOf } from '../capture/selection.js';
import type { ExperimentHandle } from '../capture/share.js';
import { checkOptions } from '../check-options.js';
import { type Clock, systemClock } from '../clock.js';
import { ConfigError, StateError } from '../errors.js';
import type { ExperimentAbout, ExportResult } from '../export/index.js';
import type { ImportedRecord, ImportSource, ReportProblem } from '../import/index.js';
import type { Modes } from '../make-folder.js';
import { DurableStore } from '../readers/durable-store.js';
import { compileFilter } from '../readers/filter.js';
import { limitNow, limitOf } from '../readers/limit.js';
import { MemoryStore } from '../readers/memory-store.js';
import { scoredStore } from '../readers/scored.js';
import { openView, type RowStore, type View } from '../readers/source.js';
import type { SharedMemory } from '../ring/wasm.js';
import type { EventRow, Fields, Filter, Json } from '../schema/event.js';
import { PriceBook, type PriceTable } from '../schema/prices.js';
import { type CompactionReport, NOTHING_COMPACTED } from '../storage/compaction/thread.js';
import type { Lock } from '../storage/disk/lock.js';
import type { ExperimentFields } from '../storage/spooler/spooler.js';
import type { ExperimentStatus } from '../storage/stored-fields.js';
import { checkThreadSpace } from '../thread.js';
import { VERSION } from '../version.js';
import type { AnalysisPool } from '../workers/pool.js';
import { type ArchiveOptions, type ArchiveResult, archiveTarget, writeArchive } from './archive.js';
import { Budget, type BudgetOptions } from './budget.js';
import {
  countsOf,
  type ExperimentCounts,
  lostOf,
  shownCounts,
  type Tally,
  tallyOf,
  withUnwritten,
} from './counts.js';
import { createFolder, Durability, NO_PAST, type Past, type StorageStatus } from './durability.js';
import type { ExportStreams, StreamExportOptions } from './export-stream.js';
import { checkExportOptions, type ExportOptions, writeExport } from './exporting.js';
import { Flush, type FlushReport, flushDeadline, withReport } from './flush.js';
import { ImportSink, reportFlaws } from './import-sink.js';
import { type ImportLosses, type ImportOptions, type ImportResult, importOne } from './importing.js';
import { checkModes, type ResolvedOptions, storedOptions } from './options.js';
import { type Readable as ReadableRows, Reads, type Selected } from './reads.js';
import { type RepriceReport, reprice } from './reprice.js';
import { readScoreFile, type ScoreFileOptions, type ScoreFileResult } from './score-file.js';
import {
  type CheckedScore,
  checkScore,
  type Score,
  ScoreBook,
  type ScoreOptions,
  type ScoreTarget,
} from './scores.js';
import { Stores } from './stores.js';

export type { ExperimentStatus };
export type ExportFormat = 'csv' | 'jsonl' | 'msgpack' | 'parquet' | 'arrow';

/** What the experiment needs of the Crucible that it belongs to. */
export interface ExperimentOwner {
  readonly clock: Clock;
  readonly prices: PriceTable;
  /** Threads for analysis; null when the calling thread does it. */
  readonly pool: AnalysisPool | null;
  readonly streams: ExportStreams;
  /** Of what is written for experiments in memory. */
  readonly modes: Modes;
  forget(experiment: Experiment): void;
}

/** An experiment that was captured before, by this process or another. */
export interface Reopened {
  readonly stores: Stores;
  readonly folder: string;
  /** Of the folder; null when it is only to be read. */
  readonly lock: Lock | null;
  /** Whether it was stopped, by whomever; otherwise others may capture it, or it may go on. */
  readonly isOver: boolean;
  readonly past: Past;
  readonly state: {
    readonly status: ExperimentStatus;
    readonly startedAt: number;
    readonly stoppedAt: number | null;
    readonly pausedAt: number | null;
    readonly pausedUs: number;
    readonly pauseCount: number;
  };
}

/** How long `stop` waits for writers on other threads to hand in their last rows. */
const STOP_GRACE_MS = 250;
/** How long `stop` waits for the disk. */
const STOP_DEADLINE_MS = 60_000;
const STOP_POLL_MS = 5;

/** One experiment: captures events, keeps them, and answers questions about them. */
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
  readonly #selection: Selection;
  readonly #owner: ExperimentOwner;
  readonly #clock: Clock;
  readonly #durability: Durability | null;
  readonly #reads: Reads;
  readonly #losses: Losses;
  readonly #lateRuns: LateRuns;
  readonly #scores: ScoreBook;
  /** Otherwise it is only read here, and another process may write it. */
  readonly #capturesHere: boolean;
  /** It has not ended, and is not captured here. */
  readonly #isOnlyRead: boolean = false;
  #stores: Stores | undefined;
  /** What the stores and the disk hold, once somebody has asked. */
  #rows: RowStore | undefined;
  /** What it was when the memory was let go. */
  #finalTally: Tally | undefined;
  #status: ExperimentStatus = 'running';
  #stoppedAt: number | null = null;
  #pausedAt: number | null = null;
  #pausedUs = 0;
  #pauseCount = 0;
  #streaming: boolean;
  #isAttached = false;
  /** The one stop there is, for everybody who asks for it. */
  #stopping: Promise<void> | undefined;

  /**
   * @internal Use `Crucible.startExperiment`.
   * @param reopened - what is known of it when it has been captured before
   */
  constructor(options: ResolvedOptions, owner: ExperimentOwner, reopened?: Reopened) {
    this.id = options.id;
    this.name = options.name;
    this.hypothesis = options.hypothesis;
    this.condition = options.condition;
    this.tags = options.tags;
    this.metadata = options.metadata;
    this.sampleSize = options.sampleSize;
    this.#options = options;
    this.#selection = selectionOf(options.events, options.onlyRuns);
    this.#owner = owner;
    this.#clock = owner.clock;
    this.#streaming = options.streamingMetrics;
    this.#reads = new Reads(owner.pool, () => this.#readable());
    let lock: Lock | null = null;
    if (reopened === undefined) {
      this.#stores = new Stores(options, owner);
      if (options.durable) checkThreadSpace();
      this.startedAt = this.#clock.nowUs();
      const { memory } = this.#stores;
      const created =
        options.durable && createFolder(options.durable, this.id, this.#fields(), this.startedAt);
      this.#durability = created && this.#durabilityOf(created.folder, memory, NO_PAST);
      lock = created?.lock ?? null;
    } else {
      const { past, stores, folder, state } = reopened;
      lock = reopened.lock;
      this.startedAt = state.startedAt;
      this.#stores = stores;
      this.#durability = this.#durabilityOf(folder, stores.memory, past);
      this.#status = state.status;
      this.#stoppedAt = state.stoppedAt;
      this.#pausedAt = state.pausedAt;
      this.#pausedUs = state.pausedUs;
      this.#pauseCount = state.pauseCount;
    }
    const { durable } = options;
    const place = this.#durability && durable && { folder: this.#durability.folder, options: durable };
    this.#scores = new ScoreBook(place, this.#clock);
    this.#losses = this.#stores.losses;
    this.#lateRuns = new LateRuns(this.id, this.#selection, this.#losses);
    this.#stores.control.streaming = this.#streaming;
    // What another process captures is only read here, whatever its status.
    this.#capturesHere = reopened === undefined || reopened.lock !== null;
    if (!this.#capturesHere || this.#status === 'stopped' || this.#status === 'archived') {
      this.#isOnlyRead = reopened?.isOver === false;
      if (this.#isOnlyRead) this.#losses.end = 'readOnly';
      this.#lateRuns.begin();
      this.#stores.control.stop();
    } else {
      try {
        this.#attach();
      } catch (error) {
        // Its id is on the bus already.
        lock?.release();
        throw error;
      }
      if (this.#status === 'paused') this.#stores.control.pause();
    }
    // Last, since from here on there is a thread to be ended.
    if (lock !== null) this.#startWriting(lock);
  }

  #durabilityOf(folder: string, memory: SharedMemory, past: Past): Durability {
    return new Durability(folder, this.#options, memory, past, ({ path, rows, reason }) => {
      if (rows !== 0) this.#losses.damaged(`${path}: ${reason}`);
    });
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
    return countsOf(this.#tally(), this.#losses);
  }

  #tally(): Tally {
    return this.#finalTally ?? tallyOf(this.#published(), this.#durability);
  }

  /** How durable storage is doing; null for an experiment in memory. */
  get storage(): StorageStatus | null {
    return this.#durability?.status ?? null;
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

  /** What `console.log` shows. */
  [INSPECT](depth: number, options: StylizedOptions, inspect: Inspect): string {
    const { name, id, condition, status, storage } = this;
    const kept = storage && { folder: storage.folder, durable: storage.durable, error: storage.error?.code };
    const fields = {
      name,
      id,
      condition,
      status,
      counts: shownCounts(this.counts),
      storage: kept ?? undefined,
    };
    return inspected('Experiment', fields, depth, options, inspect);
  }

  // ── Capture ────────────────────────────────────────────────────────────────────────────────────

  /**
   * A recorder bound to an event name, model, provider and further metadata: the quickest way to capture.
   * @throws ConfigError when the event name or a bound value is invalid
   * @throws StateError ERR_CLOSED after cleanup
   */
  recorder(event: string, bound?: Fields): Recorder {
    return this.#open().writer.recorder(event, bound);
  }

  /**
   * Captures an event now, enriched. Never throws because of what is in the event: what cannot be understood is
   * left out, and the event counted as malformed. Unless the experiment is running, the event is counted as refused.
   */
  capture(event: string, measurements: Fields, metadata?: Fields): void {
    if (this.#accepts()) this.#stores?.writer.capture(event, measurements, metadata, contextIn(this.id));
  }

  /** As `capture`, with the event's own time in microseconds since the Unix epoch. */
  captureAt(timestampUs: number, event: string, measurements: Fields, metadata?: Fields): void {
    if (!this.#accepts()) return;
    this.#stores?.writer.capture(event, measurements, metadata, contextIn(this.id), timestampUs);
  }

  /**
   * Runs `fn` so that every event emitted on the bus inside it, across awaits too, goes to this experiment alone,
   * with `context` added to its metadata. What `fn` returns, or resolves to, and somebody consumes later goes on in the
   * run: iterators and iterables, streams, event emitters, thenables; see docs/isolation.md.
   */
  run<T>(fn: () => T, context?: Fields): T {
    return runIn(this.#run(context), fn);
  }

  /**
   * As `run`, for later: the function given runs in this experiment whenever it is called, with its own `this`,
   * arguments, name and length; an iterator, iterable, stream, event emitter or thenable is bound in place, as if it
   * had been made in a run.
   * @returns the bound function; anything else is what was given, or a proxy for it where it is frozen
   * @throws ConfigError when there is nothing in it that could be bound
   */
  bind<T extends object>(target: T, context?: Fields): T {
    return bindTo(target, this.#run(context));
  }

  /** What another thread needs to capture for this experiment; see `attachExperiment`. */
  share(): ExperimentHandle {
    const { memory, geometry } = this.#open();
    const ownClock = this.#clock !== systemClock;
    const { shared: losses, subject } = this.#losses;
    const { names: events, followsRegistry, onlyRuns } = this.#selection;
    const { prices } = this.#owner;
    const bus = { events, followsRegistry, onlyRuns };
    return { experimentId: this.id, memory, geometry, prices, ownClock, ...bus, subject, losses };
  }

  /**
   * Captures every record of a CSV, JSON Lines, MessagePack, Parquet or Arrow file. Events of our own exports
   * come back as they were, their ids included.
   * @param file - its path, a stream of its bytes, or one that is open, whose options were given when it was opened
   * @throws StorageError when the file cannot be read
   * @throws ImportError when it cannot be read further as what it is; what came before has been captured
   * @throws ConfigError when the mapping does not parse or fit the file
   * @throws StateError ERR_NOT_RUNNING unless the experiment is running
   */
  importFile(
    file: string | AsyncIterable<Uint8Array> | ImportSource,
    options: ImportOptions = {},
  ): Promise<ImportResult> {
    return importOne(this, file, options);
  }

  /**
   * @internal What takes records of files.
   * @param losses - is told of those that are refused or cut
   * @throws StateError ERR_NOT_RUNNING unless the experiment is running, then and with each record
   */
  importSink(losses: ImportLosses): (record: ImportedRecord, report: ReportProblem) => void {
    if (this.#status !== 'running') throw this.#notRunning('import into');
    const { writer } = this.#open();
    const sink = new ImportSink(writer, this.id, this.#owner.prices.version, this.#clock);
    return (record, report) => {
      if (this.#status !== 'running') throw this.#notRunning('import into');
      const { cuts } = writer.ring;
      const flaws = sink.accept(record);
      if (flaws === null) losses.refused++;
      else reportFlaws(flaws, report);
      losses.cut += writer.ring.cuts - cuts;
    };
  }

  // ── Scores ─────────────────────────────────────────────────────────────────────────────────────

  /**
   * Says how good something was that the experiment has captured: an event, a response, a sample or a session. While it
   * runs or after, here or, where it has a folder, in another process. Nothing is overwritten: of one judge's scores of
   * one thing the last one counts, of several judges their mean. It is the column `score.<name>` of every event that has
   * the id, in filters, queries, exports and outcomes; as an outcome it counts once, with the first event that has it.
   * With a folder it survives the death of the process when this returns, and a power cut as `fsync` says.
   * @throws ConfigError naming the part; StorageError when it cannot be written; StateError ERR_CLOSED after cleanup
   */
  score(target: ScoreTarget, name: string, value: number | boolean, options?: ScoreOptions): void {
    this.#openScores().add(this.#checkedScore(target, name, value, options));
  }

  /** Those that count, of all processes. @throws StateError ERR_CLOSED after cleanup; StorageError */
  scores(): Score[] {
    return this.#openScores().all();
  }

  /**
   * Scores of a CSV, JSON Lines, MessagePack, Parquet or Arrow file: a score a line (`name`, `value`), or a line for each
   * thing that is scored and a column for each score. Columns `by`, `at` and `comment` are of the scores of their line.
   * @throws ConfigError where the file has no ids or no scores; StorageError, ImportError where it cannot be read
   *   further, and what came before is written
   */
  async scoreFile(path: string, options: ScoreFileOptions): Promise<ScoreFileResult> {
    this.#open();
    const check = (...score: Parameters<Experiment['score']>) => this.#checkedScore(...score);
    return readScoreFile(path, options, check, (scores) => this.#openScores().addAll(scores));
  }

  /**
   * Prices the tokens of all events again, by another table. Both costs are kept: the events' own, and the new one as the
   * column `score.costUsd.<version>`, which filters, queries, exports and outcomes have. What an emitter has reported as
   * the cost is not looked at. Events without a price by the table get none, and are listed.
   * @throws ConfigError for an invalid table; StorageError; StateError ERR_CLOSED after cleanup
   */
  reprice(prices: PriceTable): Promise<RepriceReport> {
    return reprice(this, prices);
  }

  /**
   * A limit to what calls of models inside of this experiment may cost, with what is told on this thread's bus: warns,
   * aborts further calls by a signal, calls back. What recorders and other threads capture is not counted.
   * @throws ConfigError for invalid limits
   */
  budget(options: BudgetOptions): Budget {
    return new Budget(options, this.#run(undefined), new PriceBook(this.#owner.prices, this.#clock));
  }

  /** @internal Many at once. */
  scoreAll(scores: readonly Parameters<Experiment['score']>[]): void {
    this.#openScores().addAll(scores.map((score) => this.#checkedScore(...score)));
  }

  /**
   * How far the judges of a score agree, over all that two of them have scored; and how each compares with one that is
   * to be relied on, such as people.
   * @throws ConfigError where there is no such score, or the reference has given none
   */
  judges(name: string, { reference }: { readonly reference?: string } = {}): JudgesReport {
    const scores = this.scores().filter((score) => score.name === name);
    if (scores.length === 0) throw new ConfigError('name', 'the name of a score that there is', name);
    return reportOfJudges(name, scores, reference);
  }

  /**
   * pass@k and pass^k of samples that were tried several times, each event with an outcome being a try. Scores of tries
   * are by `eventId` or `responseId`.
   * @throws ConfigError naming the option
   */
  async attempts(options: AttemptsOptions & { readonly filter?: Filter } = {}): Promise<AttemptsReport> {
    const { filter, ...how } = options;
    checkAttempts(how);
    return attemptsOf(this.events(filter), how);
  }

  #checkedScore(...score: Parameters<Experiment['score']>): CheckedScore {
    const checked = checkScore(...score);
    const column = `score.${checked.name}`;
    if (this.#options.columns.some(({ name }) => name === column)) {
      throw new ConfigError('name', `another name than that of the declared column ${column}`, checked.name);
    }
    return checked;
  }

  #openScores(): ScoreBook {
    this.#open();
    return this.#scores;
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
    this.#durability?.describe(this.#fields());
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
    this.#durability?.describe(this.#fields());
  }

  /**
   * Ends capture. What was captured stays readable. Stopping twice changes nothing.
   * @returns what has become of its events
   * @throws StorageError when not everything could be made durable, with the report in `context`; capture has ended all
   *   the same, and stopping again tries again
   */
  async stop(): Promise<FlushReport> {
    this.#stopping ??= this.#stop();
    try {
      await this.#stopping;
    } catch (error) {
      this.#stopping = undefined;
      throw withReport(error, this.#newFlush().report());
    }
    return this.#newFlush().report();
  }

  /**
   * Detaches the experiment and unregisters it. Unless `keepData`, its memory is let go and reading it is a
   * StateError ERR_CLOSED from then on; with it, whoever holds the experiment can read on. Its files stay.
   * @throws StorageError as `stop`; what could not be made durable is lost then
   */
  async cleanup(options: { keepData?: boolean } = {}): Promise<void> {
    checkOptions(options, ['keepData']);
    try {
      await this.stop();
    } finally {
      this.#owner.forget(this);
      this.#streaming = false;
      this.#durability?.abandon();
      try {
        await this.#scores.close();
      } finally {
        if (options.keepData !== true) this.#letGo();
      }
    }
  }

  /**
   * Resolves once everything captured before the call is durable: it survives the process, and a power cut. Otherwise it
   * rejects; nothing is lost by that, and a later flush may succeed. For an experiment in memory there is nothing to
   * wait for: it resolves at once, and the report says that nothing is durable.
   * @param options.deadlineMs - bounds the wait, default 30,000
   * @throws StorageError ERR_FLUSH_DEADLINE when that was too short; ERR_FLUSH_INCOMPLETE when some of the events were
   *   overwritten meanwhile, or are in a file that could not be synced; ERR_STORAGE_* when the storage fails. The report
   *   is `context.report`.
   */
  async flush(options: { deadlineMs?: number } = {}): Promise<FlushReport> {
    checkOptions(options, ['deadlineMs']);
    const deadlineMs = flushDeadline(options.deadlineMs);
    // Of busy threads, too, which have not got round to it.
    this.#open().control.publishAll();
    const flush = this.#newFlush();
    const durability = this.#durability;
    if (durability === null) return flush.report();
    await this.#scores.synced();
    return flush.untilDurable(durability, deadlineMs);
  }

  /**
   * Turns the finished segments of a durable experiment into Parquet files: smaller, and read by the same methods as
   * before and by everything that reads Parquet. A thread of its own does the work; every file is read again and
   * compared before the segment is deleted. Of an experiment in memory there is nothing to compact.
   * @param options - with a signal that ends it after the segment that is at work; what was done until then stays so
   * @throws StorageError when that cannot be done; what was compacted until then stays so
   * @throws StateError ERR_LOCKED when another process writes the experiment, ERR_CLOSED after cleanup
   */
  async compact(options: { signal?: AbortSignal } = {}): Promise<CompactionReport> {
    checkOptions(options, ['signal']);
    this.#open();
    return this.#durability?.compact(options.signal) ?? NOTHING_COMPACTED;
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

  /**
   * Exact metrics over the retained events that pass the filter.
   * @param options - `of`: outcomes that are wanted besides, as in `compare`; they are in `outcomes`, by name
   * @throws ConfigError for an invalid outcome, or of what no event can have
   */
  async metrics(filter?: Filter, options: { of?: readonly (MetricName | Outcome)[] } = {}): Promise<Metrics> {
    checkOptions(options, ['of'], 'options');
    return this.#reads.run({ kind: 'metrics', times: this.times, options: options }, { filter });
  }

  /**
   * The same by group, most events first. Rows without a value for the key are the group null; of more than 1,000
   * groups the later ones are one, `(other)`.
   * @param key - 'eventName', 'model', 'provider', 'condition' or a declared column of type dict or bool
   * @param options - as in `metrics`
   * @throws ConfigError for any other key
   */
  async metricsBy(
    key: string,
    filter?: Filter,
    options: { of?: readonly (MetricName | Outcome)[] } = {},
  ): Promise<MetricsGroup[]> {
    checkOptions(options, ['of'], 'options');
    const task = { kind: 'metricsBy', key, times: this.times, options: options } as const;
    return this.#reads.run(task, { filter });
  }

  /** The retained events that pass the filter, ascending by time; ties keep capture order. */
  async query(filter?: Filter): Promise<EventRow[]> {
    return this.#reads.all({ filter });
  }

  /** As `query`, one event at a time, in bounded memory. What is captured meanwhile is not in it. */
  async *events(filter?: Filter): AsyncGenerator<EventRow> {
    yield* this.#reads.events({ filter })();
  }

  /** Events of a recent or given time, or the last n, ascending. @throws ConfigError for an unknown unit */
  async window(spec: WindowSpec, filter?: Filter): Promise<EventRow[]> {
    const resolved = resolveWindow(spec, this.#clock.nowUs());
    if (resolved === null) return [];
    if ('lastN' in resolved) return this.#reads.last(resolved.lastN, { filter });
    return this.#reads.all({ filter, range: resolved.range });
  }

  /** Metrics per tumbling or hopping window. @throws ConfigError for a size or step that is not above 0 */
  async windowedMetrics(options: WindowedOptions & { filter?: Filter }): Promise<WindowRow[]> {
    checkWindowed(options);
    const { filter, ...windows } = options;
    return this.#reads.run({ kind: 'windows', options: windows }, { filter });
  }

  /**
   * Writes the retained events to a file, and a manifest beside it.
   * @throws ExportError ERR_NO_DATA, ERR_UNSUPPORTED_FORMAT, ERR_EXPORT_PATH
   * @throws StorageError when the file cannot be written
   */
  async export(format: ExportFormat, options: ExportOptions = {}): Promise<ExportResult> {
    checkExportOptions(options);
    const file = {
      name: this.name,
      ...options,
      ...this.#modes(options),
      counts: { ...this.counts },
      about: [this.about()],
    };
    const selected = this.selected(options.filter);
    return writeExport(this.#owner.pool, [selected], format, { ...file, libraryVersion: VERSION });
  }

  /**
   * The export as a stream, with back-pressure, of the rows retained as of this call: what becomes of the experiment
   * meanwhile does not matter. Until somebody reads it, it costs nothing. Errors are those of `export`, on the stream;
   * besides, ExportError ERR_STREAM_ABANDONED when nobody reads it for `idleTimeoutMs`, and StateError ERR_CLOSED when
   * the Crucible is closed. Use it with `stream.pipeline`, which ends it when its reader leaves.
   * @throws ConfigError naming the option
   * @throws StateError ERR_CLOSED after cleanup
   */
  exportStream(format: ExportFormat, options: StreamExportOptions = {}): Readable {
    checkExportOptions(options, ['idleTimeoutMs']);
    const selected = this.selected(options.filter);
    return this.#owner.streams.open([selected], format, { ...options, about: [this.about()] });
  }

  /**
   * Keeps the retained events outside of the library, ascending by time: as JSON Lines, an experiment_metadata line and
   * then an event a line; or as a Parquet export with its manifest. Both can be imported. A
   * running experiment is stopped first. The file is read again and compared before it gets its name; the experiment
   * can still be read then, and its status is 'archived'.
   * @throws ConfigError, ExportError ERR_UNSUPPORTED_FORMAT, ERR_EXPORT_PATH: nothing has changed
   * @throws StorageError when the file cannot be written: nothing is left of it, and the status is 'stopped'
   * @throws StateError ERR_LOCKED when another process writes the experiment, ERR_CLOSED after cleanup
   */
  async archive(options: ArchiveOptions): Promise<ArchiveResult> {
    const target = await archiveTarget(options, this.name);
    const modes = this.#modes(options);
    this.#open();
    await this.stop();
    const durability = this.#durability;
    const archive = async () => {
      const result = await writeArchive(target, {
        pool: this.#owner.pool,
        view: this.#view(),
        selected: this.selected(),
        metadata: { ...this.toJSON(), status: 'archived' } as Record<string, Json>,
        about: this.about(),
        signal: options.signal,
        modes,
      });
      durability?.redescribe({ ...this.#fields(), status: 'archived' });
      this.#status = 'archived';
      return result;
    };
    return durability === null ? archive() : durability.exclusively(archive);
  }

  // ── Inside ─────────────────────────────────────────────────────────────────────────────────────

  /** @internal The retained rows that pass the filter, as of now. */
  selected(filter?: Filter): Selected {
    return this.#reads.select({ filter });
  }

  /** @internal What an export tells of the experiment. */
  about(): ExperimentAbout {
    const { id, name, condition, hypothesis, tags, metadata, startedAt, stoppedAt, counts } = this;
    const { columns } = this.#options;
    return { id, name, condition, hypothesis, tags, metadata, columns, startedAt, stoppedAt, counts };
  }

  /** Who may use what is written outside of the experiment's folder: as its own, unless that is said. @throws ConfigError */
  #modes({ folderMode, fileMode }: Modes): Modes {
    const { durable } = this.#options;
    const own = durable ?? this.#owner.modes;
    return checkModes({
      folderMode: folderMode ?? own.folderMode,
      fileMode: fileMode ?? own.fileMode,
    });
  }

  /** All retained rows, with their scores. */
  #view(): View {
    const { store, scores } = this.#readable();
    const scored = scoredStore(store, scores);
    return openView(scored, compileFilter(undefined, scored.source));
  }

  #readable(): ReadableRows {
    const stores = this.#published();
    const { reader, source, memory, geometry, fields, key } = stores;
    const durability = this.#durability;
    const folder = durability?.folder ?? null;
    this.#rows ??=
      durability === null
        ? new MemoryStore(reader, source)
        : new DurableStore(durability.segments, reader, source, (texts) => stores.learn(texts));
    const store = this.#rows;
    return {
      stores,
      store,
      access: { key, memory, geometry, fields, folder, damaged: durability?.segments.ledger.entries ?? [] },
      overwrites: durability === null && this.#options.overflow === 'overwrite' && !stores.control.isStopped,
      retainedRows: this.counts.retained,
      scores: this.#scores.columns(),
      limit: () =>
        this.#capturesHere
          ? limitNow(reader)
          : limitOf(store.snapshot(Number.NEGATIVE_INFINITY, Number.POSITIVE_INFINITY).refs),
      onDamaged: (damaged) => durability?.noteDamaged(damaged),
      release: () => {
        if (this.#stores === undefined) durability?.segments.close();
      },
    };
  }

  #newFlush(): Flush {
    const tally = () => this.#tally();
    const lost = () => lostOf(tally(), this.#losses);
    return new Flush({ name: this.name, durability: this.#durability, tally, lost });
  }

  #open(): Stores {
    if (this.#stores === undefined) throw this.#closed();
    return this.#stores;
  }

  #closed(): StateError {
    return new StateError('ERR_CLOSED', `experiment ${this.name} was cleaned up`, { id: this.id });
  }

  #letGo(): void {
    if (this.#stores === undefined) return;
    this.#finalTally = withUnwritten(this.#tally(), this.#durability);
    this.#losses.end = 'closed';
    this.#stores.writer.close();
    this.#stores = undefined;
    this.#rows = undefined;
    this.#durability?.close();
  }

  /** The stores, with this thread's rows readable. */
  #published(): Stores {
    const stores = this.#open();
    stores.writer.ring.publish();
    return stores;
  }

  #run(context: Fields | undefined): ActiveRun {
    this.#lateRuns.noteRun();
    return runOf(this.id, context, this.#losses);
  }

  /** Whether an event may be captured now; one that may not is counted. */
  #accepts(): boolean {
    if (this.#status === 'running') return true;
    this.#losses.refused(this.#status === 'paused' ? 'paused' : 'stopped');
    return false;
  }

  #attach(): void {
    this.#isAttached = true;
    listen(
      this.id,
      this.#selection,
      (event, measurements, metadata, context, unread) => {
        if (!this.#accepts()) return;
        this.#stores?.writer.capture(event, measurements, metadata, context, undefined, undefined, unread);
      },
      (event, key) => this.#stores?.writer.countUnread(event, key),
    );
  }

  async #stop(): Promise<void> {
    if (this.#status === 'running' || this.#status === 'paused') {
      tellDeferred();
      this.#stopCapture();
      await this.#collectOtherThreads();
    }
    await this.#durability?.finish(this.#fields(), STOP_DEADLINE_MS);
    await this.#scores.synced();
  }

  #stopCapture(): void {
    const { writer, control } = this.#open();
    // Otherwise it is whoever captures it that listens.
    if (this.#isAttached) unlisten(this.id);
    this.#isAttached = false;
    this.#lateRuns.begin();
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

  #startWriting(lock: Lock): void {
    const { memory, geometry, writer } = this.#open();
    (this.#durability as Durability).start(
      lock,
      memory,
      geometry,
      this.#owner.prices.version,
      () => writer.ring.publish(),
      () => this.#fields(),
    );
  }

  /** What the experiment's document says of it. */
  #fields(): ExperimentFields {
    const { id, name, hypothesis, condition, metadata, tags, startedAt, sampleSize } = this;
    const { stoppedAt, pausedAt, status, pauseCount } = this;
    return {
      id,
      name,
      hypothesis,
      condition,
      metadata,
      tags: [...tags],
      sampleSize,
      status,
      startedAt,
      stoppedAt,
      pausedAt,
      pausedUs: this.#pausedUs,
      pauseCount,
      options: storedOptions(this.#options),
    };
  }

  #endPause(): void {
    if (this.#pausedAt === null) return;
    this.#pausedUs += Math.max(0, this.#clock.nowUs() - this.#pausedAt);
    this.#pausedAt = null;
  }

  /** @internal Time spent in pauses that have ended, µs. */
  get pausedUs(): number {
    return this.#pausedUs;
  }

  /** @internal How long it has run, as results tell it. */
  get times(): ExperimentTimes {
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
    const { id, name, status } = this;
    const isKept = this.#durability !== null && (status === 'stopped' || status === 'archived');
    const why = this.#isOnlyRead ? 'it is only read here' : `it is ${status}`;
    const help = isKept && !this.#isOnlyRead ? `; ${howToReopen(id)}` : '';
    return new StateError('ERR_NOT_RUNNING', `cannot ${verb} experiment ${name}: ${why}${help}`, {
      id,
      status,
    });
  }
}
