/** Our own exports are known by what no names of columns can say, and are restored whole. */

import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { encode } from '@msgpack/msgpack';
import { Table, tableFromArrays, tableFromIPC, tableToIPC } from 'apache-arrow';
import { parquetReadObjects } from 'hyparquet';
import { parquetWriteBuffer } from 'hyparquet-writer';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { BASE_COLUMNS, MAP_COLUMNS } from '../../src/export/columns.js';
import { isOwnMap, isOwnRow } from '../../src/formats/own-marks.js';
import { Crucible, type Experiment, type ExportFormat, type ExportOptions } from '../../src/index.js';
import type { Json } from '../../src/schema/event.js';
import { importAll } from '../import/support.js';

let dir: string;
beforeAll(() => {
  dir = mkdtempSync(join(tmpdir(), 'crucible-marks-'));
});
afterAll(() => rmSync(dir, { recursive: true }));

const LAYOUTS: Readonly<Record<string, ExportOptions & { format: ExportFormat }>> = {
  csv: { format: 'csv' },
  'csv, safe': { format: 'csv', csvSafe: true },
  'csv, base columns': { format: 'csv', flatten: false },
  'csv.gz': { format: 'csv', compression: 'gzip' },
  jsonl: { format: 'jsonl' },
  'jsonl, pretty': { format: 'jsonl', pretty: true },
  msgpack: { format: 'msgpack' },
  'msgpack, columns': { format: 'msgpack', layout: 'columns' },
  arrow: { format: 'arrow' },
  'arrow, nested': { format: 'arrow', flatten: false },
  'arrow, stream': { format: 'arrow', layout: 'stream' },
  parquet: { format: 'parquet', compression: 'snappy' },
  'parquet, nested': { format: 'parquet', compression: 'snappy', flatten: false },
};

async function inExperiment<T>(use: (experiment: Experiment) => Promise<T>): Promise<T> {
  await using crucible = new Crucible({ workers: 0 });
  return await use(crucible.startExperiment({ id: 'own', name: 'own', capacity: 2048, producers: 1 }));
}

const isRestored = async (path: string, manifest?: 'ignore') =>
  (await importAll(path, manifest && { manifest })).records.every(({ restored }) => restored !== null);

describe.each(Object.entries(LAYOUTS))('%s', (_name, { format, ...options }) => {
  it.each(['check', 'ignore'] as const)(
    'is restored, its manifest beside it or not: %s',
    async (manifest) => {
      const path = join(dir, `own.${format}`);
      const events = await inExperiment(async (experiment) => {
        for (let i = 0; i < 5; i++)
          experiment.captureAt(1.7e15 + i, 'my.event', { n: i }, { text: `é ${i}` });
        await experiment.export(format, { path, ...options });
        return await experiment.query();
      });
      const back = await inExperiment(async (experiment) => {
        await experiment.importFile(path, { manifest });
        return await experiment.query();
      });
      const flat = format === 'csv' && options.flatten === false;
      const seen = flat ? events.map((event) => ({ ...event, metadata: {}, measurements: {} })) : events;
      expect(back).toEqual(seen);
    },
  );

  it('is restored where its events have ids of another program, and none is of our form', async () => {
    const [first, second] = [join(dir, 'given.jsonl'), join(dir, `kept.${format}`)];
    await inExperiment(async (experiment) => {
      for (let i = 0; i < 3; i++) experiment.captureAt(1.7e15 + i, 'my.event', {}, { text: `é ${i}` });
      await experiment.export('jsonl', { path: first });
    });
    rmSync(`${first}.manifest.json`);
    let n = 0;
    writeFileSync(
      first,
      readFileSync(first, 'utf8').replaceAll(/own-00-\w+/g, () => `their ${++n}`),
    );
    const ids = ['their 1', 'their 2', 'their 3'];
    await inExperiment(async (experiment) => {
      await experiment.importFile(first);
      expect((await experiment.query()).map(({ eventId }) => eventId)).toEqual(ids);
      await experiment.export(format, { path: second, ...options });
    });
    for (const manifest of [undefined, 'ignore'] as const) {
      const { records } = await importAll(second, manifest && { manifest });
      expect(records.map(({ restored }) => restored?.eventId)).toEqual(ids);
    }
    rmSync(second);
  });
});

