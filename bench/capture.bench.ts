/** What an enriched event costs its emitter: `telemetry.execute` with one experiment listening, and with none. */
import { Crucible, telemetry } from '../src/index.js';
import { type Bench, type Candidate, plainRow, type Row, ratioRow, type Scale, time } from './harness.js';

/** What the reference implementation costs an event on its own runtime. */
const REFERENCE_NS = 5000;
const CAPACITY = 1 << 16;

const MODELS = ['gpt-4', 'gpt-4-turbo', 'claude-3-opus', 'claude-3-sonnet'];
const EVENT = 'req_llm.request.stop';

/** Fresh objects each time, as an emitter makes them. */
function emit(name: string, event: string, operations: number, withColumns: boolean): Candidate {
  const plain = (i: number) => ({
    model: MODELS[i & 3],
    provider: 'openai',
    tokens: { prompt: 100 + (i & 63), completion: 50, total: 150 + (i & 63) },
    response: 'The answer is 42.',
  });
  const declared = (i: number) => ({
    model: MODELS[i & 3],
    provider: 'openai',
    tokens: { prompt: 100 + (i & 63), completion: 50, total: 150 + (i & 63) },
    response: 'The answer is 42.',
    temperature: 0.7,
    attempt: i & 3,
    cached: (i & 1) === 0,
    region: 'eu-west',
  });
  const run = withColumns
    ? () => {
        for (let i = 0; i < operations; i++) telemetry.execute(event, { duration: 1e8 + i }, declared(i));
        return 1;
      }
    : () => {
        for (let i = 0; i < operations; i++) telemetry.execute(event, { duration: 1e8 + i }, plain(i));
        return 1;
      };
  return { name, operations, run };
}

let calls = 0;
function nothing(event: string, measurements: object): void {
  if (measurements === null) calls += event.length;
}

// Written out twice: loops made from one source share what V8 learns about the function they call.
function emptyCalls(operations: number): Candidate {
  const measurements = { duration: 1 };
  return {
    name: 'an empty call',
    operations,
    run() {
      for (let i = 0; i < operations; i++) nothing('nobody.listens', measurements);
      return calls;
    },
  };
}

function silentEvents(operations: number): Candidate {
  const measurements = { duration: 1 };
  return {
    name: 'execute, nobody listening',
    operations,
    run() {
      for (let i = 0; i < operations; i++) telemetry.execute('nobody.listens', measurements);
      return calls;
    },
  };
}

export const capture: Bench = {
  question: 'What does an event on the bus cost the code that emits it?',
  not: 'the cost of making the event objects is in all figures but the empty call',
  async rows(scale: Scale) {
    const n = Math.max(1, scale.operations >> 3);
    const [empty, silent] = time([emptyCalls(scale.operations), silentEvents(scale.operations)], scale);
    const [typical] = await withExperiment({}, () =>
      time([emit('execute, typical LLM event', EVENT, n, false)], scale),
    );
    const columns = { temperature: 'f64', attempt: 'i32', cached: 'bool', region: 'dict' } as const;
    const [base, four] = await withExperiment({ columns }, () =>
      time(
        [
          emit('execute, columns declared, none given', EVENT, n, false),
          emit('execute, four declared columns', EVENT, n, true),
        ],
        scale,
      ),
    );
    const extra = four.ns - base.ns;
    const rows: Row[] = [
      plainRow(empty),
      { ...ratioRow(silent, empty, undefined), bound: '≤ 2 ns more', holds: silent.ns - empty.ns <= 2 },
      {
        ...plainRow(typical, `${(REFERENCE_NS / typical.ns).toFixed(1)} × faster than 5 µs`),
        bound: '≤ 400 ns, ≥ 12 ×',
        holds: typical.ns <= 400 && REFERENCE_NS / typical.ns >= 12,
      },
      {
        ...plainRow(four, `${extra.toFixed(1)} ns more`),
        bound: '≤ 25 ns more',
        holds: extra <= 25,
      },
    ];
    return rows;
  },
};

async function withExperiment<T>(
  options: { columns?: Record<string, 'f64' | 'i32' | 'bool' | 'dict'> },
  fn: () => T,
): Promise<T> {
  await using crucible = new Crucible();
  crucible.startExperiment({ name: 'bench', capacity: CAPACITY, ...options });
  return fn();
}
