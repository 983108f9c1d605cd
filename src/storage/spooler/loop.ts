/**
 * The spooler's working day: sleep until somebody wakes it or it is time, take what there is, answer flushes.
 *
 * A storage error does not end it. It says so, keeps what it has taken, and tries again every interval.
 */
import { serializeError, TelemetryError, type WireError } from '../../errors.js';
import { SpoolWords } from '../../ring/spool.js';
import type { DamagedBatch } from '../damage.js';
import { type FileSystem, nodeFileSystem } from '../disk/file-system.js';
import { heldLock, LOCK_REFRESH_MS, type Lock, type LockPlace } from '../disk/lock.js';
import { type ExperimentFields, Spooler, type SpoolerOptions, Superseded } from './spooler.js';

/** From the experiment's thread. */
export type SpoolerOrder =
  /** What the document is to say from now on. */
  | { readonly kind: 'experiment'; readonly experiment: ExperimentFields }
  /** Make everything durable, end the segment, write the document, stop; that is the flush `ticket`, if it is one. */
  | { readonly kind: 'finish'; readonly experiment: ExperimentFields; readonly ticket: number | null }
  /** A segment's Parquet file is there: list it, and delete the Arrow file. */
  | CompactedOrder;

export interface CompactedOrder {
  readonly kind: 'compacted';
  readonly segment: number;
  /** Of the Parquet file. */
  readonly bytes: number;
}

/** To the experiment's thread. */
export type SpoolerNews =
  /** Flushes up to `ticket` have been tried; `error` says what was in the way. */
  | { readonly kind: 'attempted'; readonly ticket: number; readonly error: WireError | null }
  /** The state of the storage has changed. */
  | { readonly kind: 'state'; readonly error: WireError | null }
  /** The order to finish is done, or it failed and the spooler goes on. */
  | { readonly kind: 'finished'; readonly error: WireError | null }
  /** Everything that has been found lost of what was written. */
  | { readonly kind: 'damaged'; readonly damaged: readonly DamagedBatch[]; readonly error: null }
  /** The document lists segments that it did not list before. */
  | { readonly kind: 'listed'; readonly error: null }
  /** The order about that segment's Parquet file is done. */
  | { readonly kind: 'compacted'; readonly segment: number; readonly error: null };

/** Its way to the other threads. */
export interface SpoolerDesk {
  /** The next order, if there is one; does not wait. */
  receive(): SpoolerOrder | undefined;
  post(news: SpoolerNews): void;
}

/** How soon to look again for what could not be taken. */
const RETRY_MS = 1;
/** Between two looks at whether finished segments are where they were, unless somebody flushes. */
const INSPECTION_MS = 1000;
/** With fsync 'always', how long rows may wait that do not fill a chunk. */
const ALWAYS_INTERVAL_MS = 10;

/** Shows that the lock's holder lives, and that it still is the holder. */
class LockKeeper {
  readonly #lock: Lock;
  /** By the clock that goes on while a machine sleeps. A thread that takes over may come too late itself. */
  #keptAtMs = Number.NEGATIVE_INFINITY;

  constructor(place: LockPlace) {
    // Locks are on the system's own disk, wherever the segments are.
    this.#lock = heldLock(nodeFileSystem, place);
  }

