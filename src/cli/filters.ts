/** The options that choose events, common to all commands that analyse. */

import type { Filter } from '../schema/event.js';
import type { OptionTable, OptionValues } from './args.js';
import { UsageError } from './errors.js';
import { formatTime } from './terminal/numbers.js';
import { oneLine } from './terminal/text.js';
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
    value: 'KEY=VALUE',
    description:
      'only events whose metadata, or else whose own field, has this value: a number, true, false, null or text; text that looks otherwise in quotes, \'code="7"\'',
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
  const where = readWhere(options.where, command);
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

function readWhere(conditions: readonly string[], command: string): Record<string, unknown> | null {
  if (conditions.length === 0) return null;
  const entries = conditions.map((condition) => {
    const at = condition.indexOf('=');
    if (at < 1) {
      throw new UsageError(`--where expects KEY=VALUE, got ${JSON.stringify(condition)}`, command);
    }
    return [condition.slice(0, at), readValue(condition.slice(at + 1))] as const;
  });
  const keys = entries.map(([key]) => key);
  const twice = keys.find((key, index) => keys.indexOf(key) < index);
  if (twice !== undefined) {
    throw new UsageError(`--where names ${twice} twice, and an event has one value`, command);
  }
  return Object.fromEntries(entries);
}

/** JSON where it is JSON, text where it is not. */
function readValue(text: string): unknown {
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
  return oneLine(
    [
      ...named('event', eventName),
      ...named('model', model),
      ...named('provider', provider),
      ...named('condition', condition),
      ...(success === undefined ? [] : [success ? 'succeeded' : 'failed']),
      ...time('from', from),
      ...time('to', to),
      ...Object.entries(where ?? {}).map(([key, value]) => `${key} = ${JSON.stringify(value)}`),
    ].join(', '),
  );
}
