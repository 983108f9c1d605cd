/**
 * Comparisons that may be looked at as often as one likes, and stopped at any look.
 *
 * A p-value here is always valid: under the null, the chance that it is ever at or below alpha, over all
 * looks, is alpha at most. A confidence interval is one member of a confidence sequence: all of them cover
 * at once with the stated probability. So a caller may report the smallest p-value and the intersection of
 * the intervals seen so far. What must be fixed before the first look is `alpha` and `tuning`.
 *
 * Results depend on (n, mean, variance) or (successes, n) per arm only, so arms merge across threads,
 * files and machines before the test.
 */

import { ConfigError } from '../errors.js';
import { type Arm, armOf, meanDifference, varianceProblem } from './arm.js';
import { type Interval, type Options, type Result, resolveOptions } from './options.js';
import { checkProportion, type Proportion } from './proportions.js';
import { logEvidence as logRatesEvidence, type RatesBet, unrejected } from './rates-bet.js';
import { type Alternative, checkOpenUnit, checkPositive, type Sample } from './sample.js';
import { differenceSkewness, type SkewedSummary } from './skewed.js';

export interface SequentialMeanOptions extends Options {
  /**
   * The total number of observations, both arms together, at which the interval is to be tightest; to be
   * fixed before looking. 5,000 by default; a small one favours early looks.
   */
  readonly tuning?: number | undefined;
  /** 'relative' compares (mean(b) − mean(a)) / mean(a), by the delta method. 'absolute' by default. */
  readonly difference?: 'absolute' | 'relative' | undefined;
}

export interface SequentialResult extends Result {
  /** The estimate in standard errors; null for a method that has none. */
  readonly statistic: number | null;
  /** Always valid; see the top of this file. */
  readonly pValue: number | null;
  /** 'less' is a below b, so that b − a is above 0. */
  readonly alternative: Alternative;
  /** b − a, or its ratio to a. */
  readonly estimate: number | null;
  readonly standardError: number | null;
  /** Of the estimate; a member of a confidence sequence. */
  readonly confidenceInterval: Interval | null;
  readonly confidenceLevel: number;
  /** Evidence against the null as a betting score: 1/eValue is the p-value where it is below 1. */
  readonly eValue: number | null;
}

const TUNING_DEFAULT = 5000;

/**
 * The always-valid comparison of two means, from samples or their summaries, by the asymptotic confidence
 * sequence of a normal mixture. Needs two observations an arm; being asymptotic, it should not be acted
 * on before some tens of observations an arm. Where the arms are of different sizes and their values skewed, a normal
 * mixture sees differences that are not there: the sequence has not begun (p is 1) while the difference has a skewness of
 * more than 0.2. It is known of samples, and of summaries that tell their own.
 *
 * Source: Waudby-Smith, Arbour, Sinha, Kennedy & Ramdas 2024, Annals of Statistics 52, 2613-2640 (arXiv
 * 2103.06476), eq. 9 (interval), 155 (p-value), 161 (tuning, by its closed approximation).
 */
export function sequentialMeanTest(
  a: Sample | SkewedSummary,
  b: Sample | SkewedSummary,
  options: SequentialMeanOptions = {},
): SequentialResult {
  const armA = armOf(a, 'a');
  const armB = armOf(b, 'b');
  return compareArms(armA, armB, differenceSkewness(a, b), varianceProblem(armA, armB), options);
}

export interface SequentialProportionOptions extends SequentialMeanOptions {
  /**
   * 'asymptotic' is sequentialMeanTest on zeros and ones. 'exact' holds from the first trial on, is
   * two-sided and for the absolute difference only, and needs somewhat more trials. 'asymptotic' by default.
   */
  readonly method?: 'asymptotic' | 'exact' | undefined;
  /** For 'exact': the share of trials planned for a; a half by default. Another one than is met costs trials, no errors. */
  readonly shareOfA?: number | undefined;
}

/**
 * The always-valid comparison of two proportions.
 *
 * 'exact' bets against every pair of probabilities that the null allows, see rates-bet.ts: valid whatever they are. Its
 * interval holds the differences that this bet does not reject.
 *
 * Source: as sequentialMeanTest; exact: mixtures of likelihood ratios with Ville's inequality, least over the null.
 */
