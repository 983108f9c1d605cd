/** Segments turned into Parquet: the same batches, whatever else reads the file, and whenever the power goes. */

import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DuckDBInstance } from '@duckdb/node-api';
import fc from 'fast-check';
import { parquetReadObjects } from 'hyparquet';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type Batch, isValue } from '../../../src/ring/batch.js';
import { readParquetIndex } from '../../../src/storage/compaction/parquet-footer.js';
import { ParquetFileReader } from '../../../src/storage/compaction/parquet-reader.js';
import { compactSegment, listCompacted } from '../../../src/storage/compaction/segment-to-parquet.js';
import {
  type ExperimentDocument,
  FORMAT,
  FORMAT_VERSION,
  readDocument,
  writeDocument,
} from '../../../src/storage/disk/document.js';
import type { FileSystem } from '../../../src/storage/disk/file-system.js';
import { openFolder } from '../../../src/storage/recovery.js';
import { NO_LOSSES } from '../../../src/storage/segment/format.js';
import { Segments } from '../../../src/storage/segment/segments.js';
import { recordOf } from '../../../src/storage/segment/writer.js';
import { createFileSystem as createFaultyDisk } from '../../support/disks/faulty-disk.mjs';
import { crashStates, PowerLossDisk } from '../../support/disks/power-loss-disk.mjs';
import {
  ALL_COLUMNS,
  batchOf,
  bitsOf,
  differences,
  logicalRow,
  payloadWith,
  segmentOf,
  someRow,
  type TestRow,
  type TestSegment,
  trafficSegment,
  WRITTEN,
} from '../segment/support.js';

const FOLDER = '/x';
const ARROW = `${FOLDER}/000001.arrows`;
const PARQUET = `${FOLDER}/000001.parquet`;

const rowsOf = ({ batches }: TestSegment) => batches.reduce((sum, { rows }) => sum + rows, 0);

function documentOf(segment: TestSegment): ExperimentDocument {
  const { entries, bytes } = segment;
  const record = recordOf(1, { entries, validBytes: bytes.length, ended: true });
  return {
    format: FORMAT,
    formatVersion: FORMAT_VERSION,
    libraryVersion: '0.0.0-test',
    experiment: { id: 'exp-1' },
    segments: [record],
    current: null,
    expired: { throughSegment: 0, lastChunk: null, segments: 0, rows: 0, bytes: 0 },
    losses: NO_LOSSES,
    updatedAtUs: 1,
  };
}

/** A folder with one segment, which its document lists. */
function diskOf(segment: TestSegment): PowerLossDisk {
  const disk = new PowerLossDisk(
    new Map([
      [FOLDER, null],
      [ARROW, segment.bytes],
    ]),
  );
  writeDocument(disk, FOLDER, documentOf(segment));
  return new PowerLossDisk(disk.content());
}

const segmentsOf = (files: FileSystem) => new Segments(files, FOLDER, ALL_COLUMNS, 'exp-1');

const compact = (files: FileSystem, segment: TestSegment) =>
  compactSegment(files, FOLDER, documentOf(segment).segments[0]!);

async function batchesIn(files: FileSystem, path = PARQUET): Promise<Batch[]> {
  const index = readParquetIndex(files, path);
  const reader = new ParquetFileReader(files, path, index);
  const batches: Batch[] = [];
  for (const group of index.groups) batches.push(...(await reader.batches(group)));
  reader.close();
  return batches;
}

const differencesOf = (written: readonly Batch[], read: readonly Batch[]) =>
  written.length === read.length
    ? written.flatMap((batch, i) => differences(batch, read[i]!))
    : [`${written.length} batches written, ${read.length} read`];

function plainRow(row: Partial<TestRow>): TestRow {
  return {
    timeUs: 1,
    latency: bitsOf(1),
    cost: bitsOf(1),
    prompt: -1,
    completion: -1,
    binding: 1,
    flags: WRITTEN,
    payload: null,
    declared: null,
    ...row,
  };
}

