/**
 * The passes of an exact selection over f64 values, none of them NaN or −0.
 *
 * A value's key is its bits, turned so that keys, as unsigned numbers, are ordered as the values are. Counting the keys
 * of a range by their upper bits says in which bin each wanted rank lies; the few values of those bins are gathered and
 * told apart in turn. Nothing is sorted.
 */

@inline
function keyOf(bits: u64): u64 {
  // Negative values: all bits flipped. Others: the sign bit.
  return bits ^ (<u64>(<i64>bits >> 63) | 0x8000_0000_0000_0000);
}

/** The bin of a value's key, or `binCount` where it lies outside the range. */
@inline
function binOf(value: usize, low: u64, amount: u64, binCount: u64): usize {
  const bin = (keyOf(load<u64>(value)) - low) >> amount;
  return <usize>(bin < binCount ? bin : binCount);
}

/**
 * Counts values by bin, which is (key − low) >> shift.
 * @param values - address of f64
 * @param bins - address of u32 × (binCount + 1), added to; the last one counts values outside the range
 */
export function countKeys(
  values: usize,
  count: i32,
  low: u64,
  shift: i32,
  binCount: i32,
  bins: usize,
): void {
  const amount = <u64>shift;
  const outside = <u64>binCount;
  const end = values + (<usize>count << 3);
  const evenEnd = end - (<usize>(count & 1) << 3);
  let value = values;
  for (; value < evenEnd; value += 16) {
    const first = bins + (binOf(value, low, amount, outside) << 2);
    const second = bins + (binOf(value + 8, low, amount, outside) << 2);
    store<u32>(first, load<u32>(first) + 1);
    store<u32>(second, load<u32>(second) + 1);
  }
  if (value < end) {
    const bin = bins + (binOf(value, low, amount, outside) << 2);
    store<u32>(bin, load<u32>(bin) + 1);
  }
}

/**
 * Copies the values whose bin is marked.
 * @param marks - address of u8 × (binCount + 1): 1 = wanted
 * @param target - address with room for `count` f64 and one more
 * @returns how many were copied
 */
export function gatherMarked(
  values: usize,
  count: i32,
  low: u64,
  shift: i32,
  binCount: i32,
  marks: usize,
  target: usize,
): i32 {
  const amount = <u64>shift;
  const outside = <u64>binCount;
  let out = target;
  for (let value = values, end = values + (<usize>count << 3); value < end; value += 8) {
    // Always stored, and kept by moving on: which values are wanted follows no pattern.
    store<u64>(out, load<u64>(value));
    out += <usize>load<u8>(marks + binOf(value, low, amount, outside)) << 3;
  }
  return <i32>(out - target) >> 3;
}

/**
 * Copies the values whose keys have the given bits where the mask is set.
 * @param target - address with room for `count` f64 and one more
 * @returns how many were copied
 */
export function gatherKeys(values: usize, count: i32, bits: u64, mask: u64, target: usize): i32 {
  let out = target;
  for (let value = values, end = values + (<usize>count << 3); value < end; value += 8) {
    store<u64>(out, load<u64>(value));
    out += <usize>(((keyOf(load<u64>(value)) ^ bits) & mask) === 0) << 3;
  }
  return <i32>(out - target) >> 3;
}

/**
 * The value with the given rank among few values, which are rearranged (Hoare 1961, Find; pivot the median of three).
 * Those before it are not greater and those after it not less.
 */
export function selectRank(values: usize, count: i32, rank: i32): f64 {
  let left = values;
  let right = values + (<usize>(count - 1) << 3);
  const wanted = values + (<usize>rank << 3);
  while (left < right) {
    const a = load<f64>(left);
    const b = load<f64>(left + (((right - left) >> 4) << 3));
    const c = load<f64>(right);
    const pivot = max(min(a, b), min(max(a, b), c));
    let i = left;
    let j = right;
    while (i <= j) {
      while (load<f64>(i) < pivot) i += 8;
      while (load<f64>(j) > pivot) j -= 8;
      if (i <= j) {
        const swapped = load<f64>(i);
        store<f64>(i, load<f64>(j));
        store<f64>(j, swapped);
        i += 8;
        j -= 8;
      }
    }
    if (wanted <= j) right = j;
    else if (wanted >= i) left = i;
    else break;
  }
  return load<f64>(wanted);
}

