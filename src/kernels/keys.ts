/** Keys: unsigned 64-bit numbers in the order of the doubles that they stand for. */

const SIGN = 1n << 63n;

const value = new Float64Array(1);
const bits = new BigUint64Array(value.buffer);

/** @param of - not NaN */
export function keyOf(of: number): bigint {
  value[0] = of;
  return (bits[0] & SIGN) === 0n ? bits[0] | SIGN : BigInt.asUintN(64, ~bits[0]);
}

export function doubleOf(key: bigint): number {
  bits[0] = (key & SIGN) === 0n ? ~key : key ^ SIGN;
  return value[0];
}
