/**
 * Costs of a recorder's rows, by the rates of their binding. A recorder only stores what it is given; what its tokens cost
 * is worked out here, before the rows are added up and anybody reads them.
 */
import {
  BAND_ABOVE_OFFSET,
  BAND_BYTES,
  BAND_COUNT_BITS,
  BAND_COUNT_MAX,
  BAND_FROM_OFFSET,
  BAND_LISTS,
  BAND_PROMPT_OFFSET,
  BAND_UNTIL_OFFSET,
  BANDS,
  COLUMN_COST_OFFSET,
  COLUMN_TAG_OFFSET,
  COLUMN_TIME_OFFSET,
  COLUMN_TOKENS_OFFSET,
  FLAG_COST_COMPUTED,
  FLAG_UNPRICED_MODEL,
  FLAGS_TO_PRICE,
  TAG_BINDING_MASK,
  UNPRICED_MASK,
} from './layout';

/** Gives those of rows [from, to) their cost that are to have one, and have tokens. @returns whether there were any */
export function priceRows(chunk: i32, from: i32, to: i32): bool {
  let priced = false;
  for (let row = chunk + (from << 3), end = chunk + (to << 3); row < end; row += 8) {
    const tokens = v128.load64_zero(row, COLUMN_TOKENS_OFFSET);
    const prompt = i32x4.extract_lane(tokens, 0);
    const completion = i32x4.extract_lane(tokens, 1);
    if ((prompt & completion) < 0) continue;
    const tag = load<u32>(row, COLUMN_TAG_OFFSET);
    const cost = load<f64>(row, COLUMN_COST_OFFSET);
    if (!isToPrice(tag) || cost == cost) continue;
    const band = bandOf(tag & TAG_BINDING_MASK, load<f64>(row, COLUMN_TIME_OFFSET), <f64>prompt);
    if (band == 0) {
      store<u32>(row, (tag & ~FLAGS_TO_PRICE) | FLAG_UNPRICED_MODEL, COLUMN_TAG_OFFSET);
      continue;
    }
    // As prices.ts does it: the same tokens cost the same, however they were told.
    const counts = f64x2.convert_low_i32x4_s(i32x4.max_s(tokens, i32x4.splat(0)));
    const usd = f64x2.mul(f64x2.div(counts, f64x2.splat(1e6)), v128.load(band, BAND_PROMPT_OFFSET));
    store<f64>(row, f64x2.extract_lane(usd, 0) + f64x2.extract_lane(usd, 1), COLUMN_COST_OFFSET);
    store<u32>(row, tag & ~UNPRICED_MASK, COLUMN_TAG_OFFSET);
    priced = true;
  }
  return priced;
}

/** The price that counts of a binding's, at a time and for a prompt; 0 where there is none. */
@inline
function bandOf(binding: u32, timeUs: f64, prompt: f64): i32 {
  const list = load<u32>(BAND_LISTS + (binding << 2));
  const first = BANDS + (list >> BAND_COUNT_BITS) * BAND_BYTES;
  for (let band = first + (list & BAND_COUNT_MAX) * BAND_BYTES - BAND_BYTES; band >= first; band -= BAND_BYTES) {
    const holds = load<f64>(band, BAND_FROM_OFFSET) <= timeUs && timeUs < load<f64>(band, BAND_UNTIL_OFFSET);
    if (holds && prompt > load<f64>(band, BAND_ABOVE_OFFSET)) return band;
  }
  return 0;
}

/** No other row has both a computed cost and a reason for none. */
@inline
export function isToPrice(flags: u32): bool {
  return (flags & UNPRICED_MASK) != 0 && (flags & FLAG_COST_COMPUTED) != 0;
}
