/** The report of one experiment, or of several against the first. */

import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { readdir, stat } from 'node:fs/promises';
import { arch, platform, release } from 'node:os';
import { join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { capital } from '../../analysis/compare/words.js';
import type {
  Comparison,
  CostStats,
  LatencyStats,
  MetricComparison,
  Metrics,
  TokenStats,
  WindowRow,
} from '../../analysis/types.js';
import { histogramShape } from '../../charts/histogram.js';
import { intervalsShape } from '../../charts/intervals.js';
import { quantileDifferencesShape } from '../../charts/quantile-differences.js';
import { number } from '../../charts/scale.js';
import { ARM_COLOURS } from '../../charts/style.js';
import { timeLinesShape } from '../../charts/time-lines.js';
import type { Figures } from '../../serve/follower.js';
import { wilsonInterval } from '../../stats/proportions.js';
import { decidedOf, known } from '../report/measures.js';
import type { OpenedExperiment } from '../stored-experiments.js';
import { formatBytes, formatNumber, formatShare, formatTime } from '../terminal/numbers.js';
import type { PaperFigure, PaperTable, Section } from './document.js';

/** Pixels of a drawing; in print it is as wide as the page. */
const WIDTH = 860;

export interface ReportedExperiment {
  readonly opened: OpenedExperiment;
  readonly metrics: Metrics;
  readonly windows: readonly WindowRow[];
  /** Of the kind of events that is drawn. */
  readonly figures: Figures;
}

const labelOf = ({ opened: { experiment } }: ReportedExperiment) =>
  `${experiment.name} (${experiment.condition})`;

export function experimentSections(experiments: readonly ReportedExperiment[]): Section[] {
  return [
    {
      heading: 'Experiments',
      tables: [measuresTable(experiments)],
      figures: experiments.flatMap((each, i) => figuresOf(each, i)),
    },
  ];
}

function measuresTable(experiments: readonly ReportedExperiment[]): PaperTable {
  const row = (name: string, of: (metrics: Metrics) => string | null): [string, ...(string | null)[]] => [
    name,
    ...experiments.map(({ metrics }) => of(metrics)),
  ];
  const ms = (name: string, pick: (latency: LatencyStats) => number | null) =>
    row(`latency ${name}, ms`, ({ latency }) => {
      const stats = known<LatencyStats>(latency);
      return stats === null ? null : number(pick(stats));
    });
  return {
    caption:
      'Exact figures of every event that can be read. Success is over decided events, with Wilson intervals.',
    columns: ['measure', ...experiments.map(labelOf)],
    rows: [
      row('events', ({ summary }) => formatNumber(summary.totalEvents)),
      ms('mean', ({ mean }) => mean),
      ms('standard deviation', ({ stdDev }) => stdDev),
      ms('p50', ({ p50 }) => p50),
      ms('p95', ({ p95 }) => p95),
      ms('p99', ({ p99 }) => p99),
      ms('maximum', ({ max }) => max),
      row('success, %', ({ reliability }) => {
        const decided = decidedOf(reliability);
        if (decided === null) return null;
        const interval = wilsonInterval(decided.successful, decided.decidedRequests).confidenceInterval;
        const told = interval === null ? '' : ` (${interval.map((end) => formatShare(end)).join(' to ')})`;
        return `${formatShare(decided.successRate)}${told}`;
      }),
      row('cost in all, USD', ({ cost }) => number(known<CostStats>(cost)?.total)),
      row('cost of an event, mean, USD', ({ cost }) => number(known<CostStats>(cost)?.meanPerRequest)),
      row('tokens, prompt', ({ tokens }) => formatNumber(known<TokenStats>(tokens)?.totalPrompt)),
      row('tokens, completion', ({ tokens }) => formatNumber(known<TokenStats>(tokens)?.totalCompletion)),
    ],
  };
}

function figuresOf(each: ReportedExperiment, i: number): PaperFigure[] {
  const { figures, windows, opened } = each;
  const { latency } = figures.group;
  const colour = ARM_COLOURS[i % ARM_COLOURS.length] as string;
  const name = `${i + 1}-${opened.experiment.id}`;
  const distribution = histogramShape(
    'Latency distribution',
    'ms',
    [{ label: labelOf(each), colour, bins: figures.latencyBins }],
    [
      { label: 'p50', value: latency.p50 },
      { label: 'p95', value: latency.p95 },
      { label: 'p99', value: latency.p99 },
    ],
    WIDTH,
  );
  const overTime = timeLinesShape(
    'Latency',
    'ms',
    windows.map(({ windowStart }) => windowStart),
    (['p50', 'p95', 'p99'] as const).map((label, line) => ({
      label,
      colour: ARM_COLOURS[line] as string,
      values: windows.map(({ latencyQuantiles }) => latencyQuantiles[label] ?? null),
    })),
    WIDTH,
  );
  const seconds = windows[0] === undefined ? 0 : (windows[0].windowEnd - windows[0].windowStart) / 1e6;
  return [
    ...(distribution === null
      ? []
      : [
          {
            name: `latency-${name}`,
            shape: distribution,
            caption: `${labelOf(each)}: latency of ${figures.kind}, ${formatNumber(latency.count)} values. Areas are shares.`,
          },
        ]),
    ...(overTime === null
      ? []
      : [
          {
            name: `latency-time-${name}`,
            shape: overTime,
            caption: `${labelOf(each)}: latency over time, by windows of ${number(seconds, 3)} s; every event is in one.`,
          },
        ]),
  ];
}

export function comparisonSections(
  comparison: Comparison,
  quantiles: Comparison | null,
  points: readonly number[],
): Section[] {
  const names = new Map(
    comparison.experiments.map(({ id, name, condition }) => [id, `${name} (${condition})`]),
  );
  const nameOf = (id: string) => names.get(id) ?? id;
  const colourOf = (id: string) =>
    ARM_COLOURS[comparison.experiments.findIndex((each) => each.id === id) % ARM_COLOURS.length] as string;
  const metrics = Object.keys(comparison.treatments[0]?.metrics ?? {});
  const figures = metrics.flatMap((metric): PaperFigure[] => {
    const found = comparison.treatments.flatMap(({ id, metrics: own }) => {
      const each = own[metric];
      return each === undefined ? [] : [{ id, each }];
    });
    const first = found[0]?.each;
    if (first === undefined) return [];
    const factor = first.unit === 'share' ? 100 : 1;
    const unit = first.unit === 'share' ? 'percentage points' : first.unit;
    const shape = intervalsShape(
      `Difference of ${first.label}`,
      unit,
      found.map(({ id, each }) => ({
        label: nameOf(id),
        colour: colourOf(id),
        estimate: each.difference && each.difference * factor,
        interval: each.confidenceInterval && [
          each.confidenceInterval[0] * factor,
          each.confidenceInterval[1] * factor,
        ],
        text: each.verdict,
      })),
      [{ label: 'no difference', value: 0 }],
      WIDTH,
    );
    const caption = `Difference of ${first.label}, ${unit}, against ${nameOf(comparison.baseline.id)}, with ${formatShare(comparison.settings.confidenceLevel, 0)} % intervals.`;
    return shape === null ? [] : [{ name: `difference-${metric.replaceAll(/\W+/g, '-')}`, shape, caption }];
  });
  const curves = (quantiles?.treatments ?? []).map(({ id, metrics: own }) => ({
    label: nameOf(id),
    colour: colourOf(id),
    points: points.map((p) => {
      const each = own[`q${p}`];
      return { p, difference: each?.difference ?? null, interval: each?.confidenceInterval ?? null };
    }),
  }));
  const curve = quantileDifferencesShape('Difference by quantile of latency', 'ms', curves, WIDTH);
  return [
    ...comparison.treatments.map(
      ({ id, verdict, warnings }): Section => ({
        heading: `${nameOf(id)} against ${nameOf(comparison.baseline.id)}`,
        lead: verdict,
        list: warnings.map(({ message }) => message),
      }),
    ),
    {
      heading: 'Differences',
      figures: [
        ...figures,
        ...(curve === null
          ? []
          : [
              {
                name: 'quantile-differences',
                shape: curve,
                caption:
                  'Difference at each quantile of latency: whether the fast calls changed, or the slow ones. Intervals are for each quantile alone.',
              },
            ]),
      ],
      tables: [differencesTable(comparison, nameOf)],
    },
    methodSection(comparison),
  ];
}

function differencesTable(comparison: Comparison, nameOf: (id: string) => string): PaperTable {
  return {
    caption: `Treatment minus baseline. p-values are ${comparison.settings.adjust === 'none' ? 'not adjusted' : `adjusted together (${comparison.settings.adjust}, ${comparison.settings.questions} questions)`}.`,
    columns: [
      'treatment',
      'metric',
      'unit',
      'baseline',
      'n',
      'treatment value',
      'n ',
      'difference',
      'interval',
      'p',
    ],
    rows: comparison.treatments.flatMap(({ id, metrics }) =>
      Object.values(metrics).map((each) => [
        nameOf(id),
        `${each.label}, ${each.unit}`,
        number(each.baseline.estimate),
        formatNumber(each.baseline.n),
        number(each.treatment.estimate),
        formatNumber(each.treatment.n),
        number(each.difference),
        each.confidenceInterval === null
          ? (each.reason ?? null)
          : each.confidenceInterval.map((end) => number(end)).join(' to '),
        each.adjustedPValue === null
          ? null
          : each.adjustedPValue < 0.001
            ? '< 0.001'
            : each.adjustedPValue.toFixed(3),
      ]),
    ),
  };
}

/** The method in words fit for a paper. */
export function methodSection(comparison: Comparison): Section {
  const { settings, event, treatments } = comparison;
  const first = Object.values(treatments[0]?.metrics ?? {});
  const assumptions = [...new Set(first.flatMap((each) => each.assumptions))];
  const looks =
    settings.sequential === null
      ? 'The analysis is for one look at a time fixed beforehand.'
      : `Intervals and p-values are valid at every look (confidence sequences, tightest at ${formatNumber(settings.sequential.tuning)} observations).`;
  return {
    heading: 'Method',
    paragraphs: [
      `${event === 'all' ? 'Events of all kinds' : `Events of ${event}`} were compared, with the ${settings.unit} as the unit. ${first.map(describeMetric).join(' ')}`,
      `Intervals are of ${formatShare(settings.confidenceLevel, 0)} %, for each metric alone. Significance is judged at ${formatShare(settings.alpha, 0)} %${settings.adjust === 'none' ? ', p-values not adjusted' : `, p-values adjusted for ${settings.questions} questions by the method ${settings.adjust}: an interval that excludes 0 beside an adjusted p-value above ${formatShare(settings.alpha, 0)} % is no finding`}. ${looks} Bootstraps take ${formatNumber(settings.resamples)} resamples with seed ${settings.seed}.`,
      ...(assumptions.length === 0 ? [] : [`Assumptions: ${assumptions.join('; ')}.`]),
    ],
  };
}

function describeMetric({ label, tests, intervalMethod, reason }: MetricComparison): string {
  const method = tests[0]?.method;
  if (method === undefined)
    return `${capital(label)} could not be compared${reason === undefined ? '' : `: ${reason}`}.`;
  return `${capital(label)}: ${method}${intervalMethod === null || intervalMethod === method ? '' : `; interval: ${intervalMethod}`}.`;
}

/** Which data, to the byte, and which programs: what somebody needs who wants to do it again. */
export async function provenanceSection(
  experiments: readonly OpenedExperiment[],
  version: string,
  signal: AbortSignal,
): Promise<Section> {
  const files: (string | number)[][] = [];
  for (const { experiment, stored } of experiments) {
    for (const name of (await readdir(stored.folder)).sort()) {
      const path = join(stored.folder, name);
      const { size, isFile } = await stat(path).then((found) => ({
        size: found.size,
        isFile: found.isFile(),
      }));
      if (!isFile || !/\.(?:arrows|parquet|json)$/.test(name)) continue;
      const hash = createHash('sha256');
      await pipeline(createReadStream(path), hash, { signal });
      files.push([experiment.id, name, formatBytes(size), hash.digest('hex')]);
    }
  }
  return {
    heading: 'Data and versions',
    paragraphs: [
      `crucible-telemetry ${version}, Node ${process.versions.node}, V8 ${process.versions.v8}, ${platform()} ${release()} ${arch()}.`,
    ],
    tables: [
      {
        caption: 'Events taken in, and what is missing of them.',
        columns: [
          'experiment',
          'condition',
          'started (UTC)',
          'captured',
          'readable',
          'dropped',
          'damaged',
          'malformed',
          'cut',
          'written by',
        ],
        rows: experiments.map(({ experiment: { name, id, condition, counts }, stored }) => [
          `${name} ${id}`,
          condition,
          formatTime(stored.experiment?.startedAt),
          ...[
            counts.captured,
            counts.retained,
            counts.dropped,
            counts.damaged,
            counts.malformed,
            counts.cut,
          ].map((n) => formatNumber(n)),
          stored.libraryVersion ?? '-',
        ]),
      },
      {
        caption: 'Files as they were when this was written. Those of an experiment that runs grow on.',
        columns: ['experiment', 'file', 'size', 'SHA-256'],
        rows: files,
      },
    ],
  };
}
