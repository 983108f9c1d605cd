/**
 * Accumulators of one slot: exact moments, extremes, sums and log-bucket counts of latency and cost.
 *
 * Lane 0 of every f64x2 is latency, lane 1 cost. A batch's values are shifted by its first one before they are
 * squared: shifting by the running mean instead loses digits where the mean is large (1e9) and the spread
 * small. The batch is then merged into the slot: Chan, Golub & LeVeque 1979, STAN-CS-79-773.
 */
import {
  BIN_BIAS,
  BIN_COUNT,
  BIN_SHIFT,
  BINS_COST_NEGATIVE_OFFSET,
  BINS_COST_OFFSET,
  BINS_LATENCY_NEGATIVE_OFFSET,
  BINS_LATENCY_OFFSET,
  COLUMN_COST_OFFSET,
  COLUMN_LATENCY_OFFSET,
  COLUMN_TAG_OFFSET,
  COLUMN_TOKENS_OFFSET,
  FLAG_DECLARED,
  FLAG_MALFORMED,
  FLAGS_DECIDED,
  LIVE_BOOLEANS,
  LIVE_COUNT_OFFSET,
  LIVE_PLACE_BYTES,
  LIVE_PLACES_OFFSET,
  LIVE_SLOTS_OFFSET,
  PRODUCER_MALFORMED_OFFSET,
  SLOT_BYTES,
  SLOT_FAILED_OFFSET,
  SLOT_M2_OFFSET,
  SLOT_MAX_OFFSET,
  SLOT_MEAN_OFFSET,
  SLOT_MIN_OFFSET,
  SLOT_N_OFFSET,
  SLOT_ORIGIN_OFFSET,
  SLOT_ROWS_OFFSET,
  SLOT_SUCCEEDED_OFFSET,
  SLOT_SUM_ERROR_OFFSET,
  SLOT_SUM_OFFSET,
  SLOT_TOKEN_ROWS_OFFSET,
  SLOT_TOKENS_OFFSET,
  VALUE_MAX,
} from './layout';

/** The values whose bucket is one of the bins, smallest and largest: 2^-30 and just under 2^34 − 2^27. */
const IN_RANGE_MIN: f64 = 9.313225746154785e-10;
const IN_RANGE_MAX: f64 = 17045651455.999998;

/** Rows are named in chains by row + 1; these give the byte offsets of that row's f64 and of its i32 pair. */
@inline
function rowOffset(link: i32): i32 {
  return (link << 3) - 8;
}

@inline
function latencyAndCost(row: i32): v128 {
  return v128.load64_lane(row, v128.load64_zero(row, COLUMN_LATENCY_OFFSET), 1, COLUMN_COST_OFFSET);
}

/** Prompt and completion tokens of a row as i64x2, absent ones as 0. */
@inline
function tokensOf(row: i32): v128 {
  return i64x2.extend_low_i32x4_s(i32x4.max_s(v128.load64_zero(row, COLUMN_TOKENS_OFFSET), i32x4.splat(0)));
}

/** Whether the row carries prompt or completion tokens: not both are negative. */
@inline
function hasTokens(row: i32): bool {
  const pair = load<i64>(row, COLUMN_TOKENS_OFFSET);
  return ((pair << 32) & pair) >= 0;
}

@inline
function countInto(bins: i32, bucket: i32): void {
  const bin = bins + (bucket << 3);
  store<u64>(bin, load<u64>(bin) + 1);
}

/**
 * Walks rows whose latencies are all present and in range or all absent, and likewise their costs.
 *
 * @param slot - the slot's address
 * @param chunk - the chunk's address
 * @param link - first row + 1
 * @param end - link that ends the walk
 * @param chain - address of the u16 links
 * @param present - a lane is all ones where that metric is present
 */
