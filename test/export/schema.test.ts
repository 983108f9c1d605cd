/** What a manifest says of the file's columns, held against the file as another implementation reads it. */

import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { DuckDBInstance } from '@duckdb/node-api';
import * as apache from 'apache-arrow';
import fc from 'fast-check';
import { parquetMetadata } from 'hyparquet';
import { Unpackr } from 'msgpackr';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import {
  type ExportManifest,
  type ExportSource,
  exportFile,
  type SchemaColumn,
  type StreamOptions,
} from '../../src/export/index.js';
import { anyEvent, captured, mixedRows } from './columns-support.js';
import { event, sourceOf, useFolder } from './support.js';

const SEED = Date.now();
const folder = useFolder();

type Told = Pick<ExportManifest, 'schema' | 'additionalKeys'>;
type Row = Readonly<Record<string, unknown>>;

async function exported(
  source: ExportSource,
  format: string,
  options: StreamOptions = {},
): Promise<Told & { path: string }> {
  const { path, manifest } = await exportFile(source, format, { ...options, path: join(folder(), 'file') });
  const { schema, additionalKeys } = JSON.parse(await readFile(manifest, 'utf8')) as ExportManifest;
  return { path, schema, additionalKeys };
}

const isText = (value: unknown): value is string => typeof value === 'string';
const isWhole = (value: unknown) => typeof value === 'bigint' || Number.isInteger(value);
const isWithin = (value: unknown, least: number, greatest: number) =>
  isWhole(value) && Number(value) >= least && Number(value) <= greatest;

const IS: Readonly<Record<SchemaColumn['type'], (value: unknown) => boolean>> = {
  float64: (value) => typeof value === 'number',
  int64: isWhole,
  int32: (value) => isWithin(value, -(2 ** 31), 2 ** 31 - 1),
  uint32: (value) => isWithin(value, 0, 2 ** 32 - 1),
  uint16: (value) => isWithin(value, 0, 2 ** 16 - 1),
  timestamp: isWhole,
  bool: (value) => typeof value === 'boolean',
  text: isText,
  bytes: (value) => value instanceof Uint8Array,
  list: Array.isArray,
  object: (value) => typeof value === 'object' && !Array.isArray(value),
  any: () => true,
};

function isJson(text: string): boolean {
  try {
    JSON.parse(text);
    return true;
  } catch {
    return false;
  }
}

function fits(value: unknown, { type, nullable, encoding }: SchemaColumn): boolean {
  if (value === null) return nullable;
  if (!IS[type](value)) return false;
  if (encoding === 'json') return isJson(value as string);
  return encoding !== 'iso8601' || /^[+-]?\d{4,6}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z$/.test(value as string);
}

/** @throws what `expect` throws when rows and schema do not agree */
function checkRows(rows: readonly Row[], { schema, additionalKeys }: Told): void {
  expect(rows.length).toBeGreaterThan(0);
  const names = schema.map(({ name }) => name);
  for (const row of rows) {
    const keys = Object.keys(row);
    // An object has keys like 0 before all others.
    const known = additionalKeys ? keys.filter((key) => names.includes(key)) : keys;
    expect(known.sort()).toEqual([...names].sort());
    const wrong = schema.filter((column) => !fits(row[column.name], column));
    expect(wrong.map(({ name }) => [name, row[name]])).toEqual([]);
  }
}

let duckdb: DuckDBInstance;
beforeAll(async () => {
  duckdb = await DuckDBInstance.create(':memory:');
});
afterAll(() => duckdb.closeSync());

async function query(sql: string): Promise<Row[]> {
  const connection = await duckdb.connect();
  try {
    return (await connection.runAndReadAll(sql)).getRowObjectsJS();
  } finally {
    connection.closeSync();
  }
}

/** The value that a cell's text is of, where it is of the type; else the text. */
function cellOf(text: unknown, { type }: SchemaColumn): unknown {
  if (!isText(text) || type === 'text') return text;
  if (type === 'bool') return text === 'true' || text === 'false' ? text === 'true' : text;
  return String(Number(text)) === text || text === '-0' ? Number(text) : text;
}

