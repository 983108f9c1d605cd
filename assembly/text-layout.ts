/**
 * How rows are laid before the writer of text, and what tells it the form of a row; compiled by both asc and tsc.
 *
 * Everything lies in a memory of the caller's own. Offsets ending in _OFFSET are bytes from the start of the structure
 * that the name begins with. What is written may be followed by up to TEXT_SLACK_BYTES of arbitrary bytes, and what is
 * read as text must be followed by as many that can be read.
 */

export const TEXT_SLACK_BYTES = 64;

// ── Tables: one per memory, filled by its owner ──────────────────────────────────────────────────
/** The least and the greatest power of ten that a double's shortest text takes. */
export const POWER_MIN = -292;
export const POWER_MAX = 324;
export const TABLES_POWERS_OFFSET = 0; // per power: u64 high, u64 low half of its first 128 bits, rounded up
export const POWER_BYTES = 16;
export const TABLES_SECOND_OFFSET = 9984; // i64, the second whose text is kept
export const TABLES_SECOND_BYTES_OFFSET = 9992; // i32, bytes of that text
export const TABLES_SECOND_TEXT_OFFSET = 10000; // up to 23 bytes: `2023-11-14T22:13:20.`
export const TABLES_END_OFFSET = 10032; // u32, where the text of the last call ends
/** Where a row's stored values begin that its form has cells for. */
export const TABLES_SLOTS_OFFSET = 10048; // u32 address × SLOTS_MAX
export const SLOTS_MAX = 256;
export const TABLES_BYTES = 11072;
/** No second is this one: no text is kept. */
export const SECOND_NONE = 9007199254740991;

// ── Block: up to 1,024 rows as columns ───────────────────────────────────────────────────────────
export const BLOCK_ROWS = 1024;
export const BLOCK_TIME_OFFSET = 0; // f64 µs since the Unix epoch, not floored
export const BLOCK_LATENCY_OFFSET = 8192; // f64 ms, NaN = absent
export const BLOCK_COST_OFFSET = 16384; // f64 USD, NaN = absent
export const BLOCK_SEQUENCE_OFFSET = 24576; // f64
export const BLOCK_PROMPT_OFFSET = 32768; // i32, negative = absent
export const BLOCK_COMPLETION_OFFSET = 36864; // i32
export const BLOCK_TAG_OFFSET = 40960; // u32
export const BLOCK_PRODUCER_OFFSET = 45056; // u32
export const BLOCK_STORED_OFFSET = 49152; // u32 address of the row's MessagePack, 0 = none
export const BLOCK_BYTES = 53248;

// ── Form: what rows look like that have the same binding, flags and shape ─────────────────────────
export const FORM_ROW_BYTES_OFFSET = 0; // u32, the most bytes that a row can have, stored texts aside
export const FORM_FLAGS_OFFSET = 4; // u32, the tag's flags that are part of a form
export const FORM_SHAPE_OFFSET = 8; // u32 address of the shape; 0 = nothing is stored with the rows
export const FORM_GROWTH_OFFSET = 12; // u32, the most bytes that come of one stored byte
export const FORM_CELLS_OFFSET = 16;

/**
 * A shape is MessagePack with its numbers and texts cut out: rows of one shape differ in these only. It is a list of
 * the bytes before each of them and, at last, of those after all.
 */
export const SHAPE_BYTES_OFFSET = 0; // u32 address
export const SHAPE_LENGTH_OFFSET = 4; // u32
export const SHAPE_SLOT_OFFSET = 8; // u32, SLOT_*
export const SHAPE_PART_BYTES = 12;
/** Nothing follows. */
export const SLOT_NONE = 0;
export const SLOT_NUMBER = 1;
export const SLOT_TEXT = 2;

/** A cell is the text before it, and then what its kind says. */
export const CELL_KIND_OFFSET = 0; // u32, CELL_*
export const CELL_BEFORE_OFFSET = 4; // u32 address
export const CELL_BEFORE_BYTES_OFFSET = 8; // u32
export const CELL_NULL_BYTES_OFFSET = 12; // u32
export const CELL_NULL_OFFSET = 16; // up to 8 bytes, written where there is no value
export const CELL_TEXT_OFFSET = 24; // up to 8 bytes
export const CELL_TEXT_BYTES_OFFSET = 32; // u32
export const CELL_SKIP_OFFSET = 36; // u32, bytes of the cells that are left out where there is no value
export const CELL_SLOT_OFFSET = 40; // u32, place of the stored value among those of its shape
export const CELL_BYTES = 48;

/** Nothing: the row ends. */
export const CELL_END = 0;
export const CELL_LATENCY = 1;
export const CELL_COST = 2;
/** CELL_TEXT where there is a cost. */
export const CELL_HAS_COST = 3;
/** CELL_SKIP further on where there are no tokens. */
export const CELL_HAS_TOKENS = 4;
export const CELL_PROMPT = 5;
export const CELL_COMPLETION = 6;
export const CELL_TOKENS = 7;
export const CELL_SUCCESS = 8;
/** Whole microseconds. */
export const CELL_TIMESTAMP = 9;
/** ISO 8601 with six digits of a second; CELL_TEXT, of one byte, before a year with a sign. */
export const CELL_DATETIME = 10;
/** Producer and sequence, as an event's id ends. */
export const CELL_PLACE = 11;
/** CELL_TEXT. */
export const CELL_CONSTANT = 12;
/** A stored number; no value where it is not finite. */
export const CELL_STORED_NUMBER = 13;
/** A stored text as a field of CSV. */
export const CELL_STORED_FIELD = 14;
/** The same, with an apostrophe where it looks like a formula. */
export const CELL_STORED_SAFE_FIELD = 15;
/** A stored text as one of JSON. */
export const CELL_STORED_JSON = 16;
/** The most bytes that come of a byte of stored text: `\u0000`. */
export const STORED_GROWTH = 6;
/** No cell but END is longer than this, its text before and stored texts aside. */
export const CELL_VALUE_BYTES_MAX = 32;
