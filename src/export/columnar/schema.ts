/** The typed columns of an Arrow or Parquet file. */

import { columnMetadata, type FileColumn } from '../../formats/columns/column.js';
import { TextSet } from '../../formats/columns/text-set.js';
import { jsonText } from '../../formats/text.js';
import type { Json } from '../../schema/event.js';
import { VERSION } from '../../version.js';
import { BASE_COLUMNS, EXTRA_COLUMNS, type SchemaColumn } from '../columns.js';
import type { EncodeOptions, ExperimentAbout } from '../encoder.js';
import type { ColumnNode, ColumnPlan } from '../plan.js';
import { fixedType, openType } from '../schema.js';

export interface TypedColumn extends FileColumn {
  /** The place in the tree of paths; null for a column that every file has. */
  readonly node: ColumnNode | null;
}

/** The columns of JSON text that `flatten: false` has in the place of the flattened ones. */
export const JSON_PARTS = ['measurements', 'metadata'] as const;

/** The columns in file order, which is by name. */
export function typedColumns(plan: ColumnPlan, { flatten = true }: EncodeOptions): TypedColumn[] {
  const fixed = fixedColumns(plan, flatten);
  if (!flatten) return fixed.sort((a, b) => (a.name < b.name ? -1 : 1));
  return plan.layout(fixed).map(({ name, fixed: typed, node }) => typed ?? openColumn(name, node));
}

function fixedColumns(plan: ColumnPlan, flatten: boolean): TypedColumn[] {
  const rest = { texts: null, json: false, unit: null, node: null };
  const shared = [...BASE_COLUMNS, ...(flatten ? EXTRA_COLUMNS : [])]
    // Here the timestamp itself is a time.
    .filter(({ name }) => name !== 'datetime')
    .map((column): TypedColumn => {
      const { name, type, nullable, unit = null } = column;
      const texts = dictionary(plan.texts.get(name));
      return { ...rest, name, type: fixedType(column, plan), nullable, unit, texts, json: type === 'list' };
    });
  // Not among the reference's columns: it tells apart what has the same time.
  const sequence = { ...rest, name: 'sequence', type: 'int64', nullable: false } as const;
  const parts = JSON_PARTS.map(
    (name) => ({ ...rest, name, type: 'text', nullable: false, json: true }) as const,
  );
  return [...shared, sequence, ...(flatten ? [] : parts)];
}

function openColumn(name: string, node: ColumnNode): TypedColumn {
  const { type, mixed: json } = openType(node);
  const texts = type === 'text' && !json ? dictionary(node.texts ?? new TextSet()) : null;
  return { name, type, nullable: true, texts, json, unit: null, node };
}

/** The columns as they are told. */
export function typedSchema(columns: readonly TypedColumn[]): SchemaColumn[] {
  return columns.map(({ name, type, nullable, unit, json }) => ({
    name,
    type,
    nullable,
    ...(unit !== null && { unit }),
    ...(json && { encoding: 'json' }),
  }));
}

/** The texts, unless they were too many. */
function dictionary(texts: TextSet | undefined): TextSet | null {
  return texts === undefined || texts.isOverfull ? null : texts;
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
