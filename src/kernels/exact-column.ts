/**
 * ExactColumns: moments and quantiles of any number of values in any number of columns, exact, in bounded memory.
 *
 * Values are kept up to `keepMax` in all, and where that is enough one pass over the rows is. Beyond, the largest
 * columns are spilled: they keep nothing but sums and counts of the values' keys by their upper 16 bits. The rows are
 * then gone through again, for the squared deviations and for the values around each wanted rank: gathered where they
 * are few enough, otherwise counted by the next 16 bits. One such pass is enough for about 20 × keepMax latencies.
 *
 * −0 counts as 0.
 */
import type { Kernels } from './kernels.js';
import { doubleOf, keyOf } from './keys.js';
import { ColumnMoments } from './moments.js';
import { quantilesOf, ranksOf } from './quantiles.js';
import { placesOf, type Run, Selector } from './select.js';

/** 4 Mi values are 32 MiB. */
const KEEP_MAX = 1 << 22;
/** Values of a block, the unit in which memory is taken. */
const BLOCK_VALUES = 1024;
const BINS = 1 << 16;
/** Tables of so many bins at a time: 32 MiB. */
const TABLES_MAX = 128;
/** Above the 16 bits that the bins of the first pass tell apart there is nothing. */
const ROOT_SHIFT = 48;

export interface ColumnSummary {
  readonly count: number;
  readonly sum: number;
  readonly mean: number;
  /** Denominator n − 1; null for one value. */
  readonly stdDev: number | null;
  readonly stdDevPopulation: number;
  readonly min: number;
  readonly max: number;
  /** Type 7, in the order they were asked for. */
  readonly quantiles: readonly number[];
}

/**
 * What a pass was good for. 'again': the same rows are wanted once more. 'afresh': values are gone that were there in
 * the first pass, and everything has to begin anew.
 */
export type PassOutcome = 'done' | 'again' | 'afresh';

/** Keys among which wanted ranks lie: those that differ from `low` in the lower `shift + 16` bits only. */
interface Search {
  readonly low: bigint;
  readonly shift: number;
  /** Values in it. */
  readonly size: number;
  /** Values of the column below it. */
  readonly before: number;
  /** Of the column. */
  readonly ranks: readonly number[];
  /** What this pass does for it, if anything. */
  readonly work: { readonly gathers: boolean; readonly address: number; gathered: number } | undefined;
}

/** From 0 to 1; those that depend on how many values there are, as a function of that. */
export type WantedQuantiles = readonly number[] | ((count: number) => readonly number[]);

export interface KeepOptions {
  /** Values kept in memory, of all columns together; default 4,194,304. */
  keepMax?: number;
}

export class ExactColumns {
  readonly kernels: Kernels;
  readonly selector: Selector;
  readonly blockValues: number;
  pass = 1;
  readonly #keepMax: number;
  readonly #columns: ExactColumn[] = [];
  readonly #freeBlocks: number[] = [];
  #keptBlocks = 0;
  #tables = 0;
  /** Where the memory of the first pass ends. */
  #mark = 0;

  /** Whoever makes them has the kernels for itself, and gives back what they took. */
  constructor(kernels: Kernels, { keepMax = KEEP_MAX }: KeepOptions = {}) {
    this.kernels = kernels;
    this.selector = new Selector(kernels);
    this.#keepMax = keepMax;
    this.blockValues = Math.min(BLOCK_VALUES, keepMax);
  }

  /** A new column. @param quantiles - wanted, from 0 to 1, or which are of so many values */
  column(quantiles: WantedQuantiles): ExactColumn {
    const column = new ExactColumn(this, quantiles);
    this.#columns.push(column);
    return column;
  }

