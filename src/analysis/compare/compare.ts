/** Comparison of experiments: the first is the baseline, the others are treatments. Pure: no ring, no clock, no I/O. */
import { adjustPValues } from '../../stats/multiplicity.js';
import { changePct, differencesOf } from './differences.js';
import type { Finding } from './finding.js';
import { compareMeans, watchMeans } from './means.js';
import { type Observed, observe } from './observed.js';
import { resolveCompareOptions, type Settings } from './options.js';
import { comparePairs, type Matching, matchSamples, type PairedMeasure, pairedValues } from './pairs.js';
import { compareP95, type P95, p95Of, resampledP95, watchP95 } from './quantiles.js';
import { compareRates, watchRates } from './rates.js';
import type { ArmSamples } from './samples.js';
import type { CompareOptions, Comparison, MetricComparison, MetricName } from './types.js';
import { metricVerdict, treatmentVerdict } from './verdict.js';
import { MEASURE_OF, type MeasurePair, warningsOf } from './warnings.js';
import { namesOf } from './words.js';

/** An arm as the tests take it: what does not depend on the other arm is worked out once. */
interface PreparedArm {
  readonly samples: ArmSamples;
  readonly latency: Observed;
  readonly cost: Observed;
  readonly tokens: Observed;
  readonly p95: P95;
}

const UNITS: Readonly<Record<MetricName, MetricComparison['unit']>> = {
  latencyMean: 'ms',
  latencyP95: 'ms',
  costMean: 'USD',
  successRate: 'share',
  tokensMean: 'tokens',
};

const PAIRED: Readonly<Record<Exclude<MetricName, 'latencyP95'>, PairedMeasure>> = {
  latencyMean: 'latencyMs',
  costMean: 'costUsd',
  successRate: 'successRate',
  tokensMean: 'tokens',
};

const EMPTY = new Float64Array(0);

/**
 * Every treatment against the first arm. The same samples and options give the same comparison.
 * @throws AnalysisError ERR_TOO_FEW_EXPERIMENTS below two arms
 * @throws ConfigError naming the option
 */
export function compareArms(samples: readonly ArmSamples[], options: CompareOptions = {}): Comparison {
  const settings = resolveCompareOptions(options, samples.length);
  const arms = samples.map((arm, stream) => prepare(arm, stream, settings));
  const [baseline, ...treatments] = arms;
  const compared = treatments.map((treatment) => {
    const matching = matchSamples(baseline.samples, treatment.samples, settings.paired);
    const findings = settings.metrics.map((metric) => find(metric, baseline, treatment, matching, settings));
    return { treatment, matching, findings };
  });
  const adjusted = adjust(
    compared.map(({ findings }) => findings.map(({ tests }) => tests[0]?.pValue ?? null)),
    settings,
  );
  const { id, name, condition } = baseline.samples;
  return {
    baseline: { id, name, condition },
    experiments: samples.map(({ id, name, condition, metrics }) => ({ id, name, condition, metrics })),
    treatments: compared.map(({ treatment, matching, findings }, i) => {
      const names = namesOf(baseline.samples, treatment.samples);
      const metrics = findings.map((finding, j) => {
        const found = report(settings.metrics[j], finding, adjusted.pValues[i][j], settings);
        return { ...found, verdict: metricVerdict(found, names, settings, adjusted.questions) };
      });
      const warnings = warningsOf({
        baseline: baseline.samples,
        treatment: treatment.samples,
        names,
        pairing: matching.pairing,
        expectedRatio: settings.expectedRatio[i + 1] / settings.expectedRatio[0],
        measures: measurePairs(baseline, treatment, matching, settings),
        metrics,
      });
      return {
        ...differencesOf(baseline.samples, treatment.samples),
        metrics: Object.fromEntries(metrics.map((found) => [found.metric, found])),
        pairing: matching.pairing,
        warnings,
        verdict: treatmentVerdict(metrics, warnings, names, settings),
      };
    }),
    settings: {
      confidenceLevel: settings.confidenceLevel,
      alpha: settings.alpha,
      adjust: settings.adjust,
      questions: adjusted.questions,
      seed: settings.seed,
      resamples: settings.resamples,
      sequential: settings.sequential && {
        tuning: settings.sequential.tuning,
        validAtEveryLook: true,
        without: settings.metrics.filter((metric) => metric === 'latencyP95'),
      },
    },
  };
}

