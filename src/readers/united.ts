/**
 * United: the rows of several experiments read as those of one, such as what many processes have captured of one arm
 * of a study. Bindings and dictionary values get ids that all of them share; columns are matched by name.
 *
 * Capture order is that of the parts, one after the other. A row's `sequence` and `eventId` are those of the whole,
 * under which nobody finds it again: this is for what is summed up, not for what is shown.
 */

import { CHUNK_ROWS, FLAG_DECLARED, TAG_BINDING_MASK } from '../../assembly/layout.js';
import { AnalysisError, ConfigError } from '../errors.js';
import type { Batch, BatchRef, DeclaredValues } from '../ring/batch.js';
import type { Binding } from '../ring/bindings.js';
import { isWordColumn } from '../row/declared.js';
import type { ColumnType } from '../schema/columns.js';
import type { Filter } from '../schema/event.js';
import { compileFilter, within } from './filter.js';
import { limited, type SnapshotLimit } from './limit.js';
import type { RowSource } from './rows.js';
import { meets, type RowStore, type View } from './source.js';

/** Of numbers in `Batch.shared`, per part. */
const SHARED_MAX = 2 ** 32;

/** An experiment's rows up to what had been captured at one moment. */
export interface Part {
  readonly store: RowStore;
  readonly limit: SnapshotLimit;
}

/** What the whole is called. */
export type UnitedAbout = Pick<RowSource, 'experimentId' | 'experimentName' | 'condition'>;

/**
 * @param parts - none is as good as one without rows
 * @throws ConfigError for an invalid filter, or where two parts declare a column with different types
 */
export function unitedView(
  parts: readonly Part[],
  about: UnitedAbout,
  filter: Filter | undefined,
  range: readonly [number, number] | null,
): View {
  const texts = new UnitedTexts();
  const columns = columnsOf(parts);
  const source: RowSource = {
    ...about,
    tags: parts[0]?.store.source.tags ?? [],
    priceVersion: parts[0]?.store.source.priceVersion ?? '',
    columns,
    binding: (id) => texts.binding(id),
    text: (id) => texts.text(id),
  };
  const compiled = compileFilter(filter, source);
  const wanted = range === null ? compiled : within(compiled, ...range);
  const damage = {
    get rows() {
      return parts.reduce((sum, { store }) => sum + (store.damage?.rows ?? 0), 0);
    },
  };
  if (wanted.nothing) return { source, filter: wanted, refs: [], damage };
  const refs: BatchRef[] = [];
  let before = 0;
  for (const [part, { store, limit }] of parts.entries()) {
    const translation = new Translation(store.source, columns, texts, part);
    const { refs: all } = store.snapshot(wanted.timeMinUs, wanted.timeMaxUs);
    let end = before;
    for (const ref of limited(all, limit)) {
      if (!meets(ref, wanted.timeMinUs, wanted.timeMaxUs)) continue;
      refs.push(new UnitedRef(ref, before, translation));
      end = before + ref.firstSequence + ref.rows;
    }
    before = Math.ceil(end / CHUNK_ROWS) * CHUNK_ROWS;
  }
  return { source, filter: wanted, refs, damage };
}

/** Of all parts, in the order in which they come. @throws ConfigError */
function columnsOf(parts: readonly Part[]): { name: string; type: ColumnType }[] {
  const types = new Map<string, ColumnType>();
  for (const { name, type } of parts.flatMap(({ store }) => store.source.columns)) {
    const known = types.get(name);
    if (known !== undefined && known !== type) {
      throw new ConfigError(`columns.${name}`, `one type in all experiments of an arm (${known})`, type);
    }
    types.set(name, type);
  }
  return [...types].map(([name, type]) => ({ name, type }));
}

/** Texts and bindings of all parts, each once. */
class UnitedTexts {
  readonly #bindings: Binding[] = [];
  readonly #bindingIds = new Map<string, number>();
  readonly #texts: string[] = [];
  readonly #textIds = new Map<string, number>();
  #unbound: Binding | undefined;

  binding(id: number): Binding {
    const binding = id === 0 ? this.#unbound : this.#bindings[id - 1];
    if (binding === undefined) throw new RangeError(`no binding ${id}`);
    return binding;
  }

  text(id: number): string {
    return this.#texts[id - 1]!;
  }

  /** From 1; 0 is that of rows without one, in every part. @throws AnalysisError where there are more than a tag can tell apart */
  bindingId(binding: Binding): number {
    const { event, model, provider, bound } = binding;
    const id = idIn(
      this.#bindingIds,
      this.#bindings,
      JSON.stringify([event, model, provider, bound]),
      binding,
    );
    if (id <= TAG_BINDING_MASK) return id;
    throw new AnalysisError(
      'ERR_OUT_OF_MEMORY',
      `the experiments of an arm have more than ${TAG_BINDING_MASK} different bindings together: bind less to recorders`,
      { expected: TAG_BINDING_MASK },
    );
  }

