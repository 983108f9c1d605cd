/** What unit a row belongs to: the user, session or sample, or whatever its metadata have at a path. */

import { FLAG_BLOB, FLAG_DECLARED, TAG_BINDING_MASK } from '../../assembly/layout.js';
import type { Columns } from '../ring/batch.js';
import { declaredValue, isAbsent } from '../row/declared.js';
import type { EventRow, Json } from '../schema/event.js';
import { LIFTED_FIELDS, lifted, snakeCase } from '../schema/fields.js';
import type { RowSource } from './rows.js';

/** A row of a batch, and its event where that is asked for. */
export interface RowAt {
  readonly batch: Columns;
  readonly row: number;
  readonly tag: number;
  readonly event: EventRow;
}

/** 1 and '1' are one: whoever logs ids as text in one arm and as numbers in the other means the same. */
export function idText(id: Json | undefined): string | null {
  if (id === undefined || id === null) return null;
  return typeof id === 'string' ? id : JSON.stringify(id);
}

export class UnitIds {
  readonly #source: RowSource;
  readonly #path: readonly string[];
  readonly #isLifted: boolean;
  /** Index of the declared column that holds it; -1 where there is none. */
  readonly #column: number;
  /** Of bindings, once they have been looked at. */
  readonly #bound: (string | null | undefined)[] = [];

  /** @param unit - 'userId', 'sessionId', 'sampleId' or a path into the metadata, as 'tenant.id' */
  constructor(source: RowSource, unit: string) {
    this.#source = source;
    this.#path = unit.split('.');
    this.#isLifted = (LIFTED_FIELDS as readonly string[]).includes(unit);
    this.#column = source.columns.findIndex(
      ({ name }) => name === unit || (this.#isLifted && name === snakeCase(unit)),
    );
  }

  /** Whether the row's event has to be decoded to tell. */
  needsEvent(cursor: RowAt): boolean {
    return (cursor.tag & FLAG_BLOB) !== 0 && !this.#isInColumn(cursor);
  }

  /** Whether the row has what its binding has. */
  isOfBinding(cursor: RowAt): boolean {
    return (cursor.tag & FLAG_BLOB) === 0 && !this.#isInColumn(cursor);
  }

  /** Null where the row has none. */
  of(cursor: RowAt): string | null {
    const { tag, batch, row } = cursor;
    if (this.#isInColumn(cursor)) return this.#textOf(batch.declared[this.#column][row]);
    if ((tag & FLAG_BLOB) !== 0) return idText(this.#valueIn(cursor.event.metadata));
    const id = tag & TAG_BINDING_MASK;
    if (this.#bound[id] === undefined)
      this.#bound[id] = idText(this.#valueIn(this.#source.binding(id).bound));
    return this.#bound[id];
  }

  #isInColumn({ tag, batch, row }: RowAt): boolean {
    if (this.#column < 0 || (tag & FLAG_DECLARED) === 0) return false;
    const { type } = this.#source.columns[this.#column];
    const code = batch.declared[this.#column][row];
    return !isAbsent(type, code);
  }

  #textOf(code: number): string {
    const { type } = this.#source.columns[this.#column];
    return String(declaredValue(type, code, (id) => this.#source.text(id)));
  }

  #valueIn(metadata: Readonly<Record<string, Json>>): Json {
    if (this.#isLifted) return lifted(metadata as Record<string, Json>, this.#path[0]);
    let value: Json | undefined = metadata as Record<string, Json>;
    for (const key of this.#path) {
      if (typeof value !== 'object' || value === null || Array.isArray(value)) return null;
      value = Object.hasOwn(value, key) ? value[key] : undefined;
    }
    return value ?? null;
  }
}
