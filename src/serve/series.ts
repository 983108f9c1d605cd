/**
 * Series: events over time, summed up by intervals of equal length. No event is left out: where there are more intervals
 * than a chart has room for, two become one.
 */
import { QuantileSketch } from '../stats/sketch.js';

/** The shortest interval, µs; longer ones are twice as long, again and again. */
const INTERVAL_US_MIN = 250_000;
const INTERVALS_MAX = 480;
/** Of the quantiles of an interval. */
const RELATIVE_ERROR = 0.02;

/** What a row adds. NaN: it has none. */
export interface SeriesRow {
  latencyMs: number;
  costUsd: number;
  tokens: number;
  ttftMs: number;
  /** 1 succeeded, 0 failed, -1 unknown. */
  success: -1 | 0 | 1;
}

class Interval {
  count = 0;
  succeeded = 0;
  failed = 0;
  costUsd = 0;
  tokens = 0;
  latency: QuantileSketch | null = null;
  ttft: QuantileSketch | null = null;

  add({ latencyMs, costUsd, tokens, ttftMs, success }: SeriesRow): void {
    this.count++;
    if (success === 1) this.succeeded++;
    else if (success === 0) this.failed++;
    if (!Number.isNaN(costUsd)) this.costUsd += costUsd;
    if (!Number.isNaN(tokens)) this.tokens += tokens;
    if (!Number.isNaN(latencyMs)) {
      this.latency ??= new QuantileSketch(RELATIVE_ERROR);
      this.latency.push(latencyMs);
    }
    if (!Number.isNaN(ttftMs)) {
      this.ttft ??= new QuantileSketch(RELATIVE_ERROR);
      this.ttft.push(ttftMs);
    }
  }

  merge(other: Interval): void {
    this.count += other.count;
    this.succeeded += other.succeeded;
    this.failed += other.failed;
    this.costUsd += other.costUsd;
    this.tokens += other.tokens;
    this.latency = merged(this.latency, other.latency);
    this.ttft = merged(this.ttft, other.ttft);
  }

  point(key: number): SeriesPoint {
    const { count, succeeded, failed, costUsd, tokens, latency, ttft } = this;
    const of = (sketch: QuantileSketch | null, p: number) => short(sketch?.quantile(p, 'linear') ?? null);
    return [
      key,
      count,
      succeeded,
      failed,
      short(costUsd) as number,
      tokens,
      of(latency, 0.5),
      of(latency, 0.95),
      of(latency, 0.99),
      of(ttft, 0.5),
      of(ttft, 0.95),
    ];
  }
}

/**
 * One interval: its number, counting from 1970; events, succeeded, failed; cost, USD; tokens; p50, p95 and p99 of the
 * latency, p50 and p95 of the time to first token, ms.
 */
export type SeriesPoint = readonly [
  key: number,
  count: number,
  succeeded: number,
  failed: number,
  costUsd: number,
  tokens: number,
  p50: number | null,
  p95: number | null,
  p99: number | null,
  ttftP50: number | null,
  ttftP95: number | null,
];

/** Enough digits for a chart. */
function short(value: number | null): number | null {
  return value === null ? null : Number(value.toPrecision(6));
}

function merged(one: QuantileSketch | null, other: QuantileSketch | null): QuantileSketch | null {
  if (one === null) return other;
  if (other !== null) one.merge(other);
  return one;
}

export class Series {
  intervalUs = INTERVAL_US_MIN;
  #intervals = new Map<number, Interval>();
  #first = Number.POSITIVE_INFINITY;
  #last = Number.NEGATIVE_INFINITY;
  /** The version in which an interval was last changed. */
  readonly #changedIn = new Map<number, number>();
  /** That in which the intervals became longer. */
  #regroupedIn = 0;

  /** @param version - from which on the change is to be told */
  add(timeUs: number, row: SeriesRow, version: number): void {
    let key = Math.floor(timeUs / this.intervalUs);
    if (key < this.#first || key > this.#last) {
      while (this.#tooMany(key)) {
        this.#double(version);
        key = Math.floor(timeUs / this.intervalUs);
      }
      this.#first = Math.min(this.#first, key);
      this.#last = Math.max(this.#last, key);
    }
    let interval = this.#intervals.get(key);
    if (interval === undefined) {
      interval = new Interval();
      this.#intervals.set(key, interval);
    }
    interval.add(row);
    this.#changedIn.set(key, version);
  }

  #tooMany(key: number): boolean {
    return Math.max(this.#last, key) - Math.min(this.#first, key) >= INTERVALS_MAX;
  }

  #double(version: number): void {
    this.intervalUs *= 2;
    const wider = new Map<number, Interval>();
    for (const [key, interval] of this.#intervals) {
      const at = Math.floor(key / 2);
      const known = wider.get(at);
      if (known === undefined) wider.set(at, interval);
      else known.merge(interval);
    }
    this.#intervals = wider;
    if (wider.size > 0) {
      this.#first = Math.floor(this.#first / 2);
      this.#last = Math.floor(this.#last / 2);
    }
    this.#changedIn.clear();
    for (const key of wider.keys()) this.#changedIn.set(key, version);
    this.#regroupedIn = version;
  }

  /** Intervals that were changed after a version, ascending; all of them where their length has changed. */
  since(version: number): { intervalUs: number; isWhole: boolean; points: SeriesPoint[] } {
    const isWhole = version < this.#regroupedIn || version === 0;
    const points = [...this.#intervals]
      .filter(([key]) => isWhole || (this.#changedIn.get(key) as number) > version)
      .sort(([a], [b]) => a - b)
      .map(([key, interval]) => interval.point(key));
    return { intervalUs: this.intervalUs, isWhole, points };
  }
}
