/** Exports that other threads encode: the same bytes, nothing half done, and nobody waiting for anybody. */

import { createHash } from 'node:crypto';
import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { gunzipSync } from 'node:zlib';
import { tableFromIPC } from 'apache-arrow';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { writeExport } from '../../src/experiment/exporting.js';
import { Crucible, type Experiment, type ExperimentOptions, ExportError } from '../../src/index.js';
import { AnalysisPool } from '../../src/workers/pool.js';
import { FakeClock, START_US } from '../capture/support.js';

/** More than the calling thread encodes by itself. */
const ROWS = 6_000;

let folder: string;
let crucible: Crucible;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'crucible-exporting-'));
  crucible = new Crucible({ clock: new FakeClock(), workers: 1 });
});
afterEach(async () => {
  await crucible.close();
  await rm(folder, { recursive: true });
});

function start(of = crucible, options: Partial<ExperimentOptions> = {}, rows = ROWS): Experiment {
  const experiment = of.startExperiment({ name: 'e', id: 'same', columns: { region: 'dict' }, ...options });
  const recorder = experiment.recorder('llm', { model: 'gpt-4', region: 'eu' });
  for (let i = 0; i < rows; i++) {
    const timeUs = START_US + i * 1000 - (i % 3) * 2500;
    if (i % 20 === 0)
      experiment.captureAt(timeUs, 'note', {}, { text: `"${i}", or so`, userId: `u${i % 5}` });
    else recorder.recordAt(timeUs, i / 8, 0.001, i % 50, 2, i % 7 !== 0);
  }
  return experiment;
}

async function bytesOf(stream: AsyncIterable<Buffer>): Promise<Buffer> {
  const chunks: Buffer[] = [];
  for await (const chunk of stream) chunks.push(chunk);
  return Buffer.concat(chunks);
}

const names = async () => (await readdir(folder)).sort();

describe('an export by another thread', () => {
  it.each(['csv', 'jsonl'] as const)('gives the bytes that the calling thread would: %s', async (format) => {
    const options = [
      {},
      { anonymize: { key: 'sixteen bytes ok' } },
      { filter: { model: 'gpt-4' } },
      { flatten: false },
    ];
    const experiment = start();
    const far: Buffer[] = [];
    for (const [i, option] of options.entries()) {
      const path = join(folder, `far-${i}`);
      const { bytes, sha256, rows } = await experiment.export(format, { path, ...option });
      const content = await readFile(path);
      far.push(content, await bytesOf(experiment.exportStream(format, option)));
      expect(content.length).toBe(bytes);
      expect(createHash('sha256').update(content).digest('hex')).toBe(sha256);
      expect(rows).toBe('filter' in option ? ROWS * 0.95 : ROWS);
    }
    await crucible.close();
    const here = new Crucible({ clock: new FakeClock(), workers: 0 });
    const near = start(here);
    for (const [i, option] of options.entries()) {
      const path = join(folder, `near-${i}`);
      await near.export(format, { path, ...option });
      const content = await readFile(path);
      expect(far[2 * i]!.equals(content)).toBe(true);
      expect(far[2 * i + 1]!.equals(content)).toBe(true);
    }
    await here.close();
  });

  it('of several experiments merges them by time', async () => {
    const arms = [start(crucible, { id: 'a' }), start(crucible, { id: 'b' })];
    const path = join(folder, 'both.jsonl');
    const { rows } = await crucible.exportMultiple(arms, 'jsonl', { path });
    expect(rows).toBe(2 * ROWS);
    const events = (await readFile(path, 'utf8'))
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line) as { timestamp: number });
    const times = events.map(({ timestamp }) => timestamp);
    expect(times).toEqual([...times].sort((a, b) => a - b));
  });

  it('keeps the types of declared columns where rows go by events, too', async () => {
    const experiment = crucible.startExperiment({ name: 'typed', columns: { score: 'f64' } });
    for (let i = 0; i < 10; i++) experiment.capture('e', {}, { score: i, userId: 'u' });
    const path = join(folder, 'typed.arrow');
    const typeOf = async () => String(tableFromIPC(await readFile(path)).getChild('metadata_score')?.type);
    await experiment.export('arrow', { path });
    expect(await typeOf()).toBe('Float64');
    await experiment.export('arrow', { path, anonymize: { key: 'sixteen bytes ok' } });
    expect(await typeOf()).toBe('Float64');
    await crucible.exportMultiple([experiment, start()], 'arrow', { path });
    expect(await typeOf()).toBe('Float64');
  });

  it('of a running experiment ends where it was when it was asked for', async () => {
    const experiment = start();
    const path = join(folder, 'e.csv');
    const exported = experiment.export('csv', { path });
    const streamed = bytesOf(experiment.exportStream('csv'));
    for (let i = 0; i < 3000; i++) experiment.capture('later', {}, { other: i });
    expect((await exported).rows).toBe(ROWS);
    expect((await streamed).equals(await readFile(path))).toBe(true);
  });

  it('tells its progress, and what it was told to write into its manifest', async () => {
    const told: { rows: number; bytes: number }[] = [];
    const path = join(folder, 'e.csv.gz');
    const experiment = start();
    const { rows, bytes, manifest } = await experiment.export('csv', {
      path,
      compression: 'gzip',
      onProgress: (progress) => told.push(progress),
    });
    const text = gunzipSync(await readFile(path));
    expect(text.equals(await bytesOf(experiment.exportStream('csv')))).toBe(true);
    expect(told.at(-1)).toEqual({ rows, bytes: text.length });
    expect(bytes).toBeLessThan(text.length);
    expect(JSON.parse(await readFile(manifest, 'utf8'))).toMatchObject({
      rows: ROWS,
      counts: { captured: ROWS, dropped: 0 },
      options: { compression: 'gzip' },
    });
  });

  it('may be streamed by somebody who asks the pool for something meanwhile', async () => {
    const experiment = start(crucible, {}, 30_000);
    const streams = [experiment.exportStream('csv'), experiment.exportStream('jsonl')];
    let asked = 0;
    for (const stream of streams) {
      for await (const _ of stream) {
        if (asked++ % 8 === 0) expect((await experiment.metrics()).summary.totalEvents).toBe(30_000);
      }
    }
    expect(asked).toBeGreaterThan(2);
  });
});

