/** The options that choose events, common to all commands that analyse. */

import { comparesBy } from '../schema/condition.js';
import { type Filter, NUMBER_FIELDS } from '../schema/event.js';
import { LIFTED_FIELDS } from '../schema/fields.js';
import { suggest } from '../suggest.js';
import type { OptionTable, OptionValues } from './args.js';
import { UsageError } from './errors.js';
import { formatTime } from './terminal/numbers.js';
import { visible } from './terminal/text.js';
import { readTimeUs } from './times.js';

export const FILTER_OPTIONS = {
  event: { type: 'string', value: 'NAME', description: 'only events of this name' },
  model: { type: 'string', value: 'NAME', description: 'only events of this model' },
  provider: { type: 'string', value: 'NAME', description: 'only events of this provider' },
  condition: { type: 'string', value: 'NAME', description: 'only events of this condition' },
  success: { type: 'flag', description: 'only events that succeeded' },
  failed: { type: 'flag', description: 'only events that failed' },
  from: {
    type: 'string',
    value: 'TIME',
    description: 'only events from this time on: ISO 8601, UTC where no zone is named, or µs since 1970',
  },
  to: {
    type: 'string',
    value: 'TIME',
    description: 'only events up to this time, with all of the day or second that it names',
  },
  where: {
    type: 'list',
    value: 'TEST',
    description:
      'only events that pass: KEY=VALUE, or with !=, >, >=, < or <=, such as "latencyMs>500". KEY is latencyMs, costUsd, tokensPrompt, tokensCompletion, tokensTotal or timestamp, else of the metadata, a field of the event, or of the measurements, nested ones with points (user.tier); VALUE a number, true, false, null (also what is absent) or text, in quotes where it looks otherwise, "code=\'7\'"',
  },
} as const satisfies OptionTable;

/** In the help of a command that takes them. */
export const FILTER_DETAIL =
  'Options that choose events (--event to --where) add up: an event must pass all of them.';

type FilterValues = OptionValues<typeof FILTER_OPTIONS>;

/** The filter that the options make; null where none of them is given. @throws UsageError */
export function readFilter(options: FilterValues, command: string): Filter | null {
  if (options.success && options.failed) {
    throw new UsageError('--success and --failed exclude each other', command);
  }
  const timeRange = readTimeRange(options, command);
  const where = options.where.length === 0 ? null : readTests(options.where, '--where', command);
  const filter: Filter = {
    ...(options.event !== undefined && { eventName: options.event }),
    ...(options.model !== undefined && { model: options.model }),
    ...(options.provider !== undefined && { provider: options.provider }),
    ...(options.condition !== undefined && { condition: options.condition }),
    ...((options.success || options.failed) && { success: options.success }),
    ...(timeRange !== null && { timeRange }),
    ...(where !== null && { where }),
  };
  return Object.keys(filter).length === 0 ? null : filter;
}

function readTimeRange({ from, to }: FilterValues, command: string): readonly [number, number] | null {
  if (from === undefined && to === undefined) return null;
  // Finite, so that JSON can say them.
  const first = from === undefined ? Number.MIN_SAFE_INTEGER : readTimeUs('from', from, command)[0];
  const last = to === undefined ? Number.MAX_SAFE_INTEGER : readTimeUs('to', to, command)[1];
  if (first > last) throw new UsageError(`--from ${from} is after --to ${to}`, command);
  return [first, last];
}

/** What is between key and value, and what the library calls it. */
const OPERATORS: Readonly<Record<string, string>> = {
  '=': 'eq',
  '==': 'eq',
  '!=': 'ne',
  '>': 'gt',
  '>=': 'gte',
  '<': 'lt',
  '<=': 'lte',
};
const SIGNS = new Map(
  Object.entries(OPERATORS)
    .reverse()
    .map(([sign, operator]) => [operator, sign]),
);

/** A key, in quotes where it holds a sign; a sign; a value. */
const TEST = /^\s*("(?:[^"\\]|\\.)*"|(?:[^<>=!]|!(?!=))+?)\s*(>=|<=|!=|==|=|>|<)\s*(.*?)\s*$/s;