  noteUnbound(binding: Binding): void {
    this.#unbound ??= binding;
  }

  textId(text: string): number {
    return idIn(this.#textIds, this.#texts, text, text);
  }
}

function idIn<T>(ids: Map<string, number>, all: T[], key: string, value: T): number {
  let id = ids.get(key);
  if (id === undefined) {
    id = all.push(value);
    ids.set(key, id);
  }
  return id;
}

/** From one part's ids and columns to those of the whole. */
class Translation {
  readonly #source: RowSource;
  readonly #texts: UnitedTexts;
  /** Of each column of the whole: its type, and its place in the part, -1 where the part has none. */
  readonly #columns: readonly { readonly type: ColumnType; readonly place: number }[];
  /** Ids in the whole, by those in the part; 0 where it is not known yet. */
  readonly #bindings = new Uint32Array(TAG_BINDING_MASK + 1);
  readonly #textIds = new Map<number, number>();

  readonly #numbersBefore: number;

  /** @param part - its place */
  constructor(source: RowSource, columns: RowSource['columns'], texts: UnitedTexts, part: number) {
    this.#numbersBefore = part * SHARED_MAX;
    this.#source = source;
    this.#texts = texts;
    this.#columns = columns.map(({ name, type }) => ({
      type,
      place: source.columns.findIndex((column) => column.name === name),
    }));
    texts.noteUnbound(source.binding(0));
  }

  apply(batch: Batch, before: number): Batch {
    return {
      ...batch,
      firstSequence: before + batch.firstSequence,
      tags: batch.tags.map((tag) => this.#tag(tag)),
      declared: this.#columns.map(({ type, place }) =>
        place < 0 ? nothing(type, batch.rows) : this.#values(type, batch.declared[place], batch.tags),
      ),
      ...(batch.shared && { shared: this.#columns.map(({ place }) => this.#shared(batch, place)) }),
    };
  }

  /** What two parts number alike is not the same thing. */
  #shared(batch: Batch, place: number): Float64Array | null {
    const numbers = place < 0 ? null : batch.shared![place];
    return numbers?.map((number) => (number < 0 ? number : number + this.#numbersBefore)) ?? null;
  }

  #tag(tag: number): number {
    const id = tag & TAG_BINDING_MASK;
    if (id === 0) return tag;
    const known = this.#bindings[id] || this.#texts.bindingId(this.#source.binding(id));
    this.#bindings[id] = known;
    // Not by bits alone: a tag is unsigned.
    return tag - id + known;
  }

  /** What stands in rows that have declared nothing is no value, and no id either. */
  #values(type: ColumnType, values: DeclaredValues, tags: Uint32Array): DeclaredValues {
    if (type !== 'dict') return values;
    return (values as Int32Array).map((id, row) =>
      (tags[row] & FLAG_DECLARED) === 0 || id === 0 ? 0 : this.#textId(id),
    );
  }

  #textId(id: number): number {
    let known = this.#textIds.get(id);
    if (known === undefined) {
      known = this.#texts.textId(this.#source.text(id));
      this.#textIds.set(id, known);
    }
    return known;
  }
}

function nothing(type: ColumnType, rows: number): DeclaredValues {
  return isWordColumn(type) ? new Int32Array(rows) : new Float64Array(rows).fill(Number.NaN);
}

class UnitedRef implements BatchRef {
  readonly firstSequence: number;
  readonly rows: number;
  readonly producer: number;
  readonly timeMinUs: number;
  readonly timeMaxUs: number;
  readonly #ref: BatchRef;
  readonly #before: number;
  readonly #translation: Translation;

  constructor(ref: BatchRef, before: number, translation: Translation) {
    this.firstSequence = before + ref.firstSequence;
    this.rows = ref.rows;
    this.producer = ref.producer;
    this.timeMinUs = ref.timeMinUs;
    this.timeMaxUs = ref.timeMaxUs;
    this.#ref = ref;
    this.#before = before;
    this.#translation = translation;
  }

  /** Not into the room, which is for refs of one experiment. */
  read(): Batch | undefined | Promise<Batch | undefined> {
    const read = this.#ref.read();
    return read instanceof Promise ? read.then((batch) => this.#translate(batch)) : this.#translate(read);
  }

  #translate(batch: Batch | undefined): Batch | undefined {
    return batch && this.#translation.apply(batch, this.#before);
  }
}
