/** Windows over time: selections of recent events, and metrics per tumbling or hopping window. */
import { ConfigError } from '../errors.js';
import type { OrderedRows } from '../readers/ordered.js';
import { successOf } from '../readers/rows.js';
import { isValue, timeUsOf } from '../ring/batch.js';
import { Welford } from '../stats/moments.js';
import { quantile } from '../stats/quantile.js';
import type { WindowRow } from './types.js';

export type WindowSpec =
  | { last: number; unit: 'seconds' | 'minutes' | 'hours'; now?: number }
  | { lastN: number }
  | { range: readonly [number, number] };

const UNIT_US: Readonly<Record<string, number>> = { seconds: 1e6, minutes: 60e6, hours: 3600e6 };

/**
 * The inclusive time range of a window, or how many events it holds; null when it holds none.
 * @throws ConfigError on an unknown unit or a value of the wrong type
 */
export function resolveWindow(
  spec: WindowSpec,
  nowUs: number,
): { range: readonly [number, number] } | { lastN: number } | null {
  const expectNumber = (path: string, value: unknown) => {
    if (typeof value !== 'number' || Number.isNaN(value)) throw new ConfigError(path, 'a number', value);
    return value;
  };
  if (typeof spec !== 'object' || spec === null) throw new ConfigError('window', 'a window', spec);
  if ('lastN' in spec) {
    const lastN = Math.floor(expectNumber('window.lastN', spec.lastN));
    return lastN <= 0 ? null : { lastN };
  }
  if ('range' in spec) {
    if (!Array.isArray(spec.range) || spec.range.length !== 2) {
      throw new ConfigError('window.range', 'two numbers of microseconds', spec.range);
    }
    const [from, to] = spec.range.map((us) => expectNumber('window.range', us));
    return from > to ? null : { range: [from, to] };
  }
  if (!('last' in spec)) throw new ConfigError('window', '{last, unit}, {lastN} or {range}', spec);
  const last = expectNumber('window.last', spec.last);
  const unitUs = Object.hasOwn(UNIT_US, spec.unit) ? UNIT_US[spec.unit] : undefined;
  if (unitUs === undefined) throw new ConfigError('window.unit', 'seconds, minutes or hours', spec.unit);
  const now = spec.now === undefined ? nowUs : expectNumber('window.now', spec.now);
  return last <= 0 ? null : { range: [now - last * unitUs, now] };
}

export interface WindowedOptions {
  sizeUs: number;
  stepUs: number;
  /** Where window 0 begins: at the first event (default) or at the epoch. */
  align?: 'first' | 'epoch';
  quantiles?: readonly number[];
}

const DEFAULT_QUANTILES = [0.5, 0.95, 0.99];

/** @throws ConfigError */
export function checkWindowed(options: WindowedOptions): void {
  if (typeof options !== 'object' || options === null) throw new ConfigError('options', 'an object', options);
  const { sizeUs, stepUs, align, quantiles } = options;
  for (const [path, value] of [
    ['sizeUs', sizeUs],
    ['stepUs', stepUs],
  ] as const) {
    if (!(typeof value === 'number' && Number.isFinite(value) && value > 0)) {
      throw new ConfigError(path, 'a number of microseconds above 0', value);
    }
  }
  if (align !== undefined && align !== 'first' && align !== 'epoch') {
    throw new ConfigError('align', "'first' or 'epoch'", align);
  }
  if (quantiles !== undefined && !Array.isArray(quantiles)) {
    throw new ConfigError('quantiles', 'an array of numbers from 0 to 1', quantiles);
  }
  for (const p of quantiles ?? []) {
    if (!(typeof p === 'number' && p >= 0 && p <= 1))
      throw new ConfigError('quantiles', 'numbers from 0 to 1', p);
  }
}

/**
 * Metrics per window [origin + k·step, + size), half-open, for every window that holds an event.
 *
 * Every event lies in at least one window: the last window is the one that begins at or before the last event.
 * With step > size events between windows are in none, as asked for.
 *
 * @param ordered - ascending by time
 */
export async function windowedMetrics(
  ordered: AsyncIterable<OrderedRows>,
  options: WindowedOptions,
): Promise<WindowRow[]> {
  checkWindowed(options);
  const sweep = new WindowSweep(options);
  for await (const rows of ordered) sweep.add(rows);
  return sweep.finish();
}

/** Goes over rows ascending by time; holds those from the start of the next window on. */
class WindowSweep {
  private readonly sizeUs: number;
  private readonly stepUs: number;
  private readonly quantiles: readonly number[];
  private readonly fromFirst: boolean;
  private readonly open = new OpenRows();
  private readonly done: WindowRow[] = [];
  private originUs = 0;
  /** Number of the next window; NaN before the first row, and infinite when there can be no more. */
  private next = Number.NaN;
  private firstWindow = 0;
  private lastUs = 0;

  constructor({ sizeUs, stepUs, align = 'first', quantiles = DEFAULT_QUANTILES }: WindowedOptions) {
    this.sizeUs = sizeUs;
    this.stepUs = stepUs;
    this.quantiles = quantiles;
    this.fromFirst = align === 'first';
  }

  add({ table, rows }: OrderedRows): void {
    for (const row of rows) {
      const timeUs = timeUsOf(table, row);
      if (Number.isNaN(this.next)) this.begin(timeUs);
      this.lastUs = timeUs;
      if (timeUs < this.originUs + this.next * this.stepUs) continue;
      this.open.push(
        timeUs,
        table.latencyMs[row],
        table.costUsd[row],
        table.promptTokens[row],
        table.completionTokens[row],
        table.tags[row],
      );
      // Windows that end by now are whole. None of them is beyond the last: they end by the last event.
      this.close(timeUs, Number.POSITIVE_INFINITY);
    }
  }

