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

/** As `binOf`, but what lies below or above the range is in the first or the last bin. */
@inline
function nearestBin(value: usize, low: u64, amount: u64, last: u64): usize {
  const key = keyOf(load<u64>(value));
  return <usize>(key < low ? 0 : min((key - low) >> amount, last));
}

/**
 * Puts values in the order of their bins; within a bin they keep theirs.
 * @param ends - address of u32 × binCount: is told where each bin ends, counted in values
 * @param scratch - address with room for as many values
 */
export function sortBins(
  values: usize,
  count: i32,
  low: u64,
  shift: i32,
  binCount: i32,
  ends: usize,
  scratch: usize,
): void {
  const amount = <u64>shift;
  const last = <u64>(binCount - 1);
  const valuesEnd = values + (<usize>count << 3);
  const endsEnd = ends + (<usize>binCount << 2);
  memory.fill(ends, 0, <usize>binCount << 2);
  for (let value = values; value < valuesEnd; value += 8) {
    const size = ends + (nearestBin(value, low, amount, last) << 2);
    store<u32>(size, load<u32>(size) + 1);
  }
  // Each becomes where its bin begins, and by the values put there where it ends.
  let start: u32 = 0;
  for (let bin = ends; bin < endsEnd; bin += 4) {
    const size = load<u32>(bin);
    store<u32>(bin, start);
    start += size;
  }
  for (let value = values; value < valuesEnd; value += 8) {
    const place = ends + (nearestBin(value, low, amount, last) << 2);
    const at = load<u32>(place);
    store<u64>(scratch + (<usize>at << 3), load<u64>(value));
    store<u32>(place, at + 1);
  }
  memory.copy(values, scratch, <usize>count << 3);
}
