/** Tests that look at ranks only: Mann-Whitney for two samples, Kruskal-Wallis for several. */

import { ConfigError } from '../errors.js';
import { chiSquareSurvival } from './distributions.js';
import { normalCdf } from './normal.js';
import { type Options, type Result, resolveOptions } from './options.js';
import { PooledRanks } from './ranks.js';
import { type Alternative, checkNonEmpty, type Sample } from './sample.js';

export interface MannWhitneyOptions extends Options {
  /** 'auto' is exact without ties and with fewer than 50 values a side, as in R. */
  readonly method?: 'auto' | 'exact' | 'asymptotic' | undefined;
  /** Moves U by ½ towards its mean in the asymptotic test; true by default. */
  readonly continuity?: boolean | undefined;
}

export interface MannWhitneyResult extends Result {
  /** U of x: the pairs in which x exceeds y, ties counting half. */
  readonly statistic: number;
  /** The standardized statistic; null for an exact test. */
  readonly z: number | null;
  readonly pValue: number | null;
  readonly alternative: Alternative;
  /** U/(n₁n₂): the probability that a value of x exceeds one of y, ties counting half. */
  readonly estimate: number;
}

/** Below this many values a side the exact distribution is the default. */
const EXACT_SIZE_LIMIT = 50;
/** Additions that an exact test may take, about a second. */
const EXACT_WORK_LIMIT = 5e8;

/**
 * Mann & Whitney's U test (Wilcoxon's rank-sum test) that neither sample tends to larger values.
 *
 * Exact: the distribution of U over all assignments of ranks, for data without ties. Asymptotic: normal,
 * with the variance corrected for ties. Undefined when all values are equal.
 *
 * Source: Mann & Whitney 1947, Annals of Mathematical Statistics 18, 50-60.
 */
export function mannWhitneyU(x: Sample, y: Sample, options: MannWhitneyOptions = {}): MannWhitneyResult {
  const { alternative } = resolveOptions(options);
  const { method = 'auto', continuity = true } = options;
  if (method !== 'auto' && method !== 'exact' && method !== 'asymptotic') {
    throw new ConfigError('method', "'auto', 'exact' or 'asymptotic'", method);
  }
  checkNonEmpty(x, 'x');
  checkNonEmpty(y, 'y');
  const [ascendingX, ascendingY] = [x, y].map((sample) => Float64Array.from(sample).sort());
  return mannWhitneyOfSorted(ascendingX!, ascendingY!, { alternative, method, continuity });
}

/** The same of ascending samples, neither empty nor with a value that is not finite; arguments are not checked. */
export function mannWhitneyOfSorted(
  x: Sample,
  y: Sample,
  { alternative = 'two-sided', method = 'auto', continuity = true }: MannWhitneyOptions = {},
): MannWhitneyResult {
  const { statistic, tieSum, allTied } = mergedRanks(x, y);
  const exact =
    method === 'exact' ||
    (method === 'auto' && tieSum === 0 && Math.max(x.length, y.length) < EXACT_SIZE_LIMIT);
  const common = {
    assumptions: ['independent observations', 'under the null, both samples have one distribution'],
    n: [x.length, y.length],
    statistic,
    alternative,
    estimate: statistic / (x.length * y.length),
  };
  if (exact) {
    const labelled = { ...common, method: 'Mann-Whitney U test, exact', z: null };
    if (tieSum > 0) {
      return { ...labelled, pValue: null, reason: 'the exact distribution of U is for data without ties' };
    }
    return { ...labelled, pValue: exactPValue(statistic, x.length, y.length, alternative) };
  }
  const labelled = {
    ...common,
    method: `Mann-Whitney U test, normal approximation${continuity ? ' with continuity correction' : ''}`,
  };
  if (allTied) {
    return { ...labelled, z: null, pValue: null, reason: 'all values are equal: U has no variance' };
  }
  const total = x.length + y.length;
  const spread = (x.length * y.length * (total + 1 - tieSum / (total * (total - 1)))) / 12;
  const shift = continuity ? 0.5 : 0;
  const deviation = statistic - (x.length * y.length) / 2;
  if (alternative === 'two-sided') {
    const z = (Math.sign(deviation) * Math.max(0, Math.abs(deviation) - shift)) / Math.sqrt(spread);
    return { ...labelled, z, pValue: Math.min(1, 2 * normalCdf(-Math.abs(z))) };
  }
  const z = (deviation + (alternative === 'less' ? shift : -shift)) / Math.sqrt(spread);
  return { ...labelled, z, pValue: normalCdf(alternative === 'less' ? z : -z) };
}

