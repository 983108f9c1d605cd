/**
 * The memory layout of one experiment, compiled by both asc and tsc. It imports nothing.
 *
 * One shared WebAssembly memory per experiment, reserved in full when it is created:
 *
 *   offset            region                      written by
 *   0                 header (4 KiB)              creator once; atomics where noted
 *   SLOT_TABLE        u16 per binding             whoever registers the binding, before its first row
 *   ROW_CHAIN         u16 identity chain          creator once
 *   PRODUCERS         one block per producer      the producer that owns the block
 *   DICTIONARIES      bindings, then strings      any producer (append only, lock free)
 *   BAND_LISTS, BANDS prices per binding          whoever makes a recorder of it, before its first row
 *   accumulators      per producer, per slot      the producer that owns them (sequence-locked)
 *   live columns      their places, then a slot   creator once, then as accumulators
 *                     per producer and column
 *   scratch, landing  per producer                the producer that owns them
 *   directory         one entry per chunk         the chunk's owner
 *   chunks            row data, spare ones last   the chunk's owner
 *
 * Everything from the accumulators on has an address in the header, since it depends on the capacity.
 * Offsets ending in _OFFSET are bytes from the start of the structure that the name begins with.
 * All addresses are below 2^31, so that they are positive in an i32 and small integers in JavaScript.
 */

export const LAYOUT_MAGIC = 0x43525543; // "CRUC"
export const LAYOUT_VERSION = 5;

export const PAGE_BYTES = 65536;
export const MEMORY_BYTES_MAX = 0x7fff0000;

// ── Header ───────────────────────────────────────────────────────────────────────────────────────
export const HEADER_BYTES = 4096;
export const HEADER_MAGIC_OFFSET = 0; // u32
export const HEADER_VERSION_OFFSET = 4; // u32
export const HEADER_MEMORY_BYTES_OFFSET = 8; // u32, the size it was laid out for
export const HEADER_CHUNK_COUNT_OFFSET = 12; // i32
export const HEADER_CHUNK_STRIDE_OFFSET = 16; // i32 bytes
export const HEADER_BLOB_OFFSET_OFFSET = 20; // i32 bytes from the chunk's start
export const HEADER_BLOB_BYTES_OFFSET = 24; // i32 bytes of a chunk's byte area
export const HEADER_ACCUMULATORS_OFFSET = 28; // i32 address
export const HEADER_SCRATCH_OFFSET = 32; // i32 address
export const HEADER_DIRECTORY_OFFSET = 36; // i32 address
export const HEADER_CHUNKS_OFFSET = 40; // i32 address
export const HEADER_OVERFLOW_OFFSET = 44; // i32, OVERFLOW_*
export const HEADER_ANCHOR_NS_OFFSET = 48; // i64, monotonic clock at the anchor
export const HEADER_ANCHOR_US_OFFSET = 56; // f64, µs since the Unix epoch at the anchor
export const HEADER_PRODUCER_COUNT_OFFSET = 64; // i32, producers that have accumulators
export const HEADER_STREAMING_OFFSET = 68; // i32 atomic, 1 while rows are folded into the accumulators
export const HEADER_BLOCK_MS_OFFSET = 72; // i32, how long OVERFLOW_BLOCK waits; 0 where nothing is ever released
export const HEADER_WAKE_EVERY_OFFSET = 76; // i32, of so many sealed chunks one wakes the spooler; 0 = there is none
export const HEADER_NEXT_BAND_OFFSET = 84; // i32 atomic, bands handed out
export const HEADER_LIVE_OFFSET = 88; // i32 address of the live columns, 0 where there are none
export const HEADER_SPARE_COUNT_OFFSET = 80; // i32, chunks behind the others that are only ever joined
// Contended words, each on a line of its own (64 bytes) so that they do not slow one another down.
export const HEADER_STATE_OFFSET = 128; // i32 atomic, CAPTURE_*
export const HEADER_STATS_EPOCH_OFFSET = 192; // i32 atomic, raised by a reset of the streaming metrics
export const HEADER_CURSOR_OFFSET = 256; // i64 atomic, next directory entry to try
export const HEADER_NEXT_SEQUENCE_OFFSET = 320; // i64 atomic, next chunk sequence
export const HEADER_OVERWRITTEN_OFFSET = 384; // i64 atomic, rows lost to reuse of their chunk
export const HEADER_NEXT_SLOT_OFFSET = 448; // i32 atomic, next accumulator slot to hand out
export const HEADER_RELEASES_OFFSET = 512; // i32 atomic, raised whenever a chunk is sealed or becomes free
export const HEADER_NEXT_EVENT_SLOT_OFFSET = 576; // i32 atomic, next slot for an event name

