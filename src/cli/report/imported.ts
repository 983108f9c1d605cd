/** What an import has left out or changed, and why. */

import type { ImportResult } from '../library.js';
import { formatCount } from '../terminal/numbers.js';

/** Reasons in words; the rows they are said of are left out, or kept as `what` says. */
const REASONS: Readonly<Record<string, { readonly what: string; readonly why: string }>> = {
  unreadable: { what: 'left out', why: 'not what the format says' },
  ragged: { what: 'with too few or too many fields', why: '--ragged keep keeps them' },
  encoding: { what: 'left out', why: 'bytes of another encoding; give it by --encoding' },
  tooLong: { what: 'left out', why: 'too long, or too many fields' },
  time: { what: 'left out', why: 'no time, or one that is not understood; --time now keeps them' },
  condition: { what: 'left out', why: 'no value in the column of conditions' },
  value: { what: 'kept without a value', why: 'not understood' },
  limit: {
    what: 'kept as far as it goes',
    why: 'nested too deep, too many keys, or of another type than its column',
  },
  nonFinite: { what: 'kept, with null', why: 'NaN, an infinity or a number beyond a double' },
  header: { what: 'renamed', why: 'a column without a name of its own' },
};
const EXAMPLES_MAX = 3;

export function leftOutLines({
  rows,
  skipped,
  reasons = {},
  errors = [],
  untimed = 0,
  unfilled = [],
}: ImportResult): string[] {
  const told = Object.entries(reasons) as [string, number][];
  const lines = told
    .sort(([, a], [, b]) => b - a)
    .map(([reason, count]) => {
      const { what, why } = REASONS[reason] ?? { what: reason, why: '' };
      return `  ${formatCount(count, 'time')}: ${what} (${why})`;
    });
  return [
    ...(skipped !== undefined && skipped > 0
      ? [`! ${formatCount(skipped, 'row')} left out of ${formatCount(rows + skipped, 'row')}`]
      : lines.length > 0
        ? ['! not all could be read as it is']
        : []),
    ...lines,
    ...errors
      .slice(0, EXAMPLES_MAX)
      .map(({ path, line, message }) => `  ${path === undefined ? '' : `${path}, `}line ${line}: ${message}`),
    ...(untimed > 0 ? [`! ${formatCount(untimed, 'row')} without a time: they have that of the import`] : []),
    ...(unfilled.length > 0 ? [`! nothing was found for ${unfilled.join(', ')}`] : []),
  ];
}