/** U of x, and Σ (t³ − t) over groups of t equal values, by merging two ascending samples. */
function mergedRanks(x: Sample, y: Sample): { statistic: number; tieSum: number; allTied: boolean } {
  const [m, n] = [x.length, y.length];
  let statistic = 0;
  let tieSum = 0;
  let allTied = false;
  for (let i = 0, j = 0; i < m || j < n; ) {
    const value = j === n || (i < m && x[i]! <= y[j]!) ? x[i]! : y[j]!;
    const xBelow = i;
    const yBelow = j;
    while (i < m && x[i] === value) i++;
    while (j < n && y[j] === value) j++;
    // Whole numbers and halves: exact.
    statistic += (i - xBelow) * (yBelow + (j - yBelow) / 2);
    const tied = i - xBelow + (j - yBelow);
    tieSum += tied * tied * tied - tied;
    allTied = tied === m + n;
  }
  return { statistic, tieSum, allTied };
}

function exactPValue(u: number, m: number, n: number, alternative: Alternative): number {
  const mirrored = m * n - u;
  const near = Math.min(u, mirrored);
  if (m * n * (near + 1) > EXACT_WORK_LIMIT) {
    throw new ConfigError('method', `'asymptotic' for samples as large as ${m} and ${n}`, 'exact');
  }
  // U is symmetric around mn/2: one lower tail gives both sides.
  const atMost = cumulativeU(near, m, n);
  if (alternative === 'two-sided') return Math.min(1, 2 * atMost[near]!);
  const towards = alternative === 'less' ? u : mirrored;
  if (towards === near) return atMost[near]!;
  return near === 0 ? 1 : 1 - atMost[near - 1]!;
}

/**
 * P(U <= k) for k = 0…limit. The largest of the pooled values is from the first sample with probability
 * i/(i + j), and then exceeds all j of the second; so all terms are positive and no digits cancel.
 */
function cumulativeU(limit: number, m: number, n: number): Float64Array {
  const outer = Math.max(m, n);
  const inner = Math.min(m, n);
  const byInner = Array.from({ length: inner + 1 }, () => {
    const certainlyZero = new Float64Array(limit + 1);
    certainlyZero[0] = 1;
    return certainlyZero;
  });
  for (let i = 1; i <= outer; i++) {
    for (let j = 1; j <= inner; j++) {
      const shorter = byInner[j - 1]!;
      const current = byInner[j]!;
      const fromOuter = i / (i + j);
      const fromInner = j / (i + j);
      for (let u = limit; u >= j; u--) current[u] = fromOuter * current[u - j]! + fromInner * shorter[u]!;
      for (let u = Math.min(limit, j - 1); u >= 0; u--) current[u] = fromInner * shorter[u]!;
    }
  }
  const cumulative = byInner[inner]!;
  for (let u = 1; u <= limit; u++) cumulative[u]! += cumulative[u - 1]!;
  return cumulative;
}

export interface KruskalWallisResult extends Result {
  /** H, corrected for ties. */
  readonly statistic: number | null;
  readonly df: number;
  readonly pValue: number | null;
  /** ε² = H/(N − 1): the share of the rank variance that lies between groups. */
  readonly epsilonSquared: number | null;
}

/**
 * Kruskal & Wallis's test that several samples have one distribution, by the chi-square limit of H.
 * Undefined when all values are equal.
 *
 * Source: Kruskal & Wallis 1952, Journal of the American Statistical Association 47, 583-621.
 */
export function kruskalWallis(groups: readonly Sample[]): KruskalWallisResult {
  checkGroups(groups);
  const ranks = new PooledRanks(groups);
  const total = ranks.sorted.length;
  const common = {
    method: 'Kruskal-Wallis rank sum test',
    assumptions: [
      'independent observations',
      'under the null, all groups have one distribution',
      'at least five values per group for the chi-square limit',
    ],
    n: groups.map((group) => group.length),
    df: groups.length - 1,
  };
  if (ranks.allTied) {
    const reason = 'all values are equal: ranks have no variance';
    return { ...common, statistic: null, pValue: null, epsilonSquared: null, reason };
  }
  let between = 0;
  for (const group of groups) {
    const meanDeviation = ranks.rankSum(group) / group.length - (total + 1) / 2;
    between += group.length * meanDeviation * meanDeviation;
  }
  const tieCorrection = 1 - ranks.tieSum / (total * total * total - total);
  const statistic = (12 * between) / (total * (total + 1)) / tieCorrection;
  return {
    ...common,
    statistic,
    pValue: chiSquareSurvival(statistic, common.df),
    epsilonSquared: statistic / (total - 1),
  };
}

/** Throws unless there are two groups or more, each a non-empty sample. */
export function checkGroups(groups: readonly Sample[]): void {
  if (!(Array.isArray(groups) && groups.length >= 2)) {
    throw new ConfigError('groups', 'an array of two samples or more', groups);
  }
  for (const [i, group] of groups.entries()) checkNonEmpty(group, `groups[${i}]`);
}