// The spooler, the thread that writes chunks to disk: what it is told, and what it tells.
export const HEADER_SPOOL_WAKE_OFFSET = 640; // i32 atomic, raised and notified to wake it
export const HEADER_SPOOL_EPOCH_OFFSET = 704; // i32 atomic, raised by whoever replaces it; the old one then stops
export const HEADER_SPOOL_REQUESTED_OFFSET = 768; // i32 atomic, the last flush asked for
export const HEADER_SPOOL_BEATS_OFFSET = 832; // i32 atomic, raised at every step, so that a hang shows
export const HEADER_SPOOL_ATTEMPTED_OFFSET = 896; // i32 atomic, notified: the last flush tried
export const HEADER_SPOOL_COMPLETED_OFFSET = 960; // i32 atomic, the last flush that left nothing behind
export const HEADER_SPOOL_WRITTEN_OFFSET = 1024; // i64 atomic, rows handed to the file system
export const HEADER_SPOOL_DURABLE_OFFSET = 1088; // i64 atomic, rows synced to the disk
export const HEADER_SPOOL_EXPIRED_OFFSET = 1152; // i64 atomic, rows in segments that were deleted for their age or size
export const HEADER_SPOOL_TAKEN_OFFSET = 1216; // i64 atomic, rows taken to be written, but for those given back or lost
export const HEADER_SPOOL_EXPIRED_THROUGH_OFFSET = 1280; // i64 atomic, the last segment that was so deleted

// What could not be understood: the dictionary ids of keys, each with the number of events that had it, and others.
export const MALFORMED_KEYS_MAX = 64;
export const HEADER_MALFORMED_KEYS_OFFSET = 2048; // i32 atomic per key, 0 = none yet
export const HEADER_MALFORMED_COUNTS_OFFSET = 2304; // i64 atomic per key, and one for all other keys

export const CAPTURE_RUNNING = 0;
export const CAPTURE_PAUSED = 1;
export const CAPTURE_STOPPED = 2;

/** The oldest sealed chunk is reused and its rows are counted as overwritten. */
export const OVERFLOW_OVERWRITE = 0;
/** A full ring refuses the newest row. */
export const OVERFLOW_REJECT = 1;
/** A full ring makes the producer wait for a bounded time, then refuses the newest row. */
export const OVERFLOW_BLOCK = 2;

// ── Bindings and their accumulator slots ─────────────────────────────────────────────────────────
/** Bindings (event, model, provider, bound columns) and dictionary strings: ids fit 16 bits. */
export const DICTIONARY_CAPACITY = 65536;
/** Id 0 of either dictionary stands for whatever no longer fitted. */
export const DICTIONARY_OVERFLOW_ID = 0;

export const SLOT_TABLE = HEADER_BYTES;
export const SLOT_TABLE_BYTES = 131072; // DICTIONARY_CAPACITY × u16
/** Slot 0 collects bindings that got no slot of their own. */
export const SLOT_COUNT = 256;
/** From here on slots are handed out per event name, once the ones for bindings are used up. */
export const SLOT_EVENT_START = 192;

/** ROW_CHAIN[row] = row + 2: the chain (see `publish`) of a batch whose rows all share a slot. */
export const ROW_CHAIN = SLOT_TABLE + SLOT_TABLE_BYTES;
export const ROW_CHAIN_BYTES = 4096;

// ── Producers ────────────────────────────────────────────────────────────────────────────────────
/** The most threads that may write one experiment; how many have accumulators is set when it is created. */
export const PRODUCER_MAX = 32;
export const PRODUCERS = ROW_CHAIN + ROW_CHAIN_BYTES;
export const PRODUCER_BYTES = 8192;
export const PRODUCER_STATE_OFFSET = 0; // i32 atomic, PRODUCER_FREE or PRODUCER_ACTIVE
export const PRODUCER_CHUNK_OFFSET = 4; // i32 directory index of the open chunk, -1 for none
export const PRODUCER_STATS_VERSION_OFFSET = 8; // i32 atomic, odd while the accumulators change
export const PRODUCER_STATS_EPOCH_OFFSET = 12; // i32, the reset these accumulators belong to
export const PRODUCER_REFUSED_OFFSET = 16; // f64, rows refused by a full ring
export const PRODUCER_MALFORMED_OFFSET = 24; // f64, events stored with what could be read
export const PRODUCER_OVERFLOWED_OFFSET = 32; // f64, events whose name found the dictionary full
export const PRODUCER_PUBLISHED_OFFSET = 40; // f64, rows published over the producer's life
// How far a publication has come, so that another thread can finish it when this one dies in its midst.
export const PRODUCER_FOLDED_OFFSET = 48; // i32, rows of the open chunk that are in the accumulators
export const PRODUCER_PHASE_OFFSET = 52; // i32, PHASE_*
export const PRODUCER_BATCH_END_OFFSET = 56; // i32, where the batch in progress ends
export const PRODUCER_TOUCHED_COUNT_OFFSET = 60; // i32, entries at PRODUCER_TOUCHED_OFFSET
export const PRODUCER_BLOB_END_OFFSET = 64; // i32, bytes used in the open chunk's byte area
export const PRODUCER_CUT_OFFSET = 72; // f64, events that were too large to be kept whole
export const PRODUCER_HEADS_OFFSET = 256; // u16 per slot, working storage of `publish`
export const PRODUCER_TOUCHED_OFFSET = 1024; // u16 per slot
export const PRODUCER_CHAIN_OFFSET = 2048; // u16 per row of a chunk

