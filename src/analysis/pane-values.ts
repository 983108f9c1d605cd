/**
 * The values of one measure in the panes that are open, side by side in the kernels' memory, which is where moments are
 * summed up and quantiles selected.
 */
import type { Kernels } from '../kernels/kernels.js';
import { ColumnMoments } from '../kernels/moments.js';
import { quantilesOf, ranksOf } from '../kernels/quantiles.js';
import { type Run, Selector } from '../kernels/select.js';
import { type Shelf, Shelves } from '../kernels/shelves.js';
import { Welford } from '../stats/moments.js';

const CAPACITY_MIN = 1 << 16;

/** What one pane has of the measure. */
interface PaneRun {
  /** Where in f64 its values begin; moved along with them. */
  start: number;
  /** Undefined while the pane is filled. */
  moments: Welford | undefined;
  /** Undefined where there are few values. */
  shelf: Shelf | undefined;
}

/** What the kernels need to look into values; any number of measures may share it. */
export class PaneKernels {
  readonly kernels: Kernels;
  readonly selector: Selector;
  readonly moments: ColumnMoments;

  constructor(kernels: Kernels) {
    this.kernels = kernels;
    this.selector = new Selector(kernels);
    this.moments = new ColumnMoments(kernels);
  }
}

export class PaneValues {
  readonly #tools: PaneKernels;
  readonly #shelves: Shelves;
  /** In the order of the panes. */
  readonly #runs: PaneRun[] = [];
  /** In f64: where the room begins, where the next value goes, and where the room ends. */
  #base: number;
  #at: number;
  #end: number;

  constructor(tools: PaneKernels) {
    const { kernels, selector } = tools;
    this.#tools = tools;
    this.#shelves = new Shelves(kernels, selector);
    this.#base = kernels.allocate(8 * CAPACITY_MIN) >> 3;
    this.#at = this.#base;
    this.#end = this.#base + CAPACITY_MIN;
  }

  /** Values from now on are of another pane. */
  begin(): void {
    this.#runs.push({ start: this.#at, moments: undefined, shelf: undefined });
  }

  push(value: number): void {
    if (this.#at === this.#end) this.#makeRoom();
    this.#tools.kernels.f64[this.#at++] = value + 0;
  }

  /** The pane that is filled has all its values. */
  end(): void {
    const run = this.#runs.at(-1) as PaneRun;
    const { kernels, moments } = this.#tools;
    const count = this.#at - run.start;
    if (count === 0) {
      run.moments = new Welford();
      return;
    }
    moments.clear();
    moments.addValues(8 * run.start, count);
    moments.addSquares(8 * run.start, count);
    const { mean, min, max, scale } = moments;
    run.shelf = this.#shelves.shelve({ values: 8 * run.start, count }, min, max);
    if (Number.isFinite(moments.sum)) {
      run.moments = Welford.from({ count, mean, min, max, m2: moments.scaledSquares * scale * scale });
      return;
    }
    // Values so large that their sum is none: one by one.
    run.moments = new Welford();
    for (let i = run.start; i < this.#at; i++) run.moments.push(kernels.f64[i]);
  }

  /** Forgets the first panes, so many. */
  drop(panes: number): void {
    for (const { shelf } of this.#runs.splice(0, panes)) if (shelf !== undefined) this.#shelves.free(shelf);
  }

  /** Of everything that is held; every pane has ended. */
  moments(): Welford {
    const all = new Welford();
    for (const { moments } of this.#runs) all.merge(moments as Welford);
    return all;
  }

  /** @param moments - as `moments` tells them @returns none where there are no values */
  quantiles(quantiles: readonly number[], { count, min, max }: Welford): number[] {
    if (count === 0) return [];
    const ranks = ranksOf(quantiles, count);
    const values = this.#select(count, min as number, max as number, ranks);
    return quantilesOf(quantiles, count, new Map(ranks.map((rank, i) => [rank, values[i]])));
  }

  #select(count: number, min: number, max: number, ranks: readonly number[]): number[] {
    const shelves: Shelf[] = [];
    const loose: Run[] = [];
    let looseCount = 0;
    for (const { start, shelf, moments } of this.#runs) {
      if (shelf !== undefined) shelves.push(shelf);
      else {
        const { count } = moments as Welford;
        loose.push({ values: 8 * start, count });
        looseCount += count;
      }
    }
    // To put most of them on a shelf takes longer than to select from all.
    if (2 * looseCount > count) {
      return this.#tools.selector.select([{ values: 8 * this.#runs[0].start, count }], min, max, ranks);
    }
    return this.#shelves.select(shelves, loose, min, max, ranks);
  }

  /** Moves the values to the front, where at least half of the room is free, or into twice the room. */
  #makeRoom(): void {
    const { kernels } = this.#tools;
    const first = this.#runs[0].start;
    const held = this.#at - first;
    let room = this.#end - this.#base;
    let base = this.#base;
    if (2 * held > room) {
      room *= 2;
      base = kernels.allocate(8 * room) >> 3;
    }
    kernels.f64.copyWithin(base, first, this.#at);
    for (const run of this.#runs) {
      run.start += base - first;
      if (run.shelf !== undefined) run.shelf.values = 8 * run.start;
    }
    this.#base = base;
    this.#at = base + held;
    this.#end = base + room;
  }
}
