/** A comparison as text: what differs and by how much, how that was tested, and what it amounts to in sentences. */

import { namesOf } from '../../analysis/compare/words.js';
import type {
  Comparison,
  ComparisonSettings,
  CostStats,
  EffectSize,
  MetricComparison,
  TreatmentComparison,
} from '../../analysis/types.js';
import { intervalPlot } from '../terminal/interval-plot.js';
import {
  decimalsFor,
  formatCount,
  formatNumber,
  formatSigned,
  millisecondDecimals,
  UNKNOWN,
  usdDecimals,
} from '../terminal/numbers.js';
import type { Style } from '../terminal/style.js';
import { type TableColumn, tableLines } from '../terminal/table.js';
import { visible } from '../terminal/text.js';
import { displayWidth, wrap } from '../terminal/width.js';
import { known, type Maybe, type ReportOptions } from './measures.js';

/** Longer sentences are hard to read, whatever the terminal. */
const TEXT_WIDTH = 100;
/** Longer names would leave no room for figures; then the columns say what the arms are. */
const NAME_MAX = 14;
/** Of the drawn intervals: odd, with no difference in the middle. */
const PLOT_WIDTH = 21;
const PLOT_HEADER = `${' '.repeat((PLOT_WIDTH - 1) / 2)}0`;

const LABELS: Readonly<Record<string, string>> = {
  latencyMean: 'mean latency',
  latencyP95: 'p95 latency',
  costMean: 'mean cost',
  successRate: 'success',
  tokensMean: 'mean tokens',
};

/** Units as they are shown: shares in percent. */
const SHOWN: Readonly<Record<MetricComparison['unit'], { suffix: string; factor: number }>> = {
  ms: { suffix: ', ms', factor: 1 },
  USD: { suffix: ', USD', factor: 1 },
  share: { suffix: ', %', factor: 100 },
  tokens: { suffix: '', factor: 1 },
  number: { suffix: '', factor: 1 },
};

const METHODS: Readonly<Record<Exclude<ComparisonSettings['adjust'], 'none'>, string>> = {
  holm: 'Holm',
  bh: 'Benjamini-Hochberg',
  by: 'Benjamini-Yekutieli',
  bonferroni: 'Bonferroni',
  hochberg: 'Hochberg',
};

const EFFECTS: Readonly<Record<EffectSize['name'], string>> = {
  hedgesG: "Hedges' g",
  cliffsDelta: "Cliff's delta",
  cohensH: "Cohen's h",
  cohensDz: "Cohen's dz",
};

function labelOf({ metric, label }: MetricComparison): string {
  return LABELS[metric] ?? visible(label);
}

/**
 * Each treatment against the baseline, and the settings once.
 * @param detailed - with how each metric was tested, and everything that could not be
 */
export function comparisonLines(comparison: Comparison, options: ReportOptions, detailed = true): string[] {
  const { style } = options;
  const width = Math.min(options.width, TEXT_WIDTH);
  const { baseline, settings } = comparison;
  return [
    ...comparison.treatments.flatMap((treatment) => {
      const names = namesOf(baseline, treatment);
      const found = Object.values(treatment.metrics);
      const compared = found.filter(({ difference }) => difference !== null);
      return [
        style.bold(visible(`${names.treatment} against ${names.baseline}`)),
        ...sentences(`${eventText(comparison)}; ${pairingText(treatment)}`, width, '  ').map(style.dim),
        ...differenceTable(comparison, treatment, compared, names, options),
        ...nearly(compared, settings).flatMap((text) => sentences(text, width, '  ', '    ')),
        ...(detailed && compared.length > 0 ? ['', ...testTable(compared, settings, options)] : []),
        ...(detailed ? found.flatMap(reasons).flatMap((text) => sentences(text, width, '  ', '    ')) : []),
        '',
        ...sentences(treatment.verdict, width, '→ ', '  ').map(style.bold),
        ...(treatment.decision === undefined
          ? []
          : sentences(
              `By its primary outcome and guardrails: ${treatment.decision.outcome}.`,
              width,
              '→ ',
              '  ',
            ).map(style.bold)),
        ...treatment.warnings.flatMap(({ message }) =>
          sentences(message, width, '! ', '  ').map(style.yellow),
        ),
        ...Object.entries(treatment.segments ?? {}).flatMap(([name, { verdict }]) =>
          sentences(`In the segment ${name}: ${verdict}`, width, '  ', '    '),
        ),
        '',
      ];
    }),
    ...sentences(settingsText(settings), width).map(style.dim),
  ];
}

