/**
 * Numbers as text, the same that JavaScript's String(x) gives, but for −0, which is `-0`.
 *
 * Doubles: the shortest decimal that reads back as the value, and of those the nearest (Giulietti 2020, "The Schubfach
 * way to render doubles"). With k such that one step of the value's last bit is from 1 up to 10 times 10^k, the value
 * divided by 10^k is s + fraction. The shortest decimal is the multiple of ten next to it, if that lies within half a
 * step; else the nearest whole number. The product that gives s + fraction is worked out to some 30 bits of the
 * fraction; where those do not decide, or the steps below and above the value differ, the exact way is gone.
 */
import { POWER_BYTES, POWER_MIN, TABLES_POWERS_OFFSET } from './text-layout';

const SIGN_BIT: u64 = 0x8000_0000_0000_0000;
const MANTISSA_BITS: u64 = 52;
const MANTISSA_MASK: u64 = 0x000f_ffff_ffff_ffff;
const IMPLICIT_BIT: u64 = 0x0010_0000_0000_0000;
/** What an exponent field stands for, plus the bits of the mantissa. */
const EXPONENT_BIAS: i32 = 1075;
const LOW_HALF: u64 = 0xffff_ffff;
/** Above all errors of what is compared with it, in units of 2^-64. */
const TOLERANCE: i64 = 0x8_0000_0000;
/** Ten in units of 2^-59. */
const TEN: u64 = 0x5000_0000_0000_0000;
const ASCII_ZEROS: u64 = 0x3030_3030_3030_3030;

/** 2^53: larger ones are written as the shortest decimals, with zeros. */
const WHOLE_MAX: f64 = 9007199254740992;
const TEN_TO_8: u64 = 100_000_000;
const TEN_TO_16: u64 = 10_000_000_000_000_000;

/** A number below 10^8 as eight digits, the first one lowest; add ASCII_ZEROS for their text. */
@inline
export function digits8(value: u64): u64 {
  // Divisions are multiplications by what is little more than the reciprocal; all values are small enough for them.
  const thousands = (value * 3_518_437_209) >> 45;
  const pairs = thousands | ((value - thousands * 10_000) << 32);
  const hundreds = ((pairs * 10_486) >> 20) & 0x0000_007f_0000_007f;
  const tens = hundreds | ((pairs - hundreds * 100) << 16);
  const upper = ((tens * 103) >> 10) & 0x000f_000f_000f_000f;
  return upper | ((tens - upper * 10) << 8);
}

/** @returns where the text ends */
export function writeWhole(value: u64, out: usize): usize {
  if (value < 10) {
    store<u8>(out, <u8>value + 0x30);
    return out + 1;
  }
  if (value < TEN_TO_8) return writeUpTo8(value, out);
  const upper = value / TEN_TO_8;
  const lower = digits8(value - upper * TEN_TO_8);
  if (upper < TEN_TO_8) {
    out = writeUpTo8(upper, out);
  } else {
    const top = upper / TEN_TO_8;
    out = writeUpTo8(top, out);
    store<u64>(out, digits8(upper - top * TEN_TO_8) | ASCII_ZEROS);
    out += 8;
  }
  store<u64>(out, lower | ASCII_ZEROS);
  return out + 8;
}

@inline
function writeUpTo8(value: u64, out: usize): usize {
  const digits = digits8(value);
  // Bytes of leading zeros; the last digit stands in any case.
  const zeros = ctz(digits | 0x0100_0000_0000_0000) >> 3;
  store<u64>(out, (digits | ASCII_ZEROS) >> (zeros << 3));
  return out + 8 - <usize>zeros;
}

/**
 * A finite double.
 * @param tables - @see text-layout.ts
 * @returns where the text ends
 */
