/** What an analysis says besides its figures: of which events, and of which not. */

import type { Metrics } from '../../analysis/types.js';
import type { Filter } from '../../index.js';
import { filterText, slipText } from '../filters.js';
import type { OpenedExperiment } from '../stored-experiments.js';
import { formatCount, formatDuration, formatNumber, formatTime } from '../terminal/numbers.js';
import { oneLine } from '../terminal/text.js';
import { wrap } from '../terminal/width.js';
import type { ReportOptions } from './measures.js';

/** Which experiment, and which of its events. */
export function titleLines(
  { experiment: { id, name, condition } }: OpenedExperiment,
  filter: Filter | null,
  { style, width }: ReportOptions,
): string[] {
  return [
    `${style.bold(oneLine(name))}  ${style.dim(oneLine(`${id} · ${condition}`))}`,
    ...filterLines(filter, { style, width }),
  ];
}

/** How many events, from when to when. */
export function spanText({ summary: { totalEvents, timeRange, durationSeconds } }: Metrics): string {
  const span = `${formatTime(timeRange.start)} to ${formatTime(timeRange.end)}`;
  return `${formatCount(totalEvents, 'event')}, ${span} (${formatDuration(durationSeconds * 1000)})`;
}

export function filterLines(filter: Filter | null, { style, width }: ReportOptions): string[] {
  return filter === null ? [] : wrap(`only: ${filterText(filter)}`, width, '  ', '    ').map(style.dim);
}

/**
 * What the figures lack: events that were captured and cannot be read any more, or were never kept.
 * @param where - what lacks them
 */
export function lossLines(
  opened: readonly OpenedExperiment[],
  { style, width }: ReportOptions,
  where = 'these figures',
): string[] {
  return opened.flatMap(({ experiment: { id, name, counts }, report: { damage } }) => {
    if (counts.dropped === 0 && damage.length === 0) return [];
    const unknown = damage.some(({ rowsLost }) => rowsLost === null);
    const lost = `${unknown ? 'at least ' : ''}${formatCount(counts.dropped, 'event')}`;
    const text = `${lost} of ${oneLine(name)} dropped or damaged, and not in ${where}; crucible show ${id} says which`;
    return wrap(text, width, '! ', '  ').map(style.yellow);
  });
}

/** That events are not whole which were too large. */
export function cutLines(cut: number, { style, width }: Pick<ReportOptions, 'style' | 'width'>): string[] {
  if (cut === 0) return [];
  const text = `${formatCount(cut, 'event')} too large to be kept whole: texts are cut at 16 MiB, and events at 32 MiB`;
  return wrap(text, width, '! ', '  ').map(style.yellow);
}

/** That there is nothing to show, and what there would be. @param all - metrics without the filter */
export function emptyLines(
  { experiment }: OpenedExperiment,
  filter: Filter | null,
  all: Metrics,
  { width }: ReportOptions,
): string[] {
  if (filter === null || all.summary.totalEvents === 0) return [`${oneLine(experiment.name)} has no events.`];
  const names = Object.entries(all.events)
    .sort(([, a], [, b]) => b.count - a.count)
    .map(([event, { count }]) => `${oneLine(event)} (${formatNumber(count)})`);
  const text = `There are no such events. In all there are ${spanText(all)}: ${names.join(', ')}.`;
  const slip = slipText(filter);
  return wrap(slip === null ? text : `${text} ${oneLine(slip)}`, width);
}
