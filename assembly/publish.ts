/**
 * Publication: folds a batch of rows into the accumulators of their slots, then makes it readable.
 *
 * A chain links the rows of one slot: `heads[slot]` and `chain[row]` hold row + 1 of the next one, 0 at the
 * end. Walking a chain keeps the slot's running values in registers. A batch of a single binding needs no
 * chaining: ROW_CHAIN is its order.
 *
 * The producer's statistics version is a lock, odd while somebody changes or copies the accumulators. All stores of
 * a row precede the atomic store of the published count that covers it.
 */
import { allInRange, foldLive, markMalformed, markTooLarge, noneAtAll, walkAny, walkUniform } from './accumulate';
import {
  ACCUMULATORS_BYTES,
  BATCH_ROWS,
  CHUNK_BLOB_END_OFFSET,
  CHUNK_PUBLISHED_OFFSET,
  CHUNK_TIME_MAX_OFFSET,
  CHUNK_TIME_MIN_OFFSET,
  COLUMN_COST_OFFSET,
  COLUMN_LATENCY_OFFSET,
  COLUMN_TAG_OFFSET,
  COLUMN_TIME_OFFSET,
  FLAG_DECLARED,
  FLAG_TIME_NS,
  HEADER_ACCUMULATORS_OFFSET,
  HEADER_ANCHOR_NS_OFFSET,
  HEADER_ANCHOR_US_OFFSET,
  HEADER_LIVE_OFFSET,
  HEADER_STATS_EPOCH_OFFSET,
  HEADER_STREAMING_OFFSET,
  LIVE_COUNT_OFFSET,
  LIVE_SLOTS_OFFSET,
  PHASE_CHAINING,
  PHASE_IDLE,
  PHASE_WALKING,
  PRODUCER_BATCH_END_OFFSET,
  PRODUCER_BLOB_END_OFFSET,
  PRODUCER_BYTES,
  PRODUCER_CHAIN_OFFSET,
  PRODUCER_CHUNK_OFFSET,
  PRODUCER_FOLDED_OFFSET,
  PRODUCER_HEADS_OFFSET,
  PRODUCER_MALFORMED_OFFSET,
  PRODUCER_PHASE_OFFSET,
  PRODUCER_PUBLISHED_OFFSET,
  PRODUCER_STATS_EPOCH_OFFSET,
  PRODUCER_STATS_VERSION_OFFSET,
  PRODUCER_TOUCHED_COUNT_OFFSET,
  PRODUCER_TOUCHED_OFFSET,
  PRODUCERS,
  ROW_CHAIN,
  SLOT_BYTES,
  SLOT_COUNT,
  SLOT_ROWS_OFFSET,
  SLOT_TABLE,
  TAG_BINDING_MASK,
  TIME_US_MAX,
} from './layout';
import { lock, unlock } from './lock';
import { isToPrice, priceRows } from './price';
import { chunkAddress, entryOf, producerAddress, rowsWritten } from './ring';

/**
 * Publishes the producer's rows up to `rows`; called by its own thread.
 *
 * @param producer - the producer's number
 * @param rows - rows written to its open chunk, in [published, CHUNK_ROWS]
 * @param blobEnd - bytes used in the chunk's byte area by those rows
 * @param force - go on without the lock, whose holder is gone
 * @returns false when somebody holds the lock
 */
export function publish(producer: i32, rows: i32, blobEnd: i32, force: bool): bool {
  const address = producerAddress(producer);
  const version = address + PRODUCER_STATS_VERSION_OFFSET;
  if (!lock(version) && !force) return false;
  publishTo(producer, address, rows, blobEnd);
  unlock(version);
  return true;
}

/**
 * Publishes for a producer whose own thread does not get to it: what it has written to its open chunk.
 *
 * @param force - go on without the lock, whose holder is gone
 * @returns false when somebody holds the lock
 */
export function publishWritten(producer: i32, force: bool): bool {
  const address = producerAddress(producer);
  const version = address + PRODUCER_STATS_VERSION_OFFSET;
  if (!lock(version) && !force) return false;
  const chunk = load<i32>(address, PRODUCER_CHUNK_OFFSET);
  if (chunk >= 0) {
    const rows = rowsWritten(chunk, load<i32>(entryOf(chunk), CHUNK_PUBLISHED_OFFSET));
    publishTo(producer, address, rows, load<i32>(address, PRODUCER_BLOB_END_OFFSET));
  }
  unlock(version);
  return true;
}

/**
 * Folds rows into the producer's accumulators that were published in an earlier life of the experiment. They stand in a
 * chunk that nobody has claimed, and stay unseen there.
 */
