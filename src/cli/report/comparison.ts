/** A comparison as text: differences, their intervals, and what they amount to in a sentence. */

import type {
  ComparisonDifferences,
  LatencyStats,
  Metrics,
  ReliabilityStats,
  TreatmentDifferences,
} from '../../analysis/types.js';
import { formatNumber, formatSigned, millisecondDecimals, usdDecimals } from '../terminal/numbers.js';
import { type TableColumn, tableLines } from '../terminal/table.js';
import { wrap } from '../terminal/width.js';
import { costPerRequest, decidedOf, known, type Maybe, type ReportOptions } from './measures.js';

export type Interval = readonly [low: number, high: number];

/** 95 % intervals of differences x - y, as the statistics module gives them; null where there is no answer. */
export interface Intervals {
  meanInterval(x: Moments, y: Moments): Interval | null;
  proportionInterval(x: Proportion, y: Proportion): Interval | null;
}

export interface Moments {
  n: number;
  mean: number;
  /** Sample variance (n - 1). */
  variance: number;
}

export interface Proportion {
  successes: number;
  n: number;
}

interface Difference {
  measure: string;
  baseline: Maybe;
  treatment: Maybe;
  /** Significant decimals, the same for all figures of the row. */
  decimals: number;
  /** Factor from the figure to what is shown: 100 for shares. */
  shown: number;
  changePct: Maybe;
  interval: Interval | null;
}

/** Each treatment against the baseline: differences with their intervals, and a sentence. */
export function comparisonLines(
  comparison: ComparisonDifferences,
  intervals: Intervals,
  options: ReportOptions,
): string[] {
  const { bold } = options.style;
  const baseline = metricsOf(comparison, comparison.baseline.id);
  return comparison.treatments.flatMap((treatment, index) => {
    const measures = differences(treatment, metricsOf(comparison, treatment.id), baseline, intervals);
    const rows = Object.values(measures);
    const columns: TableColumn[] = [
      { header: 'measure', align: 'left' },
      { header: comparison.baseline.name, align: 'right' },
      { header: treatment.name, align: 'right' },
      { header: 'difference', align: 'right' },
      { header: 'change, %', align: 'right' },
      { header: '95 % interval', align: 'right' },
    ];
    const table = rows.map((row) => [
      row.measure,
      formatNumber(times(row.baseline, row.shown), row.decimals),
      formatNumber(times(row.treatment, row.shown), row.decimals),
      formatSigned(times(minus(row.treatment, row.baseline), row.shown), row.decimals),
      formatSigned(row.changePct, 1),
      intervalText(row),
    ]);
    // An interval nowhere known is no column.
    const width = rows.some(({ interval }) => interval !== null) ? columns.length : columns.length - 1;
    return [
      ...(index > 0 ? [''] : []),
      bold(`${treatment.name} against ${comparison.baseline.name}`),
      ...tableLines(columns.slice(0, width), table, { ...options, gap: 2 }),
      '',
      ...wrap(verdict(comparison, treatment, intervals), options.width, '→ ', '  ').map((line) => bold(line)),
    ];
  });
}

/**
 * The comparison in a sentence: `hedged is 38 % faster on mean latency at +61 % cost a request; success +2.1
 * points`. A difference whose interval holds zero is called what it is.
 */
export function verdict(
  comparison: ComparisonDifferences,
  treatment: TreatmentDifferences,
  intervals: Intervals,
): string {
  const { latency, success, cost } = differences(
    treatment,
    metricsOf(comparison, treatment.id),
    metricsOf(comparison, comparison.baseline.id),
    intervals,
  );
  const names = { treatment: treatment.name, baseline: comparison.baseline.name };
  return `${latencyClause(latency, names)}${costClause(cost)}${successClause(success)}`;
}

function latencyClause(row: Difference, names: { treatment: string; baseline: string }): string {
  if (row.changePct === null) return `${names.treatment} and ${names.baseline} have no latency in common`;
  if (row.changePct === 0 || holdsZero(row.interval)) {
    const change = row.changePct === 0 ? '' : ` (${percentText(row.changePct, true)}, within chance)`;
    return `${names.treatment} is not clearly faster or slower than ${names.baseline} on mean latency${change}`;
  }
  const direction = row.changePct < 0 ? 'faster' : 'slower';
  return `${names.treatment} is ${percentText(Math.abs(row.changePct))} ${direction} on mean latency`;
}

