/**
 * ExactColumn: moments and quantiles of any number of values, exact, in bounded memory.
 *
 * Up to `keepMax` values are kept, and one pass over the rows is enough. Beyond that nothing is kept but sums and
 * histograms of the values' keys, and the rows are gone through twice more: for the squared deviations and the next
 * 16 bits of the keys around each wanted rank, and for the values themselves that are left in question then.
 */
import { isValue } from '../ring/batch.js';
import type { Kernels } from './kernels.js';
import { placesOf, Selector } from './select.js';

const BINS = 65536;
/** 4 Mi values are 32 MiB. */
const KEEP_MAX = 1 << 22;
/** Values between two calls of the kernels where none are kept. */
const BLOCK = 1 << 16;

export interface ColumnSummary {
  readonly count: number;
  readonly sum: number;
  readonly mean: number;
  /** Denominator n − 1; null for one value. */
  readonly stdDev: number | null;
  readonly stdDevPopulation: number;
  readonly min: number;
  readonly max: number;
  /** In the order they were asked for: type 7, interpolated. */
  readonly quantiles: number[];
}

/** A bin of keys in which wanted ranks lie. */
interface Suspect {
  /** The key's upper 16 bits. */
  readonly high: number;
  readonly ranks: readonly number[];
  /** Counts by the next 16 bits. */
  readonly middles: Uint32Array;
}

export class ExactColumn {
  readonly #kernels: Kernels;
  readonly #selector: Selector;
  readonly #quantiles: readonly number[];
  readonly #keepMax: number;
  readonly #values: number;
  readonly #out: number;
  #isKept = true;
  #pass = 1;
  /** Values in memory. */
  #held = 0;
  #count = 0;
  #shift = Number.NaN;
  #bins: Uint32Array | undefined;
  #binsAddress = 0;
  #suspects: Suspect[] = [];
  /** Of values whose upper 32 bits are those of a wanted rank: how often each occurs. */
  #candidates: { ranks: readonly number[]; high: number; middle: number; counts: Map<number, number> }[] = [];

  /** @param quantiles - wanted, from 0 to 1 */
  constructor(kernels: Kernels, quantiles: readonly number[], keepMax = KEEP_MAX) {
    this.#kernels = kernels;
    this.#quantiles = quantiles;
    this.#keepMax = Math.max(keepMax, BLOCK);
    this.#selector = new Selector(kernels);
    this.#values = kernels.allocate(8 * this.#keepMax);
    this.#out = kernels.allocate(64);
    kernels.f64.set([0, 0, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY, 0, 0, 0, 0], this.#out >> 3);
  }

  get count(): number {
    return this.#count;
  }

  /** Takes the given rows' values, as far as they are values; in every pass the same. */
  add(column: Float64Array, rows: Uint32Array): void {
    const f64 = this.#kernels.f64;
    const start = this.#values >> 3;
    const limit = this.#isKept ? this.#keepMax : BLOCK;
    let held = this.#held;
    for (let i = 0; i < rows.length; i++) {
      const value = column[rows[i]];
      if (!isValue(value)) continue;
      if (held === limit) {
        this.#held = held;
        this.#flush();
        held = 0;
        // From now on in blocks.
        this.add(column, rows.subarray(i));
        return;
      }
      f64[start + held++] = value;
    }
    this.#held = held;
  }

  /** To be called after each pass. @returns whether the same rows are wanted once more */
  endPass(): boolean {
    if (this.#isKept) {
      this.#count = this.#held;
      if (this.#held > 0) this.#sum();
      return false;
    }
    this.#flush();
    const pass = this.#pass++;
    if (pass === 1) this.#findSuspects();
    else if (pass === 2) this.#findCandidates();
    return pass < 3;
  }

  /** @returns undefined where there are no values */
  result(): ColumnSummary | undefined {
    const count = this.#count;
    if (count === 0) return undefined;
    const [sum, sumError, min, max] = this.#kernels.f64.subarray(this.#out >> 3, (this.#out >> 3) + 4);
    const { mean } = this.#mean();
    if (this.#isKept) this.#squares();
    const [squares, squaresError, deviations, deviationsError] = this.#kernels.f64.subarray(
      (this.#out >> 3) + 4,
      (this.#out >> 3) + 8,
    );
    const deviation = deviations + deviationsError;
    const m2 = Math.max(0, squares + squaresError - (deviation * deviation) / count);
    const ranks = this.#ranks();
    const selected = this.#isKept
      ? this.#selector.select(this.#values, count, ranks)
      : this.#candidates.flatMap(pick);
    const byRank = new Map(ranks.map((rank, i) => [rank, selected[i]]));
    return {
      count,
      sum: sum + sumError + this.#shift * count,
      mean,
      stdDev: count > 1 ? Math.sqrt(m2 / (count - 1)) : null,
      stdDevPopulation: Math.sqrt(m2 / count),
      min,
      max,
      quantiles: this.#quantiles.map((p) => {
        const position = (count - 1) * p;
        const low = Math.floor(position);
        const below = byRank.get(low) as number;
        const above = byRank.get(Math.min(low + 1, count - 1)) as number;
        return interpolate(below, above, position - low);
      }),
    };
  }

  /** Takes what is held into the sums of this pass. */
  #flush(): void {
    const { module } = this.#kernels;
    if (this.#isKept) {
      this.#isKept = false;
      this.#binsAddress = this.#kernels.allocate(4 * BINS);
      this.#bins = this.#kernels.u32.subarray(this.#binsAddress >> 2, (this.#binsAddress >> 2) + BINS).fill(0);
    }
    if (this.#held === 0) return;
    if (this.#pass === 1) {
      this.#count += this.#held;
      this.#sum();
      module.countKeys(this.#values, this.#held, 48, this.#binsAddress);
    } else if (this.#pass === 2) {
      this.#squares();
      this.#eachKey((value, high, middle) => {
        const suspect = this.#suspects.find((one) => one.high === high);
        if (suspect !== undefined) suspect.middles[middle]++;
        return value;
      });
    } else {
      this.#eachKey((value, high, middle) => {
        const candidate = this.#candidates.find((one) => one.high === high && one.middle === middle);
        candidate?.counts.set(value, (candidate.counts.get(value) ?? 0) + 1);
        return value;
      });
    }
    this.#held = 0;
  }
}
