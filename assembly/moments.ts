/**
 * Sums over a column of f64 values, none of them NaN or infinite.
 *
 * Values are added up in blocks of 512, eight to a stride, so that a block's rounding stays small, and blocks by
 * compensated addition (Neumaier 1974), so that it does not add up over many of them.
 */

const BLOCK_BYTES: i32 = 4096;

/** Adds `term` to the pair (sum, error) at `address`, without losing what rounding takes. */
@inline
function addCompensated(address: i32, term: f64): void {
  const sum = load<f64>(address);
  const next = sum + term;
  const lost = abs(sum) >= abs(term) ? sum - next + term : term - next + sum;
  store<f64>(address, next);
  store<f64>(address, load<f64>(address, 8) + lost, 8);
}

@inline
function total(a: v128, b: v128, c: v128, d: v128): f64 {
  const all = f64x2.add(f64x2.add(a, b), f64x2.add(c, d));
  return f64x2.extract_lane(all, 0) + f64x2.extract_lane(all, 1);
}

/**
 * First pass: sum, least and greatest.
 * @param shift - taken from every value before it is added, so that an offset costs no digits
 * @param out - address of f64 × 4: sum of (value − shift) and what rounding took from it, min, max; added to
 */
export function sumAndRange(values: i32, count: i32, shift: f64, out: i32): void {
  const shifts = f64x2.splat(shift);
  let min0 = f64x2.splat(load<f64>(out, 16));
  let max0 = f64x2.splat(load<f64>(out, 24));
  let min1 = min0;
  let max1 = max0;
  const end = values + (count << 3);
  let value = values;
  while (value + 64 <= end) {
    const blockEnd = min(value + BLOCK_BYTES, end) - 63;
    let a = f64x2.splat(0);
    let b = f64x2.splat(0);
    let c = f64x2.splat(0);
    let d = f64x2.splat(0);
    while (value < blockEnd) {
      const v0 = v128.load(value);
      const v1 = v128.load(value, 16);
      const v2 = v128.load(value, 32);
      const v3 = v128.load(value, 48);
      a = f64x2.add(a, f64x2.sub(v0, shifts));
      b = f64x2.add(b, f64x2.sub(v1, shifts));
      c = f64x2.add(c, f64x2.sub(v2, shifts));
      d = f64x2.add(d, f64x2.sub(v3, shifts));
      min0 = f64x2.pmin(min0, f64x2.pmin(v0, v1));
      max0 = f64x2.pmax(max0, f64x2.pmax(v0, v1));
      min1 = f64x2.pmin(min1, f64x2.pmin(v2, v3));
      max1 = f64x2.pmax(max1, f64x2.pmax(v2, v3));
      value += 64;
    }
    addCompensated(out, total(a, b, c, d));
  }
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
    addCompensated(out, v - shift);
    least = min(least, v);
    most = max(most, v);
  }
  store<f64>(out, least, 16);
  store<f64>(out, most, 24);
}

/**
 * Second pass: squared deviations.
 * @param mean - of all values, as high and low half
 * @param out - address of f64 × 4: sum of squared deviations and what rounding took, sum of deviations likewise (which
 * corrects the first for the rounding of the mean: Chan, Golub & LeVeque 1983, eq. 1.7); added to
 */
export function sumSquares(values: i32, count: i32, mean: f64, meanLow: f64, out: i32): void {
  const high = f64x2.splat(mean);
  const low = f64x2.splat(meanLow);
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
      const d0 = f64x2.sub(f64x2.sub(v128.load(value), high), low);
      const d1 = f64x2.sub(f64x2.sub(v128.load(value, 16), high), low);
      const d2 = f64x2.sub(f64x2.sub(v128.load(value, 32), high), low);
      const d3 = f64x2.sub(f64x2.sub(v128.load(value, 48), high), low);
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
    const deviation = load<f64>(value) - mean - meanLow;
    addCompensated(out, deviation * deviation);
    addCompensated(out + 16, deviation);
  }
}