/** The greatest short key; the one above it stands for no value. */
const SHORT_KEY_LAST: i32 = 0x7ffe;
/** Short keys are looked at so many at a time. */
const GROUP: i32 = 16;
/** Groups that are listed before their values are gathered. */
const GROUPS_LISTED: i32 = 1024;

/**
 * Short keys: of each value's upper 32 bits 15, from `low` on. They are ordered as the values are, though not strictly:
 * what lies below or above their range has the first or the last of them, as has whatever is negative.
 * @param low - not negative: upper 32 bits of the least value that is told from smaller ones
 * @param keys - address of i16, with room for a multiple of 16; 0x7fff is written behind the last
 */
export function shortenKeys(values: usize, count: i32, low: i32, shift: i32, keys: usize): void {
  const lows = i32x4.splat(low);
  const last = i16x8.splat(<i16>SHORT_KEY_LAST);
  const end = values + (<usize>count << 3);
  const keysEnd = keys + (<usize>((count + GROUP - 1) & -GROUP) << 1);
  for (; values + 64 <= end; values += 64) {
    const early = i32x4.shr_s(i32x4.sub(i32x4.max_s(upperWords(values), lows), lows), shift);
    const late = i32x4.shr_s(i32x4.sub(i32x4.max_s(upperWords(values + 32), lows), lows), shift);
    v128.store(keys, i16x8.min_s(i16x8.narrow_i32x4_s(early, late), last));
    keys += 16;
  }
  for (; values < end; values += 8) {
    const key = (max(load<i32>(values, 4), low) - low) >> shift;
    store<i16>(keys, <i16>min(key, SHORT_KEY_LAST));
    keys += 2;
  }
  for (; keys < keysEnd; keys += 2) store<i16>(keys, <i16>(SHORT_KEY_LAST + 1));
}

@inline
function upperWords(values: usize): v128 {
  return i8x16.shuffle(
    v128.load(values), v128.load(values, 16),
    4, 5, 6, 7, 12, 13, 14, 15, 20, 21, 22, 23, 28, 29, 30, 31,
  );
}

/** Counts short keys, eight of them together. @param bins - address of u32 × 4,096; added to */
export function countShortKeys(keys: usize, count: i32, bins: usize): void {
  for (const end = keys + (<usize>count << 1); keys < end; keys += 2) {
    const bin = bins + (<usize>(load<u16>(keys) >> 3) << 2);
    store<u32>(bin, load<u32>(bin) + 1);
  }
}

/**
 * Goes over short keys once for each band, which is first ≤ key < end.
 * @param bands - address of i32 × 2 for each: first, end
 * @param target - for each, address of u32 × 2: values below the band, values in it; then room for `capacity` f64: the
 * values in it, all of them where there are not more than capacity − 16
 * @param scratch - address with room for 1,025 u64
 */
