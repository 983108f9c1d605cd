/** For the tests of formats with typed columns: captured rows, files made of them, and what should be in those. */

import fc from 'fast-check';
import { EventWriter } from '../../src/capture/event-writer.js';
import { systemClock } from '../../src/clock.js';
import { resolveOptions } from '../../src/experiment/options.js';
import { Stores } from '../../src/experiment/stores.js';
import type { EncodeOptions, ExperimentAbout, ExportFormatDefinition } from '../../src/export/encoder.js';
import { ColumnPlan } from '../../src/export/plan.js';
import type { ExperimentOptions } from '../../src/index.js';
import { compileFilter } from '../../src/readers/filter.js';
import { MemoryStore } from '../../src/readers/memory-store.js';
import { orderedRows } from '../../src/readers/ordered.js';
import { openView, type View } from '../../src/readers/source.js';
import type { EventRow, Json } from '../../src/schema/event.js';
import { REFERENCE_PRICES } from '../../src/schema/prices.js';
import { allEvents } from '../readers/support.js';
import { blocksOfViews, encoded } from './support.js';

/** The rows of an experiment without the rest of it. */
export function captured(
  options: Partial<ExperimentOptions>,
  fill: (writer: EventWriter, other: () => EventWriter) => void,
): View {
  const resolved = resolveOptions({
    name: 'typed',
    id: 'e1',
    capacity: 8192,
    ...options,
  } as ExperimentOptions);
  const stores = new Stores(resolved, { clock: systemClock, prices: REFERENCE_PRICES });
  const others: EventWriter[] = [];
  fill(stores.writer, () => {
    const writer = new EventWriter(stores.memory, stores.geometry, REFERENCE_PRICES, systemClock);
    others.push(writer);
    return writer;
  });
  for (const writer of [stores.writer, ...others]) writer.ring.publish();
  return openView(new MemoryStore(stores.reader, stores.source), compileFilter(undefined, stores.source));
}

async function planOf(views: readonly View[]): Promise<ColumnPlan> {
  const plan = new ColumnPlan();
  for (const view of views) {
    for await (const block of orderedRows(view)) plan.addRows(view.source, block);
  }
  return plan;
}

/** All bytes of a file; one experiment after the other. */
export async function encodeViews(
  format: ExportFormatDefinition,
  views: readonly View[],
  options: EncodeOptions = {},
  about: ExperimentAbout[] = [],
): Promise<Buffer> {
  const encoder = await format.open(await planOf(views), about, options);
  return encoded(encoder, blocksOfViews(...views));
}

/** The same from events. */
export async function encodeEvents(
  format: ExportFormatDefinition,
  events: readonly EventRow[],
  options: EncodeOptions = {},
  about: ExperimentAbout[] = [],
  blockRows = 700,
  declared: View['source']['columns'] = [],
): Promise<Buffer> {
  const plan = new ColumnPlan();
  plan.declare(declared);
  for (const event of events) plan.add(event);
  const encoder = await format.open(plan, about, options);
  const blocks = Array.from({ length: Math.ceil(events.length / blockRows) }, (_, i) => ({
    events: events.slice(i * blockRows, (i + 1) * blockRows),
  }));
  return encoded(encoder, blocks);
}

export const eventsOfView = (view: View): Promise<EventRow[]> => allEvents(view);

/** A value as all readers' values are compared: whole numbers as numbers, texts well formed. */
export type Cell = null | boolean | number | string;

export interface ExpectedColumn {
  readonly kind: 'float' | 'integer' | 'timestamp' | 'bool' | 'text' | 'json';
  readonly values: readonly Json[];
}

