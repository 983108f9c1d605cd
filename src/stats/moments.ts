/**
 * Count, mean and spread of a stream, in one pass and mergeable, and of a whole sample, in two passes.
 *
 * Both keep the mean as an unevaluated pair of doubles, so an offset that dwarfs the spread (timestamps,
 * 10^7 ± 0.1) costs neither the mean nor the deviations their digits.
 */

import { ConfigError } from '../errors.js';
import { CompensatedSum } from './compensated.js';
import { checkCount, type Sample, type Summary } from './sample.js';

/** The state of an accumulator; what a kernel or another process hands over. */
export interface Moments {
  readonly count: number;
  readonly mean: number;
  /** Sum of squared deviations from the mean. */
  readonly m2: number;
  readonly min: number;
  readonly max: number;
  /** Values that were NaN or infinite and entered no moment; 0 if absent. */
  readonly malformed?: number;
  /** What rounding took from `mean`; 0 if absent. */
  readonly meanLow?: number;
}

/**
 * Streaming moments. Getters are null where undefined: mean, min and max of nothing, variance of fewer
 * than two values, and whatever has left the range of a double.
 *
 * Source: Welford 1962, Technometrics 4, 419-420; merging is Chan, Golub & LeVeque 1979, STAN-CS-79-773,
 * eq. 2.1. Keeping the mean in two doubles is ours: it makes the result independent of rounding in the
 * running mean, and so nearly independent of order and split.
 */
export class Welford implements Summary {
  #count = 0;
  #mean = 0;
  #meanLow = 0;
  #m2 = 0;
  #min = Number.POSITIVE_INFINITY;
  #max = Number.NEGATIVE_INFINITY;
  #malformed = 0;

  /** An accumulator as if it had seen the values behind `moments`. */
  static from(moments: Moments): Welford {
    checkCount(moments.count, 'moments.count');
    const welford = new Welford();
    welford.#malformed = moments.malformed ?? 0;
    if (moments.count === 0) return welford;
    const { mean, m2, min, max, meanLow = 0 } = moments;
    if (!Number.isFinite(mean)) throw new ConfigError('moments.mean', 'a finite number', mean);
    if (!(m2 >= 0)) throw new ConfigError('moments.m2', 'a number, 0 or more', m2);
    if (!(min <= max)) throw new ConfigError('moments.min', `a number up to max = ${max}`, min);
    welford.#count = moments.count;
    welford.#mean = mean;
    welford.#meanLow = meanLow;
    welford.#m2 = m2;
    welford.#min = min;
    welford.#max = max;
    return welford;
  }

