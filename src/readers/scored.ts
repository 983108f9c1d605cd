/**
 * Scored: an experiment's rows with what was found out about them later as further columns, `score.<name>`. To whoever
 * reads them they are declared columns like others.
 *
 * A score is of an event, or of a response, sample or session, which several rows may have; of several that fit a row the
 * most specific counts. Rows that share a score have the same number in `Batch.shared`, so that it is counted once.
 */

import { FLAG_BLOB, FLAG_CORRECTED, FLAG_DECLARED } from '../../assembly/layout.js';
import type { Batch, BatchRef, BatchRoom, DeclaredValues, Zone } from '../ring/batch.js';
import { FALSE, isWordColumn, NONE } from '../row/declared.js';
import { eventIdText } from '../row/event-id.js';
import type { ColumnType } from '../schema/columns.js';
import type { EventRow } from '../schema/event.js';
import { decodeRow, type RowSource } from './rows.js';
import type { RowStore, Snapshot } from './source.js';
import { UnitIds } from './unit-ids.js';

/** What a score is of, the most specific first. */
export const SCORE_KEYS = ['eventId', 'responseId', 'sampleId', 'sessionId'] as const;
export type ScoreKey = (typeof SCORE_KEYS)[number];

/** The scores of one name. Structured-cloneable. */
export interface ScoreColumn {
  /** 'score.quality' */
  readonly name: string;
  /** bool where every score is yes or no, and each by one judge. */
  readonly type: 'f64' | 'bool';
  /** Places in `values`, by what was scored. */
  readonly of: Readonly<Partial<Record<ScoreKey, ReadonlyMap<string, number>>>>;
  /** 1 and 0 for yes and no. */
  readonly values: Float64Array;
}

/** The source with the scores' columns; those that the experiment has declared itself stay what they are. */
export function scoredSource(source: RowSource, scores: readonly ScoreColumn[]): RowSource {
  const added = joinable(source, scores);
  if (added.length === 0) return source;
  return { ...source, columns: [...source.columns, ...added.map(({ name, type }) => ({ name, type }))] };
}

function joinable(source: RowSource, scores: readonly ScoreColumn[]): readonly ScoreColumn[] {
  return scores.filter(({ name }) => !source.columns.some((column) => column.name === name));
}

/** @returns the store itself where there is nothing to join */
export function scoredStore(store: RowStore, scores: readonly ScoreColumn[]): RowStore {
  const added = joinable(store.source, scores);
  return added.length === 0 ? store : new ScoredStore(store, added);
}

class ScoredStore implements RowStore {
  readonly source: RowSource;
  readonly #store: RowStore;
  readonly #join: Join;

  constructor(store: RowStore, scores: readonly ScoreColumn[]) {
    this.source = scoredSource(store.source, scores);
    this.#store = store;
    this.#join = new Join(store.source, scores);
  }

  get damage(): RowStore['damage'] & object {
    return this.#store.damage ?? NO_DAMAGE;
  }

