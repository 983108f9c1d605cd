/** Outcomes of one experiment: estimates with their intervals, and how the values are distributed. */
import { FLAG_BLOB, FLAG_DECLARED, TAG_BINDING_MASK } from '../../assembly/layout.js';
import type { ColumnSummary, ExactColumn, ExactColumns } from '../kernels/exact-column.js';
import type { Kernels } from '../kernels/kernels.js';
import type { Matches } from '../readers/matches.js';
import type { RowSource } from '../readers/rows.js';
import { studentUpperQuantile } from '../stats/distributions.js';
import { normalQuantile } from '../stats/normal.js';
import type { Interval } from '../stats/options.js';
import { intervalRanks } from '../stats/order-statistics.js';
import { wilsonInterval } from '../stats/proportions.js';
import { PairMoments, type RatioSums, ratioEstimate } from '../stats/ratio.js';
import type { Question } from './compare/outcomes.js';
import type { StagedBatch } from './metrics.js';
import { isFlag, numberReader, type ReadNumber, RowCursor } from './row-values.js';
import type { OutcomeMetrics } from './types.js';

/** Intervals are of 95 %. */
export const ALPHA = 0.05;

const QUANTILES = [0.5, 0.9, 0.95, 0.99, 0.999];

/** One outcome, as rows come. */
interface Collected {
  add(matches: Matches, staged: StagedBatch): void;
  result(): OutcomeMetrics;
}

/** Collects the rows of one group; they must be given to it as often as the columns want them. */
export class OutcomesCollector {
  readonly #outcomes: readonly (readonly [name: string, Collected])[];