export function writeNumber(value: f64, out: usize, tables: usize): usize {
  let bits = reinterpret<u64>(value);
  store<u8>(out, 0x2d); // '-'
  out += <usize>(bits >> 63);
  bits &= ~SIGN_BIT;
  const size = reinterpret<f64>(bits);
  const whole = <i64>min(size, WHOLE_MAX);
  if (<f64>whole === size) return writeWhole(<u64>whole, out);
  const exponentField = <i32>(bits >> MANTISSA_BITS);
  const fractionField = bits & MANTISSA_MASK;
  const isUneven = fractionField === 0 && exponentField > 1;
  const c = exponentField === 0 ? fractionField : fractionField | IMPLICIT_BIT;
  const q = max(exponentField, 1) - EXPONENT_BIAS;
  // floor(log10(2^q)), of three quarters of it where the step below is half as wide.
  let power = (q * 315_653 - (isUneven ? 131_237 : 0)) >> 20;
  const table = tables + TABLES_POWERS_OFFSET + <usize>(-power - POWER_MIN) * POWER_BYTES;
  const high = load<u64>(table);
  const low = load<u64>(table, 8);
  // q + floor(log2(10^-power)) + 1, which is from 1 up to 4.
  const shift = <u64>(q + ((-power * 217_707) >> 16) + 1);

  if (!isUneven && exponentField !== 0) {
    const factor = c << shift;
    const a = factor >> 32;
    const b = factor & LOW_HALF;
    const h = high >> 32;
    const l = high & LOW_HALF;
    const bl = b * l;
    const al = a * l;
    const middle = (bl >> 32) + (al & LOW_HALF) + b * h;
    const product = (middle << 32) | (bl & LOW_HALF);
    const fraction = product + a * (low >> 32);
    const s = a * h + (al >> 32) + (middle >> 32) + <u64>(fraction < product);
    const tenth = s / 10;
    const last = s - tenth * 10;
    // How far inside of half a step the multiples of ten lie, in units of 2^-59.
    const halfStep = high >> (6 - shift);
    const rest = (last << 59) | (fraction >> 5);
    const below = <i64>(halfStep - rest);
    const above = <i64>(halfStep + rest - TEN);
    const half = <i64>(fraction - SIGN_BIT);
    if (isFar(below) & isFar(above) & isFar(half)) {
      // Which of the three it is follows no pattern, so nothing branches.
      const isAbove = <u64>-above >> 63;
      const isTen = isAbove | (<u64>-below >> 63);
      const nearest = s + (<u64>~half >> 63);
      const decimal = nearest ^ ((nearest ^ (10 * (tenth + isAbove))) & (0 - isTen));
      const isShort = (decimal - TEN_TO_16) >> 63;
      return writeDecimal(decimal + ((9 * decimal) & (0 - isShort)), power - <i32>isShort, out);
    }
  }
  let decimal = exactDecimal(c, isUneven, shift, high, low);
  for (; decimal < TEN_TO_16; power--) decimal *= 10;
  return writeDecimal(decimal, power, out);
}

/** Whether zero is further away than what the product lacks. */
@inline
function isFar(distance: i64): bool {
  return <u64>(distance + TOLERANCE) > <u64>(2 * TOLERANCE);
}

/** The highest 64 bits of the product of factor and high:low, the lowest of them set where any bit below is. */
function roundToOdd(high: u64, low: u64, factor: u64): u64 {
  const a = factor >> 32;
  const b = factor & LOW_HALF;
  const h = high >> 32;
  const l = high & LOW_HALF;
  const bl = b * l;
  const al = a * l;
  const middle = (bl >> 32) + (al & LOW_HALF) + b * h;
  const product = (middle << 32) | (bl & LOW_HALF);
  const lh = low >> 32;
  const ll = low & LOW_HALF;
  const all = a * ll;
  const carry = ((b * ll) >> 32) + (all & LOW_HALF) + b * lh;
  const below = product + (a * lh + (all >> 32) + (carry >> 32));
  const upper = a * h + (al >> 32) + (middle >> 32) + <u64>(below < product);
  return upper | <u64>(below > 1);
}

/** Schubfach itself. @returns the decimal */
function exactDecimal(c: u64, isUneven: bool, shift: u64, high: u64, low: u64): u64 {
  const value = c << 2;
  const excluded = c & 1;
  const lower = roundToOdd(high, low, (value - 2 + <u64>isUneven) << shift) + excluded;
  const middle = roundToOdd(high, low, value << shift);
  const upper = roundToOdd(high, low, (value + 2) << shift) - excluded;
  const s = middle >> 2;
  if (s >= 10) {
    const tenth = s / 10;
    const isBelow = lower <= 40 * tenth;
    const isAbove = upper >= 40 * tenth + 40;
    if (isBelow !== isAbove) return 10 * (tenth + <u64>isAbove);
  }
  const isBelow = lower <= 4 * s;
  const isAbove = upper >= 4 * s + 4;
  const half = 4 * s + 2;
  const roundsUp = isBelow !== isAbove ? isAbove : middle > half || (middle === half && (s & 1) !== 0);
  return s + <u64>roundsUp;
}