it('a CSV export is known however long its first row is', async () => {
  const path = join(dir, 'long.csv');
  await inExperiment(async (experiment) => {
    experiment.captureAt(1.7e15, 'my.event', {}, { a: 'x'.repeat(500_000), b: '""'.repeat(70_000), c: 'NA' });
    await experiment.export('csv', { path });
  });
  rmSync(`${path}.manifest.json`);
  const { records } = await importAll(path);
  expect(records[0]).toMatchObject({ metadata: { c: 'NA' }, restored: { eventId: 'own-00-0000000000' } });
});

/** Files of others, with all names of ours, in seconds. */
const OTHERS: Record<string, Json>[] = [1, 2, 3].map((n) => ({
  event_id: `own-00-000000000${n}`,
  event_name: 'theirs',
  experiment_id: 'other',
  timestamp: 1_700_000_000 + n,
  latency_ms: n,
  model: 'm',
  datetime: `2024-03-0${n}`,
  metadata_x: 'NA',
}));
const columnsOf = (rows: readonly Record<string, Json>[], names = Object.keys(rows[0]!)) =>
  names.map((name) => ({ name, data: rows.map((row) => row[name]!) }));

describe('a file of another program with the names of our columns', () => {
  const all = [...new Set([...BASE_COLUMNS, ...MAP_COLUMNS].map(({ name }) => name))];
  const whole = OTHERS.map((row) => ({ ...Object.fromEntries(all.map((name) => [name, 'x'])), ...row }));
  const files: Readonly<Record<string, (rows: Record<string, Json>[]) => string | Uint8Array>> = {
    csv: (rows) =>
      [Object.keys(rows[0]!), ...rows.map(Object.values)].map((line) => `${line.join()}\n`).join(''),
    jsonl: (rows) => rows.map((row) => `${JSON.stringify(row)}\n`).join(''),
    msgpack: (rows) => Buffer.concat(rows.map((row) => encode(row))),
    arrow: (rows) =>
      tableToIPC(
        tableFromArrays(Object.fromEntries(columnsOf(rows).map(({ name, data }) => [name, data]))),
        'file',
      ),
    parquet: (rows) => new Uint8Array(parquetWriteBuffer({ columnData: columnsOf(rows) as never })),
  };

  it.each(Object.keys(files))('is mapped: %s', async (format) => {
    for (const rows of [OTHERS, whole]) {
      const path = join(dir, `other.${format}`);
      writeFileSync(path, files[format]!(rows));
      const { records } = await importAll(path);
      expect(records.map(({ timestampUs, restored }) => [timestampUs, restored])).toEqual(
        OTHERS.map(({ timestamp }) => [Number(timestamp) * 1e6, null]),
      );
    }
  });

  it.each(['arrow', 'parquet'] as const)('is mapped, though its rows are ours: %s', async (format) => {
    const path = join(dir, `ours.${format}`);
    await inExperiment(async (experiment) => {
      experiment.captureAt(1.7e15, 'my.event', { n: 1 }, { text: 'é' });
      await experiment.export(format, { path, ...(format === 'parquet' && { compression: 'snappy' }) });
    });
    expect(await isRestored(path, 'ignore')).toBe(true);
    rmSync(`${path}.manifest.json`);
    if (format === 'arrow') {
      const { schema, batches } = tableFromIPC(readFileSync(path));
      const unmarked = tableToIPC(new Table(batches.map((batch) => batch)), 'file');
      // It keeps what a schema says, and so it is still ours.
      expect(schema.metadata.has('crucible.columns')).toBe(true);
      writeFileSync(path, unmarked);
      expect(await isRestored(path)).toBe(true);
      schema.metadata.delete('crucible.columns');
      writeFileSync(path, tableToIPC(new Table(schema, batches), 'file'));
    } else {
      const rows = await parquetReadObjects({ file: Uint8Array.from(readFileSync(path)).buffer });
      const columnData = columnsOf(
        rows as never,
        Object.keys(rows[0]!).filter((name) => rows[0]![name] !== null),
      );
      writeFileSync(path, new Uint8Array(parquetWriteBuffer({ columnData: columnData as never })));
    }
    expect(await isRestored(path)).toBe(false);
  });

  it('is mapped where a column was added to one of ours', async () => {
    const path = join(dir, 'added.arrow');
    await inExperiment(async (experiment) => {
      experiment.captureAt(1.7e15, 'my.event', {}, {});
      await experiment.export('arrow', { path });
    });
    const table = tableFromIPC(readFileSync(path));
    const added = table.assign(tableFromArrays({ extra: Float64Array.of(1) }));
    for (const [key, value] of table.schema.metadata) added.schema.metadata.set(key, value);
    writeFileSync(path, tableToIPC(added, 'file'));
    expect(await isRestored(path, 'ignore')).toBe(false);
  });
});

