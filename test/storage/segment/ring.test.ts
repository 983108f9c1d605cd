/** From the ring to a segment and back: the events are the same. */
import { describe, expect, it } from 'vitest';
import { CHUNK_ROWS, FLAG_BLOB, STRINGS } from '../../../assembly/layout.js';
import { decodeRow, type RowSource } from '../../../src/readers/rows.js';
import type { Batch } from '../../../src/ring/batch.js';
import type { Binding } from '../../../src/ring/bindings.js';
import { Dictionary } from '../../../src/ring/dictionary.js';
import type { EventRow, Json } from '../../../src/schema/event.js';
import { SegmentEncoder } from '../../../src/storage/segment/encoder.js';
import { NO_LOSSES, type SegmentColumns } from '../../../src/storage/segment/format.js';
import { readBatch } from '../../../src/storage/segment/reader.js';
import { scanSegment } from '../../../src/storage/segment/scan.js';
import { batchesOf, makeRing, type TestRing } from '../../support/ring.js';
import { ALL_COLUMNS, fileOf, identityOf } from './support.js';

function sourceOf(
  columns: SegmentColumns,
  binding: (id: number) => Binding,
  text: (id: number) => string,
): RowSource {
  const names = { experimentId: 'exp-1', experimentName: 'test', condition: '', priceVersion: '2026-01' };
  return { ...names, tags: [], columns, binding, text };
}

function rowsOf(source: RowSource, batch: Batch): EventRow[] {
  return Array.from({ length: batch.rows }, (_, i) => decodeRow(source, batch, i));
}

function bindingFrom(text: string): Binding {
  const [event, model, provider, bound] = JSON.parse(text) as [string, string, string, Record<string, Json>];
  return { event, model, provider, bound };
}

/** Rows `from` to `to` of a batch; the byte area is the chunk's up to these rows' end. */
function part(batch: Batch, from: number, to: number): Batch {
  const next = batch.tags.findIndex((tag, row) => row >= to && (tag & FLAG_BLOB) !== 0);
  const last = next < 0 ? batch.blob.length : batch.blobOffsets[next];
  return {
    ...batch,
    firstSequence: batch.firstSequence + from,
    rows: to - from,
    timeUs: batch.timeUs.subarray(from, to),
    latencyMs: batch.latencyMs.subarray(from, to),
    costUsd: batch.costUsd.subarray(from, to),
    promptTokens: batch.promptTokens.subarray(from, to),
    completionTokens: batch.completionTokens.subarray(from, to),
    tags: batch.tags.subarray(from, to),
    blobOffsets: batch.blobOffsets.subarray(from, to),
    blob: batch.blob.subarray(0, last),
    declared: batch.declared.map((values) => values.subarray(from, to)),
  };
}

function fill(ring: TestRing): void {
  const writer = ring.writer();
  const recorder = writer.recorder('recorded', { model: 'big', provider: 'acme', note: 'bound' });
  for (let i = 0; i < 2500; i++) {
    if (i % 5 === 0) recorder.recordAt(1e15 + i, i, i / 8, i, -1, i % 2 === 0);
    writer.capture(
      `event ${i % 4}`,
      { latencyMs: i / 3, score: i },
      {
        model: i % 3 === 0 ? `model ${i % 20}` : undefined,
        tokens: i % 2 === 0 ? { prompt: i, completion: 2 * i, total: 3 * i } : undefined,
        temperature: i % 6 === 0 ? i / 10 : undefined,
        offset: 3 - i,
        size: 4_294_967_295 - i,
        cached: i % 3 === 0 ? undefined : i % 2 === 0,
        label: `label ${i % 30}`,
        region: i % 2 === 0 ? 'eu' : 7,
        text: 'x'.repeat(i % 33),
      },
      undefined,
      1e15 + i + 0.25,
    );
  }
  writer.ring.publish();
}

describe.each([
  { name: 'with declared columns', columns: ALL_COLUMNS },
  { name: 'without declared columns', columns: [] },
])('a ring $name', ({ columns }) => {
  it.each([CHUNK_ROWS, 256, 7])('gives the same events from a segment, in batches of %i rows', (step) => {
    const ring = makeRing({ capacityRows: 8192, columns });
    fill(ring);
    const strings = new Dictionary(ring.memory.buffer, STRINGS);
    const encoder = new SegmentEncoder(identityOf(columns));
    encoder.begin();
    encoder.bindings(ring.bindings.size, (id) => ring.bindings.binding(id));
    encoder.strings(strings.size, (id) => strings.text(id));
    const batches = batchesOf(ring);
    for (const batch of batches) {
      const chunk = batch.firstSequence / CHUNK_ROWS;
      for (let from = 0; from < batch.rows; from += step) {
        const rows = part(batch, from, Math.min(from + step, batch.rows));
        encoder.batch(rows, chunk, from, NO_LOSSES);
      }
    }
    encoder.end();

    const files = fileOf(Buffer.from(encoder.take()));
    const index = scanSegment(files, 'segment', { verifyBodies: true });
    expect(index).toMatchObject({ ended: true, damage: [] });
    const fromRing = sourceOf(
      columns,
      (id) => ring.bindings.binding(id),
      (id) => strings.text(id),
    );
    const fromFile = sourceOf(
      columns,
      (id) => bindingFrom(index.bindings[id]!),
      (id) => index.strings[id]!,
    );
    const captured = batches.flatMap((batch) => [...rowsOf(fromRing, batch)]);
    const kept = index.entries.flatMap((entry) => [
      ...rowsOf(fromFile, readBatch(files, 1, entry, columns, index)),
    ]);
    expect(captured.length).toBe(3000);
    expect(kept).toEqual(captured);
    // Were a single text another one, the comparison would tell.
    index.bindings[1] = JSON.stringify(['another', null, null, {}]);
    expect([...rowsOf(fromFile, readBatch(files, 1, index.entries[0]!, columns, index))]).not.toEqual(
      captured.slice(0, index.entries[0]!.rows),
    );
  });
});
