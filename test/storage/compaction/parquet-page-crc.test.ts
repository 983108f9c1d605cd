/** Pages of archives and of compacted segments have checksums that every reader of Parquet knows. */

import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { crc32 } from 'node:zlib';
import { type FileMetaData, parquetMetadata, parquetReadObjects } from 'hyparquet';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { ThriftReader } from '../../../src/formats/parquet/read/thrift.js';
import { Crucible } from '../../../src/index.js';

let dir: string;
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'crucible-page-crc-'));
});
afterEach(() => rmSync(dir, { recursive: true }));

/** Where the bodies of all pages are; each has its checksum. */
function bodiesOf(file: Buffer, { row_groups }: FileMetaData): { start: number; end: number }[] {
  return row_groups.flatMap(({ columns, total_compressed_size }) => {
    const bodies = columns.flatMap(({ meta_data: column }) => {
      const start = Number(column!.dictionary_page_offset ?? column!.data_page_offset);
      const end = start + Number(column!.total_compressed_size);
      const found: { start: number; end: number }[] = [];
      for (let at = start; at < end; ) {
        const reader = new ThriftReader(file.subarray(at, end), 'the head of a page');
        const head = reader.struct();
        const body = { start: at + reader.position, end: at + reader.position + head.number(3)! };
        expect(head.number(4)! | 0).toBe(crc32(file.subarray(body.start, body.end)) | 0);
        if (head.number(1) !== 2 && found.length === (column!.dictionary_page_offset === undefined ? 0 : 1))
          expect(at).toBe(Number(column!.data_page_offset));
        found.push(body);
        at = body.end;
      }
      expect(found.at(-1)?.end).toBe(end);
      return found;
    });
    const sizes = columns.reduce((sum, { meta_data }) => sum + Number(meta_data!.total_compressed_size), 0);
    expect(Number(total_compressed_size)).toBe(sizes);
    return bodies;
  });
}

const metadataOf = (file: Buffer) => parquetMetadata(Uint8Array.from(file).buffer);

it('pages of a compacted segment have checksums', async () => {
  await using crucible = new Crucible({ dir, workers: 0 });
  const experiment = crucible.startExperiment({ name: 'compacted', columns: { score: 'f64' } });
  for (let i = 0; i < 9000; i++) {
    experiment.captureAt(1.7e15 + i, 'my.event', { latencyMs: i % 7 }, { score: i / 3, text: `text ${i}` });
  }
  await experiment.stop();
  await experiment.compact();
  const folder = join(dir, experiment.id);
  const name = readdirSync(folder).find((file) => file.endsWith('.parquet'))!;
  const file = readFileSync(join(folder, name));
  expect(bodiesOf(file, metadataOf(file)).length).toBeGreaterThan(12);
  expect(await parquetReadObjects({ file: Uint8Array.from(file).buffer })).toHaveLength(9000);
});

it('an archive that is damaged is found out by the import', async () => {
  const path = join(dir, 'archive.parquet');
  await using crucible = new Crucible({ workers: 0 });
  const experiment = crucible.startExperiment({ name: 'archive', capacity: 20_000, producers: 1 });
  for (let i = 0; i < 9000; i++) experiment.captureAt(1.7e15 + i, 'my.event', {}, { text: `text ${i}` });
  await experiment.stop();
  await experiment.archive({ destination: 'local', format: 'parquet', path });
  rmSync(`${path}.manifest.json`, { force: true });
  const file = readFileSync(path);
  const metadata = metadataOf(file);
  const bodies = bodiesOf(file, metadata);
  expect(bodies.length).toBeGreaterThan(0);
  const into = crucible.startExperiment({ name: 'import', capacity: 200_000, producers: 1 });
  expect((await into.importFile(path)).rows).toBe(9000);
  for (const { start, end } of bodies.filter(({ start, end }) => end > start)) {
    const damaged = Uint8Array.from(file);
    damaged[(start + end) >> 1]! ^= 4;
    writeFileSync(path, damaged);
    await expect(into.importFile(path)).rejects.toThrow('checksum');
  }
});
