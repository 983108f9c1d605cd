/** Pages of archives and of compacted segments have checksums that every reader of Parquet knows. */

import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { crc32 } from 'node:zlib';
import { type FileMetaData, parquetMetadata, parquetReadObjects } from 'hyparquet';
import { ByteWriter, ParquetWriter } from 'hyparquet-writer';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { ThriftReader } from '../../../src/formats/parquet/read/thrift.js';
import { Crucible } from '../../../src/index.js';
import { withPageChecksums } from '../../../src/storage/compaction/parquet-page-crc.js';

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

describe('pages of a row group', () => {
  it('have checksums, whatever they hold, and are read as before', async () => {
    const sink = new ByteWriter();
    const columns = {
      text: Array.from({ length: 4000 }, (_, i) => (i % 7 === 0 ? null : `text ${i % 50}`)),
      wide: Array.from({ length: 4000 }, (_, i) => `x${i}`.repeat(5)),
      number: Array.from({ length: 4000 }, (_, i) => (i % 3 === 0 ? null : i / 4)),
      flag: Array.from({ length: 4000 }, (_, i) => i % 2 === 0),
    };
    const types = { text: 'BYTE_ARRAY', wide: 'BYTE_ARRAY', number: 'DOUBLE', flag: 'BOOLEAN' } as const;
    const names = Object.keys(columns) as (keyof typeof columns)[];
    const writer = new ParquetWriter({
      writer: sink,
      schema: [
        { name: 'root', num_children: names.length },
        ...names.map((name) => ({
          name,
          type: types[name],
          repetition_type: 'OPTIONAL' as const,
          ...(types[name] === 'BYTE_ARRAY' && { converted_type: 'UTF8' as const }),
        })),
      ],
    });
    const sections: Buffer[] = [];
    let offset = 0;
    for (let group = 0; group < 3; group++) {
      writer.write({
        rowGroupSize: 4000,
        pageSize: 3000,
        columnData: names.map((name) => ({ name, data: columns[name] as never[], offsetIndex: false })),
      });
      const written = Buffer.from(sink.buffer, 0, sink.index);
      const section = withPageChecksums(written, offset, writer.row_groups.at(-1)!);
      sink.offset += section.length - written.length;
      sink.index = 0;
      offset += section.length;
      sections.push(section);
    }
    writer.finish();
    const file = Buffer.concat([...sections, Buffer.from(sink.getBuffer())]);
    expect(bodiesOf(file, metadataOf(file)).length).toBeGreaterThan(30);
    const rows = await parquetReadObjects({ file: Uint8Array.from(file).buffer });
    expect(rows).toHaveLength(12_000);
    for (const [i, row] of rows.entries()) {
      for (const name of names) expect(row[name]).toBe(columns[name][i % 4000]);
    }
  });

  it('of another form are refused', () => {
    const group = { columns: [], total_byte_size: 0n, num_rows: 0n };
    expect(withPageChecksums(Buffer.from('PAR1'), 0, group)).toEqual(Buffer.from('PAR1'));
    const meta_data = { data_page_offset: 0n, total_compressed_size: 8n } as never;
    const columns = [{ file_offset: 0n, meta_data }];
    expect(() => withPageChecksums(Buffer.alloc(8), 0, { ...group, columns })).toThrow(RangeError);
  });
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
  expect(metadata.row_groups).toHaveLength(2);
  const bodies = bodiesOf(file, metadata);
  const into = crucible.startExperiment({ name: 'import', capacity: 200_000, producers: 1 });
  expect((await into.importFile(path)).rows).toBe(9000);
  for (const { start, end } of bodies.filter(({ start, end }) => end > start)) {
    const damaged = Uint8Array.from(file);
    damaged[(start + end) >> 1]! ^= 4;
    writeFileSync(path, damaged);
    await expect(into.importFile(path)).rejects.toThrow('checksum');
  }
});
