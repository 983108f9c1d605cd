/**
 * Programs of others that read our files, each as rows of columns. Values are plain: whole numbers are numbers, times
 * are microseconds, and what is not there is null.
 */

import { createReadStream, readFileSync } from 'node:fs';
import { createInterface } from 'node:readline';
import zlib from 'node:zlib';
import { type DuckDBConnection, DuckDBInstance } from '@duckdb/node-api';
import { decodeMulti } from '@msgpack/msgpack';
import * as flechette from '@uwdata/flechette';
import * as apache from 'apache-arrow';
import { asyncBufferFromFile, parquetMetadataAsync, parquetRead } from 'hyparquet';
import { UnpackrStream } from 'msgpackr';
import type { JsonObject } from './truth.js';

/** Some rows that follow each other. */
export interface Window {
  readonly rows: number;
  /** In file order. */
  readonly columns: ReadonlyMap<string, ArrayLike<unknown>>;
}

export type Reader = (path: string) => AsyncIterable<Window>;

const WINDOW_ROWS = 65_536;

function plain(value: unknown): unknown {
  if (typeof value === 'bigint') return Number(value);
  return value ?? null;
}

// ── Arrow ────────────────────────────────────────────────────────────────────────────────────────

export const byApacheArrow: Reader = async function* (path) {
  yield* windowsOfTable(apache.tableFromIPC(readFileSync(path)));
};

function* windowsOfTable(table: apache.Table): Generator<Window> {
  for (const batch of table.batches) {
    const columns = new Map<string, ArrayLike<unknown>>();
    for (const [index, { name, type }] of batch.schema.fields.entries()) {
      columns.set(name, valuesOfVector(batch.getChildAt(index)!, type));
    }
    yield { rows: batch.numRows, columns };
  }
}

function valuesOfVector(vector: apache.Vector, type: apache.DataType): ArrayLike<unknown> {
  // As times they would be milliseconds.
  if (apache.DataType.isTimestamp(type)) {
    return Array.from(vector.data[0]!.values as BigInt64Array, Number);
  }
  // A dictionary's texts are decoded once, not once a row.
  const memoized = apache.DataType.isDictionary(type) ? vector.memoize() : vector;
  return Array.from({ length: vector.length }, (_, row) => plain(memoized.get(row)));
}

export const byFlechette: Reader = async function* (path) {
  const table = flechette.tableFromIPC(readFileSync(path), { useBigInt: true });
  const { fields } = table.schema;
  const first = table.getChildAt(0);
  for (let batch = 0; batch < first.data.length; batch++) {
    const rows = first.data[batch]!.length;
    const columns = new Map<string, ArrayLike<unknown>>();
    for (const [index, { name, type }] of fields.entries()) {
      const values = table.getChildAt(index).data[batch]!;
      // Its times are milliseconds, too.
      const isTime = type.typeId === flechette.Type.Timestamp;
      columns.set(
        name,
        isTime
          ? Array.from(values.values as BigInt64Array, Number)
          : Array.from({ length: rows }, (_, row) => plain(values.at(row))),
      );
    }
    yield { rows, columns };
  }
};

/** parquet-wasm hands over as an Arrow stream what it has read. */
export const byParquetWasm: Reader = async function* (path) {
  const { readParquet, Table } = await import('parquet-wasm');
  const bytes = new Uint8Array(readFileSync(path));
  const isParquet = Buffer.from(bytes.subarray(0, 4)).toString() === 'PAR1';
  const table = isParquet ? readParquet(bytes) : Table.fromIPCStream(bytes);
  yield* windowsOfTable(apache.tableFromIPC(table.intoIPCStream()));
};

// ── polars ───────────────────────────────────────────────────────────────────────────────────────

type Polars = typeof import('nodejs-polars').default;

/** Of npm's package, whose binary wants Node 22 to be installed; null where that is not there. */
export const polars: Polars | null = await import('nodejs-polars').then(
  (module) => module.default,
  () => null,
);

const BYTES = ['payload', 'raw'];

/** It is given bytes: by the names of files it knows only some of ours. */
function byPolars(read: (pl: Polars, bytes: Buffer) => import('nodejs-polars').DataFrame): Reader {
  return async function* (path) {
    const pl = polars!;
    const all = read(pl, await allBytesOf(path));
    // It does not hand over bytes, which only segments have.
    const whole = all.select(...all.columns.filter((name) => !BYTES.includes(name)));
    for (let from = 0; from < whole.height; from += WINDOW_ROWS) {
      const rows = Math.min(WINDOW_ROWS, whole.height - from);
      const part = whole.slice(from, rows);
      const columns = new Map<string, ArrayLike<unknown>>();
      for (const name of part.columns) {
        const series = part.getColumn(name);
        const kind = String(series.dtype);
        const values = /Datetime/.test(kind)
          ? series.cast(pl.Int64)
          : /Categorical/.test(kind)
            ? series.cast(pl.Utf8)
            : series;
        columns.set(name, values.toArray().map(plain));
      }
      yield { rows, columns };
    }
  };
}

export const arrowFileByPolars = byPolars((pl, bytes) => pl.readIPC(bytes));
export const arrowStreamByPolars = byPolars((pl, bytes) => pl.readIPCStream(bytes));
export const parquetByPolars = byPolars((pl, bytes) => pl.readParquet(bytes));
/** As texts: what it would make of them is its own affair. */
export const csvByPolars = byPolars((pl, bytes) => pl.readCSV(bytes, { inferSchemaLength: 0 }));

// ── Parquet ──────────────────────────────────────────────────────────────────────────────────────

