/** Windows over time: selections of recent events, and metrics per tumbling or hopping window. */
import { checkOptions } from '../check-options.js';
import { ConfigError } from '../errors.js';
import { type Kernels, kernelsOfThread } from '../kernels/kernels.js';
import { type OrderedRows, type OrderOptions, orderedRows } from '../readers/ordered.js';
import type { View } from '../readers/source.js';
import { timeUsOf } from '../ring/batch.js';
import { resolveQuestions } from './compare/outcomes.js';
import { questionsFor } from './metrics.js';
import { Panes } from './panes.js';
import type { MetricName, Outcome, WindowRow } from './types.js';

export type WindowSpec =
  | { last: number; unit: 'seconds' | 'minutes' | 'hours'; now?: number }
  | { lastN: number }
  | { range: readonly [number, number] };

const WINDOWS: readonly (readonly [string, ...string[]])[] = [['lastN'], ['range'], ['last', 'unit', 'now']];
const UNIT_US: Readonly<Record<string, number>> = { seconds: 1e6, minutes: 60e6, hours: 3600e6 };

/**
 * The inclusive time range of a window, or how many events it holds; null when it holds none.
 * @throws ConfigError on an unknown unit or a value of the wrong type
 */
export function resolveWindow(
  spec: WindowSpec,
  nowUs: number,
): { range: readonly [number, number] } | { lastN: number } | null {
  const expectNumber = (path: string, value: unknown) => {
    if (typeof value !== 'number' || Number.isNaN(value)) throw new ConfigError(path, 'a number', value);
    return value;
  };
  if (typeof spec !== 'object' || spec === null) throw new ConfigError('window', 'a window', spec);
  const form = WINDOWS.find(([own]) => own in spec);
  if (form !== undefined) checkOptions(spec, form, 'window');
  if ('lastN' in spec) {
    const lastN = Math.floor(expectNumber('window.lastN', spec.lastN));
    return lastN <= 0 ? null : { lastN };
  }
  if ('range' in spec) {
    if (!Array.isArray(spec.range) || spec.range.length !== 2) {
      throw new ConfigError('window.range', 'two numbers of microseconds', spec.range);
    }
    const [from, to] = spec.range.map((us) => expectNumber('window.range', us));
    return from > to ? null : { range: [from, to] };
  }
  if (!('last' in spec)) throw new ConfigError('window', '{last, unit}, {lastN} or {range}', spec);
  const last = expectNumber('window.last', spec.last);
  const unitUs = Object.hasOwn(UNIT_US, spec.unit) ? UNIT_US[spec.unit] : undefined;
  if (unitUs === undefined) throw new ConfigError('window.unit', 'seconds, minutes or hours', spec.unit);
  const now = spec.now === undefined ? nowUs : expectNumber('window.now', spec.now);
  return last <= 0 ? null : { range: [now - last * unitUs, now] };
}

export interface WindowedOptions {
  sizeUs: number;
  stepUs: number;
  /** Where window 0 begins: at the first event (default) or at the epoch. */
  align?: 'first' | 'epoch';
  /** Of latencies, and of outcomes that are means or quantiles; default 0.5, 0.95 and 0.99. */
  quantiles?: readonly number[];
  /** Outcomes that are wanted besides, as in `metrics`. */
  of?: readonly (MetricName | Outcome)[];
}

/** `filter` is the caller's, who has taken it out, or will. */
const WINDOWED = ['sizeUs', 'stepUs', 'align', 'quantiles', 'of', 'filter'];
const DEFAULT_QUANTILES = [0.5, 0.95, 0.99];

/** @throws ConfigError */
export function checkWindowed(options: WindowedOptions): void {
  checkOptions(options, WINDOWED);
  const { sizeUs, stepUs, align, quantiles, of } = options;
  for (const [path, value] of [
    ['sizeUs', sizeUs],
    ['stepUs', stepUs],
  ] as const) {
    if (!(typeof value === 'number' && Number.isFinite(value) && value > 0)) {
      throw new ConfigError(path, 'a number of microseconds above 0', value);
    }
  }
  if (align !== undefined && align !== 'first' && align !== 'epoch') {
    throw new ConfigError('align', "'first' or 'epoch'", align);
  }
  if (quantiles !== undefined && !Array.isArray(quantiles)) {
    throw new ConfigError('quantiles', 'an array of numbers from 0 to 1', quantiles);
  }
  for (const p of quantiles ?? []) {
    if (!(typeof p === 'number' && p >= 0 && p <= 1))
      throw new ConfigError('quantiles', 'numbers from 0 to 1', p);
  }
  if (of !== undefined) resolveQuestions(of);
}

/**
 * Metrics per window [origin + k·step, + size), half-open, for every window that holds an event.
 *
 * Every event lies in at least one window: the last window is the one that begins at or before the last event.
 * With step > size events between windows are in none, as asked for.
 *
 * Latencies of the rows that open windows share, and the values of each outcome that is a mean or a quantile, are held
 * in the kernels' memory, 8 bytes each; everything else is summed up as it comes.
 *
 * A score of a sample or session, which several rows share, is of the first of them in time.
 *
 * @throws AnalysisError ERR_OUT_OF_MEMORY where more values lie in one window than the kernels' memory has room for, about 40 million
 * @throws ConfigError naming what is wrong with an outcome
 */
