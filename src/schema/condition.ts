/** Conditions: what a filter asks of one value. */
import { ConfigError } from '../errors.js';
import { suggest } from '../suggest.js';

/**
 * Comparisons with a value, all of which must hold. An absent value is null: it is neither above nor below anything,
 * and is equal only to null. So `ne: 5` passes what is absent, and `ne: null` what is there.
 */
export interface Operators<T = unknown> {
  readonly gt?: number;
  readonly gte?: number;
  readonly lt?: number;
  readonly lte?: number;
  readonly eq?: T;
  readonly ne?: T;
  readonly in?: readonly T[];
}

/** A number to be equal to, null for what is absent, or comparisons. */
export type NumberCondition = number | null | Operators<number | null>;

export interface Condition {
  /** @param value - null where there is none */
  accepts(value: unknown): boolean;
  /** No number outside of [least, greatest] is accepted. */
  readonly least: number;
  readonly greatest: number;
}

export const OPERATORS = ['gt', 'gte', 'lt', 'lte', 'eq', 'ne', 'in'] as const;
type Operator = (typeof OPERATORS)[number];

/** Whether an object that a filter gives for a value means comparisons, and not an object to be equal to. */
export function comparesBy(value: unknown): value is object {
  return isPlainObject(value) && Object.keys(value).some(isOperator);
}

/**
 * What is asked of a value of any type: to be equal to `wanted`, or what the operators in it say.
 * @throws ConfigError for an operator there is not beside others, an operand that it cannot compare with, or a value that
 *   no event can have, such as a pattern or a function
 */
export function anyCondition(path: string, wanted: unknown): Condition {
  if (comparesBy(wanted)) return comparison(path, wanted as Record<string, unknown>);
  if (!isKept(wanted)) {
    throw new ConfigError(
      path,
      `a value as events have them (text, a number, true, false, null, a list or an object), or an object of ${OPERATORS.join(', ')}`,
      wanted,
    );
  }
  return equality(wanted);
}

/**
 * What is asked of a number.
 * @throws ConfigError for anything that no number could be compared with
 */
export function numberCondition(path: string, wanted: unknown): Condition {
  if (isPlainObject(wanted)) {
    const operators = wanted as Record<string, unknown>;
    const { eq = null, ne = null, in: list = [] } = operators;
    for (const [key, operand] of [['eq', eq] as const, ['ne', ne] as const]) {
      if (!isNumberOrNull(operand)) throw new ConfigError(`${path}.${key}`, 'a number or null', operand);
    }
    if (Array.isArray(list) && !list.every(isNumberOrNull)) {
      throw new ConfigError(
        `${path}.in`,
        'an array of numbers',
        list.find((item) => !isNumberOrNull(item)),
      );
    }
    return comparison(path, operators);
  }
  if (isNumberOrNull(wanted)) return equality(wanted);
  throw new ConfigError(path, `a number, null or an object of ${OPERATORS.join(', ')}`, wanted);
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

/** Whether an event may have such a value: JSON has it, NaN stands for itself, undefined for none. */
function isKept(value: unknown): boolean {
  if (typeof value === 'object' && value !== null) {
    return Array.isArray(value) || Object.prototype.toString.call(value) === '[object Object]';
  }
  return typeof value !== 'function' && typeof value !== 'symbol' && typeof value !== 'bigint';
}

function equality(wanted: unknown): Condition {
  const [least, greatest] = boundsOf([wanted]);
  return { accepts: (value) => sameValue(value, wanted), least, greatest };
}

function membership(list: readonly unknown[]): Condition {
  const [least, greatest] = boundsOf(list);
  // A set takes NaN for itself and -0 for 0, as sameValue does.
  const values = new Set(list);
  const objects = list.filter((item) => typeof item === 'object' && item !== null);
  return {
    accepts: (value) => values.has(value) || objects.some((item) => sameValue(value, item)),
    least,
    greatest,
  };
}

function comparison(path: string, operators: Readonly<Record<string, unknown>>): Condition {
  const parts: Condition[] = [];
  for (const [key, operand] of Object.entries(operators)) {
    if (!isOperator(key)) throw unknownOperator(path, key, operand);
    if (operand !== undefined) parts.push(part(`${path}.${key}`, key, operand));
  }
  if (parts.length === 0) throw new ConfigError(path, `at least one of ${OPERATORS.join(', ')}`, operators);
  return {
    accepts: (value) => parts.every((one) => one.accepts(value)),
    least: Math.max(...parts.map(({ least }) => least)),
    greatest: Math.min(...parts.map(({ greatest }) => greatest)),
  };
}

const [LOWEST, HIGHEST] = [Number.NEGATIVE_INFINITY, Number.POSITIVE_INFINITY];

function part(path: string, operator: Operator, operand: unknown): Condition {
  switch (operator) {
    case 'eq':
      return equality(operand);
    case 'ne':
      return { accepts: (value) => !sameValue(value, operand), least: LOWEST, greatest: HIGHEST };
    case 'in': {
      if (!Array.isArray(operand)) throw new ConfigError(path, 'an array', operand);
      return membership(operand);
    }
    default:
      return order(path, operator, operand);
  }
}

function order(path: string, operator: 'gt' | 'gte' | 'lt' | 'lte', operand: unknown): Condition {
  if (typeof operand !== 'number' || Number.isNaN(operand)) throw new ConfigError(path, 'a number', operand);
  const isNumber = (value: unknown): value is number => typeof value === 'number';
  switch (operator) {
    case 'gt':
      return { accepts: (v) => isNumber(v) && v > operand, least: operand, greatest: HIGHEST };
    case 'gte':
      return { accepts: (v) => isNumber(v) && v >= operand, least: operand, greatest: HIGHEST };
    case 'lt':
      return { accepts: (v) => isNumber(v) && v < operand, least: LOWEST, greatest: operand };
    case 'lte':
      return { accepts: (v) => isNumber(v) && v <= operand, least: LOWEST, greatest: operand };
  }
}

/** The least and greatest number among values; reversed where there is none. */
function boundsOf(values: readonly unknown[]): [least: number, greatest: number] {
  const numbers = values.filter((value) => typeof value === 'number');
  // NaN is no number that a row has.
  return numbers.reduce<[number, number]>(
    ([least, greatest], n) =>
      Number.isNaN(n) ? [least, greatest] : [Math.min(least, n), Math.max(greatest, n)],
    [HIGHEST, LOWEST],
  );
}

function unknownOperator(path: string, key: string, operand: unknown): ConfigError {
  const meant = suggest(key, OPERATORS);
  const hint = meant === null ? '' : ` (did you mean ${meant}?)`;
  return new ConfigError(`${path}.${key}`, `one of the operators ${OPERATORS.join(', ')}${hint}`, operand);
}

function isOperator(key: string): key is Operator {
  return (OPERATORS as readonly string[]).includes(key);
}

function isNumberOrNull(value: unknown): value is number | null {
  return value === null || (typeof value === 'number' && !Number.isNaN(value));
}

function isPlainObject(value: unknown): value is object {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
