/** Grouping: which group each row belongs to, by what its columns and its binding say. */

import { FLAG_BLOB, FLAG_DECLARED, TAG_BINDING_MASK } from '../../assembly/layout.js';
import { ConfigError } from '../errors.js';
import type { Matches } from '../readers/matches.js';
import { decodeRow, type RowSource } from '../readers/rows.js';
import type { Binding } from '../ring/bindings.js';
import { TRUE } from '../row/declared.js';
import type { EventRow, Json } from '../schema/event.js';

/** 'eventName', 'model', 'provider', 'condition', or the name of a declared column of type dict or bool. */
export type GroupKey = string;

/** Groups are numbered in the order in which they are met; from here on all others are one. */
const GROUPS_MAX = 1000;
/** The key of the group that holds all groups beyond the first 1,000. */
export const OTHER_GROUPS = '(other)';

/** Not looked at yet. */
const UNKNOWN = -1;

export class Grouping {
  private readonly source: RowSource;
  private readonly keyOfEvent: (event: EventRow) => string | null;
  private readonly keyOfBinding: (binding: Binding) => string | null;
  /** Index of the declared column; -1 where the key is none. */
  private readonly column: number;
  private readonly isBool: boolean;
  private readonly groups = new Map<string | null, number>();
  private readonly keys: (string | null)[] = [];
  /** Groups of bindings, and of the codes of a declared column. */
  private readonly bindingGroups = new Int32Array(TAG_BINDING_MASK + 1).fill(UNKNOWN);
  private readonly codeGroups = new Int32Array(TAG_BINDING_MASK + 1).fill(UNKNOWN);
  /** Rows of each group in the batch at hand; all 0 in between. */
  private readonly counts = new Uint32Array(GROUPS_MAX + 1);

  /** @throws ConfigError for a key that nothing can be grouped by */
  constructor(source: RowSource, key: GroupKey) {
    this.source = source;
    if (key === 'eventName' || key === 'model' || key === 'provider' || key === 'condition') {
      this.column = -1;
      this.isBool = false;
      this.keyOfEvent = (event) => event[key];
      this.keyOfBinding =
        key === 'eventName'
          ? ({ event }) => event
          : key === 'condition'
            ? () => source.condition
            : (binding) => binding[key];
      return;
    }
    this.column = source.columns.findIndex(({ name }) => name === key);
    const type = source.columns[this.column]?.type;
    if (type !== 'bool' && type !== 'dict') {
      throw new ConfigError(
        'by',
        'eventName, model, provider, condition or a column of type dict or bool',
        key,
      );
    }
    this.isBool = type === 'bool';
    this.keyOfEvent = ({ metadata }) => textOf(metadata[key]);
    this.keyOfBinding = ({ bound }) => textOf(bound[key]);
  }

  key(group: number): string | null {
    return this.keys[group];
  }

  /** The rows of each group that has any; rows as they came. */
  parts(matches: Matches): (Matches & { readonly group: number })[] {
    const { batch, rows, events } = matches;
    const { counts } = this;
    const groups = new Uint32Array(rows.length);
    const present: number[] = [];
    for (let i = 0; i < rows.length; i++) {
      const group = this.groupOf(matches, i);
      groups[i] = group;
      if (counts[group]++ === 0) present.push(group);
    }
    // Places of the rows, group by group; `counts` becomes where the next one goes.
    const places = new Uint32Array(rows.length);
    let start = 0;
    for (const group of present) {
      start += counts[group];
      counts[group] = start - counts[group];
    }
    for (let i = 0; i < rows.length; i++) places[counts[groups[i]]++] = i;
    start = 0;
    return present.map((group) => {
      const inside = places.subarray(start, counts[group]);
      start = counts[group];
      counts[group] = 0;
      return {
        group,
        batch,
        rows: inside.map((i) => rows[i]),
        events: events && Array.from(inside, (i) => events[i]),
      };
    });
  }

  /** The group of the i-th of these rows. */
  groupOf({ batch, rows, events }: Matches, i: number): number {
    const row = rows[i];
    const tag = batch.tags[row];
    const isCaptured = (tag & FLAG_BLOB) !== 0;
    if (this.column >= 0 && (tag & FLAG_DECLARED) !== 0) {
      const code = batch.declared[this.column][row];
      if (code !== 0) return this.groupOfCode(code);
    }
    const id = tag & TAG_BINDING_MASK;
    // What a binding brings of declared columns holds only for rows that were not captured as events.
    if (id !== 0 && (this.column < 0 || !isCaptured)) {
      const group = this.groupOfBinding(id);
      // A captured event may have what its binding has not.
      if (!isCaptured || this.keys[group] !== null) return group;
    }
    return this.intern(this.keyOfEvent(events?.[i] ?? decodeRow(this.source, batch, row)));
  }

  private groupOfCode(code: number): number {
    if (this.codeGroups[code] === UNKNOWN) {
      this.codeGroups[code] = this.intern(this.isBool ? String(code === TRUE) : this.source.text(code));
    }
    return this.codeGroups[code];
  }

  private groupOfBinding(id: number): number {
    if (this.bindingGroups[id] === UNKNOWN) {
      this.bindingGroups[id] = this.intern(this.keyOfBinding(this.source.binding(id)));
    }
    return this.bindingGroups[id];
  }

  private intern(key: string | null): number {
    const known = this.groups.get(key);
    if (known !== undefined) return known;
    if (this.keys.length >= GROUPS_MAX && key !== OTHER_GROUPS) return this.intern(OTHER_GROUPS);
    const group = this.keys.length;
    this.keys.push(key);
    this.groups.set(key, group);
    return group;
  }
}

function textOf(value: Json | undefined): string | null {
  return value === undefined || value === null ? null : String(value);
}