  finish(): WindowRow[] {
    if (Number.isNaN(this.next)) return [];
    const { lastUs, originUs, sizeUs, stepUs } = this;
    // The reference's rule for hopping windows, start + size ≤ last + step, extended until the last event is in.
    const complete = Math.floor((lastUs + stepUs - sizeUs - originUs) / stepUs);
    const covering = Math.ceil((lastUs - originUs - sizeUs + 1) / stepUs);
    this.close(Number.POSITIVE_INFINITY, Math.max(complete, covering, this.firstWindow));
    return this.done;
  }

  private begin(firstUs: number): void {
    if (this.fromFirst) this.originUs = firstUs;
    // The earliest window that reaches the first event.
    else this.firstWindow = Math.floor((firstUs - this.sizeUs) / this.stepUs) + 1;
    this.next = this.firstWindow;
  }

  /** Works out the windows that end by `untilUs`, up to number `lastWindow`. */
  private close(untilUs: number, lastWindow: number): void {
    const { originUs, sizeUs, stepUs, open } = this;
    for (; this.next <= lastWindow; this.next++) {
      const windowStart = originUs + this.next * stepUs;
      const windowEnd = windowStart + sizeUs;
      // So far from the origin that windows have no width in a double: there are no more.
      if (windowEnd <= windowStart || this.next + 1 === this.next) this.next = Number.POSITIVE_INFINITY;
      if (windowEnd > untilUs || this.next === Number.POSITIVE_INFINITY) return;
      open.dropBefore(windowStart);
      if (open.isEmpty) return;
      const firstUs = open.firstUs;
      // A gap: go on with the first window that reaches the next event.
      if (firstUs >= windowEnd) {
        this.next = Math.max(this.next, Math.floor((firstUs - originUs - sizeUs) / stepUs));
      } else {
        this.done.push(open.summary(windowStart, windowEnd, this.quantiles));
      }
    }
  }
}

/** What windows need of the rows that they share, as a queue of columns. */
class OpenRows {
  private timeUs = new Float64Array(1024);
  private latencyMs = new Float64Array(1024);
  private costUsd = new Float64Array(1024);
  private promptTokens = new Int32Array(1024);
  private completionTokens = new Int32Array(1024);
  private tags = new Uint32Array(1024);
  private first = 0;
  private end = 0;

  get isEmpty(): boolean {
    return this.first === this.end;
  }

  /** Time of the earliest row. */
  get firstUs(): number {
    return this.timeUs[this.first];
  }

  push(
    timeUs: number,
    latencyMs: number,
    costUsd: number,
    promptTokens: number,
    completionTokens: number,
    tag: number,
  ): void {
    if (this.end === this.timeUs.length) this.makeRoom();
    const at = this.end++;
    this.timeUs[at] = timeUs;
    this.latencyMs[at] = latencyMs;
    this.costUsd[at] = costUsd;
    this.promptTokens[at] = promptTokens;
    this.completionTokens[at] = completionTokens;
    this.tags[at] = tag;
  }

  dropBefore(timeUs: number): void {
    while (this.first < this.end && this.timeUs[this.first] < timeUs) this.first++;
  }

  /** The metrics of the rows before `windowEnd`. */
  summary(windowStart: number, windowEnd: number, quantiles: readonly number[]): WindowRow {
    const latencies: number[] = [];
    const moments = new Welford();
    const row = { totalCost: 0, successCount: 0, failureCount: 0, promptTokens: 0, completionTokens: 0 };
    let at = this.first;
    for (; at < this.end && this.timeUs[at] < windowEnd; at++) {
      const latencyMs = this.latencyMs[at];
      if (isValue(latencyMs)) {
        latencies.push(latencyMs);
        moments.push(latencyMs);
      }
      const costUsd = this.costUsd[at];
      if (isValue(costUsd)) row.totalCost += costUsd;
      row.promptTokens += Math.max(this.promptTokens[at], 0);
      row.completionTokens += Math.max(this.completionTokens[at], 0);
      const success = successOf(this.tags[at]);
      if (success === true) row.successCount++;
      else if (success === false) row.failureCount++;
    }
    const values = latencies.length > 0 ? (quantile(latencies, [...quantiles]) as number[]) : [];
    return {
      windowStart,
      windowEnd,
      eventCount: at - this.first,
      meanLatency: moments.mean,
      stdDevLatency: moments.stdDev,
      latencyQuantiles: Object.fromEntries(
        quantiles.map((p, i) => [`p${quantileName(p)}`, values[i] ?? null]),
      ),
      ...row,
    };
  }

  /** Moves the rows to the front, where at least half of the room is free, or into twice the room. */
  private makeRoom(): void {
    const { first, end } = this;
    const capacity = first * 2 >= end ? end : end * 2;
    const moved = <T extends Float64Array | Int32Array | Uint32Array>(column: T): T => {
      const into =
        capacity === end ? column : new (column.constructor as new (length: number) => T)(capacity);
      into.set(column.subarray(first, end));
      return into;
    };
    this.timeUs = moved(this.timeUs);
    this.latencyMs = moved(this.latencyMs);
    this.costUsd = moved(this.costUsd);
    this.promptTokens = moved(this.promptTokens);
    this.completionTokens = moved(this.completionTokens);
    this.tags = moved(this.tags);
    this.first = 0;
    this.end = end - first;
  }
}

/** 0.5 → "50", 0.999 → "999": how percentiles are named in the other metrics. */
function quantileName(p: number): string {
  return String(Number((p * 100).toPrecision(12))).replace('.', '');
}
