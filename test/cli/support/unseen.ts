/** Characters that nobody sees and that change what is seen, listed one by one: not by the classes that the program goes by. */

const range = (first: number, last: number) =>
  Array.from({ length: last - first + 1 }, (_, i) => String.fromCodePoint(first + i));

export const UNSEEN_TEXTS: readonly string[] = [
  ...range(0x00, 0x1f),
  ...range(0x7f, 0x9f),
  '\u00ad',
  '\u061c',
  '\u180e',
  ...range(0x200b, 0x200f),
  ...range(0x2028, 0x202e),
  ...range(0x2060, 0x206f),
  '\u3164',
  '\ufeff',
  '\ufff9',
  '\u{e0001}',
  '\u{e007f}',
];

const UNSEEN: ReadonlySet<string> = new Set(UNSEEN_TEXTS);

/** Those in the text, and halves of surrogate pairs. */
export function unseenIn(text: string): string[] {
  return [...text].filter((char) => UNSEEN.has(char) || /^[\ud800-\udfff]$/.test(char));
}
