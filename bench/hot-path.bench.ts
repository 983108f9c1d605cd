/** What a recorded event costs on the capturing thread: ring, both moments, both sketches, publication. */
import { Crucible, type Experiment, type Recorder } from '../src/index.js';
import {
  type Bench,
  type Candidate,
  plainRow,
  ratioRow,
  type Scale,
  syntheticCalls,
  time,
} from './harness.js';

const INPUTS = 4096;
/**
 * Inputs are taken in steps of so many: read one after the other, they would keep step with the rows, and where the
 * two happen to lie at the same distance within a page, each load waits for stores it has nothing to do with
 * (up to 3 ns, in this loop or in the floor's, as the allocator has it).
 */
const STRIDE = 17;
const RECORDERS = 16;
/** Rows of the ring: the floor stores into as much memory, in the same order. */
const CAPACITY = 1 << 16;
const { latencies, costs } = syntheticCalls(INPUTS);

/** Stores the same columns into plain typed arrays over shared memory, and nothing else. */
function floor(operations: number): Candidate {
  const doubles = (n: number) => new Float64Array(new SharedArrayBuffer(8 * n));
  const words = (n: number) => new Int32Array(new SharedArrayBuffer(4 * n));
  const time = doubles(CAPACITY);
  const latency = doubles(CAPACITY);
  const cost = doubles(CAPACITY);
  const prompt = words(CAPACITY);
  const completion = words(CAPACITY);
  const tag = words(CAPACITY);
  let row = 0;
  return {
    name: 'stores only',
    operations,
    run() {
      for (let i = 0; i < operations; i++) {
        const input = (i * STRIDE) & (INPUTS - 1);
        time[row] = 1.7e15 + i;
        latency[row] = latencies[input];
        cost[row] = costs[input];
        prompt[row] = 100 + input;
        completion[row] = input;
        tag[row] = i & (RECORDERS - 1);
        row = (row + 1) & (CAPACITY - 1);
      }
      return row;
    },
  };
}

function recordersOf(experiment: Experiment, count: number): Recorder[] {
  return Array.from({ length: count }, (_, i) =>
    experiment.recorder('req_llm.request.stop', { model: `model-${i}` }),
  );
}

// The loops are written out one by one: closures made from one source share what V8 learns about their calls, which
// costs each of them 2 to 3 ns that no caller of the library would pay.

function oneRecorder([recorder]: readonly Recorder[], operations: number): Candidate {
  return {
    name: 'recordAt, 1 recorder',
    operations,
    run() {
      for (let i = 0; i < operations; i++) {
        const input = (i * STRIDE) & (INPUTS - 1);
        recorder!.recordAt(1.7e15 + i, latencies[input], costs[input], 100 + input, input, true);
      }
      return 1;
    },
  };
}

function sixteenRecorders(recorders: readonly Recorder[], operations: number): Candidate {
  return {
    name: 'recordAt, 16 recorders',
    operations,
    run() {
      for (let i = 0; i < operations; i++) {
        const input = (i * STRIDE) & (INPUTS - 1);
        recorders[i & 15].recordAt(1.7e15 + i, latencies[input], costs[input], 100 + input, input, true);
      }
      return 1;
    },
  };
}

function fourExperiments(recorders: readonly Recorder[], operations: number): Candidate {
  return {
    name: 'recordAt, 4 experiments × 4 recorders',
    operations,
    run() {
      for (let i = 0; i < operations; i++) {
        const input = (i * STRIDE) & (INPUTS - 1);
        recorders[i & 15].recordAt(1.7e15 + i, latencies[input], costs[input], 100 + input, input, true);
      }
      return 1;
    },
  };
}

function clockOnly(operations: number): Candidate {
  const times = new BigInt64Array(1024);
  const now = process.hrtime.bigint;
  return {
    name: 'clock only',
    operations,
    run() {
      for (let i = 0; i < operations; i++) times[i & 1023] = now();
      return Number(times[0] & 1023n);
    },
  };
}

function record(name: string, recorder: Recorder, operations: number): Candidate {
  return {
    name,
    operations,
    run() {
      for (let i = 0; i < operations; i++) {
        const input = (i * STRIDE) & (INPUTS - 1);
        recorder.record(latencies[input], costs[input], 100 + input, input, true);
      }
      return 1;
    },
  };
}

export const hotPath: Bench = {
  question: 'What does an event cost the thread that records it?',
  not: 'reading, export, events that are enriched (see capture)',
  async rows(scale: Scale) {
    await using crucible = new Crucible();
    const start = (name: string) => crucible.startExperiment({ name, capacity: CAPACITY, prefault: true });
    const n = scale.operations;
    const byExperiment = [1, 2, 3, 4].flatMap((i) => recordersOf(start(`four-${i}`), 4));
    const interleaved = byExperiment.map((_, i) => byExperiment[(i % 4) * 4 + (i >> 2)]);
    const [stores, one, sixteen, four, clock, recorded] = time(
      [
        floor(n),
        oneRecorder(recordersOf(start('one'), 1), n),
        sixteenRecorders(recordersOf(start('sixteen'), RECORDERS), n),
        fourExperiments(interleaved, n),
        clockOnly(n),
        record('record', recordersOf(start('clock'), 1)[0], n),
      ],
      scale,
    );
    return [
      plainRow(stores),
      ratioRow(one, stores, undefined),
      ratioRow(sixteen, stores, 2.3),
      { ...ratioRow(four, stores, undefined), bound: '≤ 10 ns', holds: four.ns <= 10 },
      plainRow(clock),
      ratioRow(recorded, clock, 1.3),
    ];
  },
};
