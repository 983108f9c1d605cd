/** How large a study has to be: units per arm for an effect, days, and the chance of finding it at other sizes. */
import { ConfigError } from '../errors.js';
import { noncentralStudentSurvival, studentUpperQuantile } from '../stats/distributions.js';
import { normalQuantile, normalSurvival } from '../stats/normal.js';
import { confidenceSequenceHalfWidth } from '../stats/sequential.js';

export interface StudySizeOptions {
  /**
   * The outcome at the baseline: its mean and standard deviation between events, or between units where a unit has one
   * event; or a rate from 0 to 1. Of a ratio the mean is the ratio, and the standard deviation that of
   * (above − ratio × below) / mean below, by unit: what `pilotOf` measures.
   */
  readonly baseline: { readonly mean: number; readonly stdDev: number } | { readonly rate: number };
  /** The smallest difference of interest, in the outcome's unit or relative to the baseline. Its sign does not matter. */
  readonly effect: number | { readonly relative: number };
  /** Chance to find it; 0.8 by default. */
  readonly power?: number;
  /** 0.05 by default, two-sided. */
  readonly alpha?: number;
  /** Weights of the arms, the baseline's first; 1 and 1 by default. Of several treatments each is compared with the baseline, alpha / treatments. */
  readonly weights?: readonly number[];
  /** Events of a unit, 1 by default, and the share of the variance that lies between units, 0 by default (1 where a unit has one). */
  readonly eventsPerUnit?: number;
  readonly icc?: number;
  /** Correlation with a covariate that is known beforehand: CUPED takes its square off the variance. 0 by default. */
  readonly covariateCorrelation?: number;
  /** May be looked at and stopped at any time. False by default. */
  readonly sequential?: boolean;
  /** To show that the treatment is not worse by `effect`, where it truly is as good: one-sided at alpha / 2. False by default. */
  readonly noninferiority?: boolean;
  /** New units a day, of all arms together. */
  readonly unitsPerDay?: number;
}

export interface StudySize {
  readonly method: string;
  readonly assumptions: readonly string[];
  /** In the outcome's unit. */
  readonly effect: number;
  readonly alpha: number;
  /** Of each comparison, where there are several treatments. */
  readonly alphaEach: number;
  readonly power: number;
  /** Whole units, one number for each arm; null where no study is large enough. */
  readonly unitsPerArm: readonly number[] | null;
  readonly units: number | null;
  readonly events: number | null;
  readonly days: number | null;
  /** How many times as many events are needed as there would be of independent ones. */
  readonly designEffect: number;
  /** Of a sequential study: units of two arms at which intervals are to be tightest, for `sequential: { tuning }`. */
  readonly tuning: number | null;
  /** Of a sequential study: units with which half of the studies that have such an effect have found it. */
  readonly unitsHalf: number | null;
  /** Units of all arms, and the chance to find the effect with so many. */
  readonly curve: readonly { readonly units: number; readonly power: number }[];
  readonly reason?: string;
}

const UNITS_MAX = 2 ** 40;
const CURVE_POINTS = 12;
/** Of the units wanted: where the curve begins and ends. */
const CURVE_FROM = 0.1;
const CURVE_TO = 2;

