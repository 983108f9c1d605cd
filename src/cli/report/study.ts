/** Studies and their verdicts as text, and as Markdown. */

import { change, decimalsOf, interval, pText } from '../../analysis/compare/words.js';
import type { Decision, MetricComparison, StoredStudy, StudyVerdict } from '../../index.js';
import { formatCount, formatNumber } from '../terminal/numbers.js';
import type { Style } from '../terminal/style.js';
import { type TableColumn, tableLines } from '../terminal/table.js';
import { visible } from '../terminal/text.js';
import { wrap } from '../terminal/width.js';
import type { ReportOptions } from './measures.js';

const TEXT_WIDTH = 100;

function sentences(
  text: string,
  { width }: ReportOptions,
  first = '',
  rest = first.replaceAll(/./g, ' '),
): string[] {
  return wrap(visible(text), Math.min(width, TEXT_WIDTH), first, rest);
}

export function timeText(us: number): string {
  return `${new Date(us / 1000).toISOString().slice(0, 16).replace('T', ' ')} UTC`;
}

export function studyListLines(studies: readonly StoredStudy[], options: ReportOptions): string[] {
  const columns: TableColumn[] = [
    { header: 'study', align: 'left', shrinks: true },
    { header: 'arms', align: 'left', optional: 2 },
    { header: 'unit', align: 'left', optional: 3 },
    { header: 'experiments', align: 'right', optional: 1 },
    { header: 'looks', align: 'right' },
    { header: 'planned', align: 'left', optional: 4 },
  ];
  const rows = studies.map(({ name, folder, plan, contributions, looks, plannedAt, error }) => [
    visible(name ?? folder),
    error === null
      ? visible(plan!.arms.map((arm) => arm.name).join(', '))
      : `unreadable: ${visible(error.message)}`,
    plan === null ? '' : visible(plan.unit),
    String(contributions.length),
    String(looks.length),
    plannedAt === null ? '' : timeText(plannedAt),
  ]);
  return [options.style.bold(formatStudies(studies.length)), ...tableLines(columns, rows, options)];
}

function formatStudies(count: number): string {
  return count === 1 ? '1 study' : `${count} studies`;
}

export function studyLines(study: StoredStudy, options: ReportOptions): string[] {
  const { name, folder, plan, hash, plannedAt, contributions, looks, error } = study;
  const { bold, dim, red } = options.style;
  if (plan === null)
    return [bold(visible(name ?? folder)), ...sentences(error?.message ?? '', options, '  ').map(red)];
  const { analysis } = plan;
  const arms = plan.arms.map(({ name: arm, weight }) => {
    const own = contributions.filter((each) => each.arm === arm);
    const processes = new Set(own.map(({ process }) => process)).size;
    return [visible(arm), String(weight), String(own.length), String(processes)];
  });
  const columns: TableColumn[] = [
    { header: 'arm', align: 'left', shrinks: true },
    { header: 'weight', align: 'right' },
    { header: 'experiments', align: 'right' },
    { header: 'processes', align: 'right' },
  ];
  return [
    bold(visible(plan.study)),
    ...(plan.hypothesis === null ? [] : sentences(plan.hypothesis, options, '  ')),
    ...sentences(
      `Assigned by ${plan.unit}. Planned ${timeText(plannedAt!)}; SHA-256 of the plan ${hash}.`,
      options,
      '  ',
    ).map(dim),
    ...tableLines(columns, arms, options),
    ...(analysis === null
      ? ['', ...sentences('Nothing was planned: the study decides nothing.', options)]
      : ['', ...analysis.outcomes.flatMap((outcome) => sentences(outcomeText(outcome), options, '  '))]),
    ...(analysis === null ? [] : sentences(planText(analysis), options)),
    ...(looks.length === 0
      ? ['', 'Nobody has looked.']
      : ['', ...looks.flatMap((look) => sentences(lookText(look), options, '  '))]),
  ];
}

export function outcomeText({
  of,
  per,
  role,
  margin,
  summary,
  name,
}: NonNullable<StoredStudy['plan']>['analysis'] extends infer A
  ? NonNullable<A> extends { outcomes: readonly (infer O)[] }
    ? O
    : never
  : never): string {
  const quantile = typeof summary === 'object' ? ` (quantile ${summary.quantile})` : '';
  const what = `${of}${per === undefined ? '' : ` per ${per}`}${quantile}`;
  const size = typeof margin === 'object' ? `${margin.relative * 100} % of the baseline` : margin;
  return `${role}: ${what}${name === undefined || name === of ? '' : ` as ${name}`}${margin === undefined ? '' : `, margin ${size}`}`;
}

export function planText({
  alpha,
  sequential,
  unitsPerArm,
  until,
  segments,
}: NonNullable<NonNullable<StoredStudy['plan']>['analysis']>): string {
  const ends = [
    ...(unitsPerArm === null ? [] : [`${unitsPerArm.toLocaleString('en-US')} units in every arm`]),
    ...(until === null ? [] : [`until ${until}`]),
  ];
  const looks =
    sequential === null
      ? 'looked at once, at the end'
      : `may be looked at any time (tuning ${sequential.tuning})`;
  const names = Object.keys(segments ?? {});
  const parts = names.length === 0 ? '' : `; segments: ${names.join(', ')}`;
  return `alpha ${alpha}; ${looks}${ends.length === 0 ? '' : `; ${ends.join(', ')}`}${parts}.`;
}

