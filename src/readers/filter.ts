/** Filters, compiled: what times and flags can decide, and what is asked of names and metadata. */
import { ConfigError } from '../errors.js';
import { anyCondition, type Condition, numberCondition } from '../schema/condition.js';
import { type EventRow, type Filter, NUMBER_FIELDS } from '../schema/event.js';
import { CATEGORY_FIELDS, LIFTED_FIELDS, snakeCase } from '../schema/fields.js';
import { suggest } from '../suggest.js';
import type { RowSource } from './rows.js';

export interface EventTest {
  /** What it looks at: 'number' is one of NUMBER_FIELDS; 'field' is what `fieldOf` finds. */
  readonly on: 'eventName' | 'model' | 'provider' | 'number' | 'field' | 'anything';
  readonly key: string;
  /** What is asked of the value there. */
  readonly condition: Condition;
  passes(event: EventRow): boolean;
}

export interface CompiledFilter {
  /** Inclusive bounds, microseconds. */
  readonly timeMinUs: number;
  readonly timeMaxUs: number;
  /** True when nothing can pass: the range is reversed or the condition is another experiment's. */
  readonly nothing: boolean;
  /** Undefined when any will do. */
  readonly success: boolean | null | undefined;
  /** What an event has to pass besides: all of them. */
  readonly tests: readonly EventTest[];
}

/** Keys with a meaning of their own. */
const FILTER_KEYS = [
  'eventName',
  'success',
  'condition',
  'model',
  'provider',
  'timeRange',
  'where',
  'predicate',
] as const;

/** What events are known to have besides; under either spelling where events are read under both. */
const EVENT_KEYS: readonly string[] = [
  ...Object.keys(NUMBER_FIELDS),
  ...['eventId', 'sequence', 'costSource', 'tokens', 'malformed', 'tags'],
  ...['experimentId', 'experimentName', 'measurements', 'metadata', 'fields'],
  ...bothSpellings(LIFTED_FIELDS),
  ...bothSpellings([...CATEGORY_FIELDS]),
];
const KNOWN_KEYS: ReadonlySet<string> = new Set([...FILTER_KEYS, ...EVENT_KEYS]);

/**
 * @param about - the experiment's condition, and the columns that it has declared
 * @throws ConfigError naming the part that is unknown or has a wrong type
 */
export function compileFilter(
  filter: Filter | undefined,
  about: Pick<RowSource, 'condition' | 'columns'>,
): CompiledFilter {
  const { eventName, success, condition, model, provider, timeRange, where, predicate } = check(filter ?? {});
  const tests: EventTest[] = [];
  for (const [on, wanted] of Object.entries({ eventName, model, provider })) {
    const key = on as 'eventName' | 'model' | 'provider';
    if (wanted !== undefined) tests.push(testOf(key, key, anyCondition(key, wanted), (event) => event[key]));
  }
  for (const [key, wanted] of Object.entries(filter ?? {})) {
    if (wanted === undefined || (FILTER_KEYS as readonly string[]).includes(key)) continue;
    checkKey(key, wanted, about.columns);
    tests.push(fieldTest(`filter.${key}`, key, wanted));
  }
  for (const [key, wanted] of Object.entries(where ?? {})) {
    if (wanted !== undefined) tests.push(fieldTest(`filter.where.${key}`, key, wanted));
  }
  if (predicate) tests.push({ on: 'anything', key: '', condition: ANYTHING, passes: judgedBy(predicate) });
  let [timeMinUs, timeMaxUs] = timeRange ?? [Number.NEGATIVE_INFINITY, Number.POSITIVE_INFINITY];
  for (const { key, condition } of tests.filter(({ on }) => on === 'number')) {
    if (key !== 'timestamp') continue;
    timeMinUs = Math.max(timeMinUs, condition.least);
    timeMaxUs = Math.min(timeMaxUs, condition.greatest);
  }
  return {
    timeMinUs,
    timeMaxUs,
    nothing: timeMinUs > timeMaxUs || (condition !== undefined && condition !== about.condition),
    success,
    tests,
  };
}

const ANYTHING: Condition = {
  accepts: () => true,
  least: Number.NEGATIVE_INFINITY,
  greatest: Number.POSITIVE_INFINITY,
};

/** @throws ConfigError for a predicate that gives a promise, which would let every event pass */
function judgedBy(predicate: NonNullable<Filter['predicate']>): EventTest['passes'] {
  return (event) => {
    const passed: unknown = predicate(event);
    if (passed instanceof Promise) {
      // What it comes to is nobody's.
      passed.catch(() => {});
      throw new ConfigError('filter.predicate', 'a function that gives true or false at once', 'a promise');
    }
    return Boolean(passed);
  };
}

function fieldTest(path: string, key: string, wanted: unknown): EventTest {
  if (Object.hasOwn(NUMBER_FIELDS, key)) {
    return testOf('number', key, numberCondition(path, wanted), NUMBER_FIELDS[key]);
  }
  return testOf('field', key, anyCondition(path, wanted), (event) => fieldOf(event, key));
}

