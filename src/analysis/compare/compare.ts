/** Comparison of experiments: the first is the baseline, the others are treatments. Pure: no ring, no clock, no I/O. */

import { finiteOrNull } from '../../stats/moments.js';
import { adjustPValues } from '../../stats/multiplicity.js';
import { normalQuantile } from '../../stats/normal.js';
import type { Interval } from '../../stats/options.js';
import { detectableEffect } from '../../stats/power.js';
import type { Summary } from '../../stats/sample.js';
import { welchTTest } from '../../stats/t-tests.js';
import { ALL_EVENTS, type ComparedKind } from '../kinds.js';
import { withCensoring } from './censoring.js';
import { compareAdjusted, compareAdjustedUnits } from './covariate.js';
import { decide } from './decision.js';
import { differencesOf, relativeTo } from './differences.js';
import { type Finding, POWER } from './finding.js';
import { againstMargin } from './margins.js';
import { compareMeans, tooSkewed, watchMeans } from './means.js';
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
import { compareStrata, isStratified } from './strata.js';
import type { ArmEstimate, CompareOptions, Comparison, MetricComparison } from './types.js';
import { compareUnits, tooSkewedUnits, watchUnits } from './units.js';
import { metricVerdict, treatmentVerdict } from './verdict.js';
import { type MeasurePair, warningsOf } from './warnings.js';
import { namesOf, valuesText } from './words.js';

/** An arm as the tests take it: what does not depend on the other arm is worked out once. */
class PreparedArm {
  readonly samples: ArmSamples;
  /** Events that were planned, up to a factor that all arms share. */
  readonly planned: number;
  readonly #stream: number;
  readonly #settings: Settings;
  readonly #observed = new Map<string, Observed>();
  readonly #quantiles = new Map<string, ArmQuantile>();