/** What the tests ask, as `where` of a filter. @param option - that they were given as @throws UsageError */
export function readTests(
  tests: readonly string[],
  option: string,
  command: string,
): Record<string, unknown> {
  const asked = new Map<string, Record<string, unknown>>();
  for (const test of tests) {
    const { key, sign, operator, value } = readTest(test, option, command);
    const operators = asked.get(key) ?? {};
    if (Object.hasOwn(operators, operator)) {
      const reason = operator === 'eq' ? ', and an event has one value' : '';
      throw new UsageError(`${option} names ${JSON.stringify(key + sign)} twice${reason}`, command);
    }
    operators[operator] = value;
    asked.set(key, operators);
  }
  // Not by assignment, which a key of __proto__ would escape.
  return Object.fromEntries([...asked].map(([key, operators]) => [key, plain(operators)]));
}

/** A value to be equal to is written as it is, unless it would be taken for operators. */
function plain(operators: Readonly<Record<string, unknown>>): unknown {
  const [first, ...others] = Object.keys(operators);
  return first === 'eq' && others.length === 0 && !comparesBy(operators.eq) ? operators.eq : operators;
}

function readTest(test: string, option: string, command: string) {
  const [, quoted, sign, text] = TEST.exec(test) ?? [];
  const key = quoted?.startsWith('"') ? readValue(quoted) : quoted?.trim();
  if (typeof key !== 'string' || key === '') {
    throw new UsageError(
      `${option} expects KEY=VALUE, or >, >=, <, <=, !=, got ${JSON.stringify(test)}`,
      command,
    );
  }
  const operator = OPERATORS[sign!]!;
  const value = readValue(text!);
  if (/[<>]/.test(sign!) && typeof value !== 'number') {
    throw new UsageError(`${option} ${key}${sign} expects a number, got ${JSON.stringify(text)}`, command);
  }
  return { key, sign: sign!, operator, value };
}

/** Text in single quotes, in which two stand for one, as in SQL. */
const SINGLE_QUOTED = /^'(?:[^']|'')*'$/;

/** JSON where it is JSON, else text. */
function readValue(text: string): unknown {
  if (SINGLE_QUOTED.test(text)) return text.slice(1, -1).replaceAll("''", "'");
  try {
    return JSON.parse(text);
  } catch {
    return text;
  }
}

/** The filter in words: `event e, failed, from 2026-11-25T09:30:00Z`. */
export function filterText({
  eventName,
  model,
  provider,
  condition,
  success,
  timeRange,
  where,
}: Filter): string {
  const named = (name: string, value: unknown) => (value === undefined ? [] : [`${name} ${value}`]);
  const [from, to] = timeRange ?? [];
  const time = (word: string, us: number | undefined) =>
    us === undefined || !Number.isSafeInteger(us) || Math.abs(us) === Number.MAX_SAFE_INTEGER
      ? []
      : [`${word} ${formatTime(us, us % 1e6 === 0 ? 0 : 6)}`];
  return visible(
    [
      ...named('event', eventName),
      ...named('model', model),
      ...named('provider', provider),
      ...named('condition', condition),
      ...(success === undefined ? [] : [success ? 'succeeded' : 'failed']),
      ...time('from', from),
      ...time('to', to),
      ...Object.entries(where ?? {}).flatMap(([key, wanted]) => conditionTexts(key, wanted)),
    ].join(', '),
  );
}

function conditionTexts(key: string, wanted: unknown): string[] {
  const operators: [string, unknown][] = comparesBy(wanted) ? Object.entries(wanted) : [['eq', wanted]];
  return operators.map(([operator, operand]) => `${key} ${SIGNS.get(operator)} ${JSON.stringify(operand)}`);
}

/** What events have besides numbers, which a slip may have meant. */
const NAMED_FIELDS = ['eventName', 'model', 'provider', 'success', 'condition', ...LIFTED_FIELDS];

/** Where no event passes: that a key of `where`, which may be any, looks like a slip; null where none does. */
export function slipText({ where = {} }: Filter): string | null {
  const names = [...Object.keys(NUMBER_FIELDS), ...NAMED_FIELDS];
  for (const key of Object.keys(where)) {
    const meant = names.includes(key) ? null : suggest(key, names);
    if (meant !== null) return `${key} is looked for in metadata and measurements; did you mean ${meant}?`;
  }
  return null;
}