async function checkCsv({ path, ...told }: Told & { path: string }): Promise<void> {
  const { schema } = told;
  const options = `auto_detect = false, header = false, all_varchar = true, delim = ',', quote = '"',
    escape = '"', new_line = '\\n', parallel = false, nullstr = '\\0',
    columns = {${schema.map((_, i) => `c${i}: 'VARCHAR'`)}}`;
  const [header, ...lines] = await query(`SELECT * FROM read_csv('${path}', ${options})`);
  expect(Object.values(header!)).toEqual(schema.map(({ name }) => name));
  const rows = lines.map((line) =>
    Object.fromEntries(
      schema.map((column, i) => {
        const text = line[`c${i}`];
        // No other difference between an empty text and none can be seen.
        const cell = text === '' && column.nullable ? null : cellOf(text, column);
        return [column.name, cell];
      }),
    ),
  );
  checkRows(rows, told);
}

function arrowType({ type }: apache.Field): string {
  const values = apache.DataType.isDictionary(type) ? type.dictionary : type;
  const known: Readonly<Record<string, SchemaColumn['type']>> = {
    'Timestamp<MICROSECOND, UTC>': 'timestamp',
    Utf8: 'text',
    Bool: 'bool',
  };
  return known[String(values)] ?? String(values).toLowerCase();
}

async function checkArrow({ path, schema, additionalKeys }: Told & { path: string }): Promise<void> {
  const { fields } = apache.tableFromIPC(await readFile(path)).schema;
  expect(schema).toEqual(
    fields.map((field) => ({
      name: field.name,
      type: arrowType(field),
      nullable: field.nullable,
      ...Object.fromEntries(field.metadata),
    })),
  );
  expect(additionalKeys).toBe(false);
}

const SQL_TYPES: Readonly<Record<string, SchemaColumn['type']>> = {
  DOUBLE: 'float64',
  BIGINT: 'int64',
  INTEGER: 'int32',
  UINTEGER: 'uint32',
  'TIMESTAMP WITH TIME ZONE': 'timestamp',
  BOOLEAN: 'bool',
  VARCHAR: 'text',
};

async function checkParquet({ path, schema, additionalKeys }: Told & { path: string }): Promise<void> {
  const { schema: elements, key_value_metadata } = parquetMetadata(
    new Uint8Array(await readFile(path)).buffer,
  );
  const columns = JSON.parse(
    key_value_metadata!.find(({ key }) => key === 'crucible.columns')!.value!,
  ) as object[];
  const types = await query(`DESCRIBE SELECT * FROM read_parquet('${path}')`);
  expect(schema).toEqual(
    elements.slice(1).map(({ name, repetition_type }, i) => ({
      ...columns[i],
      name,
      type: SQL_TYPES[types[i]!.column_type as string],
      nullable: repetition_type === 'OPTIONAL',
    })),
  );
  expect(additionalKeys).toBe(false);
}

async function checkJsonLines({ path, ...told }: Told & { path: string }): Promise<void> {
  const lines = (await readFile(path, 'utf8')).trimEnd().split('\n');
  checkRows(
    lines.map((line) => JSON.parse(line) as Row),
    told,
  );
}

async function unpacked(path: string): Promise<unknown[]> {
  const reader = new Unpackr({ useRecords: false, int64AsType: 'number' });
  return reader.unpackMultiple(await readFile(path)) as unknown[];
}

async function checkMessagePack({ path, ...told }: Told & { path: string }): Promise<void> {
  checkRows((await unpacked(path)) as Row[], told);
}

interface Snapshot {
  readonly columns: readonly { readonly name: string; readonly type: string; readonly unit?: string }[];
}
interface Batch {
  readonly rows: number;
  readonly columns: Readonly<Record<string, { values: unknown[]; codes?: Uint8Array; nulls?: Uint8Array }>>;
}