export function walkUniform(slot: i32, chunk: i32, link: i32, end: i32, chain: i32, present: v128): void {
  const latencyBins = slot + BINS_LATENCY_OFFSET - (BIN_BIAS << 3);
  const costBins = slot + BINS_COST_OFFSET - (BIN_BIAS << 3);
  const hasLatency = i64x2.extract_lane(present, 0) != 0;
  const hasCost = i64x2.extract_lane(present, 1) != 0;
  const shift = v128.and(latencyAndCost(chunk + rowOffset(link)), present);
  let sum = f64x2.splat(0);
  let squares = f64x2.splat(0);
  let min = f64x2.splat(Infinity);
  let max = f64x2.splat(-Infinity);
  let tokens = i64x2.splat(0);
  let tokenRows: i64 = 0;
  let decided: i64 = 0;
  let rows: i64 = 0;
  do {
    const row = chunk + rowOffset(link);
    link = <i32>load<u16>(chain + (link << 1) - 2);
    const values = latencyAndCost(row);
    const d = v128.and(f64x2.sub(values, shift), present);
    sum = f64x2.add(sum, d);
    squares = f64x2.add(squares, f64x2.mul(d, d));
    // pmin and pmax keep their first operand when the second is NaN, which is what an absent value is.
    min = f64x2.pmin(min, values);
    max = f64x2.pmax(max, values);
    if (hasLatency) countInto(latencyBins, <i32>(load<u64>(row, COLUMN_LATENCY_OFFSET) >> BIN_SHIFT));
    if (hasCost) countInto(costBins, <i32>(load<u64>(row, COLUMN_COST_OFFSET) >> BIN_SHIFT));
    if (hasTokens(row)) {
      tokens = i64x2.add(tokens, tokensOf(row));
      tokenRows++;
    }
    decided += <i64>(load<u32>(row, COLUMN_TAG_OFFSET) & FLAGS_DECIDED);
    rows++;
  } while (link != end);
  const n = v128.and(f64x2.splat(<f64>rows), present);
  merge(slot, n, shift, sum, squares, min, max);
  addCounts(slot, rows, tokens, tokenRows, decided);
}

/** As walkUniform, for the rows of a chain of any kind: absent among present values, negative, infinite, … */
export function walkAny(slot: i32, chunk: i32, link: i32, chain: i32, producer: i32): void {
  let n = f64x2.splat(0);
  let shift = f64x2.splat(0);
  let sum = f64x2.splat(0);
  let squares = f64x2.splat(0);
  let min = f64x2.splat(Infinity);
  let max = f64x2.splat(-Infinity);
  let tokens = i64x2.splat(0);
  let tokenRows: i64 = 0;
  let decided: i64 = 0;
  let rows: i64 = 0;
  do {
    const row = chunk + rowOffset(link);
    link = <i32>load<u16>(chain + (link << 1) - 2);
    const values = latencyAndCost(row);
    const finite = f64x2.le(f64x2.abs(values), f64x2.splat(VALUE_MAX));
    const first = v128.and(finite, f64x2.eq(n, f64x2.splat(0)));
    shift = v128.bitselect(values, shift, first);
    n = f64x2.add(n, v128.and(f64x2.splat(1), finite));
    const d = v128.and(f64x2.sub(values, shift), finite);
    sum = f64x2.add(sum, d);
    squares = f64x2.add(squares, f64x2.mul(d, d));
    min = f64x2.pmin(min, v128.bitselect(values, f64x2.splat(Infinity), finite));
    max = f64x2.pmax(max, v128.bitselect(values, f64x2.splat(-Infinity), finite));
    const latencyKnown = countValue(
      load<u64>(row, COLUMN_LATENCY_OFFSET),
      slot + BINS_LATENCY_OFFSET,
      slot + BINS_LATENCY_NEGATIVE_OFFSET,
    );
    const costKnown = countValue(
      load<u64>(row, COLUMN_COST_OFFSET),
      slot + BINS_COST_OFFSET,
      slot + BINS_COST_NEGATIVE_OFFSET,
    );
    if (!latencyKnown || !costKnown) markMalformed(row, producer);
    if (hasTokens(row)) {
      tokens = i64x2.add(tokens, tokensOf(row));
      tokenRows++;
    }
    decided += <i64>(load<u32>(row, COLUMN_TAG_OFFSET) & FLAGS_DECIDED);
    rows++;
  } while (link != 0);
  merge(slot, n, shift, sum, squares, min, max);
  addCounts(slot, rows, tokens, tokenRows, decided);
}

/**
 * Folds the rows [from, to) into the slots of the live columns.
 *
 * @param live - address of the live columns
 * @param producer - the producer's number
 */
