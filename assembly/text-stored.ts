/** What is stored with a row as MessagePack: whether it has the shape of a form, and its values as text. */
import {
  CELL_NULL_BYTES_OFFSET,
  CELL_NULL_OFFSET,
  CELL_STORED_JSON,
  CELL_STORED_NUMBER,
  CELL_STORED_SAFE_FIELD,
  SHAPE_BYTES_OFFSET,
  SHAPE_LENGTH_OFFSET,
  SHAPE_PART_BYTES,
  SHAPE_SLOT_OFFSET,
  SLOT_NONE,
  SLOT_TEXT,
} from './text-layout';
import { writeNumber, writeWhole } from './text-number';

const QUOTE: u8 = 0x22;
const APOSTROPHE: u8 = 0x27;
const SEMICOLON: u8 = 0x3b;

/** Compares bytes; up to 15 behind either may be read. */
@inline
function areSame(a: usize, b: usize, length: usize): bool {
  let at: usize = 0;
  for (; at + 16 <= length; at += 16) {
    if (!i8x16.all_true(i8x16.eq(v128.load(a + at), v128.load(b + at)))) return false;
  }
  const rest = <u32>(length - at);
  const same = <u32>i8x16.bitmask(i8x16.eq(v128.load(a + at), v128.load(b + at)));
  return (~same & ((<u32>1 << rest) - 1)) === 0;
}

/**
 * Finds the values that a shape's rows differ in.
 * @param slots - room for their addresses
 * @returns where what is stored ends; 0 where it is of another shape
 */
export function matchShape(stored: usize, shape: usize, slots: usize): usize {
  while (true) {
    const length = <usize>load<u32>(shape, SHAPE_LENGTH_OFFSET);
    if (!areSame(stored, load<u32>(shape, SHAPE_BYTES_OFFSET), length)) return 0;
    stored += length;
    const slot = load<u32>(shape, SHAPE_SLOT_OFFSET);
    if (slot === SLOT_NONE) return stored;
    store<u32>(slots, <u32>stored);
    slots += 4;
    const head = load<u8>(stored);
    if (slot === SLOT_TEXT) {
      if ((head & 0xe0) === 0xa0) stored += 1 + (head & 31);
      else if (head === 0xd9) stored += 2 + <usize>load<u8>(stored, 1);
      else if (head === 0xdb) stored += 5 + <usize>bswap<u32>(load<u32>(stored, 1));
      else return 0;
    } else if (head < 0x80) stored += 1;
    else if (head === 0xcb) stored += 9;
    else if (head === 0xce) stored += 5;
    else return 0;
    shape += SHAPE_PART_BYTES;
  }
}

/** Writes a stored value as the kind of its cell says. @returns where the text ends */
export function writeStored(kind: u32, stored: usize, out: usize, cell: usize, tables: usize): usize {
  if (kind === CELL_STORED_JSON) return writeJson(stored, out);
  if (kind === CELL_STORED_NUMBER) return writeStoredNumber(stored, out, cell, tables);
  return writeField(stored, out, kind === CELL_STORED_SAFE_FIELD);
}

function writeStoredNumber(stored: usize, out: usize, cell: usize, tables: usize): usize {
  const head = load<u8>(stored);
  if (head < 0x80) return writeWhole(head, out);
  if (head === 0xce) return writeWhole(bswap<u32>(load<u32>(stored, 1)), out);
  const value = reinterpret<f64>(bswap<u64>(load<u64>(stored, 1)));
  if (isFinite(value)) return writeNumber(value, out, tables);
  store<u64>(out, load<u64>(cell, CELL_NULL_OFFSET));
  return out + load<u32>(cell, CELL_NULL_BYTES_OFFSET);
}

@inline
function textStart(stored: usize): usize {
  const head = load<u8>(stored);
  return stored + (head === 0xd9 ? 2 : head === 0xdb ? 5 : 1);
}

@inline
function textBytes(stored: usize): usize {
  const head = load<u8>(stored);
  if (head === 0xd9) return load<u8>(stored, 1);
  return head === 0xdb ? bswap<u32>(load<u32>(stored, 1)) : head & 31;
}

/**
 * Quoted where a comma, a quote or a line end needs it.
 * @param isSafe - with apostrophes before what looks like a formula, as src/formats/csv/formula.ts says, and quoted where
 * there is a semicolon or a tab as well
 */
function writeField(stored: usize, out: usize, isSafe: bool): usize {
  const from = textStart(stored);
  const end = from + textBytes(stored);
  const start = out;
  if (isSafe && isLed(from, end)) store<u8>(out++, APOSTROPHE);
  const comma = i8x16.splat(0x2c);
  const semicolon = isSafe ? i8x16.splat(SEMICOLON) : comma;
  const tab = isSafe ? i8x16.splat(0x09) : comma;
  for (let at = from; at < end; at += 16) {
    const bytes = v128.load(at);
    v128.store(out + (at - from), bytes);
    const special = v128.or(
      v128.or(
        v128.or(i8x16.eq(bytes, i8x16.splat(QUOTE)), i8x16.eq(bytes, comma)),
        v128.or(i8x16.eq(bytes, i8x16.splat(0x0a)), i8x16.eq(bytes, i8x16.splat(0x0d))),
      ),
      v128.or(i8x16.eq(bytes, semicolon), i8x16.eq(bytes, tab)),
    );
    if ((<u32>i8x16.bitmask(special) & inside(end - at)) !== 0)
      return writeQuoted(from, end, start, isSafe, out !== start);
  }
  return out + (end - from);
}

