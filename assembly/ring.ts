/**
 * Claim, seal and release of chunks.
 *
 * A chunk has one owner at a time. It is won by a compare-and-swap on its state, so two producers never fill
 * the same one; the generation is odd while the entry changes hands, so a reader that copied meanwhile sees
 * that it changed. Nothing here waits.
 */
import {
  CHUNK_BLOB_END_OFFSET,
  CHUNK_ENTRY_BYTES,
  CHUNK_FREE,
  CHUNK_GENERATION_OFFSET,
  CHUNK_OPEN,
  CHUNK_PRODUCER_OFFSET,
  CHUNK_PUBLISHED_OFFSET,
  CHUNK_ROWS,
  CHUNK_SEALED,
  CHUNK_SEQUENCE_OFFSET,
  CHUNK_SPOOLED_OFFSET,
  CHUNK_STATE_OFFSET,
  CHUNK_TIME_MAX_OFFSET,
  CHUNK_TIME_MIN_OFFSET,
  CLAIM_BUSY,
  CLAIM_REFUSED,
  COLUMN_TAG_OFFSET,
  HEADER_CHUNK_COUNT_OFFSET,
  HEADER_CHUNK_STRIDE_OFFSET,
  HEADER_CHUNKS_OFFSET,
  HEADER_CURSOR_OFFSET,
  HEADER_DIRECTORY_OFFSET,
  HEADER_NEXT_SEQUENCE_OFFSET,
  HEADER_OVERFLOW_OFFSET,
  HEADER_OVERWRITTEN_OFFSET,
  HEADER_RELEASES_OFFSET,
  HEADER_WAKE_EVERY_OFFSET,
  OVERFLOW_OVERWRITE,
  PRODUCER_BLOB_END_OFFSET,
  PRODUCER_BYTES,
  PRODUCER_CHUNK_OFFSET,
  PRODUCER_FOLDED_OFFSET,
  PRODUCER_STATS_VERSION_OFFSET,
  PRODUCERS,
  SPOOLED_ROWS_BITS,
  HEADER_SPOOL_WAKE_OFFSET,
} from './layout';
import { lock, unlock } from './lock';

/** Address of a chunk's directory entry. */
@inline
export function entryOf(chunk: i32): i32 {
  return load<i32>(HEADER_DIRECTORY_OFFSET) + chunk * CHUNK_ENTRY_BYTES;
}

/** Address of a chunk's row data. */
@inline
export function chunkAddress(chunk: i32): i32 {
  return load<i32>(HEADER_CHUNKS_OFFSET) + chunk * load<i32>(HEADER_CHUNK_STRIDE_OFFSET);
}

@inline
export function producerAddress(producer: i32): i32 {
  return PRODUCERS + producer * PRODUCER_BYTES;
}

/**
 * Claims a chunk for `producer`.
 *
 * Tries each chunk at most once, the least recently claimed first. Free chunks are always taken, sealed ones
 * only where the policy is Overwrite; open ones belong to somebody.
 *
 * @param force - go on without the producer's lock, whose holder is gone
 * @returns the chunk's directory index, CLAIM_REFUSED when none could be had, CLAIM_BUSY when somebody holds the lock
 */
export function claim(producer: i32, force: bool): i32 {
  const version = producerAddress(producer) + PRODUCER_STATS_VERSION_OFFSET;
  if (!lock(version) && !force) return CLAIM_BUSY;
  const chunk = claimLocked(producer);
  unlock(version);
  return chunk;
}

function claimLocked(producer: i32): i32 {
  const count = load<i32>(HEADER_CHUNK_COUNT_OFFSET);
  const overwrite = load<i32>(HEADER_OVERFLOW_OFFSET) == OVERFLOW_OVERWRITE;
  for (let tries = 0; tries < count; tries++) {
    const cursor = atomic.add<u64>(HEADER_CURSOR_OFFSET, 1);
    const chunk = <i32>(cursor % count);
    const entry = entryOf(chunk);
    const state = atomic.load<i32>(entry + CHUNK_STATE_OFFSET);
    if (state == CHUNK_OPEN || (state == CHUNK_SEALED && !overwrite)) continue;
    if (atomic.cmpxchg<i32>(entry + CHUNK_STATE_OFFSET, state, CHUNK_OPEN) != state) continue;
    open(entry, chunk, producer, state == CHUNK_SEALED);
    return chunk;
  }
  return CLAIM_REFUSED;
}

