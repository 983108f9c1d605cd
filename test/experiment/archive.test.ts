/** Archives hold what the experiment held, and say so only after they were read again. */
import { createHash } from 'node:crypto';
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { open } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setImmediate } from 'node:timers/promises';
import { DuckDBInstance } from '@duckdb/node-api';
import { parquetMetadata } from 'hyparquet';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { Crucible, type EventRow, type Experiment, VERSION } from '../../src/index.js';
import { nodeFileSystem } from '../../src/storage/disk/file-system.js';
import { acquireLock } from '../../src/storage/disk/lock.js';

let folder: string;
let dir: string;
let crucible: Crucible;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'crucible-archive-'));
  dir = join(folder, 'exports');
  crucible = new Crucible();
});
afterEach(async () => {
  vi.restoreAllMocks();
  await crucible.close();
  rmSync(folder, { recursive: true });
});

const COLUMNS = { label: 'dict', score: 'f64', cached: 'bool', size: 'u32' } as const;

function fill(experiment: Experiment, rows = 3000): void {
  const recorder = experiment.recorder('recorded', { model: 'big', provider: 'acme' });
  for (let i = 0; i < rows; i++) {
    if (i % 3 === 0)
      recorder.recordAt(1e15 + i, i % 7 === 0 ? Number.NaN : i / 3, i / 1e6, i, 5, i % 2 === 0);
    else {
      const metadata = {
        label: `label ${i % 9}`,
        score: i / 2,
        cached: i % 2 === 0,
        size: i,
        text: `line\u2028 “quoted”\n\ud83d ${i}`,
        deep: [{ a: [i, null] }],
        ['__proto__']: i,
      };
      experiment.captureAt(
        1e15 + ((i * 7) % rows),
        `event ${i % 5}`,
        { latencyMs: i % 11, loss: i },
        metadata,
      );
    }
  }
}

const start = (name = 'archived') =>
  crucible.startExperiment({ name, tags: ['t'], capacity: 8192, columns: COLUMNS, events: 'all' });

const linesOf = (path: string) =>
  readFileSync(path, 'utf8')
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line) as { type: string; data: EventRow });

const sha256Of = (path: string) => createHash('sha256').update(readFileSync(path)).digest('hex');

describe('as JSON Lines', () => {
  it('an archive is the metadata and then every event, as query() returns it', async () => {
    const experiment = start();
    fill(experiment);
    const result = await experiment.archive({ destination: 'local', dir });
    const path = join(dir, 'archived_archive.jsonl');
    expect(result).toEqual({
      path,
      format: 'jsonl',
      rows: 3000,
      bytes: readFileSync(path).length,
      sha256: sha256Of(path),
      manifest: null,
      unreadable: 0,
      verified: true,
    });
    expect(readdirSync(dir)).toEqual(['archived_archive.jsonl']);
    const [head, ...events] = linesOf(path);
    expect(head).toEqual({
      type: 'experiment_metadata',
      data: JSON.parse(JSON.stringify({ ...experiment.toJSON(), libraryVersion: VERSION })),
    });
    expect(head!.data).toMatchObject({ name: 'archived', status: 'archived', counts: { captured: 3000 } });
    const captured = await experiment.query();
    expect(events.every(({ type }) => type === 'event')).toBe(true);
    expect(events.map(({ data }) => data)).toEqual(captured);
    const times = events.map(({ data }) => data.timestamp);
    expect(times).toEqual(times.toSorted((a, b) => a - b));
  });

  it('an archive of no event is the metadata alone', async () => {
    const experiment = start();
    const result = await experiment.archive({ destination: 'local', dir });
    expect(result.rows).toBe(0);
    expect(linesOf(result.path).map(({ type }) => type)).toEqual(['experiment_metadata']);
    expect(experiment.status).toBe('archived');
  });

  it('goes to the path that is given, over what was there, and again if asked', async () => {
    const experiment = start();
    fill(experiment, 10);
    const path = join(folder, 'deep', 'er', 'mine.txt');
    const first = await experiment.archive({ destination: 'local', path });
    writeFileSync(path, 'other');
    const second = await experiment.archive({ destination: 'local', path });
    expect(second).toEqual(first);
    expect(sha256Of(path)).toBe(first.sha256);
  });
});