describe('an export that does not end well', () => {
  it('leaves nothing when its reader has had enough', async () => {
    const stream = start(crucible, {}, 50_000).exportStream('csv');
    for await (const chunk of stream) {
      expect(chunk.length).toBeGreaterThan(0);
      break;
    }
    expect(stream.destroyed).toBe(true);
  });

  it('leaves no file when it is aborted, at once or on the way', async () => {
    const experiment = start(crucible, {}, 200_000);
    const reason = new Error('enough');
    const early = AbortSignal.abort(reason);
    await expect(experiment.export('jsonl', { dir: folder, signal: early })).rejects.toBe(reason);
    const controller = new AbortController();
    const exported = experiment.export('jsonl', {
      dir: folder,
      signal: controller.signal,
      onProgress: () => controller.abort(reason),
    });
    await expect(exported).rejects.toBe(reason);
    const stream = experiment.exportStream('csv', { signal: early });
    await expect(bytesOf(stream)).rejects.toBe(reason);
    // The thread is being ended; what it may still do is write to a file that has no name any more.
    for (let i = 0; i < 100 && (await names()).length > 0; i++) await sleep(10);
    expect(await names()).toEqual([]);
    expect((await experiment.export('jsonl', { dir: folder })).rows).toBe(200_000);
  });

  it('leaves no file when its thread dies', async () => {
    const dying = new AnalysisPool({
      threads: 1,
      module: new URL('../support/analysis/dies-exporting.mjs', import.meta.url),
    });
    const path = join(folder, 'e.csv');
    const exported = writeExport(dying, [start().selected()], 'csv', { path });
    await expect(exported).rejects.toMatchObject({ code: 'ERR_WORKER_FAILED' });
    expect(await names()).toEqual([]);
    await dying.close();
  });

  it('leaves no file when everything is closed', async () => {
    const experiment = start(crucible, {}, 100_000);
    const exported = experiment.export('jsonl', { dir: folder });
    const failed = expect(exported).rejects.toMatchObject({ code: 'ERR_CLOSED' });
    await crucible.close();
    await failed;
    expect(await names()).toEqual([]);
  });

  it('does not let two of them write one path', async () => {
    const experiment = start();
    const path = join(folder, 'e.csv');
    const outcomes = await Promise.allSettled([
      experiment.export('csv', { path }),
      experiment.export('csv', { path, filter: { eventName: 'note' } }),
      experiment.export('csv', { path: join(folder, 'other.csv') }),
    ]);
    const [one, other, elsewhere] = outcomes.map(({ status }) => status);
    expect([one, other].sort()).toEqual(['fulfilled', 'rejected']);
    expect(elsewhere).toBe('fulfilled');
    const refused = outcomes.find((outcome) => outcome.status === 'rejected');
    expect(refused?.reason).toBeInstanceOf(ExportError);
    expect(await names()).toEqual(['e.csv', 'e.csv.manifest.json', 'other.csv', 'other.csv.manifest.json']);
    expect((await experiment.export('csv', { path, filter: { eventName: 'note' } })).rows).toBe(ROWS / 20);
  });

  it('says what is wrong with its options before anything is written', async () => {
    const experiment = start();
    await expect(experiment.export('xml' as never, { dir: folder })).rejects.toMatchObject({
      code: 'ERR_UNSUPPORTED_FORMAT',
    });
    await expect(experiment.export('csv', { dir: folder, compression: 'snappy' })).rejects.toMatchObject({
      code: 'ERR_CONFIG_INVALID',
    });
    await expect(
      experiment.export('csv', { dir: folder, filter: { eventName: 'never' } }),
    ).rejects.toMatchObject({ code: 'ERR_NO_DATA' });
    await expect(
      bytesOf(experiment.exportStream('csv', { filter: { eventName: 'never' } })),
    ).rejects.toMatchObject({ code: 'ERR_NO_DATA' });
    await expect(experiment.export('csv', { dir: folder, name: '../up' })).rejects.toMatchObject({
      code: 'ERR_EXPORT_PATH',
    });
    expect(await names()).toEqual([]);
  });
});

it.each<[object, string]>([
  [{ anonymise: { key: 'k' } }, 'anonymise: expected no such option (did you mean anonymize?)'],
  [{ csvsafe: true }, 'csvsafe'],
])('refuses %j, which would have no effect', async (options, message) => {
  const experiment = start(crucible, {}, 3);
  const error = { code: 'ERR_CONFIG_INVALID', message: expect.stringContaining(message) };
  await expect(experiment.export('csv', { path: join(folder, 'x.csv'), ...options })).rejects.toMatchObject(
    error,
  );
  expect(() => experiment.exportStream('csv', options)).toThrow(expect.objectContaining(error));
  await expect(
    crucible.exportMultiple([experiment.id], 'csv', { path: join(folder, 'x.csv'), ...options }),
  ).rejects.toMatchObject(error);
  expect(await readdir(folder)).toEqual([]);
});
