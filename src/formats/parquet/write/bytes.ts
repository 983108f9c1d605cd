/** Bytes that grow at their end, and the ways in which Parquet's encodings write numbers. */

const FIRST_BYTES = 1 << 16;

export class Bytes {
  /** Valid up to `length`; replaced when it grows. */
  array = new Uint8Array(FIRST_BYTES);
  length = 0;

  clear(): void {
    this.length = 0;
  }

  /** What there is; until more is written. */
  get written(): Uint8Array {
    return this.array.subarray(0, this.length);
  }

  /** Room for `bytes` more, which are counted as written. @returns where they begin */
  take(bytes: number): number {
    const at = this.length;
    this.length = at + bytes;
    if (this.length > this.array.length) {
      const larger = new Uint8Array(Math.max(this.length, 2 * this.array.length));
      larger.set(this.array.subarray(0, at));
      this.array = larger;
    }
    return at;
  }

  byte(value: number): void {
    const at = this.take(1);
    this.array[at] = value;
  }

  append(bytes: Uint8Array): void {
    const at = this.take(bytes.length);
    this.array.set(bytes, at);
  }

  /** A whole number from 0 to 2^53, seven bits a byte. */
  varint(value: number): void {
    while (value >= 0x80) {
      this.byte((value % 0x80) | 0x80);
      value = Math.floor(value / 0x80);
    }
    this.byte(value);
  }

  /** A whole number between -2^52 and 2^52, the small ones of either sign in few bytes. */
  zigzag(value: number): void {
    this.varint(value < 0 ? -2 * value - 1 : 2 * value);
  }

  uint32(value: number): void {
    const at = this.take(4);
    this.array[at] = value;
    this.array[at + 1] = value >>> 8;
    this.array[at + 2] = value >>> 16;
    this.array[at + 3] = value >>> 24;
  }
}