export function foldLive(live: i32, producer: i32, chunk: i32, from: i32, to: i32): void {
  const count = load<i32>(live, LIVE_COUNT_OFFSET);
  for (let column = 0; column < count; column++) {
    const place = live + column * LIVE_PLACE_BYTES;
    const isBoolean = load<i32>(place, LIVE_PLACES_OFFSET + 4) == LIVE_BOOLEANS;
    const values = chunk + load<i32>(place, LIVE_PLACES_OFFSET);
    const slot = live + LIVE_SLOTS_OFFSET + (producer * count + column) * SLOT_BYTES;
    let n: f64 = 0;
    let shift: f64 = 0;
    let sum: f64 = 0;
    let squares: f64 = 0;
    let least: f64 = Infinity;
    let most: f64 = -Infinity;
    for (let row = from; row < to; row++) {
      if ((load<u32>(chunk + (row << 3), COLUMN_TAG_OFFSET) & FLAG_DECLARED) == 0) continue;
      const value = isBoolean ? booleanAt(values + (row << 2)) : load<f64>(values + (row << 3));
      if (!(abs(value) <= VALUE_MAX)) continue;
      if (n == 0) shift = value;
      n++;
      const d = value - shift;
      sum += d;
      squares += d * d;
      least = min(least, value);
      most = max(most, value);
      countValue(
        reinterpret<u64>(value),
        slot + BINS_LATENCY_OFFSET,
        slot + BINS_LATENCY_NEGATIVE_OFFSET,
      );
    }
    if (n == 0) continue;
    merge(
      slot,
      f64x2(n, 0),
      f64x2(shift, 0),
      f64x2(sum, 0),
      f64x2(squares, 0),
      f64x2(least, Infinity),
      f64x2(most, -Infinity),
    );
    store<i64>(slot, load<i64>(slot, SLOT_ROWS_OFFSET) + <i64>n, SLOT_ROWS_OFFSET);
  }
}

/** 0 or 1; NaN where there is none. */
@inline
function booleanAt(word: i32): f64 {
  const code = load<i32>(word);
  return code == 0 ? NaN : <f64>(code - 1);
}

/** Counts a value given by its bits. NaN means absent and counts nowhere. @returns false for what is too large */
function countValue(bits: u64, positive: i32, negative: i32): bool {
  const magnitude = bits & 0x7fff_ffff_ffff_ffff;
  if (magnitude > reinterpret<u64>(VALUE_MAX)) return magnitude > 0x7ff0_0000_0000_0000;
  const bin = min(max(<i32>(magnitude >> BIN_SHIFT) - BIN_BIAS, 0), BIN_COUNT - 1);
  countInto(bin > 0 && bits != magnitude ? negative : positive, bin);
  return true;
}

/** Marks the rows [from, to) that have a value too large, where they are not walked. */
export function markTooLarge(chunk: i32, from: i32, to: i32, producer: i32): void {
  for (let row = chunk + (from << 3), end = chunk + (to << 3); row < end; row += 8) {
    const tooLarge = f64x2.gt(f64x2.abs(latencyAndCost(row)), f64x2.splat(VALUE_MAX));
    if (v128.any_true(tooLarge)) markMalformed(row, producer);
  }
}

/** Counts a row with a value that is no number as one malformed event, once. */
export function markMalformed(row: i32, producer: i32): void {
  const tag = load<u32>(row, COLUMN_TAG_OFFSET);
  if ((tag & FLAG_MALFORMED) != 0) return;
  store<u32>(row, tag | FLAG_MALFORMED, COLUMN_TAG_OFFSET);
  store<f64>(producer, load<f64>(producer, PRODUCER_MALFORMED_OFFSET) + 1, PRODUCER_MALFORMED_OFFSET);
}

@inline
function addCounts(slot: i32, rows: i64, tokens: v128, tokenRows: i64, decided: i64): void {
  store<i64>(slot, load<i64>(slot, SLOT_ROWS_OFFSET) + rows, SLOT_ROWS_OFFSET);
  v128.store(slot, i64x2.add(v128.load(slot, SLOT_TOKENS_OFFSET), tokens), SLOT_TOKENS_OFFSET);
  store<i64>(slot, load<i64>(slot, SLOT_TOKEN_ROWS_OFFSET) + tokenRows, SLOT_TOKEN_ROWS_OFFSET);
  // FLAG_SUCCEEDED is bit 16 and FLAG_FAILED bit 25, so the sum over a batch holds both counts.
  const succeeded = (decided >> 16) & 0x1ff;
  store<i64>(slot, load<i64>(slot, SLOT_SUCCEEDED_OFFSET) + succeeded, SLOT_SUCCEEDED_OFFSET);
  store<i64>(slot, load<i64>(slot, SLOT_FAILED_OFFSET) + (decided >> 25), SLOT_FAILED_OFFSET);
}

