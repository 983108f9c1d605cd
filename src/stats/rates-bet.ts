/**
 * The exact always-valid comparison of two proportions: a bet against every pair of probabilities that the null allows.
 *
 * Against one pair (p, p + d), the bet is on pairs around it: the log-odds of a lower by c_a·δ, those of b higher by
 * c_b·δ, with δ drawn from a normal distribution on a grid; and, with a tenth of the stake, on independent Beta(½, ½).
 * Each is a likelihood ratio against that pair, mixed with weights that are fixed before the data: a nonnegative
 * martingale that starts at 1 if the pair is true. The null is rejected once every pair it allows is, so the e-value is
 * the least over them, and Ville's inequality holds whatever the pair is.
 *
 * The first part finds a difference as soon as the asymptotic sequence does; with c_a and c_b as the shares of the other
 * arm it says the same of all p near the data. The second rules out the p that are not.
 */
import { logBeta } from './beta.js';
import type { Interval } from './options.js';
import type { Proportion } from './proportions.js';
import { findRoot } from './root.js';

/** Of the stake, on pairs around the null. */
const AROUND = 0.9;
/** Deviations of the normal distribution, in steps of a fifth of it. */
const GRID: readonly { readonly z: number; readonly logWeight: number }[] = gridOf(20, 0.2);
/** How far from the likeliest p the least e-value is looked for, in standard errors; then finer around it. */
const REACH_ERRORS = 6;
const REFINEMENTS = 12;
const GOLDEN = (Math.sqrt(5) - 1) / 2;

function gridOf(steps: number, width: number) {
  const weights = Array.from({ length: 2 * steps + 1 }, (_, i) => {
    const z = (i - steps) * width;
    return { z, weight: Math.exp((-z * z) / 2) };
  });
  const total = weights.reduce((sum, { weight }) => sum + weight, 0);
  return weights.map(({ z, weight }) => ({ z, logWeight: Math.log(weight / total) }));
}

export interface RatesBet {
  /** Share of the trials that was planned for a, between 0 and 1. */
  readonly shareOfA: number;
  /** In trials of both arms: how far apart the pairs are that are bet on. */
  readonly information: number;
}

/** ln of the e-value against p(b) − p(a) = difference. */
export function logEvidence(a: Proportion, b: Proportion, difference: number, bet: RatesBet): number {
  const logFree = logMarginal(a) + logMarginal(b);
  const low = Math.max(0, -difference);
  const high = Math.min(1, 1 - difference);
  const at = (p: number) => againstPair(a, b, p, p + difference, logFree, bet);
  const total = a.n + b.n;
  const likeliest = Math.min(high, Math.max(low, (a.successes + b.successes - difference * b.n) / total));
  const error = Math.sqrt(Math.max(likeliest * (1 - likeliest), 1 / total) / total);
  let least = Math.min(at(low), at(high), at(likeliest));
  let where = likeliest;
  for (let k = -REACH_ERRORS; k <= REACH_ERRORS; k++) {
    const p = likeliest + k * error;
    if (p <= low || p >= high) continue;
    const value = at(p);
    if (value < least) [least, where] = [value, p];
  }
  return Math.min(least, leastWithin(at, Math.max(low, where - error), Math.min(high, where + error)));
}

/** Of a function with one valley, by golden sections. */
function leastWithin(at: (p: number) => number, low: number, high: number): number {
  let [from, to] = [low, high];
  let [left, right] = [to - GOLDEN * (to - from), from + GOLDEN * (to - from)];
  let [atLeft, atRight] = [at(left), at(right)];
  for (let i = 0; i < REFINEMENTS; i++) {
    if (atLeft < atRight) {
      [to, right, atRight] = [right, left, atLeft];
      left = to - GOLDEN * (to - from);
      atLeft = at(left);
    } else {
      [from, left, atLeft] = [left, right, atRight];
      right = from + GOLDEN * (to - from);
      atRight = at(right);
    }
  }
  return Math.min(atLeft, atRight);
}

function logMarginal({ successes, n }: Proportion): number {
  return logBeta(successes + 0.5, n - successes + 0.5) - logBeta(0.5, 0.5);
}

function againstPair(
  a: Proportion,
  b: Proportion,
  pa: number,
  pb: number,
  logFree: number,
  { shareOfA, information }: RatesBet,
): number {
  const free = Math.log(1 - AROUND) + logFree - logLikelihood(a, pa) - logLikelihood(b, pb);
  if (!(Math.min(pa, pb) > 0 && Math.max(pa, pb) < 1)) return free;
  const shareOfB = 1 - shareOfA;
  const variance = shareOfA * pa * (1 - pa) + shareOfB * pb * (1 - pb);
  const spread = Math.sqrt(information / (shareOfA * shareOfB * variance));
  const [oddsA, oddsB] = [Math.log(pa / (1 - pa)), Math.log(pb / (1 - pb))];
  const base = logLikelihoodAt(a, oddsA) + logLikelihoodAt(b, oddsB);
  let sum = 0;
  let largest = Number.NEGATIVE_INFINITY;
  for (const { z, logWeight } of GRID) {
    const delta = spread * z;
    const term =
      logWeight +
      logLikelihoodAt(a, oddsA - shareOfB * delta) +
      logLikelihoodAt(b, oddsB + shareOfA * delta) -
      base;
    if (term <= largest) sum += Math.exp(term - largest);
    else {
      sum = sum * Math.exp(largest - term) + 1;
      largest = term;
    }
  }
  return logSum(Math.log(AROUND) + largest + Math.log(sum), free);
}

/** Of the probability itself: 0 and 1 are allowed. */
function logLikelihood({ successes, n }: Proportion, p: number): number {
  const failures = n - successes;
  return (
    (successes === 0 ? 0 : successes * Math.log(Math.max(0, p))) +
    (failures === 0 ? 0 : failures * Math.log(Math.max(0, 1 - p)))
  );
}

function logLikelihoodAt({ successes, n }: Proportion, logOdds: number): number {
  // ln(1 + e^x), without overflow.
  const softplus = Math.max(0, logOdds) + Math.log1p(Math.exp(-Math.abs(logOdds)));
  return successes * logOdds - n * softplus;
}

function logSum(x: number, y: number): number {
  const larger = Math.max(x, y);
  return larger === Number.POSITIVE_INFINITY
    ? larger
    : larger + Math.log(Math.exp(x - larger) + Math.exp(y - larger));
}

/** The differences that the bet does not reject at this level. */
export function unrejected(a: Proportion, b: Proportion, alpha: number, bet: RatesBet): Interval {
  const estimate = b.successes / b.n - a.successes / a.n;
  const excess = (difference: number) => logEvidence(a, b, difference, bet) + Math.log(alpha);
  return [
    excess(-1) <= 0 ? -1 : findRoot(excess, -1, estimate),
    excess(1) <= 0 ? 1 : findRoot(excess, estimate, 1),
  ];
}
