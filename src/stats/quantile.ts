/**
 * Sample quantiles by the nine definitions of Hyndman & Fan 1996, The American Statistician 50, 361-365.
 */

import { ConfigError } from '../errors.js';
import { checkNonEmpty, checkUnit, type Sample } from './sample.js';

/** 1-3 are discontinuous; 4-9 interpolate linearly. 7 is the default of R, NumPy and spreadsheets. */
export type QuantileType = 1 | 2 | 3 | 4 | 5 | 6 | 7 | 8 | 9;

/**
 * The quantile of `sample` at each probability in [0, 1]. The sample is not changed. Sorts a copy, once
 * for all probabilities. Throws AnalysisError for an empty sample: there is no value to return.
 */
export function quantile(sample: Sample, p: number, type?: QuantileType): number;
export function quantile(sample: Sample, p: readonly number[], type?: QuantileType): number[];
export function quantile(
  sample: Sample,
  p: number | readonly number[],
  type?: QuantileType,
): number | number[];
export function quantile(
  sample: Sample,
  p: number | readonly number[],
  type: QuantileType = 7,
): number | number[] {
  checkNonEmpty(sample, 'x');
  if (!(Number.isInteger(type) && type >= 1 && type <= 9)) {
    throw new ConfigError('type', 'a whole number from 1 to 9', type);
  }
  const sorted = Float64Array.from(sample).sort();
  if (typeof p === 'number') {
    checkUnit(p, 'p');
    return quantileOfSorted(sorted, p, type);
  }
  return Array.from(p, (probability, i) => {
    checkUnit(probability, `p[${i}]`);
    return quantileOfSorted(sorted, probability, type);
  });
}

/** The quantile of a non-empty ascending sample; arguments are not checked. */
export function quantileOfSorted(sorted: Sample, p: number, type: QuantileType = 7): number {
  const n = sorted.length;
  if (type <= 3) {
    const position = type === 3 ? n * p - 0.5 : n * p;
    const below = floorWithTolerance(position);
    const onBoundary = Math.abs(position - below) <= tolerance(position);
    if (type === 1) return at(sorted, onBoundary ? below : below + 1);
    if (type === 2) {
      return onBoundary ? interpolate(at(sorted, below), at(sorted, below + 1), 0.5) : at(sorted, below + 1);
    }
    // Type 3 takes the nearest order statistic, the even one where two are equally near.
    return at(sorted, onBoundary && below % 2 === 0 ? below : below + 1);
  }
  const position = interpolatedPosition(n, p, type);
  const below = floorWithTolerance(position);
  const weight = Math.max(0, position - below);
  if (weight <= tolerance(position)) return at(sorted, below);
  return interpolate(at(sorted, below), at(sorted, below + 1), weight);
}

/** Where in the order statistics 1..n the quantile lies: α + p(n + 1 − α − β). */
function interpolatedPosition(n: number, p: number, type: QuantileType): number {
  switch (type) {
    case 4:
      return n * p;
    case 5:
      return n * p + 0.5;
    case 6:
      return (n + 1) * p;
    case 8:
      return (n + 1 / 3) * p + 1 / 3;
    case 9:
      return (n + 1 / 4) * p + 3 / 8;
    default:
      return (n - 1) * p + 1;
  }
}

/** Probabilities such as 0.7 are not exact in binary: a position this close to a whole number is on it. */
function tolerance(position: number): number {
  return 4 * Number.EPSILON * Math.max(1, Math.abs(position));
}

function floorWithTolerance(position: number): number {
  return Math.floor(position + tolerance(position));
}

/** The order statistic with 1-based rank, clamped to the extremes. */
function at(sorted: Sample, rank: number): number {
  return sorted[Math.min(sorted.length, Math.max(1, rank)) - 1]!;
}

function interpolate(a: number, b: number, weight: number): number {
  const gap = b - a;
  return Number.isFinite(gap) ? a + gap * weight : a * (1 - weight) + b * weight;
}