describe('a compacted segment', () => {
  it('holds the same batches, bit for bit', async () => {
    const limits = { bindings: 9, strings: 5 };
    const batch = fc.array(someRow(limits), { minLength: 1, maxLength: 40 });
    await fc.assert(
      fc.asyncProperty(fc.array(batch, { maxLength: 6 }), async (rows) => {
        const batches = rows.map((rows, i) =>
          batchOf(rows, { firstSequence: 1024 * i + i, producer: i % 3 }),
        );
        const segment = segmentOf(
          batches,
          batches.map(() => limits),
        );
        const disk = diskOf(segment);
        await compact(disk, segment);
        expect(differencesOf(batches, await batchesIn(disk))).toEqual([]);
        const { places, bindings } = readParquetIndex(disk, PARQUET);
        expect(places).toEqual(segment.entries.map(({ offset: _, bytes: __, ...place }) => place));
        if (batches.length > 0) expect(bindings).toHaveLength(limits.bindings);
      }),
      { numRuns: 40 },
    );
  });

  it('tells ids apart that have the same text, and texts that look alike', async () => {
    // Bindings 1 and 36 differ in nothing but their id; see bindingOf.
    const limits = { bindings: 80, strings: 12 };
    const rows = Array.from({ length: 80 }, (_, i) =>
      plainRow({ binding: i, declared: [Number.NaN, Number.NaN, Number.NaN, 0, i % 12, 11 - (i % 12)] }),
    );
    const batch = batchOf(rows);
    const segment = segmentOf([batch], [limits]);
    const disk = diskOf(segment);
    await compact(disk, segment);
    expect(differencesOf([batch], await batchesIn(disk))).toEqual([]);
  });

  it('is cut into row groups, none of which holds more than 65,536 rows', async () => {
    const rows = Array.from({ length: 1000 }, (_, i) => plainRow({ timeUs: i, latency: bitsOf(i / 7) }));
    const batches = Array.from({ length: 150 }, (_, i) => batchOf(rows, { firstSequence: 1024 * i }));
    const segment = segmentOf(
      batches,
      batches.map(() => ({ bindings: 3, strings: 1 })),
    );
    const disk = diskOf(segment);
    const bytes = await compact(disk, segment);
    expect(bytes).toBeLessThan(segment.bytes.length / 3);
    const { groups, fileBytes } = readParquetIndex(disk, PARQUET);
    expect(groups.map((group) => group.rows)).toEqual([65_000, 65_000, 20_000]);
    expect(fileBytes).toBe(bytes);
    expect(differencesOf(batches, await batchesIn(disk))).toEqual([]);
  });

  it('is cut where payloads are large', async () => {
    const payload = payloadWith(new Uint8Array(100_000).fill(7));
    const rows = Array.from({ length: 50 }, () => plainRow({ payload }));
    const batches = Array.from({ length: 8 }, (_, i) => batchOf(rows, { firstSequence: 1024 * i }));
    const segment = segmentOf(
      batches,
      batches.map(() => ({ bindings: 3, strings: 1 })),
    );
    const disk = diskOf(segment);
    await compact(disk, segment);
    expect(readParquetIndex(disk, PARQUET).groups.map((group) => group.batches)).toEqual([3, 3, 2]);
  });

  it('is not made of a segment that is not as it was written', async () => {
    const segment = trafficSegment(3, 20);
    const changed = Buffer.from(segment.bytes);
    changed[segment.entries[1]!.offset + segment.entries[1]!.bytes - 300]! ^= 1;
    for (const bytes of [changed, segment.bytes.subarray(0, segment.bytes.length - 100)]) {
      const disk = new PowerLossDisk(
        new Map([
          [FOLDER, null],
          [ARROW, bytes],
        ]),
      );
      await expect(compact(disk, segment)).rejects.toMatchObject({ code: 'ERR_SEGMENT_CORRUPT' });
      expect(disk.list(FOLDER)).toEqual(['000001.arrows']);
    }
  });

  it('is not made by a disk that forgets a byte of what it is given', async () => {
    const segment = trafficSegment(3, 200);
    for (const seed of [1, 2, 3, 4, 5, 6, 7, 8]) {
      const disk = diskOf(segment);
      const forgetful: FileSystem = {
        ...bound(disk),
        write(fd, buffers, position) {
          const bytes = Buffer.concat(buffers);
          bytes[(seed * 7919) % bytes.length]! ^= 1 << (seed % 8);
          return disk.write(fd, [bytes], position);
        },
      };
      await expect(compact(forgetful, segment)).rejects.toMatchObject({ code: 'ERR_STORAGE_IO' });
      expect(disk.list(FOLDER).sort()).toEqual(['000001.arrows', 'experiment.json']);
    }
  });

  it.each(['open', 'write', 'sync', 'rename', 'syncFolder', 'read'] as const)(
    'leaves everything as it was when %s fails, at whichever call',
    async (operation) => {
      const segment = trafficSegment(2, 30);
      for (let from = 1; ; from++) {
        const disk = diskOf(segment);
        const files = createFaultyDisk(
          { faults: [{ operation, code: 'ENOSPC', from, until: from + 1 }] },
          disk,
        );
        const outcome = await compact(files, segment).then(
          () => 'done',
          (error: { code: string }) => error.code,
        );
        if (outcome === 'done') {
          expect(from).toBeGreaterThan(1);
          break;
        }
        expect(outcome).toBe('ERR_STORAGE_FULL');
        expect(disk.list(FOLDER).filter((name) => name.startsWith('.tmp'))).toEqual([]);
        expect(disk.readFile(ARROW, 1e9)).toEqual(new Uint8Array(segment.bytes));
      }
    },
  );
});

