/**
 * Rows as text: for each row the form of its binding is followed, which is constant text and, between it, cells.
 *
 * What of a row depends on its binding alone is in the form already, escaped and quoted, so that all formats of text
 * are written here alike.
 */
import {
  FLAG_BLOB,
  FLAG_COST_COMPUTED,
  FLAG_FAILED,
  FLAG_METADATA_MODEL,
  FLAG_METADATA_PROVIDER,
  FLAG_METADATA_TOKENS,
  FLAG_SUCCEEDED,
  TAG_BINDING_MASK,
  UNPRICED_MASK,
  VALUE_MAX,
} from './layout';
import {
  BLOCK_COMPLETION_OFFSET,
  BLOCK_COST_OFFSET,
  BLOCK_LATENCY_OFFSET,
  BLOCK_PRODUCER_OFFSET,
  BLOCK_PROMPT_OFFSET,
  BLOCK_SEQUENCE_OFFSET,
  BLOCK_STORED_OFFSET,
  BLOCK_TAG_OFFSET,
  BLOCK_TIME_OFFSET,
  CELL_BEFORE_BYTES_OFFSET,
  CELL_BEFORE_OFFSET,
  CELL_BYTES,
  CELL_COMPLETION,
  CELL_CONSTANT,
  CELL_COST,
  CELL_DATETIME,
  CELL_END,
  CELL_HAS_COST,
  CELL_HAS_TOKENS,
  CELL_KIND_OFFSET,
  CELL_LATENCY,
  CELL_NULL_BYTES_OFFSET,
  CELL_NULL_OFFSET,
  CELL_PLACE,
  CELL_PROMPT,
  CELL_SKIP_OFFSET,
  CELL_SLOT_OFFSET,
  CELL_SUCCESS,
  CELL_TEXT_BYTES_OFFSET,
  CELL_TEXT_OFFSET,
  CELL_TIMESTAMP,
  CELL_TOKENS,
  FORM_CELLS_OFFSET,
  FORM_FLAGS_OFFSET,
  FORM_GROWTH_OFFSET,
  FORM_ROW_BYTES_OFFSET,
  FORM_SHAPE_OFFSET,
  TABLES_END_OFFSET,
  TABLES_SLOTS_OFFSET,
} from './text-layout';
import { writeHex, writeNumber, writeWhole } from './text-number';
import { matchShape, writeStored } from './text-stored';
import { writeTime } from './text-time';

/** Flags that change what a row looks like: rows with any have forms of their own. */
const FORM_FLAGS: u32 =
  FLAG_BLOB |
  FLAG_COST_COMPUTED |
  FLAG_METADATA_MODEL |
  FLAG_METADATA_PROVIDER |
  FLAG_METADATA_TOKENS |
  UNPRICED_MASK;
/** No row needs so much room: it has no form. */
const NO_FORM: u32 = 0xffff_ffff;

/**
 * Whether the row is one of the form's. Leaves in the tables where its stored values are.
 * @returns the most bytes that the row takes; NO_FORM where it is none
 */
@inline
function roomOf(form: usize, tag: u32, of4: usize, of8: usize, tables: usize): u32 {
  const bytes = load<u32>(form, FORM_ROW_BYTES_OFFSET);
  const flags = tag & FORM_FLAGS;
  if (flags === 0) return bytes;
  if (flags !== load<u32>(form, FORM_FLAGS_OFFSET)) return NO_FORM;
  if ((flags & FLAG_METADATA_TOKENS) !== 0) {
    if ((load<i32>(of4, BLOCK_PROMPT_OFFSET) | load<i32>(of4, BLOCK_COMPLETION_OFFSET)) < 0) return NO_FORM;
  }
  if ((flags & FLAG_COST_COMPUTED) !== 0) {
    if (!(abs(load<f64>(of8, BLOCK_COST_OFFSET)) <= VALUE_MAX)) return NO_FORM;
  }
  const shape = <usize>load<u32>(form, FORM_SHAPE_OFFSET);
  if (shape === 0) return bytes;
  const stored = <usize>load<u32>(of4, BLOCK_STORED_OFFSET);
  if (stored === 0) return NO_FORM;
  const end = matchShape(stored, shape, tables + TABLES_SLOTS_OFFSET);
  return end === 0 ? NO_FORM : bytes + <u32>(end - stored) * load<u32>(form, FORM_GROWTH_OFFSET);
}

/** Copies text, and up to 32 bytes of what comes after it. @returns where it ends */
@inline
function writeText(out: usize, from: usize, bytes: usize): usize {
  v128.store(out, v128.load(from));
  v128.store(out, v128.load(from, 16), 16);
  if (bytes > 32) {
    for (let at: usize = 32; at < bytes; at += 16) v128.store(out + at, v128.load(from + at));
  }
  return out + bytes;
}

@inline
function writeShort(out: usize, cell: usize): usize {
  store<u64>(out, load<u64>(cell, CELL_TEXT_OFFSET));
  return out + load<u32>(cell, CELL_TEXT_BYTES_OFFSET);
}

