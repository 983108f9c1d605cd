/** One bit of one of our own exports is another: it is told, or what is read is what was written. */

import { mkdtempSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import zlib from 'node:zlib';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { ImportedRecord } from '../../src/import/index.js';
import { Crucible, type ExportFormat, type ExportOptions, TelemetryError } from '../../src/index.js';
import { importAll } from './support.js';

const hasZstd = 'createZstdCompress' in zlib;

/** By what a file of them is called. `isSealed`: without its manifest, too. */
const FILES: readonly (ExportOptions & { format: ExportFormat; isSealed: boolean })[] = [
  { format: 'csv', isSealed: false },
  { format: 'csv', compression: 'gzip', isSealed: true },
  ...(hasZstd ? [{ format: 'jsonl', compression: 'zstd', isSealed: true } as const] : []),
  { format: 'jsonl', isSealed: false },
  { format: 'msgpack', isSealed: false },
  { format: 'msgpack', layout: 'columns', isSealed: false },
  { format: 'arrow', isSealed: true },
  { format: 'arrow', layout: 'stream', isSealed: true },
  { format: 'parquet', compression: 'none', isSealed: true },
  { format: 'parquet', compression: 'snappy', isSealed: true },
  { format: 'parquet', compression: 'gzip', flatten: false, isSealed: true },
  { format: 'parquet', compression: 'snappy', rowGroupRows: 7, isSealed: true },
];

let dir: string;
beforeAll(() => {
  dir = mkdtempSync(join(tmpdir(), 'crucible-damage-'));
});
afterAll(() => rmSync(dir, { recursive: true }));

async function exported(format: ExportFormat, options: ExportOptions): Promise<string> {
  await using crucible = new Crucible({ workers: 0 });
  const experiment = crucible.startExperiment({ id: 'd', name: 'damage', capacity: 1024, producers: 1 });
  const recorder = experiment.recorder('req_llm.request.stop', { model: 'm' });
  for (let i = 0; i < 20; i++) {
    recorder.recordAt(1.7e15 + i, i / 8, i / 1e4, i, i % 7, i % 3 === 0);
    experiment.captureAt(1.7e15 + i, 'my.event', { n: i * 1.1 }, { text: `text ${i} é`, list: [i, 'x'] });
  }
  const path = join(dir, `file.${format}`);
  await experiment.export(format, { path, ...options });
  return path;
}

/** What comes of a file: all its events, or the code of an error. */
async function outcome(path: string): Promise<readonly ImportedRecord[] | string> {
  try {
    const { records, problems } = await importAll(path);
    return problems === 0 ? records : 'told';
  } catch (error) {
    if (error instanceof TelemetryError) return error.code;
    throw error;
  }
}

/** Bytes to change: all of a small file, else as many of a larger one, at its ends and in between. */
function* places(bytes: number, count: number): Generator<number> {
  const step = Math.max(1, bytes / count);
  for (let at = 0; at < bytes; at += step) yield Math.floor(at);
}

describe.each(FILES)('$format, $compression, $layout, $rowGroupRows', ({ format, isSealed, ...options }) => {
  it('is told by the manifest beside it, wherever it is', async () => {
    const path = await exported(format, options);
    const whole = readFileSync(path);
    expect(await outcome(path)).toHaveLength(40);
    for (const at of places(whole.length, 25)) {
      const damaged = Uint8Array.from(whole);
      damaged[at]! ^= 1 << (at % 8);
      writeFileSync(path, damaged);
      expect(await outcome(path), `byte ${at}`).toBe('ERR_MANIFEST_MISMATCH');
    }
    writeFileSync(path, whole.subarray(0, whole.length - 1));
    await expect(importAll(path)).rejects.toMatchObject({
      code: 'ERR_MANIFEST_MISMATCH',
      message: expect.stringMatching(/file\.\w+ is not what .*manifest\.json says: it has \d+ bytes/),
      context: { path, manifest: `${path}.manifest.json` },
    });
    rmSync(`${path}.manifest.json`);
  });

  it.runIf(isSealed)('is told without a manifest, or changes nothing', async () => {
    const path = await exported(format, options);
    rmSync(`${path}.manifest.json`);
    const whole = readFileSync(path);
    const expected = await outcome(path);
    const changed: string[] = [];
    for (const at of places(whole.length, 400)) {
      const damaged = Uint8Array.from(whole);
      damaged[at]! ^= 1 << (at % 8);
      writeFileSync(path, damaged);
      const found = await outcome(path);
      if (typeof found !== 'string' && JSON.stringify(found) !== JSON.stringify(expected))
        changed.push(`byte ${at} of ${whole.length}`);
    }
    expect(changed).toEqual([]);
  });
});

describe('a manifest', () => {
  it('that does not fit can be ignored, and one that is none is let alone', async () => {
    const path = await exported('jsonl', {});
    const manifest = `${path}.manifest.json`;
    const text = readFileSync(manifest, 'utf8');
    writeFileSync(path, `${readFileSync(path, 'utf8')}\n`);
    await expect(importAll(path)).rejects.toMatchObject({ code: 'ERR_MANIFEST_MISMATCH' });
    expect((await importAll(path, { manifest: 'ignore' })).rows).toBe(40);
    await expect(importAll(path, { manifest: 'no' as 'ignore' })).rejects.toMatchObject({
      code: 'ERR_CONFIG_INVALID',
    });
    for (const other of ['', '[]', 'a,b\n', '{"files": 3}']) {
      writeFileSync(manifest, other);
      expect((await importAll(path)).rows).toBe(40);
    }
    writeFileSync(manifest, text.slice(0, -9));
    await expect(importAll(path)).rejects.toThrow('is no JSON');
    rmSync(manifest);
    expect((await importAll(path)).rows).toBe(40);
  });

  it('goes with its file to another name', async () => {
    const path = await exported('csv', {});
    const moved = join(dir, 'moved.csv');
    renameSync(path, moved);
    renameSync(`${path}.manifest.json`, `${moved}.manifest.json`);
    expect((await importAll(moved)).rows).toBe(40);
  });
});