  /** Takes one value. NaN and infinities are counted in `malformed` and change nothing else. */
  push(value: number): void {
    if (!Number.isFinite(value)) {
      this.#malformed++;
      return;
    }
    if (value < this.#min) this.#min = value;
    if (value > this.#max) this.#max = value;
    this.#count++;
    const before = value - this.#mean - this.#meanLow;
    this.#shiftMean(
      Number.isFinite(before) ? before / this.#count : (value / 2 - this.#mean / 2) / (this.#count / 2),
    );
    const after = value - this.#mean - this.#meanLow;
    this.#m2 += before * after;
  }

  /** Takes everything `other` has seen; `other` is unchanged and may be this accumulator itself. */
  merge(other: Welford): void {
    this.#malformed += other.#malformed;
    if (other.#count === 0) return;
    const count = this.#count + other.#count;
    // An empty accumulator takes the other's mean whole; a step from 0 would round its low half away.
    if (this.#count === 0) {
      this.#mean = other.#mean;
      this.#meanLow = other.#meanLow;
    }
    const delta = other.#mean - this.#mean + (other.#meanLow - this.#meanLow);
    const share = other.#count / count;
    this.#m2 += other.#m2 + delta * delta * (this.#count * share);
    this.#shiftMean(Number.isFinite(delta) ? delta * share : other.#mean * share - this.#mean * share);
    this.#count = count;
    if (other.#min < this.#min) this.#min = other.#min;
    if (other.#max > this.#max) this.#max = other.#max;
  }

  /** Finite values seen. */
  get count(): number {
    return this.#count;
  }

  /** The same as `count`: with it the accumulator is a Summary. */
  get n(): number {
    return this.#count;
  }

  /** NaN and infinite values seen; they are in no other figure. */
  get malformed(): number {
    return this.#malformed;
  }

  get sum(): number {
    return this.#mean * this.#count + this.#meanLow * this.#count;
  }

  get mean(): number | null {
    return this.#count > 0 ? finiteOrNull(this.#mean) : null;
  }

  /** What rounding took from `mean`. */
  get meanLow(): number {
    return this.#meanLow;
  }

  /** Sample variance, denominator n − 1. */
  get variance(): number | null {
    return this.#count > 1 ? finiteOrNull(this.#m2 / (this.#count - 1)) : null;
  }

  /** Sample standard deviation, denominator n − 1. */
  get stdDev(): number | null {
    return squareRootOrNull(this.variance);
  }

  /** Population standard deviation, denominator n. */
  get stdDevPopulation(): number | null {
    return this.#count > 0 ? squareRootOrNull(finiteOrNull(this.#m2 / this.#count)) : null;
  }

  get min(): number | null {
    return this.#count > 0 ? this.#min : null;
  }

  get max(): number | null {
    return this.#count > 0 ? this.#max : null;
  }

  /** The state, for storage or another thread; `Welford.from` restores it. */
  toMoments(): Required<Moments> {
    return {
      count: this.#count,
      mean: this.#mean,
      meanLow: this.#meanLow,
      m2: this.#m2,
      min: this.#min,
      max: this.#max,
      malformed: this.#malformed,
    };
  }

  /** Adds `step` to the mean pair: TwoSum, so the pair's total is rounded only in its low half. */
  #shiftMean(step: number): void {
    const addend = this.#meanLow + step;
    const sum = this.#mean + addend;
    const shifted = sum - this.#mean;
    this.#meanLow = this.#mean - (sum - shifted) + (addend - shifted);
    this.#mean = sum;
  }
}

/** Central moments of a whole sample. Sums of powers are of deviations divided by `scale`. */
export interface SampleMoments {
  readonly n: number;
  readonly sum: number;
  /** The mean, rounded once. */
  readonly mean: number;
  /** What rounding took from `mean`. */
  readonly meanLow: number;
  readonly min: number;
  readonly max: number;
  /** A power of two at or above the largest deviation, so no power of a deviation overflows. */
  readonly scale: number;
  readonly m2: number;
  readonly m3: number;
  readonly m4: number;
}

/**
 * Moments of a non-empty sample of finite values, in two passes with compensated sums: the mean first,
 * then deviations from it. The standard deviation agrees with the exact one to about 15 digits whatever
 * the offset. The second pass corrects for what is left of the mean's own error (Chan, Golub & LeVeque
 * 1983, The American Statistician 37, 242-247, eq. 1.7).
 */
export function sampleMoments(sample: Sample): SampleMoments {
  const n = sample.length;
  const total = new CompensatedSum();
  let min = Number.POSITIVE_INFINITY;
  let max = Number.NEGATIVE_INFINITY;
  for (let i = 0; i < n; i++) {
    const value = sample[i]!;
    total.add(value);
    if (value < min) min = value;
    if (value > max) max = value;
  }
  const { mean, meanLow } = meanOf(sample, total);
  const scale = powerOfTwoAtLeast(Math.max(max - mean, mean - min));
  const s1 = new CompensatedSum();
  const s2 = new CompensatedSum();
  const s3 = new CompensatedSum();
  const s4 = new CompensatedSum();
  for (let i = 0; i < n; i++) {
    const deviation = (sample[i]! - mean - meanLow) / scale;
    const square = deviation * deviation;
    s1.add(deviation);
    s2.add(square);
    s3.add(square * deviation);
    s4.add(square * square);
  }
  const m2 = s2.value - (s1.value * s1.value) / n;
  return { n, sum: total.value, mean, meanLow, min, max, scale, m2, m3: s3.value, m4: s4.value };
}

/** The mean as a pair of doubles; also where the plain total would overflow. */
function meanOf(sample: Sample, total: CompensatedSum): { mean: number; meanLow: number } {
  const n = sample.length;
  let sum = total.value;
  let residue = total.residue;
  if (!Number.isFinite(sum)) {
    const scaled = new CompensatedSum();
    for (let i = 0; i < n; i++) scaled.add(sample[i]! / n);
    sum = scaled.value * n;
    residue = 0;
    if (!Number.isFinite(sum)) return { mean: scaled.value, meanLow: scaled.residue };
  }
  return quotientOf(sum, residue, n);
}

/** (sum + residue) / n as a pair of doubles. */
export function quotientOf(sum: number, residue: number, n: number): { mean: number; meanLow: number } {
  const quotient = sum / n;
  // The remainder of the division, from the error of quotient · n computed exactly in two halves.
  const remainder = (productError(quotient, n, sum) + residue) / n;
  const mean = quotient + remainder;
  return { mean, meanLow: quotient - mean + remainder };
}

/** sum − a · b, where sum is within an ulp of a · b: Dekker's product (Numer. Math. 18, 1971, 224-242). */
function productError(a: number, b: number, sum: number): number {
  if (Math.abs(a) > 1e290) return 0;
  const aHigh = highHalf(a);
  const bHigh = highHalf(b);
  const aLow = a - aHigh;
  const bLow = b - bHigh;
  const product = a * b;
  const error = aLow * bLow - (product - aHigh * bHigh - aLow * bHigh - aHigh * bLow);
  return sum - product - error;
}

/** The upper 26 bits of a double (Veltkamp's splitting by 2^27 + 1). */
function highHalf(value: number): number {
  const spread = 134_217_729 * value;
  return spread - (spread - value);
}

/** The smallest power of two at or above `value`, within the normal range; 1 for 0. */
export function powerOfTwoAtLeast(value: number): number {
  if (value === 0) return 1;
  return 2 ** Math.min(1023, Math.max(-1022, Math.ceil(Math.log2(value))));
}

export function finiteOrNull(value: number): number | null {
  return Number.isFinite(value) ? value : null;
}

function squareRootOrNull(value: number | null): number | null {
  return value === null ? null : Math.sqrt(value);
}