const { zstdDecompressSync } = zlib as typeof zlib & { zstdDecompressSync?: (page: Uint8Array) => Buffer };
export const byHyparquet: Reader = async function* (path) {
  const file = await asyncBufferFromFile(path);
  const metadata = await parquetMetadataAsync(file);
  const names = metadata.schema.slice(1).map(({ name }) => name);
  const compressors = {
    GZIP: (page: Uint8Array) => new Uint8Array(zlib.gunzipSync(page)),
    ...(zstdDecompressSync !== undefined && { ZSTD: (page: Uint8Array) => zstdDecompressSync(page) }),
  };
  const parsers = { timestampFromMicroseconds: (micros: bigint) => Number(micros) } as never;
  let rowStart = 0;
  for (const group of metadata.row_groups) {
    const rows = Number(group.num_rows);
    let values: unknown[][] = [];
    await parquetRead({
      file,
      metadata,
      parsers,
      compressors,
      rowStart,
      rowEnd: rowStart + rows,
      rowFormat: 'array',
      utf8: false,
      onComplete: (all: unknown[][]) => {
        values = all;
      },
    });
    const columns = new Map(names.map((name, i) => [name, values.map((row) => plain(row[i]))]));
    yield { rows, columns };
    rowStart += rows;
  }
};

// ── DuckDB ───────────────────────────────────────────────────────────────────────────────────────

let instance: Promise<DuckDBInstance> | undefined;

export async function withDuckDb<T>(use: (connection: DuckDBConnection) => Promise<T>): Promise<T> {
  instance ??= DuckDBInstance.create(':memory:', { threads: '1' });
  const connection = await (await instance).connect();
  try {
    return await use(connection);
  } finally {
    connection.closeSync();
  }
}

/** The rows of a query, `$` in it standing for the file. */
export function bySql(query: string): Reader {
  return async function* (path) {
    instance ??= DuckDBInstance.create(':memory:', { threads: '1' });
    const connection = await (await instance).connect();
    try {
      const result = await connection.stream(query.replaceAll('$', path));
      const names = result.columnNames();
      for (;;) {
        const chunk = await result.fetchChunk();
        if (chunk === null || chunk.rowCount === 0) return;
        const columns = new Map(
          names.map((name, i) => [name, chunk.getColumnValues(i).map((value) => plain(value))]),
        );
        yield { rows: chunk.rowCount, columns };
      }
    } finally {
      connection.closeSync();
    }
  };
}

export const parquetByDuckDb = bySql(
  `SELECT * REPLACE (epoch_us(timestamp) AS timestamp) FROM read_parquet('$')`,
);
export const csvByDuckDb = bySql(`SELECT * FROM read_csv('$', all_varchar = true, sample_size = -1)`);

// ── Rows that are maps ───────────────────────────────────────────────────────────────────────────

export type DocumentReader = (path: string) => AsyncIterable<JsonObject>;

function bytesOf(path: string): NodeJS.ReadableStream {
  const file = createReadStream(path);
  if (path.endsWith('.gz')) return file.pipe(zlib.createGunzip());
  const { createZstdDecompress } = zlib as typeof zlib & { createZstdDecompress?: () => zlib.Gunzip };
  return path.endsWith('.zst') ? file.pipe(createZstdDecompress!()) : file;
}

export const byLines: DocumentReader = async function* (path) {
  for await (const line of createInterface({ input: bytesOf(path), crlfDelay: 0 })) {
    yield JSON.parse(line) as JsonObject;
  }
};

export const byMsgpackr: DocumentReader = async function* (path) {
  const stream = new UnpackrStream({ useRecords: false, int64AsType: 'number' });
  for await (const value of bytesOf(path).pipe(stream)) yield value as JsonObject;
};

/** The whole file at once: for those that are not large. */
export const byMsgpack: DocumentReader = async function* (path) {
  for (const value of decodeMulti(await allBytesOf(path))) yield value as JsonObject;
};

async function allBytesOf(path: string): Promise<Buffer> {
  const parts: Buffer[] = [];
  for await (const part of bytesOf(path)) parts.push(part as Buffer);
  return Buffer.concat(parts);
}

/** The columnar snapshot, as docs/formats.md says it is to be read. */
export const bySpecification: Reader = async function* (path) {
  let isHeader = true;
  for await (const value of byMsgpackr(path)) {
    if (isHeader) {
      if (value.format !== 'crucible-columns' || value.version !== 1) throw new Error('no snapshot');
      isHeader = false;
      continue;
    }
    const { rows, columns } = value as unknown as {
      rows: number;
      columns: Record<string, { values: unknown; codes?: Buffer; nulls?: Buffer }>;
    };
    const read = Object.entries(columns).map(([name, { values, codes, nulls }]) => {
      if (codes !== undefined) {
        const size = codes.length / rows;
        const texts = values as unknown[];
        const codeOf = (row: number) => codes.readUIntLE(row * size, size);
        return [name, Array.from({ length: rows }, (_, row) => texts[codeOf(row) - 1] ?? null)] as const;
      }
      const bytes = values as Buffer;
      const isNull = (row: number) => nulls !== undefined && ((nulls[row >> 3]! >> (row & 7)) & 1) === 1;
      const number = (row: number) =>
        name === 'timestamp' ? Number(bytes.readBigInt64LE(8 * row)) : bytes.readDoubleLE(8 * row);
      return [name, Array.from({ length: rows }, (_, row) => (isNull(row) ? null : number(row)))] as const;
    });
    yield { rows, columns: new Map(read) };
  }
};
