/**
 * Passes over the columns of a batch of rows.
 *
 * `rows` is the address of the indices of the rows that are meant, u32 each, or 0 for the first `count` rows.
 */
import {
  FLAG_CORRECTED,
  FLAG_FAILED,
  FLAG_METADATA_TOKENS,
  FLAG_SUCCEEDED,
  TAG_BINDING_MASK,
  VALUE_MAX,
} from './layout';

const FLAG_BITS_SUCCEEDED: u32 = ctz(FLAG_SUCCEEDED);
const FLAG_BITS_FAILED: u32 = ctz(FLAG_FAILED);

/** Appends what is a value, with 0 for −0. @param target - room for `count` @returns how many there were */
export function keepValues(values: usize, rows: usize, count: i32, target: usize): i32 {
  let out = target;
  if (rows === 0) {
    const evenEnd = values + (<usize>(count & ~1) << 3);
    for (; values < evenEnd; values += 16) out = keepPair(v128.load(values), out);
    if ((count & 1) !== 0) out = keepValue(load<f64>(values), out);
    return <i32>(out - target) >> 3;
  }
  const end = rows + (<usize>count << 2);
  for (const evenEnd = end - (<usize>(count & 1) << 2); rows < evenEnd; rows += 8) {
    const one = v128.load64_zero(values + (<usize>load<u32>(rows) << 3));
    out = keepPair(v128.load64_lane(values + (<usize>load<u32>(rows, 4) << 3), one, 1), out);
  }
  if (rows < end) {
    out = keepValue(load<f64>(values + (<usize>load<u32>(rows) << 3)), out);
  }
  return <i32>(out - target) >> 3;
}

@inline
function keepPair(values: v128, out: usize): usize {
  const pair = f64x2.add(values, f64x2.splat(0));
  const known = i64x2.bitmask(f64x2.le(f64x2.abs(pair), f64x2.splat(VALUE_MAX)));
  // Nearly always both are values.
  if (known === 3) {
    v128.store(out, pair);
    return out + 16;
  }
  if (known === 0) return out;
  store<f64>(out, known === 1 ? f64x2.extract_lane(pair, 0) : f64x2.extract_lane(pair, 1));
  return out + 8;
}

@inline
function keepValue(value: f64, out: usize): usize {
  store<f64>(out, value + 0);
  return out + (<usize>(abs(value) <= VALUE_MAX) << 3);
}

/**
 * Sums up times, tokens and outcomes.
 * @param out - address of f64 × 2: least and greatest time; i64 × 5: prompt tokens, completion tokens, rows with
 * tokens, successes, failures; added to
 * @returns whether something about one of the rows can be told by its event only: its name, or its total of tokens
 */
export function foldRows(
  timesUs: usize,
  prompts: usize,
  completions: usize,
  tags: usize,
  rows: usize,
  count: i32,
  out: usize,
): bool {
  if (rows !== 0) return fold(timesUs, prompts, completions, tags, rows, count, out, true);
  const four: i32 = count & ~3;
  const inEvent = four !== 0 && foldFours(timesUs, prompts, completions, tags, four, out);
  const at4 = <usize>four << 2;
  const at8 = <usize>four << 3;
  return (
    fold(timesUs + at8, prompts + at4, completions + at4, tags + at4, 0, count - four, out, false) || inEvent
  );
}

/** The same for rows that follow one another. @param count - a multiple of four */
@inline
function foldFours(
  timesUs: usize,
  prompts: usize,
  completions: usize,
  tags: usize,
  count: i32,
  out: usize,
): bool {
  const zero = i32x4.splat(0);
  const one = i32x4.splat(1);
  let least = v128.load64_splat(out);
  let greatest = v128.load64_splat(out, 8);
  let prompt = i64x2.splat(0);
  let completion = i64x2.splat(0);
  let without = zero;
  let succeeded = zero;
  let failed = zero;
  let inEvent = zero;
  const end = <usize>count << 2;
  for (let at: usize = 0; at < end; at += 16) {
    const times0 = v128.load(timesUs + (at << 1));
    const times1 = v128.load(timesUs + (at << 1), 16);
    least = f64x2.pmin(least, f64x2.pmin(times0, times1));
    greatest = f64x2.pmax(greatest, f64x2.pmax(times0, times1));
    const p = v128.load(prompts + at);
    const c = v128.load(completions + at);
    prompt = addWords(prompt, i32x4.max_s(p, zero));
    completion = addWords(completion, i32x4.max_s(c, zero));
    without = i32x4.add(without, i32x4.shr_u(v128.and(p, c), 31));
    const tag = v128.load(tags + at);
    const success = v128.and(i32x4.shr_u(tag, FLAG_BITS_SUCCEEDED), one);
    succeeded = i32x4.add(succeeded, success);
    failed = i32x4.add(failed, v128.andnot(v128.and(i32x4.shr_u(tag, FLAG_BITS_FAILED), one), success));
    const noBinding = i32x4.eq(v128.and(tag, i32x4.splat(TAG_BINDING_MASK)), zero);
    const flags = v128.and(tag, i32x4.splat(FLAG_CORRECTED | FLAG_METADATA_TOKENS));
    inEvent = v128.or(inEvent, v128.or(noBinding, i32x4.eq(flags, i32x4.splat(FLAG_CORRECTED))));
  }
  store<f64>(out, min(f64x2.extract_lane(least, 0), f64x2.extract_lane(least, 1)));
  store<f64>(out, max(f64x2.extract_lane(greatest, 0), f64x2.extract_lane(greatest, 1)), 8);
  store<i64>(out, load<i64>(out, 16) + sumOfDoubleWords(prompt), 16);
  store<i64>(out, load<i64>(out, 24) + sumOfDoubleWords(completion), 24);
  store<i64>(out, load<i64>(out, 32) + <i64>count - sumOfWords(without), 32);
  store<i64>(out, load<i64>(out, 40) + sumOfWords(succeeded), 40);
  store<i64>(out, load<i64>(out, 48) + sumOfWords(failed), 48);
  return v128.any_true(inEvent);
}

