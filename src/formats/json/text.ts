/** JSON as it is written, and a little beyond: Python's NaN, and numbers that no double holds. */

import type { Json } from '../../schema/event.js';

const QUOTE = 0x22;
const BACKSLASH = 0x5c;
const MINUS = 0x2d;
/** Shorter whole numbers are exact in a double, and those of fewer digits behind the e are none beyond it. */
const LONG_NUMBER = /\d{16}|\d[eE]\+?\d{3}/;
const NUMBER = /-?\d[\d.eE+-]*/y;
const LONG_WHOLE = /^-?\d{16,}$/;
const NON_FINITE = /NaN|-?Infinity/y;

export interface ParsedJson {
  readonly value: Json;
  /** How many NaN, infinities and numbers beyond a double are null in it. */
  readonly nonFinite: number;
}

/**
 * Whole numbers whose digits a double does not keep, which are beyond 2^53, become texts of them; NaN, Infinity and
 * -Infinity, as Python and JavaScript write them, become null, and so do numbers such as 1e400.
 * @throws SyntaxError
 */
export function parseJson(text: string): ParsedJson {
  if (LONG_NUMBER.test(text)) return parseRepaired(text);
  try {
    return { value: JSON.parse(text) as Json, nonFinite: 0 };
  } catch (error) {
    if (!text.includes('NaN') && !text.includes('Infinity')) throw error;
    return parseRepaired(text);
  }
}

function parseRepaired(text: string): ParsedJson {
  const parts: string[] = [];
  let nonFinite = 0;
  let taken = 0;
  const replace = (from: number, to: number, by: string) => {
    parts.push(text.slice(taken, from), by);
    taken = to;
  };
  for (let at = 0; at < text.length; ) {
    const code = text.charCodeAt(at);
    if (code === QUOTE) {
      at = endOfString(text, at + 1);
    } else if (isDigit(code) || (code === MINUS && isDigit(text.charCodeAt(at + 1)))) {
      NUMBER.lastIndex = at;
      const [number] = NUMBER.exec(text) as RegExpExecArray;
      const end = at + number!.length;
      const value = Number(number);
      if (LONG_WHOLE.test(number!) && String(value) !== number) replace(at, end, `"${number}"`);
      else if (value === Number.POSITIVE_INFINITY || value === Number.NEGATIVE_INFINITY) {
        replace(at, end, 'null');
        nonFinite += 1;
      }
      at = end;
    } else {
      NON_FINITE.lastIndex = at;
      const word = NON_FINITE.exec(text)?.[0];
      if (word === undefined) {
        at += 1;
      } else {
        replace(at, at + word.length, 'null');
        nonFinite += 1;
        at += word.length;
      }
    }
  }
  parts.push(text.slice(taken));
  return { value: JSON.parse(parts.join('')) as Json, nonFinite };
}

/** The place behind the quote that ends a string; the text's length where none does. */
function endOfString(text: string, from: number): number {
  let at = from;
  while (at < text.length) {
    const code = text.charCodeAt(at);
    if (code === QUOTE) return at + 1;
    at += code === BACKSLASH ? 2 : 1;
  }
  return text.length;
}

function isDigit(code: number): boolean {
  return code >= 0x30 && code <= 0x39;
}
