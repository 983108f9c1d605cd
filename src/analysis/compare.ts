/** Comparison of experiments: the first is the baseline, the others are treatments. */
import { AnalysisError } from '../errors.js';
import type { Comparison, Metrics, TreatmentComparison } from './types.js';

export interface Arm {
  readonly id: string;
  readonly name: string;
  readonly condition: string;
  readonly metrics: Metrics;
}

/** @throws AnalysisError below two arms */
export function compareArms(arms: readonly Arm[]): Comparison {
  if (arms.length < 2) {
    throw new AnalysisError(
      'ERR_TOO_FEW_EXPERIMENTS',
      `a comparison needs two experiments, got ${arms.length}`,
      {
        expected: 2,
        actual: arms.length,
      },
    );
  }
  const [baseline, ...treatments] = arms;
  return {
    baseline: { id: baseline.id, name: baseline.name, condition: baseline.condition },
    experiments: arms.map(({ id, name, condition, metrics }) => ({ id, name, condition, metrics })),
    treatments: treatments.map((treatment) => compareOne(baseline, treatment)),
  };
}

function compareOne(baseline: Arm, { id, name, condition, metrics }: Arm): TreatmentComparison {
  const old = baseline.metrics;
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
  return 'mean' in latency ? latency.mean : null;
}

/** (new − old)/old · 100; null where a side is missing or the old value is 0. */
function changePct(before: number | null, after: number | null): number | null {
  return before === null || after === null || before === 0 ? null : ((after - before) / before) * 100;
}