const SNAPSHOT_TYPES: Readonly<Record<string, object>> = {
  i64: { type: 'timestamp' },
  f64: { type: 'float64' },
  bool: { type: 'bool' },
  text: { type: 'text' },
  json: { type: 'text', encoding: 'json' },
};

async function checkSnapshot({ path, schema, additionalKeys }: Told & { path: string }): Promise<void> {
  const [header, ...batches] = (await unpacked(path)) as [Snapshot, ...Batch[]];
  const described = header.columns.map(({ type, ...column }) => ({ ...column, ...SNAPSHOT_TYPES[type] }));
  expect(schema.map(({ nullable: _, ...column }) => column)).toEqual(described);
  expect(additionalKeys).toBe(false);
  for (const { columns } of batches) {
    for (const column of schema) {
      const { values, codes, nulls } = columns[column.name] ?? { values: [], codes: Buffer.from([0]) };
      const hasNulls = nulls !== undefined || codes?.includes(0) === true;
      expect(hasNulls && !column.nullable, column.name).toBe(false);
      if (codes !== undefined) expect(values.every((value) => fits(value, column))).toBe(true);
    }
  }
}

type Case = [
  format: string,
  check: (file: Told & { path: string }) => Promise<void>,
  options?: StreamOptions,
];
const CASES: Case[] = [
  ['csv', checkCsv],
  ['csv', checkCsv, { flatten: false }],
  ['csv', checkCsv, { csvSafe: true }],
  ['jsonl', checkJsonLines],
  ['msgpack', checkMessagePack],
  ['msgpack', checkSnapshot, { layout: 'columns' }],
  ['arrow', checkArrow],
  ['arrow', checkArrow, { flatten: false, layout: 'stream' }],
  ['parquet', checkParquet],
  ['parquet', checkParquet, { flatten: false }],
];

const columnOf = ({ schema }: Told, name: string) => schema.find((column) => column.name === name);

describe.each(CASES)('the schema of %s', (format, check, options = {}) => {
  it(`is the file's, of captured rows: ${JSON.stringify(options)}`, async () => {
    await check(await exported([mixedRows(500)], format, options));
  });

  it(`is the file's, of anonymised ones: ${JSON.stringify(options)}`, async () => {
    const view = mixedRows(200);
    const about = [{ id: 'e1', name: 'typed', condition: 'default', columns: view.source.columns }];
    for (const mode of ['hash', 'drop'] as const) {
      const anonymize = { mode, key: 'secret of 16 bytes', fields: ['rank', 'prompt', 'nested'] };
      await check(await exported([view], format, { ...options, about, anonymize }));
    }
  });

  it(`is the file's, whatever the events are: ${JSON.stringify(options)}`, async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(anyEvent, { minLength: 1, maxLength: 6 }), async (events) => {
        await check(await exported(sourceOf(...events), format, options));
      }),
      { seed: SEED, numRuns: 15 },
    );
  });

  it(`is seen to be wrong: ${JSON.stringify(options)}`, async () => {
    const told = await exported([mixedRows(100)], format, options);
    const wrong = (name: string, change: Partial<SchemaColumn>) => ({
      ...told,
      schema: told.schema.map((column) => (column.name === name ? { ...column, ...change } : column)),
    });
    await check(told);
    await expect(check(wrong('latency_ms', { type: 'bool' }))).rejects.toThrow();
    await expect(check(wrong('cost_usd', { nullable: false }))).rejects.toThrow();
    await expect(check(wrong('event_name', { name: 'event' }))).rejects.toThrow();
    const more: SchemaColumn = { name: 'zzz', type: 'text', nullable: true };
    await expect(check({ ...told, schema: [...told.schema, more] })).rejects.toThrow();
  });
});