export function gatherBands(
  keys: usize,
  values: usize,
  count: i32,
  bands: usize,
  bandCount: i32,
  capacity: i32,
  target: usize,
  scratch: usize,
): void {
  const keysEnd = keys + (<usize>((count + GROUP - 1) & -GROUP) << 1);
  for (const bandsEnd = bands + (<usize>bandCount << 3); bands < bandsEnd; bands += 8) {
    const first = i16x8.splat(<i16>load<i32>(bands));
    const end = i16x8.splat(<i16>load<i32>(bands, 4));
    let below: i32 = 0;
    let inside: i32 = 0;
    let out = target + 8;
    let group = keys;
    while (group < keysEnd) {
      const groupsEnd = min(keysEnd, group + (GROUPS_LISTED * GROUP << 1));
      let listed = scratch;
      // A lane that is true is −1.
      let belows = i16x8.splat(0);
      for (; group < groupsEnd; group += GROUP << 1) {
        const early = v128.load(group);
        const late = v128.load(group, 16);
        const earlyBelow = i16x8.lt_s(early, first);
        const lateBelow = i16x8.lt_s(late, first);
        belows = i16x8.add(belows, i16x8.add(earlyBelow, lateBelow));
        const found = i8x16.bitmask(
          i8x16.narrow_i16x8_s(
            v128.andnot(i16x8.lt_s(early, end), earlyBelow),
            v128.andnot(i16x8.lt_s(late, end), lateBelow),
          ),
        );
        // Always listed, and kept by moving on: where values are found follows no pattern.
        store<u32>(listed, values + ((group - keys) << 2));
        store<u32>(listed, found, 4);
        listed += <usize>(found !== 0) << 3;
      }
      const quads = i32x4.extadd_pairwise_i16x8_s(belows);
      below -=
        i32x4.extract_lane(quads, 0) + i32x4.extract_lane(quads, 1) +
        i32x4.extract_lane(quads, 2) + i32x4.extract_lane(quads, 3);
      for (let at = scratch; at < listed; at += 8) {
        const value = <usize>load<u32>(at);
        let found = load<i32>(at, 4);
        if (inside <= capacity - GROUP) {
          do {
            store<u64>(out, load<u64>(value + (<usize>ctz(found) << 3)));
            out += 8;
            found &= found - 1;
          } while (found !== 0);
        }
        inside += popcnt(load<i32>(at, 4));
      }
    }
    store<u32>(target, below);
    store<u32>(target, inside, 4);
    target += 8 + (<usize>capacity << 3);
  }
}

/** Fewer values are told apart at once; more are narrowed down first. */
const NARROW_ABOVE: i32 = 24;

/** So few values are told apart by how many are less than each: more comparisons, but no branches to mispredict. */
const COUNT_UP_TO: i32 = 32;

/**
 * Values with consecutive ranks: the one with rank r is the greatest to which no more than r are less.
 * @param values - address with room for one more
 */
function countLess(values: usize, count: i32, rank: i32, ranks: i32, out: usize): void {
  const end = values + (<usize>count << 3);
  // Less than none.
  store<f64>(end, Infinity);
  // Two at a time, as quantiles take them.
  for (const last = rank + ranks; rank < last; rank += 2, out += 16) {
    let found = -Infinity;
    let next = -Infinity;
    for (let at = values; at < end; at += 8) {
      const value = load<f64>(at);
      const all = f64x2.splat(value);
      let less = i64x2.splat(0);
      for (let other = values; other < end; other += 16) {
        less = i64x2.sub(less, f64x2.lt(v128.load(other), all));
      }
      const below = <i32>(i64x2.extract_lane(less, 0) + i64x2.extract_lane(less, 1));
      found = select<f64>(value, found, <i32>(below <= rank) & <i32>(value > found));
      next = select<f64>(value, next, <i32>(below <= rank + 1) & <i32>(value > next));
    }
    store<f64>(out, found);
    if (rank + 1 < last) store<f64>(out, next, 8);
  }
}

/** What `keepBetween` passed over: values below the lower bound. */
let passedBelow: i32 = 0;

