/** Experiments on disk as text. */

import type { StreamingGroup, StreamingMetrics } from '../../analysis/types.js';
import type { Damage, RecoveredExperiment, RecoveryReport, StoredExperiment } from '../../index.js';
import { hintFor } from '../errors.js';
import {
  formatBytes,
  formatCount,
  formatDuration,
  formatNumber,
  formatShare,
  formatTime,
  millisecondDecimals,
  UNKNOWN,
  usdDecimals,
} from '../terminal/numbers.js';
import { type TableColumn, tableLines } from '../terminal/table.js';
import { shellArgument, visible } from '../terminal/text.js';
import { displayWidth, padEnd, wrap } from '../terminal/width.js';
import { decidedOf, type ReportOptions } from './measures.js';

/** A table of experiments, in the order given. @param nowUs - of those that run, the end */
export function listLines(
  experiments: readonly StoredExperiment[],
  nowUs: number,
  options: ReportOptions,
): string[] {
  const columns: TableColumn[] = [
    { header: 'id', align: 'left' },
    { header: 'name', align: 'left', shrinks: true },
    { header: 'condition', align: 'left', optional: 5 },
    { header: 'status', align: 'left' },
    { header: 'events', align: 'right' },
    { header: 'dropped', align: 'right', optional: 4 },
    { header: 'started', align: 'left', optional: 1 },
    { header: 'duration', align: 'right', optional: 3 },
    { header: 'size', align: 'right', optional: 2 },
  ];
  const rows = experiments.map((stored) => [
    stored.id,
    visible(stored.experiment?.name ?? UNKNOWN),
    visible(stored.experiment?.condition ?? UNKNOWN),
    statusText(stored),
    formatNumber(stored.experiment && stored.rows),
    formatNumber(stored.experiment && stored.dropped),
    formatTime(stored.experiment?.startedAt),
    durationText(stored, nowUs),
    stored.experiment === null ? UNKNOWN : formatBytes(stored.bytes),
  ]);
  return tableLines(columns, rows, options);
}

/** What a list of experiments leaves to be said. */
export function listNotes(experiments: readonly StoredExperiment[], dir: string, width: number): string[] {
  const interrupted = experiments.filter((stored) => stored.interrupted).length;
  const notes = experiments.flatMap(({ id, error, missingSegments }) => {
    if (error !== null) return [`${id} cannot be read: ${adviceText(error)}`];
    return missingSegments === 0 ? [] : [`${id}: ${formatCount(missingSegments, 'segment')} missing`];
  });
  const ended = `${formatCount(interrupted, 'experiment')} not stopped before the process ended. The program goes on with crucible.recover(); to end in good order what nobody captures any more:`;
  return [
    ...[...notes, ...(interrupted === 0 ? [] : [ended])].flatMap((note) => wrap(note, width, '! ', '  ')),
    // To be copied: never wrapped.
    ...(interrupted === 0 ? [] : [`    crucible recover ${shellArgument(dir)} --stop`]),
  ];
}

/** `running`, and by whom; `interrupted` where nobody captures what was running. */
export function statusText({
  experiment,
  heldBy,
  interrupted,
}: Pick<StoredExperiment, 'experiment' | 'heldBy' | 'interrupted'>): string {
  if (experiment === null) return 'unreadable';
  if (interrupted) return 'interrupted';
  return heldBy === null ? experiment.status : `${experiment.status} (pid ${heldBy.pid})`;
}

function durationText({ experiment, interrupted, lastSeenAt }: StoredExperiment, nowUs: number): string {
  if (experiment === null) return UNKNOWN;
  const endUs = interrupted || experiment.stoppedAt !== null ? lastSeenAt : nowUs;
  return endUs === null ? UNKNOWN : formatDuration(Math.max(0, endUs - experiment.startedAt) / 1000);
}

// ── Recovery ─────────────────────────────────────────────────────────────────────────────────────

