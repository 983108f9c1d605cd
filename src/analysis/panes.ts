/**
 * Panes: the rows that open windows share, summed up between two cuts, so that no window has to go over them again.
 *
 * A window is whole panes, from the first that is held to the last. Values of a row are only kept where quantiles are
 * made of them: of latencies, and of outcomes that are neither rates nor ratios.
 */
import type { Kernels } from '../kernels/kernels.js';
import type { OrderedRows } from '../readers/ordered.js';
import { type RowSource, successOf } from '../readers/rows.js';
import { isValue } from '../ring/batch.js';
import { CompensatedSum } from '../stats/compensated.js';
import type { Question } from './compare/outcomes.js';
import { PaneKernels, PaneValues } from './pane-values.js';
import type { WindowRow } from './types.js';
import { WindowOutcomes } from './window-outcomes.js';

/** Rows of consecutive times. */
class Pane {
  readonly firstUs: number;
  rows = 0;
  successCount = 0;
  failureCount = 0;
  promptTokens = 0;
  completionTokens = 0;
  readonly cost = new CompensatedSum();

  constructor(firstUs: number) {
    this.firstUs = firstUs;
  }
}

export class Panes {
  private readonly quantiles: readonly number[];
  private readonly names: readonly string[];
  private readonly latency: PaneValues;
  private readonly outcomes: WindowOutcomes | null;
  private panes: Pane[] = [];
  /** The one being filled. */
  private last: Pane | undefined;

  constructor(
    source: RowSource,
    questions: readonly Question[],
    quantiles: readonly number[],
    kernels: Kernels,
  ) {
    this.quantiles = quantiles;
    this.names = quantiles.map((p) => `p${quantileName(p)}`);
    const tools = new PaneKernels(kernels);
    this.latency = new PaneValues(tools);
    const named = quantiles.map((p, i) => [this.names[i], p] as const);
    this.outcomes = questions.length === 0 ? null : new WindowOutcomes(source, questions, named, tools);
  }

  get isEmpty(): boolean {
    return this.panes.length === 0;
  }

  /** Time of the earliest row. */
  get firstUs(): number {
    return this.panes[0].firstUs;
  }

  /** The i-th of these rows. */
  add(timeUs: number, ordered: OrderedRows, i: number): void {
    if (this.last === undefined) {
      this.last = new Pane(timeUs);
      this.panes.push(this.last);
      this.latency.begin();
      this.outcomes?.begin();
    }
    const pane = this.last;
    const { table } = ordered;
    const row = ordered.rows[i];
    pane.rows++;
    const latencyMs = table.latencyMs[row];
    if (isValue(latencyMs)) this.latency.push(latencyMs);
    const costUsd = table.costUsd[row];
    if (isValue(costUsd)) pane.cost.add(costUsd);
    pane.promptTokens += Math.max(table.promptTokens[row], 0);
    pane.completionTokens += Math.max(table.completionTokens[row], 0);
    const success = successOf(table.tags[row]);
    if (success === true) pane.successCount++;
    else if (success === false) pane.failureCount++;
    this.outcomes?.add(ordered, i);
  }

  /** Rows from now on are another pane's. */
  cut(): void {
    if (this.last === undefined) return;
    this.last = undefined;
    this.latency.end();
    this.outcomes?.end();
  }

  dropBefore(timeUs: number): void {
    let dropped = 0;
    while (dropped < this.panes.length && this.panes[dropped].firstUs < timeUs) dropped++;
    if (dropped === 0) return;
    if (dropped === this.panes.length) this.last = undefined;
    this.panes.splice(0, dropped);
    this.latency.drop(dropped);
    this.outcomes?.drop(dropped);
  }

  /** The metrics of everything that is held, which is something. */
  summary(windowStart: number, windowEnd: number): WindowRow {
    this.cut();
    const cost = new CompensatedSum();
    const sums = { successCount: 0, failureCount: 0, promptTokens: 0, completionTokens: 0 };
    let eventCount = 0;
    for (const pane of this.panes) {
      eventCount += pane.rows;
      cost.add(pane.cost.value);
      cost.add(pane.cost.residue);
      sums.successCount += pane.successCount;
      sums.failureCount += pane.failureCount;
      sums.promptTokens += pane.promptTokens;
      sums.completionTokens += pane.completionTokens;
    }
    const latency = this.latency.moments();
    const quantiles = this.latency.quantiles(this.quantiles, latency);
    return {
      windowStart,
      windowEnd,
      eventCount,
      meanLatency: latency.mean,
      stdDevLatency: latency.stdDev,
      latencyQuantiles: Object.fromEntries(this.names.map((name, i) => [name, quantiles[i] ?? null])),
      totalCost: cost.value,
      ...sums,
      ...(this.outcomes !== null && { outcomes: this.outcomes.result() }),
    };
  }
}

/** 0.5 → "50", 0.999 → "999": how percentiles are named in the other metrics. */
function quantileName(p: number): string {
  return String(Number((p * 100).toPrecision(12))).replace('.', '');
}
