/**
 * What does a captured event with metadata of its own cost to export?
 *
 * Beside each format: JSON.stringify of finished objects of the same events, which nobody has to make for it.
 */
import { performance } from 'node:perf_hooks';
import { exportBlocks } from '../src/export/index.js';
import { jsonRecord } from '../src/export/jsonl.js';
import { Crucible, type ExportFormat } from '../src/index.js';
import { compileFilter } from '../src/readers/filter.js';
import { openView } from '../src/readers/source.js';
import { type Bench, nsText, type Row, random, type Scale, syntheticCalls } from './harness.js';

const START_US = 1.7e15;
const STEP_US = 3600;
const FORMATS: readonly ExportFormat[] = ['csv', 'jsonl', 'msgpack', 'arrow', 'parquet'];
/** Between them, these formats decode no row of a known shape. */
const UNDECODED: ReadonlySet<ExportFormat> = new Set(['csv', 'jsonl']);

export const exportCaptured: Bench = {
  question: 'What does a captured event with metadata of its own cost to export?',
  not: 'the file; reading the rows in order is counted, and where columns depend on the rows they are read twice',
  async rows(scale: Scale) {
    const count = scale.smoke ? 2000 : 200_000;
    const rounds = scale.smoke ? 1 : 5;
    await using crucible = new Crucible({ workers: 0 });
    const experiment = crucible.startExperiment({ name: 'captured', capacity: 4 * count, producers: 1 });
    const next = random(3);
    const { latencies, costs } = syntheticCalls(count);
    for (let i = 0; i < count; i++) {
      experiment.captureAt(
        START_US + i * STEP_US,
        'req_llm.request.stop',
        { duration: latencies[i] * 1e6, cost: costs[i] },
        {
          model: `model-${i % 16}`,
          provider: 'openai',
          sample_id: `sample-${i}`,
          session_id: `session-${i % 1000}`,
          tokens: { prompt: Math.floor(4000 * next()), completion: Math.floor(1000 * next()) },
          temperature: 0.7,
          retries: i % 3,
        },
      );
    }
    await experiment.stop();
    const { readable, selection } = experiment.selected();
    const view = openView(readable.store, compileFilter(undefined, readable.store.source), selection.limit);
    const objects = (await experiment.query()).map(jsonRecord);
    const ns = (start: number) => ((performance.now() - start) * 1e6) / count;
    const least = new Map<string, number>();
    const note = (name: string, took: number) => least.set(name, Math.min(least.get(name) ?? took, took));
    let bytes = 0;
    for (let round = 0; round < rounds; round++) {
      const start = performance.now();
      for (const object of objects) bytes += JSON.stringify(object).length;
      note('JSON.stringify', ns(start));
      for (const format of FORMATS) {
        const start = performance.now();
        for await (const block of exportBlocks([view], format)) bytes += block.length;
        note(format, ns(start));
      }
    }
    const plain = least.get('JSON.stringify')!;
    return [
      ...FORMATS.map((format): Row => {
        const took = least.get(format)!;
        const isBound = UNDECODED.has(format);
        return {
          name: format,
          value: nsText(took),
          against: `${(plain / took).toFixed(1)} × JSON.stringify`,
          bound: isBound ? '≥ 1.5 ×' : '',
          ...(isBound ? { holds: plain >= 1.5 * took } : {}),
        };
      }),
      { name: 'JSON.stringify', value: nsText(plain), against: `${bytes} bytes in all`, bound: '' },
    ];
  },
};