@inline
function writeNull(out: usize, cell: usize): usize {
  store<u64>(out, load<u64>(cell, CELL_NULL_OFFSET));
  return out + load<u32>(cell, CELL_NULL_BYTES_OFFSET);
}

@inline
function storedAt(cell: usize, tables: usize): usize {
  return load<u32>(tables + TABLES_SLOTS_OFFSET + (<usize>load<u32>(cell, CELL_SLOT_OFFSET) << 2));
}

@inline
function writeValue(value: f64, out: usize, cell: usize, tables: usize): usize {
  return abs(value) <= VALUE_MAX ? writeNumber(value, out, tables) : writeNull(out, cell);
}

/**
 * Writes rows from `row` on until one of the block's end, a row with one of the flags `refused`, one whose binding
 * has no form, and one for which there may be too little room.
 *
 * @param block - its columns; @see text-layout.ts
 * @param end - the place after the last row
 * @param forms - address of u32 × 65,536: the address of each binding's form, 0 = none
 * @param flaggedForms - the same for rows with any of FORM_FLAGS: one form of each binding, which may be another's
 * @param outEnd - what is written ends before this, slack and all
 * @returns the first row that is not written; the tables tell where the text ends
 */
export function writeRows(
  block: usize,
  row: i32,
  end: i32,
  refused: u32,
  forms: usize,
  flaggedForms: usize,
  out: usize,
  outEnd: usize,
  tables: usize,
): i32 {
  for (; row < end; row++) {
    const of4 = block + (<usize>row << 2);
    const of8 = block + (<usize>row << 3);
    const tag = load<u32>(of4, BLOCK_TAG_OFFSET);
    const ofBinding = <usize>(tag & TAG_BINDING_MASK) << 2;
    const form = <usize>load<u32>(((tag & FORM_FLAGS) === 0 ? forms : flaggedForms) + ofBinding);
    if ((tag & refused) !== 0 || form === 0) break;
    const room = roomOf(form, tag, of4, of8, tables);
    if (room === NO_FORM || out + room > outEnd) break;
    for (let cell = form + FORM_CELLS_OFFSET; ; cell += CELL_BYTES) {
      out = writeText(out, load<u32>(cell, CELL_BEFORE_OFFSET), load<u32>(cell, CELL_BEFORE_BYTES_OFFSET));
      const kind = load<u32>(cell, CELL_KIND_OFFSET);
      if (kind === CELL_END) break;
      switch (kind) {
        case CELL_LATENCY:
          out = writeValue(load<f64>(of8, BLOCK_LATENCY_OFFSET), out, cell, tables);
          break;
        case CELL_COST:
          out = writeValue(load<f64>(of8, BLOCK_COST_OFFSET), out, cell, tables);
          break;
        case CELL_HAS_COST:
          if (abs(load<f64>(of8, BLOCK_COST_OFFSET)) <= VALUE_MAX) {
            out = writeShort(out, cell);
          } else {
            out = writeNull(out, cell);
          }
          break;
        case CELL_HAS_TOKENS:
        case CELL_PROMPT:
        case CELL_COMPLETION:
        case CELL_TOKENS: {
          const prompt = load<i32>(of4, BLOCK_PROMPT_OFFSET);
          const completion = load<i32>(of4, BLOCK_COMPLETION_OFFSET);
          if ((prompt & completion) < 0) {
            out = writeNull(out, cell);
            cell += load<u32>(cell, CELL_SKIP_OFFSET);
          } else if (kind !== CELL_HAS_TOKENS) {
            // Of an absent number nothing counts.
            const ofPrompt = kind !== CELL_COMPLETION ? <u64>max(prompt, 0) : 0;
            const ofCompletion = kind !== CELL_PROMPT ? <u64>max(completion, 0) : 0;
            out = writeWhole(ofPrompt + ofCompletion, out);
          }
          break;
        }
        case CELL_SUCCESS:
          if ((tag & FLAG_SUCCEEDED) !== 0) {
            store<u32>(out, 0x6575_7274); // 'true'
            out += 4;
          } else if ((tag & FLAG_FAILED) !== 0) {
            store<u64>(out, 0x65_736c_6166); // 'false'
            out += 5;
          } else {
            out = writeNull(out, cell);
          }
          break;
        case CELL_TIMESTAMP:
          out = writeNumber(floor(load<f64>(of8, BLOCK_TIME_OFFSET)), out, tables);
          break;
        case CELL_DATETIME:
          out = writeTime(
            <i64>floor(load<f64>(of8, BLOCK_TIME_OFFSET)),
            out,
            tables,
            load<u8>(cell, CELL_TEXT_OFFSET),
          );
          break;
        case CELL_PLACE:
          out = writeHex(load<u32>(of4, BLOCK_PRODUCER_OFFSET), 2, out);
          store<u8>(out, 0x2d);
          out = writeHex(<u64><i64>load<f64>(of8, BLOCK_SEQUENCE_OFFSET), 10, out + 1);
          break;
        case CELL_CONSTANT:
          out = writeShort(out, cell);
          break;
        default:
          out = writeStored(kind, storedAt(cell, tables), out, cell, tables);
      }
    }
  }
  store<u32>(tables, <u32>out, TABLES_END_OFFSET);
  return row;
}
