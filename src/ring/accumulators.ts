/** Reading the accumulators: a consistent copy per slot, merged over producers. */
import {
  ACCUMULATORS_BYTES,
  BIN_BIAS,
  BIN_COUNT,
  BINS_COST_NEGATIVE_OFFSET,
  BINS_COST_OFFSET,
  BINS_LATENCY_NEGATIVE_OFFSET,
  BINS_LATENCY_OFFSET,
  HEADER_STATS_EPOCH_OFFSET,
  LIVE_SLOTS_OFFSET,
  PRODUCER_BYTES,
  PRODUCER_STATS_EPOCH_OFFSET,
  PRODUCER_STATS_VERSION_OFFSET,
  PRODUCERS,
  SLOT_BYTES,
  SLOT_COUNT,
  SLOT_FAILED_OFFSET,
  SLOT_M2_OFFSET,
  SLOT_MAX_OFFSET,
  SLOT_MIN_OFFSET,
  SLOT_N_OFFSET,
  SLOT_ROWS_OFFSET,
  SLOT_SUCCEEDED_OFFSET,
  SLOT_SUM_ERROR_OFFSET,
  SLOT_SUM_OFFSET,
  SLOT_TOKEN_ROWS_OFFSET,
  SLOT_TOKENS_OFFSET,
} from '../../assembly/layout.js';
import { Welford } from '../stats/moments.js';
import { QuantileSketch } from '../stats/sketch.js';
import type { Geometry } from './memory.js';
import type { SharedMemory } from './wasm.js';

/** What a set of rows adds up to. Every part merges. */
export class Tally {
  rows = 0;
  succeeded = 0;
  failed = 0;
  tokenRows = 0;
  promptTokens = 0;
  completionTokens = 0;
  readonly latency = new MetricTally();
  readonly cost = new MetricTally();

  merge(other: Tally): void {
    this.rows += other.rows;
    this.succeeded += other.succeeded;
    this.failed += other.failed;
    this.tokenRows += other.tokenRows;
    this.promptTokens += other.promptTokens;
    this.completionTokens += other.completionTokens;
    this.latency.merge(other.latency);
    this.cost.merge(other.cost);
  }
}

/** Moments, exact sum and sketch of one metric. */
export class MetricTally {
  count = 0;
  sum = 0;
  min = Number.POSITIVE_INFINITY;
  max = Number.NEGATIVE_INFINITY;
  readonly moments = new Welford();
  readonly sketch = new QuantileSketch(0.01);

  merge(other: MetricTally): void {
    this.count += other.count;
    this.sum += other.sum;
    this.min = Math.min(this.min, other.min);
    this.max = Math.max(this.max, other.max);
    this.moments.merge(other.moments);
    this.sketch.merge(other.sketch);
  }
}

/** A producer's lock is held for about a microsecond, so it is worth spinning for. */
const SPINS = 4096;
/** Its holder may have been put aside by the system; one that died has left it for ever. */
const NAPS = 4096;
const NAP_MS = 0.25;

export class AccumulatorReader {
  readonly #geometry: Geometry;
  readonly #bytes: DataView;
  readonly #i32: Int32Array;

  constructor(memory: SharedMemory, geometry: Geometry) {
    this.#geometry = geometry;
    this.#bytes = new DataView(memory.buffer);
    this.#i32 = new Int32Array(memory.buffer);
  }

  /** The tally of every slot that has rows, over all producers. */
  read(): Map<number, Tally> {
    const slots = new Map<number, Tally>();
    for (let producer = 0; producer < this.#geometry.producerCount; producer++) {
      for (const [slot, tally] of this.#producer(producer)) {
        const known = slots.get(slot);
        if (known) known.merge(tally);
        else slots.set(slot, tally);
      }
    }
    return slots;
  }

  /** What the live columns' values add up to, over all producers; by name, in the order of the columns. */
  readLive(): Map<string, MetricTally> {
    const { columns, liveAddress, producerCount } = this.#geometry;
    const live = columns.filter((column) => column.live);
    const tallies = new Map(live.map(({ name }) => [name, new MetricTally()]));
    for (let producer = 0; producer < producerCount && live.length > 0; producer++) {
      const start = liveAddress + LIVE_SLOTS_OFFSET + producer * live.length * SLOT_BYTES;
      for (const [index, tally] of this.#tallies(producer, start, live.length)) {
        tallies.get(live[index]!.name)!.merge(tally.latency);
      }
    }
    return tallies;
  }

  /** Forgets everything: each producer empties its own accumulators before it adds to them again. */
  reset(): void {
    Atomics.add(this.#i32, HEADER_STATS_EPOCH_OFFSET >> 2, 1);
  }

  #producer(producer: number): Map<number, Tally> {
    const start = this.#geometry.accumulatorsAddress + producer * ACCUMULATORS_BYTES;
    return this.#tallies(producer, start, SLOT_COUNT);
  }

