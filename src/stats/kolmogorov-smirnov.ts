/** The two-sample Kolmogorov-Smirnov test. */

import { ConfigError } from '../errors.js';
import { kolmogorovSurvival } from './distributions.js';
import { type Options, type Result, resolveOptions } from './options.js';
import { type Alternative, checkNonEmpty, type Sample } from './sample.js';

export interface KolmogorovSmirnovOptions extends Options {
  /** 'auto' is exact while n₁n₂ is at most a million. */
  readonly method?: 'auto' | 'exact' | 'asymptotic' | undefined;
}

export interface KolmogorovSmirnovResult extends Result {
  /**
   * D, the largest distance between the empirical distribution functions. One-sided, the largest excess:
   * of x's over y's for 'less' (x tends below y), of y's over x's for 'greater'.
   */
  readonly statistic: number;
  readonly pValue: number;
  readonly alternative: Alternative;
}

const AUTO_EXACT_CELLS = 1e6;
/** Cells of the lattice that an exact test may visit, about a second. */
const EXACT_CELLS_LIMIT = 2e8;

/**
 * Tests that two samples have one distribution, against any difference. The exact p-value is conditional
 * on the pooled values, so it holds with ties as well; the asymptotic one is for continuous data and is
 * conservative with ties.
 *
 * Source: Hodges 1958, Arkiv för Matematik 3, 469-486; with ties Schröer & Trenkler 1995, Computational
 * Statistics & Data Analysis 20, 185-202.
 */
export function kolmogorovSmirnov(
  x: Sample,
  y: Sample,
  options: KolmogorovSmirnovOptions = {},
): KolmogorovSmirnovResult {
  const { alternative } = resolveOptions(options);
  const { method = 'auto' } = options;
  if (method !== 'auto' && method !== 'exact' && method !== 'asymptotic') {
    throw new ConfigError('method', "'auto', 'exact' or 'asymptotic'", method);
  }
  checkNonEmpty(x, 'x');
  checkNonEmpty(y, 'y');
  const cells = x.length * y.length;
  if (method === 'exact' && cells > EXACT_CELLS_LIMIT) {
    throw new ConfigError(
      'method',
      `'asymptotic' for samples as large as ${x.length} and ${y.length}`,
      method,
    );
  }
  const exact = method === 'exact' || (method === 'auto' && cells <= AUTO_EXACT_CELLS);
  const steps = mergedSteps(x, y);
  const distance = largestDistance(steps, alternative);
  return {
    method: `two-sample Kolmogorov-Smirnov test, ${exact ? 'exact' : 'asymptotic'}`,
    assumptions: ['independent observations'],
    n: [x.length, y.length],
    statistic: distance / cells,
    pValue: exact
      ? exactPValue(steps, distance, alternative)
      : asymptoticPValue(distance / cells, steps, alternative),
    alternative,
  };
}

/**
 * The samples as a lattice path: after k pooled values, `fromX[k]` are from x. `isStep[k]` says whether the
 * next pooled value differs, so that the distribution functions are comparable there.
 */
interface Steps {
  readonly m: number;
  readonly n: number;
  readonly fromX: Uint32Array;
  readonly isStep: Uint8Array;
}

function mergedSteps(x: Sample, y: Sample): Steps {
  const a = Float64Array.from(x).sort();
  const b = Float64Array.from(y).sort();
  const total = a.length + b.length;
  const fromX = new Uint32Array(total + 1);
  const isStep = new Uint8Array(total + 1);
  isStep[total] = 1;
  let i = 0;
  let j = 0;
  let previous = Number.NaN;
  while (i + j < total) {
    const takeX = j === b.length || (i < a.length && a[i]! <= b[j]!);
    const value = takeX ? a[i]! : b[j]!;
    isStep[i + j] = value === previous ? 0 : 1;
    previous = value;
    if (takeX) i++;
    else j++;
    fromX[i + j] = i;
  }
  return { m: a.length, n: b.length, fromX, isStep };
}

/** i·n − j·m at a lattice point: the difference of the distribution functions times mn, a whole number. */
function excess(i: number, j: number, m: number, n: number, alternative: Alternative): number {
  const difference = i * n - j * m;
  if (alternative === 'less') return difference;
  return alternative === 'greater' ? -difference : Math.abs(difference);
}

function largestDistance({ m, n, fromX, isStep }: Steps, alternative: Alternative): number {
  let largest = 0;
  for (let k = 0; k <= m + n; k++) {
    if (isStep[k] === 0) continue;
    const i = fromX[k]!;
    largest = Math.max(largest, excess(i, k - i, m, n, alternative));
  }
  return largest;
}

/**
 * The share of lattice paths from (0, 0) to (m, n) that reach the observed distance somewhere. A path to
 * (i, j) came from (i − 1, j) with probability i/(i + j): positive terms only, so tiny p-values keep
 * their digits.
 */
function exactPValue({ m, n, isStep }: Steps, distance: number, alternative: Alternative): number {
  const reached = new Float64Array(n + 1);
  for (let i = 0; i <= m; i++) {
    for (let j = 0; j <= n; j++) {
      if (isStep[i + j] === 1 && excess(i, j, m, n, alternative) >= distance) reached[j] = 1;
      else if (j === 0) reached[j] = i === 0 ? 0 : reached[j]!;
      else reached[j] = (i * reached[j]! + j * reached[j - 1]!) / (i + j);
    }
  }
  return Math.min(1, reached[n]!);
}

function asymptoticPValue(d: number, { m, n }: Steps, alternative: Alternative): number {
  const scaled = d * Math.sqrt((m / (m + n)) * n);
  return alternative === 'two-sided' ? kolmogorovSurvival(scaled) : Math.exp(-2 * scaled * scaled);
}