/** The columns that a file of these events must have, by name in file order. */
export function expectedColumns(events: readonly EventRow[], flatten = true): Map<string, ExpectedColumn> {
  const columns: { name: string; path: string; kind: ExpectedColumn['kind'] | null; values: Json[] }[] = [];
  const fixed = (name: string, kind: ExpectedColumn['kind'], read: (event: EventRow) => Json) =>
    columns.push({ name, path: '', kind, values: events.map(read) });
  const text = (value: Json) => (value === null || typeof value === 'string' ? value : JSON.stringify(value));
  fixed('cohort', 'text', (event) => text(event.cohort));
  fixed('condition', 'text', (event) => event.condition);
  fixed('cost_usd', 'float', (event) => event.costUsd);
  fixed('event_id', 'text', (event) => event.eventId);
  fixed('event_name', 'text', (event) => event.eventName);
  fixed('experiment_id', 'text', (event) => event.experimentId);
  fixed('experiment_name', 'text', (event) => event.experimentName);
  fixed('latency_ms', 'float', (event) => event.latencyMs);
  fixed('model', 'text', (event) => event.model);
  fixed('provider', 'text', (event) => event.provider);
  fixed('sample_id', 'text', (event) => text(event.sampleId));
  fixed('sequence', 'integer', (event) => event.sequence);
  fixed('session_id', 'text', (event) => text(event.sessionId));
  fixed('success', 'bool', (event) => event.success);
  fixed('timestamp', 'timestamp', (event) => event.timestamp);
  if (flatten) {
    fixed('correlation_id', 'text', (event) => text(event.correlationId));
    fixed('cost_source', 'text', (event) => event.costSource);
    fixed('malformed', 'bool', (event) => event.malformed);
    fixed('malformed_keys', 'json', (event) => [...event.malformedKeys]);
    fixed('span_id', 'text', (event) => text(event.spanId));
    fixed('tags', 'json', (event) => [...event.tags]);
    fixed('tokens_completion', 'integer', (event) => event.tokens?.completion ?? null);
    fixed('tokens_prompt', 'integer', (event) => event.tokens?.prompt ?? null);
    fixed('tokens_total', 'integer', (event) => event.tokens?.total ?? null);
    fixed('trace_id', 'text', (event) => text(event.traceId));
    fixed('user_id', 'text', (event) => text(event.userId));
    const parts: [string, (event: EventRow) => Record<string, Json>, boolean][] = [
      ['', (event) => event.fields, true],
      ['measurement_', (event) => event.measurements, false],
      ['metadata_', (event) => event.metadata, false],
    ];
    for (const [prefix, read, renamed] of parts) {
      const found = new Map<string, { path: string[]; values: Json[] }>();
      events.forEach((event, row) => {
        for (const [path, value] of leaves(read(event))) {
          const key = JSON.stringify(path);
          const column = found.get(key) ?? { path, values: events.map(() => null as Json) };
          found.set(key, column);
          column.values[row] = value;
        }
      });
      for (const [key, { path, values }] of found) {
        const [first, ...rest] = path.map(valid);
        const name = [prefix + (renamed ? snake(first!) : first!), ...rest].join('_');
        columns.push({ name, path: key, kind: null, values });
      }
    }
  } else {
    fixed('measurements', 'json', (event) => event.measurements);
    fixed('metadata', 'json', (event) => event.metadata);
  }
  columns.sort((a, b) => compare(a.name, b.name) || compare(a.path, b.path));
  const names = new Set(columns.map(({ name }) => name));
  const expected = new Map<string, ExpectedColumn>();
  for (const { name, kind, values } of columns) {
    let unique = name;
    for (let n = 2; expected.has(unique) || (unique !== name && names.has(unique)); n++)
      unique = `${name}_${n}`;
    expected.set(unique, { kind: kind ?? kindOf(values), values });
  }
  return new Map([...expected].sort(([a], [b]) => compare(a, b)));
}

function leaves(object: Record<string, Json>, path: string[] = []): [string[], Json][] {
  return Object.entries(object).flatMap(([key, value]) => {
    const isTree =
      typeof value === 'object' && value !== null && !Array.isArray(value) && Object.keys(value).length > 0;
    return isTree ? leaves(value, [...path, key]) : [[[...path, key], value] as [string[], Json]];
  });
}