  /** @param alpha - intervals are of 1 − alpha */
  constructor(source: RowSource, columns: ExactColumns, questions: readonly Question[], alpha: number) {
    this.#outcomes = questions.map((question) => [
      question.name,
      collectedOf(source, columns, question, alpha),
    ]);
  }

  add(matches: Matches, staged: StagedBatch): void {
    for (const [, outcome] of this.#outcomes) outcome.add(matches, staged);
  }

  result(): Record<string, OutcomeMetrics> {
    return Object.fromEntries(this.#outcomes.map(([name, outcome]) => [name, outcome.result()]));
  }
}

function collectedOf(source: RowSource, columns: ExactColumns, question: Question, alpha: number): Collected {
  if (question.per !== null) return new RatioOutcome(source, columns, question, question.per, alpha);
  return isRateOf(source, question)
    ? new RateOutcome(source, columns, question, alpha)
    : new ValuesOutcome(source, columns, question, alpha);
}

/** Whether the outcome is how often something holds. */
export function isRateOf(source: RowSource, { of, summary }: Question): boolean {
  return typeof summary !== 'object' && (summary === 'rate' || isFlag(source, of));
}

export function ratioMetrics({ of }: Question, per: string, sums: RatioSums, alpha: number): OutcomeMetrics {
  const { estimate, standardError } = ratioEstimate(sums);
  const margin = standardError === null ? null : -normalQuantile(alpha / 2) * standardError;
  return {
    of,
    per,
    kind: 'ratio',
    n: sums.n,
    estimate,
    confidenceInterval: estimate === null || margin === null ? null : [estimate - margin, estimate + margin],
  };
}

export function rateMetrics({ of }: Question, n: number, successes: number, alpha: number): OutcomeMetrics {
  return {
    of,
    kind: 'rate',
    n,
    estimate: n === 0 ? null : successes / n,
    confidenceInterval: n === 0 ? null : wilsonInterval(successes, n, 1 - alpha).confidenceInterval,
    successes,
  };
}

class RatioOutcome implements Collected {
  readonly #question: Question;
  readonly #per: string;
  readonly #alpha: number;
  readonly #columns: ExactColumns;
  readonly #cursor: RowCursor;
  readonly #above: ReadNumber;
  readonly #below: ReadNumber;
  readonly #sums = new PairMoments();

  constructor(source: RowSource, columns: ExactColumns, question: Question, per: string, alpha: number) {
    this.#question = question;
    this.#per = per;
    this.#alpha = alpha;
    this.#columns = columns;
    this.#cursor = new RowCursor(source);
    this.#above = numberReader(source, question.of);
    this.#below = numberReader(source, per);
  }

  add({ batch, rows, events }: Matches): void {
    if (this.#columns.pass > 1) return;
    const cursor = this.#cursor;
    for (let i = 0; i < rows.length; i++) {
      cursor.move(batch, rows[i], events?.[i]);
      const [above, below] = [this.#above(cursor), this.#below(cursor)];
      if (!Number.isNaN(above) && !Number.isNaN(below)) this.#sums.push(above, below);
    }
  }

  result(): OutcomeMetrics {
    return ratioMetrics(this.#question, this.#per, this.#sums.result(), this.#alpha);
  }
}

class RateOutcome implements Collected {
  readonly #question: Question;
  readonly #alpha: number;
  readonly #columns: ExactColumns;
  readonly #cursor: RowCursor;
  readonly #read: ReadNumber;
  #n = 0;
  #successes = 0;

  constructor(source: RowSource, columns: ExactColumns, question: Question, alpha: number) {
    this.#question = question;
    this.#alpha = alpha;
    this.#columns = columns;
    this.#cursor = new RowCursor(source);
    this.#read = numberReader(source, question.of);
  }

  add({ batch, rows, events }: Matches): void {
    if (this.#columns.pass > 1) return;
    for (let i = 0; i < rows.length; i++) {
      this.#cursor.move(batch, rows[i], events?.[i]);
      const value = this.#read(this.#cursor);
      if (Number.isNaN(value)) continue;
      this.#n++;
      if (value !== 0) this.#successes++;
    }
  }

  result(): OutcomeMetrics {
    return rateMetrics(this.#question, this.#n, this.#successes, this.#alpha);
  }
}

/** A mean or a quantile: of either the whole distribution is told. */
class ValuesOutcome implements Collected {
  readonly #question: Question;
  readonly #alpha: number;
  readonly #column: ExactColumn;
  readonly #values: RowValues;

  constructor(source: RowSource, columns: ExactColumns, question: Question, alpha: number) {
    const { of, summary } = question;
    this.#question = question;
    this.#alpha = alpha;
    this.#values = new RowValues(source, of, columns.kernels);
    // The ends of a quantile's interval are values too; of which ranks is known once they have been counted.
    this.#column = columns.column(
      typeof summary === 'object'
        ? (count) => [...QUANTILES, ...quantileEnds(summary.quantile, count, alpha)]
        : QUANTILES,
    );
  }

  add(matches: Matches, staged: StagedBatch): void {
    const count = matches.rows.length;
    const own = this.#values.stagedColumn;
    if (own === null) this.#column.add(this.#values.addressOf(matches), 0, count);
    else this.#column.add(staged[own], staged.rows(matches.rows), count);
  }

  result(): OutcomeMetrics {
    const { of, summary } = this.#question;
    const isQuantile = typeof summary === 'object';
    const common = { of, kind: isQuantile ? ('quantile' as const) : ('mean' as const) };
    const found = this.#column.result();
    if (found === undefined) return { ...common, n: 0, estimate: null, confidenceInterval: null };
    const { count, quantiles, stdDevPopulation: _, ...moments } = found;
    const [p50, p90, p95, p99, p999, estimate] = quantiles;
    return {
      ...common,
      n: count,
      estimate: isQuantile ? estimate : found.mean,
      confidenceInterval: isQuantile ? this.#quantileInterval(found) : meanInterval(found, this.#alpha),
      ...moments,
      p50,
      p90,
      p95,
      p99,
      p999,
    };
  }

  #quantileInterval({ quantiles }: ColumnSummary): Interval | null {
    const [, low, high] = quantiles.slice(QUANTILES.length);
    return low === undefined || high === undefined ? null : [low, high];
  }
}

/** The quantile, and where the ends of its interval are; the quantile alone where too few values bound it. */
export function quantileEnds(p: number, count: number, alpha: number): number[] {
  const ranks = intervalRanks(count, p, alpha);
  return ranks === null ? [p] : [p, ...ranks.map((rank) => (rank - 1) / (count - 1))];
}

export function meanInterval(
  { count, mean, stdDev }: Pick<ColumnSummary, 'count' | 'mean' | 'stdDev'>,
  alpha: number,
): Interval | null {
  if (stdDev === null) return null;
  const margin = (stdDev / Math.sqrt(count)) * studentUpperQuantile(alpha / 2, count - 1);
  return Number.isFinite(margin) ? [mean - margin, mean + margin] : null;
}

/** Values of rows side by side in the kernels' memory, where they are not already. */
class RowValues {
  /** Where the kernels have them as they are. */
  readonly stagedColumn: 'latencyMs' | 'costUsd' | null;
  readonly #kernels: Kernels;
  readonly #cursor: RowCursor;
  readonly #read: ReadNumber;
  /** Index of a declared column of numbers; -1 where the reader has to be asked. */
  readonly #column: number;
  /** What bindings bring, NaN for none; undefined before anybody looked. */
  readonly #bound: (number | undefined)[] = [];
  #address = 0;
  #room = 0;

  constructor(source: RowSource, of: string, kernels: Kernels) {
    this.stagedColumn = of === 'latencyMs' || of === 'costUsd' ? of : null;
    this.#kernels = kernels;
    this.#cursor = new RowCursor(source);
    this.#read = numberReader(source, of);
    const column = source.columns.findIndex(({ name }) => name === of);
    const type = source.columns[column]?.type;
    this.#column = type === 'f64' || type === 'i32' || type === 'u32' ? column : -1;
  }

  /** Of these rows; until the next call. */
  addressOf({ batch, rows, events }: Matches): number {
    if (rows.length > this.#room) {
      this.#room = Math.max(1024, 2 * rows.length);
      this.#address = this.#kernels.allocate(8 * this.#room);
    }
    const at = this.#address >> 3;
    const { f64 } = this.#kernels;
    const isPlain = this.#column >= 0 && !batch.shared?.[this.#column];
    const declared = isPlain ? batch.declared[this.#column] : null;
    const { tags } = batch;
    for (let i = 0; i < rows.length; i++) {
      const row = rows[i];
      if (declared !== null) {
        const tag = tags[row];
        const value = (tag & FLAG_DECLARED) !== 0 ? declared[row] : Number.NaN;
        const isWhole = !Number.isNaN(value) || (tag & FLAG_BLOB) !== 0;
        f64[at + i] = isWhole ? value : this.#boundValue(tag & TAG_BINDING_MASK, batch, row);
        continue;
      }
      this.#cursor.move(batch, row, events?.[i]);
      f64[at + i] = this.#read(this.#cursor);
    }
    return this.#address;
  }

  #boundValue(id: number, batch: Matches['batch'], row: number): number {
    const known = this.#bound[id];
    if (known !== undefined) return known;
    this.#cursor.move(batch, row, undefined);
    const value = this.#read(this.#cursor);
    this.#bound[id] = value;
    return value;
  }
}
