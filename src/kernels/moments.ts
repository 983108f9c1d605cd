/** Sums over values in the kernels' memory: what the kernels leave there, and what it means. */
import { powerOfTwoAtLeast, quotientOf } from '../stats/moments.js';
import type { Kernels } from './kernels.js';

/** Moments of a column, in two passes: `addValues` for all values, then `addSquares` for all of them. */
export class ColumnMoments {
  count = 0;
  private readonly kernels: Kernels;
  /** f64 × 8: what `sumAndRange` leaves, and after it what `sumSquares` does. */
  private readonly out: number;

  constructor(kernels: Kernels) {
    this.kernels = kernels;
    this.out = kernels.allocate(64);
    this.clear();
  }

  clear(): void {
    this.count = 0;
    const start = this.out >> 3;
    const { f64 } = this.kernels;
    for (let i = 0; i < 8; i++) f64[start + i] = 0;
    f64[start + 2] = Number.POSITIVE_INFINITY;
    f64[start + 3] = Number.NEGATIVE_INFINITY;
  }

  /** @param values - address of f64, none of them NaN or infinite */
  addValues(values: number, count: number): void {
    this.count += count;
    this.kernels.module.sumAndRange(values, count, this.out);
  }

  addSquares(values: number, count: number): void {
    const { mean } = this;
    this.kernels.module.sumSquares(values, count, mean, 1 / this.scaleAbout(mean), this.out + 32);
  }

  get min(): number {
    return this.kernels.f64[(this.out >> 3) + 2];
  }

  get max(): number {
    return this.kernels.f64[(this.out >> 3) + 3];
  }

  get sum(): number {
    const { f64 } = this.kernels;
    return f64[this.out >> 3] + f64[(this.out >> 3) + 1];
  }

  /** As in twice the precision, rounded once. */
  get mean(): number {
    const { f64 } = this.kernels;
    const { sum } = this;
    return quotientOf(sum, f64[this.out >> 3] - sum + f64[(this.out >> 3) + 1], this.count).mean;
  }

  /** A power of two; deviations are divided by it so that their squares stay within the range of a double. */
  get scale(): number {
    return this.scaleAbout(this.mean);
  }

  private scaleAbout(mean: number): number {
    return powerOfTwoAtLeast(Math.max(this.max - mean, mean - this.min));
  }

  /** Sum of squared deviations, divided by the square of `scale`. */
  get scaledSquares(): number {
    const { f64 } = this.kernels;
    const start = (this.out >> 3) + 4;
    const deviation = f64[start + 2] + f64[start + 3];
    return Math.max(0, f64[start] + f64[start + 1] - (deviation * deviation) / this.count);
  }
}