/** An object with the methods of a disk, some of which may be replaced. */
function bound(disk: PowerLossDisk): FileSystem {
  const names = Object.getOwnPropertyNames(PowerLossDisk.prototype) as (keyof FileSystem)[];
  return Object.fromEntries(
    names.filter((name) => typeof disk[name] === 'function').map((name) => [name, disk[name].bind(disk)]),
  ) as unknown as FileSystem;
}

describe('when the power goes', () => {
  it('all rows are there, once, and nothing is left over', async () => {
    const segment = trafficSegment(3, 25);
    const disk = diskOf(segment);
    const bytes = await compact(disk, segment);
    listCompacted(disk, FOLDER, 1, bytes);
    expect(disk.list(FOLDER).sort()).toEqual(['000001.parquet', 'experiment.json']);
    const seed = 20;
    const seen = new Set<string>();
    for (const { content, point } of crashStates(disk.initial, disk.journal, { seed, statesPerPoint: 6 })) {
      const after = new PowerLossDisk(content);
      const where = `seed ${seed}, point ${point}`;
      const read: Batch[] = [];
      const contents = await openFolder(after, FOLDER, ALL_COLUMNS, {
        repair: true,
        onBatch: (batch) => void read.push(batch),
      });
      expect(contents.damage, where).toEqual([]);
      expect(differencesOf(segment.batches, read), where).toEqual([]);
      const names = after
        .list(FOLDER)
        .filter((name) => !name.endsWith('-experiment.json'))
        .sort();
      seen.add(names.join(' '));
      const { form } = readDocument(after, FOLDER).segments[0]!;
      expect(names, where).toEqual([
        form === 'arrow' ? '000001.arrows' : '000001.parquet',
        'experiment.json',
      ]);
      // A second look changes nothing.
      const before = after.journal.length;
      await openFolder(after, FOLDER, ALL_COLUMNS, { repair: true });
      expect(after.journal.length, where).toBe(before);
    }
    expect(seen.size).toBe(2);
  });

  it('and the segment was deleted before the document listed its successor, that is found out', async () => {
    const segment = trafficSegment(2, 25);
    const disk = diskOf(segment);
    await compact(disk, segment);
    // As a compaction would that does not verify what it wrote.
    const changed = Buffer.from(disk.readFile(PARQUET, 1e9));
    changed[100]! ^= 1;
    const content = new Map([...disk.content(), [PARQUET, changed]]);
    content.delete(ARROW);
    const after = new PowerLossDisk(content);
    const { damage, rows } = await openFolder(after, FOLDER, ALL_COLUMNS, { repair: false });
    expect(rows).toBe(0);
    expect(damage).toMatchObject([{ file: '000001.parquet', rowsLost: rowsOf(segment) }]);
  });
});