const NO_BREAK_SPACE = '\u00a0';

/** Wrapped, without breaks between a number and what it counts. */
function sentences(text: string, width: number, first?: string, rest?: string): string[] {
  const kept = visible(text).replaceAll(/ (?=(?:%|ms)(?!\w))/g, NO_BREAK_SPACE);
  return wrap(kept, width, first, rest).map((line) => line.replaceAll(NO_BREAK_SPACE, ' '));
}

function eventText({ event }: Comparison): string {
  return event === 'all' ? 'events of all kinds' : `events of ${visible(event)}`;
}

function pairingText({ pairing }: TreatmentComparison): string {
  return pairing.used
    ? `${formatCount(pairing.pairs, 'sample')} compared in pairs: ${pairing.reason}`
    : `not in pairs: ${pairing.reason}`;
}

function differenceTable(
  comparison: Comparison,
  treatment: TreatmentComparison,
  compared: readonly MetricComparison[],
  names: { baseline: string; treatment: string },
  options: ReportOptions,
): string[] {
  const { confidenceLevel } = comparison.settings;
  // For eyes, not for programs.
  const { tableWidth = Number.POSITIVE_INFINITY } = options;
  const isDrawn =
    tableWidth < Number.POSITIVE_INFINITY && compared.some((found) => found.confidenceInterval !== null);
  const isLong = Math.max(displayWidth(names.baseline), displayWidth(names.treatment)) > NAME_MAX;
  const [old, now] = isLong ? ['baseline', 'treatment'] : [names.baseline, names.treatment].map(visible);
  const columns: TableColumn[] = [
    { header: '', align: 'left' },
    { header: old!, align: 'right' },
    { header: now!, align: 'right' },
    { header: 'difference', align: 'right', optional: 1 },
    { header: `${percent(confidenceLevel)} interval`, align: 'right', optional: 2 },
    { header: 'change, %', align: 'right', optional: 4 },
    ...(compared.length > 0 ? [{ header: 'result', align: 'left', optional: 3 } as const] : []),
    ...(isDrawn ? [{ header: PLOT_HEADER, align: 'left', optional: 5, isDrawing: true } as const] : []),
  ];
  const rows = [
    ...compared.map((found) => [
      ...metricRow(found, options.style),
      ...(isDrawn ? [intervalPlot(found.difference, found.confidenceInterval, PLOT_WIDTH).trimEnd()] : []),
    ]),
    ...totalRows(comparison, treatment),
  ];
  return tableLines(columns, rows, { ...options, gap: 2, minShrunk: Math.floor(options.width / 4) });
}

function metricRow(found: MetricComparison, style: Style): string[] {
  const { unit, baseline, treatment, difference, confidenceInterval, relativePct } = found;
  const { suffix, factor } = SHOWN[unit];
  const shown = (value: Maybe) => value && value * factor;
  const decimals = decimalsOf(found);
  return [
    `${labelOf(found)}${suffix}`,
    formatNumber(shown(baseline.estimate), decimals),
    formatNumber(shown(treatment.estimate), decimals),
    formatSigned(shown(difference), decimals),
    confidenceInterval === null
      ? UNKNOWN
      : confidenceInterval.map((bound) => formatSigned(shown(bound), decimals)).join(' to '),
    // The relative change of a share is too easily taken for percentage points.
    unit === 'share' ? '' : formatSigned(relativePct, 1),
    resultText(found, style),
  ];
}

/** Sums have no test, but say what the means leave out: how much there was. */
function totalRows(comparison: Comparison, treatment: TreatmentComparison): string[][] {
  const [old, now] = [comparison.baseline.id, treatment.id].map(
    (id) => comparison.experiments.find((experiment) => experiment.id === id)?.metrics,
  );
  if (old === undefined || now === undefined) return [];
  const costs = [old, now].map(({ cost }) => known<CostStats>(cost)?.total ?? null);
  const row = (label: string, values: readonly Maybe[], decimals: number) => {
    const [before, after] = values as [Maybe, Maybe];
    const change = before === null || after === null ? null : after - before;
    return [
      label,
      formatNumber(before, decimals),
      formatNumber(after, decimals),
      formatSigned(change, decimals),
      '',
      formatSigned(before === null || before === 0 || change === null ? null : (100 * change) / before, 1),
    ];
  };
  return [
    ...(costs.some((cost) => cost !== null) ? [row('total cost, USD', costs, usdDecimals(costs))] : []),
    row(
      comparison.event === 'all' ? 'events' : 'events, all kinds',
      [old.summary.totalEvents, now.summary.totalEvents],
      0,
    ),
  ];
}

