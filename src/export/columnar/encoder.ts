/** Files of batches of columns: rows are gathered, and encoded when there are enough of them. */

import type { ColumnarFile } from '../../formats/columns/file.js';
import type { ExportBlocks, ExportEncoder } from '../encoder.js';
import type { ColumnPlan } from '../plan.js';
import { RowGatherer } from './gatherer.js';
import { type TypedColumn, typedSchema } from './schema.js';

/** Bytes of numbers that are gathered; what is gathered of many columns has fewer rows. */
const GATHERED_BYTES = 24 << 20;
const ROWS_MIN = 1024;

/**
 * @param rowsMax - rows of a batch, at most
 * @param begin - begins a file
 */
export function columnarEncoder(
  columns: readonly TypedColumn[],
  plan: ColumnPlan,
  rowsMax: number,
  begin: () => ColumnarFile,
): ExportEncoder {
  const fitting = Math.max(Math.floor(GATHERED_BYTES / (8 * columns.length)), ROWS_MIN);
  return {
    schema: typedSchema(columns),
    additionalKeys: false,
    encode: (blocks) => batches(blocks, new RowGatherer(columns, plan, Math.min(rowsMax, fitting)), begin()),
  };
}

async function* batches(
  blocks: ExportBlocks,
  gatherer: RowGatherer,
  file: ColumnarFile,
): AsyncGenerator<Uint8Array> {
  const taken = () => {
    gatherer.resolve();
    const bytes = file.batch(gatherer);
    gatherer.reset();
    return bytes;
  };
  let isBegun = false;
  for await (const some of blocks) {
    if (!isBegun) yield file.head;
    isBegun = true;
    for (const block of some) {
      const count = 'events' in block ? block.events.length : block.block.rows.length;
      for (let from = 0; from < count; ) {
        from +=
          'events' in block
            ? gatherer.addEvents(block.events, from)
            : gatherer.addRows(block.source, block.block, from);
        if (gatherer.isFull) yield taken();
      }
    }
  }
  if (!isBegun) yield file.head;
  if (gatherer.rows > 0) yield taken();
  yield file.end();
}
