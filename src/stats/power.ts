/** Sample sizes, detectable effects and power of two-group comparisons with groups of equal size. */

import { ConfigError } from '../errors.js';
import { noncentralStudentSurvival, studentUpperQuantile } from './distributions.js';
import { normalQuantile, normalSurvival } from './normal.js';
import { checkAlternative } from './options.js';
import { findRoot } from './root.js';
import { type Alternative, checkOpenUnit, checkPositive } from './sample.js';

interface PowerResult {
  readonly method: string;
  readonly assumptions: readonly string[];
  /** Observations per group; a fraction where it was solved for. */
  readonly n: number | null;
  /** Whole observations per group that suffice. */
  readonly nCeiling: number | null;
  readonly alpha: number;
  readonly power: number | null;
  readonly alternative: Alternative;
  /** Why the quantity asked for is null; absent when it is not. */
  readonly reason?: string;
}

export interface TTestPowerOptions {
  /** Per group, 2 or more. */
  readonly n?: number | undefined;
  /** Difference of means to detect, in the direction of the alternative; its sign is ignored. */
  readonly delta?: number | undefined;
  /** Of either group; 1 by default, which makes delta an effect size. */
  readonly stdDev?: number | undefined;
  /** 0.05 by default. */
  readonly alpha?: number | undefined;
  readonly power?: number | undefined;
  readonly alternative?: Alternative | undefined;
}

export interface TTestPowerResult extends PowerResult {
  readonly delta: number | null;
  readonly stdDev: number;
}

const N_MIN = 2;
/** Beyond it no experiment goes, and n loses its last unit. */
const N_MAX = 2 ** 53;

/**
 * Solves Student's two-sample t-test for the one of n, delta and power that is left out. As R's
 * power.t.test does by default, a two-sided test counts rejections in the right direction only.
 */
export function tTestPower(options: TTestPowerOptions): TTestPowerResult {
  const { n, delta, stdDev = 1, alpha = 0.05, power, alternative = 'two-sided' } = options;
  checkDesign({ n, delta, power }, alpha, alternative);
  checkPositive(stdDev, 'stdDev');
  if (n !== undefined && !(Number.isFinite(n) && n >= N_MIN)) {
    throw new ConfigError('n', `a number, ${N_MIN} or more`, n);
  }
  if (delta !== undefined && !Number.isFinite(delta))
    throw new ConfigError('delta', 'a finite number', delta);
  const tail = alternative === 'two-sided' ? alpha / 2 : alpha;
  const powerOf = (size: number, difference: number) => {
    const df = 2 * (size - 1);
    const critical = studentUpperQuantile(tail, df);
    const shift = Math.sqrt(size / 2) * (Math.abs(difference) / stdDev);
    return critical >= 0
      ? noncentralStudentSurvival(critical, df, shift)
      : 1 - noncentralStudentSurvival(-critical, df, -shift);
  };
  const common = {
    method: 'power of the Student two-sample t-test',
    assumptions: ['independent observations', 'normal data', 'equal variances', 'groups of equal size'],
    stdDev,
    alpha,
    alternative,
  };
  if (power === undefined) {
    return { ...common, n: n!, nCeiling: Math.ceil(n!), delta: delta!, power: powerOf(n!, delta!) };
  }
  if (delta === undefined) {
    const solved = solveIncreasing(
      (difference) => powerOf(n!, difference) - power,
      0,
      stdDev,
      Number.MAX_VALUE,
    );
    return { ...common, n: n!, nCeiling: Math.ceil(n!), delta: solved, power };
  }
  const solved = solveIncreasing((size) => powerOf(size, delta) - power, N_MIN, N_MIN, N_MAX);
  return withSolvedN({ ...common, delta, power }, solved);
}

export interface ProportionPowerOptions {
  /** Per group. */
  readonly n?: number | undefined;
  readonly p1: number;
  readonly p2?: number | undefined;
  /** 0.05 by default. */
  readonly alpha?: number | undefined;
  readonly power?: number | undefined;
  readonly alternative?: Alternative | undefined;
}

export interface ProportionPowerResult extends PowerResult {
  readonly p1: number;
  readonly p2: number | null;
}

