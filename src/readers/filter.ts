/** Filters, compiled: what columns and bindings can decide, and what needs the decoded event. */
import { ConfigError } from '../errors.js';
import type { Binding } from '../ring/bindings.js';
import type { EventRow, Filter } from '../schema/event.js';

export interface CompiledFilter {
  /** Inclusive bounds, microseconds. */
  readonly timeMinUs: number;
  readonly timeMaxUs: number;
  /** True when nothing can pass: the range is reversed or the condition is another experiment's. */
  readonly nothing: boolean;
  /** Undefined when any will do. */
  readonly success: boolean | null | undefined;
  /** Decides by binding alone, where the row has one. Undefined when any will do. */
  readonly binding: ((binding: Binding) => boolean) | undefined;
  /** What the decoded event still has to pass, or undefined when the columns have decided. */
  readonly event: ((event: EventRow) => boolean) | undefined;
  /** The same for a row without a binding, whose names are in the event only. */
  readonly unboundEvent: ((event: EventRow) => boolean) | undefined;
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
  const tests: ((event: EventRow) => boolean)[] = [];
  // A model or provider that found no place in the dictionary, or is null, shows only in the event.
  if (eventName !== undefined) tests.push((event) => event.eventName === eventName);
  if (model !== undefined) tests.push((event) => event.model === model);
  if (provider !== undefined) tests.push((event) => event.provider === provider);
  const columnTests = tests.length;
  for (const [key, wanted] of fields) tests.push((event) => fieldEquals(event, key, wanted));
  if (predicate) tests.push(predicate);
  const needsEvent = tests.length > columnTests || model !== undefined || provider !== undefined;
  const passes = (event: EventRow) => tests.every((test) => test(event));
  const wantedCondition = filter?.condition;
  return {
    timeMinUs,
    timeMaxUs,
    nothing: timeMinUs > timeMaxUs || (wantedCondition !== undefined && wantedCondition !== condition),
    success,
    binding: eventName === undefined ? undefined : (binding) => binding.event === eventName,
    event: needsEvent ? passes : undefined,
    unboundEvent: tests.length > 0 ? passes : undefined,
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

function sameValue(a: unknown, b: unknown): boolean {
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