export function sequentialProportionTest(
  a: Proportion,
  b: Proportion,
  options: SequentialProportionOptions = {},
): SequentialResult {
  checkProportion(a, 'a.');
  checkProportion(b, 'b.');
  const { method = 'asymptotic' } = options;
  if (method === 'exact') return exactProportionTest(a, b, options);
  if (method !== 'asymptotic') throw new ConfigError('method', "'asymptotic' or 'exact'", method);
  const armA = armOfProportion(a);
  const armB = armOfProportion(b);
  const constant = armA.variance === 0 && armB.variance === 0;
  const problem = constant ? 'every arm has one outcome only: the standard error is 0' : null;
  return compareArms(armA, armB, differenceSkewness(skewed(armA), skewed(armB)), problem, options);
}

/** Zeros and ones with one variance have one skewness. */
function skewed({ n, mean, variance }: Arm): SkewedSummary {
  const skewness = variance === 0 ? 0 : (1 - 2 * mean) / Math.sqrt(variance!);
  return { n, mean, variance, skewness };
}

/** The variance of zeros and ones with denominator n, as the sequence for proportions has it. */
function armOfProportion({ successes, n }: Proportion): Arm {
  const mean = successes / n;
  return { n, mean, meanLow: 0, variance: mean * (1 - mean) };
}

const METHOD = {
  absolute: 'asymptotic confidence sequence of the absolute difference of means',
  relative: 'asymptotic confidence sequence of the relative difference of means',
} as const;
const ASSUMPTIONS: readonly string[] = [
  'independent observations',
  'alpha and tuning chosen before the first look',
  'asymptotic: tens of observations per arm before acting on it',
];

/**
 * Observations per arm times tuning, below which the sequence has not begun. A small tuning asks for tight
 * early intervals just when means are furthest from normal; waiting this long keeps the chance of a false
 * rejection, with a look at every observation, within alpha in simulation.
 */
const START = 2000;

/**
 * Of the difference, above which the sequence has not begun. With arms of 1 : 9 and one value in fifty that is 50 times
 * as large, looking at every observation, it would reject in a quarter of all experiments; so it does in 2 of 100.
 */
export const SKEWNESS_MAX = 0.2;

/** One look. Written out rather than spread: a simulation or a dashboard takes millions of looks. */
function compareArms(
  a: Arm,
  b: Arm,
  skewness: number | null,
  problem: string | null,
  options: SequentialMeanOptions,
): SequentialResult {
  const { alternative, alpha, confidenceLevel } = resolveOptions(options);
  const { tuning = TUNING_DEFAULT, difference = 'absolute' } = options;
  checkPositive(tuning, 'tuning');
  if (difference !== 'absolute' && difference !== 'relative') {
    throw new ConfigError('difference', "'absolute' or 'relative'", difference);
  }
  const method = METHOD[difference];
  const n = [a.n, b.n];
  const sides = alternative === 'two-sided' ? 1 : 2;
  const information = (a.n + b.n) * mixturePrecision(tuning, alpha, sides);
  const base = difference === 'relative' ? a.mean : 1;
  const reason = base === 0 ? 'the mean of a is 0: no difference relative to it' : problem;
  if (reason !== null) {
    return {
      method,
      assumptions: ASSUMPTIONS,
      n,
      statistic: null,
      pValue: null,
      alternative,
      estimate: base === 0 ? null : meanDifference(b, a) / base,
      standardError: null,
      confidenceInterval: null,
      confidenceLevel,
      eValue: null,
      reason,
    };
  }
  const estimate = meanDifference(b, a) / base;
  // Relative: var(b̄/ā) by the delta method, the arms being independent.
  const gradientA = difference === 'relative' ? b.mean / a.mean : 1;
  const standardError =
    Math.sqrt(b.variance! / b.n + (a.variance! / a.n) * gradientA * gradientA) / Math.abs(base);
  const statistic = estimate / standardError;
  const begun = Math.min(a.n, b.n) * tuning >= START && Math.abs(skewness ?? 0) <= SKEWNESS_MAX;
  const margin = begun ? standardError * halfWidth(information, alpha, sides) : Number.POSITIVE_INFINITY;
  const logE = begun
    ? logEvidence(alternative === 'greater' ? -statistic : statistic, information, sides)
    : 0;
  return {
    method,
    assumptions: ASSUMPTIONS,
    n,
    statistic,
    pValue: Math.min(1, Math.exp(-logE)),
    alternative,
    estimate,
    standardError,
    confidenceInterval: [
      alternative === 'greater' ? Number.NEGATIVE_INFINITY : estimate - margin,
      alternative === 'less' ? Number.POSITIVE_INFINITY : estimate + margin,
    ],
    confidenceLevel,
    eValue: Math.exp(logE),
  };
}