describe('as Parquet', () => {
  it('an archive holds every row, with a manifest beside it', async () => {
    const experiment = start();
    fill(experiment, 8000);
    const result = await experiment.archive({ destination: 'local', dir, format: 'parquet' });
    const path = join(dir, 'archived_archive.parquet');
    expect(result).toEqual({
      path,
      format: 'parquet',
      rows: 8000,
      bytes: readFileSync(path).length,
      sha256: sha256Of(path),
      manifest: `${path}.manifest.json`,
      unreadable: 0,
      verified: true,
    });
    const manifest = JSON.parse(readFileSync(result.manifest as string, 'utf8'));
    const captured = await experiment.query();
    expect(manifest).toMatchObject({
      file: 'archived_archive.parquet',
      format: 'parquet',
      rows: 8000,
      bytes: result.bytes,
      sha256: result.sha256,
      timeRange: { startUs: captured[0]!.timestamp, endUs: captured.at(-1)!.timestamp },
      experiment: { id: experiment.id, status: 'archived', tags: ['t'] },
      counts: { captured: 8000, retained: 8000 },
      libraryVersion: VERSION,
    });
    const { schema } = parquetMetadata(new Uint8Array(readFileSync(path)).buffer);
    expect(manifest.schema.map(({ name }: { name: string }) => name)).toEqual(
      schema.slice(1).map(({ name }) => name),
    );
    expect(manifest.schema).toEqual(
      expect.arrayContaining([
        { name: 'timestamp', type: 'timestamp', nullable: false, unit: 'us' },
        { name: 'latency_ms', type: 'float64', nullable: true, unit: 'ms' },
        { name: 'metadata_label', type: 'text', nullable: true },
      ]),
    );
    expect(manifest.additionalKeys).toBe(false);

    const connection = await (await DuckDBInstance.create()).connect();
    const reader = await connection.runAndReadAll(
      `select epoch_us(timestamp) as t, event_name as event, model, latency_ms, success, metadata_label as label
      from read_parquet('${path}', file_row_number = true) order by file_row_number`,
    );
    const rows = reader.getRowObjectsJS();
    expect(rows).toEqual(
      captured.map((event) => ({
        t: BigInt(event.timestamp),
        event: event.eventName,
        model: event.model,
        latency_ms: event.latencyMs,
        success: event.success,
        label: event.metadata.label ?? null,
      })),
    );
  });

  it('an archive of no event has no rows', async () => {
    const { path, rows } = await start().archive({ destination: 'local', dir, format: 'parquet' });
    expect(rows).toBe(0);
    expect(Number(parquetMetadata(new Uint8Array(readFileSync(path)).buffer).num_rows)).toBe(0);
  });
});

describe.each(['jsonl', 'parquet'] as const)('an archive as %s, imported', (format) => {
  it.each([0, 1])('gives the events as they were, with %i workers', async (workers) => {
    const own = new Crucible({ workers });
    const options = { condition: 'c', tags: ['t'], columns: COLUMNS };
    const experiment = own.startExperiment({ name: 'archived', id: 'here', ...options });
    fill(experiment, 3000);
    const before = await experiment.query();
    const { path } = await experiment.archive({ destination: 'local', dir, format });
    // Two archives behind each other, too.
    const file = format === 'jsonl' ? join(dir, 'twice.jsonl') : path;
    if (format === 'jsonl') writeFileSync(file, readFileSync(path, 'utf8').repeat(2));
    const again = own.startExperiment({ name: 'archived', ...options });
    const result = await again.importFile(file);
    const times = format === 'jsonl' ? 2 : 1;
    expect(result).toMatchObject({ rows: 3000 * times, skipped: 0, malformed: 0, untimed: 0, reasons: {} });
    // Its place is a new one: in the order of the file, and in another experiment, which keeps the first one's id.
    const told = ({ sequence: _, experimentId: __, metadata, ...event }: EventRow) => ({
      ...event,
      metadata: { ...metadata, experiment_id: 'here' },
    });
    const after = (await again.query()).map(told);
    expect(after.filter((_, i) => i % times === 0)).toEqual(before.map(told));
    await own.close();
  });
});

