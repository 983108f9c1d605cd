/** Tests on tables of counts. */

import { ConfigError } from '../errors.js';
import { chiSquareSurvival } from './distributions.js';
import { type Interval, type Options, type ResolvedOptions, type Result, resolveOptions } from './options.js';
import { findRoot } from './root.js';
import { type Alternative, checkCount, tooFewSamples } from './sample.js';

export interface ChiSquareResult extends Result {
  readonly statistic: number | null;
  readonly df: number;
  readonly pValue: number | null;
  /** Counts expected under independence. */
  readonly expected: readonly (readonly number[])[] | null;
  /** Cramér's V = √(χ²/(N · (min(rows, columns) − 1))), uncorrected; 0 to 1. */
  readonly cramersV: number | null;
}

/**
 * Pearson's chi-square test that rows and columns of a table of counts are independent. `yates` moves each
 * count of a 2 × 2 table by up to ½ towards its expectation; off by default. Undefined when a row or
 * column is empty.
 *
 * Source: Pearson 1900, Philosophical Magazine 50, 157-175; Yates 1934, Supplement to the JRSS 1, 217-235.
 */
export function chiSquare(
  table: readonly (readonly number[])[],
  options: { readonly yates?: boolean } = {},
): ChiSquareResult {
  const { rows, columns, total } = marginsOf(table);
  const { yates = false } = options;
  if (yates && (rows.length !== 2 || columns.length !== 2)) {
    throw new ConfigError('yates', 'false for a table other than 2 × 2', yates);
  }
  const common = {
    method: `Pearson chi-square test${yates ? ' with Yates continuity correction' : ''}`,
    assumptions: ['independent observations', 'expected counts of 5 or more'],
    n: [total],
    df: (rows.length - 1) * (columns.length - 1),
  };
  if (rows.includes(0) || columns.includes(0)) {
    const reason = 'a row or a column is empty: its expected counts are 0';
    return { ...common, statistic: null, pValue: null, expected: null, cramersV: null, reason };
  }
  const expected = rows.map((row) => columns.map((column) => row * (column / total)));
  let statistic = 0;
  let uncorrected = 0;
  for (const [i, row] of expected.entries()) {
    for (const [j, mean] of row.entries()) {
      const deviation = Math.abs(table[i]![j]! - mean);
      uncorrected += deviation ** 2 / mean;
      statistic += (deviation - (yates ? Math.min(0.5, deviation) : 0)) ** 2 / mean;
    }
  }
  return {
    ...common,
    statistic,
    pValue: chiSquareSurvival(statistic, common.df),
    expected,
    cramersV: Math.sqrt(uncorrected / (total * (Math.min(rows.length, columns.length) - 1))),
  };
}

export interface FisherResult extends Result {
  readonly pValue: number;
  readonly alternative: Alternative;
  /** The sample odds ratio ad/(bc): infinite where only bc is 0, null where both products are. */
  readonly estimate: number | null;
  /** Of the odds ratio, conditional on the margins; null where a margin is empty. */
  readonly confidenceInterval: Interval | null;
  readonly confidenceLevel: number;
}

/**
 * Fisher's exact test of a 2 × 2 table [[a, b], [c, d]]: with the margins given, whether the odds ratio is
 * 1. 'less' is an odds ratio below 1. The two-sided p-value adds the tables that are no likelier than the
 * observed one.
 *
 * Source: Fisher 1935, JRSS 98, 39-82; the interval is that of Cornfield 1956 for the conditional
 * (noncentral hypergeometric) distribution.
 */
export function fisherExact(table: readonly (readonly number[])[], options?: Options): FisherResult {
  const resolved = resolveOptions(options);
  const { alternative, confidenceLevel } = resolved;
  const { rows, columns, total } = marginsOf(table);
  if (rows.length !== 2 || columns.length !== 2) {
    throw new ConfigError('table', 'two rows of two counts', `${rows.length} × ${columns.length}`);
  }
  const [[a, b], [c, d]] = table as [[number, number], [number, number]];
  const tails = tailsAt(a, rows[0]!, columns[0]!, total, 1);
  const sum = tails.below + tails.at + tails.above;
  const favourable = {
    less: tails.below + tails.at,
    greater: tails.above + tails.at,
    'two-sided': tails.notLikelier,
  }[alternative];
  const common = {
    method: 'Fisher exact test',
    assumptions: ['independent observations', 'margins treated as fixed'],
    n: rows,
    pValue: Math.min(1, favourable / sum),
    alternative,
    confidenceLevel,
  };
  if (rows.includes(0) || columns.includes(0)) {
    const reason = 'a row or a column is empty: the odds ratio is undefined';
    return { ...common, estimate: null, confidenceInterval: null, reason };
  }
  return {
    ...common,
    estimate: (a * d) / (b * c),
    confidenceInterval: oddsRatioInterval([a, b, c, d], resolved),
  };
}

