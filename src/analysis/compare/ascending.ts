/** Many doubles in order, digit by digit: two to three times as quick as by comparison. */

/** Below this many values comparing them is quicker. */
const RADIX_MIN = 1 << 16;
/** 16-bit digits of a double, the lowest first, as machines that run this library store them. */
const PLACES = 4;
const DIGITS = 1 << 16;
/** The highest digit has the sign bit from here on. */
const NEGATIVE = 1 << 15;

/** A copy in ascending order, −0 before 0; NaN at the ends. */
export function ascending(values: Float64Array): Float64Array {
  let from = values.slice();
  if (from.length < RADIX_MIN) return from.sort();
  let to = new Float64Array(from.length);
  const places = new Uint32Array(DIGITS);
  for (let place = 0; place < PLACES; place++) {
    const digits = new Uint16Array(from.buffer);
    places.fill(0);
    for (let at = place; at < digits.length; at += PLACES) places[digits[at]]++;
    // Whole numbers, for one, differ in their higher digits only.
    if (places[digits[place]] === from.length) continue;
    toStarts(places);
    for (let i = 0, at = place; i < from.length; i++, at += PLACES) to[places[digits[at]]++] = from[i];
    [from, to] = [to, from];
  }
  return negativeFirst(from, to);
}

/** Counts become the sums of those before them. */
function toStarts(counts: Uint32Array): void {
  let start = 0;
  for (let digit = 0; digit < counts.length; digit++) {
    const count = counts[digit];
    counts[digit] = start;
    start += count;
  }
}

/** By their bits alone negative numbers come last, those nearest to 0 first. @param spare - as large as `ordered` */
function negativeFirst(ordered: Float64Array, spare: Float64Array): Float64Array {
  const digits = new Uint16Array(ordered.buffer);
  let start = ordered.length;
  while (start > 0 && digits[PLACES * start - 1] >= NEGATIVE) start--;
  if (start === ordered.length) return ordered;
  spare.set(ordered.subarray(start).reverse());
  spare.set(ordered.subarray(0, start), ordered.length - start);
  return spare;
}
