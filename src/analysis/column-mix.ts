/** What an arm is made of, by its declared dictionary columns: how many events have each value. */
import { FLAG_BLOB, FLAG_DECLARED, TAG_BINDING_MASK } from '../../assembly/layout.js';
import type { Matches } from '../readers/matches.js';
import type { RowSource } from '../readers/rows.js';
import { LIFTED_FIELDS, snakeCase } from '../schema/fields.js';

/** A column of more values tells whose events they are, and not what they are made of. */
const VALUES_MAX = 50;
const NO_VALUE = '(none)';
/** How calls ended is what they came to. */
const ENDINGS = ['finishReason', 'outcome'];
const IDS = LIFTED_FIELDS.flatMap((field) => [field, snakeCase(field)]);

interface MixColumn {
  readonly name: string;
  /** Index among the declared columns. */
  readonly column: number;
  /** Rows by value; null once they are too many. */
  rowsOf: Map<string, number> | null;
}

/** Counts rows without decoding any: of one that was captured whole, a text that the dictionary had no room for is none. */
export class ColumnMix {
  readonly #source: RowSource;
  readonly #columns: readonly MixColumn[];

  constructor(source: RowSource) {
    this.#source = source;
    this.#columns = source.columns.flatMap(({ name, type }, column) =>
      type === 'dict' && !ENDINGS.includes(name) && !IDS.includes(name)
        ? [{ name, column, rowsOf: new Map() }]
        : [],
    );
  }

  add({ batch, rows }: Matches): void {
    for (const mix of this.#columns) {
      if (mix.rowsOf === null) continue;
      // Rows by code and by binding first: those are few, and numbers.
      const [byCode, byBinding] = [new Map<number, number>(), new Map<number, number>()];
      const codes = batch.declared[mix.column];
      for (const row of rows) {
        const tag = batch.tags[row];
        const code = (tag & FLAG_DECLARED) === 0 ? 0 : codes[row];
        const isOfBinding = code === 0 && (tag & FLAG_BLOB) === 0;
        if (isOfBinding) increase(byBinding, tag & TAG_BINDING_MASK, 1);
        else increase(byCode, code, 1);
      }
      for (const [code, count] of byCode) {
        increase(mix.rowsOf, code === 0 ? NO_VALUE : this.#source.text(code), count);
      }
      for (const [id, count] of byBinding) {
        const bound = this.#source.binding(id).bound[mix.name];
        increase(mix.rowsOf, bound === undefined || bound === null ? NO_VALUE : String(bound), count);
      }
      if (mix.rowsOf.size > VALUES_MAX) mix.rowsOf = null;
    }
  }

  /** Of columns that say something of some event, and not too much. */
  result(): Record<string, Record<string, number>> {
    return Object.fromEntries(
      this.#columns.flatMap(({ name, rowsOf }) => {
        const isSaying = rowsOf !== null && [...rowsOf.keys()].some((value) => value !== NO_VALUE);
        return isSaying ? [[name, Object.fromEntries(rowsOf)]] : [];
      }),
    );
  }
}

function increase<Key>(counts: Map<Key, number>, key: Key, by: number): void {
  counts.set(key, (counts.get(key) ?? 0) + by);
}