/** @throws ConfigError naming the option */
export function studySize(options: StudySizeOptions): StudySize {
  const { power = 0.8, alpha = 0.05, weights = [1, 1], eventsPerUnit = 1, sequential = false } = options;
  const { noninferiority = false, covariateCorrelation = 0, unitsPerDay } = options;
  const icc = options.icc ?? 0;
  requireWithin('power', power, 0, 1);
  requireWithin('alpha', alpha, 0, 1);
  requireWithin('eventsPerUnit', eventsPerUnit, 0, Number.POSITIVE_INFINITY);
  if (!(icc >= 0 && icc <= 1)) throw new ConfigError('icc', 'a share from 0 to 1', icc);
  if (!(covariateCorrelation > -1 && covariateCorrelation < 1)) {
    throw new ConfigError('covariateCorrelation', 'a number above -1 and below 1', covariateCorrelation);
  }
  if (
    !(
      Array.isArray(weights) &&
      weights.length >= 2 &&
      weights.every((weight) => weight > 0 && weight < UNITS_MAX)
    )
  ) {
    throw new ConfigError('weights', 'a number above 0 for each arm, two at least', weights);
  }
  if (unitsPerDay !== undefined) requireWithin('unitsPerDay', unitsPerDay, 0, Number.POSITIVE_INFINITY);
  if (sequential && noninferiority)
    throw new ConfigError('sequential', 'false beside noninferiority', sequential);
  const { baseline, isRate } = baselineOf(options.baseline);
  const effect = effectOf(options.effect, baseline.mean);
  const treatments = weights.length - 1;
  const alphaEach = alpha / treatments;
  const designEffect = (1 + (eventsPerUnit - 1) * icc) * (1 - covariateCorrelation ** 2);
  // Of the mean over a unit's events.
  const perUnit = designEffect / eventsPerUnit;
  const total = weights.reduce((sum, weight) => sum + weight, 0);
  // The comparison that is hardest.
  const smallest = Math.min(...weights.slice(1));
  const design: Design = {
    shares: [weights[0]! / total, smallest / total],
    effect,
    alpha: alphaEach,
    perUnit,
    variances: isRate ? rateVariances(baseline.mean, effect, noninferiority) : null,
    variance: baseline.stdDev ** 2,
  };
  const powerOf = sequential
    ? sequentialPower(design, power)
    : (units: number) => fixedPower(design, units, noninferiority);
  const units = smallestUnits(powerOf, power);
  const common = {
    method: methodOf(isRate, sequential, noninferiority, designEffect),
    assumptions: assumptionsOf(isRate, sequential, treatments, designEffect),
    effect,
    alpha,
    alphaEach,
    power,
    designEffect,
  };
  if (units === null) {
    return {
      ...common,
      unitsPerArm: null,
      units: null,
      events: null,
      days: null,
      tuning: null,
      unitsHalf: null,
      curve: [],
      reason: 'no study is large enough for an effect as small',
    };
  }
  const unitsPerArm = weights.map((weight) => Math.ceil((units * weight) / total - 1e-9));
  const all = unitsPerArm.reduce((sum, count) => sum + count, 0);
  return {
    ...common,
    unitsPerArm,
    units: all,
    events: Math.ceil(all * eventsPerUnit),
    days: unitsPerDay === undefined ? null : Math.ceil(all / unitsPerDay),
    tuning: sequential ? Math.ceil(units * (design.shares[0] + design.shares[1])) : null,
    unitsHalf: sequential ? Math.ceil(smallestUnits(powerOf, 0.5) ?? Number.NaN) : null,
    curve: curveOf(powerOf, units),
  };
}

interface Design {
  /** Of all units: the baseline's, and the treatment's. */
  readonly shares: readonly [number, number];
  readonly effect: number;
  readonly alpha: number;
  /** Variance of a unit's mean, in those of an event. */
  readonly perUnit: number;
  /** Of rates: under no difference, and with the effect, of baseline and treatment. */
  readonly variances: { readonly none: number; readonly baseline: number; readonly treatment: number } | null;
  readonly variance: number;
}

function baselineOf(given: StudySizeOptions['baseline']): {
  baseline: { mean: number; stdDev: number };
  isRate: boolean;
} {
  if (typeof given !== 'object' || given === null) {
    throw new ConfigError('baseline', '{ mean, stdDev } or { rate }', given);
  }
  if ('rate' in given) {
    requireWithin('baseline.rate', given.rate, 0, 1);
    return { baseline: { mean: given.rate, stdDev: Math.sqrt(given.rate * (1 - given.rate)) }, isRate: true };
  }
  const { mean, stdDev } = given;
  if (!Number.isFinite(mean)) throw new ConfigError('baseline.mean', 'a finite number', mean);
  requireWithin('baseline.stdDev', stdDev, 0, Number.POSITIVE_INFINITY);
  return { baseline: { mean, stdDev }, isRate: false };
}

function effectOf(effect: StudySizeOptions['effect'], mean: number): number {
  const size = typeof effect === 'object' && effect !== null ? effect.relative * mean : effect;
  if (!(typeof size === 'number' && Number.isFinite(size) && size !== 0)) {
    throw new ConfigError('effect', 'a difference other than 0, or { relative }', effect);
  }
  return size;
}

/** @throws ConfigError where the effect leads out of what rates can be */
function rateVariances(
  rate: number,
  effect: number,
  noninferiority: boolean,
): NonNullable<Design['variances']> {
  const other = noninferiority ? rate : rate + effect;
  if (!(other > 0 && other < 1))
    throw new ConfigError('effect', `one that leaves a rate above 0 and below 1`, effect);
  const pooled = (rate + other) / 2;
  const of = (p: number) => p * (1 - p);
  return { none: of(pooled), baseline: of(rate), treatment: of(other) };
}

