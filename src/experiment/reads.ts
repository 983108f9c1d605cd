/** Reads: what can be asked of an experiment's rows, done on the pool's threads, or here where that is quicker. */
import { ConfigError } from '../errors.js';
import { Pace } from '../pace.js';
import { compileFilter } from '../readers/filter.js';
import type { SnapshotLimit } from '../readers/limit.js';
import { eventsOfPacked } from '../readers/row-table.js';
import type { RowSource } from '../readers/rows.js';
import { type ScoreColumn, scoredSource } from '../readers/scored.js';
import type { RowStore } from '../readers/source.js';
import type { EventRow, Filter } from '../schema/event.js';
import type { DamagedBatch } from '../storage/damage.js';
import type { ExperimentAccess } from '../workers/access.js';
import type { RowsAccess } from '../workers/analysis.worker.js';
import type { AnalysisPool, TaskHooks } from '../workers/pool.js';
import {
  type Cursor,
  perform,
  type ReadTask,
  type ResultOf,
  type RowsAtOnce,
  type RowsResult,
  type SelectedRows,
  type Selection,
  type Task,
} from '../workers/tasks.js';
import type { Stores } from './stores.js';

/** Rows below which it takes longer to ask a thread than to do the work. */
const ROWS_HERE_MAX = { read: 16_384, compare: 4_096, export: 2_048 } as const;
/** What a thread hands over at once. */
const AT_ONCE: RowsAtOnce = { rows: 65_536, bytes: 16 * 1024 * 1024 };
const ALL: RowsAtOnce = { rows: Number.POSITIVE_INFINITY, bytes: Number.POSITIVE_INFINITY };
/** How long events are decoded on the calling thread before it may do something else, ms. */
const DECODE_MS = 2;

/** An experiment as it is just now, with this thread's rows published. */
export interface Readable {
  readonly stores: Stores;
  readonly store: RowStore;
  readonly access: ExperimentAccess;
  /** Whether the ring may reuse chunks whose rows are nowhere else. */
  readonly overwrites: boolean;
  readonly retainedRows: number;
  /** What has been found out about the rows since. */
  readonly scores: readonly ScoreColumn[];
  /** What has been captured. */
  limit(): SnapshotLimit;
  onDamaged(damaged: readonly DamagedBatch[]): void;
  /** Lets go of files that were read after the experiment's `cleanup`. */
  release(): void;
}

/** Rows as of one moment. */
export interface Selected {
  readonly readable: Readable;
  readonly selection: Selection;
}

/** Which rows; `range` in µs, both ends inclusive. */
export interface Wanted {
  readonly filter: Filter | undefined;
  readonly range?: readonly [number, number];
}

export class Reads {
  readonly #pool: AnalysisPool | null;
  readonly #open: () => Readable;

  /** @param pool - null to do everything on the calling thread */
  constructor(pool: AnalysisPool | null, open: () => Readable) {
    this.#pool = pool;
    this.#open = open;
  }

  /** @throws ConfigError for an invalid filter, and what the task throws */
  async run<T extends ReadTask>(task: T, wanted: Wanted): Promise<ResultOf<T>> {
    return this.#run(this.select(wanted), task);
  }

  /** The rows that pass as of when this is called, ascending by time; read as they, and as often as they are asked for. */
  events(wanted: Wanted): () => AsyncGenerator<EventRow> {
    const blocks = this.#blocks(wanted);
    return () => oneByOne(blocks());
  }