/** @param words - u32 × 4 */
@inline
function addWords(sum: v128, words: v128): v128 {
  const halves = i64x2.add(i64x2.extend_low_i32x4_u(words), i64x2.extend_high_i32x4_u(words));
  return i64x2.add(sum, halves);
}

@inline
function sumOfDoubleWords(lanes: v128): i64 {
  return i64x2.extract_lane(lanes, 0) + i64x2.extract_lane(lanes, 1);
}

@inline
function sumOfWords(lanes: v128): i64 {
  return sumOfDoubleWords(addWords(i64x2.splat(0), lanes));
}

@inline
function fold(
  timesUs: usize,
  prompts: usize,
  completions: usize,
  tags: usize,
  rows: usize,
  count: i32,
  out: usize,
  picked: bool,
): bool {
  let least = v128.load64_splat(out);
  let greatest = v128.load64_splat(out, 8);
  let prompt: i64 = 0;
  let completion: i64 = 0;
  let without: u32 = 0;
  let succeeded: u32 = 0;
  let failed: u32 = 0;
  let inEvent: u32 = 0;
  for (let i: i32 = 0; i < count; i++) {
    const row = picked ? <usize>load<u32>(rows + (<usize>i << 2)) : <usize>i;
    const time = v128.load64_splat(timesUs + (row << 3));
    least = f64x2.pmin(least, time);
    greatest = f64x2.pmax(greatest, time);
    const p = load<i32>(prompts + (row << 2));
    const c = load<i32>(completions + (row << 2));
    // An absent number is negative.
    prompt += <i64>(p & ~(p >> 31));
    completion += <i64>(c & ~(c >> 31));
    without += <u32>(p & c) >> 31;
    const tag = load<u32>(tags + (row << 2));
    const success = (tag >> FLAG_BITS_SUCCEEDED) & 1;
    succeeded += success;
    failed += (tag >> FLAG_BITS_FAILED) & ~success & 1;
    inEvent |=
      <u32>((tag & TAG_BINDING_MASK) === 0) |
      <u32>((tag & (FLAG_CORRECTED | FLAG_METADATA_TOKENS)) === FLAG_CORRECTED);
  }
  store<f64>(out, f64x2.extract_lane(least, 0));
  store<f64>(out, f64x2.extract_lane(greatest, 0), 8);
  store<i64>(out, load<i64>(out, 16) + prompt, 16);
  store<i64>(out, load<i64>(out, 24) + completion, 24);
  store<i64>(out, load<i64>(out, 32) + <i64>(<u32>count - without), 32);
  store<i64>(out, load<i64>(out, 40) + <i64>succeeded, 40);
  store<i64>(out, load<i64>(out, 48) + <i64>failed, 48);
  return inEvent !== 0;
}

/**
 * Counts rows by binding.
 * @param counts - address of u32 × capacity, by the binding's id; added to
 * @returns the place of the first row whose id is beyond the capacity: it and those after it are not counted
 */
export function countBindings(tags: usize, rows: usize, count: i32, counts: usize, capacity: u32): i32 {
  for (let i: i32 = 0; i < count; i++) {
    const row = rows === 0 ? <usize>i : <usize>load<u32>(rows + (<usize>i << 2));
    const id = load<u32>(tags + (row << 2)) & TAG_BINDING_MASK;
    if (id >= capacity) return i;
    const address = counts + (<usize>id << 2);
    store<u32>(address, load<u32>(address) + 1);
  }
  return count;
}

/**
 * Picks the rows that a filter lets through, as far as columns decide.
 * @param fromUs - least and
 * @param untilUs - greatest whole microsecond of a row's time
 * @param mask - of the tag, which must be
 * @param wanted - where the mask is set
 * @param bindings - address of u8 × 65,536, by the binding's id: 0 = fails, 1 = passes, 2 = not known
 * @param target - address with room for `count` u32 and 68 more
 * @returns how many there are, or -1 where it depends on a binding that is not known
 */
