/**
 * Shelves: runs of values on which a few ranks are wanted again and again, over one group of runs and then another that
 * shares most of them, as sliding windows do.
 *
 * Around each wanted rank lies a band of values, wide enough that the rank stays in it while values come and go as
 * chance has it. Of every run are kept how many values lie below a band, and those within it; a rank over many runs is
 * then looked for among those few. When a rank has left its band, all bands are chosen anew.
 *
 * Bands are told by short keys, which the first run decides. Where they tell little apart, as when all values are
 * negative, bands hold much and selection takes longer; it is exact always.
 */
import type { Kernels } from './kernels.js';
import { doubleOf, keyOf } from './keys.js';
import type { Run, Selector } from './select.js';

/** Smaller runs are not worth it. */
const VALUES_MIN = 256;
/** What `gatherBands` needs. */
const SCRATCH_BYTES = 8 * 1025;
/** Short keys are written and read 16 at a time. */
const GROUP = 16;
const SHORT_KEY_BITS = 15;
/** Behind the last short key. */
const KEYS_END = 0x7fff;
/** Bins of eight short keys, from which bands are chosen. */
const BIN_BITS = 3;
const BINS = 1 << (SHORT_KEY_BITS - BIN_BITS);
/** A band reaches so many standard deviations of a sample's rank to both sides. */
const DEVIATIONS = 3;
/** Upper word of infinity. */
const INFINITY_WORD = 0x7ff00000;

/** A run and what is known of it; its values must stay as they are, wherever they are moved. */
export interface Shelf {
  /** Address of f64. */
  values: number;
  readonly count: number;
  /** Address of i16 × count, rounded up to whole groups. */
  readonly keys: number;
  /** Values kept of a band. */
  readonly capacity: number;
  /** Address of what is kept, band by band; 0 before anything is. */
  bands: number;
  bandCount: number;
  /** Of the bands of which it is kept. */
  choice: number;
}

/** Short keys from `first` to below `end`. */
interface Band {
  readonly first: number;
  readonly end: number;
  /** Its values are not below `low`, */
  readonly low: number;
  /** nor above `high`. */
  readonly high: number;
}

export class Shelves {
  private readonly kernels: Kernels;
  private readonly selector: Selector;
  private readonly scratch: number;
  /** Room given back, by its size. */
  private readonly freeRoom = new Map<number, number[]>();
  /** Upper word of the least value that has a short key of its own; negative before the first run. */
  private low = -1;
  private shift = 0;
  private bands: readonly Band[] = [];
  /** Counts choices of bands. */
  private choice = 0;
  /** By band: values below it, and values in it, of the shelves at hand. */
  private readonly below: number[] = [];
  private readonly inside: number[] = [];

  constructor(kernels: Kernels, selector: Selector) {
    this.kernels = kernels;
    this.selector = selector;
    this.scratch = kernels.allocate(SCRATCH_BYTES);
  }

  /**
   * @param min - the least value, and
   * @param max - the greatest
   * @returns undefined for a run that is too small
   */
  shelve(run: Run, min: number, max: number): Shelf | undefined {
    if (run.count < VALUES_MIN) return undefined;
    if (this.low < 0) this.chooseKeys(run, min, max);
    return this.shelfOf(run, this.take(keyBytes(run.count)));
  }

  /** Gives back the room that it took. */
  free({ count, keys, capacity, bands, bandCount }: Shelf): void {
    this.give(keys, keyBytes(count));
    if (bands !== 0) this.give(bands, bandCount * bandBytes(capacity));
  }

  /**
   * As `Selector.select`.
   * @param shelves - one at least
   * @param loose - values that are on none
   */
  select(
    shelves: readonly Shelf[],
    loose: readonly Run[],
    min: number,
    max: number,
    ranks: readonly number[],
  ): number[] {
    const { kernels } = this;
    const wanted = consecutive(ranks);
    // What outlasts the call is taken before what is released with it.
    for (const shelf of shelves) this.reserve(shelf, wanted.length);
    const { mark } = kernels;
    const all = loose.length === 0 ? shelves : [...shelves, this.shelfOfLoose(loose, wanted.length)];
    if (wanted.length !== this.bands.length || !this.holds(all, wanted)) {
      this.chooseBands(all, wanted);
      this.holds(all, wanted);
    }
    const selected: number[] = [];
    for (let band = 0; band < wanted.length; band++)
      this.selectInBand(all, band, wanted[band], min, max, selected);
    kernels.release(mark);
    return selected;
  }

