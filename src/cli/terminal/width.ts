/** How many terminal columns a text takes, and padding and cutting by columns rather than by UTF-16 units. */

import { printable } from './text.js';

const graphemes = new Intl.Segmenter(undefined, { granularity: 'grapheme' });

/** CSI sequences (colours, cursor moves): they take no column. */
// biome-ignore lint/suspicious/noControlCharactersInRegex: the escape character is what a sequence begins with
const ANSI = /\u001b\[[0-9;?]*[A-Za-z]/g;
const EMOJI = /\p{Emoji_Presentation}|\p{Extended_Pictographic}\uFE0F|\p{Regional_Indicator}{2}/u;
const INVISIBLE = /^[\p{Control}\p{Mark}\p{Default_Ignorable_Code_Point}]+$/u;

/** East Asian Wide and Fullwidth blocks (UAX #11), in runs; enough for names, not a full table. */
const WIDE_RANGES: readonly (readonly [first: number, last: number])[] = [
  [0x1100, 0x115f], // Hangul jamo
  [0x2e80, 0x303e], // CJK radicals and punctuation
  [0x3041, 0x33ff], // kana, compatibility
  [0x3400, 0x4dbf],
  [0x4e00, 0x9fff],
  [0xa000, 0xa4cf], // Yi
  [0xac00, 0xd7a3], // Hangul syllables
  [0xf900, 0xfaff],
  [0xfe30, 0xfe6f],
  [0xff00, 0xff60], // fullwidth forms
  [0xffe0, 0xffe6],
  [0x20000, 0x3fffd],
];

/** Columns of `text`, escape sequences not counted. */
export function displayWidth(text: string): number {
  const visible = text.replace(ANSI, '');
  if (isPrintableAscii(visible)) return visible.length;
  let width = 0;
  for (const { segment } of graphemes.segment(visible)) width += graphemeWidth(segment);
  return width;
}

export function padStart(text: string, width: number): string {
  return ' '.repeat(Math.max(0, width - displayWidth(text))) + text;
}

export function padEnd(text: string, width: number): string {
  return text + ' '.repeat(Math.max(0, width - displayWidth(text)));
}

/** At most `width` columns, an ellipsis marking what was cut; escape sequences are kept, so styles still end. */
export function truncate(text: string, width: number): string {
  if (displayWidth(text) <= width) return text;
  let kept = '';
  let used = 0;
  let cut = false;
  let at = 0;
  const take = (plain: string) => {
    for (const { segment } of graphemes.segment(plain)) {
      if (cut) return;
      const next = used + graphemeWidth(segment);
      if (next > width - 1) {
        kept += width > 0 ? '…' : '';
        cut = true;
      } else {
        kept += segment;
        used = next;
      }
    }
  };
  for (const match of text.matchAll(ANSI)) {
    take(text.slice(at, match.index));
    kept += match[0];
    at = match.index + match[0].length;
  }
  take(text.slice(at));
  return kept;
}

/**
 * Breaks at spaces so that no line is wider than `width`, unless a single word is. `first` and `rest` begin the lines.
 * What in the text could deceive is made visible.
 */
export function wrap(text: string, width: number, first = '', rest = first): string[] {
  const lines: string[] = [];
  let line = first;
  let empty = true;
  for (const word of printable(text).split(' ')) {
    const longer = empty ? line + word : `${line} ${word}`;
    if (!empty && displayWidth(longer) > width) {
      lines.push(line);
      line = rest + word;
    } else {
      line = longer;
    }
    empty = false;
  }
  return [...lines, line];
}

function graphemeWidth(grapheme: string): number {
  if (INVISIBLE.test(grapheme)) return 0;
  if (EMOJI.test(grapheme)) return 2;
  const code = grapheme.codePointAt(0)!;
  return WIDE_RANGES.some(([first, last]) => code >= first && code <= last) ? 2 : 1;
}

function isPrintableAscii(text: string): boolean {
  return /^[\u0020-\u007e]*$/.test(text);
}
