/**
 * Time-uniform boundaries by the method of mixtures: a sum S with intrinsic time V stays below bound(V) at
 * all times at once with probability 1 − alpha.
 *
 * Each mixture is a nonnegative supermartingale M(S, V) that starts at 1; by Ville's inequality it ever
 * reaches 1/alpha with probability alpha at most, so the boundary is where ln M = ln(1/alpha). `vOpt` is the
 * intrinsic time at which the boundary is to be tightest, for a test at level `alphaOpt`.
 *
 * Source: Howard, Ramdas, McAuliffe & Sekhon 2021, Annals of Statistics 49, 1055-1080 (arXiv 1810.08240).
 */

import { ConfigError } from '../errors.js';
import { incompleteBeta, logBeta } from './beta.js';
import { incompleteGamma, logGamma } from './gamma.js';
import { normalCdf } from './normal.js';
import type { Interval } from './options.js';
import { findRoot } from './root.js';
import { checkCount, checkOpenUnit, checkPositive, tooFewSamples } from './sample.js';

interface Tuning {
  /** Intrinsic time at which the boundary is tightest; above 0. */
  readonly vOpt: number;
  /** 0.05 by default. */
  readonly alphaOpt?: number;
}

export interface NormalMixtureTuning extends Tuning {
  /** Only upward deviations count; false by default. */
  readonly oneSided?: boolean;
}

/** ln M of the normal mixture at sum `s` and intrinsic time `v`, for sub-Gaussian increments. */
export function normalLogMixture(s: number, v: number, tuning: NormalMixtureTuning): number {
  return normalMixture(tuning)(s, v);
}

/** The boundary of the normal mixture; its two-sided form is closed (Howard et al., eq. 14). */
export function normalMixtureBound(v: number, alpha: number, tuning: NormalMixtureTuning): number {
  checkTime(v, alpha);
  if (tuning.oneSided === true) return boundOf(normalMixture(tuning), v, alpha, Number.POSITIVE_INFINITY);
  const rho = bestRho(tuning);
  return Math.sqrt((v + rho) * (Math.log1p(v / rho) - 2 * Math.log(alpha)));
}

function normalMixture(tuning: NormalMixtureTuning): LogMixture {
  if (tuning.oneSided === true) {
    const rho = bestRhoOneSided(tuning);
    return (s, v) =>
      0.5 * Math.log((4 * rho) / (v + rho)) +
      (s * s) / (2 * (v + rho)) +
      Math.log(normalCdf(s / Math.sqrt(v + rho)));
  }
  const rho = bestRho(tuning);
  return (s, v) => 0.5 * Math.log(rho / (v + rho)) + (s * s) / (2 * (v + rho));
}

/**
 * The one-sided boundary for sub-exponential increments with scale `c` > 0 (Howard et al., proposition 9):
 * above the normal one, to allow for a heavier tail.
 */
export function gammaExponentialMixtureBound(
  v: number,
  alpha: number,
  tuning: Tuning & { readonly c: number },
): number {
  checkTime(v, alpha);
  checkPositive(tuning.c, 'c');
  const square = tuning.c * tuning.c;
  const prior = bestRhoOneSided(tuning) / square;
  const logKernel = (shape: number, x: number) =>
    logGamma(shape) + Math.log(incompleteGamma(shape, x).lower) - shape * Math.log(x);
  const atStart = logKernel(prior, prior);
  const logMixture: LogMixture = (s, time) => {
    const mean = (tuning.c * s + time) / square;
    return logKernel(prior + time / square, mean + prior) + mean - atStart;
  };
  return boundOf(logMixture, v, alpha, Number.POSITIVE_INFINITY);
}

/**
 * The boundary for increments bounded in [−g, h] (Howard et al., proposition 7), two-sided unless told. A sum
 * cannot exceed v/g: where even that is no surprise, that is the bound.
 */
export function betaBinomialMixtureBound(
  v: number,
  alpha: number,
  tuning: NormalMixtureTuning & { readonly g: number; readonly h: number },
): number {
  checkTime(v, alpha);
  const { g, h, oneSided = false } = tuning;
  checkPositive(g, 'g');
  checkPositive(h, 'h');
  const rho = oneSided ? bestRhoOneSided(tuning) : bestRho(tuning);
  const r = Math.max(rho - g * h, 1e-3 * g * h);
  const width = g + h;
  const logBetaIntegral = (a: number, b: number) =>
    logBeta(a, b) + (oneSided ? Math.log(incompleteBeta(a, b, h / width, g / width).lower) : 0);
  const atStart = logBetaIntegral(r / (g * width), r / (h * width));
  const logMixture: LogMixture = (s, time) =>
    (time / (g * h)) * Math.log(width) -
    ((time + h * s) / (h * width)) * Math.log(g) -
    ((time - g * s) / (g * width)) * Math.log(h) +
    logBetaIntegral((r + time - g * s) / (g * width), (r + time + h * s) / (h * width)) -
    atStart;
  return boundOf(logMixture, v, alpha, v / g);
}