/**
 * Solves the two-proportion z-test for the one of n, p2 and power that is left out. p2 is looked for above
 * p1, for the alternative 'greater' (p1 above p2) below it. As in R's power.prop.test, a two-sided test
 * counts rejections in the right direction only.
 */
export function proportionPower(options: ProportionPowerOptions): ProportionPowerResult {
  const { n, p1, p2, alpha = 0.05, power, alternative = 'two-sided' } = options;
  checkDesign({ n, p2, power }, alpha, alternative);
  checkOpenUnit(p1, 'p1');
  if (n !== undefined) checkPositive(n, 'n');
  if (p2 !== undefined) checkOpenUnit(p2, 'p2');
  const z = -normalQuantile(alternative === 'two-sided' ? alpha / 2 : alpha);
  const underNull = (p: number) => Math.sqrt((p1 + p) * (1 - (p1 + p) / 2));
  const underAlternative = (p: number) => Math.sqrt(p1 * (1 - p1) + p * (1 - p));
  const powerOf = (size: number, p: number) =>
    normalSurvival((z * underNull(p) - Math.sqrt(size) * Math.abs(p1 - p)) / underAlternative(p));
  const common = {
    method: 'power of the two-proportion z-test',
    assumptions: ['independent trials', 'normal approximation', 'groups of equal size'],
    p1,
    alpha,
    alternative,
  };
  if (power === undefined) {
    return { ...common, n: n!, nCeiling: Math.ceil(n!), p2: p2!, power: powerOf(n!, p2!) };
  }
  if (p2 === undefined) {
    const end = alternative === 'greater' ? 0 : 1;
    const excess = (p: number) => powerOf(n!, p) - power;
    const known = { ...common, n: n!, nCeiling: Math.ceil(n!), power };
    if (excess(end) < 0) {
      return { ...known, p2: null, reason: `no p2 up to ${end} is detected with this power at this n` };
    }
    return { ...known, p2: excess(p1) >= 0 ? p1 : findRoot(excess, p1, end) };
  }
  const quantiles = z * underNull(p2) + normalQuantile(power) * underAlternative(p2);
  const solved = p1 === p2 ? null : (Math.max(0, quantiles) / (p1 - p2)) ** 2;
  return withSolvedN({ ...common, p2, power }, solved);
}

/** The root of an increasing function at or above `start`: `start` if it is positive there already. */
function solveIncreasing(
  excess: (x: number) => number,
  start: number,
  stride: number,
  limit: number,
): number | null {
  if (excess(start) >= 0) return start;
  let low = start;
  let high = start + stride;
  while (excess(high) < 0) {
    if (high > limit / 2) return null;
    low = high;
    high *= 2;
  }
  return findRoot(excess, low, high);
}

function withSolvedN<T extends object>(
  known: T,
  n: number | null,
): T & Pick<PowerResult, 'n' | 'nCeiling' | 'reason'> {
  if (n === null || n > N_MAX) {
    return { ...known, n: null, nCeiling: null, reason: 'no sample size detects a difference this small' };
  }
  return { ...known, n, nCeiling: Math.ceil(n) };
}

function checkDesign(
  quantities: Record<string, number | undefined>,
  alpha: number,
  alternative: Alternative,
): void {
  const names = Object.keys(quantities);
  const missing = names.filter((name) => quantities[name] === undefined);
  if (missing.length !== 1) {
    throw new ConfigError('options', `exactly one of ${names.join(', ')} left out`, missing.join(', '));
  }
  checkOpenUnit(alpha, 'alpha');
  if (quantities.power !== undefined) checkOpenUnit(quantities.power, 'power');
  checkAlternative(alternative);
}

/**
 * The true difference that a test at level alpha, with this standard error of the difference, finds with the stated
 * power: what an experiment could see, which does not depend on what it saw.
 */
export function detectableEffect({
  standardError,
  alpha = 0.05,
  power = 0.8,
}: {
  readonly standardError: number;
  readonly alpha?: number;
  readonly power?: number;
}): number {
  checkPositive(standardError, 'standardError');
  checkOpenUnit(alpha, 'alpha');
  checkOpenUnit(power, 'power');
  return standardError * (normalQuantile(power) - normalQuantile(alpha / 2));
}
