/**
 * What analysis can be asked for, and how it is done: the same code on a worker thread and, for little, on the
 * calling one. Tasks carry specifications and never events; rows come back as columns.
 */
import { type GatherOptions, gatherArm } from '../analysis/arm-samples.js';
import { compareArms } from '../analysis/compare/compare.js';
import type { ArmSamples } from '../analysis/compare/samples.js';
import { chooseKind } from '../analysis/kinds.js';
import { type ExperimentTimes, type MetricsOptions, metricsBy, metricsOf } from '../analysis/metrics.js';
import type {
  ArmLosses,
  CompareOptions,
  Comparison,
  Metrics,
  MetricsGroup,
  WindowRow,
} from '../analysis/types.js';
import { type WindowedOptions, windowedMetrics } from '../analysis/windows.js';
import {
  type ExportProgress,
  type ExportResult,
  exportChunks,
  exportFile,
  type FileExportOptions,
} from '../export/index.js';
import { kernelsOfThread } from '../kernels/kernels.js';
import { both, compileFilter, ofEvents, within } from '../readers/filter.js';
import type { SnapshotLimit } from '../readers/limit.js';
import { orderedRows } from '../readers/ordered.js';
import type { PackedRows } from '../readers/row-table.js';
import { type ScoreColumn, scoredStore } from '../readers/scored.js';
import { openView, type RowStore, type View } from '../readers/source.js';
import { type UnitedAbout, unitedView } from '../readers/united.js';
import type { Filter } from '../schema/event.js';

/** Where in the order of time and capture a read stopped. */
export interface Cursor {
  readonly timeUs: number;
  readonly sequence: number;
}

/** What is asked of the rows of one experiment. */
export type ReadTask =
  | { readonly kind: 'metrics'; readonly times: ExperimentTimes; readonly options?: MetricsOptions }
  | {
      readonly kind: 'metricsBy';
      readonly key: string;
      readonly times: ExperimentTimes;
      readonly options?: MetricsOptions;
    }
  | { readonly kind: 'windows'; readonly options: WindowedOptions }
  /** Rows ascending by time that come after `after`, until they are as many as given or a few more. */
  | { readonly kind: 'rows'; readonly after: Cursor | null; readonly most: RowsAtOnce }
  /** The last so many rows, ascending. */
  | { readonly kind: 'last'; readonly count: number };

/** How much is handed over together. */
export interface RowsAtOnce {
  readonly rows: number;
  /** Without a column. */
  readonly bytes: number;
}

/** An arm of a comparison: an experiment, or several that are read as one. */
export interface ComparedArm {
  readonly times: ExperimentTimes;
  readonly gather: GatherOptions;
  /** As counted when it was asked; what reading finds damaged besides is added. */
  readonly lost: ArmLosses;
  /** What several are called together; absent where the arm is one experiment. */
  readonly united?: UnitedAbout & { readonly experiments: number };
}

/** What is asked of the rows of several experiments, the baseline's first. */
export interface CompareTask {
  readonly kind: 'compare';
  /** Beside the rows: those of an arm's experiments follow each other. */
  readonly arms: readonly ComparedArm[];
  readonly options: CompareOptions;
}

/** What is written of the rows of one or more experiments; of several ascending by time, ties in the order given. */
export interface ExportTask {
  readonly kind: 'export';
  readonly format: string;
  readonly options: FileExportOptions;
}

/** One experiment's rows, where they are read. */
export interface SelectedRows {
  readonly store: RowStore;
  readonly selection: Selection;
}

export interface RowsResult {
  readonly parts: readonly PackedRows[];
  /** Where to go on; null when there is nothing more. */
  readonly next: Cursor | null;
}

interface TaskResults {
  metrics: Metrics;
  metricsBy: MetricsGroup[];
  windows: WindowRow[];
  rows: RowsResult;
  last: RowsResult;
  compare: Comparison;
  export: ExportResult;
}

export type Task = ReadTask | CompareTask | ExportTask;

export type ResultOf<T extends Task> = TaskResults[T['kind']];

/** Which rows: those that pass the filter, of a time range (µs, both ends inclusive) or of all time, up to the limit. */
export interface Selection {
  readonly filter: Filter | undefined;
  readonly range: readonly [number, number] | null;
  readonly limit: SnapshotLimit;
  /** What is joined to the rows. */
  readonly scores: readonly ScoreColumn[];
}

/**
 * Does a task.
 * @param parts - what it is about, experiment by experiment; of a read there is one
 * @throws ConfigError for an invalid filter, or a key that nothing can be grouped by; what exportFile and compareArms throw
 */
export async function perform<T extends Task>(
  parts: readonly SelectedRows[],
  task: T,
  onProgress: (progress: ExportProgress) => void = () => {},
): Promise<ResultOf<T>> {
  return (await performed(parts, task, onProgress)) as ResultOf<T>;
}

