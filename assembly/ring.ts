/**
 * Claim, seal and release of chunks.
 *
 * A chunk has one owner at a time. It is won by a compare-and-swap on its state, so two producers never fill
 * the same one; the generation is odd while the entry changes hands, so a reader that copied meanwhile sees
 * that it changed. Nothing here waits.
 *
 * An event that is larger than a chunk's byte area has other chunks joined to its own, which hold its bytes and no
 * rows. They are that chunk's, their head's, for as long as its generation lasts: whoever raises it, because the rows are
 * overwritten or kept elsewhere, frees all of them in one step. So a reader need compare the head's generation only.
 */
import {
  CHUNK_BLOB_END_OFFSET,
  CHUNK_ENTRY_BYTES,
  CHUNK_FREE,
  CHUNK_GENERATION_OFFSET,
  CHUNK_HEAD_GENERATION_OFFSET,
  CHUNK_HEAD_OFFSET,
  CHUNK_JOINED,
  CHUNK_NEXT_OFFSET,
  CHUNK_OPEN,
  CHUNK_PRODUCER_OFFSET,
  CHUNK_PUBLISHED_OFFSET,
  CHUNK_ROWS,
  CHUNK_SEALED,
  CHUNK_SEQUENCE_OFFSET,
  CHUNK_SPOOLED_OFFSET,
  CHUNK_STATE_BITS,
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
  HEADER_SPARE_COUNT_OFFSET,
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
 * Claims a chunk for `producer`: free ones always, sealed ones only where the policy is Overwrite; open ones belong to
 * somebody. The least recently claimed comes first.
 *
 * @param force - go on without the producer's lock, whose holder is gone
 * @returns the chunk's directory index, CLAIM_REFUSED when none could be had, CLAIM_BUSY when somebody holds the lock
 */
export function claim(producer: i32, force: bool): i32 {
  const version = producerAddress(producer) + PRODUCER_STATS_VERSION_OFFSET;
  if (!lock(version) && !force) return CLAIM_BUSY;
  const chunk = win();
  if (chunk >= 0) open(entryOf(chunk), chunk, producer);
  unlock(version);
  return chunk;
}

/**
 * Joins `count` more chunks to the producer's open one, spare ones first.
 * @returns false when there are not so many to be had; then none is taken
 */
export function join(producer: i32, count: i32): bool {
  if (!hasAvailable(count)) return false;
  const chunk = load<i32>(producerAddress(producer), PRODUCER_CHUNK_OFFSET);
  const head = entryOf(chunk);
  const generation = atomic.load<i32>(head + CHUNK_GENERATION_OFFSET);
  let last = head;
  while (load<i32>(last, CHUNK_NEXT_OFFSET) >= 0) last = entryOf(load<i32>(last, CHUNK_NEXT_OFFSET));
  const before = last;
  for (; count > 0; count--) {
    let won = winSpare();
    if (won < 0) won = win();
    if (won < 0) {
      // Others were quicker.
      leave(before);
      return false;
    }
    const entry = entryOf(won);
    store<i32>(entry, chunk, CHUNK_HEAD_OFFSET);
    store<i32>(entry, generation, CHUNK_HEAD_GENERATION_OFFSET);
    const own = atomic.add<i32>(entry + CHUNK_GENERATION_OFFSET, 1) + 1;
    atomic.store<i32>(entry + CHUNK_STATE_OFFSET, CHUNK_JOINED | (own << CHUNK_STATE_BITS));
    store<i32>(last, won, CHUNK_NEXT_OFFSET);
    last = entry;
  }
  return true;
}

/** Gives back what the producer has just joined behind an entry. */
function leave(before: i32): void {
  let chunk = load<i32>(before, CHUNK_NEXT_OFFSET);
  store<i32>(before, -1, CHUNK_NEXT_OFFSET);
  while (chunk >= 0) {
    const entry = entryOf(chunk);
    chunk = load<i32>(entry, CHUNK_NEXT_OFFSET);
    atomic.store<i32>(entry + CHUNK_STATE_OFFSET, CHUNK_FREE);
  }
  signal(HEADER_RELEASES_OFFSET);
}

/** Tries each chunk that rows can be in at most once. @returns one that is the caller's now, CLAIM_REFUSED when there is none */
function win(): i32 {
  const count = load<i32>(HEADER_CHUNK_COUNT_OFFSET);
  for (let tries = 0; tries < count; tries++) {
    const chunk = <i32>(atomic.add<u64>(HEADER_CURSOR_OFFSET, 1) % count);
    if (tryWin(entryOf(chunk))) return chunk;
  }
  return CLAIM_REFUSED;
}

/** The same of the spare ones. */
function winSpare(): i32 {
  const first = load<i32>(HEADER_CHUNK_COUNT_OFFSET);
  const end = first + load<i32>(HEADER_SPARE_COUNT_OFFSET);
  for (let chunk = first; chunk < end; chunk++) {
    if (tryWin(entryOf(chunk))) return chunk;
  }
  return CLAIM_REFUSED;
}

/** Makes an entry the caller's, empty and with an odd generation, if it is available. */
function tryWin(entry: i32): bool {
  const state = atomic.load<i32>(entry + CHUNK_STATE_OFFSET);
  if (!isAvailable(entry, state)) return false;
  if (atomic.cmpxchg<i32>(entry + CHUNK_STATE_OFFSET, state, CHUNK_OPEN) != state) return false;
  const generation = atomic.add<i32>(entry + CHUNK_GENERATION_OFFSET, 1) + 2;
  // From here on the spooler takes no more rows of the old generation; what it has taken is not lost.
  const spooled = atomic.xchg<i32>(entry + CHUNK_SPOOLED_OFFSET, generation << SPOOLED_ROWS_BITS);
  if (state == CHUNK_SEALED) {
    const taken = spooled & ((1 << SPOOLED_ROWS_BITS) - 1);
    atomic.add<i64>(HEADER_OVERWRITTEN_OFFSET, <i64>(load<i32>(entry, CHUNK_PUBLISHED_OFFSET) - taken));
  }
  atomic.store<i32>(entry + CHUNK_PUBLISHED_OFFSET, 0);
  store<i32>(entry, 0, CHUNK_BLOB_END_OFFSET);
  store<i32>(entry, -1, CHUNK_NEXT_OFFSET);
  return true;
}

@inline
function isAvailable(entry: i32, state: i32): bool {
  if (state == CHUNK_FREE) return true;
  if (state == CHUNK_SEALED) return mayOverwrite();
  return isJoined(state) && !isHeld(entry);
}

@inline
function mayOverwrite(): bool {
  return load<i32>(HEADER_OVERFLOW_OFFSET) == OVERFLOW_OVERWRITE;
}

@inline
function isJoined(state: i32): bool {
  return (state & ((1 << CHUNK_STATE_BITS) - 1)) == CHUNK_JOINED;
}

/** Whether the chunk that a joined one belongs to still has the rows that it had then. */
@inline
function isHeld(entry: i32): bool {
  const head = entryOf(load<i32>(entry, CHUNK_HEAD_OFFSET));
  return atomic.load<i32>(head + CHUNK_GENERATION_OFFSET) == load<i32>(entry, CHUNK_HEAD_GENERATION_OFFSET);
}

/** Whether so many chunks can be won one after the other, if nobody else wins any. */
function hasAvailable(wanted: i32): bool {
  const overwrite = mayOverwrite();
  const end = load<i32>(HEADER_CHUNK_COUNT_OFFSET) + load<i32>(HEADER_SPARE_COUNT_OFFSET);
  for (let chunk = 0; chunk < end && wanted > 0; chunk++) {
    const entry = entryOf(chunk);
    const state = atomic.load<i32>(entry + CHUNK_STATE_OFFSET);
    if (isAvailable(entry, state)) wanted--;
    else if (overwrite && isJoined(state)) {
      // It is left when its head is overwritten.
      const head = entryOf(load<i32>(entry, CHUNK_HEAD_OFFSET));
      if (atomic.load<i32>(head + CHUNK_STATE_OFFSET) == CHUNK_SEALED) wanted--;
    }
  }
  return wanted == 0;
}

/** Makes an entry that was just won the producer's open chunk. */
function open(entry: i32, chunk: i32, producer: i32): void {
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
  const isLong = load<i32>(entry, CHUNK_NEXT_OFFSET) >= 0;
  if (wakeEvery != 0 && (isLong || sequence % <i64>wakeEvery == 0)) signal(HEADER_SPOOL_WAKE_OFFSET);
}

/** Gives a sealed chunk, and what is joined to it, back to the ring; its rows are kept elsewhere or wanted no more. */
export function release(chunk: i32): void {
  const entry = entryOf(chunk);
  if (atomic.cmpxchg<i32>(entry + CHUNK_STATE_OFFSET, CHUNK_SEALED, CHUNK_OPEN) != CHUNK_SEALED) return;
  // Its own bytes stay as they are until it is claimed; those of joined chunks may be written as soon as they are left.
  if (load<i32>(entry, CHUNK_NEXT_OFFSET) >= 0) atomic.add<i32>(entry + CHUNK_GENERATION_OFFSET, 2);
  atomic.store<i32>(entry + CHUNK_STATE_OFFSET, CHUNK_FREE);
  signal(HEADER_RELEASES_OFFSET);
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