export function pickRows(
  timesUs: usize,
  tags: usize,
  count: i32,
  fromUs: f64,
  untilUs: f64,
  mask: u32,
  wanted: u32,
  bindings: usize,
  target: usize,
): i32 {
  // Times are compared as they are: from the first whole microsecond to before the one after the last.
  const first = ceil(fromUs);
  const end = after(untilUs);
  const firsts = f64x2.splat(first);
  const ends = f64x2.splat(end);
  const masks = i32x4.splat(mask);
  const all = i32x4.splat(wanted);
  const ones = i32x4.splat(1);
  const lanes = target + (<usize>(count + 4) << 2);
  listLanes(lanes);
  let out = target;
  let states = i32x4.splat(0);
  let row: i32 = 0;
  for (; row + 4 <= count; row += 4, timesUs += 32, tags += 16) {
    const early = v128.load(timesUs);
    const late = v128.load(timesUs, 16);
    const inTime = i8x16.shuffle(
      v128.and(f64x2.ge(early, firsts), f64x2.lt(early, ends)),
      v128.and(f64x2.ge(late, firsts), f64x2.lt(late, ends)),
      0, 1, 2, 3, 8, 9, 10, 11, 16, 17, 18, 19, 24, 25, 26, 27,
    );
    if (!v128.any_true(inTime)) continue;
    const passed = v128.and(inTime, i32x4.eq(v128.and(v128.load(tags), masks), all));
    let state = v128.load8_lane(bindings + <usize>load<u16>(tags), i32x4.splat(0), 0);
    state = v128.load8_lane(bindings + <usize>load<u16>(tags, 4), state, 4);
    state = v128.load8_lane(bindings + <usize>load<u16>(tags, 8), state, 8);
    state = v128.load8_lane(bindings + <usize>load<u16>(tags, 12), state, 12);
    states = v128.or(states, v128.and(passed, state));
    const picked = i32x4.bitmask(v128.and(passed, i32x4.eq(state, ones)));
    // All four are stored, the picked ones first, and they are kept by moving on.
    v128.store(out, i32x4.add(v128.load(lanes + (<usize>picked << 4)), i32x4.splat(row)));
    out += <usize>popcnt(picked) << 2;
  }
  let unknown = v128.any_true(i32x4.gt_u(states, ones));
  for (; row < count; row++, timesUs += 8, tags += 4) {
    const time = load<f64>(timesUs);
    const tag = load<u32>(tags);
    if (time < first || time >= end || (tag & mask) !== wanted) continue;
    const state = <u32>load<u8>(bindings + <usize>(tag & TAG_BINDING_MASK));
    unknown = unknown || state > 1;
    store<u32>(out, row);
    out += <usize>(state & 1) << 2;
  }
  return unknown ? -1 : <i32>(out - target) >> 2;
}

/** The least double above every time that is in this microsecond. */
function after(us: f64): f64 {
  const next = floor(us) + 1;
  // Beyond 2^53 there is nothing between whole numbers, and not all of them.
  return next > us || us === Infinity ? next : reinterpret<f64>(reinterpret<i64>(us) + (us > 0 ? 1 : -1));
}

/** @param lanes - is told, u32 × 4 for each of 16 sets of lanes, the numbers of the lanes in it */
function listLanes(lanes: usize): void {
  v128.store(lanes, i32x4(0, 0, 0, 0));
  v128.store(lanes, i32x4(0, 0, 0, 0), 16);
  v128.store(lanes, i32x4(1, 0, 0, 0), 32);
  v128.store(lanes, i32x4(0, 1, 0, 0), 48);
  v128.store(lanes, i32x4(2, 0, 0, 0), 64);
  v128.store(lanes, i32x4(0, 2, 0, 0), 80);
  v128.store(lanes, i32x4(1, 2, 0, 0), 96);
  v128.store(lanes, i32x4(0, 1, 2, 0), 112);
  v128.store(lanes, i32x4(3, 0, 0, 0), 128);
  v128.store(lanes, i32x4(0, 3, 0, 0), 144);
  v128.store(lanes, i32x4(1, 3, 0, 0), 160);
  v128.store(lanes, i32x4(0, 1, 3, 0), 176);
  v128.store(lanes, i32x4(2, 3, 0, 0), 192);
  v128.store(lanes, i32x4(0, 2, 3, 0), 208);
  v128.store(lanes, i32x4(1, 2, 3, 0), 224);
  v128.store(lanes, i32x4(0, 1, 2, 3), 240);
}

/** Splits pairs of 32-bit words: the first ones to `first`, the second ones to `second`. Writes whole fours. */
export function splitPairs(pairs: usize, count: i32, first: usize, second: usize): void {
  for (let i = 0; i < count; i += 4) {
    const a = v128.load(pairs);
    const b = v128.load(pairs, 16);
    v128.store(first, v128.shuffle<i32>(a, b, 0, 2, 4, 6));
    v128.store(second, v128.shuffle<i32>(a, b, 1, 3, 5, 7));
    pairs += 32;
    first += 16;
    second += 16;
  }
}