/**
 * ln M against the rate p, as a function of what was counted: convex in the successes, which may be a fraction.
 * @param p - between 0 and 1, both excluded
 */
export function rateLogMixture(
  p: number,
  { tOpt, alphaOpt = 0.05 }: { readonly tOpt: number; readonly alphaOpt?: number },
): (successes: number, trials: number) => number {
  const weight = Math.max(bestRho({ vOpt: tOpt, alphaOpt }) - 1, 1e-3);
  const q = 1 - p;
  const atStart = logBeta(q * weight, p * weight);
  const [logP, logQ] = [Math.log(p), Math.log1p(-p)];
  return (successes, trials) =>
    logBeta(q * weight + trials - successes, p * weight + successes) -
    atStart -
    successes * logP -
    (trials - successes) * logQ;
}

/**
 * A confidence sequence for a proportion: an interval that covers at every number of trials at once,
 * with no minimum. `tOpt` is the number of trials at which it is to be tightest.
 *
 * For each p the mixture is a beta-binomial likelihood with a prior centred on p over the likelihood of p:
 * the two-sided beta-binomial mixture with g = p and h = 1 − p, written out.
 */
export function bernoulliConfidenceInterval(
  successes: number,
  trials: number,
  alpha: number,
  { tOpt, alphaOpt = 0.05 }: { readonly tOpt: number; readonly alphaOpt?: number },
): Interval {
  checkCount(trials, 'trials');
  checkCount(successes, 'successes');
  if (trials === 0) throw tooFewSamples('trials', 1, 0);
  if (successes > trials) throw new ConfigError('successes', `at most trials = ${trials}`, successes);
  checkOpenUnit(alpha, 'alpha');
  checkPositive(tOpt, 'tOpt');
  const excess = (p: number) => {
    // At its ends p is either impossible or, with nothing seen against it, as likely as any.
    if (p <= 0) return successes > 0 ? 1 : -1;
    if (p >= 1) return successes < trials ? 1 : -1;
    return rateLogMixture(p, { tOpt, alphaOpt })(successes, trials) + Math.log(alpha);
  };
  const centre = successes / trials;
  return [
    successes === 0 ? 0 : findRoot(excess, 0, centre),
    successes === trials ? 1 : findRoot(excess, centre, 1),
  ];
}

type LogMixture = (s: number, v: number) => number;

/** The s >= 0 at which ln M reaches ln(1/alpha), or `limit` if it does not below. */
function boundOf(logMixture: LogMixture, v: number, alpha: number, limit: number): number {
  const excess = (s: number) => logMixture(s, v) + Math.log(alpha);
  let high = Math.min(v, limit);
  while (excess(high) < 0) {
    if (high === limit) return limit;
    high = Math.min(2 * high, limit);
  }
  return findRoot(excess, 0, high);
}

/** The normal prior's precision that makes the boundary tightest at vOpt (Howard et al., proposition 3). */
function bestRho({ vOpt, alphaOpt = 0.05 }: Tuning): number {
  checkPositive(vOpt, 'vOpt');
  checkOpenUnit(alphaOpt, 'alphaOpt');
  return rhoFor(vOpt, alphaOpt);
}

function bestRhoOneSided({ vOpt, alphaOpt = 0.05 }: Tuning): number {
  checkPositive(vOpt, 'vOpt');
  if (!(alphaOpt > 0 && alphaOpt < 0.5)) {
    throw new ConfigError('alphaOpt', 'a number between 0 and ½ for a one-sided boundary', alphaOpt);
  }
  return rhoFor(vOpt, 2 * alphaOpt);
}

function rhoFor(v: number, alpha: number): number {
  const twice = -2 * Math.log(alpha);
  return v / (twice + Math.log1p(twice));
}

function checkTime(v: number, alpha: number): void {
  checkPositive(v, 'v');
  checkOpenUnit(alpha, 'alpha');
}
