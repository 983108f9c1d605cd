/** How far judges agree beyond chance. */

import { ConfigError } from '../errors.js';
import { symmetricPValue } from './distributions.js';
import { normalQuantile, normalSurvival } from './normal.js';
import { type Interval, type Options, type Result, resolveOptions } from './options.js';
import { quantileOfSorted } from './quantile.js';
import { SeededRandom } from './random.js';
import { tooFewSamples } from './sample.js';

/** What a judge says of one item. */
export type Rating = string | number | boolean;

type Level = Pick<Options, 'alpha' | 'confidenceLevel'>;

export interface KappaOptions extends Level {
  /** How bad a disagreement is: 'none' takes all as equally bad; 'linear' and 'quadratic' by how far categories lie apart. */
  readonly weights?: 'none' | 'linear' | 'quadratic' | undefined;
  /** In their order, for weights; numbers are in theirs unless told. */
  readonly categories?: readonly Rating[] | undefined;
}

export interface KappaResult extends Result {
  /** 1 is full agreement, 0 what chance gives, below 0 less than that. Null where chance alone agrees always. */
  readonly estimate: number | null;
  /** Share of items on which both agree; with weights, of the agreement that is possible. */
  readonly observed: number;
  /** What judges with these habits agree on by chance. */
  readonly expected: number;
  readonly standardError: number | null;
  /** The estimate in standard errors of chance agreement. */
  readonly statistic: number | null;
  /** Of no agreement beyond chance, two-sided. */
  readonly pValue: number | null;
  readonly confidenceInterval: Interval | null;
  readonly confidenceLevel: number;
}

/**
 * Cohen's κ of two judges: a[i] and b[i] are of one item.
 *
 * Source: Cohen 1960, Educational and Psychological Measurement 20, 37-46; weights 1968; errors: Fleiss, Cohen & Everitt
 * 1969, Psychological Bulletin 72, 323-327.
 */
export function cohensKappa(
  a: readonly Rating[],
  b: readonly Rating[],
  options: KappaOptions = {},
): KappaResult {
  const { alpha, confidenceLevel } = resolveOptions(options);
  const { weights = 'none' } = options;
  if (!['none', 'linear', 'quadratic'].includes(weights)) {
    throw new ConfigError('weights', "'none', 'linear' or 'quadratic'", weights);
  }
  checkRatings(a, 'a');
  checkRatings(b, 'b');
  if (a.length !== b.length) throw new ConfigError('b', `${a.length} ratings, as in a`, b.length);
  const n = a.length;
  if (n === 0) throw tooFewSamples('a', 1, 0);
  const places = placesOf([...a, ...b], options.categories, weights !== 'none');
  const size = places.size;
  const shares = Array.from({ length: size }, () => new Float64Array(size));
  for (let i = 0; i < n; i++) shares[places.get(a[i])!][places.get(b[i])!] += 1 / n;
  const ofA = shares.map((row) => row.reduce((sum, share) => sum + share, 0));
  const ofB = ofA.map((_, j) => shares.reduce((sum, row) => sum + row[j], 0));
  const weight = (i: number, j: number) => {
    if (weights === 'none' || size === 1) return Number(i === j);
    const apart = Math.abs(i - j) / (size - 1);
    return 1 - (weights === 'linear' ? apart : apart * apart);
  };
  const sumOver = (term: (i: number, j: number) => number) =>
    ofA.reduce((sum, _, i) => sum + ofB.reduce((row, __, j) => row + term(i, j), 0), 0);
  const observed = sumOver((i, j) => weight(i, j) * shares[i][j]);
  const expected = sumOver((i, j) => weight(i, j) * ofA[i] * ofB[j]);
  const common = {
    method: weights === 'none' ? 'Cohen’s κ' : `Cohen’s κ, ${weights} weights`,
    assumptions: ['independent items', 'two judges who rate on their own', 'many items, for the interval'],
    n: [n],
    observed,
    expected,
    confidenceLevel,
  };
  const unknown = { standardError: null, statistic: null, pValue: null, confidenceInterval: null };
  const apart = 1 - expected;
  if (!(apart > 1e-12)) {
    return {
      ...common,
      ...unknown,
      estimate: null,
      reason: 'both judges give one rating to all: chance agrees always',
    };
  }
  const estimate = (observed - expected) / apart;
  const meanOfRow = ofA.map((_, i) => ofB.reduce((sum, share, j) => sum + share * weight(i, j), 0));
  const meanOfColumn = ofB.map((_, j) => ofA.reduce((sum, share, i) => sum + share * weight(i, j), 0));
  const habits = (i: number, j: number) => meanOfRow[i] + meanOfColumn[j];
  const ofEstimate =
    sumOver((i, j) => shares[i][j] * (weight(i, j) - habits(i, j) * (1 - estimate)) ** 2) -
    (estimate - expected * (1 - estimate)) ** 2;
  const ofChance = sumOver((i, j) => ofA[i] * ofB[j] * (weight(i, j) - habits(i, j)) ** 2) - expected ** 2;
  const [standardError, underChance] = [ofEstimate, ofChance].map(
    (variance) => Math.sqrt(Math.max(0, variance) / n) / apart,
  );
  const statistic = underChance > 0 ? estimate / underChance : null;
  const pValue = statistic === null ? null : symmetricPValue(statistic, 'two-sided', normalSurvival);
  if (!(standardError > 1e-12)) {
    return {
      ...common,
      ...unknown,
      estimate,
      statistic,
      pValue,
      reason: 'no disagreement to tell the spread from',
    };
  }
  const margin = -normalQuantile(alpha / 2) * standardError;
  return {
    ...common,
    estimate,
    standardError,
    statistic,
    pValue,
    confidenceInterval: [Math.max(-1, estimate - margin), Math.min(1, estimate + margin)],
  };
}

