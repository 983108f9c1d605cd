/**
 * Panes: the rows that open windows share, summed up between two cuts, so that no window has to go over them again.
 *
 * A window is whole panes, from the first that is held to the last. Of the rows' columns only latencies are kept, side
 * by side in the kernels' memory, which is where quantiles are selected.
 */
import type { Kernels } from '../kernels/kernels.js';
import { ColumnMoments } from '../kernels/moments.js';
import { quantilesOf, ranksOf } from '../kernels/quantiles.js';
import { type Run, Selector } from '../kernels/select.js';
import { type Shelf, Shelves } from '../kernels/shelves.js';
import { successOf } from '../readers/rows.js';
import { type Columns, isValue } from '../ring/batch.js';
import { CompensatedSum } from '../stats/compensated.js';
import { Welford } from '../stats/moments.js';
import type { WindowRow } from './types.js';

const CAPACITY_MIN = 1 << 16;

/** Rows of consecutive times. */
class Pane {
  readonly firstUs: number;
  /** Where in f64 the latencies begin; moved along with them. */
  start: number;
  rows = 0;
  successCount = 0;
  failureCount = 0;
  promptTokens = 0;
  completionTokens = 0;
  readonly cost = new CompensatedSum();
  /** Of the latencies; undefined while the pane is filled. */
  latency: Welford | undefined;
  /** Of the latencies; undefined where there are few. */
  shelf: Shelf | undefined;

  constructor(firstUs: number, start: number) {
    this.firstUs = firstUs;
    this.start = start;
  }
}

export class Panes {
  private readonly kernels: Kernels;
  private readonly quantiles: readonly number[];
  private readonly names: readonly string[];
  private readonly selector: Selector;
  private readonly shelves: Shelves;
  private readonly moments: ColumnMoments;
  private panes: Pane[] = [];
  /** The one being filled. */
  private last: Pane | undefined;
  /** In f64: where the room for latencies begins, where the next one goes, and where it ends. */
  private base: number;
  private at: number;
  private end: number;

  constructor(kernels: Kernels, quantiles: readonly number[]) {
    this.kernels = kernels;
    this.quantiles = quantiles;
    this.names = quantiles.map((p) => `p${quantileName(p)}`);
    this.selector = new Selector(kernels);
    this.shelves = new Shelves(kernels, this.selector);
    this.moments = new ColumnMoments(kernels);
    this.base = kernels.allocate(8 * CAPACITY_MIN) >> 3;
    this.at = this.base;
    this.end = this.base + CAPACITY_MIN;
  }

  get isEmpty(): boolean {
    return this.panes.length === 0;
  }

  /** Time of the earliest row. */
  get firstUs(): number {
    return this.panes[0].firstUs;
  }

  add(timeUs: number, columns: Columns, row: number): void {
    if (this.last === undefined) {
      this.last = new Pane(timeUs, this.at);
      this.panes.push(this.last);
    }
    const pane = this.last;
    pane.rows++;
    const latencyMs = columns.latencyMs[row];
    if (isValue(latencyMs)) {
      if (this.at === this.end) this.makeRoom();
      this.kernels.f64[this.at++] = latencyMs + 0;
    }
    const costUsd = columns.costUsd[row];
    if (isValue(costUsd)) pane.cost.add(costUsd);
    pane.promptTokens += Math.max(columns.promptTokens[row], 0);
    pane.completionTokens += Math.max(columns.completionTokens[row], 0);
    const success = successOf(columns.tags[row]);
    if (success === true) pane.successCount++;
    else if (success === false) pane.failureCount++;
  }

  /** Rows from now on are another pane's. */
  cut(): void {
    const pane = this.last;
    if (pane === undefined) return;
    this.last = undefined;
    const { moments } = this;
    const count = this.at - pane.start;
    if (count === 0) {
      pane.latency = new Welford();
      return;
    }
    moments.clear();
    moments.addValues(8 * pane.start, count);
    moments.addSquares(8 * pane.start, count);
    const { mean, min, max, scale } = moments;
    pane.shelf = this.shelves.shelve({ values: 8 * pane.start, count }, min, max);
    pane.latency = Welford.from({ count, mean, min, max, m2: moments.scaledSquares * scale * scale });
  }

  dropBefore(timeUs: number): void {
    let dropped = 0;
    while (dropped < this.panes.length && this.panes[dropped].firstUs < timeUs) dropped++;
    if (dropped === 0) return;
    if (dropped === this.panes.length) this.last = undefined;
    for (const { shelf } of this.panes.splice(0, dropped)) if (shelf !== undefined) this.shelves.free(shelf);
  }

  /** The metrics of everything that is held, which is something. */
  summary(windowStart: number, windowEnd: number): WindowRow {
    this.cut();
    const latency = new Welford();
    const cost = new CompensatedSum();
    const sums = { successCount: 0, failureCount: 0, promptTokens: 0, completionTokens: 0 };
    let eventCount = 0;
    for (const pane of this.panes) {
      eventCount += pane.rows;
      latency.merge(pane.latency as Welford);
      cost.add(pane.cost.value);
      cost.add(pane.cost.residue);
      sums.successCount += pane.successCount;
      sums.failureCount += pane.failureCount;
      sums.promptTokens += pane.promptTokens;
      sums.completionTokens += pane.completionTokens;
    }
    const quantiles = this.latencyQuantiles(latency);
    return {
      windowStart,
      windowEnd,
      eventCount,
      meanLatency: latency.mean,
      stdDevLatency: latency.stdDev,
      latencyQuantiles: Object.fromEntries(this.names.map((name, i) => [name, quantiles[i] ?? null])),
      totalCost: cost.value,
      ...sums,
    };
  }

  private latencyQuantiles({ count, min, max }: Welford): number[] {
    if (count === 0) return [];
    const ranks = ranksOf(this.quantiles, count);
    const values = this.selectRanks(count, min as number, max as number, ranks);
    return quantilesOf(this.quantiles, count, new Map(ranks.map((rank, i) => [rank, values[i]])));
  }

  private selectRanks(count: number, min: number, max: number, ranks: readonly number[]): number[] {
    const shelves: Shelf[] = [];
    const loose: Run[] = [];
    let looseCount = 0;
    for (const { start, shelf, latency } of this.panes) {
      if (shelf !== undefined) shelves.push(shelf);
      else {
        const { count } = latency as Welford;
        loose.push({ values: 8 * start, count });
        looseCount += count;
      }
    }
    // To put most of them on a shelf takes longer than to select from all.
    if (2 * looseCount > count)
      return this.selector.select([{ values: 8 * this.panes[0].start, count }], min, max, ranks);
    return this.shelves.select(shelves, loose, min, max, ranks);
  }

  /** Moves the latencies to the front, where at least half of the room is free, or into twice the room. */
  private makeRoom(): void {
    const { f64 } = this.kernels;
    const first = this.panes[0].start;
    const held = this.at - first;
    let room = this.end - this.base;
    let base = this.base;
    if (2 * held > room) {
      room *= 2;
      base = this.kernels.allocate(8 * room) >> 3;
    }
    f64.copyWithin(base, first, this.at);
    for (const pane of this.panes) {
      pane.start += base - first;
      if (pane.shelf !== undefined) pane.shelf.values = 8 * pane.start;
    }
    this.base = base;
    this.at = base + held;
    this.end = base + room;
  }
}

/** 0.5 → "50", 0.999 → "999": how percentiles are named in the other metrics. */
function quantileName(p: number): string {
  return String(Number((p * 100).toPrecision(12))).replace('.', '');
}
