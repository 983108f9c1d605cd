/** The typed columns of an Arrow or Parquet file. */

import type { ColumnType } from '../../schema/columns.js';
import type { Json } from '../../schema/event.js';
import { VERSION } from '../../version.js';
import type { EncodeOptions, ExperimentAbout } from '../encoder.js';
import {
  type ColumnNode,
  type ColumnPlan,
  KIND_BOOL,
  KIND_INTEGER,
  KIND_NULL,
  KIND_NUMBER,
  KIND_TEXT,
} from '../plan.js';
import { jsonText } from '../text.js';
import { COST_SOURCE, FIXED_TEXTS } from './fixed.js';
import { TextSet } from './text-set.js';

/** timestamp: µs since the Unix epoch, UTC. */
export type ValueType = 'float64' | 'int64' | 'int32' | 'uint32' | 'timestamp' | 'bool' | 'text';

export interface TypedColumn {
  readonly name: string;
  readonly type: ValueType;
  readonly nullable: boolean;
  /** The texts there are, which rows refer to by code; null where they are written out. Only of texts. */
  readonly texts: TextSet | null;
  /** Where the values are JSON text of values that no one type holds. */
  readonly json: boolean;
  readonly unit: string | null;
  /** The place in the tree of paths; null for a column that every file has. */
  readonly node: ColumnNode | null;
}

/** The columns of JSON text that `flatten: false` has in the place of the flattened ones. */
export const JSON_PARTS = ['measurements', 'metadata'] as const;

const ALL_WHOLE = KIND_NULL | KIND_INTEGER;

/** The columns in file order, which is by name. */
export function typedColumns(plan: ColumnPlan, { flatten = true }: EncodeOptions): TypedColumn[] {
  const fixed = fixedColumns(plan, flatten);
  if (!flatten) return fixed.sort((a, b) => (a.name < b.name ? -1 : 1));
  return plan.layout(fixed).map((column) => {
    const { name, fixed: typed, node } = column;
    return typed ?? { name, nullable: true, unit: null, node, ...openType(node!) };
  });
}

function fixedColumns(plan: ColumnPlan, flatten: boolean): TypedColumn[] {
  const column = (name: string, type: ValueType, rest: Partial<TypedColumn> = {}): TypedColumn => ({
    name,
    type,
    nullable: true,
    texts: null,
    json: false,
    unit: null,
    node: null,
    ...rest,
  });
  const tokens: ValueType = (plan.tokenKinds & ~ALL_WHOLE) === 0 ? 'int64' : 'float64';
  const required = { nullable: false };
  const base = [
    column('cost_usd', 'float64', { unit: 'USD' }),
    column('event_id', 'text', required),
    column('latency_ms', 'float64', { unit: 'ms' }),
    // Not among the reference's columns: it tells apart what has the same time.
    column('sequence', 'int64', required),
    column('success', 'bool'),
    column('timestamp', 'timestamp', { ...required, unit: 'us' }),
  ];
  const extra = [
    column(COST_SOURCE, 'text', { texts: dictionary(plan.texts.get(COST_SOURCE)) }),
    column('malformed', 'bool', required),
    column('tokens_completion', tokens, { unit: 'tokens' }),
    column('tokens_prompt', tokens, { unit: 'tokens' }),
    column('tokens_total', tokens, { unit: 'tokens' }),
  ];
  const texts = FIXED_TEXTS.filter((text) => flatten || text.base).map(({ name, required, json = false }) =>
    column(name, 'text', { nullable: !required, json, texts: dictionary(plan.texts.get(name)) }),
  );
  const parts = JSON_PARTS.map((name) => column(name, 'text', { ...required, json: true }));
  return [...base, ...texts, ...(flatten ? extra : parts)];
}

/** The texts, unless they were too many. */
function dictionary(texts: TextSet | undefined): TextSet | null {
  return texts === undefined || texts.isOverfull ? null : texts;
}

/** What the declared types allow. */
function fits(type: ColumnType, { kinds, least, greatest }: ColumnNode): boolean {
  const only = (allowed: number) => (kinds & ~(allowed | KIND_NULL)) === 0;
  switch (type) {
    case 'f64':
      return only(KIND_INTEGER | KIND_NUMBER);
    case 'i32':
      return only(KIND_INTEGER) && !(least < -(2 ** 31)) && !(greatest >= 2 ** 31);
    case 'u32':
      return only(KIND_INTEGER) && !(least < 0) && !(greatest >= 2 ** 32);
    case 'bool':
      return only(KIND_BOOL);
    case 'dict':
      return only(KIND_TEXT);
  }
}

const DECLARED: Readonly<Record<ColumnType, ValueType>> = {
  f64: 'float64',
  i32: 'int32',
  u32: 'uint32',
  bool: 'bool',
  dict: 'text',
};

/** As declared if all its values are so, else what all of them are, else JSON text. */
function openType(node: ColumnNode): Pick<TypedColumn, 'type' | 'texts' | 'json'> {
  const number = (type: ValueType) => ({ type, texts: null, json: false });
  const [declared] = node.declared.size === 1 ? node.declared : [];
  if (declared !== undefined && declared !== 'dict' && fits(declared, node))
    return number(DECLARED[declared]);
  const kinds = node.kinds & ~KIND_NULL;
  if (kinds === KIND_BOOL) return number('bool');
  if (kinds === KIND_INTEGER) return number('int64');
  if (kinds !== 0 && (kinds & ~(KIND_INTEGER | KIND_NUMBER)) === 0) return number('float64');
  const json = (kinds & ~KIND_TEXT) !== 0;
  return { type: 'text', json, texts: json ? null : dictionary(node.texts ?? new TextSet()) };
}

/** What a file tells of itself, for whoever finds it. Values that are no text are JSON. */
export function fileMetadata(
  columns: readonly TypedColumn[],
  about: readonly ExperimentAbout[],
): Record<string, string> {
  const counts = about.flatMap((experiment) => experiment.counts ?? []);
  const total = (of: 'dropped' | 'malformed') => String(counts.reduce((sum, each) => sum + each[of], 0));
  const schema = columns.map(({ name, ...column }) => ({ name, ...columnMetadata(column) }));
  return {
    'crucible.version': VERSION,
    'crucible.experiments': jsonText(about as unknown as Json),
    ...(counts.length === 0
      ? {}
      : { 'crucible.dropped': total('dropped'), 'crucible.malformed': total('malformed') }),
    'crucible.columns': jsonText(schema),
  };
}

/** What is told of a column beside its type. */
export function columnMetadata({ unit, json }: Pick<TypedColumn, 'unit' | 'json'>): Record<string, string> {
  return { ...(unit === null ? {} : { unit }), ...(json ? { encoding: 'json' } : {}) };
}
