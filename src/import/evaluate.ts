/**
 * Expression trees to plain closures over one record.
 *
 * What the operators mean, for text from CSV as for typed JSON values:
 * - A missing value is null or the empty text. The two are equal to each other, and to nothing else.
 * - Arithmetic reads decimal text as its number and a boolean as 1 or 0; with a missing operand it is null; with
 *   any other operand the expression has no value, which is reported for that record.
 * - `==` and `!=` compare two texts as text, so "007" is not "7"; a number with decimal text as numbers; a
 *   boolean with a word (`True`, `no`, `ok`, …) as booleans; objects and arrays by their JSON.
 * - `<` and its kin compare as numbers where both sides are numbers or decimal text, else as text by code unit;
 *   with a missing side they are false.
 * - `&&`, `||` and `!` give booleans. False are missing values, 0, false and the false words.
 */

import { ConfigError } from '../errors.js';
import { booleanOf, isMissing, numberOf, parseDecimal, textOf } from '../formats/text-values.js';
import { parseTimestamp, type TimestampUnit } from '../formats/timestamps.js';
import type { Json } from '../schema/event.js';
import type { Expression, FunctionName, Operator } from './expression.js';

export type Evaluator = (record: Readonly<Record<string, Json>>) => Json;

/** The expression has no value for this record: text where arithmetic needs a number. */
export class EvaluationError extends Error {}

const TIME_UNITS: readonly string[] = ['s', 'ms', 'us', 'ns', 'iso'];

/** @throws ConfigError when a time unit is none of s, ms, us, ns, iso */
export function compileExpression(node: Expression, path: string): Evaluator {
  switch (node.kind) {
    case 'literal': {
      const { value } = node;
      return () => value;
    }
    case 'column':
      return columnReader(node.name, node.path);
    case 'unary': {
      const operand = compileExpression(node.operand, path);
      if (node.operator === '!') return (record) => !truthy(operand(record));
      const sign = node.operator === '-' ? -1 : 1;
      return (record) => {
        const value = arithmeticOperand(operand(record));
        return value === null ? null : sign * value;
      };
    }
    case 'binary':
      return binary(node.operator, compileExpression(node.left, path), compileExpression(node.right, path));
    case 'conditional': {
      const test = compileExpression(node.test, path);
      const then = compileExpression(node.then, path);
      const otherwise = compileExpression(node.otherwise, path);
      return (record) => (truthy(test(record)) ? then(record) : otherwise(record));
    }
    case 'call':
      return call(node.name, node.args, path);
  }
}

function columnReader(name: string, path: readonly string[]): Evaluator {
  if (path.length === 0) return (record) => (Object.hasOwn(record, name) ? record[name]! : null);
  return (record) => {
    if (Object.hasOwn(record, name)) return record[name]!;
    let value: Json = record;
    for (const step of path) {
      if (typeof value !== 'object' || value === null || !Object.hasOwn(value, step)) return null;
      value = (value as Record<string, Json>)[step]!;
    }
    return value;
  };
}

function binary(operator: Operator, left: Evaluator, right: Evaluator): Evaluator {
  switch (operator) {
    case '&&':
      return (record) => truthy(left(record)) && truthy(right(record));
    case '||':
      return (record) => truthy(left(record)) || truthy(right(record));
    case '==':
      return (record) => equal(left(record), right(record));
    case '!=':
      return (record) => !equal(left(record), right(record));
    case '<':
      return (record) => ordered(left(record), right(record), (order) => order < 0);
    case '<=':
      return (record) => ordered(left(record), right(record), (order) => order <= 0);
    case '>':
      return (record) => ordered(left(record), right(record), (order) => order > 0);
    case '>=':
      return (record) => ordered(left(record), right(record), (order) => order >= 0);
    case '+':
      return arithmetic(left, right, (a, b) => a + b);
    case '-':
      return arithmetic(left, right, (a, b) => a - b);
    case '*':
      return arithmetic(left, right, (a, b) => a * b);
    case '/':
      return arithmetic(left, right, (a, b) => a / b);
    case '%':
      return arithmetic(left, right, (a, b) => a % b);
  }
}

function arithmetic(left: Evaluator, right: Evaluator, apply: (a: number, b: number) => number): Evaluator {
  return (record) => {
    const a = arithmeticOperand(left(record));
    const b = arithmeticOperand(right(record));
    return a === null || b === null ? null : apply(a, b);
  };
}

function arithmeticOperand(value: Json): number | null {
  if (typeof value === 'number') return value;
  if (isMissing(value)) return null;
  const number = numberOf(value);
  if (number === null) throw new EvaluationError(`${shown(value)} is not a number`);
  return number;
}

