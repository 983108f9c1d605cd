/** The mapping of a file, bound to what its records have. */

import { hasOwnColumns, isOwnMap, isOwnRow } from '../formats/own-marks.js';
import { COLUMNS_MAX, type RawItem, type RecordReader } from '../formats/reader.js';
import type { Json } from '../schema/event.js';
import { detectMapping } from './defaults.js';
import {
  type BoundMapping,
  type CompiledMapping,
  compileMapping,
  type ImportedRecord,
  type ImportMap,
  type MappingOptions,
  type RecordMapper,
  type UnknownColumn,
} from './mapping.js';
import { type Destination, type OwnMapper, ownMapper } from './own.js';

/** What is bound to a file once its columns are known. */
export interface BoundMapper {
  readonly map: RecordMapper;
  /** To be called for the last record, before it is handed on. */
  readonly complete?: OwnMapper['complete'];
  /** Targets of the caller's map that no record has given anything. */
  unfilled(): string[];
}

export interface BindOptions extends MappingOptions {
  readonly map?: ImportMap;
  readonly columns?: readonly string[];
}

/** Records looked at to learn the columns of a file without a header. */
export const PEEK_RECORDS = 100;
/** Shapes of records whose mapping is kept. */
const SHAPES_MAX = 256;

/** Who gives one of these wants records understood as any others. */
const MAPPING_OPTIONS = ['rest', 'event', 'timestampUnit', 'timestampOrigin', 'dateOrder', 'time'] as const;

/**
 * @param missing - names of keys that no record has
 * @throws ConfigError for a map that does not fit
 */
export function bind(
  {
    columns: named,
    textual,
    isOwn: marked,
    hasDecimalCommas,
  }: Pick<RecordReader, 'columns' | 'textual' | 'isOwn' | 'hasDecimalCommas'>,
  peeked: readonly RawItem[],
  missing: ReadonlySet<string>,
  options: BindOptions,
): (into: Destination | undefined) => BoundMapper {
  const columns = named ?? columnsOfRecords(peeked, options.columns);
  const isOwn = marked ?? isOwnRecord(peeked.find(({ record }) => record !== null)?.record, textual);
  if (
    isOwn &&
    hasOwnColumns(columns) &&
    options.map === undefined &&
    !MAPPING_OPTIONS.some((key) => key in options)
  ) {
    const form = textual ? 'text' : named === null ? 'maps' : 'columns';
    return (into) => ({ ...ownMapper(columns, form, into), unfilled: () => [] });
  }
  const { map: stated = {} } = options;
  const wanted = (bound: BoundMapping) => bound.unfilled().filter((target) => Object.hasOwn(stated, target));
  if (named === null) {
    const mapping = new KeyedMapping(columns, missing, stated, options);
    return () => ({
      map: (record, report) => mapping.map(record, report),
      unfilled: () => mapping.unfilled(),
    });
  }
  const map = { ...detectMapping(columns), ...stated };
  const bound = compileMapping(map, options).bind({
    columns,
    textual,
    hasDecimalCommas,
    isTimed: 'timestamp' in map,
  });
  return () => ({ map: bound.map, unfilled: () => wanted(bound) });
}

function isOwnRecord(record: Readonly<Record<string, Json>> | null | undefined, textual: boolean): boolean {
  if (record == null) return false;
  return textual ? isOwnRow(record) : isOwnMap(record);
}

/** The mapping of records that name their own keys: what is recognised is found out for each shape of record. */
class KeyedMapping {
  readonly #stated: ImportMap;
  readonly #options: MappingOptions;
  readonly #shapes = new Map<string, BoundMapping>();
  readonly #unfilled: Set<string>;
  /** A record so far had a time, or the caller says which key it is. */
  #isTimed: boolean;

  /** Keys that the stated map names and no record has had so far, by target. */
  readonly #unseen: Set<UnknownColumn>;

  /** @throws ConfigError where the stated map names what no record has, or what is most likely a slip */
  constructor(
    columns: readonly string[],
    missing: ReadonlySet<string>,
    stated: ImportMap,
    options: MappingOptions,
  ) {
    this.#stated = stated;
    this.#options = options;
    this.#unfilled = new Set(Object.keys(stated));
    this.#isTimed = 'timestamp' in stated || 'timestamp' in detectMapping(columns);
    const unknown = this.#compile(columns).unknown(columns);
    for (const { column, error } of unknown) if (missing.has(column)) throw error;
    this.#unseen = new Set(unknown);
  }

  map(...[record, report]: Parameters<RecordMapper>): ImportedRecord | null {
    const keys = Object.keys(record);
    if (keys.length > COLUMNS_MAX) {
      report(`there are ${keys.length} keys, and at most ${COLUMNS_MAX} can be read`, 'tooLong');
      return null;
    }
    const shape = keys.join('\0');
    const bound = this.#shapes.get(shape) ?? this.#bind(shape, keys);
    return bound.map(record, report);
  }

  unfilled(): string[] {
    this.#takeFilled();
    const unseen = [...this.#unseen].map(({ target }) => target);
    return [...new Set([...this.#unfilled, ...unseen])];
  }

  #bind(shape: string, keys: readonly string[]): BoundMapping {
    if (this.#shapes.size === SHAPES_MAX) {
      this.#takeFilled();
      this.#shapes.clear();
    }
    this.#isTimed ||= 'timestamp' in detectMapping(keys);
    for (const unseen of this.#unseen) {
      if (keys.some((key) => key === unseen.column || unseen.column.startsWith(`${key}.`))) {
        this.#unseen.delete(unseen);
      }
    }
    const bound = this.#compile(keys).bind({ columns: null, textual: false, isTimed: this.#isTimed });
    this.#shapes.set(shape, bound);
    return bound;
  }

  #compile(keys: readonly string[]): CompiledMapping {
    return compileMapping({ ...detectMapping(keys), ...this.#stated }, this.#options);
  }

  #takeFilled(): void {
    for (const target of [...this.#unfilled]) {
      const isFilled = [...this.#shapes.values()].some((bound) => !bound.unfilled().includes(target));
      if (isFilled) this.#unfilled.delete(target);
    }
  }
}

/** The keys of the first records, and those declared. */
export function columnsOfRecords(items: readonly RawItem[], declared: readonly string[] = []): string[] {
  const columns = new Set(declared);
  const records = items.filter(({ record }) => record !== null).slice(0, PEEK_RECORDS);
  for (const { record } of records) for (const key of Object.keys(record ?? {})) columns.add(key);
  return [...columns];
}