export async function windowedMetrics(
  view: View,
  options: WindowedOptions,
  kernels: Kernels = kernelsOfThread(),
  order?: OrderOptions,
): Promise<WindowRow[]> {
  checkWindowed(options);
  const questions = questionsFor(view.source, options);
  return kernels.exclusively(async () => {
    const { quantiles = DEFAULT_QUANTILES } = options;
    const sweep = new WindowSweep(options, new Panes(view.source, questions, quantiles, kernels));
    for await (const rows of orderedRows(view, order)) sweep.add(rows);
    return sweep.finish();
  });
}

/** Goes over rows ascending by time; holds panes from the start of the next window on. */
class WindowSweep {
  private readonly sizeUs: number;
  private readonly stepUs: number;
  private readonly fromFirst: boolean;
  private readonly open: Panes;
  private readonly done: WindowRow[] = [];
  private originUs = 0;
  /** Number of the next window; NaN before the first row, and infinite when there can be no more. */
  private next = Number.NaN;
  private firstWindow = 0;
  private lastUs = 0;
  /** The first window that begins after the last row. */
  private begins = 0;
  /** When the next window begins, and when it ends or another begins. */
  private nextUs = Number.NEGATIVE_INFINITY;
  private dueUs = Number.NEGATIVE_INFINITY;

  constructor({ sizeUs, stepUs, align = 'first' }: WindowedOptions, open: Panes) {
    this.sizeUs = sizeUs;
    this.stepUs = stepUs;
    this.open = open;
    this.fromFirst = align === 'first';
  }

  add(ordered: OrderedRows): void {
    const { table, rows } = ordered;
    for (let i = 0; i < rows.length; i++) {
      const timeUs = timeUsOf(table, rows[i]);
      if (!(timeUs < this.dueUs)) this.turn(timeUs);
      if (timeUs >= this.nextUs) this.open.add(timeUs, ordered, i);
      this.lastUs = timeUs;
    }
  }

  finish(): WindowRow[] {
    if (Number.isNaN(this.next)) return [];
    const { lastUs, originUs, sizeUs, stepUs } = this;
    // The reference's rule for hopping windows, start + size ≤ last + step, extended until the last event is in.
    const complete = Math.floor((lastUs + stepUs - sizeUs - originUs) / stepUs);
    const covering = Math.ceil((lastUs - originUs - sizeUs + 1) / stepUs);
    this.close(Number.POSITIVE_INFINITY, Math.max(complete, covering, this.firstWindow));
    return this.done;
  }

  private begin(firstUs: number): void {
    if (this.fromFirst) this.originUs = firstUs;
    // The earliest window that reaches the first event.
    else this.firstWindow = Math.floor((firstUs - this.sizeUs) / this.stepUs) + 1;
    this.next = this.firstWindow;
    this.begins = this.firstWindow;
  }

  /** Something ends or begins by this time. */
  private turn(timeUs: number): void {
    if (Number.isNaN(this.next)) this.begin(timeUs);
    // Windows that end by now are whole. None of them is beyond the last: they end by the last event.
    this.close(timeUs, Number.POSITIVE_INFINITY);
    if (timeUs >= this.startOf(this.begins)) this.cut(timeUs);
    this.nextUs = this.startOf(this.next);
    this.dueUs = Math.min(this.nextUs + this.sizeUs, this.startOf(this.begins));
  }

  private startOf(window: number): number {
    return this.originUs + window * this.stepUs;
  }

  /** A window begins between the last row and this one: no pane may reach across. */
  private cut(timeUs: number): void {
    this.open.cut();
    // Over a gap at once, then to the very one.
    this.begins = Math.max(this.begins, Math.floor((timeUs - this.originUs) / this.stepUs) - 1);
    while (this.startOf(this.begins) <= timeUs) {
      const after = this.begins + 1;
      this.begins = after > this.begins ? after : Number.POSITIVE_INFINITY;
    }
  }

  /** Works out the windows that end by `untilUs`, up to number `lastWindow`. All rows held lie before their ends. */
  private close(untilUs: number, lastWindow: number): void {
    const { originUs, sizeUs, stepUs, open } = this;
    for (; this.next <= lastWindow; this.next++) {
      const windowStart = this.startOf(this.next);
      const windowEnd = windowStart + sizeUs;
      // So far from the origin that windows have no width in a double: there are no more.
      if (windowEnd <= windowStart || this.next + 1 === this.next) this.next = Number.POSITIVE_INFINITY;
      if (windowEnd > untilUs || this.next === Number.POSITIVE_INFINITY) return;
      open.dropBefore(windowStart);
      if (open.isEmpty) return;
      const firstUs = open.firstUs;
      // A gap: go on with the first window that reaches the next event.
      if (firstUs >= windowEnd) {
        this.next = Math.max(this.next, Math.floor((firstUs - originUs - sizeUs) / stepUs));
      } else {
        this.done.push(open.summary(windowStart, windowEnd));
      }
    }
  }
}
