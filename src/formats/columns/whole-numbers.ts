/** Whole numbers of exports: doubles in memory, 64-bit integers in files. */

/** A whole double plus this has the whole number in its low bits, if it is less than 2^51. */
const SHIFT = 1.5 * 2 ** 52;
const SHIFT_HIGH = 0x43380000;
const SHIFTED_MAX = 2 ** 51;

/** Writes the first `rows` doubles, which are whole, as int64 from byte `at` on, a multiple of 8; NaN as 0. */
export function writeWholeNumbers(values: Float64Array, rows: number, buffer: ArrayBuffer, at: number): void {
  const words = new Int32Array(buffer, at, 2 * rows);
  if (writeSmall(values, rows, words)) return;
  if (writeMiddling(values, rows, new Float64Array(buffer, at, rows), words)) return;
  for (let row = 0; row < rows; row++) {
    const value = Number.isNaN(values[row]) ? 0 : values[row];
    const high = Math.floor(value / 2 ** 32);
    words[2 * row] = value - high * 2 ** 32;
    words[2 * row + 1] = high;
  }
}

/** @returns false at the first one that is no int32 */
function writeSmall(values: Float64Array, rows: number, words: Int32Array): boolean {
  for (let row = 0; row < rows; row++) {
    const value = values[row];
    const low = value | 0;
    if (low !== value && !Number.isNaN(value)) return false;
    words[2 * row] = low;
    words[2 * row + 1] = low >> 31;
  }
  return true;
}

/** @returns false at the first one of 2^51 or more */
function writeMiddling(
  values: Float64Array,
  rows: number,
  doubles: Float64Array,
  words: Int32Array,
): boolean {
  for (let row = 0; row < rows; row++) {
    const value = Number.isNaN(values[row]) ? 0 : values[row];
    if (value >= SHIFTED_MAX || value <= -SHIFTED_MAX) return false;
    doubles[row] = value + SHIFT;
  }
  for (let high = 1; high < 2 * rows; high += 2) words[high] -= SHIFT_HIGH;
  return true;
}