export function replay(producer: i32, chunk: i32, rows: i32): void {
  const address = producerAddress(producer);
  const accumulators = accumulatorsOf(producer, address);
  for (let from = 0; from < rows; from += BATCH_ROWS) {
    fold(address, accumulators, entryOf(chunk), chunkAddress(chunk), from, min(from + BATCH_ROWS, rows));
  }
  store<i32>(address, 0, PRODUCER_FOLDED_OFFSET);
  // Counted when they were captured.
  store<f64>(address, 0, PRODUCER_MALFORMED_OFFSET);
}

function publishTo(producer: i32, address: i32, rows: i32, blobEnd: i32): void {
  const chunk = load<i32>(address, PRODUCER_CHUNK_OFFSET);
  if (chunk < 0) return;
  const entry = entryOf(chunk);
  const data = chunkAddress(chunk);
  const accumulators = accumulatorsOf(producer, address);
  if (load<i32>(address, PRODUCER_PHASE_OFFSET) != PHASE_IDLE) resume(address, accumulators, data);
  let from = load<i32>(address, PRODUCER_FOLDED_OFFSET);
  while (from < rows) {
    // The packed success counts of a walk hold at most BATCH_ROWS rows.
    const to = min(from + BATCH_ROWS, rows);
    fold(address, accumulators, entry, data, from, to);
    from = to;
  }
  const published = load<i32>(entry, CHUNK_PUBLISHED_OFFSET);
  if (published < rows) {
    store<i32>(entry, max(blobEnd, load<i32>(entry, CHUNK_BLOB_END_OFFSET)), CHUNK_BLOB_END_OFFSET);
    // Nothing stands between these two at which a thread could be ended.
    const total = load<f64>(address, PRODUCER_PUBLISHED_OFFSET) + <f64>(rows - published);
    store<f64>(address, total, PRODUCER_PUBLISHED_OFFSET);
    atomic.store<i32>(entry + CHUNK_PUBLISHED_OFFSET, rows);
  }
}

/** The producer's accumulators, emptied first if the streaming metrics were reset since it last published. */
@inline
function accumulatorsOf(producer: i32, address: i32): i32 {
  const accumulators = load<i32>(HEADER_ACCUMULATORS_OFFSET) + producer * ACCUMULATORS_BYTES;
  const epoch = atomic.load<i32>(HEADER_STATS_EPOCH_OFFSET);
  if (load<i32>(address, PRODUCER_STATS_EPOCH_OFFSET) != epoch) {
    emptySlots(accumulators, SLOT_COUNT);
    const live = load<i32>(HEADER_LIVE_OFFSET);
    if (live != 0) {
      const count = load<i32>(live, LIVE_COUNT_OFFSET);
      emptySlots(live + LIVE_SLOTS_OFFSET + producer * count * SLOT_BYTES, count);
    }
    store<i32>(address, epoch, PRODUCER_STATS_EPOCH_OFFSET);
  }
  return accumulators;
}

function emptySlots(start: i32, count: i32): void {
  for (let slot = start; slot < start + count * SLOT_BYTES; slot += SLOT_BYTES) {
    // Untouched slots are left alone, so that their pages are never committed.
    if (load<i64>(slot, SLOT_ROWS_OFFSET) != 0) memory.fill(slot, 0, SLOT_BYTES);
  }
}