  /** @throws StateError ERR_LOCKED when somebody else writes now; StorageError when the disk fails */
  keep(): void {
    if (Math.abs(Date.now() - this.#keptAtMs) < LOCK_REFRESH_MS) return;
    this.#lock.refresh();
    this.#keptAtMs = Date.now();
  }
}

/** Runs until it has finished, or another spooler takes over. */
export function runSpooler(options: SpoolerOptions, files: FileSystem, desk: SpoolerDesk): void {
  const words = new SpoolWords(options.memory);
  const lock = options.lock && new LockKeeper(options.lock);
  const intervalMs =
    options.fsync === 'always'
      ? Math.min(options.flushIntervalMs, ALWAYS_INTERVAL_MS)
      : options.flushIntervalMs;
  let spooler: Spooler | undefined;
  let experiment: ExperimentFields | undefined;
  let finishing = false;
  let failure: WireError | null = null;
  /** Whether the others know that the storage works; they may believe that the spooler before this one had failed. */
  let isKnownToWork = false;
  let compacted: CompactedOrder[] = [];
  let listed: readonly unknown[] | undefined;
  // A row written just after a pass waits for the next: twice an interval keeps to the interval.
  let nextPassMs = 0;
  let nextSyncMs = 0;
  let nextInspectionMs = 0;
  let damagedTold: readonly DamagedBatch[] = [];
  let retryAtMs = 0;
  // Looked at here as well, since what fails before any other look would be tried for ever.
  while (words.epoch === options.epoch) {
    const wakes = words.wakes;
    // Before the orders: a flush that is asked for after an order is not answered without it.
    let ticket = words.requested;
    for (let order = desk.receive(); order !== undefined; order = desk.receive()) {
      if (order.kind === 'compacted') {
        compacted.push(order);
        continue;
      }
      experiment = order.experiment;
      if (order.kind !== 'finish') continue;
      finishing = true;
      ticket = order.ticket ?? ticket;
    }
    const asked = !words.isAttempted(ticket);
    const nowMs = performance.now();
    if (failure !== null && !asked && !finishing && nowMs < retryAtMs) {
      words.beat();
      words.sleep(wakes, retryAtMs - nowMs);
      continue;
    }
    const due = nowMs >= nextPassMs;
    const everything = asked || finishing || due;
    const syncDue = options.fsync === 'interval' && nowMs >= nextSyncMs && everything;
    try {
      lock?.keep();
      spooler ??= new Spooler(options, files, { keepLock: () => lock?.keep() });
      if (experiment !== undefined) spooler.experiment = experiment;
      experiment = undefined;
      const isAnnounced = spooler.segments === listed;
      for (const { segment, bytes } of compacted) spooler.compacted(segment, bytes);
      if (isAnnounced) listed = spooler.segments;
      let complete = spooler.step({ everything, sync: asked || finishing || syncDue });
      if (asked || finishing || nowMs >= nextInspectionMs) {
        spooler.inspect();
        nextInspectionMs = nowMs + INSPECTION_MS;
      }
      for (const { segment } of compacted) desk.post({ kind: 'compacted', segment, error: null });
      compacted = [];
      if (spooler.segments !== listed) desk.post({ kind: 'listed', error: null });
      listed = spooler.segments;
      if (complete && everything) nextPassMs = nowMs + intervalMs / 2;
      if (complete && syncDue) nextSyncMs = nowMs + intervalMs;
      if (complete && finishing) complete = spooler.finish();
      // Before a flush is answered, whose report is to tell it.
      const { damaged } = spooler;
      if (damaged !== damagedTold && damaged.length > 0) desk.post({ kind: 'damaged', damaged, error: null });
      damagedTold = damaged;
      // Had it taken long, somebody else might write by now, and what was written last might be of no use.
      lock?.keep();
      failure = null;
      if (!isKnownToWork) desk.post({ kind: 'state', error: null });
      isKnownToWork = true;
      if (complete && asked) {
        words.answer(ticket, true);
        desk.post({ kind: 'attempted', ticket, error: null });
      }
      if (complete && finishing) {
        desk.post({ kind: 'finished', error: null });
        return;
      }
      const restMs = complete ? Math.max(0, nextPassMs - performance.now()) : RETRY_MS;
      words.sleep(wakes, Math.min(restMs, LOCK_REFRESH_MS));
    } catch (error) {
      if (error instanceof Superseded) {
        spooler?.close();
        return;
      }
      // Not a failure of the storage but of this code: the thread ends, and another is started.
      if (!(error instanceof TelemetryError)) throw error;
      const wire = serializeError(error);
      if (failure === null) desk.post({ kind: 'state', error: wire });
      failure = wire;
      isKnownToWork = false;
      retryAtMs = performance.now() + intervalMs;
      if (asked) {
        words.answer(ticket, false);
        desk.post({ kind: 'attempted', ticket, error: wire });
      }
      if (finishing) desk.post({ kind: 'finished', error: wire });
      finishing = false;
    }
  }
  spooler?.close();
}
