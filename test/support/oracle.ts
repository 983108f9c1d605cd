/** What rows add up to, worked out one row at a time: the plain counterpart of assembly/accumulate.ts. */

import { BIN_BIAS, BIN_COUNT, BIN_MANTISSA_BITS, TIME_US_MAX, VALUE_MAX } from '../../assembly/layout.js';
import { Welford } from '../../src/stats/moments.js';
import { bucketOf, QuantileSketch } from '../../src/stats/sketch.js';

/** One row as a recorder is given it: NaN = absent, -1 = absent tokens. */
export interface PlainRow {
  readonly timeUs: number;
  readonly latencyMs: number;
  readonly costUsd: number;
  readonly prompt: number;
  readonly completion: number;
  readonly success: boolean | null;
}

export class PlainMetric {
  readonly values: number[] = [];
  readonly moments = new Welford();

  add(value: number): void {
    if (!(Math.abs(value) <= VALUE_MAX)) return;
    this.values.push(value);
    this.moments.push(value);
  }

  get sum(): number {
    return this.values.reduce((sum, value) => sum + value, 0);
  }

  /** Magnitude of what was summed: the scale of its rounding errors. */
  get sumOfMagnitudes(): number {
    return this.values.reduce((sum, value) => sum + Math.abs(value), 0);
  }

  /** The sketch whose buckets are those the layout describes: few enough for a fixed array. */
  sketch(): QuantileSketch {
    const sketch = new QuantileSketch(0.01);
    for (const value of this.values) {
      const bin = Math.min(Math.max(bucketOf(value, BIN_MANTISSA_BITS) - BIN_BIAS, 0), BIN_COUNT - 1);
      if (bin === 0) sketch.addBucket(0, 0, 1);
      else sketch.addBucket(value < 0 ? -1 : 1, bin + BIN_BIAS, 1);
    }
    return sketch;
  }
}

export class PlainTally {
  rows = 0;
  succeeded = 0;
  failed = 0;
  tokenRows = 0;
  promptTokens = 0;
  completionTokens = 0;
  readonly latency = new PlainMetric();
  readonly cost = new PlainMetric();

  add({ latencyMs, costUsd, prompt, completion, success }: PlainRow): void {
    this.rows++;
    if (success === true) this.succeeded++;
    if (success === false) this.failed++;
    if (prompt !== -1 || completion !== -1) this.tokenRows++;
    this.promptTokens += Math.max(prompt, 0);
    this.completionTokens += Math.max(completion, 0);
    this.latency.add(latencyMs);
    this.cost.add(costUsd);
  }
}

/** A row whose value is too large to count or whose time no calendar has. */
export function isMalformed({ timeUs, latencyMs, costUsd }: PlainRow): boolean {
  return (
    !(Math.abs(timeUs) <= TIME_US_MAX) || Math.abs(latencyMs) > VALUE_MAX || Math.abs(costUsd) > VALUE_MAX
  );
}