describe('marks of rows', () => {
  let rows: Record<string, Json>[];
  let maps: Record<string, Json>[];
  beforeEach(async () => {
    const [csv, jsonl] = [join(dir, 'rows.csv'), join(dir, 'rows.jsonl')];
    await inExperiment(async (experiment) => {
      experiment.captureAt(1.7e15, 'my.event', { n: 1 }, { text: 'é' });
      experiment.recorder('req_llm.request.stop').recordAt(1.7e15, 1, 2, 3, 4, true);
      await experiment.export('csv', { path: csv });
      await experiment.export('jsonl', { path: jsonl });
    });
    const [header, ...lines] = readFileSync(csv, 'utf8').trimEnd().split('\n');
    const names = header!.split(',');
    rows = lines.map((line) => Object.fromEntries(line.split(',').map((field, i) => [names[i]!, field])));
    maps = readFileSync(jsonl, 'utf8')
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line));
  });

  it('are of all columns that exports have', () => {
    for (const { name } of BASE_COLUMNS) {
      const { [name]: _, ...less } = rows[0]!;
      expect(isOwnRow({ ...rows[0], event_id: 'a' }), name).toBe(true);
      expect(isOwnRow({ ...less, ...(name !== 'event_id' && { event_id: 'a' }) }), name).toBe(false);
    }
    for (const { name } of MAP_COLUMNS) {
      for (const map of maps) {
        const { [name]: _, ...less } = map;
        expect(isOwnMap({ ...map, event_id: 'a' }), name).toBe(true);
        expect(isOwnMap({ ...less, ...(name !== 'event_id' && { event_id: 'a' }) }), name).toBe(false);
      }
    }
  });

  it('are values that agree, and no names', () => {
    const [row] = rows as [Record<string, Json>];
    expect(isOwnRow({ ...row, event_id: 'a', timestamp: '1700000000000001' })).toBe(false);
    expect(isOwnRow({ ...row, event_id: 'a', datetime: '' })).toBe(false);
    expect(isOwnRow({ ...row, event_id: 'another-00-0000000001', datetime: '' })).toBe(false);
    expect(isOwnRow({ ...row, datetime: '' })).toBe(true);
    const [map] = maps as [Record<string, Json>];
    for (const [key, value] of [
      ['timestamp', 1.5],
      ['metadata', null],
      ['tags', 'a,b'],
      ['malformed', 0],
    ] as const) {
      expect(isOwnMap({ ...map, event_id: 'a', [key]: value }), key).toBe(false);
    }
  });
});