function checkRatings(ratings: unknown, path: string): void {
  if (!Array.isArray(ratings)) throw new ConfigError(path, 'an array of ratings', ratings);
  for (const [i, rating] of ratings.entries()) checkRating(rating, `${path}[${i}]`);
}

function checkRating(rating: unknown, path: string): void {
  const isNumber = typeof rating === 'number' && Number.isFinite(rating);
  if (!isNumber && typeof rating !== 'string' && typeof rating !== 'boolean') {
    throw new ConfigError(path, 'a text, a finite number, true or false', rating);
  }
}

function placesOf(
  ratings: readonly Rating[],
  categories: readonly Rating[] | undefined,
  isOrdered: boolean,
): Map<Rating, number> {
  const found = new Set(ratings);
  if (categories !== undefined) {
    checkRatings(categories, 'categories');
    const places = new Map(categories.map((category, i) => [category, i]));
    for (const rating of found) {
      if (!places.has(rating))
        throw new ConfigError('categories', `one that is ${String(rating)}`, categories);
    }
    return places;
  }
  const values = [...found];
  if (isOrdered && values.some((value) => typeof value === 'string')) {
    throw new ConfigError('categories', 'texts in their order, beside weights', categories);
  }
  values.sort((a, b) => (typeof a === 'string' || typeof b === 'string' ? 0 : Number(a) - Number(b)));
  return new Map(values.map((value, i) => [value, i]));
}

// ── Several judges ───────────────────────────────────────────────────────────────────────────────

export interface AlphaOptions extends Level {
  /** 'nominal' by default: categories; 'ordinal': by their order; 'interval': by the square of how far they lie apart. */
  readonly level?: 'nominal' | 'ordinal' | 'interval' | undefined;
  /** In their order, for ordinal texts; numbers are in theirs. */
  readonly categories?: readonly Rating[] | undefined;
  /** Of the bootstrap; 2,000 by default. */
  readonly resamples?: number | undefined;
  /** A whole number; 1 by default. */
  readonly seed?: number | undefined;
}

export interface AlphaResult extends Result {
  /** 1 is full agreement, 0 what chance gives. Null where no two ratings differ. */
  readonly estimate: number | null;
  /** Of items, by the bootstrap. */
  readonly confidenceInterval: Interval | null;
  readonly confidenceLevel: number;
  /** Items with two ratings or more: the others say nothing of agreement. */
  readonly items: number;
  /** Ratings of those items. */
  readonly ratings: number;
}

/**
 * Krippendorff's α: agreement of any number of judges, who need not have rated every item.
 * @param ratings - of each judge, beside the items; null where a judge did not rate one
 *
 * Source: Krippendorff 2011, Computing Krippendorff's alpha-reliability. The interval is the percentile bootstrap of
 * items, which are what was sampled.
 */
export function krippendorffAlpha(
  ratings: readonly (readonly (Rating | null)[])[],
  options: AlphaOptions = {},
): AlphaResult {
  const { alpha, confidenceLevel } = resolveOptions(options);
  const { level = 'nominal', resamples = 2000, seed = 1 } = options;
  if (!['nominal', 'ordinal', 'interval'].includes(level)) {
    throw new ConfigError('level', "'nominal', 'ordinal' or 'interval'", level);
  }
  if (!(Number.isSafeInteger(resamples) && resamples >= 100 && resamples <= 1e6)) {
    throw new ConfigError('resamples', 'a whole number from 100 to 1000000', resamples);
  }
  if (!Number.isSafeInteger(seed)) throw new ConfigError('seed', 'a whole number', seed);
  const items = itemsOf(ratings, level, options.categories);
  const common = {
    method: `Krippendorff’s α, ${level}; percentile bootstrap of items, ${resamples} resamples, seed ${seed}`,
    assumptions: ['independent items', 'judges who rate on their own'],
    n: [items.length],
    confidenceLevel,
    items: items.length,
    ratings: items.reduce((sum, item) => sum + item.length, 0),
  };
  if (items.length === 0) {
    return { ...common, estimate: null, confidenceInterval: null, reason: 'no item has two ratings' };
  }
  const disagreement = new Disagreement(items, level);
  const all = Uint32Array.from(items.keys());
  const estimate = disagreement.alpha(all);
  if (estimate === null) {
    return {
      ...common,
      estimate,
      confidenceInterval: null,
      reason: 'no two ratings differ: chance agrees always',
    };
  }
  if (items.length < 2 || estimate === 1) {
    const reason =
      items.length < 2 ? 'one item: nothing shows how items differ' : 'judges agree on every item';
    return { ...common, estimate, confidenceInterval: null, reason };
  }
  const random = new SeededRandom(seed);
  const drawn = new Uint32Array(items.length);
  const estimates: number[] = [];
  for (let i = 0; i < resamples; i++) {
    for (let j = 0; j < drawn.length; j++) drawn[j] = random.nextIndex(drawn.length);
    const found = disagreement.alpha(drawn);
    if (found !== null) estimates.push(found);
  }
  const sorted = Float64Array.from(estimates).sort();
  return {
    ...common,
    estimate,
    confidenceInterval: [quantileOfSorted(sorted, alpha / 2), quantileOfSorted(sorted, 1 - alpha / 2)],
  };
}

