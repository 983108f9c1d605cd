// One experiment, several threads: the main one shares a handle, the workers attach to it.
import { isMainThread, Worker, workerData } from 'node:worker_threads';
import { attachExperiment, Crucible } from 'crucible-telemetry';

const THREADS = 3;
const EVENTS = 5000;

if (isMainThread) {
  const crucible = new Crucible();
  const experiment = crucible.startExperiment({ name: 'threads', capacity: 32_768, producers: THREADS + 1 });
  const handle = experiment.share();
  const ended = Array.from({ length: THREADS }, (_, thread) => {
    const worker = new Worker(new URL(import.meta.url), { workerData: { handle, thread } });
    return new Promise((resolve, reject) => {
      worker.once('error', reject);
      worker.once('exit', resolve);
    });
  });
  await Promise.all(ended);
  await experiment.stop();

  const { count, recorders } = experiment.streamingMetrics();
  console.log(`${count} events from ${recorders.length} threads, ${experiment.counts.dropped} dropped`);
  await crucible.close();
} else {
  const writer = attachExperiment(workerData.handle);
  const recorder = writer.recorder('altar.tool.stop', { thread: workerData.thread });
  for (let event = 0; event < EVENTS; event++) recorder.record(event / 100);
  // Ending the thread publishes what is left; `close` does so at once and gives the thread's place back.
  writer.close();
}
