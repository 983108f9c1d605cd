/**
 * A Parquet schema as the tree that records are put together by.
 *
 * A column's definition level says how much of the path to a value is there, its repetition level which list the value
 * goes on with. Both are compared with what the nodes here say.
 */

import { memberNames } from '../../column-names.js';
import { COLUMNS_MAX } from '../../reader.js';
import { unsupported } from './metadata.js';
import type { ThriftStruct } from './thrift.js';
import { type LeafType, leafType } from './types.js';

export interface Leaf extends LeafType {
  readonly name: string;
  /** Its place among the columns of a row group. */
  readonly index: number;
  readonly definitionMax: number;
  readonly repetitionMax: number;
}

export type Node =
  | { readonly kind: 'leaf'; readonly leaf: Leaf }
  | {
      readonly kind: 'struct';
      /** Below that definition level it is null. */
      readonly definition: number;
      readonly children: readonly (readonly [string, Node])[];
      readonly leaves: readonly number[];
    }
  | {
      readonly kind: 'list' | 'map';
      /** Below that definition level it is null; below the items' it is empty. */
      readonly definition: number;
      readonly itemDefinition: number;
      /** An item that is not the first has this repetition level. */
      readonly itemRepetition: number;
      /** Of a map: a struct of a key and, unless there are only keys, a value. */
      readonly item: Node;
      readonly leaves: readonly number[];
    };

export interface Schema {
  readonly columns: readonly (readonly [string, Node])[];
  readonly leaves: readonly Leaf[];
}

const REQUIRED = 0;
const OPTIONAL = 1;
const REPEATED = 2;

const CONVERTED_MAP = 1;
const CONVERTED_MAP_KEY_VALUE = 2;
const CONVERTED_LIST = 3;
const LOGICAL_MAP = 2;
const LOGICAL_LIST = 3;
const LOGICAL_VARIANT = 16;

const DEPTH_MAX = 64;

interface Levels {
  readonly definition: number;
  readonly repetition: number;
  readonly depth: number;
}

/** @throws RangeError for what is no schema, ImportError for what is not supported */
export function readSchema(elements: readonly ThriftStruct[], isOwn: boolean): Schema {
  const leaves: Leaf[] = [];
  let at = 0;

  const root = next();
  const count = root.size(5, elements.length);
  if (elements.length > COLUMNS_MAX * 4) throw new RangeError(`there are ${elements.length} columns`);
  const columns = Array.from({ length: count }, () => field({ definition: 0, repetition: 0, depth: 0 }));
  if (at !== elements.length) throw new RangeError('the schema is damaged');
  if (leaves.length > COLUMNS_MAX) throw new RangeError(`there are ${leaves.length} columns`);
  return { columns, leaves };

  function next(): ThriftStruct {
    const element = elements[at++];
    if (element === undefined) throw new RangeError('the schema ends early');
    return element;
  }

  function field({ definition, repetition, depth }: Levels): readonly [string, Node] {
    if (depth > DEPTH_MAX) throw new RangeError(`columns are nested more than ${DEPTH_MAX} deep`);
    const element = next();
    const name = element.text(4) ?? '';
    const inner = { definition, repetition, depth: depth + 1 };
    // Some writers leave it out.
    switch (element.has(3) ? element.size(3, REPEATED) : REQUIRED) {
      case REQUIRED:
        return [name, body(element, name, inner)];
      case OPTIONAL:
        return [name, body(element, name, { ...inner, definition: definition + 1 })];
      default: {
        // A list that is not said to be one: it is never null.
        const items = itemLevels({ definition, repetition, depth });
        return [name, repeated('list', definition, items, () => body(element, name, items))];
      }
    }
  }

  function body(element: ThriftStruct, name: string, levels: Levels): Node {
    const children = element.has(5) ? element.size(5, elements.length) : 0;
    if (children === 0) {
      if (!element.has(1)) throw unsupported(`the group ${JSON.stringify(name)}, which has no columns`);
      return leaf(element, name, levels);
    }
    if (element.struct(10)?.kind === LOGICAL_VARIANT) {
      throw unsupported(`the column ${JSON.stringify(name)} of the type VARIANT`);
    }
    const first = elements[at];
    const isRepeated = children === 1 && first?.number(3) === REPEATED;
    if (isRepeated && isKind(element, LOGICAL_LIST, CONVERTED_LIST)) return list(name, levels);
    if (isRepeated && isKind(element, LOGICAL_MAP, CONVERTED_MAP, CONVERTED_MAP_KEY_VALUE)) {
      const fields = first.number(5) ?? 0;
      if (fields === 1 || fields === 2) return map(levels);
    }
    return struct(levels.definition, children, levels);
  }

  function leaf(element: ThriftStruct, name: string, { definition, repetition }: Levels): Node {
    const value: Leaf = {
      ...leafType(element, isOwn),
      name,
      index: leaves.length,
      definitionMax: definition,
      repetitionMax: repetition,
    };
    leaves.push(value);
    return { kind: 'leaf', leaf: value };
  }

  function struct(definition: number, count: number, levels: Levels): Node {
    const from = leaves.length;
    const fields = Array.from({ length: count }, () => field(levels));
    const names = memberNames(fields.map(([name]) => name));
    const children = fields.map(([, node], i) => [names[i], node] as const);
    return { kind: 'struct', definition, children, leaves: since(from) };
  }

  function repeated(kind: 'list' | 'map', definition: number, items: Levels, item: () => Node): Node {
    const from = leaves.length;
    const node = item();
    return {
      kind,
      definition,
      itemDefinition: items.definition,
      itemRepetition: items.repetition,
      item: node,
      leaves: since(from),
    };
  }

  /** The repeated field of a list is its item in older files, and has the item as its only field in newer ones. */
  function list(name: string, levels: Levels): Node {
    const element = next();
    const items = itemLevels(levels);
    const itemName = element.text(4) ?? '';
    const isItem =
      element.number(5) !== 1 ||
      itemName === 'array' ||
      itemName === `${name}_tuple` ||
      elements[at]?.number(3) === REPEATED;
    return repeated('list', levels.definition, items, () =>
      isItem ? body(element, itemName, items) : field(items)[1],
    );
  }

  function map(levels: Levels): Node {
    const element = next();
    const items = itemLevels(levels);
    return repeated('map', levels.definition, items, () =>
      struct(items.definition, element.size(5, 2), items),
    );
  }

  function since(from: number): number[] {
    return Array.from({ length: leaves.length - from }, (_, i) => from + i);
  }
}

function itemLevels({ definition, repetition, depth }: Levels): Levels {
  return { definition: definition + 1, repetition: repetition + 1, depth: depth + 1 };
}

function isKind(element: ThriftStruct, logical: number, ...converted: readonly number[]): boolean {
  const kind = element.struct(10)?.kind;
  return kind === logical || (kind === undefined && converted.includes(element.number(6) ?? -1));
}