describe('a column', () => {
  const view = () =>
    captured(
      { columns: { rank: 'i32', size: 'u32', good: 'bool', kind: 'dict', score: 'f64' } },
      (writer) => {
        const metadata = {
          rank: -1,
          size: 7,
          good: true,
          kind: 'a',
          score: 2,
          whole: 3,
          real: 0.5,
          flag: false,
        };
        const nested = { deep: { list: [1, 'x'], word: 'w' }, mixed: 1, nothing: null };
        writer.capture('e', { duration: 5 }, { ...metadata, ...nested }, undefined, 1e15);
        writer.capture('e', {}, { mixed: 'text', userId: 'u' }, undefined, 1e15 + 1);
      },
    );
  const TYPES = {
    metadata_rank: 'int32',
    metadata_size: 'uint32',
    metadata_good: 'bool',
    metadata_kind: 'text',
    metadata_score: 'float64',
    metadata_whole: 'int64',
    metadata_real: 'float64',
    metadata_flag: 'bool',
    metadata_deep_word: 'text',
    metadata_nothing: 'text',
    measurement_duration: 'int64',
    tokens_total: 'int64',
    user_id: 'text',
    success: 'bool',
  };

  it.each(['csv', 'arrow', 'parquet'])(
    'of %s has its type: as declared, else what its values are',
    async (format) => {
      const told = await exported([view()], format);
      for (const [name, type] of Object.entries(TYPES))
        expect(columnOf(told, name), name).toMatchObject({ type, nullable: true });
      expect(columnOf(told, 'timestamp')).toEqual({
        name: 'timestamp',
        type: 'timestamp',
        nullable: false,
        unit: 'us',
      });
      expect(columnOf(told, 'latency_ms')?.unit).toBe('ms');
      expect(columnOf(told, 'cost_usd')?.unit).toBe('USD');
      // CSV has lists joined, and scalars as they are; the others JSON.
      for (const name of ['metadata_mixed', 'metadata_deep_list', 'tags']) {
        const { type, encoding } = columnOf(told, name)!;
        expect({ type, encoding }, name).toEqual({
          type: 'text',
          encoding: format === 'csv' ? undefined : 'json',
        });
      }
    },
  );

  it.each(['csv', 'arrow', 'parquet'])('of %s loses a declared type that its values lost', async (format) => {
    const { source } = view();
    const about = [{ id: 'e1', name: 'typed', condition: 'default', columns: source.columns }];
    const options = { about, anonymize: { key: 'secret of 16 bytes', fields: ['rank'] } };
    const told = await exported([view()], format, options);
    expect(columnOf(told, 'metadata_rank')).toEqual({ name: 'metadata_rank', type: 'text', nullable: true });
    expect(columnOf(told, 'metadata_size')).toMatchObject({ type: 'uint32' });
  });

  it.each(['csv', 'arrow', 'parquet'])(
    'of %s is a double where token counts are no whole numbers',
    async (format) => {
      const tokens = { prompt: 1, completion: 2, total: 3.5 };
      const told = await exported(sourceOf(event({ tokens })), format);
      expect(columnOf(told, 'tokens_total')).toMatchObject({ type: 'float64', unit: 'tokens' });
    },
  );

  it('of CSV has the name that stands in the header, where formulas are guarded', async () => {
    const source = sourceOf(event({ fields: { '=a': 1 } }));
    const told = await exported(source, 'csv', { csvSafe: true });
    expect(columnOf(told, "'=a")).toMatchObject({ type: 'int64' });
    await checkCsv(told);
  });
});

describe.each(['jsonl', 'msgpack'])('rows of %s', (format) => {
  it('may have the fields of their category beside the keys that all have', async () => {
    const source = sourceOf(event({ fields: { learningRate: 0.1 } }), event());
    const told = await exported(source, format);
    expect(told.additionalKeys).toBe(true);
    expect(columnOf(told, 'learning_rate')).toBeUndefined();
    expect(columnOf(told, 'metadata')).toEqual({ name: 'metadata', type: 'object', nullable: false });
    const check = format === 'jsonl' ? checkJsonLines : checkMessagePack;
    await check(told);
    await expect(check({ ...told, additionalKeys: false })).rejects.toThrow();
    await check({ ...(await exported(sourceOf(event()), format)), additionalKeys: false });
  });
});
