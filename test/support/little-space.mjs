/** node little-space.mjs ROWS WORKERS FOLDER [DIR]: prints what came of each step, a line of JSON each. */
import { join } from 'node:path';
import { Crucible } from '../../dist/src/index.js';

const [rows, workers, folder, dir] = process.argv.slice(2);

/**
 * @template T
 * @param {string} name
 * @param {() => T | Promise<T>} act
 * @param {(result: T) => unknown} [told]
 */
async function step(name, act, told = () => 'ok') {
  try {
    const result = await act();
    console.log(JSON.stringify([name, told(result)]));
    return result;
  } catch (error) {
    const { code, message } = /** @type {Error & { code: string }} */ (error);
    console.log(JSON.stringify([name, { code, message }]));
    return undefined;
  }
}

const crucible = new Crucible({ workers: Number(workers), ...(dir && { dir }) });
const experiment = await step('start', () => crucible.startExperiment({ name: 'little', capacity: 100_000 }));
if (experiment !== undefined) {
  const recorder = experiment.recorder('request');
  for (let i = 0; i < Number(rows); i++) recorder.record(i);
  if (dir) await step('flush', () => experiment.flush());
  await step(
    'metrics',
    () => experiment.metrics(),
    (metrics) => metrics.latency.count,
  );
  await step(
    'export',
    () => experiment.export('csv', { path: join(folder ?? '', 'x.csv') }),
    ({ rows }) => rows,
  );
}
await step('close', () => crucible.close());
