/** Events of every kind that an experiment can hold, and what it takes to write them to files and compare them. */

import fc from 'fast-check';
import type { EventWriter } from '../../src/capture/event-writer.js';
import { setOwn } from '../../src/formats/msgpack/stored-value.js';

/** 2023-11-14T22:13:20Z */
export const START_US = 1_700_000_000_000_000;
export const COLUMNS = { score: 'f64', turn: 'i32', cached: 'bool', region: 'dict' } as const;

/** One thing that a program tells an experiment. */
export type Step =
  | {
      readonly kind: 'record';
      readonly timeUs: number;
      readonly event: string;
      readonly bound: Record<string, unknown>;
      readonly values: [number, number, number, number, boolean | null];
    }
  | {
      readonly kind: 'capture';
      readonly timeUs: number;
      readonly event: string;
      readonly measurements: Record<string, unknown>;
      readonly metadata: Record<string, unknown>;
    };

const EVENTS = [
  'req_llm.request.stop',
  'req_llm.request.exception',
  'crucible_train.epoch.stop',
  'ensemble.vote.completed',
  'my.event',
];
const MODELS = ['gpt-4', 'claude-3-opus', 'модель', 'a,"b"'];

export const number = fc.oneof(
  fc.double(),
  fc.integer(),
  fc.constantFrom(
    0,
    -0,
    1,
    -1,
    0.1,
    1e21,
    2 ** 53,
    2 ** 53 - 1,
    5e-324,
    1.5,
    4294967295,
    Number.NaN,
    Infinity,
  ),
);
export const text = fc.oneof(
  fc.string({ maxLength: 12 }),
  fc.constantFrom(
    '',
    ' x ',
    '007',
    '1',
    '1.50',
    '1e5',
    'true',
    'null',
    'a,b',
    'a "quote"',
    'line\nline',
    '\r',
    '=1+1',
    '漢字😀',
    'lone \ud800 surrogate',
    'long '.repeat(20),
    '{"a":1}',
    '[]',
  ),
);
const key = fc.oneof(
  fc.constantFrom(
    'a',
    'b',
    'a_b',
    'a_b_2',
    'a_b!',
    'b_c',
    'user_id',
    'sessionId',
    'sample_id',
    '1',
    '42',
    'x y',
    '',
    '__',
    '__proto__',
    '__proto___',
  ),
  fc.constantFrom(
    'score',
    'turn',
    'cached',
    'region',
    'votes',
    'loss',
    'epoch',
    'learning_rate',
    'response',
    'cost',
  ),
  fc.string({ maxLength: 5 }).filter((name) => name !== '__proto__'),
);
export const json = fc.letrec<{ value: unknown }>((tie) => ({
  value: fc.oneof(
    { maxDepth: 3 },
    { weight: 5, arbitrary: fc.oneof(fc.constant(null), fc.boolean(), number, text) },
    { weight: 1, arbitrary: fc.array(tie('value'), { maxLength: 3 }) },
    { weight: 2, arbitrary: fc.array(fc.tuple(key, tie('value')), { maxLength: 3 }).map(objectOf) },
  ),
})).value;

const tokens = fc.oneof(
  fc
    .tuple(fc.nat(5000), fc.nat(5000))
    .map(([prompt, completion]) => ({ prompt, completion, total: prompt + completion })),
  fc.tuple(fc.nat(5000), fc.nat(5000)).map(([input, output]) => ({ input, output })),
  fc.record({ prompt: fc.nat(10), total: fc.nat(10_000) }),
  json,
);
const metadata = fc
  .tuple(
    fc.record(
      {
        model: fc.oneof(fc.constantFrom(...MODELS), json),
        provider: fc.constantFrom('openai', 'anthropic', null),
        tokens,
      },
      { requiredKeys: [] },
    ),
    fc.array(fc.tuple(key, json), { maxLength: 4 }).map(objectOf),
    fc.boolean(),
  )
  .map(([known, other, first]) => (first ? { ...known, ...other } : { ...other, ...known }));
const measurements = fc
  .tuple(
    fc.record(
      { duration: fc.nat(1e9), cost: number, status: fc.constantFrom('ok', 'error') },
      { requiredKeys: [] },
    ),
    fc.array(fc.tuple(key, json), { maxLength: 2 }).map(objectOf),
  )
  .map(([known, other]) => ({ ...known, ...other }));

const timeUs = fc.nat(50).map((offset) => START_US + offset);
const count = fc.oneof(fc.constant(-1), fc.nat(2 ** 31 - 1));

export const step: fc.Arbitrary<Step> = fc.oneof(
  fc.record({
    kind: fc.constant('record' as const),
    timeUs,
    event: fc.constantFrom(...EVENTS),
    bound: fc.record(
      {
        model: fc.constantFrom(...MODELS),
        provider: fc.constant('openai'),
        region: fc.constantFrom('eu', 'us'),
        user_id: fc.constantFrom('u1', 7),
        deep: json,
      },
      { requiredKeys: [] },
    ),
    values: fc.tuple(number, number, count, count, fc.constantFrom(true, false, null)),
  }),
  fc.record({
    kind: fc.constant('capture' as const),
    timeUs,
    event: fc.constantFrom(...EVENTS),
    measurements,
    metadata,
  }),
);
export const script = fc.array(step, { minLength: 1, maxLength: 12 });

export function play(steps: readonly Step[], writer: Pick<EventWriter, 'recorder' | 'capture'>): void {
  for (const step of steps) {
    if (step.kind === 'record') {
      writer.recorder(step.event, step.bound).recordAt(step.timeUs, ...step.values);
    } else writer.capture(step.event, step.measurements, step.metadata, undefined, step.timeUs);
  }
}

function objectOf(entries: readonly (readonly [string, unknown])[]): Record<string, unknown> {
  const object: Record<string, unknown> = {};
  for (const [name, value] of entries) setOwn(object, name, value);
  return object;
}
