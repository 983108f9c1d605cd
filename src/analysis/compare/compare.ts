/** Comparison of experiments: the first is the baseline, the others are treatments. Pure: no ring, no clock, no I/O. */
import { adjustPValues } from '../../stats/multiplicity.js';
import { ALL_EVENTS, type ComparedKind } from '../kinds.js';
import { changePct, differencesOf } from './differences.js';
import type { Finding } from './finding.js';
import { compareMeans, watchMeans } from './means.js';
import { type Observed, observe } from './observed.js';
import { resolveCompareOptions, type Settings } from './options.js';
import type { Question } from './outcomes.js';
import { comparePairs, type Matching, matchSamples, pairedValues } from './pairs.js';
import {
  type ArmQuantile,
  compareQuantiles,
  quantileOf,
  resampledQuantile,
  watchQuantiles,
} from './quantiles.js';
import { compareRates, watchRates } from './rates.js';
import { compareRatios, watchRatios } from './ratios.js';
import { type ArmSamples, flagOf, valuesOf } from './samples.js';
import type { CompareOptions, Comparison, MetricComparison } from './types.js';
import { compareUnits, watchUnits } from './units.js';
import { metricVerdict, treatmentVerdict } from './verdict.js';
import { type MeasurePair, warningsOf } from './warnings.js';
import { namesOf, valuesText } from './words.js';

/** An arm as the tests take it: what does not depend on the other arm is worked out once. */
class PreparedArm {
  readonly samples: ArmSamples;
  readonly #stream: number;
  readonly #settings: Settings;
  readonly #observed = new Map<string, Observed>();
  readonly #quantiles = new Map<string, ArmQuantile>();

  /** @param stream - the arm's place among those compared */
  constructor(samples: ArmSamples, stream: number, settings: Settings) {
    this.samples = samples;
    this.#stream = stream;
    this.#settings = settings;
  }