/** Ratings of each item that has two, as numbers: places of categories, or the values themselves. */
function itemsOf(
  ratings: readonly (readonly (Rating | null)[])[],
  level: NonNullable<AlphaOptions['level']>,
  categories: readonly Rating[] | undefined,
): Float64Array[] {
  if (!Array.isArray(ratings) || !ratings.every((judge) => Array.isArray(judge))) {
    throw new ConfigError('ratings', 'an array of ratings for each judge', ratings);
  }
  const length = Math.max(0, ...ratings.map((judge) => judge.length));
  for (const [j, judge] of ratings.entries()) {
    if (judge.length !== length)
      throw new ConfigError(`ratings[${j}]`, `${length} ratings, null for none`, judge.length);
    for (const [i, rating] of judge.entries()) {
      if (rating === null) continue;
      checkRating(rating, `ratings[${j}][${i}]`);
      if (level === 'interval' && typeof rating !== 'number') {
        throw new ConfigError(`ratings[${j}][${i}]`, 'a number, at the interval level', rating);
      }
    }
  }
  const known = ratings.flat().filter((rating) => rating !== null) as Rating[];
  const places = level === 'interval' ? null : placesOf(known, categories, level === 'ordinal');
  const items: Float64Array[] = [];
  for (let i = 0; i < length; i++) {
    const values = ratings.flatMap((judge) => {
      const rating = judge[i] as Rating | null;
      return rating === null ? [] : [places === null ? (rating as number) : places.get(rating)!];
    });
    if (values.length > 1) items.push(Float64Array.from(values));
  }
  return items;
}

/** α of any choice of items, in time linear in their ratings. */
class Disagreement {
  readonly #items: readonly Float64Array[];
  readonly #level: NonNullable<AlphaOptions['level']>;
  readonly #counts: Float64Array;
  readonly #ranks: Float64Array;

  constructor(items: readonly Float64Array[], level: NonNullable<AlphaOptions['level']>) {
    this.#items = items;
    this.#level = level;
    let largest = 0;
    if (level !== 'interval')
      for (const item of items) for (const place of item) largest = Math.max(largest, place);
    this.#counts = new Float64Array(largest + 1);
    this.#ranks = new Float64Array(largest + 1);
  }

  alpha(chosen: Uint32Array): number | null {
    const n = this.#count(chosen);
    const numberOf = this.#numberOf();
    let within = 0;
    // Around the first value, so that little is lost where values are large and close.
    const origin = numberOf(this.#items[chosen[0]][0]);
    let [sum, squares] = [0, 0];
    for (const i of chosen) {
      const item = this.#items[i];
      if (this.#level === 'nominal') {
        within += unequalPairs(item) / (item.length - 1);
        continue;
      }
      let [own, ownSquares] = [0, 0];
      for (const value of item) {
        const from = numberOf(value) - origin;
        own += from;
        ownSquares += from * from;
      }
      sum += own;
      squares += ownSquares;
      within += (2 * (item.length * ownSquares - own * own)) / (item.length - 1);
    }
    const between =
      this.#level === 'nominal'
        ? n * n - this.#counts.reduce((total, count) => total + count * count, 0)
        : 2 * (n * squares - sum * sum);
    return between > 0 ? 1 - (Math.max(0, within) * (n - 1)) / between : null;
  }

  #count(chosen: Uint32Array): number {
    this.#counts.fill(0);
    let n = 0;
    for (const i of chosen) {
      const item = this.#items[i];
      n += item.length;
      if (this.#level !== 'interval') for (const place of item) this.#counts[place]++;
    }
    return n;
  }

  /** Ordinal disagreement is the square of how far mid-ranks lie apart. */
  #numberOf(): (value: number) => number {
    if (this.#level !== 'ordinal') return (value) => value;
    let below = 0;
    for (const [place, count] of this.#counts.entries()) {
      this.#ranks[place] = below + count / 2;
      below += count;
    }
    return (place) => this.#ranks[place];
  }
}

function unequalPairs(item: Float64Array): number {
  let pairs = 0;
  for (const a of item) for (const b of item) if (a !== b) pairs++;
  return pairs;
}
