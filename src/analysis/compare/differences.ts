/** What the reference tells of a treatment, with its own definitions. */
import type { Metrics } from '../types.js';
import type { ArmSamples } from './samples.js';
import type { TreatmentDifferences } from './types.js';

export function differencesOf(baseline: ArmSamples, treatment: ArmSamples): TreatmentDifferences {
  const { id, name, condition } = treatment;
  const [old, metrics] = [baseline, treatment].map((arm) => arm.allMetrics ?? arm.metrics);
  return {
    id,
    name,
    condition,
    latencyImprovementPct: changePct(latencyMean(old), latencyMean(metrics)),
    costDifferenceUsd:
      metrics.cost.count === 0 || old.cost.count === 0 ? null : metrics.cost.total - old.cost.total,
    successRateImprovementPct: changePct(old.reliability.successRate, metrics.reliability.successRate),
    eventCountDifference: metrics.summary.totalEvents - old.summary.totalEvents,
  };
}

function latencyMean({ latency }: Metrics): number | null {
  return latency.mean ?? null;
}

/** (new − old)/old · 100; null where a side is missing, the old value is 0, or the change has no finite number. */
export function changePct(before: number | null, after: number | null): number | null {
  return before === null || after === null ? null : relativeTo(before, after - before);
}

/** A difference in percent of what it is a difference from; as it is known: of large values, their own has few digits. */
export function relativeTo(before: number | null, difference: number | null): number | null {
  if (before === null || difference === null || before === 0) return null;
  // Of a negative baseline, too, an increase is positive.
  const pct = (difference / Math.abs(before)) * 100;
  return Number.isFinite(pct) ? pct : null;
}
