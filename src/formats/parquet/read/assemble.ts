/** Records out of the entries of their columns: lists, structs and maps are put together by their levels. */

import type { Json } from '../../../schema/event.js';
import { setOwn } from '../../reader.js';
import { entriesOf } from '../../values.js';
import type { Column } from './column.js';
import type { Node } from './schema.js';

/** Takes the next value of a node. @throws RangeError where its columns do not fit together */
export function assemble(node: Node, columns: readonly Column[]): Json {
  if (node.kind === 'leaf') return columns[node.leaf.index].take();
  const first = columns[node.leaves[0]];
  if (first.definition < node.definition) return nothing(node.leaves, columns, null);
  if (node.kind === 'struct') {
    const object: Record<string, Json> = {};
    for (const [name, child] of node.children) setOwn(object, name, assemble(child, columns));
    return object;
  }
  if (first.definition < node.itemDefinition)
    return nothing(node.leaves, columns, node.kind === 'map' ? {} : []);
  const items: Json[] = [];
  do items.push(assemble(node.item, columns));
  while (first.repetition === node.itemRepetition);
  return node.kind === 'map' ? entriesOf(items) : items;
}

/** All columns below a null or an empty list have one entry that stands for it. */
function nothing(leaves: readonly number[], columns: readonly Column[], value: Json): Json {
  for (const leaf of leaves) columns[leaf].take();
  return value;
}
