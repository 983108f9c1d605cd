/** What experiments sum up, for a reader of OpenTelemetry's metrics. Nothing of it is imported: its shapes are here. */
import { systemClock } from '../clock.js';
import { VERSION } from '../version.js';
import { type Distribution, type HasExperiments, type Series, seriesOf } from './series.js';

/** Seconds, and nanoseconds of the next one. */
type HrTime = [number, number];
type Attributes = Record<string, string | number>;

interface DataPoint<Value> {
  readonly startTime: HrTime;
  readonly endTime: HrTime;
  readonly attributes: Attributes;
  readonly value: Value;
}

interface HistogramValue {
  readonly buckets: { readonly boundaries: number[]; readonly counts: number[] };
  readonly sum: number;
  readonly count: number;
  readonly min?: number;
  readonly max?: number;
}

/** As the SDK numbers them. */
const CUMULATIVE = 1;
const DOUBLE = 1;
const [HISTOGRAM, GAUGE, SUM] = [0, 2, 3] as const;

interface MetricBase {
  readonly descriptor: {
    readonly name: string;
    readonly description: string;
    readonly unit: string;
    readonly valueType: typeof DOUBLE;
  };
  readonly aggregationTemporality: typeof CUMULATIVE;
}

type Metric = MetricBase &
  (
    | {
        readonly dataPointType: typeof SUM;
        readonly isMonotonic: true;
        readonly dataPoints: DataPoint<number>[];
      }
    | { readonly dataPointType: typeof GAUGE; readonly dataPoints: DataPoint<number>[] }
    | { readonly dataPointType: typeof HISTOGRAM; readonly dataPoints: DataPoint<HistogramValue>[] }
  );

export interface CollectionResult {
  readonly resourceMetrics: {
    readonly resource: unknown;
    readonly scopeMetrics: {
      readonly scope: { readonly name: string; readonly version: string };
      readonly metrics: Metric[];
    }[];
  };
  readonly errors: unknown[];
}

interface Instrument {
  readonly name: string;
  readonly description: string;
  readonly unit: string;
  points(series: Series): (readonly [Attributes, number])[];
}

const SUMS: readonly Instrument[] = [
  {
    ...{ name: 'crucible.events', description: 'Events captured.', unit: '{event}' },
    points: ({ count }) => [[{}, count]],
  },
  {
    ...{ name: 'crucible.failures', description: 'Events that have failed.', unit: '{event}' },
    points: ({ succeeded, failed }) => (succeeded + failed === 0 ? [] : [[{}, failed]]),
  },
  {
    ...{ name: 'crucible.cost', description: 'Cost of events whose cost is known.', unit: 'USD' },
    points: ({ cost }) => (cost.count === 0 ? [] : [[{}, cost.sum]]),
  },
  {
    ...{ name: 'crucible.tokens', description: 'Tokens of calls of models.', unit: '{token}' },
    points: ({ promptTokens, completionTokens }) =>
      promptTokens + completionTokens === 0
        ? []
        : [
            [{ 'gen_ai.token.type': 'input' }, promptTokens],
            [{ 'gen_ai.token.type': 'output' }, completionTokens],
          ],
  },
];

/**
 * A `MetricProducer` for `metricProducers` of a metric reader. Latencies are a histogram of one bucket, which has their
 * number, sum and extremes, and a gauge with quantiles; all is cumulative, since each experiment began.
 */
export class CrucibleMetricProducer {
  readonly #crucible: HasExperiments;

  constructor(crucible: HasExperiments) {
    this.#crucible = crucible;
  }

  async collect(): Promise<CollectionResult> {
    const series = [...seriesOf(this.#crucible)];
    const endTime = hrTime(systemClock.nowUs());
    const pointOf = <Value>(
      { experiment, event, model, provider }: Series,
      more: Attributes,
      value: Value,
    ) => ({
      startTime: hrTime(experiment.startedAt),
      endTime,
      attributes: {
        ...{ 'crucible.experiment.name': experiment.name, 'crucible.experiment.id': experiment.id },
        ...{ 'crucible.condition': experiment.condition, 'crucible.event': event },
        ...(model === '' ? null : { 'gen_ai.request.model': model }),
        ...(provider === '' ? null : { 'gen_ai.provider.name': provider }),
        ...more,
      },
      value,
    });
    const sums = SUMS.map(({ points, ...about }): Metric => {
      const dataPoints = series.flatMap((one) =>
        points(one).map(([more, value]) => pointOf(one, more, value)),
      );
      return { ...baseOf(about), dataPointType: SUM, isMonotonic: true, dataPoints };
    });
    const timed = series.filter(({ latency }) => latency.count > 0);
    const seconds = { unit: 's', description: 'Latency of events.' };
    const durations: Metric = {
      ...baseOf({ ...seconds, name: 'crucible.duration' }),
      dataPointType: HISTOGRAM,
      dataPoints: timed.map((one) => pointOf(one, {}, histogramOf(one.latency))),
    };
    const quantiles: Metric = {
      ...baseOf({ ...seconds, name: 'crucible.duration.quantile' }),
      dataPointType: GAUGE,
      dataPoints: timed.flatMap((one) =>
        Object.entries(one.latency.quantiles ?? {}).map(([quantile, valueMs]) =>
          pointOf(one, { quantile: Number(quantile) }, valueMs / 1000),
        ),
      ),
    };
    const metrics = [...sums, durations, quantiles].filter(({ dataPoints }) => dataPoints.length > 0);
    const scope = { name: 'crucible-telemetry', version: VERSION };
    return {
      // A reader takes its provider's.
      resourceMetrics: { resource: { attributes: {} }, scopeMetrics: [{ scope, metrics }] },
      errors: [],
    };
  }
}

function baseOf({ name, description, unit }: Omit<Instrument, 'points'>): MetricBase {
  return { descriptor: { name, description, unit, valueType: DOUBLE }, aggregationTemporality: CUMULATIVE };
}

function histogramOf({ count, sum, min, max }: Distribution): HistogramValue {
  return {
    buckets: { boundaries: [], counts: [count] },
    ...{ count, sum: sum / 1000 },
    ...(min === null || max === null ? null : { min: min / 1000, max: max / 1000 }),
  };
}

function hrTime(us: number): HrTime {
  return [Math.floor(us / 1e6), (us % 1e6) * 1000];
}
