/** What an export has written. */

import type { ExportResult } from '../../index.js';
import type { ExportPlan } from '../export-options.js';
import type { OpenedExperiment } from '../stored-experiments.js';
import { formatCount, formatDuration, formatNumber } from '../terminal/numbers.js';
import { oneLine } from '../terminal/text.js';
import { cutLines, filterLines, lossLines } from './analysed.js';
import type { ReportOptions } from './measures.js';

export function exportedLines(
  { path, rows, cut, bytes, sha256, manifest }: ExportResult,
  opened: readonly OpenedExperiment[],
  { filter, anonymize }: ExportPlan['options'],
  elapsedMs: number,
  options: ReportOptions,
): string[] {
  const { green, dim } = options.style;
  const names = opened.map(({ experiment }) => oneLine(experiment.name)).join(', ');
  const rate = formatNumber(rows / Math.max(elapsedMs / 1000, 1e-3));
  // To be copied: never wrapped.
  const facts = [
    ['path', path],
    ['rows', formatNumber(rows)],
    ['bytes', formatNumber(bytes)],
    ['sha256', sha256],
    ['manifest', manifest],
    ...(anonymize === undefined ? [] : [['anonymized', anonymizedText(anonymize)]]),
  ] as const;
  const nameWidth = Math.max(...facts.map(([name]) => name!.length));
  return [
    `${green('✓')} ${formatCount(rows, 'event')} of ${names} in ${formatDuration(elapsedMs)}, ${rate} events/s`,
    ...filterLines(filter ?? null, options),
    ...facts.map(([name, value]) => `  ${dim(name!.padEnd(nameWidth))}   ${value}`),
    ...cutLines(cut, options),
    ...lossLines(opened, options, 'this file'),
  ];
}

function anonymizedText({ mode = 'hash', fields = [] }: NonNullable<ExportPlan['options']['anonymize']>) {
  const names = ['userId', 'sessionId', ...fields].map(oneLine).join(', ');
  return mode === 'drop' ? `dropped: ${names}` : `hashed: ${names}`;
}
