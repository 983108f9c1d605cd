/** Cutting the time line so that each slice holds about as many rows as can be sorted at once. */
import type { BatchRef } from '../ring/batch.js';

/** Times in [fromUs, toUs). */
export interface Slice {
  readonly fromUs: number;
  readonly toUs: number;
}

/** The whole time line, cut at the given times; ascending. */
export function slicesBetween({ fromUs, toUs }: Slice, cutsUs: readonly number[]): Slice[] {
  const edges = [fromUs, ...cutsUs, toUs];
  return cutsUs.concat(toUs).map((edge, i) => ({ fromUs: edges[i], toUs: edge }));
}

/**
 * Where to cut so that each slice holds about `sliceRows` rows, if the rows of every ref are spread evenly over its
 * time range; ascending.
 */
export function estimateCuts(
  refs: readonly BatchRef[],
  timeMinUs: number,
  timeMaxUs: number,
  sliceRows: number,
): number[] {
  const lows = new Float64Array(refs.length);
  const highs = new Float64Array(refs.length);
  const densities = new Float64Array(refs.length);
  refs.forEach((ref, i) => {
    const low = Math.floor(ref.timeMinUs);
    const high = Math.floor(ref.timeMaxUs) + 1;
    densities[i] = ref.rows / Math.max(1, high - low);
    lows[i] = Math.max(low, timeMinUs);
    highs[i] = Math.max(lows[i], Math.min(high, timeMaxUs + 1));
  });
  const byLow = [...refs.keys()].sort((a, b) => lows[a] - lows[b]);
  const byHigh = [...refs.keys()].sort((a, b) => highs[a] - highs[b]);
  const cuts: number[] = [];
  const density = new Density();
  let nowUs = Number.NEGATIVE_INFINITY;
  /** Rows since the last cut. */
  let rows = 0;
  for (let begun = 0, ended = 0; ended < refs.length; ) {
    const begins = begun < refs.length && lows[byLow[begun]] <= highs[byHigh[ended]];
    const untilUs = begins ? lows[byLow[begun]] : highs[byHigh[ended]];
    const perUs = density.value;
    while (perUs > 0 && untilUs > nowUs && rows + perUs * (untilUs - nowUs) > sliceRows) {
      const fullUs = Math.max(Math.floor(nowUs + (sliceRows - rows) / perUs), nowUs + 1);
      // Where doubles are further apart than a microsecond, the next one may be none.
      nowUs = fullUs > nowUs ? Math.min(untilUs, fullUs) : untilUs;
      rows = 0;
      cuts.push(nowUs);
    }
    if (perUs > 0) rows += perUs * (untilUs - nowUs);
    nowUs = untilUs;
    if (begins) density.add(densities[byLow[begun++]]);
    else density.add(-densities[byHigh[ended++]]);
  }
  return cuts;
}

/**
 * Rows a microsecond, of the refs that have begun and not ended. Compensated (Neumaier): what rounding leaves of
 * refs that have ended would be many rows in a gap of years.
 */
class Density {
  #sum = 0;
  #lost = 0;

  get value(): number {
    return this.#sum + this.#lost;
  }

  add(density: number): void {
    const sum = this.#sum + density;
    const [larger, smaller] =
      Math.abs(this.#sum) >= Math.abs(density) ? [this.#sum, density] : [density, this.#sum];
    this.#lost += larger - sum + smaller;
    this.#sum = sum;
  }
}

/** Finds where to cut a slice that holds too much, from a look at all its times. */
export class TimeSample {
  /** Of all times that were added. */
  minUs = Number.POSITIVE_INFINITY;
  maxUs = Number.NEGATIVE_INFINITY;
  count = 0;

  readonly #kept: Float64Array;
  #keptCount = 0;
  /** Every so manieth time is kept. */
  #stride = 1;

  constructor(keptMax: number) {
    this.#kept = new Float64Array(keptMax);
  }

  add(timeUs: number): void {
    if (timeUs < this.minUs) this.minUs = timeUs;
    if (timeUs > this.maxUs) this.maxUs = timeUs;
    if (this.count++ % this.#stride !== 0) return;
    if (this.#keptCount === this.#kept.length) {
      this.#keptCount = Math.ceil(this.#keptCount / 2);
      for (let i = 0; i < this.#keptCount; i++) this.#kept[i] = this.#kept[2 * i];
      this.#stride *= 2;
      if ((this.count - 1) % this.#stride !== 0) return;
    }
    this.#kept[this.#keptCount++] = timeUs;
  }

  /**
   * Where to cut into about `parts` slices of as many rows each, ascending. At least one cut, and none that leaves
   * a slice empty: needs two different times.
   */
  cuts(parts: number): number[] {
    const sorted = this.#kept.subarray(0, this.#keptCount).sort();
    const cuts: number[] = [];
    let lastUs = this.minUs;
    for (let part = 1; part < parts; part++) {
      const timeUs = sorted[Math.floor((part * sorted.length) / parts)];
      if (timeUs > lastUs) cuts.push(timeUs);
      lastUs = Math.max(lastUs, timeUs);
    }
    if (cuts.length > 0) return cuts;
    // Most rows have the first time: it becomes a slice of its own. Where a microsecond is lost in rounding, halve.
    const { minUs, maxUs } = this;
    const nextUs = minUs + 1 > minUs ? minUs + 1 : Math.floor(minUs + (maxUs - minUs) / 2);
    return [nextUs > minUs ? Math.min(nextUs, maxUs) : maxUs];
  }
}