/** No batch is being folded. */
export const PHASE_IDLE = 0;
/** The heads are incomplete. */
export const PHASE_CHAINING = 1;
/** A slot whose head is not 0 is still to be walked. */
export const PHASE_WALKING = 2;

export const PRODUCER_FREE = 0;
export const PRODUCER_ACTIVE = 1;

// ── Dictionaries: append-only tables of byte strings ─────────────────────────────────────────────
export const DICTIONARY_COUNT_OFFSET = 0; // i32 atomic, ids handed out
export const DICTIONARY_TAIL_OFFSET = 64; // i32 atomic, bytes handed out
export const DICTIONARY_REFUSED_OFFSET = 128; // i32 atomic, entries that found it full
export const DICTIONARY_ENTRIES_OFFSET = 256; // per id: u32 byte offset, i32 atomic length + 1 (0 = not ready)
export const DICTIONARY_ENTRY_BYTES = 8;
export const DICTIONARY_TEXT_OFFSET = 524544; // DICTIONARY_ENTRIES_OFFSET + capacity × entry
export const DICTIONARY_TEXT_BYTES = 8388608;
export const DICTIONARY_BYTES = 8913920; // text offset + text bytes, rounded to 1 KiB
export const BINDINGS = PRODUCERS + PRODUCER_MAX * PRODUCER_BYTES;
export const STRINGS = BINDINGS + DICTIONARY_BYTES;
export const DICTIONARIES_END = STRINGS + DICTIONARY_BYTES;

/** What the tokens of a binding cost whose rows have FLAGS_TO_PRICE: its first band << BAND_COUNT_BITS | how many; 0 = none. */
export const BAND_LISTS = DICTIONARIES_END;
export const BAND_LISTS_BYTES = 262144; // DICTIONARY_CAPACITY × u32
export const BAND_COUNT_BITS = 8;
export const BAND_COUNT_MAX = 255;
/** Of those that hold for a row the last one counts. All f64: */
export const BANDS = BAND_LISTS + BAND_LISTS_BYTES;
export const BAND_FROM_OFFSET = 0; // µs since the Unix epoch, inclusive
export const BAND_UNTIL_OFFSET = 8; // µs, exclusive
export const BAND_ABOVE_OFFSET = 16; // prompt tokens, exclusive
export const BAND_PROMPT_OFFSET = 24; // USD per million
export const BAND_COMPLETION_OFFSET = 32; // USD per million
export const BAND_BYTES = 40;
export const BANDS_MAX = 16384;
export const BANDS_END = BANDS + BANDS_MAX * BAND_BYTES;

// ── Accumulators: one slot per binding or event name, one set per producer ───────────────────────
// Lane 0 of every f64x2 is latency in ms, lane 1 is cost in USD.
export const SLOT_ROWS_OFFSET = 0; // i64
export const SLOT_TOKENS_OFFSET = 16; // i64x2: prompt, completion
export const SLOT_SUCCEEDED_OFFSET = 32; // i64
export const SLOT_FAILED_OFFSET = 40; // i64
export const SLOT_TOKEN_ROWS_OFFSET = 48; // i64, rows that carry tokens
export const SLOT_N_OFFSET = 64; // f64x2, finite values
export const SLOT_MEAN_OFFSET = 80; // f64x2, relative to ORIGIN, for merging; readers take SUM / N
export const SLOT_M2_OFFSET = 96; // f64x2, sum of squared deviations
export const SLOT_MIN_OFFSET = 112; // f64x2
export const SLOT_MAX_OFFSET = 128; // f64x2
export const SLOT_SUM_OFFSET = 144; // f64x2
export const SLOT_SUM_ERROR_OFFSET = 160; // f64x2, compensation of SUM
export const SLOT_ORIGIN_OFFSET = 176; // f64x2, the first batch's first value
export const SLOT_BINS_OFFSET = 256;