/** Makes an entry that was just won by compare-and-swap the producer's empty open chunk. */
function open(entry: i32, chunk: i32, producer: i32, reused: bool): void {
  const generation = atomic.add<i32>(entry + CHUNK_GENERATION_OFFSET, 1) + 2;
  // From here on the spooler takes no more rows of the old generation; what it has taken is not lost.
  const spooled = atomic.xchg<i32>(entry + CHUNK_SPOOLED_OFFSET, generation << SPOOLED_ROWS_BITS);
  if (reused) {
    const taken = spooled & ((1 << SPOOLED_ROWS_BITS) - 1);
    atomic.add<i64>(HEADER_OVERWRITTEN_OFFSET, <i64>(load<i32>(entry, CHUNK_PUBLISHED_OFFSET) - taken));
  }
  atomic.store<i32>(entry + CHUNK_PUBLISHED_OFFSET, 0);
  store<i32>(entry, 0, CHUNK_BLOB_END_OFFSET);
  store<i64>(entry, atomic.add<i64>(HEADER_NEXT_SEQUENCE_OFFSET, 1), CHUNK_SEQUENCE_OFFSET);
  store<f64>(entry, Infinity, CHUNK_TIME_MIN_OFFSET);
  store<f64>(entry, -Infinity, CHUNK_TIME_MAX_OFFSET);
  store<i32>(entry, producer, CHUNK_PRODUCER_OFFSET);
  // A row is known to be written by its tag, which lets others publish for a thread that does not get to it.
  memory.fill(chunkAddress(chunk) + COLUMN_TAG_OFFSET, 0, CHUNK_ROWS << 3);
  const address = producerAddress(producer);
  store<i32>(address, 0, PRODUCER_FOLDED_OFFSET);
  store<i32>(address, 0, PRODUCER_BLOB_END_OFFSET);
  store<i32>(address, chunk, PRODUCER_CHUNK_OFFSET);
  atomic.add<i32>(entry + CHUNK_GENERATION_OFFSET, 1);
}

/** Declares the producer's open chunk complete. All its rows must have been published. */
export function seal(producer: i32): void {
  const address = producerAddress(producer);
  const chunk = load<i32>(address, PRODUCER_CHUNK_OFFSET);
  if (chunk < 0) return;
  store<i32>(address, -1, PRODUCER_CHUNK_OFFSET);
  const entry = entryOf(chunk);
  const sequence = load<i64>(entry, CHUNK_SEQUENCE_OFFSET);
  atomic.store<i32>(entry + CHUNK_STATE_OFFSET, CHUNK_SEALED);
  // Where sealed chunks may be reused, a producer that was refused can try again.
  signal(HEADER_RELEASES_OFFSET);
  const wakeEvery = load<i32>(HEADER_WAKE_EVERY_OFFSET);
  if (wakeEvery != 0 && sequence % <i64>wakeEvery == 0) signal(HEADER_SPOOL_WAKE_OFFSET);
}

/** Gives a sealed chunk back to the ring; its rows are kept elsewhere or wanted no more. */
export function release(chunk: i32): void {
  const entry = entryOf(chunk);
  if (atomic.cmpxchg<i32>(entry + CHUNK_STATE_OFFSET, CHUNK_SEALED, CHUNK_FREE) == CHUNK_SEALED) {
    signal(HEADER_RELEASES_OFFSET);
  }
}

/** Raises a word and wakes everybody who waits for it to change. */
@inline
function signal(word: i32): void {
  atomic.add<i32>(word, 1);
  atomic.notify(word, -1);
}

/** Rows of a chunk from `row` on that are whole: those whose tag is set. @returns the end of them */
export function rowsWritten(chunk: i32, row: i32): i32 {
  const tags = chunkAddress(chunk) + COLUMN_TAG_OFFSET;
  while (row < CHUNK_ROWS && load<u32>(tags + (row << 3)) != 0) row++;
  return row;
}