export function lookText({ at, events, units, decision, deviations }: StoredStudy['looks'][number]): string {
  const told = deviations.length === 0 ? '' : ` (${deviations.join(', ')})`;
  return `${timeText(at)}: ${decision}, at ${formatCount(units, 'unit')} and ${formatCount(events, 'event')}${told}`;
}

/** How far an arm is, before anybody looks at an outcome. */
export interface ArmProgress {
  readonly arm: string;
  readonly experiments: number;
  readonly processes: number;
  /** Experiments that are being captured. */
  readonly running: number;
  /** On disk. */
  readonly events: number;
}

const PROGRESS_COLUMNS: TableColumn[] = [
  { header: 'arm', align: 'left', shrinks: true },
  { header: 'events', align: 'right' },
  { header: 'experiments', align: 'right', optional: 2 },
  { header: 'running', align: 'right' },
  { header: 'processes', align: 'right', optional: 1 },
];

export function progressLines(
  { study, analysis }: NonNullable<StoredStudy['plan']>,
  arms: readonly ArmProgress[],
  options: ReportOptions,
): string[] {
  const rows = arms.map(({ arm, events, experiments, running, processes }) => [
    visible(arm),
    ...[events, experiments, running, processes].map((count) => formatNumber(count)),
  ]);
  const note =
    analysis === null
      ? 'Nothing was planned: the study decides nothing.'
      : `Outcomes are looked at once, at the end: crucible gate. The plan: ${planText(analysis)}`;
  return [
    options.style.bold(visible(study)),
    ...tableLines(PROGRESS_COLUMNS, rows, options),
    ...sentences(note, options, '  ').map(options.style.dim),
  ];
}

/** The same in one plain line, for a log. */
export function progressLogLine(study: string, arms: readonly ArmProgress[]): string {
  const told = arms.map(
    ({ arm, events, running }) =>
      `${visible(arm)} ${formatCount(events, 'event')}, ${formatNumber(running)} running`,
  );
  return `${visible(study)}: ${told.join(' · ')}`;
}

/** A verdict in one plain line, for a log. */
export function verdictLogLine(verdict: StudyVerdict): string {
  const arms = Object.entries(verdict.arms).map(
    ([arm, { units, events }]) =>
      `${visible(arm)} ${formatCount(units, 'unit')}, ${formatCount(events, 'event')}`,
  );
  const [primary] = Object.values(verdict.outcomes).filter(
    ({ role, planned }) => planned && role === 'primary',
  );
  const shown =
    primary === undefined ? '' : ` · ${visible(primary.label)} ${differenceText(primary, verdict.alpha)}`;
  return `${visible(headline(verdict))} · ${arms.join(' · ')}${shown}`;
}

export function verdictLines(verdict: StudyVerdict, options: ReportOptions): string[] {
  const { style } = options;
  const { reasons, deviations, assumptions, wouldChange, warnings, method, unit } = verdict;
  return [
    colourOf(verdict.decision, style)(style.bold(visible(headline(verdict)))),
    ...reasons.flatMap((reason) => sentences(reason, options, '  ')),
    '',
    ...tableLines(ARM_COLUMNS, armRows(verdict), options),
    ...(Object.keys(verdict.outcomes).length === 0
      ? []
      : ['', ...tableLines(OUTCOME_COLUMNS, outcomeRows(verdict), options)]),
    ...(Object.keys(verdict.segments).length === 0
      ? []
      : ['', ...tableLines(SEGMENT_COLUMNS, segmentRows(verdict), options)]),
    '',
    ...sentences(verdict.planFollowed ? 'The plan was followed.' : 'The plan was not followed:', options).map(
      verdict.planFollowed ? style.dim : style.yellow,
    ),
    ...deviations.flatMap(({ message }) => sentences(message, options, '! ')).map(style.yellow),
    ...warnings.flatMap(({ message }) => sentences(message, options, '! ')).map(style.yellow),
    ...(method === null ? [] : sentences(`Method: ${method}. Unit: ${unit}.`, options).map(style.dim)),
    ...(assumptions.length === 0
      ? []
      : sentences(`Assumed: ${assumptions.join('; ')}.`, options).map(style.dim)),
    ...wouldChange.flatMap((text) => sentences(`What would change this: ${text}.`, options)).map(style.dim),
  ];
}

export function headline({ study, decision, treatment, baseline }: StudyVerdict): string {
  return `${study}: ${decision}${treatment === null ? '' : ` (${treatment} against ${baseline})`}`;
}

function colourOf(decision: Decision, { green, red, yellow }: Style): (text: string) => string {
  if (decision === 'better' || decision === 'noninferior') return green;
  return decision === 'undecided' ? yellow : red;
}

export const ARM_COLUMNS: TableColumn[] = [
  { header: 'arm', align: 'left', shrinks: true },
  { header: 'units', align: 'right' },
  { header: 'events', align: 'right' },
  { header: 'processes', align: 'right', optional: 1 },
];

