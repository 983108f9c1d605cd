/** Texts of any size up to the limit, through everything that holds, moves or writes events. */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Worker } from 'node:worker_threads';
import { DuckDBInstance } from '@duckdb/node-api';
import { tableFromIPC } from 'apache-arrow';
import fc from 'fast-check';
import { decompress } from 'fzstd';
import { asyncBufferFromFile, parquetReadObjects } from 'hyparquet';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { Crucible, type EventRow, type Experiment, type ExportFormat } from '../../src/index.js';
import { nodeFileSystem as files } from '../../src/storage/disk/file-system.js';
import { segmentName } from '../../src/storage/disk/paths.js';
import { scanSegment } from '../../src/storage/segment/scan.js';
import { difference, KIB, longText, MIB, UNIT } from '../support/long-texts.js';

const FORMATS: readonly ExportFormat[] = ['csv', 'jsonl', 'msgpack', 'parquet', 'arrow'];

let crucible: Crucible;
let dir: string;
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'crucible-long-'));
  crucible = new Crucible({ workers: 1 });
});
afterEach(async () => {
  await crucible.close();
  rmSync(dir, { recursive: true });
});

/** An event with a long text in its metadata, one in its measurements, and one within a list. */
function capture(target: Pick<Experiment, 'capture'>, n: number, bytes: number): void {
  target.capture(
    'req_llm.request.stop',
    { latencyMs: n, answer: longText(bytes >> 2, `answer ${n}`) },
    {
      n,
      bytes,
      prompt: longText(bytes, n),
      messages: [{ role: 'user', content: longText(bytes >> 3, `message ${n}`) }],
    },
  );
}

/** What of a row is not what was captured; null when nothing is. */
function wrongIn({ metadata, measurements, latencyMs, malformed }: EventRow): string | null {
  const { n, bytes } = metadata as { n: number; bytes: number };
  if (latencyMs !== n || malformed) return `${n}: ${latencyMs}, ${malformed}`;
  // Flattened files have a list as JSON.
  const told = metadata.messages ?? JSON.parse(String(metadata.messages_0 ?? 'null'));
  const messages = (typeof told === 'string' ? JSON.parse(told) : told) as [{ content: string }];
  return (
    difference(metadata.prompt, longText(bytes, n)) ??
    difference(measurements.answer, longText(bytes >> 2, `answer ${n}`)) ??
    difference(messages[0].content, longText(bytes >> 3, `message ${n}`))
  );
}

function expectWhole(rows: readonly EventRow[], count: number): void {
  expect(rows.map(wrongIn).filter((wrong) => wrong !== null)).toEqual([]);
  expect(new Set(rows.map(({ metadata }) => metadata.n)).size).toBe(count);
  expect(rows).toHaveLength(count);
}

async function gathered(events: AsyncIterable<EventRow>): Promise<EventRow[]> {
  const rows: EventRow[] = [];
  for await (const row of events) rows.push(row);
  return rows;
}

/** Around a chunk's byte area (256 KiB and a little), chunks joined to it (some 300 KiB each), and a thread's scratch. */
const SIZES = [
  0,
  1,
  100,
  64 * KIB,
  255 * KIB,
  256 * KIB - 1,
  256 * KIB,
  256 * KIB + 1,
  262_400,
  300 * KIB,
  560 * KIB,
  860 * KIB,
  MIB - 1,
  MIB,
  MIB + 1,
  2 * MIB,
];