/** Whether something of it is damaged, missing or not to be opened. */
export function isDamaged({ access, damage }: RecoveredExperiment): boolean {
  return access === 'none' || damage.length > 0;
}

export function recoveryLines(report: RecoveryReport, options: ReportOptions): string[] {
  const { green, yellow, red } = options.style;
  const columns: TableColumn[] = [
    { header: 'id', align: 'left' },
    { header: 'name', align: 'left', shrinks: true },
    { header: 'status', align: 'left' },
    { header: 'events', align: 'right' },
    { header: 'dropped', align: 'right', optional: 4 },
    { header: 'segments', align: 'right', optional: 5 },
    { header: 'size', align: 'right', optional: 3 },
    { header: 'first', align: 'left', optional: 2 },
    { header: 'last', align: 'left', optional: 1 },
  ];
  const rows = report.experiments.map((found) => {
    const number = (value: number) => formatNumber(found.access === 'none' ? null : value);
    return [
      found.id,
      visible(found.name ?? UNKNOWN),
      found.resumable ? 'interrupted' : (found.status ?? 'unreadable'),
      number(found.rows),
      number(found.dropped),
      number(found.segments),
      found.access === 'none' ? UNKNOWN : formatBytes(found.bytes),
      formatTime(found.timeRange?.[0]),
      formatTime(found.timeRange?.[1]),
    ];
  });
  const notes = (paint: (text: string) => string, of: (found: RecoveredExperiment) => readonly string[]) =>
    report.experiments.flatMap((found) =>
      of(found).flatMap((note) => wrap(`${found.id}: ${note}`, options.width, '  ', '    ').map(paint)),
    );
  const summary = `${formatCount(report.rows, 'event')} in ${formatCount(report.experiments.length, 'experiment')}, ${formatBytes(report.bytes)}`;
  return [
    report.experiments.some(isDamaged)
      ? red(`✗ ${summary}; not everything could be read`)
      : green(`✓ ${summary}`),
    ...tableLines(columns, rows, options),
    ...notes((text) => text, doneNotes),
    ...notes(yellow, heldNotes),
    ...notes(yellow, noticeNotes),
    ...notes(red, damageNotes),
    ...(report.experiments.some(({ changed, notice }) => changed || notice !== null)
      ? []
      : ['There was nothing to do; nothing was changed.']),
  ];
}

function doneNotes({ interrupted, resumable, cut, access }: RecoveredExperiment): string[] {
  const tails = cut.map(
    ({ file, bytes }) =>
      `${formatBytes(bytes)} at the end of ${file} cut off: they were being written when the process ended`,
  );
  if (resumable) return [...tails, 'not stopped when its process ended; crucible.recover() lets it go on'];
  if (!interrupted || access === 'write') return tails;
  return [...tails, 'not stopped when its process ended; stopped now, as of its last sign of life'];
}

function heldNotes({ heldBy }: RecoveredExperiment): string[] {
  if (heldBy === null) return [];
  const where = heldBy.host === null ? '' : ` on ${visible(heldBy.host)}`;
  return [`process ${heldBy.pid}${where} is capturing it; left as it is`];
}

function noticeNotes({ notice }: RecoveredExperiment): string[] {
  return notice === null ? [] : [`only read, and not repaired: ${adviceText(notice)}`];
}

function damageNotes({ damage, error }: RecoveredExperiment): string[] {
  return error === null ? damage.map(damageText) : [`cannot be opened: ${adviceText(error)}`];
}

/** Why an experiment that was found cannot be opened, and what to do about it. */
function adviceText(error: { code: string; message: string }): string {
  const hint = hintFor(error.code);
  return hint === null ? reasonText(error) : `${reasonText(error)}; ${hint}`;
}

/** Why an experiment that was found cannot be opened. */
export function reasonText({ code, message }: { code: string; message: string }): string {
  if (code === 'ERR_NOT_FOUND') return 'its experiment.json is missing, although its segments are there';
  return visible(message);
}

