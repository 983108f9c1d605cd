/**
 * Passes over the columns of a batch of rows.
 *
 * `rows` is the address of the indices of the rows that are meant, u32 each, or 0 for the first `count` rows.
 */
import {
  FLAG_BLOB,
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
    const most = f64x2.splat(VALUE_MAX);
    const zero = f64x2.splat(0);
    const evenEnd = values + (<usize>(count & ~1) << 3);
    for (; values < evenEnd; values += 16) {
      const pair = f64x2.add(v128.load(values), zero);
      // Both are stored; one that is no value is written over by the next.
      const known = i64x2.bitmask(f64x2.le(f64x2.abs(pair), most));
      if (known === 3) {
        v128.store(out, pair);
        out += 16;
      } else if (known !== 0) {
        store<f64>(out, known === 1 ? f64x2.extract_lane(pair, 0) : f64x2.extract_lane(pair, 1));
        out += 8;
      }
    }
    if ((count & 1) !== 0) out = keepValue(load<f64>(values), out);
    return <i32>(out - target) >> 3;
  }
  for (const end = rows + (<usize>count << 2); rows < end; rows += 4) {
    out = keepValue(load<f64>(values + (<usize>load<u32>(rows) << 3)), out);
  }
  return <i32>(out - target) >> 3;
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
  return rows === 0
    ? fold(timesUs, prompts, completions, tags, 0, count, out, false)
    : fold(timesUs, prompts, completions, tags, rows, count, out, true);
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
      <u32>((tag & (FLAG_BLOB | FLAG_METADATA_TOKENS)) === FLAG_BLOB);
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
 * @param target - address with room for `count` u32 and one more
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
  const from = f64x2.splat(fromUs);
  const until = f64x2.splat(untilUs);
  const masks = i32x4.splat(mask);
  const all = i32x4.splat(wanted);
  let out = target;
  let states: u32 = 0;
  let row: i32 = 0;
  for (; row + 4 <= count; row += 4) {
    const early = f64x2.floor(v128.load(timesUs));
    const late = f64x2.floor(v128.load(timesUs, 16));
    const inTime = i8x16.shuffle(
      v128.and(f64x2.ge(early, from), f64x2.le(early, until)),
      v128.and(f64x2.ge(late, from), f64x2.le(late, until)),
      0, 1, 2, 3, 8, 9, 10, 11, 16, 17, 18, 19, 24, 25, 26, 27,
    );
    const outcome = i32x4.eq(v128.and(v128.load(tags), masks), all);
    const passed = <u32>i32x4.bitmask(v128.and(inTime, outcome));
    if (passed !== 0) {
      const state0 = <u32>load<u8>(bindings + <usize>load<u16>(tags));
      const state1 = <u32>load<u8>(bindings + <usize>load<u16>(tags, 4));
      const state2 = <u32>load<u8>(bindings + <usize>load<u16>(tags, 8));
      const state3 = <u32>load<u8>(bindings + <usize>load<u16>(tags, 12));
      states |= state0 | state1 | state2 | state3;
      // Each is stored, and kept by moving on.
      store<u32>(out, row);
      out += <usize>(passed & state0 & 1) << 2;
      store<u32>(out, row + 1);
      out += <usize>((passed >> 1) & state1 & 1) << 2;
      store<u32>(out, row + 2);
      out += <usize>((passed >> 2) & state2 & 1) << 2;
      store<u32>(out, row + 3);
      out += <usize>((passed >> 3) & state3 & 1) << 2;
    }
    timesUs += 32;
    tags += 16;
  }
  for (; row < count; row++) {
    const time = floor(load<f64>(timesUs));
    const tag = load<u32>(tags);
    const state = <u32>load<u8>(bindings + <usize>(tag & TAG_BINDING_MASK));
    states |= state;
    const passes = <u32>(time >= fromUs) & <u32>(time <= untilUs) & <u32>((tag & mask) === wanted) & state;
    store<u32>(out, row);
    out += <usize>passes << 2;
    timesUs += 8;
    tags += 4;
  }
  return (states & 2) !== 0 ? -1 : <i32>(out - target) >> 2;
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