  /** Those of a producer's slots, of which there are `count` from `start` on, that have rows. */
  #tallies(producer: number, start: number, count: number): Map<number, Tally> {
    const block = PRODUCERS + producer * PRODUCER_BYTES;
    const version = (block + PRODUCER_STATS_VERSION_OFFSET) >> 2;
    const slots = new Map<number, Tally>();
    if (Atomics.load(this.#i32, version) === 0) return slots;
    let abandoned = false;
    for (let slot = 0; slot < count; slot++) {
      const address = start + slot * SLOT_BYTES;
      if (this.#i64(address + SLOT_ROWS_OFFSET) === 0) continue;
      // Slot by slot, so that the producer never waits for more than the copying of one.
      const locked: boolean = !abandoned && this.#lock(version);
      abandoned = !locked;
      const epoch = this.#i32[(block + PRODUCER_STATS_EPOCH_OFFSET) >> 2];
      const current = epoch === Atomics.load(this.#i32, HEADER_STATS_EPOCH_OFFSET >> 2);
      const tally = current ? this.#tally(address) : undefined;
      if (locked) Atomics.add(this.#i32, version, 1);
      if (tally !== undefined && tally.rows > 0) slots.set(slot, tally);
    }
    return slots;
  }

  /** Makes the version odd. @returns false when whoever holds it does not let go: its thread has ended */
  #lock(version: number): boolean {
    for (let attempt = 0; attempt < SPINS + NAPS; attempt++) {
      const seen = Atomics.load(this.#i32, version);
      if ((seen & 1) === 0) {
        if (Atomics.compareExchange(this.#i32, version, seen, seen + 1) === seen) return true;
      } else if (attempt >= SPINS) {
        Atomics.wait(this.#i32, version, seen, NAP_MS);
      }
    }
    return false;
  }

  #tally(address: number): Tally {
    const tally = new Tally();
    tally.rows = this.#i64(address + SLOT_ROWS_OFFSET);
    tally.succeeded = this.#i64(address + SLOT_SUCCEEDED_OFFSET);
    tally.failed = this.#i64(address + SLOT_FAILED_OFFSET);
    tally.tokenRows = this.#i64(address + SLOT_TOKEN_ROWS_OFFSET);
    tally.promptTokens = this.#i64(address + SLOT_TOKENS_OFFSET);
    tally.completionTokens = this.#i64(address + SLOT_TOKENS_OFFSET + 8);
    this.#metric(tally.latency, address, 0, BINS_LATENCY_OFFSET, BINS_LATENCY_NEGATIVE_OFFSET);
    this.#metric(tally.cost, address, 8, BINS_COST_OFFSET, BINS_COST_NEGATIVE_OFFSET);
    return tally;
  }

  /** @param lane - byte offset of the metric's lane in a pair */
  #metric(into: MetricTally, address: number, lane: number, positive: number, negative: number): void {
    const f64 = (offset: number) => this.#bytes.getFloat64(address + offset + lane, true);
    const count = f64(SLOT_N_OFFSET);
    if (count === 0) return;
    const min = f64(SLOT_MIN_OFFSET);
    const max = f64(SLOT_MAX_OFFSET);
    into.count = count;
    into.min = min;
    into.max = max;
    into.sum = f64(SLOT_SUM_OFFSET) + f64(SLOT_SUM_ERROR_OFFSET);
    // Rounding can leave a tiny negative sum of squares where all values are equal.
    const m2 = Math.max(0, f64(SLOT_M2_OFFSET));
    const mean = into.sum / count;
    into.moments.merge(Welford.from({ count, mean, m2, min, max }));
    if (max >= 0) this.#bins(into.sketch, 1, address + positive, Math.max(min, 0), max);
    if (min < 0) this.#bins(into.sketch, -1, address + negative, Math.max(-max, 0), -min);
    if (min < 0 && max < 0) this.#zeros(into.sketch, address + positive);
    into.sketch.includeRange(min, max);
  }

  /** Adds the bins that magnitudes in [least, most] fall into. */
  #bins(sketch: QuantileSketch, sign: 1 | -1, bins: number, least: number, most: number): void {
    for (let bin = binOf(least); bin <= binOf(most); bin++) {
      const count = this.#i64(bins + bin * 8);
      if (count === 0) continue;
      if (bin === 0) sketch.addBucket(0, 0, count);
      else sketch.addBucket(sign, bin + BIN_BIAS, count);
    }
  }

  /** Negative values too small to have a bin count as zero, on the positive side. */
  #zeros(sketch: QuantileSketch, positiveBins: number): void {
    const count = this.#i64(positiveBins);
    if (count > 0) sketch.addBucket(0, 0, count);
  }

  /** A count, exact up to 2^53. */
  #i64(address: number): number {
    return this.#bytes.getUint32(address, true) + this.#bytes.getInt32(address + 4, true) * 2 ** 32;
  }
}

const magnitudeBits = new DataView(new ArrayBuffer(8));

/** The bin a magnitude falls into; the same arithmetic as `countValue` in assembly/accumulate.ts. */
function binOf(magnitude: number): number {
  magnitudeBits.setFloat64(0, magnitude);
  return Math.min(Math.max((magnitudeBits.getUint32(0) >>> 14) - BIN_BIAS, 0), BIN_COUNT - 1);
}
