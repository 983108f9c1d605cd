/**
 * A process that captures some rows and ends in a given way. What it captured last it writes to a file, at once. Nothing
 * becomes durable by itself within its life, so that only its end can have made it so.
 */
import { writeFileSync, writeSync } from 'node:fs';
import { isMainThread, Worker, workerData } from 'node:worker_threads';
import { attachExperiment, Crucible } from '../../dist/src/index.js';
import { COLUMNS, Source } from './rows.mjs';

const task = isMainThread ? JSON.parse(process.argv[2]) : workerData.task;
const { dir, ledger, mode, without = false } = task;
const EVENTS = ['exit', 'SIGTERM', 'SIGINT', 'SIGHUP', 'uncaughtException', 'unhandledRejection', 'warning'];
const listeners = () => EVENTS.map((event) => process.listenerCount(event)).join();

const say = (text) => writeSync(1, `${text}\n`);
const counts = isMainThread ? new Int32Array(new SharedArrayBuffer(16)) : workerData.counts;
const keep = () => writeFileSync(ledger, JSON.stringify([...counts]));

/** A function that captures so many rows. */
function sourceOf(target, producer) {
  const source = target === null ? null : new Source(target, producer);
  return (rows) => {
    for (let i = 0; i < rows; i++) {
      source?.capture();
      counts[producer]++;
    }
    keep();
  };
}

function open(options = {}) {
  if (without) return { crucible: null, experiment: null };
  const crucible = new Crucible({ dir });
  const experiment = crucible.startExperiment({
    name: 'ended',
    id: 'ended',
    columns: COLUMNS,
    capacity: 65_536,
    flushIntervalMs: 3_600_000,
    ...options,
  });
  return { crucible, experiment };
}

/** Rows that fill some chunks and begin another and a batch. */
const ROWS = 3000;
const stayAlive = () => setInterval(() => {}, 1000);

function startWorker(part, experiment) {
  const worker = new Worker(new URL(import.meta.url), {
    workerData: { task, counts, part, handle: without ? null : experiment?.share() },
  });
  worker.on('error', (error) => {
    if (error.message !== 'on purpose') throw error;
  });
  return worker;
}

