/**
 * How many events a second does each way of emitting take in, as the `benchmark` package measures it?
 *
 * It gives means and their relative margin of error, and no percentiles: its samples are means of cycles. One
 * candidate runs after the other, not in turns, so on a machine whose speed changes only the other benchmarks'
 * ratios can be trusted. Every call goes through a closure, a nanosecond or so that `hot-path` does not have.
 *
 * Not measured: single latencies, publishing to somebody (see hot-path for what the recorder itself costs).
 */
import Benchmark from 'benchmark';
import { Crucible, telemetry } from '../src/index.js';
import { type Bench, type Row, type Scale, SMOKE, syntheticCalls, time } from './harness.js';

const INPUTS = 4096;
const EVENT = 'req_llm.request.stop';
/** Of no registry, so that no experiment is subscribed to it. */
const UNHEARD = 'bench.suite.unheard';
const { latencies, costs } = syntheticCalls(INPUTS);

function emittersOf(crucible: Crucible) {
  const experiment = crucible.startExperiment({ name: 'suite', capacity: 1 << 16, prefault: true });
  const recorder = experiment.recorder(EVENT, { model: 'model-0', provider: 'provider-0' });
  let calls = 0;
  const next = () => calls++ & (INPUTS - 1);
  const emitters: Record<string, () => void> = {
    recordAt() {
      const i = next();
      recorder.recordAt(1.7e15 + calls, latencies[i], costs[i], 100 + i, i, true);
    },
    record() {
      const i = next();
      recorder.record(latencies[i], costs[i], 100 + i, i, true);
    },
    'capture()'() {
      const i = next();
      experiment.capture(
        EVENT,
        { latencyMs: latencies[i], cost: costs[i] },
        { model: 'model-0', provider: 'provider-0', tokens: { prompt: 100 + i, completion: i } },
      );
    },
    'span, start and stop'() {
      const i = next();
      recorder.start().stop({ costUsd: costs[i], promptTokens: 100 + i, completionTokens: i });
    },
    'publish, nobody listening'() {
      const i = next();
      telemetry.execute(UNHEARD, { latencyMs: latencies[i], cost: costs[i] }, { model: 'model-0' });
    },
  };
  return { emitters, taken: () => experiment.counts.captured + calls };
}

function throughputRow({ name, hz, stats }: Benchmark): Row {
  return {
    name: name ?? '',
    value: `${(hz / 1e6).toFixed(hz < 1e7 ? 2 : 1)} M/s`,
    against: `± ${stats.rme.toFixed(2)} % of the mean, ${stats.sample.length} samples`,
    bound: '',
  };
}

export const suite: Bench = {
  question: 'How many events a second does each way of emitting take in?',
  not: 'percentiles, single latencies, publishing to listeners',
  async rows({ smoke }: Scale) {
    await using crucible = new Crucible();
    const { emitters, taken } = emittersOf(crucible);
    const options = smoke ? { maxTime: 0.001, minTime: 0.001, minSamples: 2, initCount: 1 } : { maxTime: 2 };
    const rows = Object.entries(emitters).map(([name, emit]) => {
      const benchmark = new Benchmark(name, emit, options).run({ async: false });
      if (benchmark.error) throw benchmark.error;
      return throughputRow(benchmark);
    });
    // Nothing is timed here: it hands what was taken in to what the run prints as consumed.
    time([{ name: 'taken', operations: 1, run: taken }], { ...SMOKE, rounds: 1 });
    return rows;
  },
};