/**
 * Log buckets: a bin is the exponent and the top 6 bits of the mantissa, 64 equal-width bins an octave,
 * which keeps the relative error of a bin's harmonic midpoint below 0.8 %. Per metric and sign 4,096 bins
 * cover 2^-30 … 2^34 − 2^27 (1e-9 … 1.7e10); smaller magnitudes count as zero, larger ones in the last bin.
 * Bin 0 of the positive side is zero.
 */
export const BIN_MANTISSA_BITS = 6;
export const BIN_COUNT = 4096;
/** (biased exponent of 2^-30 << BIN_MANTISSA_BITS) − 1: the bucket that maps to bin 0. */
export const BIN_BIAS = 63551;
/** 52 − BIN_MANTISSA_BITS: a double's bits shifted right by this are its bucket. */
export const BIN_SHIFT = 46;
export const BINS_BYTES = 32768; // BIN_COUNT × u64
export const BINS_LATENCY_OFFSET = SLOT_BINS_OFFSET;
export const BINS_COST_OFFSET = BINS_LATENCY_OFFSET + BINS_BYTES;
export const BINS_LATENCY_NEGATIVE_OFFSET = BINS_COST_OFFSET + BINS_BYTES;
export const BINS_COST_NEGATIVE_OFFSET = BINS_LATENCY_NEGATIVE_OFFSET + BINS_BYTES;
/** Not a multiple of 4 KiB: the slots' hot lines would all fall into one set of the L1 cache. */
export const SLOT_BYTES = SLOT_BINS_OFFSET + 4 * BINS_BYTES + 1344;
export const ACCUMULATORS_BYTES = SLOT_COUNT * SLOT_BYTES;

// ── Live columns: declared ones with moments and log buckets of their own, over all bindings ─────
// Their slots are those above, with the column's values in the place of the latency's. A thread that is ended in the midst
// of a batch may leave it counted twice in some of them.
export const LIVE_COUNT_OFFSET = 0; // i32, columns
export const LIVE_PLACES_OFFSET = 8; // per column: i32 bytes from the chunk's start, i32 LIVE_*
export const LIVE_PLACE_BYTES = 8;
export const LIVE_COLUMNS_MAX = 16;
export const LIVE_SLOTS_OFFSET = 256;
/** Doubles, NaN where there is none. */
export const LIVE_NUMBERS = 0;
/** Words: 1 is false and 2 is true, which count as 0 and 1; 0 where there is none. */
export const LIVE_BOOLEANS = 1;

// ── Chunk directory: one entry per chunk ─────────────────────────────────────────────────────────
export const CHUNK_ENTRY_BYTES = 128;
export const CHUNK_GENERATION_OFFSET = 0; // i32 atomic; odd while the entry changes hands, readers compare it
export const CHUNK_STATE_OFFSET = 4; // i32 atomic, CHUNK_FREE, _OPEN, _SEALED or _JOINED; changes by compare-and-swap
export const CHUNK_PUBLISHED_OFFSET = 8; // i32 atomic, rows readable; never decreases within a generation
export const CHUNK_BLOB_END_OFFSET = 12; // i32, bytes used in the byte area by published rows
export const CHUNK_SEQUENCE_OFFSET = 16; // i64, order of the claim
export const CHUNK_TIME_MIN_OFFSET = 24; // f64 µs, over published rows
export const CHUNK_TIME_MAX_OFFSET = 32; // f64 µs
export const CHUNK_PRODUCER_OFFSET = 40; // i32
export const CHUNK_SPOOLED_OFFSET = 44; // i32 atomic, published rows the spooler has taken, and of which generation
export const CHUNK_WRITTEN_OFFSET = 48; // i32 atomic, taken rows that are, or were, in a segment, and of which generation
export const CHUNK_NEXT_OFFSET = 52; // i32 directory index of the chunk joined next, -1 for none
export const CHUNK_HEAD_OFFSET = 56; // i32 directory index of the chunk that a joined one belongs to
export const CHUNK_HEAD_GENERATION_OFFSET = 60; // i32, while that chunk has this generation
/** A spooled or written word is generation << SPOOLED_ROWS_BITS | rows. */
export const SPOOLED_ROWS_BITS = 11;

