/**
 * A mergeable quantile sketch with a bound on the relative error of every quantile.
 *
 * This is a DDSketch (Masson, Rim & Lee 2019, PVLDB 12(12), 2195-2205) whose logarithm is interpolated
 * linearly between powers of two: bucket = IEEE-754 bits of |v| shifted right by 52 − k, that is, the
 * exponent and the top k bits of the mantissa. Each octave [2^e, 2^(e+1)) has 2^k buckets of equal width.
 * The mapping costs a shift, and every implementation of it gives the same ids on every machine.
 *
 *   63  62        52 51                         0
 *  ┌────┬───────────┬──────────┬────────────────┐
 *  │sign│ exponent  │ k bits   │ 52 − k bits    │
 *  └────┴───────────┴──────────┴────────────────┘
 *        └────── bucket ──────┘
 *
 * Merging adds counts, so it is exact, associative and commutative: neither order nor split matters.
 */

import { ConfigError } from '../errors.js';
import { checkUnit } from './sample.js';

/** The high word of a double holds 20 bits of mantissa: a million buckets an octave. */
const K_MAX = 20;

/** Values nearer to 0 than this (subnormal ones) count as zero: an octave below has no relative width. */
const SMALLEST_NORMAL = 2 ** -1022;

/** Buckets are stored in pages of this many counts: dense where values are, nothing elsewhere. */
const PAGE_BITS = 7;
const PAGE_BUCKETS = 1 << PAGE_BITS;

const scratchF64 = new Float64Array(1);
const scratchU32 = new Uint32Array(scratchF64.buffer);
scratchF64[0] = 1;
/** Index of the word with sign and exponent: 1 on a little-endian machine. */
const HIGH_WORD_INDEX = scratchU32[1] === 0 ? 0 : 1;

/**
 * The smallest k whose buckets are represented within `relativeError`. The widest bucket relative to its
 * values is the first of an octave, [1, 1 + 2^−k): its representative 2·lo·hi/(lo + hi) is off by
 * (hi − lo)/(hi + lo) at both ends. 0.01 gives k = 6, with an error of 0.78 %.
 */
export function mantissaBitsFor(relativeError: number): number {
  const smallest = relativeErrorOf(K_MAX);
  if (!(relativeError >= smallest && relativeError < 1)) {
    throw new ConfigError('relativeError', `a number from ${smallest} to 1, 1 excluded`, relativeError);
  }
  let k = 0;
  while (relativeErrorOf(k) > relativeError) k++;
  return k;
}

/** The bound on the relative error of a quantile with 2^k buckets an octave. */
export function relativeErrorOf(k: number): number {
  const width = 2 ** -k;
  return width / (2 + width);
}

/** The bucket of |value|, in [0, 2047·2^k); ids below 2^k are zero and the subnormals. k is at most 20. */
export function bucketOf(value: number, k: number): number {
  scratchF64[0] = value;
  return (scratchU32[HIGH_WORD_INDEX]! & 0x7fffffff) >>> (K_MAX - k);
}

/** The representative of a bucket: the value whose relative distance to both bounds is equal and smallest. */
export function bucketValue(bucket: number, k: number): number {
  const perOctave = 2 ** k;
  const exponent = Math.floor(bucket / perOctave);
  if (exponent === 0) return 0;
  // lo and hi within the octave, both in [1, 2]; their harmonic mean stays below 2, so 2^1023 is no overflow.
  const low = 1 + (bucket - exponent * perOctave) / perOctave;
  const high = low + 1 / perOctave;
  return 2 ** (exponent - 1023) * ((2 * low * high) / (low + high));
}

/** Counts by bucket for one sign. */
class BucketStore {
  readonly #pages = new Map<number, Float64Array>();
  /** Keys of #pages, ascending. */
  readonly #order: number[] = [];
  #total = 0;
  /** The page used last: values that follow each other are mostly near each other. */
  #lastKey = -1;
  #lastPage: Float64Array = new Float64Array(0);

  get total(): number {
    return this.#total;
  }

  add(bucket: number, count: number): void {
    const key = bucket >>> PAGE_BITS;
    if (key !== this.#lastKey) {
      this.#lastPage = this.#pages.get(key) ?? this.#addPage(key);
      this.#lastKey = key;
    }
    this.#lastPage[bucket & (PAGE_BUCKETS - 1)]! += count;
    this.#total += count;
  }

