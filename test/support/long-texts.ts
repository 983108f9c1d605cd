/** Texts of a given size that can be told from each other, with every kind of character in them. */

/** One, two, three and four bytes, and what files of text escape or quote: repeated behind a text's seed. */
export const UNIT = ':aß日😀"\\,\n\t=;';

/** A text of exactly so many bytes in UTF-8. No other `seed` has a part of it. */
export function longText(bytes: number, seed: number | string = 0): string {
  const unit = `${seed}${UNIT}`;
  const unitBytes = Buffer.byteLength(unit);
  return unit.repeat(Math.floor(bytes / unitBytes)) + 'x'.repeat(bytes % unitBytes);
}

export const KIB = 1024;
export const MIB = 1024 * KIB;

/** Says no more of two long texts than where they differ. */
export function difference(actual: unknown, expected: string): string | null {
  if (actual === expected) return null;
  if (typeof actual !== 'string') return `it is ${actual === null ? 'null' : typeof actual}`;
  let at = 0;
  while (at < expected.length && actual[at] === expected[at]) at++;
  return `${actual.length} units of ${expected.length}, the same up to ${at}`;
}
