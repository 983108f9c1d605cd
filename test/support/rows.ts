/** Rows without a ring: batches made up by hand, and refs that tell what is asked of them. */

import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { FLAG_BLOB, FLAG_SUCCEEDED } from '../../assembly/layout.js';
import { MsgpackWriter } from '../../src/formats/msgpack/stored-value.js';
import { compileFilter } from '../../src/readers/filter.js';
import type { RowSource } from '../../src/readers/rows.js';
import { openView, type View } from '../../src/readers/source.js';
import type { Batch, BatchRef } from '../../src/ring/batch.js';
import type { Filter } from '../../src/schema/event.js';

/** All events are 'e', bound to nothing. */
export const SOURCE: RowSource = {
  experimentId: 'x',
  experimentName: 'x',
  condition: 'default',
  tags: [],
  priceVersion: '1',
  columns: [{ name: 'column', type: 'f64' }],
  binding: () => ({ event: 'e', model: null, provider: null, bound: {} }),
  text: () => '',
};

export interface Rows {
  readonly firstSequence: number;
  readonly timesUs: readonly number[];
  readonly producer?: number;
  /** Bytes of text in the metadata of every third row; none by default. */
  readonly padBytes?: number;
}

/** A batch whose latencies and declared column hold the sequence modulo 2^20, as does what is captured. */
export function makeBatch({ firstSequence, timesUs, producer = 0, padBytes = 0 }: Rows): Batch {
  const rows = timesUs.length;
  const blob = new ArrayBuffer(rows * (padBytes + 64));
  const out = new MsgpackWriter(blob, 0, blob.byteLength);
  const blobOffsets = new Uint32Array(rows);
  const tags = new Uint32Array(rows).fill(1 | FLAG_SUCCEEDED);
  const values = Float64Array.from(timesUs, (_, i) => rowValue(firstSequence + i));
  if (padBytes > 0) {
    for (let row = 0; row < rows; row += 3) {
      blobOffsets[row] = out.position;
      tags[row] |= FLAG_BLOB;
      out.value({ value: values[row], pad: 'x'.repeat(padBytes) });
      out.value({});
    }
  }
  return {
    firstSequence,
    producer,
    rows,
    timeUs: Float64Array.from(timesUs),
    latencyMs: values,
    costUsd: new Float64Array(rows).fill(Number.NaN),
    promptTokens: new Int32Array(rows).fill(-1),
    completionTokens: new Int32Array(rows).fill(-1),
    tags,
    blobOffsets,
    blob: Buffer.from(blob, 0, out.position),
    declared: [values.slice()],
  };
}

export const rowValue = (sequence: number) => sequence % 2 ** 20;

/** A ref to rows that are made when they are read. */
export function refTo(rows: Rows, read: (batch: Batch) => ReturnType<BatchRef['read']> = (b) => b): BatchRef {
  const { firstSequence, timesUs, producer = 0 } = rows;
  return {
    firstSequence,
    rows: timesUs.length,
    producer,
    timeMinUs: timesUs.reduce((a, b) => Math.min(a, b)),
    timeMaxUs: timesUs.reduce((a, b) => Math.max(a, b)),
    read: () => read(makeBatch(rows)),
  };
}

export function viewOf(refs: readonly BatchRef[], filter?: Filter): View {
  return openView({ source: SOURCE, snapshot: () => ({ refs }) }, compileFilter(filter, SOURCE));
}

export async function collect<T>(items: AsyncIterable<T>): Promise<T[]> {
  const all: T[] = [];
  for await (const item of items) all.push(item);
  return all;
}

setFlagsFromString('--expose-gc');
const collectGarbage = runInNewContext('gc') as () => void;

/** Counts batches that somebody still holds. */
export class LiveBatches {
  most = 0;
  reads = 0;
  #batches: WeakRef<Batch>[] = [];
  readonly #every: number;

  /** @param every - looks at every so manieth read */
  constructor(every = 1) {
    this.#every = every;
  }

  async handOut(batch: Batch): Promise<Batch> {
    if (this.reads++ % this.#every === 0) {
      // A target of a WeakRef lives at least as long as the task that made it.
      await new Promise((resolve) => setImmediate(resolve));
      collectGarbage();
      this.#batches = this.#batches.filter((held) => held.deref() !== undefined);
      this.most = Math.max(this.most, this.#batches.length);
    }
    this.#batches.push(new WeakRef(batch));
    return batch;
  }
}
