/** RowTests: what a filter asks of names and metadata, answered from a row's binding and columns where those know. */

import { FLAG_BLOB, FLAG_CORRECTED, FLAG_DECLARED, TAG_BINDING_MASK } from '../../assembly/layout.js';
import { type Columns, timeUsOf, valueOrNull } from '../ring/batch.js';
import { declaredValue, isAbsent } from '../row/declared.js';
import type { EventRow } from '../schema/event.js';
import type { CompiledFilter, EventTest } from './filter.js';
import { decode, type RowSource } from './rows.js';

/** Rows by their index, in the order in which they are wanted. */
export interface MatchingRows {
  readonly rows: Uint32Array;
  /** What had to be decoded to tell, beside `rows`; undefined where nothing had to be. */
  readonly events: readonly (EventRow | undefined)[] | undefined;
}

type Verdict = 'fails' | 'passes' | 'by event';

/** What a binding alone says of a row, columns aside. */
interface Known {
  /** Of a row that was not captured as an event. */
  readonly recorded: Verdict;
  /** Of one that was: its own model, metadata and measurements are in the event. */
  readonly captured: Verdict;
  /** The event of a recorded row, as far as the binding knows it. */
  readonly event: EventRow | null;
}

/** Fields that differ between the rows of a binding, of which the event shows the same under that name or a path from there. */
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
  'malformedKeys',
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

/** What a column of a row says of its value: undefined where it does not tell. */
type ReadColumn = (columns: Columns, row: number) => number | string | boolean | null | undefined;

interface ColumnTest {
  readonly test: EventTest;
  readonly read: ReadColumn;
  /** Whether a recorded row without a value in the column has that of its binding. */
  readonly isDeclared: boolean;
}

export class RowTests {
  readonly #source: RowSource;
  readonly #tests: readonly EventTest[];
  readonly #known: (Known | undefined)[] = [];
  /** Those of the tests that look at columns. */
  readonly #ofColumns: readonly ColumnTest[];
  readonly #others: readonly EventTest[];

  constructor(source: RowSource, { tests }: CompiledFilter) {
    this.#source = source;
    this.#tests = tests;
    this.#ofColumns = tests.flatMap((test) => columnTest(source, test) ?? []);
    this.#others = tests.filter((test) => !this.#ofColumns.some((one) => one.test === test));
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
    const isCaptured = (tag & FLAG_BLOB) !== 0;
    let needsEvent = binding === 0;
    for (const { test, read, isDeclared } of this.#ofColumns) {
      const value = read(columns, row);
      if (value !== undefined) {
        if (!test.condition.accepts(value)) return 'fails';
      } else if (isDeclared && !isCaptured && binding !== 0) {
        // What the row does not bring is as the binding has it.
        if (!test.passes(this.#of(binding).event as EventRow)) return 'fails';
      } else {
        needsEvent = true;
      }
    }
    if (binding === 0) return 'by event';
    const { captured, recorded } = this.#of(binding);
    const verdict = isCaptured ? captured : recorded;
    return verdict === 'passes' && needsEvent ? 'by event' : verdict;
  }

  #of(binding: number): Known {
    this.#known[binding] ??= this.#ask(binding);
    return this.#known[binding];
  }

  #ask(id: number): Known {
    const { model, provider } = this.#source.binding(id);
    const event = decode(this.#source, { ...NOTHING_MEASURED, tags: Uint32Array.of(id) }, 0, 0, 0);
    const knows = { model: model !== null, provider: provider !== null };
    const captured = this.#verdictOf(event, ({ on }) =>
      on === 'eventName' || ((on === 'model' || on === 'provider') && knows[on]) ? undefined : 'by event',
    );
    const recorded = this.#verdictOf(event, ({ on, key }) =>
      on === 'anything' || (on === 'field' && ROW_FIELDS.has(key.split('.', 1)[0]!)) ? 'by event' : undefined,
    );
    return { recorded, captured, event };
  }

  /** @param needs - what a test needs besides the binding, if anything */
  #verdictOf(event: EventRow, needs: (test: EventTest) => 'by event' | undefined): Verdict {
    let verdict: Verdict = 'passes';
    for (const test of this.#others) {
      if (needs(test) !== undefined) verdict = 'by event';
      else if (!test.passes(event)) return 'fails';
    }
    return verdict;
  }
}

/** Null for a test that does not look at a column. */
function columnTest(source: RowSource, test: EventTest): ColumnTest | null {
  if (test.on === 'number') return { test, read: NUMBER_COLUMNS[test.key], isDeclared: false };
  const column = test.on === 'field' ? source.columns.findIndex(({ name }) => name === test.key) : -1;
  return column < 0 ? null : { test, read: declaredColumn(source, column), isDeclared: true };
}

function declaredColumn(source: RowSource, column: number): ReadColumn {
  const { type } = source.columns[column];
  return ({ tags, declared }, row) => {
    if ((tags[row] & FLAG_DECLARED) === 0) return undefined;
    const code = declared[column][row];
    return isAbsent(type, code) ? undefined : declaredValue(type, code, source.text);
  };
}

/** Where the numbers of every event stand, by what filters call them. */
const NUMBER_COLUMNS: Readonly<Record<string, ReadColumn>> = {
  latencyMs: ({ latencyMs }, row) => valueOrNull(latencyMs[row]),
  costUsd: ({ costUsd }, row) => valueOrNull(costUsd[row]),
  timestamp: timeUsOf,
  tokensPrompt: (columns, row) => tokensAt(columns, row, columns.promptTokens[row]),
  tokensCompletion: (columns, row) => tokensAt(columns, row, columns.completionTokens[row]),
  tokensTotal: (columns, row) => {
    const { promptTokens, completionTokens } = columns;
    return tokensAt(columns, row, Math.max(promptTokens[row], 0) + Math.max(completionTokens[row], 0));
  },
};

/** Counts that are not what the columns say, such as a total of their own, are kept beside the event. */
function tokensAt({ tags, promptTokens, completionTokens }: Columns, row: number, count: number) {
  if ((tags[row] & FLAG_CORRECTED) !== 0) return undefined;
  return promptTokens[row] < 0 && completionTokens[row] < 0 ? null : Math.max(count, 0);
}