  snapshot(timeMinUs: number, timeMaxUs: number): Snapshot {
    const { refs } = this.#store.snapshot(timeMinUs, timeMaxUs);
    return { refs: refs.map((ref) => new ScoredRef(ref, this.#join)) };
  }
}

const NO_DAMAGE = { rows: 0 };

class ScoredRef implements BatchRef {
  readonly firstSequence: number;
  readonly rows: number;
  readonly producer: number;
  readonly timeMinUs: number;
  readonly timeMaxUs: number;
  readonly #ref: BatchRef;
  readonly #join: Join;

  constructor(ref: BatchRef, join: Join) {
    this.firstSequence = ref.firstSequence;
    this.rows = ref.rows;
    this.producer = ref.producer;
    this.timeMinUs = ref.timeMinUs;
    this.timeMaxUs = ref.timeMaxUs;
    this.#ref = ref;
    this.#join = join;
  }

  /** Scores change nothing of what zones tell. */
  get zone(): Zone | undefined {
    return this.#ref.zone;
  }

  set zone(zone: Zone | undefined) {
    if (zone !== undefined) this.#ref.zone = zone;
  }

  read(room?: BatchRoom): Batch | undefined | Promise<Batch | undefined> {
    const read = this.#ref.read(room);
    return read instanceof Promise
      ? read.then((batch) => batch && this.#join.apply(batch))
      : read && this.#join.apply(read);
  }
}

/** A row at hand, and what it may be scored as. */
class Candidate {
  batch!: Batch;
  row = 0;
  readonly #source: RowSource;
  readonly #ids: Readonly<Partial<Record<ScoreKey, UnitIds>>>;
  #event: EventRow | undefined;

  constructor(source: RowSource, keys: readonly ScoreKey[]) {
    this.#source = source;
    this.#ids = Object.fromEntries(
      keys.filter((key) => key !== 'eventId').map((key) => [key, new UnitIds(source, key)]),
    );
  }

  move(batch: Batch, row: number): void {
    this.batch = batch;
    this.row = row;
    this.#event = undefined;
  }

  get tag(): number {
    return this.batch.tags[this.row];
  }

  get event(): EventRow {
    this.#event ??= decodeRow(this.#source, this.batch, this.row);
    return this.#event;
  }

  id(key: ScoreKey): string | null {
    if (key !== 'eventId') return this.#ids[key]!.of(this);
    const { batch, row, tag } = this;
    // An event of an import may have the id that it had before.
    if ((tag & FLAG_BLOB) !== 0 && (tag & FLAG_CORRECTED) !== 0) return this.event.eventId;
    return eventIdText(this.#source.experimentId, batch.producer, batch.firstSequence + row);
  }
}

class Join {
  readonly #types: readonly ColumnType[];
  readonly #scores: readonly ScoreColumn[];
  /** Keys that any of the scores has, the most specific first. */
  readonly #keys: readonly ScoreKey[];
  readonly #candidate: Candidate;

  constructor({ columns, ...source }: RowSource, scores: readonly ScoreColumn[]) {
    this.#types = columns.map(({ type }) => type);
    this.#scores = scores;
    this.#keys = SCORE_KEYS.filter((key) => scores.some(({ of }) => of[key] !== undefined));
    this.#candidate = new Candidate({ ...source, columns }, this.#keys);
  }

  /** A copy: what was read may be somebody else's, too. */
  apply(batch: Batch): Batch {
    const found = this.#scores.map(() => new Float64Array(batch.rows).fill(-1));
    const isScored = this.#find(batch, found);
    const tags = batch.tags.slice();
    const declared = batch.declared.map((values) => values.slice());
    for (let row = 0; row < batch.rows; row++) {
      if (isScored[row] === 0 || (tags[row] & FLAG_DECLARED) !== 0) continue;
      // What stood there was no value as long as the row had declared none.
      tags[row] |= FLAG_DECLARED;
      declared.forEach((values, column) => {
        values[row] = isWordColumn(this.#types[column]) ? 0 : Number.NaN;
      });
    }
    return {
      ...batch,
      tags,
      declared: [...declared, ...this.#scores.map((score, i) => valuesOf(score, found[i]))],
      shared: [...(batch.shared ?? this.#types.map(() => null)), ...found],
    };
  }

  /** Notes the place of each row's score, -1 where it has none. @returns 1 for rows that have any */
  #find(batch: Batch, found: readonly Float64Array[]): Uint8Array {
    const isScored = new Uint8Array(batch.rows);
    const candidate = this.#candidate;
    for (let row = 0; row < batch.rows; row++) {
      candidate.move(batch, row);
      for (const key of this.#keys) {
        const id = candidate.id(key);
        if (id === null) continue;
        for (let i = 0; i < found.length; i++) {
          if (found[i][row] >= 0) continue;
          const place = this.#scores[i].of[key]?.get(id);
          if (place === undefined) continue;
          found[i][row] = place;
          isScored[row] = 1;
        }
      }
    }
    return isScored;
  }
}

function valuesOf({ type, values }: ScoreColumn, places: Float64Array): DeclaredValues {
  if (type === 'bool') return Int32Array.from(places, (place) => (place < 0 ? NONE : values[place] + FALSE));
  return places.map((place) => (place < 0 ? Number.NaN : values[place]));
}