function testTable(
  compared: readonly MetricComparison[],
  { adjust, questions }: ComparisonSettings,
  options: ReportOptions,
): string[] {
  const isAdjusted = adjust !== 'none' && questions > 1;
  const columns: TableColumn[] = [
    { header: '', align: 'left' },
    { header: 'values', align: 'left', optional: 3 },
    { header: 'effect size', align: 'left', optional: 2 },
    { header: 'p', align: 'right' },
    ...(isAdjusted ? [{ header: 'adjusted', align: 'right', optional: 1 } as const] : []),
    { header: 'test', align: 'left', shrinks: true },
  ];
  const rows = compared.flatMap((found) => {
    const { baseline, treatment, tests, pairs, adjustedPValue } = found;
    return tests.map(({ method, pValue, effectSize }, index) => {
      const isPrimary = index === 0;
      const values =
        pairs === undefined
          ? `${formatNumber(baseline.n)} / ${formatNumber(treatment.n)}`
          : formatCount(baseline.n, 'pair');
      return [
        isPrimary ? labelOf(found) : '',
        isPrimary ? values : '',
        effectSize === null ? '' : `${EFFECTS[effectSize.name]} ${formatSigned(effectSize.value, 2)}`,
        pText(pValue),
        ...(isAdjusted ? [isPrimary ? pText(adjustedPValue) : ''] : []),
        // What follows the comma is said elsewhere, as seed and resamples are, or a variant of the method.
        method.split(', ')[0]!,
      ];
    });
  });
  return tableLines(columns, rows, { ...options, gap: 2, minShrunk: Math.floor(options.width / 4) });
}

/** Where an interval without 0 stands beside a finding that is unclear: why. */
function nearly(compared: readonly MetricComparison[], { alpha, questions }: ComparisonSettings): string[] {
  return compared.flatMap((found) => {
    const { pValue, significant } = found;
    return significant || pValue === null || pValue > alpha
      ? []
      : [`${labelOf(found)}: significant if asked alone, but not as one of ${questions} questions`];
  });
}

/** Why figures of the metric are missing. */
function reasons(found: MetricComparison): string[] {
  const { reason, tests } = found;
  const [primary, ...others] = tests.map((test) => test.reason);
  const all = [reason ?? primary, ...others].filter((text) => text !== undefined);
  return all.length === 0 ? [] : [`${labelOf(found)}: ${[...new Set(all)].join('; ')}`];
}

/** The finding in a word; unclear is what the data do not tell, not what is equal. */
function resultText({ direction, significant, pValue }: MetricComparison, { green, red }: Style): string {
  if (pValue === null) return 'untested';
  if (!significant) return 'unclear';
  if (direction === 'better') return green('better');
  return direction === 'worse' ? red('worse') : 'differs';
}

/** Decimals that suit the estimates, and leave their difference two digits. */
function decimalsOf({ unit, baseline, treatment, difference, confidenceInterval }: MetricComparison): number {
  const estimates = [baseline.estimate, treatment.estimate];
  const ofEstimates =
    unit === 'share' ? 2 : unit === 'USD' ? usdDecimals(estimates) : millisecondDecimals(estimates);
  const changes = [difference, ...(confidenceInterval ?? [])];
  return Math.max(
    ofEstimates,
    decimalsFor(
      changes.map((value) => value && value * SHOWN[unit].factor),
      2,
      8,
    ),
  );
}

function pText(p: Maybe): string {
  if (p === null) return UNKNOWN;
  return p < 0.001 ? '< 0.001' : formatNumber(p, 3);
}

function settingsText(settings: ComparisonSettings): string {
  const { confidenceLevel, alpha, adjust, questions, unit, seed, resamples, sequential } = settings;
  const adjusted =
    adjust === 'none' || questions < 2
      ? 'p-values not adjusted'
      : `${formatCount(questions, 'p-value')} adjusted together by ${METHODS[adjust]}`;
  const looks =
    sequential === null
      ? `Bootstrap of ${formatNumber(resamples)} resamples, seed ${seed}.`
      : `Valid at every look; tightest at ${formatNumber(sequential.tuning)} observations.`;
  return `Intervals of ${percent(confidenceLevel)}, for each metric alone; significance at ${percent(alpha)}, ${adjusted}. ${unit === 'event' ? '' : `Unit: ${visible(unit)}. `}${looks}`;
}

function percent(share: number): string {
  return `${Number((share * 100).toPrecision(6))} %`;
}