  /** To be called when all columns have been given all values; they must be given them as often as it says so. */
  endPass(): PassOutcome {
    const { kernels } = this;
    for (const column of this.#columns) column.flush();
    const spilled = this.#columns.filter((column) => !column.isKept);
    if (spilled.length === 0) return 'done';
    if (spilled.some((column) => column.seen !== column.count)) return 'afresh';
    for (const column of spilled) column.resolve();
    if (this.pass === 1) this.#mark = kernels.mark;
    kernels.release(this.#mark);
    this.pass++;
    this.#tables = 0;
    this.#plan(spilled);
    return this.pass === 2 || spilled.some((column) => column.searches.length > 0) ? 'again' : 'done';
  }

  /** Finds work for as many searches as memory allows, small ones first; the others wait for another pass. */
  #plan(columns: readonly ExactColumn[]): void {
    let room = this.#keepMax;
    const open = columns.flatMap((column) => column.searches.splice(0).map((search) => ({ column, search })));
    open.sort((a, b) => a.search.size - b.search.size);
    for (const { column, search } of open) {
      if (search.size <= room) {
        room -= search.size;
        // One more, since gathering stores before it decides.
        const address = this.kernels.allocate(8 * (search.size + 1));
        column.searches.push({ ...search, work: { gathers: true, address, gathered: 0 } });
      } else {
        column.searches.push({ ...search, work: this.tableWork() });
      }
    }
    for (const { searches } of columns) searches.sort((a, b) => a.before - b.before);
  }

  /** A table to count in; undefined when there are enough of them in this pass. */
  tableWork(): Search['work'] {
    if (this.#tables === TABLES_MAX) return undefined;
    this.#tables++;
    const address = this.kernels.allocate(4 * (BINS + 1));
    this.kernels.u32.fill(0, address >> 2, (address >> 2) + BINS + 1);
    return { gathers: false, address, gathered: 0 };
  }

  takeBlock(): number {
    return this.#freeBlocks.pop() ?? this.kernels.allocate(8 * this.blockValues);
  }

  /** Somebody keeps one block more. Spills the largest column where that is too much. */
  keepBlock(): void {
    this.#keptBlocks++;
    if (this.#keptBlocks * this.blockValues <= this.#keepMax) return;
    const largest = this.#columns.reduce((a, b) => (b.blocks.length > a.blocks.length ? b : a));
    const blocks = largest.spill();
    this.#keptBlocks -= blocks.length;
    this.#freeBlocks.push(...blocks);
  }
}

/** One of them. */
export class ExactColumn {
  /** Values of the first pass. */
  count = 0;
  /** Values of the present pass. */
  seen = 0;
  isKept = true;
  /** Full ones, while values are kept. */
  blocks: number[] = [];
  searches: Search[] = [];

  private readonly owner: ExactColumns;
  private readonly wanted: WantedQuantiles;
  private readonly moments: ColumnMoments;
  /** The block being filled; 0 before the first value. */
  private block = 0;
  /** Address of the next value, and of the block's end. */
  private at = 0;
  private end = 0;
  /** Values with wanted ranks, as far as they are found. */
  private readonly found = new Map<number, number>();

  constructor(owner: ExactColumns, quantiles: WantedQuantiles) {
    this.owner = owner;
    this.wanted = quantiles;
    this.moments = new ColumnMoments(owner.kernels);
  }

  private get quantiles(): readonly number[] {
    return typeof this.wanted === 'function' ? this.wanted(this.count) : this.wanted;
  }

  /**
   * Takes the given rows' values, as far as they are values.
   * @param column - address of f64, in the kernels' memory
   * @param rows - address of their indices, u32, or 0 for the first `count` rows
   */
  add(column: number, rows: number, count: number): void {
    const { owner } = this;
    if (owner.pass > 1 && this.isKept) return;
    const { module } = owner.kernels;
    for (let i = 0; i < count; ) {
      if (this.at === this.end) this.turn();
      const taken = Math.min(count - i, (this.end - this.at) / 8);
      this.at +=
        rows === 0
          ? 8 * module.keepValues(column + 8 * i, 0, taken, this.at)
          : 8 * module.keepValues(column, rows + 4 * i, taken, this.at);
      i += taken;
    }
  }

  /** @returns undefined where there are no values */
  result(): ColumnSummary | undefined {
    const { count, moments } = this;
    if (count === 0) return undefined;
    const { sum, mean, min, max, scale } = moments;
    const { quantiles } = this;
    if (this.isKept) {
      for (const { values, count } of this.runs()) moments.addSquares(values, count);
      const ranks = ranksOf(quantiles, count);
      this.find(ranks, this.owner.selector.select(this.runs(), min, max, ranks));
    }
    const squares = moments.scaledSquares;
    return {
      count,
      sum,
      mean,
      stdDev: count > 1 ? Math.sqrt(squares / (count - 1)) * scale : null,
      stdDevPopulation: Math.sqrt(squares / count) * scale,
      min,
      max,
      quantiles: quantilesOf(quantiles, count, this.found),
    };
  }

  /** Ends a pass: what is in the block counts. */
  flush(): void {
    const held = (this.at - this.block) / 8;
    if (held > 0 && !(this.isKept && this.owner.pass > 1)) {
      this.consume(this.block, held);
      if (!this.isKept) this.at = this.block;
    }
    if (this.owner.pass === 1) this.count = this.seen;
  }

  /** Ceases to keep values. @returns the blocks that are free now */
  spill(): number[] {
    this.isKept = false;
    this.searches = [
      { low: 0n, shift: ROOT_SHIFT, size: 0, before: 0, ranks: [], work: this.owner.tableWork() },
    ];
    for (const block of this.blocks) this.search(block, this.owner.blockValues);
    return this.blocks.splice(0);
  }

  /** After a pass: takes from each search what it has found, and narrows it down. */
  resolve(): void {
    const { u32 } = this.owner.kernels;
    const wanted = ranksOf(this.quantiles, this.count);
    const narrower: Search[] = [];
    for (const search of this.searches) {
      const { low, shift, before, work } = search;
      const isRoot = this.owner.pass === 1;
      const ranks = isRoot ? wanted : search.ranks;
      if (work === undefined) {
        narrower.push(isRoot ? { ...search, size: this.count, ranks } : search);
      } else if (work.gathers) {
        this.selectGathered(search, work);
      } else {
        const start = work.address >> 2;
        const bins = u32.subarray(start, start + BINS);
        for (const place of placesOf(
          bins,
          ranks.map((rank) => rank - before),
        )) {
          const key = low + (BigInt(place.bin) << BigInt(shift));
          const first = before + place.before;
          const inside = place.ranks.map((rank) => rank + first);
          if (shift === 0) for (const rank of inside) this.found.set(rank, doubleOf(key));
          else
            narrower.push({
              low: key,
              shift: shift - 16,
              size: place.size,
              before: first,
              ranks: inside,
              work: undefined,
            });
        }
      }
    }
    this.searches = narrower;
    this.seen = 0;
  }

  /** The block is full, or there is none yet: makes room for another value. */
  private turn(): void {
    const { owner } = this;
    if (this.block !== 0) {
      this.consume(this.block, owner.blockValues);
      if (this.isKept) {
        this.blocks.push(this.block);
        this.block = 0;
        owner.keepBlock();
      }
    }
    if (this.block === 0) this.block = owner.takeBlock();
    this.at = this.block;
    this.end = this.block + 8 * owner.blockValues;
  }

  /** Takes a block's values into the sums of this pass, and into its searches. */
  private consume(values: number, count: number): void {
    const { pass } = this.owner;
    this.seen += count;
    if (pass === 1) this.moments.addValues(values, count);
    else if (pass === 2) this.moments.addSquares(values, count);
    if (!this.isKept) this.search(values, count);
  }

  private search(values: number, count: number): void {
    const { module } = this.owner.kernels;
    for (const { low, shift, work } of this.searches) {
      if (work === undefined) continue;
      if (work.gathers) {
        const mask = BigInt.asUintN(64, -1n << BigInt(shift + 16));
        work.gathered += module.gatherKeys(values, count, low, mask, work.address + 8 * work.gathered);
      } else {
        module.countKeys(values, count, low, shift, BINS, work.address);
      }
    }
  }

  private selectGathered({ low, shift, before, ranks }: Search, run: NonNullable<Search['work']>): void {
    const { min, max } = this.moments;
    const first = doubleOf(low);
    const last = doubleOf(low + (1n << BigInt(shift + 16)) - 1n);
    const runs = [{ values: run.address, count: run.gathered }];
    const values = this.owner.selector.select(
      runs,
      keyOf(min) > low ? min : first,
      Number.isNaN(last) || last > max ? max : last,
      ranks.map((rank) => rank - before),
    );
    this.find(ranks, values);
  }

  private find(ranks: readonly number[], values: readonly number[]): void {
    ranks.forEach((rank, i) => {
      this.found.set(rank, values[i]);
    });
  }

  /** The values kept. */
  private runs(): Run[] {
    const { blockValues } = this.owner;
    const held = (this.at - this.block) / 8;
    const full = this.blocks.map((values) => ({ values, count: blockValues }));
    return held > 0 ? [...full, { values: this.block, count: held }] : full;
  }
}