describe('damage', () => {
  const segment = trafficSegment(4, 60);
  let bytes: Buffer;
  let whole: Batch[];

  beforeAll(async () => {
    const disk = diskOf(segment);
    await compact(disk, segment);
    bytes = Buffer.from(disk.readFile(PARQUET, 1e9));
    whole = await batchesIn(disk);
  });

  /** The folder after compaction, with other bytes in the place of the Parquet file. */
  function folderWith(changed: Uint8Array): PowerLossDisk {
    const document = documentOf(segment);
    const [record] = document.segments;
    const disk = new PowerLossDisk(
      new Map([
        [FOLDER, null],
        [PARQUET, changed],
      ]),
    );
    writeDocument(disk, FOLDER, {
      ...document,
      segments: [{ ...record!, form: 'parquet', bytes: bytes.length }],
    });
    return disk;
  }

  async function damageOf(changed: Uint8Array): Promise<{ damaged: boolean; rows: number }> {
    const read: Batch[] = [];
    const contents = await openFolder(folderWith(changed), FOLDER, ALL_COLUMNS, {
      repair: true,
      onBatch: (batch) => void read.push(batch),
    });
    if (read.length > 0) expect(differencesOf(whole, read)).toEqual([]);
    const lost = contents.damage.reduce((sum, { rowsLost }) => sum + (rowsLost ?? 0), 0);
    expect(lost + contents.rows).toBe(rowsOf(segment));
    return { damaged: contents.damage.length > 0, rows: contents.rows };
  }

  it('is not found where there is none', async () => {
    expect(await damageOf(bytes)).toEqual({ damaged: false, rows: rowsOf(segment) });
  });

  it('is found wherever a bit is another', async () => {
    for (let at = 0; at < bytes.length; at += 1 + (at % 61)) {
      const changed = Buffer.from(bytes);
      changed[at]! ^= 1 << (at % 8);
      expect(await damageOf(changed), `byte ${at}`).toEqual({ damaged: true, rows: 0 });
    }
  });

  it('is found wherever the file ends too early, or goes on', async () => {
    for (let length = 0; length < bytes.length; length += 1 + (length % 127)) {
      expect(await damageOf(bytes.subarray(0, length)), `${length} bytes`).toEqual({
        damaged: true,
        rows: 0,
      });
    }
    expect((await damageOf(Buffer.concat([bytes, Buffer.alloc(9)]))).damaged).toBe(true);
  });

  it('in a row group costs that row group', async () => {
    const rows = Array.from({ length: 1000 }, (_, i) => plainRow({ timeUs: i }));
    const batches = Array.from({ length: 140 }, (_, i) => batchOf(rows, { firstSequence: 1024 * i }));
    const large = segmentOf(
      batches,
      batches.map(() => ({ bindings: 3, strings: 1 })),
    );
    const disk = diskOf(large);
    const size = await compact(disk, large);
    listCompacted(disk, FOLDER, 1, size);
    const { groups } = readParquetIndex(disk, PARQUET);
    const changed = Buffer.from(disk.readFile(PARQUET, 1e9));
    changed[groups[1]!.offset + 1000]! ^= 4;
    const after = new PowerLossDisk(new Map([...disk.content(), [PARQUET, changed]]));
    const { rows: left, damage } = await openFolder(after, FOLDER, ALL_COLUMNS, { repair: true });
    expect(left).toBe(75_000);
    expect(damage).toEqual([
      {
        file: '000001.parquet',
        offset: groups[1]!.offset,
        bytes: groups[1]!.bytes,
        rowsLost: 65_000,
        reason: 'a row group does not match its checksum',
      },
    ]);
    // A reader gets what is whole, and says what is not.
    const segments = segmentsOf(after);
    const read = await Promise.all(segments.refs().map((ref) => ref.read()));
    expect(read.filter((batch) => batch === undefined)).toHaveLength(65);
    expect(segments.damaged).toMatchObject([{ path: PARQUET, offset: groups[1]!.offset, rows: 65_000 }]);
  });

  it('costs nothing where the rows are in another file too', async () => {
    const changed = Buffer.from(bytes);
    changed[100]! ^= 4;
    const disk = folderWith(changed);
    const copy = new PowerLossDisk(new Map([...disk.content(), [`${FOLDER}/000007.arrows`, segment.bytes]]));
    const read: Batch[] = [];
    const { rows, damage } = await openFolder(copy, FOLDER, ALL_COLUMNS, {
      repair: true,
      onBatch: (batch) => void read.push(batch),
    });
    expect(rows).toBe(rowsOf(segment));
    expect(differencesOf(whole, read)).toEqual([]);
    expect(damage).toMatchObject([
      { file: '000001.parquet', rowsLost: 0, reason: 'a row group does not match its checksum' },
      { file: '000007.arrows', rowsLost: 0, reason: 'it was written as segment 1' },
    ]);
    // Readers see them once.
    const segments = segmentsOf(copy);
    await Promise.all(segments.refs().map((ref) => ref.read()));
    expect(segments.damaged).toMatchObject([{ path: PARQUET, rows: 0 }]);
    expect(segments.refs()).toHaveLength(segment.batches.length);
  });

  it('would be believed without the checksums', async () => {
    let believed = 0;
    for (let at = 4; at < 4000; at += 37) {
      const changed = new Uint8Array(bytes);
      changed[at]! ^= 1;
      const file = {
        byteLength: changed.length,
        slice: (from: number, to?: number) => changed.slice(from, to).buffer,
      };
      const read = await parquetReadObjects({ file, utf8: false }).catch(() => undefined);
      if (read?.length === rowsOf(segment)) believed++;
    }
    expect(believed).toBeGreaterThan(10);
  });

  it('of a file from another experiment, or another place, is told', async () => {
    const other = folderWith(bytes);
    const document = readDocument(other, FOLDER);
    writeDocument(other, FOLDER, { ...document, experiment: { id: 'another' } });
    const strange = await openFolder(other, FOLDER, ALL_COLUMNS, { repair: false });
    expect(strange.damage[0]!.reason).toBe('it belongs to experiment exp-1');
    expect(strange.rows).toBe(0);

    const moved = new PowerLossDisk(new Map([...folderWith(bytes).content()]));
    moved.rename(PARQUET, `${FOLDER}/000002.parquet`);
    const found = await openFolder(moved, FOLDER, ALL_COLUMNS, { repair: false });
    expect(found.damage).toMatchObject([
      { file: '000002.parquet', rowsLost: 0, reason: 'it was written as segment 1' },
    ]);
    expect(found.rows).toBe(rowsOf(segment));
  });
});