  /** @param stream - the arm's place among those compared */
  constructor(samples: ArmSamples, stream: number, settings: Settings) {
    this.samples = samples;
    this.planned = settings.expectedRatio[stream];
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

interface Examined {
  readonly baseline: PreparedArm;
  readonly treatments: readonly {
    readonly treatment: PreparedArm;
    readonly matching: Matching;
    readonly findings: readonly Finding[];
  }[];
}

/**
 * Every treatment against the first arm. The same samples and options give the same comparison.
 * @param kind - the events that the samples are of
 * @param segments - by name, what the arms have of each segment that was declared
 * @throws AnalysisError ERR_TOO_FEW_EXPERIMENTS below two arms
 * @throws ConfigError naming the option
 */
export function compareArms(
  samples: readonly ArmSamples[],
  options: CompareOptions = {},
  kind: ComparedKind = ALL_EVENTS,
  segments: Readonly<Record<string, readonly ArmSamples[]>> = {},
): Comparison {
  const settings = resolveCompareOptions(options, samples.length);
  const whole = examine(samples, settings);
  const parts = Object.entries(segments).map(([name, arms]) => ({ name, ...examine(arms, settings) }));
  const adjusted = adjust(pValuesOf(whole), settings);
  // All segments are one family.
  const ofParts = adjust(parts.flatMap(pValuesOf), settings);
  const { baseline, treatments } = whole;
  const { id, name, condition } = baseline.samples;
  return {
    baseline: { id, name, condition },
    event: kind.event,
    experiments: samples.map(({ id, name, condition, metrics, allMetrics = metrics, byUnit, lost }) => ({
      id,
      name,
      condition,
      metrics: allMetrics,
      ...(byUnit !== undefined && { units: byUnit.ids.length }),
      ...(lost !== undefined && lost.dropped > 0 && { lost }),
    })),
    treatments: treatments.map(({ treatment, matching }, i) => {
      const { metrics, warnings, verdict } = tell(whole, i, adjusted.answers[i], settings, kind);
      const decision = decide(metrics);
      return {
        ...differencesOf(baseline.samples, treatment.samples),
        metrics: Object.fromEntries(metrics.map((found) => [found.metric, found])),
        pairing: matching.pairing,
        warnings,
        verdict,
        ...(decision !== null && { decision }),
        ...(parts.length > 0 && {
          segments: Object.fromEntries(
            parts.map((part, j) => {
              const told = tell(part, i, ofParts.answers[j * treatments.length + i], settings, kind);
              const byName = Object.fromEntries(told.metrics.map((found) => [found.metric, found]));
              return [part.name, { ...told, metrics: byName }];
            }),
          ),
        }),
      };
    }),
    settings: {
      confidenceLevel: settings.confidenceLevel,
      alpha: settings.alpha,
      adjust: settings.adjust,
      questions: adjusted.questions,
      segmentQuestions: ofParts.questions,
      unit: settings.unit,
      strata:
        settings.strata === null
          ? null
          : {
              by: settings.strata,
              without: settings.questions
                .filter((question) => !isStratified(question))
                .map(({ name }) => name),
            },
      seed: settings.seed,
      resamples: settings.resamples,
      sequential: settings.sequential && {
        tuning: settings.sequential.tuning,
        validAtEveryLook: true,
      },
    },
  };
}

function examine(samples: readonly ArmSamples[], settings: Settings): Examined {
  const arms = samples.map((arm, stream) => new PreparedArm(arm, stream, settings));
  const [baseline, ...treatments] = arms;
  return {
    baseline,
    treatments: treatments.map((treatment) => {
      const matching = matchSamples(baseline.samples, treatment.samples, settings.paired);
      const findings = settings.questions.map((question) => {
        const found = find(question, baseline, treatment, matching, settings);
        return withCensoring(
          question,
          found,
          baseline.observed(question.of),
          treatment.observed(question.of),
        );
      });
      return { treatment, matching, findings };
    }),
  };
}

/** Of one treatment, in words. @param i - its place among the treatments */
function tell(
  { baseline, treatments }: Examined,
  i: number,
  answers: readonly Answer[],
  settings: Settings,
  kind: ComparedKind,
) {
  const { treatment, matching, findings } = treatments[i];
  const names = namesOf(baseline.samples, treatment.samples);
  const metrics = findings.map((finding, j) => {
    const { pValue, family } = answers[j];
    const found = report(settings.questions[j], finding, pValue, settings);
    const among = amongSuccesses(settings.questions[j], baseline.samples, treatment.samples, settings);
    return {
      ...found,
      ...(among !== null && { amongSuccesses: among }),
      verdict: metricVerdict(found, names, settings, family),
    };
  });
  const warnings = warningsOf({
    baseline: baseline.samples,
    treatment: treatment.samples,
    names,
    kind,
    pairing: matching.pairing,
    expectedRatio: settings.expectedRatio[i + 1] / settings.expectedRatio[0],
    assigned: settings.assigned,
    place: i + 1,
    measures: measurePairs(baseline, treatment, matching, settings),
    metrics,
    isStratified: settings.strata !== null,
  });
  const families = new Map(metrics.map(({ metric }, j) => [metric, answers[j].family]));
  return { metrics, warnings, verdict: treatmentVerdict(metrics, warnings, names, settings, families) };
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
  const { of, per, summary, noun, covariate } = question;
  const watching = settings.sequential !== null;
  const [oldUnits, nowUnits] = [old.samples.byUnit, now.samples.byUnit];
  if (oldUnits !== undefined && nowUnits !== undefined && !(matching.pairing.used && isPaired(question))) {
    if (covariate !== null) return compareAdjustedUnits(of, covariate, oldUnits, nowUnits, settings);
    return (watching ? watchUnits : compareUnits)(question, oldUnits, nowUnits, settings);
  }
  const what = valuesText(of);
  if (typeof summary === 'object') {
    const [before, after] = [old, now].map((arm) => arm.quantile(of, summary.quantile));
    return watching
      ? watchQuantiles(before, after, what, settings)
      : compareQuantiles(before, after, what, settings);
  }
  if (per !== null) {
    const [before, after] = [old, now].map(({ samples }) => samples.ratios?.[`${of}/${per}`]);
    return watching
      ? watchRatios(before, after, noun, settings)
      : compareRatios(before, after, noun, settings);
  }
  const [before, after] = [old, now].map(({ samples }) => flagOf(samples, of));
  const isRate = before !== null || after !== null;
  if (matching.pairing.used) return comparePairs(pairedValues(matching, of), isRate, settings);
  if (settings.strata !== null) {
    return compareStrata(of, old.samples.strata ?? [], now.samples.strata ?? [], what, settings);
  }
  if (covariate !== null) {
    const [sums, others] = [old, now].map(({ samples }) => samples.covariates?.[`${of}~${covariate}`]);
    return compareAdjusted(covariate, sums, others, what, settings);
  }
  if (isRate) {
    const known = of === 'success' ? 'events whose success is known' : `events with ${of}`;
    const trials = [before ?? NO_TRIALS, after ?? NO_TRIALS] as const;
    if (!watching) return compareRates(...trials, known, settings);
    return watchRates(...trials, known, settings, old.planned / (old.planned + now.planned));
  }
  return (watching ? watchMeans : compareMeans)(old.observed(of), now.observed(of), what, settings);
}

const NO_TRIALS = { successes: 0, n: 0 };

interface Answer {
  /** Adjusted. */
  readonly pValue: number | null;
  /** How many were adjusted together. */
  readonly family: number;
}

function pValuesOf({ treatments }: Examined): (number | null)[][] {
  return treatments.map(({ findings }) => findings.map(({ tests }) => tests[0]?.pValue ?? null));
}

/**
 * The p-values of all treatments are one family; where there are primaries these are one of their own, and what is not
 * primary is the other. Those that are null ask nothing.
 */
function adjust(
  pValues: readonly (readonly (number | null)[])[],
  { adjust: method, questions }: Settings,
): { answers: Answer[][]; questions: number } {
  const familyOf = (j: number) => Number(questions[j].role === 'primary');
  const asked: number[][] = [[], []];
  for (const row of pValues) for (const [j, p] of row.entries()) if (p !== null) asked[familyOf(j)].push(p);
  const adjusted = asked.map((family) => (method === 'none' ? family : adjustPValues(family, method)));
  const next = [0, 0];
  return {
    answers: pValues.map((row) =>
      row.map((p, j) => {
        const family = familyOf(j);
        return { pValue: p === null ? null : adjusted[family][next[family]++], family: asked[family].length };
      }),
    ),
    questions: asked[0].length + asked[1].length,
  };
}

function report(
  question: Question,
  finding: Finding,
  adjustedPValue: number | null,
  { alpha, sequential }: Settings,
): Omit<MetricComparison, 'verdict'> {
  const { name, of, noun, unit, better, role } = question;
  const { baseline, treatment, difference, confidenceInterval, intervalMethod, tests, requiredN } = finding;
  const significant = adjustedPValue !== null && adjustedPValue <= alpha;
  const relativePct = isNearZero(baseline) ? null : relativeTo(baseline.estimate, difference);
  const reason =
    finding.reason ??
    (difference !== null && relativePct === null
      ? 'a baseline that is not told from 0 has no percentages'
      : undefined);
  return {
    metric: name,
    of,
    label: noun,
    role,
    unit,
    better,
    baseline,
    treatment,
    difference,
    relativePct,
    confidenceInterval,
    intervalMethod,
    effectSize: tests[0]?.effectSize ?? null,
    tests: [...tests],
    pValue: tests[0]?.pValue ?? null,
    adjustedPValue,
    significant,
    requiredN,
    detectable: sequential === null ? detectableBy(confidenceInterval, alpha) : null,
    ...againstMargin(question, finding),
    ...(finding.covariate !== undefined && { covariate: finding.covariate }),
    ...(finding.strata !== undefined && { strata: finding.strata }),
    ...(finding.censored !== undefined && { censored: finding.censored }),
    direction: significant ? directionOf(better, difference) : 'unclear',
    ...(finding.pairs !== undefined && { pairs: finding.pairs }),
    assumptions: finding.assumptions,
    ...(reason !== undefined && { reason }),
  };
}

/** Whether percentages of it would be of noise: its interval holds 0 inside, so that not even its sign is known. */
function isNearZero({ confidenceInterval }: ArmEstimate): boolean {
  return confidenceInterval !== null && confidenceInterval[0] < 0 && confidenceInterval[1] > 0;
}

/** From half the width of the interval, which is so many standard errors. */
function detectableBy(interval: Interval | null, alpha: number): number | null {
  if (interval === null || !(interval[1] > interval[0])) return null;
  const standardError = (interval[1] - interval[0]) / 2 / -normalQuantile(alpha / 2);
  return finiteOrNull(detectableEffect({ standardError, alpha, power: POWER }));
}

/** Null where the question is not one of mean latency by event, or nothing is known of outcomes. */
function amongSuccesses(
  { of, per, summary }: Question,
  baseline: ArmSamples,
  treatment: ArmSamples,
  { alpha, unit, sequential }: Settings,
): MetricComparison['amongSuccesses'] | null {
  const [old, now] = [baseline.latencyOf?.succeeded, treatment.latencyOf?.succeeded];
  if (of !== 'latencyMs' || per !== null || summary !== 'mean' || unit !== 'event' || sequential !== null)
    return null;
  if (!old || !now || old.n < 2 || now.n < 2) return null;
  const { estimate, confidenceInterval } = welchTTest(now, old, { alpha });
  const arm = ({ n, mean }: Summary) => ({ estimate: mean, n, confidenceInterval: null });
  return { baseline: arm(old), treatment: arm(now), difference: finiteOrNull(estimate), confidenceInterval };
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
  { questions, sequential, unit }: Settings,
): MeasurePair[] {
  const isRate = (of: string) => [old, now].some(({ samples }) => flagOf(samples, of) !== null);
  const measures = new Set(
    questions.filter(({ per, of }) => per === null && !isRate(of)).map(({ of }) => of),
  );
  const tooSkewedMeasure = (of: string) => {
    if (unit === 'event') return tooSkewed(old.observed(of), now.observed(of), sequential !== null);
    const [before, after] = [old, now].map(({ samples }) => samples.byUnit?.measures[of]);
    return before && after && sequential === null ? tooSkewedUnits(before, after) : null;
  };
  return [...measures].map((of) => ({
    of,
    baseline: old.observed(of),
    treatment: now.observed(of),
    tooSkewed: matching.pairing.used ? null : tooSkewedMeasure(of),
    differences: matching.pairing.used ? observe(pairedValues(matching, of).differences) : null,
  }));
}
