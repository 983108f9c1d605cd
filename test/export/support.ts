/** Events for the export tests. */

import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach } from 'vitest';
import type { ExportBlock, ExportEncoder } from '../../src/export/encoder.js';
import type { Chunk, EventSource } from '../../src/export/index.js';
import { CsvReader, TextDecoding } from '../../src/import/index.js';
import { orderedRows } from '../../src/readers/ordered.js';
import type { View } from '../../src/readers/source.js';
import type { EventRow, Json } from '../../src/schema/event.js';

/** A complete event, the given parts replaced. */
export function event(parts: Partial<EventRow> = {}): EventRow {
  return {
    eventId: 'e-00-0000000000',
    eventName: 'req_llm.request.stop',
    timestamp: 1_700_000_000_000_000,
    sequence: 0,
    experimentId: 'EXP',
    experimentName: 'golden',
    condition: 'control',
    tags: [],
    measurements: {},
    metadata: {},
    latencyMs: null,
    costUsd: null,
    costSource: null,
    success: null,
    tokens: null,
    model: null,
    provider: null,
    sessionId: null,
    userId: null,
    sampleId: null,
    cohort: null,
    correlationId: null,
    traceId: null,
    spanId: null,
    malformed: false,
    malformedKeys: [],
    fields: {},
    ...parts,
  };
}

export function sourceOf(...events: EventRow[]): EventSource {
  return async function* () {
    yield* events;
  };
}

/** The whole file of these blocks. */
export async function encoded(
  encoder: ExportEncoder,
  blocks: AsyncIterable<ExportBlock> | Iterable<ExportBlock>,
): Promise<Buffer> {
  async function* oneByOne() {
    for await (const block of blocks) yield [block];
  }
  const pieces: Buffer[] = [];
  // Each is valid until the next is asked for.
  for await (const piece of encoder.encode(oneByOne())) pieces.push(Buffer.from(piece));
  return Buffer.concat(pieces);
}

/** The rows of views, one view after the other, as blocks. */
export async function* blocksOfViews(...views: readonly View[]): AsyncGenerator<ExportBlock> {
  for (const view of views) {
    for await (const block of orderedRows(view)) yield { source: view.source, block };
  }
}

export async function textOf(chunks: AsyncIterable<Chunk>): Promise<string> {
  const parts: Uint8Array[] = [];
  for await (const chunk of chunks) parts.push(typeof chunk === 'string' ? Buffer.from(chunk) : chunk);
  return new TextDecoder('utf-8', { fatal: true }).decode(Buffer.concat(parts));
}

/** The records of a CSV text, read by our own reader. */
export async function readCsv(text: string): Promise<Record<string, Json>[]> {
  const records: Record<string, Json>[] = [];
  for await (const items of new CsvReader(new TextDecoding([Buffer.from(text)])).batches()) {
    for (const { line, record, error } of items) {
      if (record === null) throw new Error(`line ${line}: ${error}`);
      records.push(record);
    }
  }
  return records;
}

/** A fresh folder for each test; call the returned function inside a test for its path. */
export function useFolder(): () => string {
  let dir = '';
  beforeEach(async () => {
    dir = await mkdtemp(join(tmpdir(), 'crucible-export-'));
  });
  afterEach(() => rm(dir, { recursive: true, force: true }));
  return () => dir;
}