/** Folds rows [from, to), at most BATCH_ROWS, into their slots and their times into the chunk's entry. */
function fold(producer: i32, accumulators: i32, entry: i32, chunk: i32, from: i32, to: i32): void {
  // What kind of batch is it? Two rows at a time. Where the count is odd, the last pair takes in a row more;
  // that can only make the batch look less uniform than it is.
  const firstTag = load<u32>(chunk + (from << 3), COLUMN_TAG_OFFSET);
  const sameTag = i32x4.splat(firstTag);
  let flags = i32x4.splat(0);
  let differ = i32x4.splat(0);
  // pmin and pmax pass over NaN, a sum does not: extremes and sum tell apart all present, none, and some.
  let latencyMin = f64x2.splat(Infinity);
  let latencyMax = f64x2.splat(-Infinity);
  let latencySum = f64x2.splat(0);
  let costMin = f64x2.splat(Infinity);
  let costMax = f64x2.splat(-Infinity);
  let costSum = f64x2.splat(0);
  const end = chunk + (to << 3);
  for (let row = chunk + (from << 3); row < end; row += 16) {
    const tags = v128.load(row, COLUMN_TAG_OFFSET);
    flags = v128.or(flags, tags);
    differ = v128.or(differ, v128.xor(tags, sameTag));
    const latency = v128.load(row, COLUMN_LATENCY_OFFSET);
    latencyMin = f64x2.pmin(latencyMin, latency);
    latencyMax = f64x2.pmax(latencyMax, latency);
    latencySum = f64x2.add(latencySum, latency);
    const cost = v128.load(row, COLUMN_COST_OFFSET);
    costMin = f64x2.pmin(costMin, cost);
    costMax = f64x2.pmax(costMax, cost);
    costSum = f64x2.add(costSum, cost);
  }
  const allFlags = i32x4.extract_lane(flags, 0) | i32x4.extract_lane(flags, 2);
  if ((allFlags & FLAG_TIME_NS) != 0) convertTimes(chunk, from, to);
  foldTimes(producer, entry, chunk, from, to);

  const costPresent = allInRange(costMin, costMax, costSum);
  if (!costPresent && isToPrice(allFlags) && priceRows(chunk, from, to)) {
    fold(producer, accumulators, entry, chunk, from, to);
    return;
  }
  const latencyPresent = allInRange(latencyMin, latencyMax, latencySum);
  const uniform =
    (latencyPresent || noneAtAll(latencyMin, latencyMax)) && (costPresent || noneAtAll(costMin, costMax));
  if (atomic.load<i32>(HEADER_STREAMING_OFFSET) == 0) {
    if (!uniform) markTooLarge(chunk, from, to, producer);
    store<i32>(producer, to, PRODUCER_FOLDED_OFFSET);
    return;
  }

  const live = load<i32>(HEADER_LIVE_OFFSET);
  if (live != 0 && (allFlags & FLAG_DECLARED) != 0) {
    foldLive(live, (producer - PRODUCERS) / PRODUCER_BYTES, chunk, from, to);
  }
  const differing = i32x4.extract_lane(differ, 0) | i32x4.extract_lane(differ, 2);
  if ((differing & TAG_BINDING_MASK) == 0 && uniform) {
    const slot = accumulators + slotOf(firstTag) * SLOT_BYTES;
    const present = i64x2(latencyPresent ? -1 : 0, costPresent ? -1 : 0);
    walkUniform(slot, chunk, from + 1, to + 1, ROW_CHAIN, present);
    store<i32>(producer, to, PRODUCER_FOLDED_OFFSET);
    return;
  }
  store<i32>(producer, to, PRODUCER_BATCH_END_OFFSET);
  store<i32>(producer, PHASE_CHAINING, PRODUCER_PHASE_OFFSET);
  chainBySlot(producer, chunk, from, to);
  store<i32>(producer, PHASE_WALKING, PRODUCER_PHASE_OFFSET);
  const present = i64x2(latencyPresent ? -1 : 0, costPresent ? -1 : 0);
  walkChains(producer, accumulators, chunk, uniform, present);
}

/**
 * Walks the chains that have not been walked. A head is set to 0 next to the merge of its slot, so that a slot is
 * merged once, whichever thread gets to do it.
 */
function walkChains(producer: i32, accumulators: i32, chunk: i32, uniform: bool, present: v128): void {
  const chain = producer + PRODUCER_CHAIN_OFFSET;
  const touched = load<i32>(producer, PRODUCER_TOUCHED_COUNT_OFFSET);
  for (let i = 0; i < touched; i++) {
    const number = <i32>load<u16>(producer + (i << 1), PRODUCER_TOUCHED_OFFSET);
    const slot = accumulators + number * SLOT_BYTES;
    const head = producer + (number << 1);
    const link = <i32>load<u16>(head, PRODUCER_HEADS_OFFSET);
    if (link == 0) continue;
    if (uniform) walkUniform(slot, chunk, link, 0, chain, present);
    else walkAny(slot, chunk, link, chain, producer);
    store<u16>(head, 0, PRODUCER_HEADS_OFFSET);
  }
  store<i32>(producer, load<i32>(producer, PRODUCER_BATCH_END_OFFSET), PRODUCER_FOLDED_OFFSET);
  store<i32>(producer, PHASE_IDLE, PRODUCER_PHASE_OFFSET);
}

/**
 * Finishes the batch that a thread was ended in. Counts and sums come out exact; the buckets of the one slot that
 * was being walked may hold some of its rows, at most a batch, twice.
 */
function resume(producer: i32, accumulators: i32, chunk: i32): void {
  if (load<i32>(producer, PRODUCER_PHASE_OFFSET) == PHASE_CHAINING) {
    memory.fill(producer + PRODUCER_HEADS_OFFSET, 0, SLOT_COUNT << 1);
    const from = load<i32>(producer, PRODUCER_FOLDED_OFFSET);
    chainBySlot(producer, chunk, from, load<i32>(producer, PRODUCER_BATCH_END_OFFSET));
    store<i32>(producer, PHASE_WALKING, PRODUCER_PHASE_OFFSET);
  }
  walkChains(producer, accumulators, chunk, false, i64x2.splat(0));
}