const compare = (a: string, b: string) => (a < b ? -1 : a > b ? 1 : 0);
const valid = (text: string) => Buffer.from(text).toString();
const snake = (name: string) =>
  name
    .replace(/([a-z0-9])([A-Z])/g, '$1_$2')
    .replace(/([A-Z]+)([A-Z][a-z])/g, '$1_$2')
    .toLowerCase();

function kindOf(values: readonly Json[]): ExpectedColumn['kind'] {
  const present = values.filter(
    (value) => value !== null && !(typeof value === 'number' && !Number.isFinite(value)),
  );
  const all = (test: (value: Json) => boolean) => present.every(test);
  if (all((value) => typeof value === 'string')) return 'text';
  if (all((value) => typeof value === 'boolean')) return 'bool';
  if (all((value) => Number.isSafeInteger(value) && !Object.is(value, -0))) return 'integer';
  return all((value) => typeof value === 'number') ? 'float' : 'json';
}

/** The cell that a reader should give; JSON as it is parsed from the cell's text. */
export function expectedCell(kind: ExpectedColumn['kind'], value: Json): Json {
  if (value === null || (typeof value === 'number' && !Number.isFinite(value))) return null;
  if (kind === 'json') return validJson(value);
  return typeof value === 'string' ? valid(value) : value;
}

/** What comes back of a value whose texts are made well formed; of keys that become one, the last value. */
function validJson(value: Json): Json {
  if (typeof value === 'number') return Number.isFinite(value) ? value : null;
  if (typeof value === 'string') return valid(value);
  if (Array.isArray(value)) return value.map(validJson);
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([key, inner]) => [valid(key), validJson(inner)]));
}

const anyText = fc.oneof(
  fc.string({ unit: 'binary', maxLength: 6 }),
  fc.string({ unit: 'grapheme', maxLength: 6 }),
  fc.constantFrom('', 'a', '\ud800', 'x\udc00y', '\u{1f600}', 'null', '0', ',"\n\r\0'),
);
const anyNumber = fc.oneof(
  fc.double(),
  fc.integer(),
  fc.maxSafeInteger(),
  fc.constantFrom(
    -0,
    0,
    5e-324,
    -5e-324,
    2 ** 53 + 2,
    2 ** 53 - 1,
    -(2 ** 53) + 1,
    1.7e308,
    2 ** 31,
    -(2 ** 31),
  ),
);
const anyKey = fc.oneof(
  fc.constantFrom('a', 'b', 'a_b', 'epoch', 'loss', 'tags', '__proto__', 'e_2', 'cost'),
  anyText,
);
const { anyJson } = fc.letrec<{ anyJson: Json }>((tie) => ({
  anyJson: fc.oneof(
    { maxDepth: 2, withCrossShrink: true },
    fc.constant(null),
    anyNumber,
    fc.boolean(),
    anyText,
    fc.array(tie('anyJson'), { maxLength: 3 }),
    fc.dictionary(anyKey, tie('anyJson'), { maxKeys: 3 }),
  ) as fc.Arbitrary<Json>,
}));
/** Objects of which some columns have values of one kind in all rows, which random ones hardly ever have. */
const anyObject = fc
  .tuple(
    fc.dictionary(anyKey, anyJson, { maxKeys: 4 }),
    fc.record(
      {
        whole: fc.maxSafeInteger(),
        real: fc.double({ noNaN: true }),
        flag: fc.boolean(),
        word: anyText,
        nothing: fc.constant(null),
        nested: fc.record({ whole: fc.option(fc.integer()) }),
      },
      { requiredKeys: [] },
    ),
  )
  .map(([random, regular]) => ({ ...random, ...regular }) as Record<string, Json>);

const orNull = <T>(value: fc.Arbitrary<T>) => fc.option(value, { nil: null });