function performed(
  parts: readonly SelectedRows[],
  task: Task,
  onProgress: (progress: ExportProgress) => void,
): Promise<TaskResults[Task['kind']]> {
  switch (task.kind) {
    case 'metrics':
      return metricsOf(viewOf(parts[0]), task.times, kernelsOfThread(), task.options);
    case 'metricsBy':
      return metricsBy(viewOf(parts[0]), task.key, task.times, kernelsOfThread(), task.options);
    case 'windows':
      return windowedMetrics(viewOf(parts[0]), task.options, kernelsOfThread());
    case 'rows':
      return rowsAfter(viewOf(parts[0]), task.after, task.most);
    case 'last':
      return lastRows(viewOf(parts[0]), task.count);
    case 'compare':
      return compared(parts, task);
    case 'export': {
      const views = parts.map((rows) => viewOf(rows));
      return exportFile(views, task.format, task.options, onProgress);
    }
  }
}

/**
 * The rows of what an export would write, as a stream has them. Nothing happens before the first chunk is asked for.
 * @param signal - ends it with its reason
 * @throws as exportChunks
 */
export async function* exportedChunks(
  parts: readonly SelectedRows[],
  { format, options }: ExportTask,
  signal: AbortSignal,
): AsyncGenerator<Uint8Array> {
  const views = parts.map((rows) => viewOf(rows, signal));
  yield* exportChunks(views, format, options);
}

function viewOf({ store, selection }: SelectedRows, signal?: AbortSignal): View {
  const { filter, range, limit, scores } = selection;
  const scored = scoredStore(store, scores);
  const compiled = compileFilter(filter, scored.source);
  return openView(scored, range === null ? compiled : within(compiled, ...range), limit, signal);
}

/** Holds the values of all arms, and of their rows a batch at a time. */
async function compared(parts: readonly SelectedRows[], { arms, options }: CompareTask): Promise<Comparison> {
  const views = armViews(parts, arms);
  const samples: ArmSamples[] = [];
  for (const [i, view] of views.entries()) samples.push(await gathered(view, arms[i]));
  const kind = chooseKind(
    samples.map(({ metrics }) => metrics.summary.eventTypes),
    options.event,
  );
  for (const [i, view] of views.entries()) {
    const { metrics } = samples[i];
    const { names } = kind;
    // Most often all events are of the kind, and there is nothing to be gathered again.
    if (names === null || Object.keys(metrics.summary.eventTypes).every((name) => names.has(name))) continue;
    samples[i] = {
      ...(await gathered({ ...view, filter: ofEvents(view.filter, names) }, arms[i])),
      allMetrics: metrics,
    };
  }
  const segments: Record<string, ArmSamples[]> = {};
  for (const [name, filter] of Object.entries(options.segments ?? {})) {
    segments[name] = [];
    for (const [i, view] of views.entries()) {
      const part = both(view.filter, compileFilter(filter, view.source));
      const filtered = kind.names === null ? part : ofEvents(part, kind.names);
      segments[name].push(await gathered({ ...view, filter: filtered }, arms[i]));
    }
  }
  return compareArms(samples, options, kind, segments);
}

function armViews(parts: readonly SelectedRows[], arms: readonly ComparedArm[]): View[] {
  let next = 0;
  return arms.map(({ united }) => {
    if (united === undefined) return viewOf(parts[next++]);
    const { experiments, ...about } = united;
    const own = parts.slice(next, next + experiments);
    next += experiments;
    const stores = own.map(({ store, selection: { limit, scores } }) => ({
      store: scoredStore(store, scores),
      limit,
    }));
    const { filter, range } = own[0]?.selection ?? { filter: undefined, range: null };
    return unitedView(stores, about, filter, range);
  });
}

async function gathered(view: View, { times, gather, lost }: ComparedArm): Promise<ArmSamples> {
  const samples = await gatherArm(view, times, gather, kernelsOfThread());
  const found = Math.max(0, (view.damage?.rows ?? 0) - lost.damaged);
  return { ...samples, lost: { dropped: lost.dropped + found, damaged: lost.damaged + found } };
}

async function rowsAfter(view: View, after: Cursor | null, most: RowsAtOnce): Promise<RowsResult> {
  const parts: PackedRows[] = [];
  let count = 0;
  let bytes = 0;
  const rest =
    after === null ? view : { ...view, filter: within(view.filter, after.timeUs, Number.POSITIVE_INFINITY) };
  for await (const { table, rows } of orderedRows(rest)) {
    const fresh = after === null ? rows : table.after(rows, after.timeUs, after.sequence);
    if (fresh.length === 0) continue;
    const packed = table.pack(fresh);
    parts.push(packed);
    count += packed.rows;
    bytes += packed.blob.length;
    if (count >= most.rows || bytes >= most.bytes) return { parts, next: endOf(packed) };
  }
  return { parts, next: null };
}

async function lastRows(view: View, count: number): Promise<RowsResult> {
  const parts: PackedRows[] = [];
  let missing = count;
  for await (const { table, rows } of orderedRows(view, { latestFirst: true })) {
    const packed = table.pack(rows.subarray(Math.max(0, rows.length - missing)));
    parts.push(packed);
    missing -= packed.rows;
    if (missing <= 0) break;
  }
  return { parts: parts.reverse(), next: null };
}

function endOf({ rows, timeUs, sequences }: PackedRows): Cursor {
  return { timeUs: Math.floor(timeUs[rows - 1]), sequence: sequences[rows - 1] };
}
