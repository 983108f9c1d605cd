/** Follower: reads what is new of one experiment, again and again, and has what its page shows. */
import {
  CHUNK_ROWS,
  FLAG_DECLARED,
  FLAG_FAILED,
  FLAG_SUCCEEDED,
  TAG_BINDING_MASK,
} from '../../assembly/layout.js';
import { countByKind, kindOf } from '../analysis/kinds.js';
import { streamingGroup } from '../analysis/streaming.js';
import type { StreamingGroup } from '../analysis/types.js';
import type { Bin } from '../charts/histogram.js';
import { Pace } from '../pace.js';
import { Tally } from '../ring/accumulators.js';
import { type Batch, isValue, subBatch } from '../ring/batch.js';
import type { Binding } from '../ring/bindings.js';
import { binsOf } from './histogram.js';
import { Series, type SeriesPoint, type SeriesRow } from './series.js';
import type { Subject } from './subject.js';

/** All events, whatever their kind. */
export const ALL_KINDS = 'all';
/** Further kinds have no series of their own. */
const KINDS_MAX = 24;
/** How long rows are read before the server may do something else, ms. */
const WORK_MS = 8;
/** Lines of the table of models. */
const MODELS_MAX = 40;

/** What the page of an experiment shows of its events, of one kind. */
export interface Figures {
  readonly kind: string;
  /** Events by kind. */
  readonly kinds: Readonly<Record<string, number>>;
  /** As `streamingMetrics()` tells it. */
  readonly group: StreamingGroup;
  readonly eventCounts: Readonly<Record<string, number>>;
  readonly latencyBins: readonly Bin[];
  readonly costBins: readonly Bin[];
  readonly models: readonly ModelFigures[];
  /** Rows read so far, of those there are: the series is behind while they differ. */
  readonly rowsRead: number;
  readonly rowsKnown: number;
  /** Rows that were overwritten before they could be read: they are in the sums and not in the series. */
  readonly rowsMissed: number;
  readonly damagedPlaces: number;
}

/** Events of one kind, model and provider. */
export interface ModelFigures {
  readonly kind: string;
  readonly model: string | null;
  readonly provider: string | null;
  readonly group: StreamingGroup;
}

export interface SeriesChange {
  readonly intervalUs: number;
  readonly isWhole: boolean;
  readonly points: readonly SeriesPoint[];
}

export class Follower {
  readonly subject: Subject;
  /** Grows with each look that found something. */
  version = 0;
  /** Rows of each chunk that were read. */
  readonly #read = new Map<number, number>();
  readonly #series = new Map<string, Series>();
  /** The series that rows of a binding go into. */
  readonly #seriesOf: (Series | null)[] = [];
  readonly #all = new Series();
  readonly #ttft: number;
  #rowsRead = 0;
  #rowsKnown = 0;
  #advancing: Promise<void> | undefined;

  constructor(subject: Subject) {
    this.subject = subject;
    this.#ttft = subject.store.source.columns.findIndex(({ name }) => name === 'ttftMs');
  }

