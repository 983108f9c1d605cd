/**
 * How text and JSON values become numbers, booleans and text. Everything that converts during an import uses
 * these, so an expression and a target agree on what `"91.0"` or `"True"` is.
 */

import type { Json } from '../schema/event.js';

const DECIMAL = /^[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?$/;
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

/** What a word, number or boolean says about success; null when it says nothing known. */
export function booleanOf(value: Json): boolean | null {
  if (typeof value === 'boolean') return value;
  if (typeof value === 'number') return Number.isNaN(value) ? null : value !== 0;
  if (typeof value !== 'string') return null;
  const word = value.trim().toLowerCase();
  if (TRUE_WORDS.has(word)) return true;
  return FALSE_WORDS.has(word) ? false : null;
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
