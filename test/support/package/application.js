/**
 * An application that uses a bit of everything that needs a thread, WebAssembly or a package imported when it is first
 * asked for, and prints what came of it. No file of it is beside its bundle.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Writable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { ConfigError, Crucible, telemetry, VERSION } from 'crucible-telemetry';
import { quantile } from 'crucible-telemetry/stats';

const ROWS = 20_000;
const FEW = 2_500;

async function main() {
  const dir = mkdtempSync(join(tmpdir(), 'crucible-bundled-'));
  /** @type {Record<string, unknown>} */
  const printed = { version: VERSION, median: quantile([1, 2, 3], 0.5) };
  const crucible = new Crucible({ dir, workers: 1 });
  const experiment = crucible.startExperiment({ name: 'bundled', capacity: 65_536 });
  const recorder = experiment.recorder('request', { model: 'gpt-4' });
  for (let i = 0; i < ROWS; i++) recorder.record(i);
  experiment.run(() =>
    telemetry.execute('req_llm.request.stop', { duration: 5e6 }, { model: 'gpt-4', n: 1 }),
  );
  await experiment.flush();
  printed.durable = experiment.storage?.durable;
  printed.metrics = (await experiment.metrics()).latency.count;
  const inMemory = new Crucible({ workers: 1 });
  const few = inMemory.startExperiment({ name: 'few', capacity: FEW });
  const another = few.recorder('request');
  for (let i = 0; i < FEW; i++) another.record(i);
  for (const format of /** @type {const} */ (['csv', 'jsonl', 'msgpack', 'parquet', 'arrow'])) {
    const path = join(dir, `exported.${format}`);
    const { rows } = await few.export(format, { path });
    const imported = await inMemory.startExperiment({ name: 'again', capacity: FEW }).importFile(path);
    printed[format] = [rows, imported.rows];
  }
  await inMemory.close();
  let bytes = 0;
  const counting = new Writable({
    write(chunk, _, done) {
      bytes += chunk.length;
      done();
    },
  });
  await pipeline(experiment.exportStream('csv'), counting);
  printed.streamed = bytes > 100 * ROWS;
  try {
    crucible.startExperiment({ name: '' });
  } catch (error) {
    const { name, code, stack } = /** @type {ConfigError} */ (error);
    printed.error = [name, code, error instanceof ConfigError, String(stack).split(':')[0]];
  }
  await experiment.stop();
  printed.compacted = (await experiment.compact()).segments;
  await crucible.close();
  const later = new Crucible({ dir });
  printed.recovered = (await later.recover()).rows;
  await later.close();
  rmSync(dir, { recursive: true });
  console.log(JSON.stringify(printed));
}

main();
