/**
 * A thread that writes one experiment through its handle, every row a function of the thread and a counter (see
 * race.ts). It runs the built package, since threads need JavaScript.
 */
import { parentPort, threadId, workerData } from 'node:worker_threads';
import { attachExperiment } from '../../dist/src/index.js';

/** Words of the control array; race.ts has the same. */
const STARTED = 0;
const GO = 1;
const STOP = 2;
const ROWS_WRITTEN = 8;

const { handle, thread, rows, mode, captureEvery, words } = workerData;
const writer = attachExperiment(handle);
const recorder = writer.recorder(`thread ${thread}`, { model: `model ${thread}` });
let written = 0;

function writeRow() {
  const i = written;
  const latencyMs = thread * 2 ** 24 + i;
  const costUsd = latencyMs / 8;
  const completion = (i * 31 + thread) % 1000;
  const success = i % 3 === 0 ? null : i % 3 === 1;
  if (captureEvery > 0 && i % captureEvery === 0) {
    writer.captureAt(
      i,
      `thread ${thread}`,
      { latencyMs, cost: costUsd },
      {
        model: `model ${thread}`,
        tokens: { prompt: i, completion, total: i + completion },
        ...(success === null ? {} : success ? { response: 'yes' } : { error: 'no' }),
        check: `${thread}/${i}/${'x'.repeat(i % 50)}`,
        label: `label ${i % 200}`,
      },
    );
  } else recorder.recordAt(i, latencyMs, costUsd, i, completion, success);
  written++;
  Atomics.store(words, ROWS_WRITTEN + thread, written);
}

Atomics.add(words, STARTED, 1);
Atomics.notify(words, STARTED);
Atomics.wait(words, GO, 0);

const wanted = () => written < rows && Atomics.load(words, STOP) === 0;

switch (mode) {
  case 'exit':
    // All at once; the thread then ends by itself with rows unpublished.
    while (wanted()) writeRow();
    break;
  case 'paced':
    // As 'exit', at some hundred rows a millisecond: the event loop does not turn either.
    while (wanted()) {
      writeRow();
      if (written % 128 === 0) Atomics.wait(words, STOP, 0, 0.2);
    }
    break;
  case 'hot': {
    // As fast as it goes, over many recorders: not even the counter is kept, and latency alone tells the rows apart.
    const recorders = Array.from({ length: 48 }, (_, n) => writer.recorder(`hot ${n}`));
    for (let i = 0; wanted(); i++) {
      for (const hot of recorders) hot.recordAt(i, 1 + (i % 100_000), 1, 1, 1, true);
      if (i % 16 === 0) Atomics.store(words, ROWS_WRITTEN + thread, i * recorders.length);
    }
    break;
  }
  case 'process.exit':
    while (wanted()) writeRow();
    process.exit(0);
    break;
  case 'throw':
    while (wanted()) writeRow();
    throw new Error(`thread ${threadId} fails on purpose`);
  case 'hang':
    // Never turns its event loop again, so that only the experiment can hand in its rows.
    while (wanted()) writeRow();
    parentPort.postMessage('written');
    Atomics.wait(words, STOP, 0);
    break;
  case 'turns': {
    // Lets its event loop turn after every few rows.
    const step = () => {
      for (let n = 0; n < 7 && wanted(); n++) writeRow();
      if (wanted()) setImmediate(step);
    };
    step();
    break;
  }
  default:
    throw new Error(`no such mode: ${mode}`);
}
