/** Shared pieces of the import tests: bytes in arbitrary chunks, files in a scratch folder. */

import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll } from 'vitest';
import {
  type ImportedRecord,
  type ImportFileOptions,
  type ImportSummary,
  importRecords,
  type RawItem,
  type RecordReader,
} from '../../src/import/index.js';

/** UTF-8 bytes of `text`, cut at the given places (any numbers; taken modulo the length). */
export function chunked(text: string, cuts: readonly number[]): Uint8Array[] {
  const bytes = new TextEncoder().encode(text);
  const places = [...new Set(cuts.map((cut) => cut % (bytes.length + 1)))].sort((a, b) => a - b);
  const chunks: Uint8Array[] = [];
  let start = 0;
  for (const place of [...places, bytes.length]) {
    chunks.push(bytes.subarray(start, place));
    start = place;
  }
  return chunks;
}

export async function collect<T>(items: AsyncIterable<T>): Promise<T[]> {
  const all: T[] = [];
  for await (const item of items) all.push(item);
  return all;
}

/** The records of a reader, one by one. */
export async function itemsOf(reader: RecordReader): Promise<RawItem[]> {
  return (await collect(reader.batches())).flat();
}

/** Registers a scratch folder for the suite; returns a function that writes a file in it. */
export function useScratch(): (name: string, content: string | Uint8Array) => Promise<string> {
  let dir = '';
  beforeAll(async () => {
    dir = await mkdtemp(join(tmpdir(), 'crucible-import-'));
  });
  afterAll(() => rm(dir, { recursive: true, force: true }));
  return async (name, content) => {
    const path = join(dir, name);
    await writeFile(path, content);
    return path;
  };
}

export async function importAll(
  path: string,
  options: ImportFileOptions = {},
): Promise<ImportSummary & { records: ImportedRecord[] }> {
  const records: ImportedRecord[] = [];
  const summary = await importRecords(path, options, (record) => {
    records.push(record);
  });
  return { ...summary, records };
}