  /** The same at once. */
  async all(wanted: Wanted): Promise<EventRow[]> {
    return gathered(this.#blocks(wanted)());
  }

  #blocks(wanted: Wanted): () => AsyncGenerator<EventRow[]> {
    const selected = this.select(wanted);
    const { overwrites } = selected.readable;
    // What a ring that overwrites holds has to be fetched before it is gone.
    const most = overwrites ? ALL : AT_ONCE;
    return () => decoded(sourceOf(selected), (after) => this.#run(selected, { kind: 'rows', after, most }));
  }

  /** The rows that pass as of now, for whoever reads them: what is wrong is told before anything is sent. @throws ConfigError for an invalid filter */
  select(wanted: Wanted): Selected {
    const readable = this.#open();
    compileFilter(wanted.filter, scoredSource(readable.store.source, readable.scores));
    return { readable, selection: selectionNow(readable, wanted) };
  }

  /** The last so many that pass, ascending. */
  async last(count: number, wanted: Wanted): Promise<EventRow[]> {
    const selected = this.select(wanted);
    return gathered(decoded(sourceOf(selected), () => this.#run(selected, { kind: 'last', count })));
  }

  async #run<T extends ReadTask>(selected: Selected, task: T): Promise<ResultOf<T>> {
    return performWhere(this.#pool, [selected], task);
  }
}

/** As the rows are read. */
export function sourceOf({ readable, selection }: Selected): RowSource {
  return scoredSource(readable.stores.source, selection.scores);
}

function selectionNow(readable: Readable, { filter, range }: Wanted): Selection {
  return { filter, range: range ?? null, limit: readable.limit(), scores: readable.scores };
}

/** Events some at a time. Asks for the next rows while those before are being decoded. */
async function* decoded(
  source: RowSource,
  rowsAfter: (cursor: Cursor | null) => Promise<RowsResult>,
): AsyncGenerator<EventRow[]> {
  const pace = new Pace(DECODE_MS);
  for (let pending: Promise<RowsResult> | null = rowsAfter(null); pending !== null; ) {
    const { parts, next }: RowsResult = await pending;
    pending = next === null ? null : rowsAfter(next);
    // Whoever stops reading does not care what becomes of it; whoever goes on is told.
    pending?.catch(() => {});
    for (const packed of parts) {
      if (pace.isDue) await pace.rest();
      yield eventsOfPacked(source, packed);
    }
  }
}

async function* oneByOne(blocks: AsyncIterable<EventRow[]>): AsyncGenerator<EventRow> {
  for await (const events of blocks) {
    // Not yield*, which would wait for each event as if it were a promise.
    for (const event of events) yield event;
  }
}

async function gathered(blocks: AsyncIterable<EventRow[]>): Promise<EventRow[]> {
  const all: EventRow[] = [];
  for await (const events of blocks) for (const event of events) all.push(event);
  return all;
}

/** Does a task on a thread of the pool, or here where that is quicker or cannot be elsewhere. @throws as `perform` and `AnalysisPool.run` */
export function performWhere<T extends Task>(
  pool: AnalysisPool | null,
  parts: readonly Selected[],
  task: T,
  hooks: Omit<TaskHooks, 'onDamaged'> = {},
): Promise<ResultOf<T>> {
  if (pool === null || isForHere(parts, task)) return perform(rowsOf(parts), task, hooks.onProgress);
  return pool.run(accessesOf(parts), task, { ...hooks, onDamaged: damageNoted(parts) });
}

/** Whether the calling thread does it: the rows are few, or a predicate must see them, which cannot be sent. */
export function isForHere(parts: readonly Selected[], task: Task): boolean {
  const rows = parts.reduce((sum, { readable }) => sum + readable.retainedRows, 0);
  const kind = task.kind === 'compare' || task.kind === 'export' ? task.kind : 'read';
  const segments = task.kind === 'compare' ? Object.values(task.options.segments ?? {}) : [];
  const filters = [...parts.map(({ selection }) => selection.filter), ...segments];
  return rows <= ROWS_HERE_MAX[kind] || filters.some((filter) => filter?.predicate !== undefined);
}

/** The rows as this thread reads them. */
export function rowsOf(parts: readonly Selected[]): SelectedRows[] {
  return parts.map(({ readable: { store }, selection }) => ({ store, selection }));
}

/** The rows as another thread is told of them. @throws ConfigError for a filter that it cannot be told */
export function accessesOf(parts: readonly Selected[]): RowsAccess[] {
  return parts.map(({ readable: { access }, selection }) => ({
    access,
    selection: { ...selection, filter: sendable(selection.filter) },
  }));
}

/** Tells all of them what another thread could not read. */
export function damageNoted(parts: readonly Selected[]): Readable['onDamaged'] {
  return (damaged) => {
    for (const { readable } of parts) readable.onDamaged(damaged);
  };
}

/** @throws ConfigError when it holds what no thread can be sent */
function sendable(filter: Filter | undefined): Filter | undefined {
  try {
    return structuredClone(filter);
  } catch {
    throw new ConfigError('filter', 'values that another thread can be sent', filter);
  }
}
