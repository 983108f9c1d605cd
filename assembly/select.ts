/**
 * The passes of an exact radix selection over f64 values, none of them NaN.
 *
 * A value's key is its bits, turned so that keys, as unsigned numbers, are ordered as the values are. A histogram of
 * the keys' upper 16 bits says in which bin each wanted rank lies; the few values of those bins are gathered and told
 * apart by the next 16 bits. Nothing is sorted but the handful that is left then.
 */

export const SELECT_BINS: i32 = 65536;

@inline
function keyOf(bits: u64): u64 {
  // Negative values: all bits flipped. Others: the sign bit.
  return bits ^ (<u64>(<i64>bits >> 63) | 0x8000_0000_0000_0000);
}

/**
 * Counts values by 16 bits of their key.
 * @param values - address of f64
 * @param shift - 48 for the upper 16 bits, 32 for those below
 * @param bins - address of u32 × SELECT_BINS, added to
 */
export function countKeys(values: i32, count: i32, shift: i32, bins: i32): void {
  const amount = <u64>shift;
  let value = values;
  const end = values + (count << 3);
  const evenEnd = end - ((count & 1) << 3);
  while (value < evenEnd) {
    const first = bins + (<i32>((keyOf(load<u64>(value)) >> amount) & 0xffff) << 2);
    const second = bins + (<i32>((keyOf(load<u64>(value, 8)) >> amount) & 0xffff) << 2);
    store<u32>(first, load<u32>(first) + 1);
    store<u32>(second, load<u32>(second) + 1);
    value += 16;
  }
  if (value < end) {
    const bin = bins + (<i32>((keyOf(load<u64>(value)) >> amount) & 0xffff) << 2);
    store<u32>(bin, load<u32>(bin) + 1);
  }
}

/**
 * Copies the values whose key is marked.
 * @param marks - address of u8 × SELECT_BINS by 16 bits of the key: 1 = wanted
 * @param target - address with room for `count` f64 and one more
 * @returns how many were copied
 */
export function gatherMarked(values: i32, count: i32, shift: i32, marks: i32, target: i32): i32 {
  const amount = <u64>shift;
  let out = target;
  for (let value = values, end = values + (count << 3); value < end; value += 8) {
    const bits = load<u64>(value);
    // Always stored, and kept by moving on: which values are wanted follows no pattern.
    store<u64>(out, bits);
    out += <i32>load<u8>(marks + <i32>((keyOf(bits) >> amount) & 0xffff)) << 3;
  }
  return (out - target) >> 3;
}