  merge(other: BucketStore): void {
    for (const [bucket, count] of [...other.ascending()]) this.add(bucket, count);
  }

  /** Non-empty buckets, nearest to zero first. */
  *ascending(): Generator<[bucket: number, count: number]> {
    for (const key of this.#order) {
      const page = this.#pages.get(key)!;
      for (let i = 0; i < PAGE_BUCKETS; i++) {
        if (page[i]! > 0) yield [key * PAGE_BUCKETS + i, page[i]!];
      }
    }
  }

  /** The bucket that holds the value of 0-based `rank` counted from zero outwards; 0 <= rank < total. */
  bucketAt(rank: number): number {
    let above = this.#total;
    // Downwards, because the ranks asked for are mostly high ones.
    for (let p = this.#order.length - 1; p >= 0; p--) {
      const key = this.#order[p]!;
      const page = this.#pages.get(key)!;
      for (let i = PAGE_BUCKETS - 1; i >= 0; i--) {
        above -= page[i]!;
        if (above <= rank) return key * PAGE_BUCKETS + i;
      }
    }
    return 0;
  }

  #addPage(key: number): Float64Array {
    const page = new Float64Array(PAGE_BUCKETS);
    this.#pages.set(key, page);
    this.#order.push(key);
    this.#order.sort((a, b) => a - b);
    return page;
  }
}

/** One non-empty bucket: `sign` is 0 for the values that count as zero, whose bucket is 0. */
export interface SketchBucket {
  readonly sign: -1 | 0 | 1;
  readonly bucket: number;
  readonly count: number;
}

export class QuantileSketch {
  /** Bits of mantissa in a bucket id. Only sketches with equal k merge. */
  readonly k: number;
  /** The bound that holds, at or below the one asked for. */
  readonly relativeError: number;
  /** 2^k: the first bucket of normal doubles; below are zero and the subnormals. */
  readonly #firstNormal: number;
  readonly #positive = new BucketStore();
  readonly #negative = new BucketStore();
  #zeros = 0;
  #min = Number.POSITIVE_INFINITY;
  #max = Number.NEGATIVE_INFINITY;
  #malformed = 0;

  constructor(relativeError = 0.01) {
    this.k = mantissaBitsFor(relativeError);
    this.relativeError = relativeErrorOf(this.k);
    this.#firstNormal = 2 ** this.k;
  }