function truthy(value: Json): boolean {
  if (isMissing(value)) return false;
  return booleanOf(value) ?? !Number.isNaN(value);
}

function equal(a: Json, b: Json): boolean {
  if (isMissing(a) || isMissing(b)) return isMissing(a) && isMissing(b);
  if (typeof a === 'boolean' && typeof b === 'string') return a === booleanOf(b);
  if (typeof a === 'string' && typeof b === 'boolean') return booleanOf(a) === b;
  if (typeof a === 'object' || typeof b === 'object') return textOf(a) === textOf(b);
  if (typeof a === 'string' && typeof b === 'string') return a === b;
  const left = comparable(a);
  return left !== null && left === comparable(b);
}

function ordered(a: Json, b: Json, accept: (order: number) => boolean): boolean {
  if (isMissing(a) || isMissing(b)) return false;
  const left = comparable(a);
  const right = comparable(b);
  return left !== null && right !== null
    ? accept(compare(left, right))
    : accept(compare(textOf(a), textOf(b)));
}

/** As `numberOf`, but an infinity that arithmetic gave is compared as one. */
function comparable(value: Json): number | null {
  return typeof value === 'number' ? value : numberOf(value);
}

/** NaN where neither is before the other and they are not equal either. */
function compare<T extends number | string>(a: T, b: T): number {
  if (a < b) return -1;
  if (a > b) return 1;
  return a === b ? 0 : Number.NaN;
}

function call(name: FunctionName, nodes: readonly Expression[], path: string): Evaluator {
  const args = nodes.map((node) => compileExpression(node, path));
  const first = args[0]!;
  const second = args[1];
  switch (name) {
    case 'number':
      return (record) => numberOf(first(record));
    case 'string':
      return (record) => textOf(first(record));
    case 'lower':
      return (record) => textOf(first(record)).toLowerCase();
    case 'upper':
      return (record) => textOf(first(record)).toUpperCase();
    case 'trim':
      return (record) => textOf(first(record)).trim();
    case 'concat':
      return (record) => args.map((arg) => textOf(arg(record))).join('');
    case 'round':
      return (record) => {
        const value = arithmeticOperand(first(record));
        const digits = second === undefined ? 0 : arithmeticOperand(second(record));
        return value === null || digits === null ? null : roundTo(value, digits);
      };
    case 'floor':
      return (record) => {
        const value = arithmeticOperand(first(record));
        return value === null ? null : Math.floor(value);
      };
    case 'abs':
      return (record) => {
        const value = arithmeticOperand(first(record));
        return value === null ? null : Math.abs(value);
      };
    case 'coalesce':
      return (record) => {
        for (const arg of args) {
          const value = arg(record);
          if (!isMissing(value)) return value;
        }
        return null;
      };
    case 'if':
      return (record) => (truthy(first(record)) ? second!(record) : (args[2]?.(record) ?? null));
    case 'epoch':
    case 'parseTime': {
      const unit = timeUnit(nodes[1], path);
      return (record) => {
        const value = first(record);
        if (isMissing(value)) return null;
        const micros = parseTimestamp(value, { unit });
        if (micros === null) throw new EvaluationError(`${shown(value)} is not a time`);
        return micros;
      };
    }
  }
}

function timeUnit(node: Expression | undefined, path: string): TimestampUnit | undefined {
  if (node === undefined) return undefined;
  const value = node.kind === 'literal' ? node.value : undefined;
  if (typeof value !== 'string' || !TIME_UNITS.includes(value)) {
    throw new ConfigError(path, "a unit 's', 'ms', 'us', 'ns' or 'iso' as second argument", value);
  }
  return value as TimestampUnit;
}

/** Decimal rounding, halves away from zero, on the shortest text of the number: 1.005 to 2 digits is 1.01. */
function roundTo(value: number, digits: number): number {
  const places = Math.min(Math.max(Math.trunc(digits), -300), 300);
  const scaled = shift(Math.abs(value), places);
  const rounded = shift(Math.round(scaled), -places);
  return Number.isFinite(rounded) ? Math.sign(value) * rounded : value;
}

function shift(value: number, places: number): number {
  const [mantissa, exponent = '0'] = String(value).split('e');
  return parseDecimal(`${mantissa}e${Number(exponent) + places}`) ?? Number.NaN;
}

/** A value in a message: short, and quoted so that blanks show. */
export function shown(value: Json): string {
  const text = JSON.stringify(value);
  return text.length > 60 ? `${text.slice(0, 60)}…` : text;
}
