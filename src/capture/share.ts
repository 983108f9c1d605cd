/** Capturing from another thread: the handle that is sent, and the writer made of it there. */
import { type Clock, systemClock } from '../clock.js';
import { ConfigError } from '../errors.js';
import { RingControl } from '../ring/control.js';
import { type Geometry, verifyMemory } from '../ring/memory.js';
import type { SharedMemory } from '../ring/wasm.js';
import type { Fields } from '../schema/event.js';
import type { PriceTable } from '../schema/prices.js';
import { type ActiveRun, contextIn, runOf } from './context.js';
import { EventWriter } from './event-writer.js';
import { INSPECT, type Inspect, inspected, type StylizedOptions, shownRefused } from './inspection.js';
import { LateRuns } from './late-runs.js';
import { isHeard, listen, unlisten } from './listening.js';
import { Losses, type LossSubject, type RefusedCounts } from './losses.js';
import type { Recorder } from './recorder.js';
import { bindTo, runIn } from './results/bind.js';
import type { Selection } from './selection.js';

/** How long rows may stay unseen that a slow thread has written. */
const PUBLISH_INTERVAL_MS = 20;

/** Structured-cloneable: send it through `postMessage` or `workerData`. */
export interface ExperimentHandle {
  readonly experimentId: string;
  readonly memory: SharedMemory;
  readonly geometry: Geometry;
  readonly prices: PriceTable;
  /** True when the experiment has a clock of its own, which the other thread must be given too. */
  readonly ownClock: boolean;
  /** Which events of the other thread's bus are captured. */
  readonly events: Selection['names'];
  /** @see Selection */
  readonly followsRegistry: boolean;
  /** @see Selection */
  readonly onlyRuns: boolean;
  readonly subject: LossSubject;
  /** @see Losses.shared */
  readonly losses: SharedArrayBuffer;
}

/** Closed when the thread ends; one listener for all, however many there are. */
const openWriters = new Set<ExperimentWriter>();
let listening = false;

function closeAtExit(writer: ExperimentWriter): void {
  openWriters.add(writer);
  if (listening) return;
  listening = true;
  process.once('exit', () => {
    for (const open of [...openWriters]) open.close();
  });
}

/**
 * Captures for an experiment of another thread: what is recorded and captured by it, and, until it is closed, the
 * experiment's events of this thread's bus.
 *
 * Rows become readable every 256 of them, every 20 ms while the thread's event loop turns, on `publish` and when
 * the thread ends. A pause or stop of the experiment takes effect at the same moments. Events that come later, or after
 * `close`, are counted in `Experiment.counts.refused`, whichever thread they come from.
 */
export class ExperimentWriter {
  readonly experimentId: string;
  readonly #events: EventWriter;
  readonly #control: RingControl;
  readonly #losses: Losses;
  readonly #lateRuns: LateRuns;
  readonly #timer: NodeJS.Timeout;
  readonly #selection: Selection;
  #listens = false;
  #closed = false;

  /** @internal Use `attachExperiment`. */
  constructor(handle: ExperimentHandle, clock: Clock) {
    this.experimentId = handle.experimentId;
    this.#control = new RingControl(handle.memory, handle.geometry);
    this.#losses = new Losses(handle.subject, handle.losses);
    const { events: names, followsRegistry, onlyRuns } = handle;
    this.#selection = { names, followsRegistry, onlyRuns };
    this.#lateRuns = new LateRuns(handle.experimentId, this.#selection, this.#losses);
    this.#events = new EventWriter(handle.memory, handle.geometry, handle.prices, clock, this.#losses);
    this.#timer = setInterval(() => this.#tick(), PUBLISH_INTERVAL_MS).unref();
    this.#listen();
    closeAtExit(this);
  }

  /** @see Experiment.recorder */
  recorder(event: string, bound?: Fields): Recorder {
    return this.#events.recorder(event, bound);
  }

