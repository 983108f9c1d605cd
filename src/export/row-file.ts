/** Files of formats that write each row by itself: a beginning, and then what each block becomes. */

import type { OrderedRows } from '../readers/ordered.js';
import type { RowSource } from '../readers/rows.js';
import type { EventRow } from '../schema/event.js';
import type { ExportBlocks } from './encoder.js';

/** Writes rows that depend on no rows before them. Bytes are valid until the next call. */
export interface BlockWriter {
  rows(source: RowSource, block: OrderedRows): Uint8Array;
  /** Gives what `rows` gives for the same events. */
  events(events: readonly EventRow[]): Uint8Array;
}

/** Pieces below this are put together, up to `GATHERED_BYTES`: of several experiments a block may be a row or two. */
const SMALL_BYTES = 16 * 1024;
const GATHERED_BYTES = 64 * 1024;

export async function* rowFile(
  blocks: ExportBlocks,
  head: Uint8Array,
  writer: BlockWriter,
): AsyncGenerator<Uint8Array> {
  const gathered = Buffer.allocUnsafeSlow(GATHERED_BYTES + head.length);
  gathered.set(head);
  let used = head.length;
  for await (const some of blocks) {
    for (const block of some) {
      const bytes = 'events' in block ? writer.events(block.events) : writer.rows(block.source, block.block);
      const isSmall = bytes.length < SMALL_BYTES;
      if (used > 0 && !(isSmall && used + bytes.length <= GATHERED_BYTES)) {
        yield gathered.subarray(0, used);
        used = 0;
      }
      if (isSmall) {
        gathered.set(bytes, used);
        used += bytes.length;
      } else {
        yield bytes;
      }
    }
  }
  if (used > 0) yield gathered.subarray(0, used);
}