describe('a recovery', () => {
  it('counts the bytes of every row group once, and says whether it has changed anything', async () => {
    const segment = trafficSegment(3, 25);
    const disk = diskOf(segment);
    const fileBytes = await compact(disk, segment);
    disk.unlink(ARROW);
    let bytes = 0;
    const onBytes = (more: number) => {
      bytes += more;
    };
    const open = (repair: boolean) => openFolder(disk, FOLDER, ALL_COLUMNS, { repair, onBytes });
    expect(await open(false)).toMatchObject({ changed: false, segments: 1, bytes: fileBytes, damage: [] });
    const { groups } = readParquetIndex(disk, PARQUET);
    expect(bytes).toBe(groups.reduce((sum, group) => sum + group.bytes, 0));
    // The document listed the other file.
    expect(await open(true)).toMatchObject({ changed: true, rows: rowsOf(segment) });
    expect(readDocument(disk, FOLDER).segments).toMatchObject([{ form: 'parquet', bytes: fileBytes }]);
    expect(await open(true)).toMatchObject({ changed: false, rows: rowsOf(segment) });
  });

  it('deletes both files of a segment that has expired, and what a compaction had begun', async () => {
    const segment = trafficSegment(3, 25);
    const disk = diskOf(segment);
    await compact(disk, segment);
    const expired = {
      throughSegment: 1,
      lastChunk: 0,
      segments: 1,
      rows: rowsOf(segment),
      bytes: segment.bytes.length,
    };
    writeDocument(disk, FOLDER, { ...documentOf(segment), segments: [], expired });
    const begun = new PowerLossDisk(
      new Map([...disk.content(), [`${FOLDER}/.tmp-0123456789abcdef-000002.parquet`, Buffer.from('PAR1')]]),
    );
    const read = await openFolder(begun, FOLDER, ALL_COLUMNS, { repair: false });
    expect([read.rows, read.changed, begun.list(FOLDER).length]).toEqual([0, false, 4]);
    const { damage, changed } = await openFolder(begun, FOLDER, ALL_COLUMNS, { repair: true });
    expect([damage, changed, begun.list(FOLDER)]).toEqual([[], true, ['experiment.json']]);
  });
});