describe.each(['in memory', 'on disk'])('texts of every size, %s', (where) => {
  const start = (options = {}) =>
    crucible.startExperiment({ name: where, ...(where === 'on disk' ? { dir } : {}), ...options });

  it('are whole for every reader', async () => {
    const experiment = start({ blockMs: where === 'on disk' ? 30_000 : undefined });
    for (const [n, bytes] of SIZES.entries()) capture(experiment, n, bytes);
    expectWhole(await experiment.query(), SIZES.length);
    expectWhole(await gathered(experiment.events()), SIZES.length);
    if (where === 'on disk') {
      await experiment.flush();
      expectWhole(await experiment.query(), SIZES.length);
    }
    expectWhole(await experiment.window({ lastN: 5 }), 5);
    expectWhole(await experiment.query({ where: { bytes: MIB } }), 1);
    expect((await experiment.metrics({ where: { bytes: { gte: MIB } } })).latency.count).toBe(3);
    expect(experiment.counts).toMatchObject({ captured: SIZES.length, dropped: 0, malformed: 0, cut: 0 });
  });

  it('are whole when threads capture them at the same time', async () => {
    const experiment = start({ capacity: 16_384, ...(where === 'on disk' ? { blockMs: 60_000 } : {}) });
    const threads = 3;
    const each = 8;
    const program = `
      import { workerData } from 'node:worker_threads';
      import { attachExperiment } from '${new URL('../../dist/src/index.js', import.meta.url)}';
      const { handle, from, each, unit } = workerData;
      const writer = attachExperiment(handle);
      const text = (bytes, seed) => {
        const own = seed + unit;
        const size = Buffer.byteLength(own);
        return own.repeat(Math.floor(bytes / size)) + 'x'.repeat(bytes % size);
      };
      for (let n = from; n < from + each; n++) {
        const bytes = 10_000 + ((n * 7919) % 900_000);
        writer.capture('req_llm.request.stop', { latencyMs: n, answer: text(bytes >> 2, 'answer ' + n) }, {
          n, bytes, prompt: text(bytes, n),
          messages: [{ role: 'user', content: text(bytes >> 3, 'message ' + n) }],
        });
      }
      writer.close();`;
    const workers = Array.from({ length: threads }, (_, thread) => {
      const workerData = { handle: experiment.share(), from: thread * each, each, unit: UNIT };
      const worker = new Worker(new URL(`data:text/javascript,${encodeURIComponent(program)}`), {
        workerData,
      });
      return new Promise<void>((resolve, reject) => {
        worker.once('error', reject);
        worker.once('exit', () => resolve());
      });
    });
    // Read while they are written, too.
    const reading = (async () => {
      for (let i = 0; i < 5; i++) {
        expect((await experiment.query()).map(wrongIn).filter((wrong) => wrong !== null)).toEqual([]);
      }
    })();
    await Promise.all([...workers, reading]);
    expectWhole(await experiment.query(), threads * each);
    expect(experiment.counts).toMatchObject({ captured: threads * each, dropped: 0, malformed: 0 });
  }, 120_000);

  it('come back from files of every format', async () => {
    const experiment = start({ blockMs: where === 'on disk' ? 30_000 : undefined });
    const sizes = [100, 300 * KIB, MIB, 2 * MIB];
    for (const [n, bytes] of sizes.entries()) capture(experiment, n, bytes);
    for (const format of FORMATS) {
      const { path, cut } = await experiment.export(format, { path: join(dir, `file.${format}`) });
      expect(cut).toBe(0);
      const other = crucible.startExperiment({ name: format });
      expect(await other.importFile(path)).toMatchObject({ rows: 4, skipped: 0, malformed: 0, cut: 0 });
      expectWhole(await other.query(), 4);
      await other.cleanup();
    }
  }, 120_000);
});

it('a text of 16 MiB comes back from files of every format, whatever its characters take there', async () => {
  const experiment = crucible.startExperiment({ name: 'largest' });
  // Of one byte each, so that there are as many as can be; and such as JSON needs six for.
  const texts = ['y'.repeat(16 * MIB), '\u0001'.repeat(15 * MIB)];
  experiment.capture('e', { latencyMs: 1 }, { a: texts[0], b: texts[1] });
  for (const format of FORMATS) {
    const { path } = await experiment.export(format, { path: join(dir, `file.${format}`) });
    const other = crucible.startExperiment({ name: format });
    expect(await other.importFile(path), format).toMatchObject({ rows: 1, skipped: 0, malformed: 0, cut: 0 });
    const [row] = await other.query();
    expect(difference(row!.metadata.a, texts[0]!), format).toBeNull();
    expect(difference(row!.metadata.b, texts[1]!), format).toBeNull();
    await other.cleanup();
  }
}, 240_000);

