/** What the events of each unit (a user, a session, a sample) add up to. */
import { ConfigError } from '../errors.js';
import type { RowSource } from '../readers/rows.js';
import { UnitIds } from '../readers/unit-ids.js';
import type { ClusterTotals } from '../stats/clustered.js';
import type { SamplesById, UnitTotals, UnkeptSamples } from './compare/samples.js';
import { KEPT_MAX } from './gathered-values.js';
import type { RowCursor } from './row-values.js';

/** Sums of values per unit; nothing once there are too many units. */
export class UnitCollector {
  readonly #unit: string;
  readonly #ids: UnitIds;
  readonly #idsMax: number;
  readonly #measures: readonly string[];
  readonly #ratios: readonly string[];
  readonly #quantiles: readonly { readonly measure: number; readonly values: KeptByUnit }[];
  #places: Map<string, number> | null = new Map();
  readonly #sums: readonly Sums[];
  readonly #pairs: readonly Sums[];
  #events = 0;
  #without = 0;

  /**
   * @param measures - as their values come
   * @param ratios - as their pairs of values come
   * @param quantilesOf - measures of which all values are kept, with their units
   */
  constructor(
    source: RowSource,
    unit: string,
    measures: readonly string[],
    ratios: readonly string[],
    quantilesOf: readonly string[],
    idsMax: number,
  ) {
    this.#unit = unit;
    this.#ids = new UnitIds(source, unit);
    this.#idsMax = idsMax;
    this.#measures = measures;
    this.#ratios = ratios;
    this.#sums = measures.map(() => new Sums());
    this.#pairs = ratios.flatMap(() => [new Sums(), new Sums()]);
    this.#quantiles = quantilesOf.map((of) => ({ measure: measures.indexOf(of), values: new KeptByUnit() }));
  }

  /** @param values - beside the measures; NaN is none @param pairs - two for each ratio */
  add(cursor: RowCursor, values: Float64Array, pairs: Float64Array): void {
    if (this.#places === null) return;
    const id = this.#ids.of(cursor);
    if (id === null) {
      this.#without++;
      return;
    }
    let place = this.#places.get(id);
    if (place === undefined) {
      if (this.#places.size === this.#idsMax) {
        this.#places = null;
        return;
      }
      place = this.#places.size;
      this.#places.set(id, place);
    }
    this.#events++;
    for (let i = 0; i < this.#sums.length; i++) this.#sums[i].add(place, values[i]);
    for (let i = 0; i < this.#pairs.length; i++) this.#pairs[i].add(place, pairs[i]);
    for (const { measure, values: kept } of this.#quantiles) kept.add(place, values[measure]);
  }

  /** Means of latency, success and other measures, sums of cost and tokens: what a sample has of each. */
  samples(): SamplesById | UnkeptSamples {
    if (this.#places === null) return { ids: null, idsMax: this.#idsMax, events: this.#events };
    const [latencyMs, costUsd, tokens, success, ...others] = this.#sums;
    const names = this.#measures.slice(this.#measures.length - others.length);
    return {
      ids: [...this.#places.keys()],
      latencyMs: latencyMs.means(),
      costUsd: costUsd.totals(),
      tokens: tokens.totals(),
      successRate: success.means(),
      ...(others.length > 0 && {
        columns: Object.fromEntries(names.map((of, i) => [of, others[i].means()])),
      }),
      events: this.#events,
    };
  }

  /** @throws ConfigError where there are too many units */
  units(): UnitTotals {
    if (this.#places === null) {
      throw new ConfigError('unit', `one of which there are at most ${this.#idsMax} in an arm`, this.#unit);
    }
    const size = this.#places.size;
    const totals = (of: Sums, per: Sums) => ({ of: of.sums(size), per: per.sums(size) });
    return {
      unit: this.#unit,
      ids: [...this.#places.keys()],
      measures: Object.fromEntries(this.#measures.map((of, i) => [of, this.#sums[i].clusters(size)])),
      ratios: Object.fromEntries(
        this.#ratios.map((key, i) => [key, totals(this.#pairs[2 * i], this.#pairs[2 * i + 1])]),
      ),
      values: Object.fromEntries(
        this.#quantiles.map(({ measure, values }) => [this.#measures[measure], values.result()]),
      ),
      events: this.#events,
      without: this.#without,
    };
  }
}

/** Sums per place; NaN is no value. */
class Sums {
  readonly #sums: number[] = [];
  readonly #counts: number[] = [];

  add(place: number, value: number): void {
    while (this.#sums.length <= place) {
      this.#sums.push(0);
      this.#counts.push(0);
    }
    if (Number.isNaN(value)) return;
    this.#sums[place] += value;
    this.#counts[place]++;
  }

  /** 0/0 is NaN, as it should be. */
  means(): Float64Array {
    return Float64Array.from(this.#sums, (sum, place) => sum / this.#counts[place]);
  }

  /** NaN where there is no value. */
  totals(): Float64Array {
    return Float64Array.from(this.#sums, (sum, place) => (this.#counts[place] === 0 ? Number.NaN : sum));
  }

  sums(size: number): Float64Array {
    return Float64Array.from({ length: size }, (_, place) => this.#sums[place] ?? 0);
  }

  clusters(size: number): ClusterTotals {
    return {
      of: this.sums(size),
      per: Float64Array.from({ length: size }, (_, place) => this.#counts[place] ?? 0),
    };
  }
}

/** Values and their units' places, as long as they are not too many. */
class KeptByUnit {
  #values = new Float64Array(1024);
  #units = new Uint32Array(1024);
  #count = 0;

  add(place: number, value: number): void {
    if (Number.isNaN(value) || this.#count > KEPT_MAX) return;
    if (this.#count === this.#values.length) {
      const [values, units] = [new Float64Array(2 * this.#count), new Uint32Array(2 * this.#count)];
      values.set(this.#values);
      units.set(this.#units);
      this.#values = values;
      this.#units = units;
    }
    this.#values[this.#count] = value;
    this.#units[this.#count++] = place;
  }

  result(): { values: Float64Array; units: Uint32Array } | null {
    if (this.#count > KEPT_MAX) return null;
    return { values: this.#values.slice(0, this.#count), units: this.#units.slice(0, this.#count) };
  }
}