@inline
function slotOf(tag: u32): i32 {
  return <i32>load<u16>(((tag & TAG_BINDING_MASK) << 1) + SLOT_TABLE);
}

/** Links the rows of each slot, and lists the slots at PRODUCER_TOUCHED_OFFSET. */
function chainBySlot(producer: i32, chunk: i32, from: i32, to: i32): void {
  let touched: i32 = 0;
  for (let row = from; row < to; row++) {
    const slot = slotOf(load<u32>(chunk + (row << 3), COLUMN_TAG_OFFSET));
    const head = producer + (slot << 1);
    const link = load<u16>(head, PRODUCER_HEADS_OFFSET);
    store<u16>(producer + (row << 1), link, PRODUCER_CHAIN_OFFSET);
    store<u16>(head, <u16>(row + 1), PRODUCER_HEADS_OFFSET);
    if (link == 0) {
      store<u16>(producer + (touched << 1), <u16>slot, PRODUCER_TOUCHED_OFFSET);
      touched++;
    }
  }
  store<i32>(producer, touched, PRODUCER_TOUCHED_COUNT_OFFSET);
}

/** Turns monotonic nanoseconds into microseconds since the Unix epoch, so that readers see one unit. */
function convertTimes(chunk: i32, from: i32, to: i32): void {
  const anchorNs = load<i64>(HEADER_ANCHOR_NS_OFFSET);
  const anchorUs = load<f64>(HEADER_ANCHOR_US_OFFSET);
  for (let row = chunk + (from << 3), end = chunk + (to << 3); row < end; row += 8) {
    const tag = load<u32>(row, COLUMN_TAG_OFFSET);
    if ((tag & FLAG_TIME_NS) == 0) continue;
    const elapsedNs = <f64>(load<i64>(row, COLUMN_TIME_OFFSET) - anchorNs);
    store<f64>(row, anchorUs + elapsedNs * 0.001, COLUMN_TIME_OFFSET);
    store<u32>(row, tag & ~FLAG_TIME_NS, COLUMN_TAG_OFFSET);
  }
}

/** Widens the entry's time range by rows [from, to). */
function foldTimes(producer: i32, entry: i32, chunk: i32, from: i32, to: i32): void {
  let least = f64x2.splat(load<f64>(entry, CHUNK_TIME_MIN_OFFSET));
  let most = f64x2.splat(load<f64>(entry, CHUNK_TIME_MAX_OFFSET));
  let usable = i64x2.splat(-1);
  let row = chunk + (from << 3);
  const end = chunk + (to << 3);
  for (; row + 8 < end; row += 16) {
    const times = v128.load(row, COLUMN_TIME_OFFSET);
    usable = v128.and(usable, f64x2.le(f64x2.abs(times), f64x2.splat(TIME_US_MAX)));
    least = f64x2.pmin(least, times);
    most = f64x2.pmax(most, times);
  }
  if (row < end) {
    const time = v128.load64_splat(row, COLUMN_TIME_OFFSET);
    usable = v128.and(usable, f64x2.le(f64x2.abs(time), f64x2.splat(TIME_US_MAX)));
    least = f64x2.pmin(least, time);
    most = f64x2.pmax(most, time);
  }
  if (!i64x2.all_true(usable)) {
    repairTimes(producer, chunk, from, to);
    foldTimes(producer, entry, chunk, from, to);
    return;
  }
  store<f64>(entry, min(f64x2.extract_lane(least, 0), f64x2.extract_lane(least, 1)), CHUNK_TIME_MIN_OFFSET);
  store<f64>(entry, max(f64x2.extract_lane(most, 0), f64x2.extract_lane(most, 1)), CHUNK_TIME_MAX_OFFSET);
}

/** A row whose time no calendar has takes that of the row before it, or 0, and counts as malformed. */
function repairTimes(producer: i32, chunk: i32, from: i32, to: i32): void {
  for (let index = from; index < to; index++) {
    const row = chunk + (index << 3);
    if (abs(load<f64>(row, COLUMN_TIME_OFFSET)) <= TIME_US_MAX) continue;
    store<f64>(row, index == 0 ? 0 : load<f64>(row - 8, COLUMN_TIME_OFFSET), COLUMN_TIME_OFFSET);
    markMalformed(row, producer);
  }
}