  observed(of: string): Observed {
    return kept(this.#observed, of, () => observe(valuesOf(this.samples, of)));
  }

  quantile(of: string, p: number): ArmQuantile {
    return kept(this.#quantiles, `${of} ${p}`, () => {
      const { latency } = this.samples.metrics;
      const exact = of === 'latencyMs' && p === 0.95 ? (latency.p95 ?? null) : null;
      const quantile = quantileOf(this.observed(of), p, exact);
      if (this.#settings.sequential !== null) return quantile;
      return resampledQuantile(quantile, this.#stream, this.#settings);
    });
  }
}

function kept<T>(known: Map<string, T>, key: string, make: () => T): T {
  const value = known.get(key) ?? make();
  known.set(key, value);
  return value;
}

/**
 * Every treatment against the first arm. The same samples and options give the same comparison.
 * @param kind - the events that the samples are of
 * @throws AnalysisError ERR_TOO_FEW_EXPERIMENTS below two arms
 * @throws ConfigError naming the option
 */
export function compareArms(
  samples: readonly ArmSamples[],
  options: CompareOptions = {},
  kind: ComparedKind = ALL_EVENTS,
): Comparison {
  const settings = resolveCompareOptions(options, samples.length);
  const arms = samples.map((arm, stream) => new PreparedArm(arm, stream, settings));
  const [baseline, ...treatments] = arms;
  const compared = treatments.map((treatment) => {
    const matching = matchSamples(baseline.samples, treatment.samples, settings.paired);
    const findings = settings.questions.map((question) =>
      find(question, baseline, treatment, matching, settings),
    );
    return { treatment, matching, findings };
  });
  const adjusted = adjust(
    compared.map(({ findings }) => findings.map(({ tests }) => tests[0]?.pValue ?? null)),
    settings,
  );
  const { id, name, condition } = baseline.samples;
  return {
    baseline: { id, name, condition },
    event: kind.event,
    experiments: samples.map(({ id, name, condition, metrics, allMetrics = metrics }) => ({
      id,
      name,
      condition,
      metrics: allMetrics,
    })),
    treatments: compared.map(({ treatment, matching, findings }, i) => {
      const names = namesOf(baseline.samples, treatment.samples);
      const metrics = findings.map((finding, j) => {
        const found = report(settings.questions[j], finding, adjusted.pValues[i][j], settings);
        return { ...found, verdict: metricVerdict(found, names, settings, adjusted.questions) };
      });
      const warnings = warningsOf({
        baseline: baseline.samples,
        treatment: treatment.samples,
        names,
        kind,
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
      unit: settings.unit,
      seed: settings.seed,
      resamples: settings.resamples,
      sequential: settings.sequential && {
        tuning: settings.sequential.tuning,
        validAtEveryLook: true,
        without: settings.questions
          .filter((question) => settings.unit !== 'event' || hasNoSequence(question))
          .map(({ name }) => name),
      },
    },
  };
}

function hasNoSequence({ summary }: Question): boolean {
  return typeof summary === 'object' || summary === 'ratio';
}

/** Whether pairs have it: means and rates. */
function isPaired({ per, summary }: Question): boolean {
  return per === null && typeof summary !== 'object';
}

function find(
  question: Question,
  old: PreparedArm,
  now: PreparedArm,
  matching: Matching,
  settings: Settings,
): Finding {
  const { of, per, summary, noun } = question;
  const watching = settings.sequential !== null;
  const [oldUnits, nowUnits] = [old.samples.byUnit, now.samples.byUnit];
  if (oldUnits !== undefined && nowUnits !== undefined && !(matching.pairing.used && isPaired(question))) {
    return (watching ? watchUnits : compareUnits)(question, oldUnits, nowUnits, settings);
  }
  const what = valuesText(of);
  if (typeof summary === 'object') {
    const [before, after] = [old, now].map((arm) => arm.quantile(of, summary.quantile));
    return watching ? watchQuantiles(before, after) : compareQuantiles(before, after, what, settings);
  }
  if (per !== null) {
    const [before, after] = [old, now].map(({ samples }) => samples.ratios?.[`${of}/${per}`]);
    return watching ? watchRatios(before, after, settings) : compareRatios(before, after, noun, settings);
  }
  const [before, after] = [old, now].map(({ samples }) => flagOf(samples, of));
  const isRate = before !== null || after !== null;
  if (matching.pairing.used) return comparePairs(pairedValues(matching, of), isRate, settings);
  if (isRate) {
    const known = of === 'success' ? 'events whose success is known' : `events with ${of}`;
    return (watching ? watchRates : compareRates)(before ?? NO_TRIALS, after ?? NO_TRIALS, known, settings);
  }
  return (watching ? watchMeans : compareMeans)(old.observed(of), now.observed(of), what, settings);
}

const NO_TRIALS = { successes: 0, n: 0 };

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
  { name, of, noun, unit, better }: Question,
  finding: Finding,
  adjustedPValue: number | null,
  { alpha }: Settings,
): Omit<MetricComparison, 'verdict'> {
  const { baseline, treatment, difference, confidenceInterval, intervalMethod, tests, requiredN } = finding;
  const significant = adjustedPValue !== null && adjustedPValue <= alpha;
  return {
    metric: name,
    of,
    label: noun,
    unit,
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
    direction: significant ? directionOf(better, difference) : 'unclear',
    ...(finding.pairs !== undefined && { pairs: finding.pairs }),
    assumptions: finding.assumptions,
    ...(finding.reason !== undefined && { reason: finding.reason }),
  };
}

function directionOf(better: Question['better'], difference: number | null): MetricComparison['direction'] {
  if (difference === null || difference === 0) return 'unclear';
  if (better === 'neutral') return 'neutral';
  return difference > 0 === (better === 'higher') ? 'better' : 'worse';
}

/** The values that means and quantiles were taken of, each measure once. */
function measurePairs(
  old: PreparedArm,
  now: PreparedArm,
  matching: Matching,
  { questions }: Settings,
): MeasurePair[] {
  const isRate = (of: string) => [old, now].some(({ samples }) => flagOf(samples, of) !== null);
  const measures = new Set(
    questions.filter(({ per, of }) => per === null && !isRate(of)).map(({ of }) => of),
  );
  return [...measures].map((of) => ({
    of,
    baseline: old.observed(of),
    treatment: now.observed(of),
    differences: matching.pairing.used ? observe(pairedValues(matching, of).differences) : null,
  }));
}
