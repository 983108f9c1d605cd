/** Windows over time: selections of recent events, and metrics per tumbling or hopping window. */
import { ConfigError } from '../errors.js';
import type { Match } from '../readers/snapshot.js';
import { successOf } from '../readers/snapshot.js';
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

/** The rows of a resolved window, of rows ascending by time. */
export function selectWindow(
  ordered: readonly Match[],
  window: { range: readonly [number, number] } | { lastN: number },
): Match[] {
  if ('lastN' in window) return ordered.slice(-window.lastN);
  const [from, to] = window.range;
  return ordered.filter(({ batch, index }) => {
    const timeUs = timeUsOf(batch, index);
    return timeUs >= from && timeUs <= to;
  });
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
export function windowedMetrics(ordered: readonly Match[], options: WindowedOptions): WindowRow[] {
  checkWindowed(options);
  if (ordered.length === 0) return [];
  const { sizeUs, stepUs, align = 'first', quantiles = DEFAULT_QUANTILES } = options;
  const times = ordered.map(({ batch, index }) => timeUsOf(batch, index));
  const first = times[0];
  const last = times[times.length - 1];
  const originUs = align === 'first' ? first : 0;
  // The earliest window that reaches the first event, the latest that begins by the last one.
  const firstWindow = align === 'first' ? 0 : Math.floor((first - sizeUs) / stepUs) + 1;
  // The reference's rule for hopping windows, start + size ≤ last + step, extended until the last event is in.
  const complete = Math.floor((last + stepUs - sizeUs - originUs) / stepUs);
  const covering = Math.ceil((last - originUs - sizeUs + 1) / stepUs);
  const lastWindow = Math.max(complete, covering, firstWindow);
  const rows: WindowRow[] = [];
  let from = 0;
  for (let k = firstWindow; k <= lastWindow; k++) {
    const windowStart = originUs + k * stepUs;
    const windowEnd = windowStart + sizeUs;
    // So far from the origin that windows have no width in a double: there are no more.
    if (windowEnd <= windowStart || k + 1 === k) break;
    while (from < times.length && times[from] < windowStart) from++;
    if (from === times.length) break;
    if (times[from] >= windowEnd) {
      // A gap: go on with the first window that reaches the next event.
      k = Math.max(k, Math.floor((times[from] - originUs - sizeUs) / stepUs));
      continue;
    }
    let to = from;
    while (to < times.length && times[to] < windowEnd) to++;
    rows.push(windowRow(ordered, from, to, windowStart, windowEnd, quantiles));
  }
  return rows;
}

function windowRow(
  ordered: readonly Match[],
  from: number,
  to: number,
  windowStart: number,
  windowEnd: number,
  quantiles: readonly number[],
): WindowRow {
  const latencies: number[] = [];
  const moments = new Welford();
  const row = { totalCost: 0, successCount: 0, failureCount: 0, promptTokens: 0, completionTokens: 0 };
  for (let i = from; i < to; i++) {
    const { batch, index } = ordered[i];
    const latencyMs = batch.latencyMs[index];
    if (isValue(latencyMs)) {
      latencies.push(latencyMs);
      moments.push(latencyMs);
    }
    const costUsd = batch.costUsd[index];
    if (isValue(costUsd)) row.totalCost += costUsd;
    row.promptTokens += Math.max(batch.promptTokens[index], 0);
    row.completionTokens += Math.max(batch.completionTokens[index], 0);
    const success = successOf(batch.tags[index]);
    if (success === true) row.successCount++;
    else if (success === false) row.failureCount++;
  }
  const values = latencies.length > 0 ? (quantile(latencies, [...quantiles]) as number[]) : [];
  return {
    windowStart,
    windowEnd,
    eventCount: to - from,
    meanLatency: moments.mean,
    stdDevLatency: moments.stdDev,
    latencyQuantiles: Object.fromEntries(quantiles.map((p, i) => [`p${quantileName(p)}`, values[i] ?? null])),
    ...row,
  };
}

/** 0.5 → "50", 0.999 → "999": how percentiles are named in the other metrics. */
function quantileName(p: number): string {
  return String(Number((p * 100).toPrecision(12))).replace('.', '');
}
