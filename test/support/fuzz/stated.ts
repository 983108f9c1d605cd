/** Chances and stated numbers: a file is made of both, and one of the numbers may be made to lie. */

export class Random {
  #state: number;

  constructor(seed: number) {
    this.#state = seed | 0;
  }

  /** From 0 up to `below`, whole. */
  below(below: number): number {
    this.#state = (this.#state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(this.#state ^ (this.#state >>> 15), 1 | this.#state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return Math.floor((((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32) * below);
  }

  flip(): boolean {
    return this.below(2) === 0;
  }

  of<T>(choices: readonly T[]): T {
    return choices[this.below(choices.length)]!;
  }

  list<T>(most: number, make: (i: number) => T): T[] {
    return Array.from({ length: this.below(most + 1) }, (_, i) => make(i));
  }
}

const CLAIMS = [
  0,
  1,
  2,
  3,
  7,
  8,
  16,
  31,
  32,
  33,
  63,
  64,
  65,
  127,
  128,
  255,
  256,
  65_535,
  65_536,
  2 ** 20,
  2 ** 24,
  2 ** 29,
  2 ** 30,
  2 ** 31 - 1,
  2 ** 31,
  2 ** 32 - 1,
  2 ** 32,
  2 ** 40,
  2 ** 50,
  2 ** 53 - 1,
  -1,
  -2,
  -8,
  -(2 ** 31),
  -(2 ** 53) + 1,
];

/** The numbers that a file states, in the order in which they are written. */
export class Stated {
  count = 0;
  readonly #lie: number;
  readonly #random: Random | null;

  /** @param lie - which of them is another one; -1 for none */
  constructor(lie = -1, random: Random | null = null) {
    this.#lie = lie;
    this.#random = random;
  }

  readonly n = (value: number): number => {
    if (this.count++ !== this.#lie || this.#random === null) return value;
    const near = [value + 1, value - 1, value * 2, value + 8, -value];
    return this.#random.flip() ? this.#random.of(near) : this.#random.of(CLAIMS);
  };
}

/** Little-endian, of what fits into so many bytes. */
export function little(value: number, bytes: number): number[] {
  const wrapped = BigInt.asUintN(8 * bytes, BigInt(value));
  return Array.from({ length: bytes }, (_, i) => Number((wrapped >> BigInt(8 * i)) & 255n));
}

export const big = (value: number, bytes: number): number[] => little(value, bytes).reverse();

export function varint(value: number | bigint): number[] {
  const bytes: number[] = [];
  let rest = BigInt.asUintN(64, BigInt(value));
  for (; rest >= 128n; rest >>= 7n) bytes.push(Number(rest & 127n) | 128);
  return [...bytes, Number(rest)];
}

export function zigzag(value: number): number[] {
  const wide = BigInt(value);
  return varint((wide << 1n) ^ (wide >> 63n));
}