function prepare(samples: ArmSamples, stream: number, settings: Settings): PreparedArm {
  const { metrics, sequential } = settings;
  const asked = (...names: MetricName[]) => names.some((name) => metrics.includes(name));
  const latency = observe(asked('latencyMean', 'latencyP95') ? samples.latencyMs : EMPTY);
  const p95 = p95Of(latency, samples.metrics.latency.p95 ?? null);
  const resamples = asked('latencyP95') && sequential === null;
  return {
    samples,
    latency,
    cost: observe(asked('costMean') ? samples.costUsd : EMPTY),
    tokens: observe(asked('tokensMean') ? samples.tokens : EMPTY),
    p95: resamples ? resampledP95(p95, stream, settings) : p95,
  };
}

function find(
  metric: MetricName,
  old: PreparedArm,
  now: PreparedArm,
  matching: Matching,
  settings: Settings,
): Finding {
  const watching = settings.sequential !== null;
  if (metric === 'latencyP95') {
    return watching ? watchP95(old.p95, now.p95) : compareP95(old.p95, now.p95, settings);
  }
  if (matching.pairing.used) {
    return comparePairs(pairedValues(matching, PAIRED[metric]), PAIRED[metric], settings);
  }
  if (metric === 'successRate') {
    const [a, b] = [old, now].map(({ samples }) => ({ successes: samples.successes, n: samples.decided }));
    return (watching ? watchRates : compareRates)(a, b, settings);
  }
  const measure = MEASURE_OF[metric];
  const what = { latency: 'latencies', cost: 'costs', tokens: 'token counts' }[measure];
  return (watching ? watchMeans : compareMeans)(old[measure], now[measure], what, settings);
}

/** All p-values of all treatments are one family; those that are null ask nothing. */
function adjust(
  pValues: readonly (readonly (number | null)[])[],
  { adjust: method }: Settings,
): { pValues: (number | null)[][]; questions: number } {
  const asked = pValues.flat().filter((p) => p !== null);
  const adjusted = method === 'none' ? asked : adjustPValues(asked, method);
  let next = 0;
  return {
    pValues: pValues.map((row) => row.map((p) => (p === null ? null : adjusted[next++]))),
    questions: asked.length,
  };
}

function report(
  metric: MetricName,
  finding: Finding,
  adjustedPValue: number | null,
  { alpha }: Settings,
): Omit<MetricComparison, 'verdict'> {
  const { baseline, treatment, difference, confidenceInterval, intervalMethod, tests, requiredN } = finding;
  const significant = adjustedPValue !== null && adjustedPValue <= alpha;
  return {
    metric,
    unit: UNITS[metric],
    baseline,
    treatment,
    difference,
    relativePct: changePct(baseline.estimate, treatment.estimate),
    confidenceInterval,
    intervalMethod,
    effectSize: tests[0]?.effectSize ?? null,
    tests: [...tests],
    pValue: tests[0]?.pValue ?? null,
    adjustedPValue,
    significant,
    requiredN,
    direction: significant ? directionOf(metric, difference) : 'unclear',
    ...(finding.pairs !== undefined && { pairs: finding.pairs }),
    assumptions: finding.assumptions,
    ...(finding.reason !== undefined && { reason: finding.reason }),
  };
}

function directionOf(metric: MetricName, difference: number | null): MetricComparison['direction'] {
  if (difference === null || difference === 0) return 'unclear';
  if (metric === 'tokensMean') return 'neutral';
  const higherIsBetter = metric === 'successRate';
  return difference > 0 === higherIsBetter ? 'better' : 'worse';
}

function measurePairs(
  old: PreparedArm,
  now: PreparedArm,
  matching: Matching,
  { metrics }: Settings,
): MeasurePair[] {
  const asked = (['latencyMean', 'costMean', 'tokensMean'] as const).filter(
    (metric) => metrics.includes(metric) || (metric === 'latencyMean' && metrics.includes('latencyP95')),
  );
  return asked.map((metric) => {
    const measure = MEASURE_OF[metric];
    let differences: Observed | null = null;
    if (matching.pairing.used) {
      differences = observe(pairedValues(matching, PAIRED[metric]).differences);
    }
    return { measure, baseline: old[measure], treatment: now[measure], differences };
  });
}