export const CHUNK_FREE = 0;
/** One producer fills it. Nobody else writes. */
export const CHUNK_OPEN = 1;
/** Complete. With Overwrite anybody may claim it. */
export const CHUNK_SEALED = 2;
/**
 * No rows of its own: more of another chunk's byte area, for as long as that one's generation lasts. The state holds the
 * chunk's own generation above these bits, so that no two lives of it have the same.
 */
export const CHUNK_JOINED = 3;
export const CHUNK_STATE_BITS = 2;

/** What a claim returns when every chunk belongs to somebody, */
export const CLAIM_REFUSED = -1;
/** or when it could not be tried. */
export const CLAIM_BUSY = -2;

// ── Chunk: 1,024 rows, column by column ──────────────────────────────────────────────────────────
export const CHUNK_ROWS = 1024;
/** Rows between two publications; a power of two, and 8 bytes a row of it are CHUNK_ALIGN_BYTES. */
export const BATCH_ROWS = 256;
/**
 * The columns start at distances that are no multiple of 4 KiB: six stores of one row into the same L1 set
 * (and, on some processors, the same way predictor entry) cost twice as much.
 * A chunk starts at a multiple of 2 KiB, so that `position & 255` is 255 exactly at a batch's last row, where
 * `position` is the row's index into a Float64Array over the whole memory.
 */
export const COLUMN_TIME_OFFSET = 0; // f64 µs since the epoch, readers round down; i64 monotonic ns until published if FLAG_TIME_NS
export const COLUMN_LATENCY_OFFSET = 8384; // f64 ms, NaN = absent
export const COLUMN_COST_OFFSET = 16768; // f64 USD, NaN = absent
export const COLUMN_TOKENS_OFFSET = 25152; // i32 pair: prompt, completion; -1 = absent
export const COLUMN_TAG_OFFSET = 33536; // u32 pair: binding | flags, offset in the byte area
export const COLUMNS_END_OFFSET = 41728;
export const COLUMN_GAP_BYTES = 192;
/** Times further from the epoch than a Date can hold are not taken: µs. */
export const TIME_US_MAX = 8.64e18;
export const CHUNK_ALIGN_BYTES = 2048;
/** A writer's landing row (see src/ring/writer.ts): columns as in a chunk, of which one row is used. */
export const LANDING_BYTES = 43008;

/** Bytes that an event without its columns may have. Spare chunks hold as many. */
export const EVENT_BYTES_MAX = 33554432; // 32 MiB

/** Larger magnitudes count as infinite: their squares, summed up, would leave the range of a double. */
export const VALUE_MAX = 1e140;

// Low half of a tag: the binding's id. High half: these flags. A tag is never 0 once its row is written.
export const TAG_BINDING_MASK = 0xffff;
export const FLAG_SUCCEEDED = 0x10000;
export const FLAG_TIME_NS = 0x20000;
export const FLAG_BLOB = 0x40000;
export const FLAG_DECLARED = 0x80000;
export const FLAG_MALFORMED = 0x100000;
export const FLAG_COST_COMPUTED = 0x200000;
export const FLAG_METADATA_MODEL = 0x400000;
export const FLAG_METADATA_PROVIDER = 0x800000;
export const FLAG_METADATA_TOKENS = 0x1000000;
/** Nine bits above FLAG_SUCCEEDED, so that the sum of 256 masked tags holds both counts. */
export const FLAG_FAILED = 0x2000000;
export const FLAGS_DECIDED = 0x2010000;
/** Something of the event was too large, and is cut. Such a row is malformed, too. */
export const FLAG_CUT = 0x10000000;
/** The byte area says something of the event that is not what the columns say, such as another id. */
export const FLAG_CORRECTED = 0x8000000;
/** Set in every row: binding 0 alone would look like a row not written. */
export const FLAG_WRITTEN = 0x4000000;
/** Why a row has tokens and a model and no cost, a number of two bits; 0 where there is nothing to say. */
export const UNPRICED_MASK = 0x60000000;
export const UNPRICED_SHIFT = 29;
/**
 * Of a recorder's rows, whose cost, where it is absent, is that of their tokens; published ones have it. No other row has
 * both a computed cost and a reason for none. Rows of a model without a price have the reason alone. Either stands in rows
 * that have a cost or no tokens, too, until they are read: see src/ring/reader.ts.
 */
export const FLAGS_TO_PRICE = 0x60200000;
/** Of UNPRICED_MASK: nothing is known of what the model costs. */
export const FLAG_UNPRICED_MODEL = 0x20000000;