/** Where, what, and what it costs. */
export function damageText({ file, offset, rowsLost, reason }: Damage): string {
  const at = offset === null ? '' : ` at byte ${formatNumber(offset)}`;
  const cost = rowsLost === null ? 'an unknown number of events' : formatCount(rowsLost, 'event');
  return `${file}${at}: ${visible(reason)}; ${cost} lost`;
}

/** Where experiments were kept, and how to look at them. */
export function keptLines(dir: string, experiments: readonly { id: string; name: string }[]): string[] {
  const shown = experiments.map(({ id, name }) => [visible(name), `show ${id}`] as const);
  const ids = experiments.map(({ id }) => id).join(' ');
  const lines = experiments.length < 2 ? shown : [...shown, ['together', `compare ${ids}`] as const];
  const nameWidth = Math.max(...lines.map(([name]) => displayWidth(name)));
  return [
    `Kept in ${dir}:`,
    ...lines.map(
      ([name, command]) => `  ${padEnd(name, nameWidth)}   crucible ${command} --dir ${shellArgument(dir)}`,
    ),
  ];
}

// ── One experiment ───────────────────────────────────────────────────────────────────────────────

/** Names and values, aligned under a heading. */
export function factLines(
  heading: string,
  facts: readonly (readonly [name: string, value: string])[],
  { style, width }: ReportOptions,
): string[] {
  const shown = facts.map(([name, value]) => [visible(name), value] as const);
  const nameWidth = Math.max(...shown.map(([name]) => displayWidth(name)));
  return [
    style.bold(visible(heading)),
    ...shown.flatMap(([name, value]) =>
      wrap(value, width, `  ${style.dim(padEnd(name, nameWidth))}   `, ' '.repeat(nameWidth + 5)),
    ),
  ];
}

/** Live summaries, one line for each event and one for all of them. */
export function streamingLines(streaming: StreamingMetrics, options: ReportOptions): string[] {
  const events = Object.entries(streaming.byEvent).sort(([, a], [, b]) => b.count - a.count);
  const groups: [name: string, group: StreamingGroup][] =
    events.length > 1 ? [...events, ['all', streaming]] : events;
  const msDecimals = millisecondDecimals(groups.map(([, { latency }]) => latency.mean));
  const costDecimals = usdDecimals(groups.map(([, { cost }]) => cost.total));
  const columns: TableColumn[] = [
    { header: 'event', align: 'left' },
    ...['count', 'mean, ms', 'p50', 'p95', 'p99', 'success, %', 'cost, USD'].map((header) => ({
      header,
      align: 'right' as const,
    })),
  ];
  const rows = groups.map(([name, { count, latency, reliability, cost }]) => [
    visible(name),
    formatNumber(count),
    ...[latency.mean, latency.p50, latency.p95, latency.p99].map((ms) => formatNumber(ms, msDecimals)),
    formatShare(decidedOf(reliability as Parameters<typeof decidedOf>[0])?.successRate),
    formatNumber(cost.count === 0 ? null : cost.total, costDecimals),
  ]);
  return [...tableLines(columns, rows, options), ...liveLines(streaming.columns, options)];
}

/** The live columns, below the rest; none where there are none. */
function liveLines(live: StreamingMetrics['columns'], options: ReportOptions): string[] {
  const entries = Object.entries(live);
  if (entries.length === 0) return [];
  const columns: TableColumn[] = [
    { header: 'live column', align: 'left' },
    ...['count', 'mean', 'std. dev.', 'p50', 'p95', 'p99'].map((header) => ({
      header,
      align: 'right' as const,
    })),
  ];
  const rows = entries.map(([name, { count, mean, stdDev, p50, p95, p99 }]) => [
    visible(name),
    formatNumber(count),
    ...[mean, stdDev, p50, p95, p99].map((value) => formatNumber(value, 3)),
  ]);
  return ['', ...tableLines(columns, rows, options)];
}
