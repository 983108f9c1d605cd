/** Streaming metrics: what the accumulators hold, by recorder, by event name and in all. */
import type { AccumulatorReader, MetricTally } from '../ring/accumulators.js';
import { Tally } from '../ring/accumulators.js';
import type { BindingTable } from '../ring/bindings.js';
import { reliabilityStats } from './metrics.js';
import type { StreamingDistribution, StreamingGroup, StreamingMetrics } from './types.js';

/** Where bindings are counted that found neither a slot of their own nor one for their event. */
const OTHER_EVENTS = '(other)';

export function streamingMetrics(accumulators: AccumulatorReader, bindings: BindingTable): StreamingMetrics {
  const slots = accumulators.read();
  const total = new Tally();
  const byEvent = new Map<string, Tally>();
  const recorders: StreamingMetrics['recorders'] = [];
  const owners = slotOwners(bindings);
  for (const [slot, tally] of slots) {
    total.merge(tally);
    const ids = slot === 0 ? [] : (owners.get(slot) ?? []);
    const event = ids.length > 0 ? bindings.binding(ids[0]).event : OTHER_EVENTS;
    const known = byEvent.get(event);
    if (known) known.merge(tally);
    else byEvent.set(event, copyOf(tally));
    if (ids.length === 1) {
      const { event: name, model, provider, bound } = bindings.binding(ids[0]);
      recorders.push({ event: name, model, provider, bound, ...streamingGroup(tally) });
    }
  }
  const names = [...byEvent.keys()].sort();
  return {
    ...streamingGroup(total),
    columns: Object.fromEntries(
      [...accumulators.readLive()].map(([name, tally]) => [name, distribution(tally)]),
    ),
    eventCounts: Object.fromEntries(names.map((name) => [name, (byEvent.get(name) as Tally).rows])),
    byEvent: Object.fromEntries(names.map((name) => [name, streamingGroup(byEvent.get(name) as Tally)])),
    recorders,
  };
}

/** The bindings that feed each slot. */
function slotOwners(bindings: BindingTable): Map<number, number[]> {
  const owners = new Map<number, number[]>();
  for (let id = 1; id < bindings.size; id++) {
    const ids = owners.get(bindings.slot(id));
    if (ids) ids.push(id);
    else owners.set(bindings.slot(id), [id]);
  }
  return owners;
}

function copyOf(tally: Tally): Tally {
  const copy = new Tally();
  copy.merge(tally);
  return copy;
}

/** What one set of rows adds up to. */
export function streamingGroup(tally: Tally): StreamingGroup {
  const { rows, succeeded, failed, tokenRows, promptTokens, completionTokens } = tally;
  const total = promptTokens + completionTokens;
  const cost = distribution(tally.cost);
  return {
    count: rows,
    latency: distribution(tally.latency),
    cost: {
      ...cost,
      total: cost.sum,
      meanPerRequest: cost.mean,
      costPer1kRequests: cost.mean === null ? null : cost.mean * 1e3,
      costPer1mRequests: cost.mean === null ? null : cost.mean * 1e6,
    },
    reliability: reliabilityStats(rows, succeeded, failed),
    tokens:
      tokenRows === 0
        ? { count: 0 }
        : {
            count: tokenRows,
            totalPrompt: promptTokens,
            totalCompletion: completionTokens,
            total,
            meanPrompt: promptTokens / tokenRows,
            meanCompletion: completionTokens / tokenRows,
            meanTotal: total / tokenRows,
          },
  };
}

function distribution({ count, sum, min, max, moments, sketch }: MetricTally): StreamingDistribution {
  // Interpolated as the exact quantiles are, so that the two agree within 1 % on few events too; values beyond the
  // sketch's range are known to lie between the extremes.
  const quantile = (p: number) =>
    count === 0 ? null : Math.min(max, Math.max(min, sketch.quantile(p, 'linear') as number));
  return {
    count,
    sum,
    mean: moments.mean,
    stdDev: moments.stdDev,
    min: count === 0 ? null : min,
    max: count === 0 ? null : max,
    p50: quantile(0.5),
    p90: quantile(0.9),
    p95: quantile(0.95),
    p99: quantile(0.99),
    p999: quantile(0.999),
  };
}
