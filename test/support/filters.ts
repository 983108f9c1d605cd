/** Filters as arbitraries, and what SEMANTICS says of them: a plain predicate on the event itself. */
import fc from 'fast-check';
import type { EventRow, Filter, Json } from '../../src/schema/event.js';

const same = (a: unknown, b: unknown) => JSON.stringify(a) === JSON.stringify(b);

/** What filters call a number of the event. */
const NUMBERS: Readonly<Record<string, (event: EventRow) => number | null>> = {
  latencyMs: (event) => event.latencyMs,
  costUsd: (event) => event.costUsd,
  timestamp: (event) => event.timestamp,
  tokensPrompt: (event) => event.tokens?.prompt ?? null,
  tokensCompletion: (event) => event.tokens?.completion ?? null,
  tokensTotal: (event) => event.tokens?.total ?? null,
};

function holds(value: unknown, operator: string, operand: unknown): boolean {
  const isNumber = typeof value === 'number';
  switch (operator) {
    case 'gt':
      return isNumber && value > (operand as number);
    case 'gte':
      return isNumber && value >= (operand as number);
    case 'lt':
      return isNumber && value < (operand as number);
    case 'lte':
      return isNumber && value <= (operand as number);
    case 'eq':
      return same(value, operand);
    case 'ne':
      return !same(value, operand);
    default:
      return (operand as unknown[]).some((one) => same(value, one));
  }
}

const OPERATORS = ['gt', 'gte', 'lt', 'lte', 'eq', 'ne', 'in'];

export function passesFilter(event: EventRow, filter: Filter): boolean {
  const {
    eventName,
    model,
    provider,
    success,
    condition,
    timeRange,
    where = {},
    predicate,
    ...fields
  } = filter;
  const valueAt = (key: string): unknown => {
    if (Object.hasOwn(NUMBERS, key)) return NUMBERS[key]!(event);
    const places = [event.metadata, event as unknown as Record<string, Json>, event.measurements];
    const whole = places.find((place) => Object.hasOwn(place, key));
    if (whole !== undefined || !key.includes('.')) return whole?.[key] ?? null;
    const found = places.map((place) =>
      key.split('.').reduce((value: unknown, name) => (value as Record<string, Json> | null)?.[name], place),
    );
    return found.find((value) => value !== undefined) ?? null;
  };
  const meets = (key: string, wanted: unknown) => {
    const isObject = typeof wanted === 'object' && wanted !== null && !Array.isArray(wanted);
    const operators = isObject ? Object.entries(wanted) : [];
    return operators.some(([name]) => OPERATORS.includes(name))
      ? operators.every(([name, operand]) => holds(valueAt(key), name, operand))
      : same(valueAt(key), wanted);
  };
  return (
    (eventName === undefined || event.eventName === eventName) &&
    (model === undefined || event.model === model) &&
    (provider === undefined || event.provider === provider) &&
    (success === undefined || event.success === success) &&
    (condition === undefined || event.condition === condition) &&
    (timeRange === undefined || (event.timestamp >= timeRange[0] && event.timestamp <= timeRange[1])) &&
    Object.entries(fields).every(([key, wanted]) => meets(key, wanted)) &&
    Object.entries(where).every(([key, wanted]) => meets(key, wanted)) &&
    (predicate === undefined || predicate(event))
  );
}

/** A number, null or operators with operands among `values`, near to which rows should lie. */
export function numberConditions(values: readonly number[]): fc.Arbitrary<unknown> {
  const operand = fc.constantFrom(...values);
  const orNull = fc.oneof({ weight: 4, arbitrary: operand }, fc.constant(null));
  const operators = fc
    .record(
      {
        gt: operand,
        gte: operand,
        lt: operand,
        lte: operand,
        eq: orNull,
        ne: orNull,
        in: fc.array(orNull, { maxLength: 3 }),
      },
      { requiredKeys: [] },
    )
    .filter((found) => Object.keys(found).length > 0);
  const single = fc
    .tuple(fc.constantFrom('gt', 'gte', 'lt', 'lte', 'eq', 'ne'), operand)
    .map(([name, value]) => ({ [name]: value }));
  return fc.oneof(orNull, { weight: 3, arbitrary: single }, operators);
}
