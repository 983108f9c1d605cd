/**
 * What a file means when no map is given.
 *
 * Column names are compared in snake_case (`latencyMs`, `Latency_MS` and `latency_ms` are one). For each field the
 * first of its names that the file has is taken; every other column becomes metadata. The names are those that
 * enrichment reads (schema/spellings.ts), and some that only files have. What enrichment understands better, where all
 * of a record is before it, is left to it: see `isLeft`.
 */

import { type Reading, RULES, type Spelling, spellingOf } from '../schema/spellings.js';
import { COUNT_RULES, type Count, countOfKey, ONLY_INSIDE } from '../schema/usage.js';
import type { ImportMap } from './mapping.js';

/** Name in snake_case to what is done with its value to reach the field's unit. */
type Names = Readonly<Record<string, string>>;

const SCALES: Partial<Record<Reading, string>> = {
  milliseconds: '',
  seconds: ' * 1000',
  microseconds: ' / 1000',
  nanoseconds: ' / 1000000',
};
/** Of an event, not of a file: no column says by these names what its unit is. */
const WITHOUT_UNIT: ReadonlySet<string> = new Set(['duration', 'latency']);
/** Of a deployment the model that was deployed; which of the two it is depends on the event. */
const OF_DEPLOYMENTS: readonly string[] = ['modelName', 'model_name'];

const FIELDS_OF_COUNTS: Partial<Record<Count, string>> = {
  input: 'promptTokens',
  output: 'completionTokens',
};

/** The fields of a record, and their names in order of precedence. */
export const DETECTED: Readonly<Record<string, Names>> = {
  timestamp: unscaled([
    ...['timestamp', 'timestamp_us', 'timestamp_ms', 'timestamp_ns', 'timestamp_s', 'time', 'ts'],
    ...['starttime', 'start_time', 'started_at', 'created_at', 'datetime', 'date'],
  ]),
  latencyMs: { ...latencies(), end_to_end_latency_s: ' * 1000' },
  costUsd: unscaled(keysOf('costUsd', 'USD')),
  promptTokens: unscaled([...countKeys('input'), 'tokens_prompt', 'context_tokens', 'input_length']),
  completionTokens: unscaled([
    ...countKeys('output'),
    ...['tokens_completion', 'generated_tokens', 'output_length'],
  ]),
  success: unscaled(keysOf('success', 'flag')),
  event: unscaled(['event_name', 'event']),
  model: unscaled(keysOf('model', 'name')),
  provider: unscaled(keysOf('provider', 'name')),
};

/** The map a file with these columns gets when the caller gives none. */
export function detectMapping(columns: readonly string[]): ImportMap {
  const byName = new Map<string, string>();
  for (const column of columns) {
    const name = normalName(column);
    if (!byName.has(name)) byName.set(name, column);
  }
  const others = othersIn(columns);
  const map: Record<string, string> = {};
  for (const [field, names] of Object.entries(DETECTED)) {
    const found = Object.keys(names).find((name) => byName.has(name));
    if (found === undefined) continue;
    const column = byName.get(found)!;
    if (!isLeft(field, column, others)) map[field] = `${quoted(column)}${names[found]}`;
  }
  return map;
}

/** What is done with a value of this name, in snake_case, to reach the field's unit; undefined where it is no name of it. */
export function scaleOf(field: string, name: string): string | undefined {
  const names = DETECTED[field]!;
  return Object.hasOwn(names, name) ? names[name] : undefined;
}

/** A column's name in one spelling: small letters, with one underscore for all that is neither letter nor digit. */
export function normalName(name: string): string {
  return name
    .replace(/([a-z0-9])([A-Z])/g, '$1_$2')
    .replace(/[^\p{L}\p{N}]+/gu, '_')
    .toLowerCase();
}

/** Columns whose values bear upon what others mean. */
interface Others {
  /** Counts besides prompt, completion and total, or objects of counts. */
  readonly hasCounts: boolean;
  /** What says that something failed, whatever else is said. */
  readonly hasFailures: boolean;
  /** Fields but latency that enrichment reads in several of the columns: it decides record by record which counts. */
  readonly repeated: ReadonlySet<string>;
}

function othersIn(columns: readonly string[]): Others {
  const spellings = columns
    .map((column) => spellingOf('metadata', column))
    .filter((spelling): spelling is Spelling => spelling !== undefined);
  const isFurther = ({ key, rule: { reading } }: Spelling) =>
    reading === 'count' && !['input', 'output', 'total'].includes(countOfKey(key) ?? '');
  const isObject = ({ rule: { reading } }: Spelling) => reading === 'usage' || reading === 'any usage';
  const fields = spellings.map(fieldOf);
  return {
    repeated: new Set(fields.filter((field, i) => field !== 'latencyMs' && fields.indexOf(field) < i)),
    hasCounts: spellings.some((spelling) => isObject(spelling) || isFurther(spelling)),
    hasFailures: spellings.some(({ rule }) => rule.reading === 'failure'),
  };
}

function fieldOf({ key, rule: { quantity } }: Spelling): string {
  if (quantity !== 'tokens') return quantity;
  const count = countOfKey(key);
  return (count !== undefined && FIELDS_OF_COUNTS[count]) || quantity;
}

/**
 * Whether the column stays where it is, since enrichment reads it there: attributes of OpenTelemetry, and whatever
 * depends on other columns.
 */
function isLeft(field: string, column: string, { hasCounts, hasFailures, repeated }: Others): boolean {
  if (spellingOf('metadata', column) === undefined) return false;
  if (column.includes('.') || repeated.has(field)) return true;
  switch (field) {
    case 'promptTokens':
    case 'completionTokens':
      return hasCounts;
    case 'success':
      return hasFailures;
    case 'model':
      return OF_DEPLOYMENTS.includes(column);
    default:
      return false;
  }
}

function keysOf(quantity: string, reading: Reading): string[] {
  return RULES.filter((rule) => rule.quantity === quantity && rule.reading === reading).flatMap(
    ({ keys }) => keys,
  );
}

/** Keys of an event that are such a count. */
function countKeys(count: Count): string[] {
  const { keys, attributes } = COUNT_RULES.find((rule) => rule.count === count)!;
  const own = keys.filter((key) => typeof key === 'string' && !ONLY_INSIDE.has(key)) as string[];
  return [...own, ...attributes];
}

function latencies(): Names {
  const names: Record<string, string> = {};
  for (const { quantity, reading, keys } of RULES) {
    const scale = quantity === 'latencyMs' ? SCALES[reading] : undefined;
    if (scale === undefined) continue;
    for (const key of keys) if (!WITHOUT_UNIT.has(key)) names[normalName(key)] ??= scale;
  }
  return names;
}

function unscaled(keys: readonly string[]): Names {
  return Object.fromEntries(keys.map((key) => [normalName(key), '']));
}

function quoted(column: string): string {
  return `"${column.replaceAll('"', '""')}"`;
}