describe('other readers', () => {
  it('find the texts whole in the files', async () => {
    const experiment = crucible.startExperiment({ name: 'others' });
    const texts = [100, 300 * KIB, MIB, 16 * MIB].map((bytes, n) => longText(bytes, n));
    for (const [n, prompt] of texts.entries()) experiment.capture('e', { latencyMs: n }, { n, prompt });
    const paths = new Map<ExportFormat, string>();
    for (const format of FORMATS) {
      const { path } = await experiment.export(format, { path: join(dir, `file.${format}`) });
      paths.set(format, path);
    }
    const check = (who: string, prompts: readonly unknown[]) => {
      expect(
        prompts.map((prompt, n) => difference(prompt, texts[n]!)),
        who,
      ).toEqual(texts.map(() => null));
    };
    const arrow = tableFromIPC(readFileSync(paths.get('arrow')!));
    check('apache-arrow', [...arrow.getChild('metadata_prompt')!]);
    const file = await asyncBufferFromFile(paths.get('parquet')!);
    const rows = (await parquetReadObjects({ file, compressors: { ZSTD: (page) => decompress(page) } })) as {
      metadata_prompt: string;
    }[];
    check(
      'hyparquet',
      rows.map(({ metadata_prompt }) => metadata_prompt),
    );
    const lines = readFileSync(paths.get('jsonl')!, 'utf8').trimEnd().split('\n');
    check(
      'JSON.parse',
      lines.map((line) => JSON.parse(line).metadata.prompt),
    );

    const instance = await DuckDBInstance.create(':memory:');
    const connection = await instance.connect();
    const prompts = async (from: string) => {
      const reader = await connection.runAndReadAll(
        `SELECT metadata_prompt AS p FROM ${from} ORDER BY timestamp`,
      );
      return (reader.getRowObjectsJS() as { p: string }[]).map(({ p }) => p);
    };
    check('DuckDB, Parquet', await prompts(`'${paths.get('parquet')}'`));
    const csv = `read_csv('${paths.get('csv')}', header = true, delim = ',', quote = '"', escape = '"', all_varchar = true,
      max_line_size = 100000000, buffer_size = 200000000, parallel = false)`;
    check('DuckDB, CSV', await prompts(csv));
    connection.closeSync();
    instance.closeSync();
  }, 120_000);
});

describe('texts on disk', () => {
  it('are whole after recovery, compaction and in an archive', async () => {
    const experiment = crucible.startExperiment({ name: 'kept', id: 'kept', dir, blockMs: 30_000 });
    for (const [n, bytes] of SIZES.entries()) capture(experiment, n, bytes);
    experiment.capture('largest', {}, { text: longText(16 * MIB) });
    await experiment.flush();
    await crucible.close();

    crucible = new Crucible({ workers: 0, dir });
    await crucible.recover();
    const recovered = crucible.experiment('kept');
    const read = async () => {
      const rows = await gathered(recovered.events());
      const largest = rows.pop()!;
      expect(difference(largest.metadata.text, longText(16 * MIB))).toBeNull();
      expectWhole(rows, SIZES.length);
    };
    await read();
    expect((await recovered.compact()).segments).toBe(1);
    await read();
    for (const format of ['jsonl', 'parquet'] as const) {
      const { path, rows } = await recovered.archive({ destination: 'local', dir, format });
      expect(rows).toBe(SIZES.length + 1);
      if (format === 'jsonl') {
        const [, ...events] = readFileSync(path, 'utf8').trimEnd().split('\n');
        expectWhole(
          events.slice(0, -1).map((line) => (JSON.parse(line) as { data: EventRow }).data),
          SIZES.length,
        );
      }
    }
  }, 120_000);

  it('cost no more than their batch when their bytes are damaged', async () => {
    const experiment = crucible.startExperiment({ name: 'damaged', id: 'damaged', dir });
    for (let n = 0; n < 5; n++) {
      capture(experiment, n, MIB);
      await experiment.flush();
    }
    await crucible.close();
    const path = join(dir, 'damaged', segmentName(1));
    const { entries } = scanSegment(files, path);
    expect(entries.map(({ rows }) => rows)).toEqual([1, 1, 1, 1, 1]);
    const bytes = readFileSync(path);
    bytes[entries[2]!.offset + (entries[2]!.bytes >> 1)]! ^= 1;
    writeFileSync(path, bytes);

    crucible = new Crucible({ workers: 0, dir });
    const { experiments } = await crucible.recover();
    expect(experiments[0]).toMatchObject({ rows: 4, damage: [{ rowsLost: 1 }] });
    const rows = await crucible.experiment('damaged').query();
    expectWhole(rows, 4);
    expect(rows.map(({ metadata }) => metadata.n)).toEqual([0, 1, 3, 4]);
  });

  it('are whole or not there when the ring overwrites them while they are read', async () => {
    const experiment = crucible.startExperiment({ name: 'lapped', capacity: 2048 });
    await fc.assert(
      fc.asyncProperty(fc.array(fc.integer({ min: 1, max: 4 * MIB }), { maxLength: 25 }), async (sizes) => {
        const reading = gathered(experiment.events());
        for (const [n, bytes] of sizes.entries()) {
          capture(experiment, n, bytes);
          if (n % 3 === 0) await new Promise((resolve) => setImmediate(resolve));
        }
        expect((await reading).map(wrongIn).filter((wrong) => wrong !== null)).toEqual([]);
      }),
      { numRuns: 10 },
    );
    const { captured, retained, dropped } = experiment.counts;
    expect(await experiment.query()).toHaveLength(retained);
    expect(captured).toBe(retained + dropped);
  }, 120_000);
});
