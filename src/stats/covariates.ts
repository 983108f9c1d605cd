/** Differences of means with what was known before the treatment taken out of them: CUPED, and its always-valid kin. */

import { ConfigError } from '../errors.js';
import { type Interval, type Options, type Result, resolveOptions } from './options.js';
import { checkPositive, checkSample, type Sample, tooFewSamples } from './sample.js';
import { studentResult, type TTestResult } from './t-tests.js';

/** What a linear model needs of one arm: plain data. The sums of two threads, files or machines add up. */
export interface CovariateSums {
  readonly n: number;
  /** Of the outcome first, then of each covariate. */
  readonly means: readonly number[];
  /** Sums of products of deviations, row by row: (1 + covariates)² numbers. */
  readonly products: readonly number[];
}

/** Collects `CovariateSums`: of an outcome and of covariates that were known before the treatment. */
export class CovariateMoments {
  #n = 0;
  readonly #means: Float64Array;
  readonly #products: Float64Array;
  readonly #deltas: Float64Array;

  /** @param covariates - how many, 0 or more */
  constructor(covariates: number) {
    const size = covariates + 1;
    this.#means = new Float64Array(size);
    this.#products = new Float64Array(size * size);
    this.#deltas = new Float64Array(size);
  }

  /** `values`: the outcome first, then the covariates; finite. */
  push(values: ArrayLike<number>): void {
    const n = ++this.#n;
    const [means, deltas] = [this.#means, this.#deltas];
    for (let i = 0; i < means.length; i++) deltas[i] = values[i] - means[i];
    this.#addProducts((n - 1) / n);
    for (let i = 0; i < means.length; i++) means[i] += deltas[i] / n;
  }

  /** Throws ConfigError unless both have as many covariates. */
  merge(other: CovariateSums): void {
    if (other.means.length !== this.#means.length) {
      throw new ConfigError('other.means', `${this.#means.length} means`, other.means.length);
    }
    if (other.n === 0) return;
    const n = this.#n + other.n;
    for (let i = 0; i < this.#means.length; i++) this.#deltas[i] = other.means[i] - this.#means[i];
    this.#addProducts((this.#n * other.n) / n);
    for (let i = 0; i < this.#products.length; i++) this.#products[i] += other.products[i];
    for (let i = 0; i < this.#means.length; i++) this.#means[i] += (this.#deltas[i] * other.n) / n;
    this.#n = n;
  }

  result(): CovariateSums {
    return { n: this.#n, means: [...this.#means], products: [...this.#products] };
  }

  #addProducts(weight: number): void {
    const deltas = this.#deltas;
    const size = deltas.length;
    for (let i = 0; i < size; i++) {
      for (let j = 0; j < size; j++) this.#products[i * size + j] += deltas[i] * deltas[j] * weight;
    }
  }
}

/** An arm's outcomes with its covariates beside them, or what they add up to. */
export type CovariateInput = { readonly of: Sample; readonly covariates: readonly Sample[] } | CovariateSums;

export interface CupedResult extends TTestResult {
  /** What is taken off the outcome for each unit of a covariate; 0 for one that varies with nothing of its own. */
  readonly theta: readonly number[];
  /** Means of both arms, at the means that the covariates have in both together. */
  readonly adjustedMeans: readonly [x: number, y: number];
  /** Share of the variance within the arms that the covariates explain, 0 to 1. */
  readonly explained: number;
}

/**
 * The test of mean(x) = mean(y) after what the covariates explain was taken out (CUPED): Welch's, of the outcome less
 * θ × covariate, with θ pooled within the arms. The covariates must have been known before the treatment: one that the
 * treatment moves takes part of the effect away. Without covariates it is Welch's test.
 *
 * The standard error allows for θ being estimated; each covariate takes a degree of freedom.
 *
 * Source: Deng, Xu, Kohavi & Walker 2013, WSDM, 123-132; as regression (ANCOVA): Lin 2013, Annals of Applied Statistics 7.
 */
export function cuped(x: CovariateInput, y: CovariateInput, options?: Options): CupedResult {
  const resolved = resolveOptions(options);
  const model = fitModel(sumsOf(x, 'x'), sumsOf(y, 'y'));
  const { estimate, theta, adjustedMeans, explained, reason } = model;
  const common = {
    method: 'Welch two-sample t-test of outcomes adjusted by covariates (CUPED)',
    assumptions: [
      'independent observations',
      'covariates that were known before the treatment',
      'means nearly normal: normal data, or large samples without extreme skew',
    ],
    n: [model.x.n, model.y.n],
    theta,
    adjustedMeans,
    explained,
  };
  const standardError = welchError(model);
  if (reason !== null || !(standardError > 0)) {
    return {
      ...common,
      statistic: null,
      df: null,
      pValue: null,
      alternative: resolved.alternative,
      estimate,
      standardError: null,
      confidenceInterval: null,
      confidenceLevel: resolved.confidenceLevel,
      reason: reason ?? 'the covariates leave nothing that varies: the standard error is 0',
    };
  }
  return { ...common, ...studentResult(estimate, standardError, welchDf(model), resolved) };
}

export interface AnytimeLinearOptions extends Pick<Options, 'alpha' | 'confidenceLevel'> {
  /** Observations of both arms together at which it is to be tightest, fixed before looking; 5,000 by default. */
  readonly tuning?: number | undefined;
  /**
   * 'equal', the default: one variance of the residuals, as in a linear model, exact for normal ones. 'unequal': one per
   * arm, with Satterthwaite's degrees of freedom, for arms of different sizes; asymptotic.
   */
  readonly variances?: 'equal' | 'unequal' | undefined;
}

export interface AnytimeLinearResult extends Result {
  readonly statistic: number | null;
  readonly df: number | null;
  /** Always valid: the chance that it is ever at or below alpha, over all looks, is alpha at most. */
  readonly pValue: number | null;
  /** mean(b) − mean(a), adjusted by the covariates. */
  readonly estimate: number;
  readonly standardError: number | null;
  /** A member of a confidence sequence; null while nothing bounds it. */
  readonly confidenceInterval: Interval | null;
  readonly confidenceLevel: number;
  readonly eValue: number | null;
  readonly theta: readonly number[];
  readonly adjustedMeans: readonly [a: number, b: number];
  readonly explained: number;
}

const TUNING_DEFAULT = 5000;

/**
 * The always-valid comparison of two means by a linear model: outcome on arm and covariates. May be looked at as often
 * as one likes and stopped at any look. Two-sided.
 *
 * Source: Lindon, Ham, Tingley & Bojinov 2022 (arXiv 2210.08589): ln G = ½ ln r + ½(ν + 1)[ln(1 + t²/ν) − ln(1 + r t²/ν)]
 * with r = g/(g + n), p = min(1, 1/G); g is what makes the interval tightest at `tuning` observations.
 */
export function anytimeValidLinear(
  a: CovariateInput,
  b: CovariateInput,
  options: AnytimeLinearOptions = {},
): AnytimeLinearResult {
  const { alpha, confidenceLevel } = resolveOptions(options);
  const { tuning = TUNING_DEFAULT, variances = 'equal' } = options;
  checkPositive(tuning, 'tuning');
  if (variances !== 'equal' && variances !== 'unequal') {
    throw new ConfigError('variances', "'equal' or 'unequal'", variances);
  }
  const model = fitModel(sumsOf(b, 'b'), sumsOf(a, 'a'));
  const { estimate, theta, adjustedMeans, explained, reason } = model;
  const n = model.x.n + model.y.n;
  const isEqual = variances === 'equal';
  const df = isEqual ? model.df : welchDf(model);
  const standardError = isEqual ? pooledError(model) : welchError(model);
  const common = {
    method: 'anytime-valid linear model (mixture of t statistics)',
    assumptions: [
      'independent observations',
      'covariates that were known before the treatment',
      'alpha and tuning chosen before the first look',
      isEqual
        ? 'residuals of one variance, nearly normal'
        : 'residuals nearly normal: tens of observations per arm',
    ],
    n: [model.y.n, model.x.n],
    estimate,
    confidenceLevel,
    theta,
    adjustedMeans: [adjustedMeans[1], adjustedMeans[0]] as const,
    explained,
  };
  if (reason !== null || !(standardError > 0)) {
    return {
      ...common,
      statistic: null,
      df: null,
      pValue: null,
      standardError: null,
      confidenceInterval: null,
      eValue: null,
      reason: reason ?? 'the covariates leave nothing that varies: the standard error is 0',
    };
  }
  const twice = -2 * Math.log(alpha);
  const g = tuning / (twice + Math.log1p(twice));
  const r = g / (g + n);
  const statistic = estimate / standardError;
  const square = statistic ** 2;
  const logE = 0.5 * Math.log(r) + 0.5 * (df + 1) * (Math.log1p(square / df) - Math.log1p((r * square) / df));
  const radius = criticalValue(df, r, alpha);
  return {
    ...common,
    statistic,
    df,
    pValue: Math.min(1, Math.exp(-logE)),
    standardError,
    confidenceInterval: Number.isFinite(radius)
      ? [estimate - radius * standardError, estimate + radius * standardError]
      : null,
    eValue: Math.exp(logE),
    ...(!Number.isFinite(radius) && { reason: 'too few observations to bound the difference' }),
  };
}

/** The t at which ln G reaches ln(1/alpha); infinite where none does. */
function criticalValue(df: number, r: number, alpha: number): number {
  const root = Math.exp(Math.log(r * alpha * alpha) / (df + 1));
  return root > r
    ? Math.sqrt((df * -Math.expm1(Math.log(r * alpha * alpha) / (df + 1))) / (root - r))
    : Infinity;
}

// ── The model ────────────────────────────────────────────────────────────────────────────────────

interface FittedArm {
  readonly n: number;
  /** Of the adjusted outcome, denominator n − 1. */
  readonly variance: number;
}

interface Fitted {
  readonly x: FittedArm;
  readonly y: FittedArm;
  readonly theta: readonly number[];
  readonly estimate: number;
  readonly adjustedMeans: readonly [x: number, y: number];
  readonly explained: number;
  /** Covariates that have a θ. */
  readonly used: number;
  /** n − 2 − used. */
  readonly df: number;
  /** What θ being estimated adds to the variance of the estimate, as a share. */
  readonly inflation: number;
  readonly reason: string | null;
}

function fitModel(x: CovariateSums, y: CovariateSums): Fitted {
  if (x.means.length !== y.means.length) {
    throw new ConfigError('covariates', 'as many in both arms', [x.means.length - 1, y.means.length - 1]);
  }
  const size = x.means.length;
  const k = size - 1;
  const within = x.products.map((product, i) => product + y.products[i]);
  const matrix = Array.from({ length: k }, (_, i) => within.slice((i + 1) * size + 1, (i + 2) * size));
  const gaps = Array.from({ length: k }, (_, i) => x.means[i + 1] - y.means[i + 1]);
  const { solutions, used } = solve(matrix, [within.slice(1, size), gaps]);
  const [theta, ofGaps] = solutions;
  const dot = (a: readonly number[], b: readonly number[]) => a.reduce((sum, v, i) => sum + v * b[i], 0);
  const n = x.n + y.n;
  const adjusted = ({ n: count, products }: CovariateSums): FittedArm => {
    const ofOutcome = theta.reduce((sum, value, i) => sum + value * products[i + 1], 0);
    const ofCovariates = theta.reduce(
      (sum, value, i) => sum + value * dot(theta, products.slice((i + 1) * size + 1, (i + 2) * size)),
      0,
    );
    return { n: count, variance: Math.max(0, products[0] - 2 * ofOutcome + ofCovariates) / (count - 1) };
  };
  const [fittedX, fittedY] = [adjusted(x), adjusted(y)];
  const residual = fittedX.variance * (x.n - 1) + fittedY.variance * (y.n - 1);
  const estimate = x.means[0] - y.means[0] - dot(theta, gaps);
  const moved = (arm: CovariateSums, other: CovariateSums) =>
    arm.means[0] -
    theta.reduce((sum, v, i) => sum + (v * (arm.means[i + 1] - other.means[i + 1]) * other.n) / n, 0);
  const few = x.n < 2 || y.n < 2 || n - 2 - used < 1;
  return {
    x: fittedX,
    y: fittedY,
    theta,
    estimate,
    adjustedMeans: [moved(x, y), moved(y, x)],
    explained: within[0] > 0 ? Math.min(1, Math.max(0, 1 - residual / within[0])) : 0,
    used,
    df: n - 2 - used,
    inflation: dot(ofGaps, gaps) / (1 / x.n + 1 / y.n),
    reason: few ? 'too few observations: the variance is undefined' : null,
  };
}

/** One variance of the residuals for both arms. */
function pooledError({ x, y, df, inflation }: Fitted): number {
  const variance = (x.variance * (x.n - 1) + y.variance * (y.n - 1)) / df;
  return Math.sqrt(variance * (1 / x.n + 1 / y.n) * (1 + inflation));
}

function welchError({ x, y, df, used, inflation }: Fitted): number {
  const lost = (df + used) / df;
  return Math.sqrt((x.variance / x.n + y.variance / y.n) * lost * (1 + inflation));
}

function welchDf({ x, y, used }: Fitted): number {
  const [fromX, fromY] = [x.variance / x.n, y.variance / y.n];
  const share = fromX / (fromX + fromY);
  return Math.max(1, 1 / (share ** 2 / (x.n - 1) + (1 - share) ** 2 / (y.n - 1)) - used);
}

/** A covariate that others explain but for this share of its variance has no θ of its own. */
const DEPENDENT = 1e-10;

/** Solves for each right-hand side by Gauss's elimination; a variable that depends on others is left at 0. */
function solve(
  matrix: readonly (readonly number[])[],
  rightHandSides: readonly (readonly number[])[],
): { solutions: number[][]; used: number } {
  const size = matrix.length;
  const scales = matrix.map((row, i) => row[i]);
  const rows = matrix.map((row, i) => [...row, ...rightHandSides.map((side) => side[i])]);
  const pivots: number[] = [];
  for (let column = 0; column < size; column++) {
    if (!(rows[column][column] > DEPENDENT * scales[column])) continue;
    pivots.push(column);
    for (let row = 0; row < size; row++) {
      if (row === column) continue;
      const factor = rows[row][column] / rows[column][column];
      for (let i = column; i < rows[row].length; i++) rows[row][i] -= factor * rows[column][i];
    }
  }
  const solutions = rightHandSides.map((_, side) =>
    rows.map((row, i) => (pivots.includes(i) ? row[size + side] / row[i] : 0)),
  );
  return { solutions, used: pivots.length };
}

function sumsOf(input: CovariateInput, path: string): CovariateSums {
  if (typeof input !== 'object' || input === null) {
    throw new ConfigError(path, '{ of, covariates } or sums', input);
  }
  if (!('of' in input)) {
    if (input.n === 0) throw tooFewSamples(path, 1, 0);
    return input;
  }
  const { of, covariates } = input;
  checkSample(of, `${path}.of`);
  if (of.length === 0) throw tooFewSamples(path, 1, 0);
  if (!Array.isArray(covariates))
    throw new ConfigError(`${path}.covariates`, 'an array of samples', covariates);
  for (const [i, covariate] of covariates.entries()) {
    checkSample(covariate, `${path}.covariates[${i}]`);
    if (covariate.length !== of.length) {
      throw new ConfigError(`${path}.covariates[${i}]`, `${of.length} values, as in of`, covariate.length);
    }
  }
  const moments = new CovariateMoments(covariates.length);
  for (let i = 0; i < of.length; i++) moments.push([of[i], ...covariates.map((covariate) => covariate[i])]);
  return moments.result();
}
