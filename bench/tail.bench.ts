/** How long single calls take: the tail of `recordAt`, above the tail of timing nothing. */
import { Crucible } from '../src/index.js';
import { type Bench, nsText, type Row, type Scale, syntheticCalls } from './harness.js';

const INPUTS = 4096;
const CAPACITY = 1 << 16;
/** One bucket a nanosecond; longer calls land in the last. */
const BUCKETS = 1 << 16;
const { latencies, costs } = syntheticCalls(INPUTS);

/** The nanoseconds that a share `p` of the calls did not exceed. */
function quantile(histogram: Float64Array, p: number): number {
  const total = histogram.reduce((sum, count) => sum + count, 0);
  let seen = 0;
  for (let ns = 0; ns < histogram.length; ns++) {
    seen += histogram[ns];
    if (seen >= p * total) return ns;
  }
  return histogram.length;
}

function timeEach(calls: number, call: (i: number) => void): Float64Array {
  const histogram = new Float64Array(BUCKETS);
  for (let i = 0; i < calls; i++) {
    const start = process.hrtime.bigint();
    call(i);
    const ns = Number(process.hrtime.bigint() - start);
    histogram[Math.min(ns, BUCKETS - 1)]++;
  }
  return histogram;
}

export const tail: Bench = {
  question: 'How long do the slowest calls of recordAt take?',
  not: 'calls that a garbage collection or the system interrupts count on both sides',
  async rows(scale: Scale) {
    await using crucible = new Crucible();
    const experiment = crucible.startExperiment({ name: 'tail', capacity: CAPACITY, prefault: true });
    const recorder = experiment.recorder('req_llm.request.stop', { model: 'gpt-4' });
    const record = (i: number) => {
      const input = (i * 17) & (INPUTS - 1);
      recorder.recordAt(1.7e15 + i, latencies[input], costs[input], 100, 50, true);
    };
    let nothing = 0;
    const floorCall = (i: number) => {
      nothing += i;
    };
    const calls = scale.smoke ? 10_000 : 10_000_000;
    // Warm both, then fill the ring twice, so that pages and code are as in a long run.
    timeEach(Math.min(calls, 200_000), floorCall);
    timeEach(Math.min(calls, 200_000), record);
    const floor = timeEach(calls, floorCall);
    const recorded = timeEach(calls, record);
    return [0.5, 0.99, 0.999, 0.9999].map((p): Row => {
      const [base, value] = [quantile(floor, p), quantile(recorded, p)];
      const limit = p === 0.99 ? 60 : p === 0.9999 ? 1000 : undefined;
      const above = value - base;
      return {
        name: `p${p * 100} of ${calls.toLocaleString('en-US')} calls`,
        value: nsText(value),
        against: `${above} ns above ${base} ns (nothing: ${nothing % 10})`,
        bound: limit === undefined ? '' : `≤ ${limit} ns more`,
        ...(limit === undefined ? {} : { holds: above <= limit }),
      };
    });
  },
};