/** As R's power.t.test and power.prop.test, for arms of any sizes. */
function fixedPower(
  { shares, effect, alpha, perUnit, variances, variance }: Design,
  units: number,
  noninferiority: boolean,
): number {
  const [a, b] = [units * shares[0], units * shares[1]];
  const tail = alpha / 2;
  if (variances !== null) {
    const none = Math.sqrt(variances.none * perUnit * (1 / a + 1 / b));
    const some = Math.sqrt(perUnit * (variances.baseline / a + variances.treatment / b));
    const critical = -normalQuantile(tail) * (noninferiority ? some : none);
    return normalSurvival((critical - Math.abs(effect)) / some);
  }
  const df = a + b - 2;
  if (!(df > 0)) return 0;
  const standardError = Math.sqrt(variance * perUnit * (1 / a + 1 / b));
  return noncentralStudentSurvival(studentUpperQuantile(tail, df), df, Math.abs(effect) / standardError);
}

/**
 * The chance that the interval at the last look excludes 0, which is less than that of any look having done so: a
 * bound from below. Intervals are tightest where it is `power`.
 */
function sequentialPower(design: Design, power: number): (units: number) => number {
  const { shares, effect, alpha, perUnit, variances, variance } = design;
  const errorOf = (units: number) => {
    const [a, b] = [units * shares[0], units * shares[1]];
    const [old, now] = variances === null ? [variance, variance] : [variances.baseline, variances.treatment];
    return Math.sqrt(perUnit * (old / a + now / b));
  };
  // Of the two arms that are compared.
  const share = shares[0] + shares[1];
  const powerWith = (tuning: number) => (units: number) => {
    const n = units * share;
    const halfWidth = confidenceSequenceHalfWidth({ n, variance: n }, { alpha, tuning: tuning * share });
    return normalSurvival(halfWidth - Math.abs(effect) / errorOf(units));
  };
  const tuning = smallestUnits((units) => powerWith(units)(units), power) ?? UNITS_MAX;
  return powerWith(tuning);
}

/** The smallest number of units of all arms, a fraction, with that power; null where there is none. */
function smallestUnits(powerOf: (units: number) => number, power: number): number | null {
  let high = 4;
  while (!(powerOf(high) >= power)) {
    high *= 2;
    if (high > UNITS_MAX) return null;
  }
  let low = high / 2;
  if (high === 4 && powerOf(low) >= power) return low;
  for (let i = 0; i < 60 && high - low > 1e-6 * high; i++) {
    const middle = (low + high) / 2;
    if (powerOf(middle) >= power) high = middle;
    else low = middle;
  }
  return high;
}

function curveOf(powerOf: (units: number) => number, units: number): StudySize['curve'] {
  return Array.from({ length: CURVE_POINTS }, (_, i) => {
    const factor = CURVE_FROM + ((CURVE_TO - CURVE_FROM) * i) / (CURVE_POINTS - 1);
    const at = Math.max(4, Math.ceil(units * factor));
    return { units: at, power: powerOf(at) };
  });
}

function methodOf(
  isRate: boolean,
  sequential: boolean,
  noninferiority: boolean,
  designEffect: number,
): string {
  const test = sequential
    ? 'normal confidence sequence, at its last look'
    : isRate
      ? 'two-proportion z-test'
      : 'Student two-sample t-test';
  const aim = noninferiority ? 'non-inferiority by the ' : 'power of the ';
  return `${aim}${test}${designEffect === 1 ? '' : `, design effect ${Number(designEffect.toPrecision(3))}`}`;
}

function assumptionsOf(
  isRate: boolean,
  sequential: boolean,
  treatments: number,
  designEffect: number,
): string[] {
  return [
    'units independent of each other',
    isRate ? 'normal approximation' : 'equal variances, and means close to normal',
    ...(designEffect === 1 ? [] : ['as many events of every unit']),
    ...(sequential
      ? ['tuned to the units planned; the chance is a bound from below']
      : ['one look, at the end']),
    ...(treatments > 1 ? ['each treatment against the baseline, by Bonferroni'] : []),
  ];
}

function requireWithin(path: string, value: unknown, above: number, below: number): asserts value is number {
  if (!(typeof value === 'number' && value > above && value < below)) {
    const most = below === Number.POSITIVE_INFINITY ? ', finite' : ` and below ${below}`;
    throw new ConfigError(path, `a number above ${above}${most}`, value);
  }
}
