/** RowTests: what a filter asks of names and metadata, answered from a row's binding and columns where those know. */
import { FLAG_BLOB, FLAG_DECLARED, TAG_BINDING_MASK } from '../../assembly/layout.js';
import type { Columns } from '../ring/batch.js';
import type { EventRow } from '../schema/event.js';
import { type CompiledFilter, type EventTest, sameValue } from './filter.js';
import { decode, type RowSource } from './rows.js';

/** Rows by their index, in the order in which they are wanted. */
export interface MatchingRows {
  readonly rows: Uint32Array;
  /** What had to be decoded to tell, beside `rows`; undefined where nothing had to be. */
  readonly events: readonly (EventRow | undefined)[] | undefined;
}

/** What a binding alone says of a row. */
type Verdict = 'fails' | 'passes' | 'by columns' | 'by event';

interface Known {
  /** Of a row that was not captured as an event. */
  readonly recorded: Verdict;
  /** Of one that was: its own model, metadata and measurements are in the event. */
  readonly captured: Verdict;
  /** The event of a recorded row, as far as the binding knows it. */
  readonly event: EventRow | null;
}

/** Fields that differ between the rows of a binding, of which the event shows the same under that name. */
const ROW_FIELDS: ReadonlySet<string> = new Set([
  'eventId',
  'timestamp',
  'sequence',
  'measurements',
  'metadata',
  'latencyMs',
  'costUsd',
  'costSource',
  'success',
  'tokens',
  'malformed',
  'fields',
]);

/** A row that has nothing but its binding. */
const NOTHING_MEASURED = {
  rows: 1,
  timeUs: new Float64Array(1),
  latencyMs: Float64Array.of(Number.NaN),
  costUsd: Float64Array.of(Number.NaN),
  promptTokens: Int32Array.of(-1),
  completionTokens: Int32Array.of(-1),
  blobOffsets: new Uint32Array(1),
  blob: Buffer.alloc(0),
  declared: [],
};

export class RowTests {
  readonly #source: RowSource;
  readonly #tests: readonly EventTest[];
  readonly #known: (Known | undefined)[] = [];
  /** Of each test the declared column that it looks at; -1 for none. */
  readonly #columns: readonly number[];

  constructor(source: RowSource, { tests }: CompiledFilter) {
    this.#source = source;
    this.#tests = tests;
    this.#columns = tests.map(({ on, key }) =>
      on === 'field' ? source.columns.findIndex(({ name }) => name === key) : -1,
    );
  }

  /** Whether any row passes. */
  get isEmpty(): boolean {
    return this.#tests.length === 0;
  }

  /** Whether no row of the binding can pass. */
  excludes(binding: number): boolean {
    // Rows without a binding have their names in the event.
    if (this.isEmpty || binding === 0) return false;
    const { recorded, captured } = this.#of(binding);
    return recorded === 'fails' && captured === 'fails';
  }

  /** Those of `candidates` that pass, in the order given. */
  apply(columns: Columns, candidates: Uint32Array, decodeAt: (row: number) => EventRow): MatchingRows {
    if (this.isEmpty) return { rows: candidates, events: undefined };
    const rows = new Uint32Array(candidates.length);
    const events: (EventRow | undefined)[] = [];
    let hasDecoded = false;
    for (const row of candidates) {
      let verdict = this.#verdict(columns, row);
      let event: EventRow | undefined;
      if (verdict === 'by event') {
        event = decodeAt(row);
        hasDecoded = true;
        verdict = this.#tests.every((test) => test.passes(event as EventRow)) ? 'passes' : 'fails';
      }
      if (verdict === 'fails') continue;
      rows[events.length] = row;
      events.push(event);
    }
    return { rows: rows.subarray(0, events.length), events: hasDecoded ? events : undefined };
  }

  #verdict(columns: Columns, row: number): Verdict {
    const tag = columns.tags[row];
    const binding = tag & TAG_BINDING_MASK;
    if (binding === 0) return 'by event';
    const known = this.#of(binding);
    if ((tag & FLAG_BLOB) !== 0) return known.captured;
    return known.recorded === 'by columns' ? this.#byColumns(columns, row, known) : known.recorded;
  }

  #byColumns({ tags, declared }: Columns, row: number, { event }: Known): Verdict {
    const isDeclared = (tags[row] & FLAG_DECLARED) !== 0;
    for (let i = 0; i < this.#tests.length; i++) {
      const column = this.#columns[i];
      if (column < 0) continue;
      const test = this.#tests[i];
      const code = isDeclared ? declared[column][row] : Number.NaN;
      const value = this.#declaredValue(column, code);
      // What the row does not bring is as the binding has it.
      const passes = value === undefined ? test.passes(event as EventRow) : sameValue(value, test.wanted);
      if (!passes) return 'fails';
    }
    return 'passes';
  }

  #declaredValue(column: number, code: number): number | string | boolean | undefined {
    if (Number.isNaN(code)) return undefined;
    const { type } = this.#source.columns[column];
    if (type !== 'bool' && type !== 'dict') return code;
    if (code === 0) return undefined;
    return type === 'bool' ? code === 2 : this.#source.text(code);
  }

  #of(binding: number): Known {
    this.#known[binding] ??= this.#ask(binding);
    return this.#known[binding];
  }

  #ask(id: number): Known {
    const { model, provider } = this.#source.binding(id);
    const event = decode(this.#source, { ...NOTHING_MEASURED, tags: Uint32Array.of(id) }, 0, 0, 0);
    const knows = { eventName: true, model: model !== null, provider: provider !== null };
    const captured = this.#verdictOf(event, ({ on }) =>
      on === 'field' || on === 'anything' ? 'by event' : knows[on] ? undefined : 'by event',
    );
    const recorded = this.#verdictOf(event, ({ on, key }, i) => {
      if (on === 'anything') return 'by event';
      if (on !== 'field') return undefined;
      if (this.#columns[i] >= 0) return 'by columns';
      return ROW_FIELDS.has(key) ? 'by event' : undefined;
    });
    return { recorded, captured, event };
  }

  /** @param needs - what a test needs besides the binding, if anything */
  #verdictOf(event: EventRow, needs: (test: EventTest, index: number) => Verdict | undefined): Verdict {
    let verdict: Verdict = 'passes';
    for (const [i, test] of this.#tests.entries()) {
      const needed = needs(test, i);
      if (needed === undefined) {
        if (!test.passes(event)) return 'fails';
      } else if (verdict !== 'by event') {
        verdict = needed;
      }
    }
    return verdict;
  }
}