const MODES = {
  async stop() {
    const before = listeners();
    const { crucible, experiment } = open();
    sourceOf(experiment, 0)(ROWS);
    await crucible?.close();
    if (listeners() !== before) say(`listeners before: ${before}, after: ${listeners()}`);
  },
  /** As if nobody cared for the end. */
  exitUnnoticed() {
    sourceOf(open().experiment, 0)(ROWS);
    process.removeAllListeners('exit');
    process.exit(7);
  },
  exitAtOnce() {
    sourceOf(open().experiment, 0)(ROWS);
    process.exit(7);
  },
  exitFull() {
    const url = new URL('./broken-disk.mjs', import.meta.url).href;
    const spec = { control: new Int32Array(new SharedArrayBuffer(12)), isFull: true };
    sourceOf(open({ fileSystem: { url, spec } }).experiment, 0)(ROWS);
    process.exit(7);
  },
  exitInBetween() {
    const capture = sourceOf(open().experiment, 0);
    let turns = 0;
    setInterval(() => {
      capture(ROWS / 10);
      if (++turns === 10) process.exit(7);
    }, 10);
  },
  exitCode() {
    sourceOf(open().experiment, 0)(ROWS);
    process.exitCode = 3;
  },
  emptyLoop() {
    const capture = sourceOf(open().experiment, 0);
    setTimeout(() => capture(ROWS), 150);
  },
  throws() {
    const capture = sourceOf(open().experiment, 0);
    setTimeout(() => {
      capture(ROWS);
      throw new Error('on purpose');
    }, 150);
  },
  rejects() {
    sourceOf(open().experiment, 0)(ROWS);
    void Promise.reject(new Error('on purpose'));
    stayAlive();
  },
  catchesAndExits() {
    process.on('uncaughtException', () => process.exit(9));
    sourceOf(open().experiment, 0)(ROWS);
    throw new Error('on purpose');
  },
  severalExperiments() {
    const { crucible, experiment } = open();
    crucible?.startExperiment({ name: 'other', id: 'other', flushIntervalMs: 3_600_000 });
    sourceOf(experiment, 0)(ROWS);
    process.exit(7);
  },
  signal() {
    sourceOf(open().experiment, 0)(ROWS);
    stayAlive();
    say('ready');
  },
  /** The application's handler was there first, once only, and takes its time. */
  signalOnceBefore() {
    let capture;
    const shutDown = () => {
      capture(ROWS);
      setTimeout(() => {
        capture(ROWS);
        process.exit(5);
      }, 100);
    };
    for (const signal of ['SIGTERM', 'SIGINT', 'SIGHUP']) process.once(signal, shutDown);
    capture = sourceOf(open().experiment, 0);
    stayAlive();
    say('ready');
  },
  signalOnceAfter() {
    const capture = sourceOf(open().experiment, 0);
    for (const signal of ['SIGTERM', 'SIGINT', 'SIGHUP']) {
      process.once(signal, () => {
        capture(ROWS);
        setTimeout(() => {
          capture(ROWS);
          process.exit(5);
        }, 100);
      });
    }
    stayAlive();
    say('ready');
  },
  /** The application goes on whatever the signal, and ends for another reason. */
  signalIgnored() {
    const capture = sourceOf(open().experiment, 0);
    for (const signal of ['SIGTERM', 'SIGINT', 'SIGHUP']) {
      process.on(signal, () => {
        capture(ROWS);
        setTimeout(() => process.exit(0), 50);
      });
    }
    stayAlive();
    say('ready');
  },
  signalAndCapture() {
    const capture = sourceOf(open().experiment, 0);
    capture(ROWS);
    setInterval(() => capture(10), 2);
    say('ready');
  },
  /** The signal comes a second time while the first one is being dealt with. */
  signalTwice() {
    sourceOf(open().experiment, 0)(ROWS);
    stayAlive();
    say('ready');
  },
  /** A handler that was there for a while leaves the signal to its default again. */
  signalHandlerRemoved() {
    const handler = () => say('handled');
    process.on('SIGTERM', handler);
    const capture = sourceOf(open().experiment, 0);
    process.kill(process.pid, 'SIGTERM');
    setTimeout(() => {
      process.off('SIGTERM', handler);
      capture(ROWS);
      process.kill(process.pid, 'SIGTERM');
    }, 100);
    stayAlive();
  },
  /** Packages of which each leaves a signal to whoever else listens, and ends the process when nobody does. */
  async signalExit3() {
    const { default: onExit } = await import('signal-exit-3');
    sourceOf(open().experiment, 0)(ROWS);
    onExit((code, signal) => say(`${code} ${signal}`));
    stayAlive();
    say('ready');
  },
  async signalExit4() {
    const { onExit } = await import('signal-exit');
    onExit((code, signal) => say(`${code} ${signal}`));
    sourceOf(open().experiment, 0)(ROWS);
    stayAlive();
    say('ready');
  },
  /** It decides to live on: what is captured then is kept as well. */
  async signalExitDeclines() {
    const { onExit } = await import('signal-exit');
    const capture = sourceOf(open().experiment, 0);
    onExit((_, signal) => signal !== null);
    process.kill(process.pid, 'SIGTERM');
    setTimeout(() => {
      capture(ROWS);
      process.exit(5);
    }, 300);
  },
  /** A thread captures as the process exits: everything up to the call is kept, and maybe more. */
  exitWithThreads() {
    const { experiment } = open();
    const worker = startWorker('endless', experiment);
    const capture = sourceOf(experiment, 0);
    worker.once('message', () => {
      capture(ROWS);
      process.exit(7);
    });
  },
  async terminatedThread() {
    const { crucible, experiment } = open();
    const worker = startWorker('endless', experiment);
    await new Promise((resolve) => worker.once('message', resolve));
    await worker.terminate();
    sourceOf(experiment, 0)(ROWS);
    await crucible?.close();
  },
  terminatedThreadThenExit() {
    const { experiment } = open();
    const worker = startWorker('endless', experiment);
    worker.once('message', async () => {
      await worker.terminate();
      sourceOf(experiment, 0)(ROWS);
      process.exit(7);
    });
  },
  threadExits() {
    const { experiment } = open();
    startWorker('exits', experiment);
    sourceOf(experiment, 0)(ROWS);
  },
  threadThrows() {
    const { experiment } = open();
    startWorker('throws', experiment);
    sourceOf(experiment, 0)(ROWS);
  },
  /** The whole Crucible lives in a thread, which ends by itself, exits or throws. */
  crucibleInThreadEnds: () => void startWorker('owner'),
  crucibleInThreadExits: () => void startWorker('ownerExits'),
  crucibleInThreadThrows: () => void startWorker('ownerThrows'),
  crucibleInThreadStops: () => void startWorker('ownerStops'),
  /** Nothing runs in the thread any more when these happen: the last interval may be lost, and only that. */
  crucibleInThreadTerminated() {
    const worker = startWorker('ownerWaits');
    worker.once('message', async () => {
      await worker.terminate();
      process.exit(0);
    });
  },
  crucibleInThreadMainExits() {
    const worker = startWorker('ownerWaits');
    worker.once('message', () => process.exit(7));
  },
};

/** What a thread does. */
const PARTS = {
  endless(parentPort) {
    const source = without ? null : new Source(attachExperiment(workerData.handle), 1);
    for (;;) {
      source?.capture();
      counts[1]++;
      if (counts[1] === ROWS) parentPort.postMessage('captured');
      // So that the ring does not fill before the process ends.
      if (counts[1] % 100 === 0) Atomics.wait(counts, 3, 0, 1);
    }
  },
  exits() {
    sourceOf(without ? null : attachExperiment(workerData.handle), 1)(ROWS);
    process.exit(4);
  },
  throws() {
    sourceOf(without ? null : attachExperiment(workerData.handle), 1)(ROWS);
    throw new Error('on purpose');
  },
  owner() {
    sourceOf(open().experiment, 0)(ROWS);
  },
  ownerExits() {
    sourceOf(open().experiment, 0)(ROWS);
    process.exit(4);
  },
  ownerThrows() {
    sourceOf(open().experiment, 0)(ROWS);
    throw new Error('on purpose');
  },
  async ownerStops() {
    const before = listeners();
    const { crucible, experiment } = open();
    sourceOf(experiment, 0)(ROWS);
    await crucible?.close();
    if (listeners() !== before) say(`listeners before: ${before}, after: ${listeners()}`);
  },
  ownerWaits(parentPort) {
    const capture = sourceOf(open({ flushIntervalMs: 20 }).experiment, 0);
    capture(ROWS);
    setTimeout(() => parentPort.postMessage('captured'), 1000);
    stayAlive();
  },
};

if (isMainThread) await MODES[mode]();
else {
  const { parentPort } = await import('node:worker_threads');
  await PARTS[workerData.part](parentPort);
}