describe('a folder of experiments', () => {
  it('is not imported, whether it is one itself, holds them, or has one in it somewhere', async () => {
    await using durable = new Crucible({ dir: join(folder, 'data', 'deep'), workers: 0 });
    const experiment = durable.startExperiment({ name: 'e' });
    experiment.capture('a', {});
    await experiment.flush();
    for (const path of [experiment.storage!.folder, join(folder, 'data', 'deep'), join(folder, 'data')]) {
      await expect(durable.importFiles(path)).rejects.toMatchObject({
        code: 'ERR_UNSUPPORTED_FORMAT',
        message: expect.stringContaining('crucible list'),
      });
    }
    expect(durable.experiments()).toEqual([experiment]);
  });
});

describe('an experiment that is archived', () => {
  it('is stopped first, can be read on, and captures nothing more', async () => {
    const experiment = start();
    fill(experiment, 20);
    expect(experiment.status).toBe('running');
    await experiment.archive({ destination: 'local', dir });
    expect(experiment.status).toBe('archived');
    expect(experiment.stoppedAt).not.toBeNull();
    experiment.capture('e', {});
    await experiment.stop();
    expect(experiment.status).toBe('archived');
    expect(() => experiment.pause()).toThrow('archived');
    expect(await experiment.query()).toHaveLength(20);
    expect((await experiment.metrics()).summary.totalEvents).toBe(20);
  });

  it.each(['jsonl', 'parquet'] as const)('stays so when it is reopened from disk: %s', async (format) => {
    const durable = new Crucible({ dir: join(folder, 'data') });
    const experiment = durable.startExperiment({
      name: 'd',
      columns: COLUMNS,
      events: 'all',
      segmentBytes: 65_536,
    });
    fill(experiment);
    await experiment.flush();
    await experiment.stop();
    await experiment.compact();
    const result = await experiment.archive({ destination: 'local', dir, format });
    expect(result.rows).toBe(3000);
    const events = await experiment.query();
    if (format === 'jsonl')
      expect(
        linesOf(result.path)
          .slice(1)
          .map(({ data }) => data),
      ).toEqual(events);
    await durable.close();
    const again = new Crucible({ dir: join(folder, 'data') });
    const report = await again.recover();
    expect(report.experiments).toMatchObject([{ status: 'archived', rows: 3000, damage: [] }]);
    expect(again.experiments()[0]!.status).toBe('archived');
    expect(await again.experiments()[0]!.query()).toEqual(events);
    await again.close();
  });

  it('says how many rows could not be read', async () => {
    const durable = new Crucible({ dir: join(folder, 'data') });
    const experiment = durable.startExperiment({ name: 'd', events: 'all', capacity: 1024 });
    fill(experiment, 900);
    await experiment.flush();
    fill(experiment, 100);
    await experiment.stop();
    const path = join(experiment.storage!.folder, '000001.arrows');
    const bytes = readFileSync(path);
    bytes[bytes.length - 200]! ^= 1;
    writeFileSync(path, bytes);
    // Nothing is in memory any more.
    await durable.close();
    const again = new Crucible({ dir: join(folder, 'data') });
    await again.recover();
    const result = await again.experiments()[0]!.archive({ destination: 'local', dir });
    expect(result.rows + result.unreadable).toBe(1000);
    expect(result.unreadable).toBeGreaterThan(0);
    await again.close();
  });

  it('is left alone while another process writes it', async () => {
    const durable = new Crucible({ dir: join(folder, 'data') });
    const experiment = durable.startExperiment({ name: 'd' });
    await experiment.stop();
    const lock = acquireLock(nodeFileSystem, experiment.storage!.folder);
    await expect(experiment.archive({ destination: 'local', dir })).rejects.toMatchObject({
      code: 'ERR_LOCKED',
    });
    expect(existsSync(dir)).toBe(false);
    expect(experiment.status).toBe('stopped');
    lock.release();
    await durable.close();
  });
});

