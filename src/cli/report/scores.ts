/** Scores, the agreement of judges, and repeated tries, as text. */

import type { AttemptsReport, JudgesReport, ScoreFileResult } from '../../index.js';
import { formatCount, formatNumber, formatSigned, UNKNOWN } from '../terminal/numbers.js';
import { type TableColumn, tableLines } from '../terminal/table.js';
import { visible } from '../terminal/text.js';
import { wrap } from '../terminal/width.js';
import type { ReportOptions } from './measures.js';

export function scoredLines(
  { rows, scores, names, skipped, errors }: ScoreFileResult,
  matched: Readonly<Record<string, number>>,
  options: ReportOptions,
): string[] {
  const columns: TableColumn[] = [
    { header: 'score', align: 'left', shrinks: true },
    { header: 'written', align: 'right' },
    { header: 'events that have one', align: 'right' },
  ];
  const table = Object.entries(names).map(([name, count]) => [
    visible(name),
    formatNumber(count),
    formatNumber(matched[name] ?? 0),
  ]);
  return [
    options.style.bold(`${formatCount(scores, 'score')} from ${formatCount(rows, 'line')}`),
    ...tableLines(columns, table, options),
    ...(skipped === 0 ? [] : [options.style.yellow(`${formatCount(skipped, 'value')} or lines left out`)]),
    ...errors.flatMap(({ row, message }) =>
      wrap(visible(`line ${row}: ${message}`), options.width, '  ', '    '),
    ),
  ];
}

export function judgesLines(
  { name, items, judges, alpha, pairs, level }: JudgesReport,
  options: ReportOptions,
): string[] {
  const { bold, dim } = options.style;
  const columns: TableColumn[] = [
    { header: 'judge', align: 'left', shrinks: true },
    { header: 'scores', align: 'right' },
    { header: level === 'nominal' ? 'share of yes' : 'mean', align: 'right' },
  ];
  const rows = judges.map(({ by, scores, mean }) => [
    judgeText(by),
    formatNumber(scores),
    formatNumber(mean, 3),
  ]);
  return [
    bold(`${visible(name)}, of ${formatCount(items, 'thing')}`),
    ...tableLines(columns, rows, options),
    ...(alpha === null || alpha.estimate === null
      ? []
      : wrap(
          `Krippendorff's alpha ${formatNumber(alpha.estimate, 3)}${intervalText(alpha.confidenceInterval)}, of ${formatCount(alpha.items, 'thing')} with two scores or more`,
          options.width,
          '  ',
          '    ',
        )),
    ...(pairs.length === 0 ? [] : pairTable(pairs, level, options)),
    ...(pairs.length === 0 ? [] : [dim('  b - a: what the second judge adds on average, with its interval')]),
    '',
  ];
}

function pairTable(
  pairs: JudgesReport['pairs'],
  level: JudgesReport['level'],
  options: ReportOptions,
): string[] {
  const isFlag = level === 'nominal';
  const columns: TableColumn[] = [
    { header: 'a', align: 'left' },
    { header: 'b', align: 'left', shrinks: true },
    { header: 'both', align: 'right' },
    { header: 'agree, %', align: 'right' },
    { header: 'kappa', align: 'left', optional: 1 },
    { header: 'b - a', align: 'left', optional: 2 },
    ...(isFlag
      ? [
          { header: 'sensitivity', align: 'right', optional: 3 } as const,
          { header: 'specificity', align: 'right', optional: 3 } as const,
        ]
      : [{ header: 'rank correlation', align: 'right', optional: 3 } as const]),
  ];
  const rows = pairs.map(({ a, b, items, agreement, kappa, bias, correlation, sensitivity, specificity }) => [
    judgeText(a),
    judgeText(b),
    formatNumber(items),
    items === 0 ? UNKNOWN : formatNumber(agreement * 100, 1),
    kappa === null || kappa.estimate === null
      ? UNKNOWN
      : `${formatNumber(kappa.estimate, 3)}${intervalText(kappa.confidenceInterval)}`,
    bias === null ? UNKNOWN : `${formatSigned(bias.estimate, 3)}${intervalText(bias.confidenceInterval)}`,
    ...(isFlag
      ? [sensitivity, specificity].map((rate) => (rate === null ? UNKNOWN : formatNumber(rate.estimate, 3)))
      : [formatNumber(correlation, 3)]),
  ]);
  return tableLines(columns, rows, options);
}

function judgeText(by: string | null): string {
  return by === null ? '(nobody named)' : visible(by);
}

function intervalText(interval: readonly [number, number] | null): string {
  return interval === null ? '' : ` (${interval.map((bound) => formatNumber(bound, 3)).join(' to ')})`;
}

export function attemptsLines(
  { of, tasks, tries, withoutSample, results }: AttemptsReport,
  options: ReportOptions,
): string[] {
  const columns: TableColumn[] = [
    { header: 'k', align: 'right' },
    { header: 'pass@k, one of k', align: 'left' },
    { header: 'pass^k, all of k', align: 'left' },
    { header: 'samples', align: 'right', optional: 1 },
    { header: 'tried less often', align: 'right', optional: 2 },
  ];
  const rows = results.map(({ k, leftOut, passAtK, passHatK }) => [
    String(k),
    ...[passAtK, passHatK].map((found) =>
      found === null
        ? UNKNOWN
        : `${formatNumber(found.estimate, 3)}${intervalText(found.confidenceInterval)}`,
    ),
    formatNumber(tasks - leftOut),
    formatNumber(leftOut),
  ]);
  return [
    options.style.bold(
      `${visible(of)}: ${formatCount(tries, 'try', 'tries')} of ${formatCount(tasks, 'sample')}`,
    ),
    ...tableLines(columns, rows, options),
    ...(withoutSample === 0
      ? []
      : [options.style.yellow(`${formatCount(withoutSample, 'event')} without a sampleId left out`)]),
  ];
}
