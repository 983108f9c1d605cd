/** The values of one measure of an arm, in memory that does not grow with their number. */
import { sampleMoments, Welford } from '../stats/moments.js';
import { SeededRandom } from '../stats/random.js';
import type { Observations } from './compare/samples.js';

/** 1 Mi values are 8 MiB. */
export const KEPT_MAX = 1 << 20;
const BLOCK_VALUES = 4096;

/**
 * Takes finite values one by one. Keeps all of them while they are few enough; beyond that their moments, and a random
 * sample of them.
 */
export class GatheredValues {
  private readonly keptMax: number;
  private readonly random: SeededRandom;
  /** What came last, not yet among the others. */
  private readonly block = new Float64Array(BLOCK_VALUES);
  private held = 0;
  private kept = new Float64Array(BLOCK_VALUES);
  private count = 0;
  /** Since there have been more than are kept. */
  private beyond: { readonly moments: MergedMoments; readonly sample: RandomSample } | null = null;

  /** @param seed - of the random sample, a whole number */
  constructor(seed: number, keptMax = KEPT_MAX) {
    this.random = new SeededRandom(seed);
    this.keptMax = keptMax;
  }

  push(value: number): void {
    if (this.held === BLOCK_VALUES) this.flush();
    this.block[this.held++] = value;
  }

  /** In memory of its own. */
  result(): Observations {
    this.flush();
    const values = this.kept.slice(0, Math.min(this.count, this.keptMax));
    return this.beyond === null ? values : { ...this.beyond.moments.result(), sample: values };
  }

  private flush(): void {
    const values = this.block.subarray(0, this.held);
    this.held = 0;
    const first = values.subarray(0, Math.max(0, this.keptMax - this.count));
    const rest = values.subarray(first.length);
    if (first.length > 0) this.keep(first);
    this.count += values.length;
    if (rest.length === 0) return;
    this.beyond ??= this.goBeyond();
    this.beyond.moments.add(rest);
    this.beyond.sample.offer(rest);
  }

  private keep(values: Float64Array): void {
    if (this.count + values.length > this.kept.length) {
      const larger = new Float64Array(Math.min(2 * this.kept.length, this.keptMax));
      larger.set(this.kept);
      this.kept = larger;
    }
    this.kept.set(values, this.count);
  }

  private goBeyond() {
    const kept = this.kept.subarray(0, this.keptMax);
    const moments = new MergedMoments();
    moments.add(kept);
    return { moments, sample: new RandomSample(kept, this.random) };
  }
}

/**
 * A uniform random sample, without replacement, of a stream whose length nobody knows. Takes random numbers for the
 * values that enter it and none for those that do not: k·ln(n/k) of n values enter a sample of k.
 *
 * Source: Li 1994, ACM Transactions on Mathematical Software 20, 481-493, algorithm L.
 */
class RandomSample {
  private readonly sample: Float64Array;
  private readonly random: SeededRandom;
  /** Logarithm of the largest of k uniform numbers, one for each value that is in the sample. */
  private logLargest = 0;
  /** Values that come before the next one to enter. */
  private skip = 0;

  /** @param sample - the first values, all of them; the sample takes their place */
  constructor(sample: Float64Array, random: SeededRandom) {
    this.sample = sample;
    this.random = random;
    this.plan();
  }

  offer(values: Float64Array): void {
    let place = this.skip;
    while (place < values.length) {
      this.sample[this.random.nextIndex(this.sample.length)] = values[place];
      this.plan();
      place += 1 + this.skip;
    }
    this.skip = place - values.length;
  }

  private plan(): void {
    this.logLargest += Math.log(this.uniform()) / this.sample.length;
    this.skip = Math.floor(Math.log(this.uniform()) / Math.log(-Math.expm1(this.logLargest)));
  }

  /** Between 0 and 1, neither included. */
  private uniform(): number {
    return (this.random.nextUint32() + 0.5) / 2 ** 32;
  }
}

/**
 * Moments of values that come block by block: of each block in two passes, with compensated sums, then merged.
 *
 * Source: Pébay 2008, Sandia report SAND2008-6212, for merging third moments.
 */
class MergedMoments {
  private readonly moments = new Welford();
  /** Sum of cubed deviations from the mean. */
  private m3 = 0;
  private magnitudes = 0;

  /** @param values - one or more */
  add(values: Float64Array): void {
    const { n, mean, meanLow, min, max, scale, ...sums } = sampleMoments(values);
    const m2 = Math.max(0, sums.m2) * scale * scale;
    const old = this.moments.toMoments();
    const delta = mean - old.mean + (meanLow - old.meanLow);
    const total = n + old.count;
    this.m3 +=
      sums.m3 * scale ** 3 +
      delta ** 3 * old.count * (n / total) * ((old.count - n) / total) +
      3 * delta * ((old.count * m2 - n * old.m2) / total);
    this.moments.merge(Welford.from({ count: n, mean, meanLow, m2, min, max }));
    for (let i = 0; i < n; i++) this.magnitudes += Math.abs(values[i]);
  }

  result() {
    const { count, mean, meanLow, m2, min, max } = this.moments.toMoments();
    const { variance } = this.moments;
    const skewness = this.m3 / count / (m2 / count) ** 1.5;
    return {
      n: count,
      mean,
      meanLow,
      variance,
      skewness: Number.isFinite(skewness) ? skewness : null,
      largestShare: Math.max(Math.abs(min), Math.abs(max)) / this.magnitudes,
    };
  }
}