/** Sums of hypergeometric probabilities around the observed count, up to one common factor. */
interface Tails {
  readonly below: number;
  readonly at: number;
  readonly above: number;
  /** Of all counts that are no likelier than the observed one, itself included. */
  readonly notLikelier: number;
}

/** Relative difference below which two probabilities count as equal: above the rounding of their ratio. */
const TIE_TOLERANCE = 1e-10;
const RESCALE_AT = 1e200;

/**
 * Walks out from the observed count by ratios of neighbouring probabilities, so no large factorials are
 * formed: P(k + 1)/P(k) = (row − k)(column − k)/((k + 1)(total − row − column + k + 1)) · oddsRatio.
 */
function tailsAt(observed: number, row: number, column: number, total: number, oddsRatio: number): Tails {
  const lowest = Math.max(0, row + column - total);
  const highest = Math.min(row, column);
  const ratioUp = (k: number) =>
    ((row - k) / (k + 1)) * ((column - k) / (total - row - column + k + 1)) * oddsRatio;
  let at = 1;
  const sums = { below: 0, above: 0 };
  let notLikelier = 1;
  for (const side of ['below', 'above'] as const) {
    let term = at;
    const step = side === 'below' ? -1 : 1;
    for (let k = observed + step; k >= lowest && k <= highest; k += step) {
      const ratio = side === 'below' ? 1 / ratioUp(k) : ratioUp(k - 1);
      term *= ratio;
      sums[side] += term;
      if (term <= at * (1 + TIE_TOLERANCE)) {
        notLikelier += term;
        // The probabilities rise to one mode and fall: the rest of this side is smaller still.
        if (ratio < 1 && term < 1e-20 * at) break;
      }
      if (term > RESCALE_AT) {
        term /= RESCALE_AT;
        at /= RESCALE_AT;
        sums.below /= RESCALE_AT;
        sums.above /= RESCALE_AT;
        notLikelier /= RESCALE_AT;
      }
    }
  }
  return { ...sums, at, notLikelier };
}

/** Odds ratios that leave the observed count outside neither tail of size alpha/2 (one-sided: alpha). */
function oddsRatioInterval(
  [a, b, c, d]: readonly [number, number, number, number],
  { alternative, alpha }: ResolvedOptions,
): Interval {
  const tail = alternative === 'two-sided' ? alpha / 2 : alpha;
  const [row, column, total] = [a + b, a + c, a + b + c + d];
  // Where to look: the log odds ratio and its standard error, half a count added to each cell.
  const cells = [a + 0.5, b + 0.5, c + 0.5, d + 0.5] as const;
  const centre = Math.log((cells[0] * cells[3]) / (cells[1] * cells[2]));
  const stride = Math.sqrt(cells.reduce((sum, cell) => sum + 1 / cell, 0));
  const solve = (side: 'below' | 'above') => {
    const excess = (logRatio: number) => {
      const tails = tailsAt(a, row, column, total, Math.exp(logRatio));
      const share = (tails[side] + tails.at) / (tails.below + tails.at + tails.above);
      return side === 'above' ? share - tail : tail - share;
    };
    let low = centre - stride;
    let high = centre + stride;
    for (let step = stride; excess(low) > 0; step *= 2) low -= step;
    for (let step = stride; excess(high) < 0; step *= 2) high += step;
    return Math.exp(findRoot(excess, low, high));
  };
  const isLowest = a === Math.max(0, row + column - total);
  const isHighest = a === Math.min(row, column);
  return [
    alternative === 'less' || isLowest ? 0 : solve('above'),
    alternative === 'greater' || isHighest ? Number.POSITIVE_INFINITY : solve('below'),
  ];
}

/** Throws unless the table is rectangular, at least 2 × 2, and holds counts, one of them above 0. */
function marginsOf(table: readonly (readonly number[])[]): {
  rows: number[];
  columns: number[];
  total: number;
} {
  const rectangular =
    Array.isArray(table) &&
    table.length >= 2 &&
    table.every((row) => Array.isArray(row) && row.length >= 2 && row.length === table[0]!.length);
  if (!rectangular) throw new ConfigError('table', 'two or more rows of two or more counts', table);
  const rows = table.map(() => 0);
  const columns = table[0]!.map(() => 0);
  for (const [i, row] of table.entries()) {
    for (const [j, count] of row.entries()) {
      checkCount(count, `table[${i}][${j}]`);
      rows[i]! += count;
      columns[j]! += count;
    }
  }
  const total = rows.reduce((sum, row) => sum + row, 0);
  if (total === 0) throw tooFewSamples('table', 1, 0);
  return { rows, columns, total };
}