function testOf(
  on: EventTest['on'],
  key: string,
  condition: Condition,
  valueAt: (event: EventRow) => unknown,
): EventTest {
  return { on, key, condition, passes: (event) => condition.accepts(valueAt(event)) };
}

/** @throws ConfigError for a key that is neither an event's nor a declared column: most likely a slip */
function checkKey(key: string, wanted: unknown, columns: RowSource['columns']): void {
  if (KNOWN_KEYS.has(key) || columns.some(({ name }) => name === key)) return;
  const meant = suggest(key, [...FILTER_KEYS, ...EVENT_KEYS, ...columns.map(({ name }) => name)]);
  const hint = meant === null ? `${FILTER_KEYS.join(', ')}; ` : `did you mean ${meant}? `;
  throw new ConfigError(
    `filter.${key}`,
    `a key that filters have (${hint}metadata of other names belong in where: { … })`,
    wanted,
  );
}

/** The same filter for a part of the time only; both bounds inclusive, microseconds. */
export function within(filter: CompiledFilter, fromUs: number, toUs: number): CompiledFilter {
  const timeMinUs = Math.max(filter.timeMinUs, fromUs);
  const timeMaxUs = Math.min(filter.timeMaxUs, toUs);
  return { ...filter, timeMinUs, timeMaxUs, nothing: filter.nothing || timeMinUs > timeMaxUs };
}

/** What passes both. */
export function both(a: CompiledFilter, b: CompiledFilter): CompiledFilter {
  const { timeMinUs, timeMaxUs, nothing } = within(a, b.timeMinUs, b.timeMaxUs);
  const contradicts = a.success !== undefined && b.success !== undefined && a.success !== b.success;
  return {
    timeMinUs,
    timeMaxUs,
    nothing: nothing || b.nothing || contradicts,
    success: a.success === undefined ? b.success : a.success,
    tests: [...a.tests, ...b.tests],
  };
}

/** The same filter for events of some names only. */
export function ofEvents(filter: CompiledFilter, names: ReadonlySet<string>): CompiledFilter {
  const accepts = (value: unknown) => names.has(value as string);
  const condition = { accepts, least: Number.NEGATIVE_INFINITY, greatest: Number.POSITIVE_INFINITY };
  const test: EventTest = {
    on: 'eventName',
    key: 'eventName',
    condition,
    passes: ({ eventName }) => accepts(eventName),
  };
  return { ...filter, tests: [...filter.tests, test] };
}

/**
 * What the event has under the key: in its metadata, as a field of its own, in its measurements, or, where the key has
 * points, at that path of one of these; null where it has nothing there.
 */
function fieldOf(event: EventRow, key: string): unknown {
  const own = event as unknown as Record<string, unknown>;
  for (const part of [event.metadata, own, event.measurements]) {
    if (Object.hasOwn(part, key)) return part[key] ?? null;
  }
  if (!key.includes('.')) return null;
  const path = key.split('.');
  for (const part of [event.metadata, own, event.measurements]) {
    const value = valueAt(part, path);
    if (value !== undefined) return value;
  }
  return null;
}

function valueAt(from: unknown, path: readonly string[]): unknown {
  let value = from;
  for (const name of path) {
    if (typeof value !== 'object' || value === null || !Object.hasOwn(value, name)) return undefined;
    value = (value as Record<string, unknown>)[name];
  }
  return value;
}

function bothSpellings(names: readonly string[]): string[] {
  return names.flatMap((name) => [...new Set([name, snakeCase(name)])]);
}

function check(filter: Filter): Filter {
  const expect = (path: string, ok: boolean, expected: string, actual: unknown) => {
    if (!ok) throw new ConfigError(`filter.${path}`, expected, actual);
  };
  if (typeof filter !== 'object' || filter === null) throw new ConfigError('filter', 'an object', filter);
  const { eventName, success, condition, model, provider, timeRange, where, predicate } = filter;
  const textOrAbsent = (value: unknown) => value === undefined || typeof value === 'string';
  expect('eventName', textOrAbsent(eventName), 'a string', eventName);
  expect('condition', textOrAbsent(condition), 'a string', condition);
  expect('model', textOrAbsent(model ?? undefined), 'a string or null', model);
  expect('provider', textOrAbsent(provider ?? undefined), 'a string or null', provider);
  expect(
    'success',
    success === undefined || success === null || typeof success === 'boolean',
    'a boolean or null',
    success,
  );
  const rangeIsValid =
    timeRange === undefined ||
    (Array.isArray(timeRange) &&
      timeRange.length === 2 &&
      timeRange.every((us) => typeof us === 'number' && !Number.isNaN(us)));
  expect('timeRange', rangeIsValid, 'two numbers of microseconds', timeRange);
  const whereIsValid =
    where === undefined || (typeof where === 'object' && where !== null && !Array.isArray(where));
  expect('where', whereIsValid, 'an object', where);
  expect('predicate', predicate === undefined || typeof predicate === 'function', 'a function', predicate);
  return filter;
}