  private shelfOf({ values, count }: Run, keys: number): Shelf {
    this.kernels.module.shortenKeys(values, count, this.low, this.shift, keys);
    const capacity = 64 + 8 * Math.ceil(Math.sqrt(count));
    return { values, count, keys, capacity, bands: 0, bandCount: 0, choice: 0 };
  }

  /** Makes room for what is kept of so many bands. */
  private reserve(shelf: Shelf, bandCount: number): void {
    if (shelf.bandCount === bandCount) return;
    const { capacity } = shelf;
    if (shelf.bands !== 0) this.give(shelf.bands, shelf.bandCount * bandBytes(capacity));
    shelf.bands = this.take(bandCount * bandBytes(capacity));
    shelf.bandCount = bandCount;
    shelf.choice = 0;
  }

  /** The runs' values as one shelf, all of it in room that is released with the caller's mark. */
  private shelfOfLoose(runs: readonly Run[], bandCount: number): Shelf {
    const { f64 } = this.kernels;
    const count = runs.reduce((sum, run) => sum + run.count, 0);
    const values = this.kernels.allocate(8 * count);
    let at = values >> 3;
    for (const run of runs) {
      f64.copyWithin(at, run.values >> 3, (run.values >> 3) + run.count);
      at += run.count;
    }
    const shelf = this.shelfOf({ values, count }, this.kernels.allocate(keyBytes(count)));
    shelf.bands = this.kernels.allocate(bandCount * bandBytes(shelf.capacity));
    shelf.bandCount = bandCount;
    return shelf;
  }

  /** All but the first and the last hundredth of the values have a third of the keys; the others are for later ones. */
  private chooseKeys(run: Run, min: number, max: number): void {
    const tail = Math.floor(run.count / 100);
    const extremes = this.selector.select([run], min, max, [tail, run.count - 1 - tail]);
    const [low, high] = extremes.map((value) => upperWord(Math.max(0, value)));
    const width = high - low;
    this.low = Math.max(0, low - width);
    const bits = 32 - Math.clz32(high + width - this.low);
    this.shift = Math.max(0, bits - SHORT_KEY_BITS);
  }

  /** Sees to it that all shelves know the bands. @returns whether the wanted ranks lie in them */
  private holds(shelves: readonly Shelf[], wanted: readonly (readonly number[])[]): boolean {
    for (const shelf of shelves) if (shelf.choice !== this.choice) this.gather(shelf);
    const { u32 } = this.kernels;
    for (let band = 0; band < wanted.length; band++) {
      const ranks = wanted[band];
      let below = 0;
      let inside = 0;
      for (let i = 0; i < shelves.length; i++) {
        const at = addressOf(shelves[i], band) >> 2;
        below += u32[at];
        inside += u32[at + 1];
      }
      if (ranks[0] < below || ranks[ranks.length - 1] >= below + inside) return false;
      this.below[band] = below;
      this.inside[band] = inside;
    }
    return true;
  }

  private gather(shelf: Shelf): void {
    const { bands, kernels } = this;
    const { values, count, keys, capacity } = shelf;
    const { mark } = kernels;
    const table = this.tableOf(bands);
    kernels.module.gatherBands(keys, values, count, table, bands.length, capacity, shelf.bands, this.scratch);
    kernels.release(mark);
    shelf.choice = this.choice;
  }

  /** The bands as the kernels read them. */
  private tableOf(bands: readonly Band[]): number {
    const { kernels } = this;
    const table = kernels.allocate(8 * bands.length);
    bands.forEach(({ first, end }, i) => {
      kernels.u32[(table >> 2) + 2 * i] = first;
      kernels.u32[(table >> 2) + 2 * i + 1] = end;
    });
    return table;
  }