/** Whether a spreadsheet may take the text for a formula. */
function isLed(from: usize, end: usize): bool {
  while (from < end) {
    const byte = load<u8>(from);
    if (byte === 0x09 || byte === 0x0a || byte === 0x0d) return true;
    const blank = blankBytes(from, byte);
    if (blank === 0) return isSign(from, byte);
    from += blank;
  }
  return false;
}

/** @returns how long a control character, blank or double quote is; 0 where there is none */
@inline
function blankBytes(at: usize, byte: u8): usize {
  if (byte <= 0x20 || byte === QUOTE) return 1;
  if (byte === 0xc2) return load<u8>(at, 1) === 0xa0 ? 2 : 0; // no-break space
  if (byte === 0xe3) return load<u16>(at, 1) === 0x8080 ? 3 : 0; // ideographic space
  return byte === 0xef && load<u16>(at, 1) === 0xbfbb ? 3 : 0; // byte order mark
}

/** Whether there is one of = + - @ or its full-width form. */
@inline
function isSign(at: usize, byte: u8): bool {
  if (byte === 0xef && load<u8>(at, 1) === 0xbc) {
    const last = load<u8>(at, 2);
    return last === 0x9d || last === 0x8b || last === 0x8d || last === 0xa0;
  }
  return byte === 0x3d || byte === 0x2b || byte === 0x2d || byte === 0x40;
}

/** A bit for each of up to 16 bytes. */
@inline
function inside(bytes: usize): u32 {
  return bytes >= 16 ? 0xffff : (<u32>1 << <u32>bytes) - 1;
}

function writeQuoted(from: usize, end: usize, out: usize, isSafe: bool, isGuarded: bool): usize {
  store<u8>(out++, QUOTE);
  if (isGuarded) store<u8>(out++, APOSTROPHE);
  // Behind a separator, and whatever blanks there are.
  let isNext = false;
  while (from < end) {
    const byte = load<u8>(from);
    let bytes: usize = 1;
    if (isSafe) {
      const blank = blankBytes(from, byte);
      if (byte === SEMICOLON || byte === 0x09 || byte === 0x0a || byte === 0x0d) isNext = true;
      else if (blank > 0) bytes = blank;
      else {
        if (isNext && isSign(from, byte)) store<u8>(out++, APOSTROPHE);
        isNext = false;
      }
    }
    for (; bytes > 0; bytes--) store<u8>(out++, load<u8>(from++));
    if (byte === QUOTE) store<u8>(out++, QUOTE);
  }
  store<u8>(out, QUOTE);
  return out + 1;
}

/** As JSON.stringify writes it. */
function writeJson(stored: usize, out: usize): usize {
  const from = textStart(stored);
  const end = from + textBytes(stored);
  store<u8>(out++, QUOTE);
  for (let at = from; at < end; at += 16) {
    const bytes = v128.load(at);
    v128.store(out + (at - from), bytes);
    const special = v128.or(
      i8x16.lt_u(bytes, i8x16.splat(0x20)),
      v128.or(i8x16.eq(bytes, i8x16.splat(0x22)), i8x16.eq(bytes, i8x16.splat(0x5c))),
    );
    if ((<u32>i8x16.bitmask(special) & inside(end - at)) !== 0) return writeEscaped(from, end, out);
  }
  out += end - from;
  store<u8>(out, QUOTE);
  return out + 1;
}

function writeEscaped(from: usize, end: usize, out: usize): usize {
  for (; from < end; from++) {
    const byte = load<u8>(from);
    if (byte >= 0x20 && byte !== QUOTE && byte !== 0x5c) {
      store<u8>(out++, byte);
      continue;
    }
    store<u8>(out++, 0x5c);
    const short = shortEscape(byte);
    if (short !== 0) {
      store<u8>(out++, short);
      continue;
    }
    store<u32>(out, 0x30303075); // 'u000'
    store<u8>(out, 0x30 + (byte >> 4), 3);
    const low: u8 = byte & 15;
    store<u8>(out, low < 10 ? 0x30 + low : 0x57 + low, 4);
    out += 5;
  }
  store<u8>(out, QUOTE);
  return out + 1;
}

/** What stands behind the backslash; 0 where it is `u` and four digits. */
@inline
function shortEscape(byte: u8): u8 {
  switch (byte) {
    case 0x08:
      return 0x62;
    case 0x09:
      return 0x74;
    case 0x0a:
      return 0x6e;
    case 0x0c:
      return 0x66;
    case 0x0d:
      return 0x72;
    default:
      return byte < 0x20 ? 0 : byte;
  }
}
