/** An encoder that gathers rows as columns, and gives bytes when it has enough of them. */

import type { OrderedRows } from '../../readers/ordered.js';
import type { RowSource } from '../../readers/rows.js';
import type { EventRow } from '../../schema/event.js';
import type { SchemaColumn } from '../columns.js';
import type { ExportEncoder } from '../encoder.js';
import type { ColumnPlan } from '../plan.js';
import { RowGatherer } from './gatherer.js';
import { type TypedColumn, typedSchema } from './schema.js';

export const NOTHING = new Uint8Array(0);

/** Bytes of numbers that are gathered; what is gathered of many columns has fewer rows. */
const GATHERED_BYTES = 24 << 20;
const ROWS_MIN = 1024;

export abstract class GatheringEncoder implements ExportEncoder {
  readonly schema: readonly SchemaColumn[];
  readonly additionalKeys = false;
  protected readonly gatherer: RowGatherer;

  /** @param rowsMax - rows that are gathered before they are encoded, at most */
  constructor(columns: readonly TypedColumn[], plan: ColumnPlan, rowsMax: number) {
    this.schema = typedSchema(columns);
    const fitting = Math.floor(GATHERED_BYTES / (8 * columns.length));
    this.gatherer = new RowGatherer(columns, plan, Math.min(rowsMax, Math.max(fitting, ROWS_MIN)));
  }

  abstract header(): Uint8Array;
  abstract footer(): Uint8Array | Promise<Uint8Array>;
  /** The bytes of the rows gathered; valid until the next call. */
  protected abstract encode(): Uint8Array;

  rows(source: RowSource, block: OrderedRows): Uint8Array {
    return this.gather(block.rows.length, (from) => this.gatherer.addRows(source, block, from));
  }

  events(events: readonly EventRow[]): Uint8Array {
    return this.gather(events.length, (from) => this.gatherer.addEvents(events, from));
  }

  /** Encodes what is gathered, if anything is. */
  protected take(): Uint8Array {
    if (this.gatherer.rows === 0) return NOTHING;
    this.gatherer.resolve();
    const bytes = this.encode();
    this.gatherer.reset();
    return bytes;
  }

  private gather(count: number, add: (from: number) => number): Uint8Array {
    let bytes: Uint8Array = NOTHING;
    for (let from = 0; from < count; ) {
      from += add(from);
      if (!this.gatherer.isFull) continue;
      // What comes next overwrites what has been encoded.
      const earlier = bytes.length === 0 ? bytes : bytes.slice();
      const next = this.take();
      bytes = earlier.length === 0 ? next : Buffer.concat([earlier, next]);
    }
    return bytes;
  }
}