describe('a reader of segments', () => {
  it('goes on with what it has been given while the segment becomes Parquet', async () => {
    const segment = trafficSegment(5, 40);
    const disk = diskOf(segment);
    const segments = segmentsOf(disk);
    const refs = segments.refs();
    const first = await refs[0]!.read();
    const bytes = await compact(disk, segment);
    const both = segments.refs();
    listCompacted(disk, FOLDER, 1, bytes);
    segments.close();
    const after = segments.refs();
    const { texts } = segments;
    expect(texts.bindings).toHaveLength(segment.limits.at(-1)!.bindings);
    expect(differences(segment.batches[0]!, first!)).toEqual([]);
    for (const given of [refs, both, after, segmentsOf(disk).refs()]) {
      const read = await Promise.all(given.map((ref) => ref.read()));
      expect(differencesOf(segment.batches, read as Batch[])).toEqual([]);
      expect(given.map(({ timeMinUs }) => timeMinUs)).toEqual(
        segment.entries.map(({ timeMinUs }) => timeMinUs),
      );
    }
    expect(segments.damaged).toEqual([]);
    segments.close();
  });

  it('gets nothing of a segment that somebody has deleted, and says so', async () => {
    const segment = trafficSegment(2, 5);
    const disk = diskOf(segment);
    const segments = segmentsOf(disk);
    const bytes = await compact(disk, segment);
    listCompacted(disk, FOLDER, 1, bytes);
    const refs = segments.refs();
    disk.unlink(PARQUET);
    expect(await Promise.all(refs.map((ref) => ref.read()))).toEqual([undefined, undefined]);
    expect(segments.refs()).toEqual([]);
    expect(segments.damaged).toMatchObject([
      { path: PARQUET, rows: rowsOf(segment), reason: 'the file is missing' },
    ]);
  });
});