  /** Reads what is new. @throws StorageError when the disk fails */
  advance(): Promise<void> {
    this.#advancing ??= this.#advance().finally(() => {
      this.#advancing = undefined;
    });
    return this.#advancing;
  }

  async #advance(): Promise<void> {
    const pace = new Pace(WORK_MS);
    const { refs } = this.subject.store.snapshot(Number.NEGATIVE_INFINITY, Number.POSITIVE_INFINITY);
    const fresh = refs.filter((ref) => {
      const chunk = Math.floor(ref.firstSequence / CHUNK_ROWS);
      return ref.firstSequence - chunk * CHUNK_ROWS + ref.rows > (this.#read.get(chunk) ?? 0);
    });
    if (fresh.length === 0) return;
    this.#rowsKnown = this.#rowsRead + fresh.reduce((sum, { rows }) => sum + rows, 0);
    this.version++;
    for (const ref of fresh) {
      if (pace.isDue) {
        await pace.rest();
        // Whoever looks meanwhile is told of what was read until here.
        this.version++;
      }
      const chunk = Math.floor(ref.firstSequence / CHUNK_ROWS);
      const end = ref.firstSequence - chunk * CHUNK_ROWS + ref.rows;
      const batch = await ref.read();
      const from = Math.max(0, (this.#read.get(chunk) ?? 0) + chunk * CHUNK_ROWS - ref.firstSequence);
      this.#read.set(chunk, end);
      if (batch === undefined || from >= batch.rows) continue;
      this.#take(subBatch(batch, from, batch.rows));
    }
    this.#rowsKnown = this.#rowsRead;
  }

  #take(batch: Batch): void {
    const { rows, timeUs, latencyMs, costUsd, promptTokens, completionTokens, tags, declared } = batch;
    if (this.subject.isFolded) this.subject.fold(batch);
    const ttft = this.#ttft < 0 ? undefined : declared[this.#ttft];
    const row: SeriesRow = { latencyMs: 0, costUsd: 0, tokens: 0, ttftMs: Number.NaN, success: -1 };
    for (let i = 0; i < rows; i++) {
      const tag = tags[i];
      row.latencyMs = isValue(latencyMs[i]) ? latencyMs[i] : Number.NaN;
      row.costUsd = isValue(costUsd[i]) ? costUsd[i] : Number.NaN;
      row.tokens = promptTokens[i] < 0 ? Number.NaN : promptTokens[i] + Math.max(0, completionTokens[i]);
      row.ttftMs = ttft !== undefined && (tag & FLAG_DECLARED) !== 0 ? ttft[i] : Number.NaN;
      row.success = (tag & FLAG_SUCCEEDED) !== 0 ? 1 : (tag & FLAG_FAILED) !== 0 ? 0 : -1;
      this.#all.add(timeUs[i], row, this.version);
      this.#seriesAt(tag & TAG_BINDING_MASK)?.add(timeUs[i], row, this.version);
    }
    this.#rowsRead += rows;
  }

  #seriesAt(binding: number): Series | null {
    const known = this.#seriesOf[binding];
    if (known !== undefined) return known;
    const { event } = this.subject.bindings.binding(binding);
    const kind = kindOf(event) ?? event;
    let series = this.#series.get(kind);
    if (series === undefined && this.#series.size < KINDS_MAX) {
      series = new Series();
      this.#series.set(kind, series);
    }
    this.#seriesOf[binding] = series ?? null;
    return series ?? null;
  }

  #sums(): { byEvent: Map<string, Tally>; total: Tally; byModel: Map<string, Tally> } {
    const { bindings } = this.subject;
    const owners = new Map<number, number[]>();
    for (let id = 1; id < bindings.size; id++) {
      const slot = bindings.slot(id);
      const ids = owners.get(slot);
      if (ids === undefined) owners.set(slot, [id]);
      else ids.push(id);
    }
    const total = new Tally();
    const byEvent = new Map<string, Tally>();
    const byModel = new Map<string, Tally>();
    for (const [slot, tally] of this.subject.tallies()) {
      const ids = slot === 0 ? [] : (owners.get(slot) ?? []);
      const event = ids.length === 0 ? '(other)' : bindings.binding(ids[0]).event;
      total.merge(tally);
      mergeInto(byEvent, event, tally);
      const kind = kindOf(event);
      const models = new Set(ids.map((id) => modelKey(bindings.binding(id))));
      // Where several share a slot, nobody knows whose is what.
      if (kind !== null && models.size === 1) mergeInto(byModel, JSON.stringify([kind, ...models]), tally);
    }
    return { byEvent, total, byModel };
  }

  #eventCounts(byEvent: ReadonlyMap<string, Tally>): Record<string, number> {
    return Object.fromEntries([...byEvent].map(([name, { rows }]) => [name, rows]));
  }

  /** @param kind - of the events; null for the one with most of them */
  figures(asked: string | null): Figures {
    const { byEvent, total, byModel } = this.#sums();
    const eventCounts = this.#eventCounts(byEvent);
    const kinds = Object.fromEntries(countByKind(eventCounts));
    const [most] = Object.entries(kinds).sort(([, a], [, b]) => b - a);
    const kind = asked ?? most?.[0] ?? ALL_KINDS;
    const isOf = (event: string) => kind === ALL_KINDS || event === kind || kindOf(event) === kind;
    let tally = total;
    if (kind !== ALL_KINDS) {
      tally = new Tally();
      for (const [event, other] of byEvent) if (isOf(event)) tally.merge(other);
    }
    return {
      kind,
      kinds,
      group: streamingGroup(tally),
      eventCounts,
      latencyBins: binsOf(tally.latency.sketch),
      costBins: binsOf(tally.cost.sketch),
      models: [...byModel]
        .map(([key, sum]) => ({ ...modelOf(key), group: streamingGroup(sum) }))
        .filter((model) => kind === ALL_KINDS || model.kind === kind || model.kind === kindOf(kind))
        .sort((a, b) => b.group.count - a.group.count)
        .slice(0, MODELS_MAX),
      rowsRead: this.#rowsRead,
      rowsKnown: this.#rowsKnown,
      rowsMissed: this.subject.isFolded
        ? 0
        : Math.max(0, total.rows - Math.max(this.#rowsRead, this.#rowsKnown)),
      damagedPlaces: this.subject.damaged.length,
    };
  }

  /** Intervals of a kind that were changed after a version. */
  series(kind: string, version: number): SeriesChange {
    const series = kind === ALL_KINDS ? this.#all : this.#series.get(kind);
    return series?.since(version) ?? { intervalUs: 0, isWhole: true, points: [] };
  }
}

function mergeInto(sums: Map<string, Tally>, key: string, tally: Tally): void {
  const known = sums.get(key) ?? new Tally();
  known.merge(tally);
  sums.set(key, known);
}

function modelKey({ model, provider }: Binding): string {
  return JSON.stringify([model, provider]);
}

function modelOf(key: string): Omit<ModelFigures, 'group'> {
  const [kind, rest] = JSON.parse(key) as [string, string];
  const [model, provider] = JSON.parse(rest) as [string | null, string | null];
  return { kind, model, provider };
}