  /** Takes `value` `count` times. NaN and infinities are counted in `malformed` and change nothing else. */
  push(value: number, count = 1): void {
    checkWeight(count);
    if (!Number.isFinite(value)) {
      this.#malformed += count;
      return;
    }
    if (count === 0) return;
    if (value < this.#min) this.#min = value;
    if (value > this.#max) this.#max = value;
    this.#add(value < 0 ? -1 : 1, bucketOf(value, this.k), count);
  }

  /**
   * Adds `count` values that a kernel put into `bucket` (the id `bucketOf` gives). Tell the sketch their
   * extremes with `includeRange`; without it they are known only to within the relative error.
   */
  addBucket(sign: -1 | 0 | 1, bucket: number, count: number): void {
    if (sign !== -1 && sign !== 0 && sign !== 1) throw new ConfigError('sign', '-1, 0 or 1', sign);
    const bucketCount = 2047 * this.#firstNormal;
    if (!(Number.isInteger(bucket) && bucket >= 0 && bucket < bucketCount)) {
      throw new ConfigError('bucket', `a whole number from 0 to ${bucketCount - 1}`, bucket);
    }
    checkWeight(count);
    if (count > 0) this.#add(sign === -1 ? -1 : 1, sign === 0 ? 0 : bucket, count);
  }

  /** States that the values added so far, by bucket or one by one, span exactly [min, max] or more. */
  includeRange(min: number, max: number): void {
    if (!(Number.isFinite(min) && Number.isFinite(max) && min <= max)) {
      throw new ConfigError('min', 'a finite number up to a finite max', min);
    }
    if (min < this.#min) this.#min = min;
    if (max > this.#max) this.#max = max;
  }

  /** Takes everything `other` has seen; `other` is unchanged. Throws ConfigError unless k is equal. */
  merge(other: QuantileSketch): void {
    if (other.k !== this.k) throw new ConfigError('other.k', `${this.k}, as in this sketch`, other.k);
    this.#positive.merge(other.#positive);
    this.#negative.merge(other.#negative);
    this.#zeros += other.#zeros;
    this.#malformed += other.#malformed;
    if (other.#min < this.#min) this.#min = other.#min;
    if (other.#max > this.#max) this.#max = other.#max;
  }

  /** Finite values seen. */
  get count(): number {
    return this.#negative.total + this.#zeros + this.#positive.total;
  }

  /** NaN and infinite values seen; they are in no quantile. */
  get malformed(): number {
    return this.#malformed;
  }

  /** The smallest value; null for none. */
  get min(): number | null {
    return this.count === 0 ? null : this.#nearestInBucketOf(0, this.#min);
  }

  /** The largest value; null for none. */
  get max(): number | null {
    return this.count === 0 ? null : this.#nearestInBucketOf(this.count - 1, this.#max);
  }

  /**
   * The value at rank p(n − 1), within `relativeError` of the order statistic there; p = 0 and 1 are the
   * exact extremes. Null when nothing was seen. Cost: one pass over the non-empty buckets.
   *
   * 'lower' takes the order statistic at the rank rounded down, as DDSketch does. 'linear' interpolates
   * between it and the next, as quantile type 7 does: the same bound then holds against type 7 where both
   * have one sign.
   */
  quantile(p: number, rounding: 'lower' | 'linear' = 'lower'): number | null {
    checkUnit(p, 'p');
    const n = this.count;
    if (n === 0) return null;
    const rank = p * (n - 1);
    const below = Math.floor(rank);
    const value = this.#valueAt(below);
    if (rounding === 'lower' || rank === below) return value;
    return value + (this.#valueAt(below + 1) - value) * (rank - below);
  }

  /** Non-empty buckets, most negative first; with `min`, `max` and `k` they are the whole sketch. */
  *buckets(): Generator<SketchBucket> {
    for (const [bucket, count] of [...this.#negative.ascending()].reverse())
      yield { sign: -1, bucket, count };
    if (this.#zeros > 0) yield { sign: 0, bucket: 0, count: this.#zeros };
    for (const [bucket, count] of this.#positive.ascending()) yield { sign: 1, bucket, count };
  }

  #add(sign: -1 | 1, bucket: number, count: number): void {
    if (bucket < this.#firstNormal) this.#zeros += count;
    else if (sign === -1) this.#negative.add(bucket, count);
    else this.#positive.add(bucket, count);
  }

  /** The value with 0-based rank: exact at both ends, else a representative moved into [min, max]. */
  #valueAt(rank: number): number {
    if (rank === 0) return this.min!;
    if (rank === this.count - 1) return this.max!;
    const { sign, bucket } = this.#locate(rank);
    return Math.min(this.max!, Math.max(this.min!, sign * bucketValue(bucket, this.k)));
  }

  #locate(rank: number): { sign: -1 | 0 | 1; bucket: number } {
    const negatives = this.#negative.total;
    if (rank < negatives) return { sign: -1, bucket: this.#negative.bucketAt(negatives - 1 - rank) };
    if (rank < negatives + this.#zeros) return { sign: 0, bucket: 0 };
    return { sign: 1, bucket: this.#positive.bucketAt(rank - negatives - this.#zeros) };
  }

  /**
   * `stated` if it can be the value with this rank, that is, lies in the same bucket; else that bucket's
   * representative. The two differ when a kernel's buckets came without their range.
   */
  #nearestInBucketOf(rank: number, stated: number): number {
    const { sign, bucket } = this.#locate(rank);
    const inSameBucket =
      sign === 0
        ? Math.abs(stated) < SMALLEST_NORMAL
        : Math.sign(stated) === sign && bucketOf(stated, this.k) === bucket;
    return inSameBucket ? stated : sign * bucketValue(bucket, this.k);
  }
}

function checkWeight(count: number): void {
  if (!(Number.isSafeInteger(count) && count >= 0)) {
    throw new ConfigError('count', 'a whole number, 0 or more', count);
  }
}