describe('DuckDB', () => {
  const folder = mkdtempSync(join(tmpdir(), 'crucible-duckdb-'));
  afterAll(() => rmSync(folder, { recursive: true }));

  async function query(sql: string) {
    const instance = await DuckDBInstance.create();
    const connection = await instance.connect();
    const result = await connection.runAndReadAll(sql);
    const names = result.columnNames();
    const rows = result.getRows().map((row) => Object.fromEntries(row.map((value, i) => [names[i], value])));
    return {
      rows,
      types: Object.fromEntries(names.map((name, i) => [name, String(result.columnTypes()[i])])),
    };
  }

  async function fileOf(segment: TestSegment, name: string): Promise<string> {
    const disk = diskOf(segment);
    await compact(disk, segment);
    const path = join(folder, name);
    writeFileSync(path, disk.readFile(PARQUET, 1e9));
    return path;
  }

  const plain = (value: unknown): unknown => {
    if (typeof value === 'object' && value !== null && 'bytes' in value) {
      return Buffer.from(value.bytes as Uint8Array).toString('hex');
    }
    return typeof value === 'object' && value !== null && 'micros' in value ? value.micros : value;
  };

  it('reads all values, and nulls where there are none', async () => {
    for (const seed of [1, 100, 200]) {
      const segment = trafficSegment(6, 90, seed);
      const path = await fileOf(segment, `traffic-${seed}.parquet`);
      const { rows } = await query(`select * exclude (raw) from '${path}'`);
      const expected = segment.batches.flatMap((batch) =>
        Array.from({ length: batch.rows }, (_, row) => ({
          timestamp: BigInt(Math.floor(batch.timeUs[row]!)),
          ...logicalRow(batch, row),
        })),
      );
      const read = rows.map((row) => Object.fromEntries(Object.entries(row).map(([k, v]) => [k, plain(v)])));
      expect(read).toEqual(expected);
      // What is no value of a latency or cost is in `raw`, and only that.
      const { rows: raws } = await query(`select raw is not null as raw from '${path}'`);
      const isNaNish = (value: number) => !isValue(value) && !Number.isNaN(value);
      segment.batches
        .flatMap((batch) =>
          Array.from({ length: batch.rows }, (_, row) => [batch.latencyMs[row]!, batch.costUsd[row]!]),
        )
        .forEach(([latency, cost], row) => {
          if (isNaNish(latency!) || isNaNish(cost!)) expect(raws[row]!.raw).toBe(true);
        });
    }
  });

  it('sees the types that are promised', async () => {
    const { types } = await query(`select * from '${await fileOf(trafficSegment(1, 3), 'types.parquet')}'`);
    expect(types).toEqual({
      timestamp: 'TIMESTAMP WITH TIME ZONE',
      event: 'VARCHAR',
      model: 'VARCHAR',
      provider: 'VARCHAR',
      latency_ms: 'DOUBLE',
      cost_usd: 'DOUBLE',
      prompt_tokens: 'INTEGER',
      completion_tokens: 'INTEGER',
      success: 'BOOLEAN',
      binding: 'VARCHAR',
      flags: 'USMALLINT',
      payload: 'BLOB',
      metadata_temperature: 'DOUBLE',
      metadata_offset: 'INTEGER',
      metadata_size: 'UINTEGER',
      metadata_cached: 'BOOLEAN',
      metadata_label: 'VARCHAR',
      metadata_region: 'VARCHAR',
      raw: 'BLOB',
    });
  });

  it('skips row groups by what the file says of them, and so finds the same', async () => {
    const rows = Array.from({ length: 1000 }, (_, i) =>
      plainRow({ timeUs: 1e15 + i, latency: bitsOf(i), declared: [i / 2, -i, 4_294_967_295 - i, 1, 1, 0] }),
    );
    const batches = Array.from({ length: 70 }, (_, i) => batchOf(rows, { firstSequence: 1024 * i }));
    const segment = segmentOf(
      batches,
      batches.map(() => ({ bindings: 3, strings: 2 })),
    );
    const path = await fileOf(segment, 'filtered.parquet');
    for (const [condition, count] of [
      ['latency_ms >= 990', 700n],
      ['latency_ms > 1e6', 0n],
      ['timestamp < make_timestamptz(1000000000000010)', 700n],
      ["event = 'event 1'", 70_000n],
      ['metadata_size > 4294967290', 350n],
      ['metadata_offset < -995', 280n],
    ] as const) {
      const { rows: found } = await query(`select count(*) as n from '${path}' where ${condition}`);
      expect(found, condition).toEqual([{ n: count }]);
    }
  });

  it('reads a file without a row', async () => {
    const path = await fileOf(segmentOf([], []), 'empty.parquet');
    expect((await query(`select count(*) as n from '${path}'`)).rows).toEqual([{ n: 0n }]);
  });

  it('would show another value, were there one', async () => {
    const segment = trafficSegment(1, 30);
    const path = await fileOf(segment, 'changed.parquet');
    const { rows } = await query(`select flags from '${path}'`);
    segment.batches[0]!.tags[7]! ^= 0x100000;
    const flags = Array.from(segment.batches[0]!.tags, (tag) => tag >>> 16);
    expect(rows.map((row) => row.flags)).not.toEqual(flags);
  });
});
