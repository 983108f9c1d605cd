/** What experiments sum up as they capture, as series with labels: what every outlet of metrics is made of. */
import type { StreamingDistribution, StreamingGroup, StreamingMetrics } from '../analysis/types.js';
import { StateError } from '../errors.js';
import type { Experiment } from '../experiment/experiment.js';

/** Where there is a Crucible: an object that has its experiments. */
export interface HasExperiments {
  experiments(): Experiment[];
}

/** Sums over the events of a series. Latencies in ms, costs in USD. */
export interface Series {
  readonly experiment: Experiment;
  readonly event: string;
  /** Empty where it is not known, or not told apart. */
  readonly model: string;
  readonly provider: string;
  readonly count: number;
  readonly succeeded: number;
  readonly failed: number;
  readonly latency: Distribution;
  readonly cost: Distribution;
  readonly promptTokens: number;
  readonly completionTokens: number;
}

export interface Distribution {
  readonly count: number;
  readonly sum: number;
  readonly min: number | null;
  readonly max: number | null;
  /** By probability; null where series were added up, which have no quantiles together. */
  readonly quantiles: Readonly<Record<string, number>> | null;
}

/** The series of all experiments, each set of labels once. */
export function* seriesOf(crucible: HasExperiments): Generator<Series> {
  for (const experiment of crucible.experiments()) {
    const sums = sumsOf(experiment);
    if (sums !== null) yield* seriesIn(experiment, sums);
  }
}

/** Null for an experiment that keeps none, or none any more. */
function sumsOf(experiment: Experiment): StreamingMetrics | null {
  try {
    return experiment.streamingMetrics();
  } catch (error) {
    if (error instanceof StateError) return null;
    throw error;
  }
}

function* seriesIn(experiment: Experiment, { byEvent, recorders }: StreamingMetrics): Generator<Series> {
  for (const [event, whole] of Object.entries(byEvent)) {
    const series = new Map<string, Series>();
    const rest = new Rest(whole);
    for (const { event: name, model, provider, ...group } of recorders) {
      if (name !== event) continue;
      rest.without(group);
      const key = JSON.stringify([model, provider]);
      const found = oneSeries(experiment, event, model, provider, group);
      const known = series.get(key);
      series.set(key, known === undefined ? found : added(known, found));
    }
    if (series.size === 0) yield oneSeries(experiment, event, null, null, whole);
    else {
      yield* series.values();
      // Of those that share a slot it is not known whose they are.
      if (rest.count > 0) yield rest.series(experiment, event);
    }
  }
}

function oneSeries(
  experiment: Experiment,
  event: string,
  model: string | null,
  provider: string | null,
  { count, latency, cost, reliability, tokens }: StreamingGroup,
): Series {
  return {
    ...{ experiment, event, model: model ?? '', provider: provider ?? '', count },
    succeeded: reliability.successful ?? 0,
    failed: reliability.failed ?? 0,
    latency: distributionOf(latency),
    cost: distributionOf(cost),
    promptTokens: tokens.totalPrompt ?? 0,
    completionTokens: tokens.totalCompletion ?? 0,
  };
}

function distributionOf({
  count,
  sum,
  min,
  max,
  p50,
  p90,
  p95,
  p99,
  p999,
}: StreamingDistribution): Distribution {
  const quantiles = { '0.5': p50, '0.9': p90, '0.95': p95, '0.99': p99, '0.999': p999 };
  const known = Object.entries(quantiles).filter((entry): entry is [string, number] => entry[1] !== null);
  return { count, sum, min, max, quantiles: Object.fromEntries(known) };
}

function added(a: Series, b: Series): Series {
  return {
    ...a,
    count: a.count + b.count,
    succeeded: a.succeeded + b.succeeded,
    failed: a.failed + b.failed,
    latency: together(a.latency, b.latency),
    cost: together(a.cost, b.cost),
    promptTokens: a.promptTokens + b.promptTokens,
    completionTokens: a.completionTokens + b.completionTokens,
  };
}

function together(a: Distribution, b: Distribution): Distribution {
  if (a.count === 0) return b;
  if (b.count === 0) return a;
  const [min, max] = [Math.min(a.min as number, b.min as number), Math.max(a.max as number, b.max as number)];
  return { count: a.count + b.count, sum: a.sum + b.sum, min, max, quantiles: null };
}

const OTHERS = '(other)';

/** What is left of an event's sums without those of its recorders. */
class Rest {
  count: number;
  #succeeded: number;
  #failed: number;
  #latency: [count: number, sum: number];
  #cost: [count: number, sum: number];
  #prompt: number;
  #completion: number;

  constructor({ count, reliability, latency, cost, tokens }: StreamingGroup) {
    this.count = count;
    this.#succeeded = reliability.successful ?? 0;
    this.#failed = reliability.failed ?? 0;
    this.#latency = [latency.count, latency.sum];
    this.#cost = [cost.count, cost.sum];
    this.#prompt = tokens.totalPrompt ?? 0;
    this.#completion = tokens.totalCompletion ?? 0;
  }

  without({ count, reliability, latency, cost, tokens }: StreamingGroup): void {
    this.count -= count;
    this.#succeeded -= reliability.successful ?? 0;
    this.#failed -= reliability.failed ?? 0;
    this.#latency = [this.#latency[0] - latency.count, this.#latency[1] - latency.sum];
    this.#cost = [this.#cost[0] - cost.count, this.#cost[1] - cost.sum];
    this.#prompt -= tokens.totalPrompt ?? 0;
    this.#completion -= tokens.totalCompletion ?? 0;
  }

  series(experiment: Experiment, event: string): Series {
    const unknown = { min: null, max: null, quantiles: null };
    // Sums that were taken away leave their rounding behind.
    const left = ([count, sum]: [number, number]) => ({
      count,
      sum: count === 0 ? 0 : Math.max(0, sum),
      ...unknown,
    });
    return {
      ...{ experiment, event, model: OTHERS, provider: OTHERS, count: this.count },
      succeeded: this.#succeeded,
      failed: this.#failed,
      latency: left(this.#latency),
      cost: left(this.#cost),
      promptTokens: this.#prompt,
      completionTokens: this.#completion,
    };
  }
}