/** decimal × 10^power, by the rules of ECMAScript's Number::toString. @param decimal - of seventeen digits */
function writeDecimal(decimal: u64, power: i32, out: usize): usize {
  const upper = decimal / TEN_TO_8;
  const first = (upper * 1_441_151_881) >> 57;
  const early = digits8(upper - first * TEN_TO_8);
  const late = digits8(decimal - upper * TEN_TO_8);
  // Digits that are no trailing zeros.
  const digits: i32 =
    late !== 0 ? 17 - (<i32>clz(late) >> 3) : early !== 0 ? 9 - (<i32>clz(early) >> 3) : 1;
  const early8 = early | ASCII_ZEROS;
  const late8 = late | ASCII_ZEROS;
  const first1 = <u8>first + 0x30;
  // Where the point stands: this many digits before it.
  const point = 17 + power;
  // Each test is one comparison, the sign of the exponent being anybody's guess.
  if (<u32>(point - 1) < 8 && digits > point) {
    store<u8>(out, first1);
    store<u64>(out, early8, 2);
    const bits = <u64>(point - 1) << 3;
    const mask = (<u64>1 << bits) - 1;
    store<u64>(out, (early8 & mask) | (<u64>0x2e << bits) | ((early8 & ~mask) << 8), 1);
    store<u64>(out, late8, 10);
    return out + digits + 1;
  }
  if (<u32>(point + 5) < 6) {
    store<u64>(out, 0x3030_3030_3030_2e30); // '0.000000'
    out += 2 - point;
    store<u8>(out, first1);
    store<u64>(out, early8, 1);
    store<u64>(out, late8, 9);
    return out + digits;
  }
  if (<u32>(point - 1) < 21) {
    store<u8>(out, first1);
    store<u64>(out, early8, 1);
    store<u64>(out, late8, 9);
    if (point >= digits) {
      for (let i = digits; i < point; i++) store<u8>(out + i, 0x30);
      return out + point;
    }
    for (let i = digits; i > point; i--) store<u8>(out + i, load<u8>(out + i - 1));
    store<u8>(out + point, 0x2e);
    return out + digits + 1;
  }
  store<u8>(out, first1);
  store<u8>(out, 0x2e, 1);
  store<u64>(out, early8, 2);
  store<u64>(out, late8, 10);
  out += digits === 1 ? 1 : digits + 1;
  const exponent = point - 1;
  store<u16>(out, 0x2b65 + ((<u32>exponent >> 31) << 9)); // 'e+', 'e-'
  return writeWhole(<u64>abs(exponent), out + 2);
}

/** At least `digits` hexadecimal digits, led by zeros. @param digits - at most 16 @returns where the text ends */
@inline
export function writeHex(value: u64, digits: i32, out: usize): usize {
  // Every byte twice, the highest first: the even ones are to become the upper digits, the odd ones the lower.
  const twice = i8x16.shuffle(
    i64x2.splat(value), i64x2.splat(0),
    7, 7, 6, 6, 5, 5, 4, 4, 3, 3, 2, 2, 1, 1, 0, 0,
  );
  const nibbles = v128.or(
    v128.and(i16x8.shr_u(twice, 4), i16x8.splat(0x000f)),
    v128.and(twice, i16x8.splat(0x0f00)),
  );
  const text = i8x16.swizzle(
    i8x16(0x30, 0x31, 0x32, 0x33, 0x34, 0x35, 0x36, 0x37, 0x38, 0x39, 0x61, 0x62, 0x63, 0x64, 0x65, 0x66),
    nibbles,
  );
  const upper = <u64>i64x2.extract_lane(text, 0);
  const lower = <u64>i64x2.extract_lane(text, 1);
  // The digits that are wanted are the last of 16.
  const length = max(digits, (67 - <i32>clz(value | 1)) >> 2);
  if (length <= 8) {
    store<u64>(out, lower >> (<u64>(8 - length) << 3));
  } else {
    store<u64>(out, upper >> (<u64>(16 - length) << 3));
    store<u64>(out + length - 8, lower);
  }
  return out + length;
}
