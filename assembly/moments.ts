/**
 * Sums over a column of f64 values, none of them NaN or infinite, their total within the range of a double.
 *
 * A sum is a pair of doubles in memory: what it is rounded to, and what rounding took from it.
 */

const BLOCK_BYTES: i32 = 4096;

/** Adds `term` to the pair at `address` (Neumaier 1974). */
@inline
function addCompensated(address: i32, term: f64): void {
  const sum = load<f64>(address);
  const next = sum + term;
  const lost = abs(sum) >= abs(term) ? sum - next + term : term - next + sum;
  store<f64>(address, next);
  store<f64>(address, load<f64>(address, 8) + lost, 8);
}

/** What rounding takes from a + b, which is `sum` (Knuth's TwoSum). */
@inline
function errorOf(a: v128, b: v128, sum: v128): v128 {
  const rest = f64x2.sub(sum, a);
  return f64x2.add(f64x2.sub(a, f64x2.sub(sum, rest)), f64x2.sub(b, rest));
}

@inline
function addLanes(address: i32, lanes: v128): void {
  addCompensated(address, f64x2.extract_lane(lanes, 0));
  addCompensated(address, f64x2.extract_lane(lanes, 1));
}

@inline
function total(a: v128, b: v128, c: v128, d: v128): f64 {
  const all = f64x2.add(f64x2.add(a, b), f64x2.add(c, d));
  return f64x2.extract_lane(all, 0) + f64x2.extract_lane(all, 1);
}

/**
 * First pass: sum, least and greatest. The sum is as accurate as in twice the precision.
 * @param out - address of f64 × 4: the sum's pair, min, max; added to
 */
export function sumAndRange(values: i32, count: i32, out: i32): void {
  let min0 = f64x2.splat(load<f64>(out, 16));
  let max0 = f64x2.splat(load<f64>(out, 24));
  let min1 = min0;
  let max1 = max0;
  let a = f64x2.splat(0);
  let b = f64x2.splat(0);
  let c = f64x2.splat(0);
  let d = f64x2.splat(0);
  let aError = f64x2.splat(0);
  let bError = f64x2.splat(0);
  let cError = f64x2.splat(0);
  let dError = f64x2.splat(0);
  const end = values + (count << 3);
  let value = values;
  for (; value + 64 <= end; value += 64) {
    const v0 = v128.load(value);
    const v1 = v128.load(value, 16);
    const v2 = v128.load(value, 32);
    const v3 = v128.load(value, 48);
    let sum = f64x2.add(a, v0);
    aError = f64x2.add(aError, errorOf(a, v0, sum));
    a = sum;
    sum = f64x2.add(b, v1);
    bError = f64x2.add(bError, errorOf(b, v1, sum));
    b = sum;
    sum = f64x2.add(c, v2);
    cError = f64x2.add(cError, errorOf(c, v2, sum));
    c = sum;
    sum = f64x2.add(d, v3);
    dError = f64x2.add(dError, errorOf(d, v3, sum));
    d = sum;
    min0 = f64x2.pmin(min0, f64x2.pmin(v0, v1));
    max0 = f64x2.pmax(max0, f64x2.pmax(v0, v1));
    min1 = f64x2.pmin(min1, f64x2.pmin(v2, v3));
    max1 = f64x2.pmax(max1, f64x2.pmax(v2, v3));
  }
  addLanes(out, a);
  addLanes(out, b);
  addLanes(out, c);
  addLanes(out, d);
  store<f64>(out, load<f64>(out, 8) + total(aError, bError, cError, dError), 8);
  let least = min(
    min(f64x2.extract_lane(min0, 0), f64x2.extract_lane(min0, 1)),
    min(f64x2.extract_lane(min1, 0), f64x2.extract_lane(min1, 1)),
  );
  let most = max(
    max(f64x2.extract_lane(max0, 0), f64x2.extract_lane(max0, 1)),
    max(f64x2.extract_lane(max1, 0), f64x2.extract_lane(max1, 1)),
  );
  for (; value < end; value += 8) {
    const v = load<f64>(value);
    addCompensated(out, v);
    least = min(least, v);
    most = max(most, v);
  }
  store<f64>(out, least, 16);
  store<f64>(out, most, 24);
}

/**
 * Second pass: squared deviations, added up in blocks of 512 so that a block's rounding stays small.
 * @param scale - every deviation is multiplied by it: a power of two that keeps squares within the range of a double
 * @param out - address of f64 × 4: pair of the sum of squared deviations, pair of the sum of deviations (which corrects
 * the first for the rounding of the mean: Chan, Golub & LeVeque 1983, eq. 1.7); added to
 */
export function sumSquares(values: i32, count: i32, mean: f64, scale: f64, out: i32): void {
  const means = f64x2.splat(mean);
  const scales = f64x2.splat(scale);
  const end = values + (count << 3);
  let value = values;
  while (value + 64 <= end) {
    const blockEnd = min(value + BLOCK_BYTES, end) - 63;
    let a = f64x2.splat(0);
    let b = f64x2.splat(0);
    let c = f64x2.splat(0);
    let d = f64x2.splat(0);
    let e = f64x2.splat(0);
    let f = f64x2.splat(0);
    while (value < blockEnd) {
      const d0 = f64x2.mul(f64x2.sub(v128.load(value), means), scales);
      const d1 = f64x2.mul(f64x2.sub(v128.load(value, 16), means), scales);
      const d2 = f64x2.mul(f64x2.sub(v128.load(value, 32), means), scales);
      const d3 = f64x2.mul(f64x2.sub(v128.load(value, 48), means), scales);
      a = f64x2.add(a, f64x2.mul(d0, d0));
      b = f64x2.add(b, f64x2.mul(d1, d1));
      c = f64x2.add(c, f64x2.mul(d2, d2));
      d = f64x2.add(d, f64x2.mul(d3, d3));
      e = f64x2.add(e, f64x2.add(d0, d1));
      f = f64x2.add(f, f64x2.add(d2, d3));
      value += 64;
    }
    const zero = f64x2.splat(0);
    addCompensated(out, total(a, b, c, d));
    addCompensated(out + 16, total(e, f, zero, zero));
  }
  for (; value < end; value += 8) {
    const deviation = (load<f64>(value) - mean) * scale;
    addCompensated(out, deviation * deviation);
    addCompensated(out + 16, deviation);
  }
}
