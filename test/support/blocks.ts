/** Blocks of rows made up by hand: any columns, tags and bindings, in any order. */

import { FLAG_BLOB } from '../../assembly/layout.js';
import { MsgpackWriter } from '../../src/formats/msgpack/stored-value.js';
import type { OrderedRows } from '../../src/readers/ordered.js';
import { RowTable } from '../../src/readers/row-table.js';
import type { RowSource } from '../../src/readers/rows.js';
import type { Binding } from '../../src/ring/bindings.js';
import type { EventRow, Json } from '../../src/schema/event.js';

export interface MadeRow {
  readonly timeUs: number;
  readonly latencyMs: number;
  readonly costUsd: number;
  readonly prompt: number;
  readonly completion: number;
  /** Its binding's id, and flags; FLAG_BLOB goes by `captured`. */
  readonly tag: number;
  readonly sequence: number;
  readonly producer: number;
  /** Metadata and measurements of a row that was captured. */
  readonly captured?: readonly [Record<string, Json>, Record<string, Json>];
}

export interface Identity {
  readonly id: string;
  readonly name: string;
  readonly condition: string;
  readonly tags: readonly string[];
}

export function sourceOfBindings(bindings: readonly Binding[], identity: Identity): RowSource {
  return {
    experimentId: identity.id,
    experimentName: identity.name,
    condition: identity.condition,
    tags: identity.tags,
    priceVersion: '1',
    columns: [],
    binding: (id) => bindings[id]!,
    text: () => '',
  };
}

/** The rows as a table, and `order` of them as a block. */
export function blockOf(made: readonly MadeRow[], order: readonly number[]): OrderedRows {
  const table = new RowTable();
  for (const row of made) {
    const bytes = new ArrayBuffer(4096);
    const out = new MsgpackWriter(bytes, 0, bytes.byteLength);
    for (const part of row.captured ?? []) out.value(part);
    table.add(
      {
        firstSequence: row.sequence,
        producer: row.producer,
        rows: 1,
        timeUs: Float64Array.of(row.timeUs),
        latencyMs: Float64Array.of(row.latencyMs),
        costUsd: Float64Array.of(row.costUsd),
        promptTokens: Int32Array.of(row.prompt),
        completionTokens: Int32Array.of(row.completion),
        tags: Uint32Array.of(row.captured === undefined ? row.tag : row.tag | FLAG_BLOB),
        blobOffsets: Uint32Array.of(0),
        blob: Buffer.from(bytes, 0, out.position),
        declared: [],
      },
      Uint32Array.of(0),
    );
  }
  return { table, rows: Uint32Array.from(order), events: undefined };
}

export function eventsOfBlock(source: RowSource, { table, rows }: OrderedRows): EventRow[] {
  return Array.from(rows, (row) => table.event(source, row));
}