/** Copies the values from `low` to `high`. @param target - room for one more @returns where they end */
@inline
function keepBetween(values: usize, count: i32, low: f64, high: f64, target: usize): usize {
  const lows = f64x2.splat(low);
  const highs = f64x2.splat(high);
  let belows = i64x2.splat(0);
  let end = target;
  for (const evenEnd = values + (<usize>(count & ~1) << 3); values < evenEnd; values += 16) {
    const pair = v128.load(values);
    const below = f64x2.lt(pair, lows);
    belows = i64x2.sub(belows, below);
    const kept = i64x2.bitmask(v128.andnot(f64x2.le(pair, highs), below));
    // Each is stored, and kept by moving on.
    v128.store64_lane(end, pair, 0);
    end += <usize>(kept & 1) << 3;
    v128.store64_lane(end, pair, 1);
    end += <usize>(kept & 2) << 2;
  }
  passedBelow += <i32>(i64x2.extract_lane(belows, 0) + i64x2.extract_lane(belows, 1));
  if ((count & 1) !== 0) {
    const value = load<f64>(values);
    passedBelow += <i32>(value < low);
    store<f64>(end, value);
    end += <usize>(<i32>(value >= low) & <i32>(value <= high)) << 3;
  }
  return end;
}

/**
 * Values with consecutive ranks among what `gatherBands` found in one band of several runs, all of it kept.
 *
 * In a narrow band values lie about evenly: the wanted ones are looked for where they would then be, and nearby; if they
 * are not there, among all.
 * @param bands - addresses, u32, of where it left what it found
 * @param rank - the first, and
 * @param ranks - how many, all below the number of values
 * @param low - the least and
 * @param high - the greatest that the values may be
 * @param scratch - address with room for twice as many values as there are, and two more
 * @param out - address of f64 for each rank
 */
export function selectInBand(
  bands: usize,
  runs: i32,
  rank: i32,
  ranks: i32,
  low: f64,
  high: f64,
  scratch: usize,
  out: usize,
): void {
  const bandsEnd = bands + (<usize>runs << 2);
  let count: i32 = 0;
  for (let band = bands; band < bandsEnd; band += 4) count += load<i32>(<usize>load<u32>(band), 4);
  let each = (high - low) / <f64>count;
  let margin = sqrt(<f64>count) + 2;
  let from = low + each * (<f64>rank - margin);
  let until = low + each * (<f64>(rank + ranks) + margin);
  let values = scratch;
  let end = scratch;
  passedBelow = 0;
  for (let band = bands; band < bandsEnd; band += 4) {
    const address = <usize>load<u32>(band);
    end = keepBetween(address + 8, load<i32>(address, 4), from, until, end);
  }
  let before = passedBelow;
  let kept = <i32>(end - values) >> 3;
  if (before > rank || before + kept < rank + ranks) {
    before = 0;
    end = scratch;
    for (let band = bands; band < bandsEnd; band += 4) {
      const address = <usize>load<u32>(band);
      const bytes = <usize>load<u32>(address, 4) << 3;
      memory.copy(end, address + 8, bytes);
      end += bytes;
    }
    kept = count;
  } else if (kept > NARROW_ABOVE) {
    each = (until - from) / <f64>kept;
    margin = sqrt(<f64>kept);
    const first = <f64>(rank - before);
    until = from + each * (first + <f64>ranks + margin);
    from += each * (first - margin);
    passedBelow = 0;
    const nearest = end + 8;
    const nearestEnd = keepBetween(values, kept, from, until, nearest);
    const near = <i32>(nearestEnd - nearest) >> 3;
    if (before + passedBelow <= rank && before + passedBelow + near >= rank + ranks) {
      before += passedBelow;
      kept = near;
      values = nearest;
      end = nearestEnd;
    }
  }
  if (kept <= COUNT_UP_TO) return countLess(values, kept, rank - before, ranks, out);
  let place = values + (<usize>(rank - before) << 3);
  store<f64>(out, selectRank(values, kept, rank - before));
  // What comes after a rank that has been told apart is not less, and the least of it is next.
  for (let i: i32 = 1; i < ranks; i++) {
    place += 8;
    const first = load<f64>(place);
    let least = first;
    let leastAt = place;
    for (let at = place + 8; at < end; at += 8) {
      const value = load<f64>(at);
      const isLess = value < least;
      least = isLess ? value : least;
      leastAt = isLess ? at : leastAt;
    }
    store<f64>(leastAt, first);
    store<f64>(place, least);
    store<f64>(out + (<usize>i << 3), least);
  }
}
