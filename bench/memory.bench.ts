/** What a recorded event leaves behind: garbage on the heap, and bytes in the ring. */
import { CHUNK_ENTRY_BYTES, CHUNK_ROWS, COLUMNS_END_OFFSET } from '../assembly/layout.js';
import { Crucible } from '../src/index.js';
import { type Bench, type Row, type Scale, syntheticCalls } from './harness.js';

const INPUTS = 4096;
const { latencies, costs } = syntheticCalls(INPUTS);

export const memory: Bench = {
  question: 'How much memory does a recorded event take?',
  not: 'undeclared metadata, which takes what its MessagePack takes',
  async rows(scale: Scale) {
    await using crucible = new Crucible();
    const experiment = crucible.startExperiment({ name: 'memory', capacity: 1 << 16, prefault: true });
    const recorder = experiment.recorder('req_llm.request.stop', { model: 'gpt-4' });
    const recordAt = (calls: number) => {
      for (let i = 0; i < calls; i++) {
        const input = (i * 17) & (INPUTS - 1);
        recorder.recordAt(1.7e15 + i, latencies[input], costs[input], 100, 50, true);
      }
    };
    const record = (calls: number) => {
      for (let i = 0; i < calls; i++) {
        const input = (i * 17) & (INPUTS - 1);
        recorder.record(latencies[input], costs[input], 100, 50, true);
      }
    };
    const calls = scale.smoke ? 100_000 : 10_000_000;
    const fixedBytes = (COLUMNS_END_OFFSET + CHUNK_ENTRY_BYTES) / CHUNK_ROWS;
    return [
      garbageRow('recordAt, garbage an event', recordAt, calls),
      garbageRow('record, garbage an event', record, calls),
      {
        name: 'fixed columns, resident an event',
        value: `${fixedBytes.toFixed(1)} B`,
        against: '1,176 B in the reference',
        bound: '≤ 42 B',
        holds: fixedBytes <= 42,
      },
    ];
  },
};

/** Heap growth over the calls; a collection meanwhile would show as a loss and is repeated. */
function garbageRow(name: string, work: (calls: number) => void, calls: number): Row {
  work(calls / 10);
  let bytes = Number.POSITIVE_INFINITY;
  for (let attempt = 0; attempt < 5; attempt++) {
    const before = process.memoryUsage().heapUsed;
    work(calls);
    const grown = (process.memoryUsage().heapUsed - before) / calls;
    if (grown >= 0) bytes = Math.min(bytes, grown);
  }
  return { name, value: `${bytes.toFixed(3)} B`, against: '', bound: '< 0.5 B', holds: bytes < 0.5 };
}