/**
 * Merges a batch given by its shifted sums into the slot; lanes with n = 0 stay as they are.
 *
 * The sum is compensated (Neumaier 1974): readers take the mean from it, exact to the last digits however many
 * batches there were. The running mean here only measures how far a batch lies from those before it.
 */
@inline
function merge(slot: i32, n: v128, shift: v128, sum: v128, squares: v128, min: v128, max: v128): void {
  const one = f64x2.splat(1);
  const some = f64x2.gt(n, f64x2.splat(0));
  const nBefore = v128.load(slot, SLOT_N_OFFSET);
  const known = f64x2.gt(nBefore, f64x2.splat(0));
  const nAfter = f64x2.add(nBefore, n);
  // Means are kept relative to the first value seen: next to a large offset they would lose their low digits.
  const origin = v128.bitselect(v128.load(slot, SLOT_ORIGIN_OFFSET), shift, known);
  const meanShifted = f64x2.div(sum, f64x2.pmax(one, n));
  const m2Batch = f64x2.sub(squares, f64x2.mul(sum, meanShifted));
  const mean = v128.load(slot, SLOT_MEAN_OFFSET);
  const delta = f64x2.sub(f64x2.add(f64x2.sub(shift, origin), meanShifted), mean);
  const step = v128.and(f64x2.mul(delta, f64x2.div(n, f64x2.pmax(one, nAfter))), some);
  const between = v128.and(f64x2.mul(f64x2.mul(delta, step), nBefore), some);
  v128.store(slot, f64x2.add(v128.load(slot, SLOT_M2_OFFSET), f64x2.add(m2Batch, between)), SLOT_M2_OFFSET);
  v128.store(slot, f64x2.add(mean, step), SLOT_MEAN_OFFSET);
  v128.store(slot, origin, SLOT_ORIGIN_OFFSET);

  const total = v128.load(slot, SLOT_SUM_OFFSET);
  const term = f64x2.add(f64x2.mul(n, shift), sum);
  const next = f64x2.add(total, term);
  const totalLarger = f64x2.ge(f64x2.abs(total), f64x2.abs(term));
  const larger = v128.bitselect(total, term, totalLarger);
  const smaller = v128.bitselect(term, total, totalLarger);
  const error = f64x2.add(
    v128.load(slot, SLOT_SUM_ERROR_OFFSET),
    f64x2.add(f64x2.sub(larger, next), smaller),
  );
  v128.store(slot, next, SLOT_SUM_OFFSET);
  v128.store(slot, error, SLOT_SUM_ERROR_OFFSET);
  v128.store(slot, nAfter, SLOT_N_OFFSET);
  // An empty lane's extremes are zero bytes, not values.
  const minBefore = v128.bitselect(v128.load(slot, SLOT_MIN_OFFSET), min, known);
  const maxBefore = v128.bitselect(v128.load(slot, SLOT_MAX_OFFSET), max, known);
  v128.store(slot, f64x2.pmin(min, minBefore), SLOT_MIN_OFFSET);
  v128.store(slot, f64x2.pmax(max, maxBefore), SLOT_MAX_OFFSET);
}

/** Whether values with these extremes, by lane, and this sum are all present and in the bins' range. */
@inline
export function allInRange(least: v128, most: v128, sum: v128): bool {
  const inside = v128.and(
    f64x2.ge(least, f64x2.splat(IN_RANGE_MIN)),
    f64x2.le(most, f64x2.splat(IN_RANGE_MAX)),
  );
  return i64x2.all_true(v128.and(inside, f64x2.eq(sum, sum)));
}

/** Whether there was no value at all: the extremes are still what they began with. */
@inline
export function noneAtAll(least: v128, most: v128): bool {
  return i64x2.all_true(f64x2.gt(least, most));
}