describe('is refused, and changes nothing,', () => {
  it.each([
    [{ destination: 's3' }, 'ERR_CONFIG_INVALID', 'destination'],
    [{ destination: 'postgres' }, 'ERR_CONFIG_INVALID', 'destination'],
    [{ destination: 'moon' }, 'ERR_CONFIG_INVALID', 'destination'],
    [{}, 'ERR_CONFIG_INVALID', 'destination'],
    [undefined, 'ERR_CONFIG_INVALID', 'options'],
    [{ destination: 'local', bucket: 'b' }, 'ERR_CONFIG_INVALID', 'bucket'],
    [{ destination: 'local', format: 'csv' }, 'ERR_UNSUPPORTED_FORMAT', undefined],
    [{ destination: 'local', path: '' }, 'ERR_EXPORT_PATH', undefined],
    [{ destination: 'local', path: tmpdir() }, 'ERR_EXPORT_PATH', undefined],
  ])('%o', async (options, code, path) => {
    const experiment = start();
    const archived = experiment.archive(options as Parameters<Experiment['archive']>[0]);
    await expect(archived).rejects.toMatchObject({
      code,
      ...(path === undefined ? {} : { context: { path } }),
    });
    expect(experiment.status).toBe('running');
  });

  it('a name that leads out of the folder', async () => {
    await expect(start('../up').archive({ destination: 'local', dir })).rejects.toMatchObject({
      code: 'ERR_EXPORT_PATH',
    });
    mkdirSync(dir);
    symlinkSync(folder, join(dir, 'link'));
    await expect(start('link/x').archive({ destination: 'local', dir })).rejects.toMatchObject({
      code: 'ERR_EXPORT_PATH',
    });
  });

  it('after cleanup', async () => {
    const experiment = start();
    await experiment.cleanup();
    await expect(experiment.archive({ destination: 'local', dir })).rejects.toMatchObject({
      code: 'ERR_CLOSED',
    });
  });
});

describe.each(['jsonl', 'parquet'] as const)('when it cannot be written, %s', (format) => {
  it('leaves nothing, and the experiment stopped', async () => {
    const experiment = start();
    fill(experiment, 50);
    writeFileSync(join(folder, 'file'), '');
    const path = join(folder, 'file', 'a');
    await expect(experiment.archive({ destination: 'local', path, format })).rejects.toMatchObject({
      code: 'ERR_STORAGE_IO',
    });
    expect(experiment.status).toBe('stopped');
    expect(readdirSync(folder)).toEqual(['file']);
    expect((await experiment.archive({ destination: 'local', dir, format })).rows).toBe(50);
  });

  it('since it is given up, whenever that is, leaves nothing, and the experiment stopped', async () => {
    const experiment = start();
    fill(experiment, 8000);
    const path = join(dir, 'archive');
    const outcomes: string[] = [];
    for (let turns = 0; outcomes.at(-1) !== 'archived'; turns = 2 * turns + 1) {
      const controller = new AbortController();
      const { signal } = controller;
      const outcome = experiment.archive({ destination: 'local', path, format, signal }).then(
        ({ rows }) => {
          expect(rows).toBe(8000);
          return 'archived';
        },
        (error: Error) => error.message,
      );
      for (let turn = 0; turn < turns; turn++) await setImmediate();
      controller.abort(new Error('given up'));
      outcomes.push(await outcome);
      expect(existsSync(dir) ? readdirSync(dir).filter((name) => /tmp/.test(name)) : []).toEqual([]);
      expect({ there: existsSync(path), status: experiment.status }).toEqual(
        outcomes.at(-1) === 'archived'
          ? { there: true, status: 'archived' }
          : { there: false, status: 'stopped' },
      );
    }
    expect(new Set(outcomes)).toEqual(new Set(['given up', 'archived']));
  });

  it('as it should be, says so and leaves nothing', async () => {
    const experiment = start();
    fill(experiment, 500);
    // The disk changes a byte of what it is given.
    const handle = await open(join(folder, 'probe'), 'w');
    const prototype = Object.getPrototypeOf(handle);
    await handle.close();
    const writeFile = prototype.writeFile;
    vi.spyOn(prototype, 'writeFile').mockImplementation(function (this: unknown, ...args: unknown[]) {
      const bytes = Buffer.from(args[0] as Buffer);
      bytes[format === 'jsonl' ? bytes.indexOf('latency') + 12 : bytes.length >> 1]! ^= 1;
      return writeFile.call(this, bytes);
    });
    await expect(experiment.archive({ destination: 'local', dir, format })).rejects.toMatchObject({
      code: 'ERR_STORAGE_IO',
      message: expect.stringContaining('is not what was written'),
    });
    expect(readdirSync(dir)).toEqual([]);
    expect(experiment.status).toBe('stopped');
  });
});
