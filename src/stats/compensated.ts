/**
 * Sums that keep the rounding error of every addition.
 *
 * Source: Neumaier 1974, ZAMM 54, 39-51; the error-free addition is Knuth's TwoSum (TAOCP 2, 4.2.2).
 */

/** A sum kept as an unevaluated pair: `high` is the rounded total, `low` what rounding took from it. */
export class CompensatedSum {
  #high = 0;
  #low = 0;

  /** Adds one finite value. */
  add(value: number): void {
    const total = this.#high + value;
    // The smaller addend lost its low bits to rounding; this recovers them exactly.
    this.#low +=
      Math.abs(this.#high) >= Math.abs(value) ? this.#high - total + value : value - total + this.#high;
    this.#high = total;
  }

  /** The total, rounded once. An overflowed total stays infinite instead of turning into NaN. */
  get value(): number {
    return Number.isFinite(this.#high) ? this.#high + this.#low : this.#high;
  }

  /** What `value` leaves out of the unevaluated sum. */
  get residue(): number {
    if (!Number.isFinite(this.#high)) return 0;
    return this.#high - this.value + this.#low;
  }
}

/** The sum of finite values, as accurate as if computed in twice the precision and rounded once. */
export function compensatedSum(values: ArrayLike<number>): number {
  const sum = new CompensatedSum();
  for (let i = 0; i < values.length; i++) sum.add(values[i]!);
  return sum.value;
}