  /** @see Experiment.capture */
  capture(event: string, measurements: Fields, metadata?: Fields): void {
    if (this.#accepts()) this.#events.capture(event, measurements, metadata, contextIn(this.experimentId));
  }

  /** @see Experiment.captureAt */
  captureAt(timestampUs: number, event: string, measurements: Fields, metadata?: Fields): void {
    if (!this.#accepts()) return;
    this.#events.capture(event, measurements, metadata, contextIn(this.experimentId), timestampUs);
  }

  /** @see Experiment.run */
  run<T>(fn: () => T, context?: Fields): T {
    return runIn(this.#run(context), fn);
  }

  /** @see Experiment.bind */
  bind<T extends object>(target: T, context?: Fields): T {
    return bindTo(target, this.#run(context));
  }

  /** Events of the experiment that were refused, whichever thread they come from. */
  get refused(): RefusedCounts {
    return this.#losses.refusedCounts(this.#control.counts().refused);
  }

  /** What `console.log` shows. */
  [INSPECT](depth: number, options: StylizedOptions, inspect: Inspect): string {
    const { experimentId } = this;
    const { name } = this.#losses.subject;
    const fields = { name, experimentId, status: this.#status, refused: shownRefused(this.refused) };
    return inspected('ExperimentWriter', fields, depth, options, inspect);
  }

  /** The experiment's, as far as this thread can tell, or that of this writer. */
  get #status(): 'running' | 'paused' | 'stopped' | 'closed' {
    if (this.#control.isStopped) return 'stopped';
    if (this.#closed) return 'closed';
    return this.#control.isRunning ? 'running' : 'paused';
  }

  /** Makes everything captured so far readable. */
  publish(): void {
    this.#events.ring.publish();
  }

  /** Publishes, and gives the thread's place back to the experiment. Events captured afterwards are refused. */
  close(): void {
    this.#close('closed');
  }

  #close(as: 'closed' | 'stopped'): void {
    if (this.#closed) return;
    this.#closed = true;
    clearInterval(this.#timer);
    openWriters.delete(this);
    this.#unlisten();
    this.#lateRuns.begin(as);
    this.#events.close(as);
  }

  #run(context: Fields | undefined): ActiveRun {
    this.#lateRuns.noteRun();
    return runOf(this.experimentId, context, this.#losses);
  }

  /** One at a time for an experiment and thread, or an event would be captured twice. */
  #listen(): void {
    if (isHeard(this.experimentId)) return;
    this.#listens = true;
    listen(
      this.experimentId,
      this.#selection,
      (event, measurements, metadata, context, unread) => {
        if (!this.#accepts()) return;
        this.#events.capture(event, measurements, metadata, context, undefined, undefined, unread);
      },
      (event, key) => this.#events.countUnread(event, key),
    );
  }

  #unlisten(): void {
    if (!this.#listens) return;
    this.#listens = false;
    unlisten(this.experimentId);
    for (const writer of openWriters) if (writer.experimentId === this.experimentId) writer.#listen();
  }

  /** Whether an event may be captured now; one that may not is counted. */
  #accepts(): boolean {
    if (!this.#closed && this.#control.isRunning) return true;
    this.#events.ring.refuse();
    return false;
  }

  #tick(): void {
    if (this.#control.isStopped) this.#close('stopped');
    else if (this.#control.isRunning) {
      this.#events.ring.resume();
      this.publish();
    } else this.#events.ring.suspend();
  }
}

/**
 * Attaches this thread to an experiment that another one shares.
 * @throws LayoutError when the memory was laid out by another version
 * @throws ConfigError when the handle is none, or its experiment has a clock of its own and none is given
 * @throws StateError when as many threads write as the experiment allows
 */
export function attachExperiment(
  handle: ExperimentHandle,
  options: { clock?: Clock } = {},
): ExperimentWriter {
  if (
    typeof handle !== 'object' ||
    handle === null ||
    !(handle.memory?.buffer instanceof SharedArrayBuffer) ||
    typeof handle.onlyRuns !== 'boolean' ||
    !(handle.events === 'all' || Array.isArray(handle.events))
  ) {
    throw new ConfigError('handle', 'what Experiment.share() returns', handle);
  }
  if (handle.ownClock && options.clock === undefined) {
    throw new ConfigError(
      'options.clock',
      "the experiment's own clock, which threads do not share",
      undefined,
    );
  }
  verifyMemory(handle.memory);
  return new ExperimentWriter(handle, options.clock ?? systemClock);
}