/** Events as they might come from anywhere. */
export const anyEvent: fc.Arbitrary<EventRow> = fc.record({
  eventId: anyText,
  eventName: anyText,
  timestamp: fc.oneof(fc.integer({ min: 0, max: 4e15 }), fc.integer({ min: -8e15, max: 8e15 })),
  sequence: fc.maxSafeNat(),
  experimentId: anyText,
  experimentName: anyText,
  condition: anyText,
  tags: fc.array(fc.string({ unit: 'grapheme', maxLength: 4 }), { maxLength: 2 }),
  measurements: anyObject,
  metadata: anyObject,
  latencyMs: orNull(anyNumber),
  costUsd: orNull(anyNumber),
  costSource: orNull(anyText),
  success: orNull(fc.boolean()),
  tokens: orNull(fc.record({ prompt: fc.nat(), completion: fc.nat(), total: fc.maxSafeNat() })),
  model: orNull(anyText),
  provider: orNull(anyText),
  sessionId: fc.oneof(fc.constant(null), anyText, fc.integer()),
  userId: orNull(anyText),
  sampleId: orNull(anyText),
  cohort: orNull(anyText),
  correlationId: orNull(anyText),
  traceId: orNull(anyText),
  spanId: orNull(anyText),
  malformed: fc.boolean(),
  malformedKeys: fc.array(fc.string({ unit: 'grapheme', maxLength: 4 }), { maxLength: 2 }),
  fields: anyObject,
});

/** Rows of every sort: of recorders, of events that were captured, of several producers, out of order. */
export function mixedRows(rows: number, seed = 1): View {
  let state = seed;
  const random = () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return state / 2 ** 32;
  };
  const columns = { score: 'f64', rank: 'i32', size: 'u32', good: 'bool', kind: 'dict' } as const;
  const options = { columns, tags: ['t1', 'ü'], capacity: rows + 4096, producers: 4 };
  return captured(options, (writer, other) => {
    const second = other();
    const recorders = [
      writer.recorder('req_llm.request.stop', { model: 'gpt-4', provider: 'openai', userId: 7 }),
      writer.recorder('req_llm.request.stop', { model: 'sönnet', rank: 3, nested: { a: [1, 2], b: null } }),
      second.recorder('crucible_train.epoch.stop', { epoch: 4, kind: 'bound', size: 1 }),
      second.recorder('plain'),
    ];
    for (let i = 0; i < rows; i++) {
      const at = 1.7e15 + i * 10 - Math.floor(random() * 5000);
      const choice = Math.floor(random() * 6);
      if (choice < 4) {
        recorders[choice].recordAt(
          at + random(),
          random() < 0.1 ? Number.NaN : random() * 1000,
          random() < 0.5 ? Number.NaN : random() / 100,
          random() < 0.2 ? -1 : Math.floor(random() * 5000),
          random() < 0.3 ? -1 : Math.floor(random() * 500),
          random() < 0.2 ? null : random() < 0.9,
        );
      } else {
        const metadata = {
          model: random() < 0.5 ? 'gpt-4' : undefined,
          score: random(),
          rank: Math.floor(random() * 100) - 50,
          size: Math.floor(random() * 2 ** 32),
          good: random() < 0.5,
          kind: `kind ${Math.floor(random() * 5)}`,
          tokens: random() < 0.5 ? { prompt: 5, completion: 6, total: 12 } : undefined,
          prompt: `text ${i} ${'é'.repeat(i % 5)}`,
          odd: [i, 'x', true, null][i % 4],
          sessionId: i % 3 === 0 ? i : `s${i % 10}`,
        };
        const event = choice === 4 ? 'crucible_train.batch.stop' : 'req_llm.request.stop';
        const from = choice === 4 ? writer : second;
        from.capture(event, { duration: i * 1000, loss: random() }, metadata, undefined, at);
      }
    }
  });
}
