/** An import lets the process do other things: timers and signals come through whatever the format, and however it is fed. */
import { readFile } from 'node:fs/promises';
import { setImmediate as turn } from 'node:timers/promises';
import { DuckDBInstance } from '@duckdb/node-api';
import { encode } from '@msgpack/msgpack';
import { tableFromArrays, tableToIPC } from 'apache-arrow';
import { beforeAll, describe, expect, it, vi } from 'vitest';
import { type ImportFormat, ImportSource } from '../../src/import/index.js';
import { useScratch } from './support.js';

const ROWS = 120_000;
const write = useScratch();
const paths = {} as Record<'csv' | 'jsonl' | 'msgpack' | 'arrow' | 'parquet', string>;

beforeAll(async () => {
  const numbers = Array.from({ length: ROWS }, (_, i) => i);
  paths.csv = await write('a.csv', `latency_ms,model\n${numbers.map((i) => `${i},m${i % 7}\n`).join('')}`);
  paths.jsonl = await write(
    'a.jsonl',
    numbers.map((i) => `{"latency_ms":${i},"model":"m${i % 7}"}\n`).join(''),
  );
  paths.msgpack = await write(
    'a.msgpack',
    encode(numbers.map((i) => ({ latency_ms: i, model: `m${i % 7}` }))),
  );
  const table = tableFromArrays({
    latency_ms: Float64Array.from(numbers),
    model: numbers.map((i) => `m${i % 7}`),
  });
  paths.arrow = await write('a.arrows', tableToIPC(table, 'stream'));
  paths.parquet = await write('a.parquet', '');
  const connection = await (await DuckDBInstance.create(':memory:')).connect();
  // One row group, whose columns are one page each.
  await connection.run(`COPY (SELECT i AS latency_ms, 'prompt number ' || i AS prompt, [i, i + 1] AS list
    FROM range(${ROWS}) t(i)) TO '${paths.parquet}' (FORMAT parquet, ROW_GROUP_SIZE 1000000, COMPRESSION snappy)`);
  connection.closeSync();
});

/** A stream that has all bytes at once, and never waits for anything. */
async function* atOnce(path: string): AsyncGenerator<Uint8Array> {
  yield await readFile(path);
}

const OPTIONS = { time: 'now' as const };

describe.each(['csv', 'jsonl', 'msgpack', 'arrow', 'parquet'] as const)(
  'an import of %s',
  (format: ImportFormat & keyof typeof paths) => {
    it.each(format === 'parquet' ? ['a file'] : ['a file', 'a stream that never waits'])(
      'of %s turns the event loop again and again',
      async (from) => {
        // Each look at the clock finds that it is time: what matters is how much is done between two looks.
        let now = 0;
        const clock = vi.spyOn(performance, 'now').mockImplementation(() => (now += 1000));
        try {
          const input = from === 'a file' ? paths[format] : atOnce(paths[format]);
          const source = await ImportSource.open(input, { ...OPTIONS, format });
          let [rows, before, longest, isDone] = [0, 0, 0, false];
          const watching = (async () => {
            for (; !isDone; await turn()) {
              longest = Math.max(longest, rows - before);
              before = rows;
            }
          })();
          const summary = await source.run(() => {
            rows++;
          });
          isDone = true;
          await watching;
          expect(summary.rows).toBe(ROWS);
          expect(longest).toBeGreaterThan(0);
          // Of no format are more rows handed on without a turn.
          expect(longest).toBeLessThanOrEqual(64);
        } finally {
          clock.mockRestore();
        }
      },
    );

    it('ends when it is told to, whether or not a row has been understood', async () => {
      const abort = new AbortController();
      const source = await ImportSource.open(paths[format], { ...OPTIONS, format }, abort.signal);
      let rows = 0;
      const run = source.run(() => {
        if (++rows === 100) setImmediate(() => abort.abort(new Error('enough')));
      });
      await expect(run).rejects.toThrow('enough');
      expect(rows).toBeLessThan(ROWS);
    });
  },
);

describe('an import of a stream that gives nothing', () => {
  const never = () =>
    (async function* () {
      yield Buffer.from('latency_ms\n1\n');
      await new Promise(() => {});
    })();

  it('ends when it is told to, before its first row and behind it', async () => {
    const early = AbortSignal.timeout(20);
    await expect(ImportSource.open(never(), { ...OPTIONS, format: 'csv' }, early)).rejects.toMatchObject({
      name: 'TimeoutError',
    });
    const lines = (async function* () {
      yield Buffer.from('{"latency_ms":1}\n'.repeat(20_000));
      await new Promise(() => {});
    })();
    const late = new AbortController();
    const source = await ImportSource.open(lines, { ...OPTIONS, format: 'jsonl' });
    const run = source.run(() => {}, undefined, undefined, late.signal);
    setImmediate(() => late.abort(new Error('enough')));
    await expect(run).rejects.toThrow('enough');
  });
});
