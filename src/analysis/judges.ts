/** Judges: how far those who score agree, and how one compares with another that is to be relied on. */
import { ConfigError } from '../errors.js';
import { type AlphaResult, cohensKappa, type KappaResult, krippendorffAlpha } from '../stats/agreement.js';
import { spearman } from '../stats/correlation.js';
import type { Interval } from '../stats/options.js';
import { wilsonInterval } from '../stats/proportions.js';
import { pairedTTest } from '../stats/t-tests.js';

/** A score, as far as it matters who gave it. */
export interface JudgedScore {
  /** What was scored: of which kind, and which. */
  readonly key: string;
  readonly id: string;
  readonly by: string | null;
  readonly value: number | boolean;
}

export interface JudgeReport {
  /** Null for scores that say nobody. */
  readonly by: string | null;
  readonly scores: number;
  readonly mean: number;
}

/** Two judges, over what both have scored. */
export interface JudgePair {
  readonly a: string | null;
  readonly b: string | null;
  readonly items: number;
  /** Of the same score. */
  readonly agreement: number;
  /** Null where there are too many different values for categories, or too few items. Of ordered values with quadratic weights. */
  readonly kappa: KappaResult | null;
  /** Mean of b's scores less a's: what b adds. Null below two items. */
  readonly bias: { readonly estimate: number; readonly confidenceInterval: Interval | null } | null;
  /** Spearman's, of scores that are no yes or no. */
  readonly correlation: number | null;
  /** Where scores are yes or no: b's share of yes among a's yes, and of no among a's no. */
  readonly sensitivity: RateOfJudge | null;
  readonly specificity: RateOfJudge | null;
}

export interface RateOfJudge {
  readonly estimate: number;
  readonly n: number;
  readonly confidenceInterval: Interval;
}

export interface JudgesReport {
  /** Of the score. */
  readonly name: string;
  readonly level: 'nominal' | 'interval';
  /** Things that were scored. */
  readonly items: number;
  readonly judges: readonly JudgeReport[];
  /** Of all judges; null where no thing was scored by two. */
  readonly alpha: AlphaResult | null;
  /** Every two of them; with a reference, every other one against that. */
  readonly pairs: readonly JudgePair[];
}

/** More different values are no categories. */
const CATEGORIES_MAX = 10;

/**
 * @param scores - of one name, the last of each judge
 * @param reference - the judge to be relied on, such as people
 * @throws ConfigError where the reference has scored nothing
 */
export function reportOfJudges(
  name: string,
  scores: readonly JudgedScore[],
  reference?: string,
): JudgesReport {
  const items = [...new Set(scores.map(({ key, id }) => JSON.stringify([key, id])))];
  const places = new Map(items.map((item, i) => [item, i]));
  const level = scores.every(({ value }) => typeof value === 'boolean') ? 'nominal' : 'interval';
  const ratings = new Map<string | null, (number | null)[]>();
  for (const { key, id, by, value } of scores) {
    const own = ratings.get(by) ?? new Array<number | null>(items.length).fill(null);
    own[places.get(JSON.stringify([key, id]))!] = Number(value);
    ratings.set(by, own);
  }
  const names = [...ratings.keys()].sort((a, b) => (a ?? '').localeCompare(b ?? '', 'en'));
  if (reference !== undefined && !ratings.has(reference)) {
    throw new ConfigError(
      'reference',
      `a judge of ${name} (${names.map((each) => each ?? 'nobody').join(', ')})`,
      reference,
    );
  }
  const pairs = names.flatMap((a, i) => names.slice(i + 1).map((b) => [a, b] as const));
  const wanted =
    reference === undefined
      ? pairs
      : names.filter((judge) => judge !== reference).map((judge) => [reference, judge] as const);
  const isShared = items.some((_, i) => names.filter((judge) => ratings.get(judge)![i] !== null).length > 1);
  return {
    name,
    level,
    items: items.length,
    judges: names.map((by) => {
      const given = ratings.get(by)!.filter((value) => value !== null);
      return { by, scores: given.length, mean: given.reduce((sum, value) => sum + value, 0) / given.length };
    }),
    alpha: isShared
      ? krippendorffAlpha(
          names.map((judge) => ratings.get(judge)!),
          { level },
        )
      : null,
    pairs: wanted.map(([a, b]) => pairOf(a, b, ratings.get(a)!, ratings.get(b)!, level)),
  };
}

function pairOf(
  a: string | null,
  b: string | null,
  ofA: readonly (number | null)[],
  ofB: readonly (number | null)[],
  level: JudgesReport['level'],
): JudgePair {
  const both = ofA.flatMap((value, i) =>
    value === null || ofB[i] === null ? [] : [[value, ofB[i]!] as const],
  );
  const [first, second] = [both.map(([value]) => value), both.map(([, value]) => value)];
  const items = both.length;
  const isFlag = level === 'nominal';
  const categories = new Set([...first, ...second]).size;
  const hasKappa = items > 0 && categories <= CATEGORIES_MAX;
  const test = items < 2 ? null : pairedTTest(second, first);
  return {
    a,
    b,
    items,
    agreement: items === 0 ? Number.NaN : both.filter(([x, y]) => x === y).length / items,
    kappa: hasKappa ? cohensKappa(first, second, { weights: isFlag ? 'none' : 'quadratic' }) : null,
    bias:
      test === null || test.estimate === null
        ? null
        : { estimate: test.estimate, confidenceInterval: test.confidenceInterval },
    correlation: isFlag || items < 3 ? null : spearman(first, second).estimate,
    sensitivity: isFlag ? rateOf(both, 1) : null,
    specificity: isFlag ? rateOf(both, 0) : null,
  };
}

function rateOf(both: readonly (readonly [number, number])[], value: number): RateOfJudge | null {
  const of = both.filter(([a]) => a === value);
  if (of.length === 0) return null;
  const agreed = of.filter(([, b]) => b === value).length;
  const { estimate, confidenceInterval } = wilsonInterval(agreed, of.length);
  return { estimate, n: of.length, confidenceInterval };
}
