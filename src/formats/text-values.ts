/**
 * How text and JSON values become numbers, booleans and text. Everything that converts during an import uses
 * these, so an expression and a target agree on what `"91.0"` or `"True"` is.
 */

import type { Json } from '../schema/event.js';

/** Linear: after the digits in front, what follows can be read in one way only. */
const DECIMAL = /^[+-]?(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d+)?$/;
/** Longer texts are no numbers that anybody means. */
const DECIMAL_MAX_CHARS = 400;
/** No leading zeros, no plus sign; an exponent only after a fraction, so that a hash like 12e3456 stays text. */
const PLAIN_DECIMAL = /^-?(?:0|[1-9]\d*)(?:\.\d+(?:[eE][+-]?\d+)?)?$/;

const TRUE_WORDS = new Set(['true', 't', 'yes', 'y', '1', 'ok', 'success', 'succeeded']);
const FALSE_WORDS = new Set(['false', 'f', 'no', 'n', '0', 'error', 'fail', 'failed', 'failure']);

/** Missing: null, or the empty text that CSV writes for it. */
export function isMissing(value: Json): value is null | '' {
  return value === null || value === '';
}

/**
 * Decimal text to the nearest double (`Number` rounds correctly); surrounding blanks are allowed. Null for
 * anything else, hexadecimal and words like Infinity included, and for what overflows a double.
 */
export function parseDecimal(text: string): number | null {
  if (text.length > DECIMAL_MAX_CHARS) return null;
  const trimmed = text.trim();
  if (!DECIMAL.test(trimmed)) return null;
  const value = Number(trimmed);
  return Number.isFinite(value) ? value : null;
}

/** The number a value stands for: a finite number, a boolean as 1 or 0, decimal text; else null. */
export function numberOf(value: Json): number | null {
  if (typeof value === 'number') return Number.isFinite(value) ? value : null;
  if (typeof value === 'string') return parseDecimal(value);
  if (typeof value === 'boolean') return value ? 1 : 0;
  return null;
}

const THOUSANDS = /^[+-]?\d{1,3}(?:([., '\u00a0\u202f])\d{3})(?:\1\d{3})*(?:[.,]\d+)?$/;

/** What may help with text that should be a number and is none; empty where nothing is known. */
export function numberHint(text: string): string {
  if (text.length > 64) return '';
  const trimmed = text.trim();
  if (/^[+-]?\d{1,3},\d{3}$/.test(trimmed)) {
    return `: it may mean ${trimmed.replace(',', '.')} or ${trimmed.replace(',', '')}; write it without thousands separators, or pass decimal: ','`;
  }
  if (THOUSANDS.test(trimmed))
    return ': numbers are read without thousands separators; write it without them';
  return /^[+-]?\d+,\d+$/.test(trimmed) ? ": pass decimal: ',' for fractions with a comma" : '';
}

/** What a word, 1, 0 or a boolean says about success; null when it says nothing known. */
export function booleanOf(value: Json): boolean | null {
  if (typeof value === 'boolean') return value;
  if (typeof value === 'number') return value === 1 ? true : value === 0 ? false : null;
  if (typeof value !== 'string') return null;
  const word = value.trim().toLowerCase();
  if (TRUE_WORDS.has(word)) return true;
  if (FALSE_WORDS.has(word)) return false;
  // As pandas writes a column of booleans with gaps: 1.0 and 0.0.
  const number = parseDecimal(word);
  return number === 1 ? true : number === 0 ? false : null;
}

/** Thousands as a file with decimal commas has them; `1.234` may be 1.234 as well. */
const THOUSANDS_POINTS = /^\s*[+-]?[1-9]\d{0,2}(?:\.\d{3})+\s*$/;

/** Whether text of a file with decimal commas is a number to some and another one to others. */
export function isAmbiguousNumber(text: string): boolean {
  return text.length < 64 && THOUSANDS_POINTS.test(text);
}

/** Text of a value: null is empty, objects and arrays are JSON. */
export function textOf(value: Json): string {
  if (typeof value === 'string') return value;
  if (value === null) return '';
  return typeof value === 'object' ? JSON.stringify(value) : String(value);
}

/**
 * A CSV field as metadata: a number where the text is one and nothing is lost, else the text.
 *
 * A number is text that `String(Number(text))` gives back, or a plain decimal ("91.0"). Ids stay text: leading
 * zeros ("007"), and whole numbers beyond 2^53 whose digits a double cannot hold.
 */
export function recognise(text: string): number | string {
  const code = text.charCodeAt(0);
  // Digits and the minus sign are the only first characters that the rules below accept.
  if (!(code >= 0x30 && code <= 0x39) && code !== 0x2d) return text;
  const value = Number(text);
  if (!Number.isFinite(value)) return text;
  if (String(value) === text) return value;
  if (!PLAIN_DECIMAL.test(text)) return text;
  return text.includes('.') || Number.isSafeInteger(value) ? value : text;
}