  private chooseBands(shelves: readonly Shelf[], wanted: readonly (readonly number[])[]): void {
    const { kernels } = this;
    const { mark } = kernels;
    const address = kernels.allocate(4 * BINS);
    const bins = kernels.u32.subarray(address >> 2, (address >> 2) + BINS).fill(0);
    let count = 0;
    for (const shelf of shelves) {
      kernels.module.countShortKeys(shelf.keys, shelf.count, address);
      count += shelf.count;
    }
    let bin = 0;
    let before = 0;
    /** Sought in ascending order, though bands may overlap. */
    const edges = new Map<number, number>();
    const margins = wanted.map(([rank]) => {
      const p = rank / count;
      return 8 + Math.ceil(DEVIATIONS * Math.sqrt(count * p * (1 - p)));
    });
    const ends = wanted.map((ranks, i): [number, number] => [
      Math.max(0, ranks[0] - margins[i]),
      Math.min(count - 1, ranks[ranks.length - 1] + margins[i]),
    ]);
    for (const rank of ends.flat().sort((a, b) => a - b)) {
      while (before + bins[bin] <= rank) before += bins[bin++];
      edges.set(rank, bin);
    }
    this.bands = ends.map(([least, most]) => {
      const first = (edges.get(least) as number) << BIN_BITS;
      const end = Math.min(KEYS_END, ((edges.get(most) as number) + 1) << BIN_BITS);
      return {
        first,
        end,
        low: first === 0 ? Number.NEGATIVE_INFINITY : this.valueOf(first),
        high: end === KEYS_END ? Number.POSITIVE_INFINITY : this.valueOf(end),
      };
    });
    this.choice++;
    kernels.release(mark);
  }

  /**
   * @param ranks - of all values; they lie in the band
   * @param selected - is told their values
   */
  private selectInBand(
    shelves: readonly Shelf[],
    band: number,
    ranks: readonly number[],
    min: number,
    max: number,
    selected: number[],
  ): void {
    const { kernels } = this;
    const { f64, u32 } = kernels;
    const low = Math.max(min, this.bands[band].low);
    const high = Math.min(max, this.bands[band].high);
    const below = this.below[band];
    const { mark } = kernels;
    const addresses = kernels.allocate(4 * shelves.length);
    for (let i = 0; i < shelves.length; i++) {
      const address = addressOf(shelves[i], band);
      if (u32[(address >> 2) + 1] > shelves[i].capacity - GROUP) {
        const runs = shelves.map((shelf) => this.runOf(shelf, band));
        const inBand = ranks.map((rank) => rank - below);
        selected.push(...this.selector.select(runs, low, high, inBand));
        return;
      }
      u32[(addresses >> 2) + i] = address;
    }
    const scratch = kernels.allocate(16 * (this.inside[band] + 1));
    const out = kernels.allocate(8 * ranks.length);
    const [{ length: runs }, { length }] = [shelves, ranks];
    kernels.module.selectInBand(addresses, runs, ranks[0] - below, length, low, high, scratch, out);
    for (let i = 0; i < length; i++) selected.push(f64[(out >> 3) + i]);
    kernels.release(mark);
  }

  /** All values of the shelf in the band. */
  private runOf({ values, count, keys }: Shelf, band: number): Run {
    const { kernels } = this;
    const table = this.tableOf([this.bands[band]]);
    const target = kernels.allocate(bandBytes(count + GROUP));
    kernels.module.gatherBands(keys, values, count, table, 1, count + GROUP, target, this.scratch);
    return { values: target + 8, count: kernels.u32[(target >> 2) + 1] };
  }

  /** The least value with this short key. */
  private valueOf(key: number): number {
    const word = Math.min(this.low + key * 2 ** this.shift, INFINITY_WORD);
    return doubleOf((BigInt(word) << 32n) | (1n << 63n));
  }

  /** Room is taken by powers of two, so that it can be given to others later. */
  private take(bytes: number): number {
    const size = roomFor(bytes);
    return this.freeRoom.get(size)?.pop() ?? this.kernels.allocate(size);
  }

  private give(address: number, bytes: number): void {
    const size = roomFor(bytes);
    const free = this.freeRoom.get(size);
    if (free === undefined) this.freeRoom.set(size, [address]);
    else free.push(address);
  }
}

function roomFor(bytes: number): number {
  return 1 << (32 - Math.clz32(bytes - 1));
}

function keyBytes(count: number): number {
  return 2 * GROUP * Math.ceil(count / GROUP);
}

/** Of a band: two counts, and the values kept. */
function bandBytes(capacity: number): number {
  return 8 + 8 * capacity;
}

function addressOf({ bands, capacity }: Shelf, band: number): number {
  return bands + band * bandBytes(capacity);
}

/** Ascending ranks, split where one is left out. */
function consecutive(ranks: readonly number[]): number[][] {
  const runs: number[][] = [];
  for (const rank of ranks) {
    const last = runs[runs.length - 1];
    if (last !== undefined && rank <= last[last.length - 1] + 1) last.push(rank);
    else runs.push([rank]);
  }
  return runs;
}

/** Of a value that is not negative. */
function upperWord(value: number): number {
  return Number((keyOf(value) >> 32n) & 0x7fffffffn);
}