export function armRows({ arms }: StudyVerdict): string[][] {
  return Object.entries(arms).map(([arm, { units, events, processes }]) => [
    visible(arm),
    formatNumber(units),
    formatNumber(events),
    formatNumber(processes),
  ]);
}

export const OUTCOME_COLUMNS: TableColumn[] = [
  { header: 'outcome', align: 'left', shrinks: true },
  { header: 'role', align: 'left', optional: 3 },
  { header: 'baseline', align: 'right', optional: 2 },
  { header: 'treatment', align: 'right', optional: 1 },
  { header: 'difference', align: 'left' },
  { header: 'p, adjusted', align: 'left', optional: 4 },
];

export function outcomeRows({ outcomes, alpha }: StudyVerdict): string[][] {
  return Object.values(outcomes).map((outcome) => [
    visible(outcome.label),
    outcome.planned ? outcome.role : 'not planned',
    estimateText(outcome.baseline.estimate, outcome),
    estimateText(outcome.treatment.estimate, outcome),
    differenceText(outcome, alpha),
    adjustedText(outcome),
  ]);
}

/** What is decided by: adjusted where several questions are asked. */
function adjustedText({ adjustedPValue, pValue }: MetricComparison): string {
  const p = adjustedPValue ?? pValue;
  return p === null ? '' : pText(p);
}

/** The segments that were planned, which decide nothing. */
export const SEGMENT_COLUMNS: TableColumn[] = [
  { header: 'segment', align: 'left', shrinks: true },
  { header: 'outcome', align: 'left' },
  { header: 'difference', align: 'left' },
  { header: 'p, adjusted', align: 'left', optional: 1 },
];

export function segmentRows({ segments, alpha }: StudyVerdict): string[][] {
  return Object.entries(segments).flatMap(([name, { metrics }]) =>
    Object.values(metrics).map((found) => [
      visible(name),
      visible(found.label),
      differenceText(found, alpha),
      adjustedText(found),
    ]),
  );
}

function estimateText(estimate: number | null, outcome: MetricComparison): string {
  if (estimate === null) return '';
  const { unit } = outcome;
  const scale = unit === 'share' ? 100 : 1;
  const suffix = { ms: ' ms', USD: ' USD', share: ' %', tokens: '', number: '' }[unit];
  return `${(estimate * scale).toFixed(decimalsOf(outcome))}${suffix}`;
}

function differenceText(outcome: MetricComparison, alpha: number): string {
  const { difference, confidenceInterval, unit, reason } = outcome;
  if (difference === null) return visible(reason ?? '');
  const decimals = decimalsOf(outcome);
  const told = change(difference, unit, decimals);
  if (confidenceInterval === null) return told;
  return `${told}, ${interval(confidenceInterval, unit, decimals, 1 - alpha)}`;
}

/** For a summary in CI or a comment: headline, reasons, tables and what to read them with. */
export function verdictMarkdown(verdict: StudyVerdict): string[] {
  const { hypothesis, reasons, deviations, warnings, assumptions, wouldChange, method, unit, plan } = verdict;
  const item = (text: string) => `- ${escaped(text)}`;
  return [
    `## ${escaped(headline(verdict))}`,
    '',
    ...(hypothesis === null ? [] : [`> ${escaped(hypothesis)}`, '']),
    ...reasons.map(item),
    '',
    ...markdownTable(ARM_COLUMNS, armRows(verdict)),
    ...(Object.keys(verdict.outcomes).length === 0
      ? []
      : ['', ...markdownTable(OUTCOME_COLUMNS, outcomeRows(verdict))]),
    ...(Object.keys(verdict.segments).length === 0
      ? []
      : ['', ...markdownTable(SEGMENT_COLUMNS, segmentRows(verdict))]),
    '',
    verdict.planFollowed ? 'The plan was followed.' : '**The plan was not followed.**',
    '',
    ...deviations.map(({ message }) => item(message)),
    ...warnings.map(({ message }) => item(`warning: ${message}`)),
    ...(method === null ? [] : [item(`method: ${method}; unit: ${unit}`)]),
    ...(assumptions.length === 0 ? [] : [item(`assumed: ${assumptions.join('; ')}`)]),
    ...wouldChange.map((text) => item(`what would change this: ${text}`)),
    `- plan: \`${plan}\``,
  ];
}

function markdownTable(columns: readonly TableColumn[], rows: readonly (readonly string[])[]): string[] {
  const line = (cells: readonly string[]) => `| ${cells.map(escaped).join(' | ')} |`;
  return [
    line(columns.map(({ header }) => header)),
    `| ${columns.map(({ align }) => (align === 'right' ? '--:' : ':--')).join(' | ')} |`,
    ...rows.map(line),
  ];
}

/** A name is text, whatever it would mean to Markdown or HTML. */
function escaped(text: string): string {
  return visible(text)
    .replaceAll('&', '&amp;')
    .replaceAll('<', '&lt;')
    .replaceAll(/[\\`*_{}[\]|~#]/g, (char) => `\\${char}`);
}
