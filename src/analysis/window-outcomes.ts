/** Outcomes of windows: each is summed up pane by pane, and its panes are added up for every window. */
import type { OrderedRows } from '../readers/ordered.js';
import type { RowSource } from '../readers/rows.js';
import { PairMoments } from '../stats/ratio.js';
import type { Question } from './compare/outcomes.js';
import { ALPHA, isRateOf, meanInterval, quantileEnds, rateMetrics, ratioMetrics } from './outcome-metrics.js';
import { type PaneKernels, PaneValues } from './pane-values.js';
import { numberReader, type ReadNumber, TableCursor } from './row-values.js';
import type { OutcomeMetrics, WindowOutcome } from './types.js';

type NamedQuantiles = readonly (readonly [name: string, p: number])[];

/** One outcome, pane by pane. */
interface PaneOutcome {
  begin(): void;
  add(cursor: TableCursor): void;
  end(): void;
  drop(panes: number): void;
  result(): WindowOutcome;
}

export class WindowOutcomes {
  readonly #cursor: TableCursor;
  readonly #outcomes: readonly (readonly [name: string, outcome: PaneOutcome])[];

  constructor(
    source: RowSource,
    questions: readonly Question[],
    quantiles: NamedQuantiles,
    tools: PaneKernels,
  ) {
    this.#cursor = new TableCursor(source);
    this.#outcomes = questions.map((question) => [
      question.name,
      outcomeOf(source, question, quantiles, tools),
    ]);
  }

  begin(): void {
    for (const [, outcome] of this.#outcomes) outcome.begin();
  }

  add({ table, rows, events }: OrderedRows, i: number): void {
    this.#cursor.move(table, rows[i], events?.[i]);
    for (const [, outcome] of this.#outcomes) outcome.add(this.#cursor);
  }

  end(): void {
    for (const [, outcome] of this.#outcomes) outcome.end();
  }

  drop(panes: number): void {
    for (const [, outcome] of this.#outcomes) outcome.drop(panes);
  }

  result(): Record<string, WindowOutcome> {
    return Object.fromEntries(this.#outcomes.map(([name, outcome]) => [name, outcome.result()]));
  }
}

function outcomeOf(
  source: RowSource,
  question: Question,
  quantiles: NamedQuantiles,
  tools: PaneKernels,
): PaneOutcome {
  const { of, per } = question;
  if (per !== null) {
    const [above, below] = [numberReader(source, of), numberReader(source, per)];
    return new SummedOutcome(
      () => new PairMoments(),
      (pane, cursor) => {
        const [value, base] = [above(cursor), below(cursor)];
        if (!Number.isNaN(value) && !Number.isNaN(base)) pane.push(value, base);
      },
      (sums) => ratioMetrics(question, per, sums.result(), ALPHA),
    );
  }
  const read = numberReader(source, of);
  if (!isRateOf(source, question)) return new ValuesOutcome(question, read, quantiles, tools);
  return new SummedOutcome(
    () => new Counts(),
    (pane, cursor) => pane.push(read(cursor)),
    ({ n, successes }) => rateMetrics(question, n, successes, ALPHA),
  );
}

class Counts {
  n = 0;
  successes = 0;

  /** NaN for none. */
  push(value: number): void {
    if (Number.isNaN(value)) return;
    this.n++;
    if (value !== 0) this.successes++;
  }

  merge({ n, successes }: Counts): void {
    this.n += n;
    this.successes += successes;
  }
}

/** What sums suffice for. */
class SummedOutcome<T extends { merge(other: T): void }> implements PaneOutcome {
  readonly #panes: T[] = [];
  readonly #nothing: () => T;
  readonly #push: (pane: T, cursor: TableCursor) => void;
  readonly #metrics: (sums: T) => OutcomeMetrics;

  constructor(
    nothing: () => T,
    push: (pane: T, cursor: TableCursor) => void,
    metrics: (sums: T) => OutcomeMetrics,
  ) {
    this.#nothing = nothing;
    this.#push = push;
    this.#metrics = metrics;
  }

  begin(): void {
    this.#panes.push(this.#nothing());
  }

  add(cursor: TableCursor): void {
    this.#push(this.#panes[this.#panes.length - 1], cursor);
  }

  end(): void {}

  drop(panes: number): void {
    this.#panes.splice(0, panes);
  }

  result(): WindowOutcome {
    const all = this.#nothing();
    for (const pane of this.#panes) all.merge(pane);
    return { ...this.#metrics(all) };
  }
}

/** A mean or a quantile. */
class ValuesOutcome implements PaneOutcome {
  readonly #question: Question;
  readonly #read: ReadNumber;
  readonly #quantiles: NamedQuantiles;
  readonly #values: PaneValues;

  constructor(question: Question, read: ReadNumber, quantiles: NamedQuantiles, tools: PaneKernels) {
    this.#question = question;
    this.#read = read;
    this.#quantiles = quantiles;
    this.#values = new PaneValues(tools);
  }

  begin(): void {
    this.#values.begin();
  }

  add(cursor: TableCursor): void {
    const value = this.#read(cursor);
    if (!Number.isNaN(value)) this.#values.push(value);
  }

  end(): void {
    this.#values.end();
  }

  drop(panes: number): void {
    this.#values.drop(panes);
  }

  result(): WindowOutcome {
    const { of, summary } = this.#question;
    const p = typeof summary === 'object' ? summary.quantile : null;
    const common = { of, kind: p === null ? ('mean' as const) : ('quantile' as const) };
    const moments = this.#values.moments();
    const { count, mean, stdDev, min, max } = moments;
    if (mean === null || min === null || max === null) {
      return { ...common, n: 0, estimate: null, confidenceInterval: null };
    }
    const own = p === null ? [] : quantileEnds(p, count, ALPHA);
    const asked = this.#quantiles.map(([, quantile]) => quantile);
    const found = this.#values.quantiles([...asked, ...own], moments);
    const [quantile, low, high] = found.slice(asked.length);
    return {
      ...common,
      n: count,
      estimate: p === null ? mean : quantile,
      confidenceInterval:
        p === null
          ? meanInterval({ count, mean, stdDev }, ALPHA)
          : low === undefined || high === undefined
            ? null
            : [low, high],
      mean,
      stdDev,
      min,
      max,
      ...Object.fromEntries(this.#quantiles.map(([name], i) => [name, found[i]])),
    };
  }
}
