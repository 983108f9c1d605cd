/** Filters, compiled: what times and flags can decide, and what is asked of names and metadata. */
import { ConfigError } from '../errors.js';
import type { EventRow, Filter } from '../schema/event.js';

export interface EventTest {
  /** What it looks at: 'field' is metadata[key], or the event's own field of that name. */
  readonly on: 'eventName' | 'model' | 'provider' | 'field' | 'anything';
  readonly key: string;
  readonly wanted: unknown;
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

const COLUMN_KEYS = new Set([
  'eventName',
  'success',
  'condition',
  'model',
  'provider',
  'timeRange',
  'where',
  'predicate',
]);

/** @throws ConfigError naming the part that has a wrong type */
export function compileFilter(filter: Filter | undefined, condition: string): CompiledFilter {
  const { eventName, success, model, provider, timeRange, where, predicate } = check(filter ?? {});
  const others = Object.entries(filter ?? {}).filter(
    ([key, value]) => !COLUMN_KEYS.has(key) && value !== undefined,
  );
  const fields = [...others, ...Object.entries(where ?? {})];
  const [timeMinUs, timeMaxUs] = timeRange ?? [Number.NEGATIVE_INFINITY, Number.POSITIVE_INFINITY];
  const tests: EventTest[] = [];
  for (const [on, wanted] of Object.entries({ eventName, model, provider })) {
    const key = on as 'eventName' | 'model' | 'provider';
    if (wanted !== undefined) tests.push({ on: key, key, wanted, passes: (event) => event[key] === wanted });
  }
  for (const [key, wanted] of fields) {
    tests.push({ on: 'field', key, wanted, passes: (event) => fieldEquals(event, key, wanted) });
  }
  if (predicate) tests.push({ on: 'anything', key: '', wanted: undefined, passes: predicate });
  const wantedCondition = filter?.condition;
  return {
    timeMinUs,
    timeMaxUs,
    nothing: timeMinUs > timeMaxUs || (wantedCondition !== undefined && wantedCondition !== condition),
    success,
    tests,
  };
}

/** The same filter for a part of the time only; both bounds inclusive, microseconds. */
export function within(filter: CompiledFilter, fromUs: number, toUs: number): CompiledFilter {
  const timeMinUs = Math.max(filter.timeMinUs, fromUs);
  const timeMaxUs = Math.min(filter.timeMaxUs, toUs);
  return { ...filter, timeMinUs, timeMaxUs, nothing: filter.nothing || timeMinUs > timeMaxUs };
}

/** metadata[key] where the event has it, else the row's own field. null also matches what is absent. */
function fieldEquals(event: EventRow, key: string, wanted: unknown): boolean {
  const own = Object.hasOwn(event.metadata, key)
    ? event.metadata[key]
    : Object.hasOwn(event, key)
      ? (event as unknown as Record<string, unknown>)[key]
      : null;
  return sameValue(own ?? null, wanted);
}

/** Equal as JSON is, except that NaN is itself. */
export function sameValue(a: unknown, b: unknown): boolean {
  if (Object.is(a, b) || a === b) return true;
  if (typeof a !== 'object' || typeof b !== 'object' || a === null || b === null) return false;
  const [keysA, keysB] = [Object.keys(a), Object.keys(b)];
  return (
    Array.isArray(a) === Array.isArray(b) &&
    keysA.length === keysB.length &&
    keysA.every((key) => sameValue((a as Record<string, unknown>)[key], (b as Record<string, unknown>)[key]))
  );
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
  expect('where', where === undefined || (typeof where === 'object' && where !== null), 'an object', where);
  expect('predicate', predicate === undefined || typeof predicate === 'function', 'a function', predicate);
  return filter;
}