/**
 * The half-width of the sequence for one mean after n observations with the given variance; one-sided,
 * the distance to the one limit.
 */
export function confidenceSequenceHalfWidth(
  { n, variance }: { readonly n: number; readonly variance: number },
  options: Pick<SequentialMeanOptions, 'alpha' | 'confidenceLevel' | 'alternative' | 'tuning'> = {},
): number {
  const { alternative, alpha } = resolveOptions(options);
  const { tuning = TUNING_DEFAULT } = options;
  checkPositive(tuning, 'tuning');
  checkPositive(n, 'n');
  checkPositive(variance, 'variance');
  const sides = alternative === 'two-sided' ? 1 : 2;
  const information = n * mixturePrecision(tuning, alpha, sides);
  return Math.sqrt(variance / n) * halfWidth(information, alpha, sides);
}

/** ρ² for which the sequence is tightest at `tuning` observations; one-sided (`sides` = 2) at level 2·alpha. */
function mixturePrecision(tuning: number, alpha: number, sides: 1 | 2): number {
  if (sides * alpha >= 1) throw new ConfigError('alpha', 'a number below ½ for a one-sided sequence', alpha);
  const twice = -2 * Math.log(sides * alpha);
  return (twice + Math.log1p(twice)) / tuning;
}

/** In standard errors, with information = Nρ². One-sided (`sides` = 2) is the mixture of upward means only. */
function halfWidth(information: number, alpha: number, sides: 1 | 2): number {
  const root = Math.sqrt(information + 1);
  const logThreshold = sides === 1 ? Math.log(root / alpha) : Math.log1p(root / (2 * alpha));
  return Math.sqrt(((2 * (information + 1)) / information) * logThreshold);
}

/** ln of the e-value at z standard errors; one-sided, the reciprocal of the p at which the sequence reaches 0. */
function logEvidence(z: number, information: number, sides: 1 | 2): number {
  const exponent = (z * z * information) / (2 * (information + 1));
  const logRoot = 0.5 * Math.log1p(information);
  if (sides === 1) return exponent - logRoot;
  if (z <= 0) return 0;
  // ln(2(e^x − 1)), without overflow for a large x.
  return Math.LN2 + exponent + Math.log(-Math.expm1(-exponent)) - logRoot;
}

function exactProportionTest(
  a: Proportion,
  b: Proportion,
  options: SequentialProportionOptions,
): SequentialResult {
  const { alternative, alpha, confidenceLevel } = resolveOptions(options);
  if (alternative !== 'two-sided')
    throw new ConfigError('alternative', "'two-sided' for 'exact'", alternative);
  if (options.difference === 'relative')
    throw new ConfigError('difference', "'absolute' for 'exact'", 'relative');
  const { tuning = TUNING_DEFAULT, shareOfA = 0.5 } = options;
  checkPositive(tuning, 'tuning');
  checkOpenUnit(shareOfA, 'shareOfA');
  const bet: RatesBet = { shareOfA, information: mixturePrecision(tuning, Math.min(alpha, 0.5), 1) };
  const estimate = b.successes / b.n - a.successes / a.n;
  const logE = logRatesEvidence(a, b, 0, bet);
  return {
    method: 'mixture likelihood ratio of two proportions',
    assumptions: [
      'independent trials with one probability per arm',
      'alpha and tuning chosen before the first look',
    ],
    n: [a.n, b.n],
    statistic: null,
    pValue: Math.min(1, Math.exp(-logE)),
    alternative,
    estimate,
    standardError: null,
    confidenceInterval: unrejected(a, b, alpha, bet),
    confidenceLevel,
    eValue: Math.exp(logE),
  };
}