function costClause(row: Difference): string {
  if (row.changePct === null) return '';
  return Math.abs(row.changePct) < 0.05
    ? ' at the same cost a request'
    : ` at ${percentText(row.changePct, true)} cost a request`;
}

function successClause(row: Difference): string {
  const points = times(minus(row.treatment, row.baseline), 100);
  if (points === null) return '';
  if (Math.abs(points) < 0.05) return '; success the same';
  return `; success ${formatSigned(points, 1)} points${holdsZero(row.interval) ? ' (within chance)' : ''}`;
}

function differences(
  treatment: TreatmentDifferences,
  x: Metrics,
  y: Metrics,
  intervals: Intervals,
): Record<'latency' | 'p95' | 'success' | 'cost', Difference> {
  const [xLatency, yLatency] = [known<LatencyStats>(x.latency), known<LatencyStats>(y.latency)];
  const [xDecided, yDecided] = [decidedOf(x.reliability), decidedOf(y.reliability)];
  const [xMoments, yMoments] = [momentsOf(xLatency), momentsOf(yLatency)];
  const [xCost, yCost] = [costPerRequest(x), costPerRequest(y)];
  const msDecimals = millisecondDecimals([xLatency?.mean, yLatency?.mean]);

  return {
    latency: {
      measure: 'mean latency, ms',
      baseline: yLatency?.mean ?? null,
      treatment: xLatency?.mean ?? null,
      decimals: msDecimals,
      shown: 1,
      changePct: treatment.latencyImprovementPct,
      interval: xMoments === null || yMoments === null ? null : intervals.meanInterval(xMoments, yMoments),
    },
    p95: {
      measure: 'p95 latency, ms',
      baseline: yLatency?.p95 ?? null,
      treatment: xLatency?.p95 ?? null,
      decimals: msDecimals,
      shown: 1,
      changePct: changePct(xLatency?.p95 ?? null, yLatency?.p95 ?? null),
      interval: null,
    },
    success: {
      measure: 'success, %',
      baseline: yDecided?.successRate ?? null,
      treatment: xDecided?.successRate ?? null,
      decimals: 2,
      shown: 100,
      changePct: treatment.successRateImprovementPct,
      interval:
        xDecided === null || yDecided === null
          ? null
          : intervals.proportionInterval(proportionOf(xDecided), proportionOf(yDecided)),
    },
    cost: {
      measure: 'request cost, USD',
      baseline: yCost,
      treatment: xCost,
      decimals: usdDecimals([xCost, yCost]),
      shown: 1,
      changePct: changePct(xCost, yCost),
      interval: null,
    },
  };
}

function intervalText({ interval, decimals, shown }: Difference): string {
  if (interval === null) return '';
  return interval.map((bound) => formatSigned(bound * shown, decimals)).join(' to ');
}

function holdsZero(interval: Interval | null): boolean {
  return interval !== null && interval[0] <= 0 && interval[1] >= 0;
}

/** A change for a sentence: whole percents, tenths below ten. */
function percentText(percent: number, signed = false): string {
  const decimals = Math.abs(percent) < 10 ? 1 : 0;
  return `${signed ? formatSigned(percent, decimals) : formatNumber(percent, decimals)} %`;
}

function metricsOf(comparison: ComparisonDifferences, id: string): Metrics {
  const found = comparison.experiments.find((experiment) => experiment.id === id);
  if (found === undefined) throw new RangeError(`comparison holds no metrics of experiment ${id}`);
  return found.metrics;
}

function momentsOf(latency: LatencyStats | null): Moments | null {
  if (latency === null || latency.stdDev === null) return null;
  return { n: latency.count, mean: latency.mean, variance: latency.stdDev ** 2 };
}

function proportionOf(decided: ReliabilityStats): Proportion {
  return { successes: decided.successful, n: decided.decidedRequests };
}

function changePct(value: Maybe, base: Maybe): Maybe {
  return value === null || base === null || base === 0 ? null : ((value - base) / base) * 100;
}

function minus(a: Maybe, b: Maybe): Maybe {
  return a === null || b === null ? null : a - b;
}

function times(a: Maybe, factor: number): Maybe {
  return a === null ? null : a * factor;
}
