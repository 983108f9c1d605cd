/**
 * Files that come to harm while their experiment lives: what is lost is counted and told, everywhere alike, and nothing is
 * acknowledged that is in no file. Needs the built files, for the threads.
 */
import {
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  truncateSync,
  unlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { Crucible, type Experiment, type ExperimentOptions } from '../../src/index.js';

let dir: string;
let warnings: string[];
const hear = (warning: Error & { code?: string }) => {
  if (warning.code === 'CRUCIBLE_DAMAGED') warnings.push(warning.message);
};
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'crucible-losses-'));
  warnings = [];
  process.on('warning', hear);
});
afterEach(() => {
  process.off('warning', hear);
  rmSync(dir, { recursive: true });
});

/** More than are read by the calling thread, where there is another. */
const ROWS = 20_500;
const MORE = 100;

function segmentsOf(experiment: Experiment): string[] {
  const { folder } = experiment.storage!;
  const names = readdirSync(folder).filter((name) => name.endsWith('.arrows'));
  return names.sort().map((name) => join(folder, name));
}

/** In the midst of a file is the body of some batch: bodies are nearly all of it. */
function flipBit(path: string): void {
  const bytes = readFileSync(path);
  bytes[bytes.length >> 1]! ^= 1;
  writeFileSync(path, bytes);
}

function replace(path: string, content: Uint8Array): void {
  writeFileSync(`${path}.new`, content);
  renameSync(`${path}.new`, path);
}

/** What follows a segment's end is nothing. */
function padded(content: Uint8Array, bytes: number): Uint8Array {
  return Buffer.concat([content, Buffer.alloc(Math.max(0, bytes - content.length))]);
}

interface Misfortune {
  readonly what: string;
  readonly happen: (files: { first: string; second: string; current: string }) => void;
  /** Whether a flush finds it, or only who reads the bytes. */
  readonly isFlushed: boolean;
  /** Rows are lost: those of the file, some of them, or none. */
  readonly costs: 'all' | 'some' | 'nothing';
}

const MISFORTUNES: readonly Misfortune[] = [
  {
    what: 'a finished segment is deleted',
    happen: ({ first }) => unlinkSync(first),
    isFlushed: true,
    costs: 'all',
  },
  {
    what: 'a finished segment is moved away',
    happen: ({ first }) => renameSync(first, `${first}.bak`),
    isFlushed: true,
    costs: 'all',
  },
  {
    what: 'a finished segment is cut off',
    happen: ({ first }) => truncateSync(first, statSync(first).size >> 1),
    isFlushed: true,
    costs: 'some',
  },
  {
    what: 'a finished segment is emptied',
    happen: ({ first }) => truncateSync(first, 0),
    isFlushed: true,
    costs: 'all',
  },
  {
    what: 'a finished segment is replaced by another one, no shorter',
    happen: ({ first, second }) => replace(first, padded(readFileSync(second), statSync(first).size)),
    isFlushed: true,
    costs: 'all',
  },
  {
    what: 'a finished segment is overwritten by another one, no shorter',
    happen: ({ first, second }) => writeFileSync(first, padded(readFileSync(second), statSync(first).size)),
    isFlushed: true,
    costs: 'all',
  },
  {
    what: 'a finished segment is replaced by a copy of it',
    happen: ({ first }) => replace(first, readFileSync(first)),
    isFlushed: true,
    costs: 'nothing',
  },
  {
    what: 'a bit of a finished segment flips',
    happen: ({ first }) => flipBit(first),
    isFlushed: false,
    costs: 'some',
  },
  {
    what: 'a bit of the current segment flips',
    happen: ({ current }) => flipBit(current),
    isFlushed: false,
    costs: 'some',
  },
  {
    what: 'the current segment is deleted',
    happen: ({ current }) => unlinkSync(current),
    isFlushed: true,
    costs: 'all',
  },
  {
    what: 'the current segment is moved away',
    happen: ({ current }) => renameSync(current, `${current}.bak`),
    isFlushed: true,
    costs: 'all',
  },
  {
    what: 'the current segment is cut off',
    happen: ({ current }) => truncateSync(current, statSync(current).size >> 1),
    isFlushed: true,
    costs: 'some',
  },
  {
    what: 'the current segment is emptied',
    happen: ({ current }) => truncateSync(current, 0),
    isFlushed: true,
    costs: 'all',
  },
  {
    what: 'the current segment is replaced by something else',
    happen: ({ current }) => replace(current, Buffer.from('This is none of ours.')),
    isFlushed: true,
    costs: 'all',
  },
  {
    what: 'the current segment is replaced by a copy',
    happen: ({ current }) => replace(current, readFileSync(current)),
    isFlushed: true,
    costs: 'nothing',
  },
];

/** Everybody tells the same. @returns rows that are lost */
async function expectAgreement(experiment: Experiment): Promise<number> {
  const rows = (await experiment.query()).length;
  const { captured, retained, dropped, damaged } = experiment.counts;
  expect({ retained, dropped, captured }).toEqual({
    retained: rows,
    dropped: damaged,
    captured: rows + damaged,
  });
  const { damaged: places, written, durable, error } = experiment.storage!;
  expect(places.reduce((sum, place) => sum + (place.rows ?? 0), 0)).toBe(damaged);
  expect({ written, durable, error }).toEqual({ written: rows, durable: rows, error: null });
  expect((await experiment.metrics()).summary.totalEvents).toBe(rows);
  expect((await experiment.metricsBy('eventName')).map(({ metrics }) => metrics.summary.totalEvents)).toEqual(
    [rows],
  );
  const exported = await experiment.export('jsonl', { path: join(dir, 'out.jsonl') });
  expect(exported).toMatchObject({ rows, damaged });
  expect(JSON.parse(readFileSync(exported.manifest, 'utf8'))).toMatchObject({
    rows,
    damaged,
    counts: { captured, retained, dropped, damaged },
  });
  return damaged;
}

for (const workers of [0, 1]) {
  describe(`with ${workers} threads of analysis`, () => {
    let crucible: Crucible;
    beforeEach(() => {
      crucible = new Crucible({ dir, workers });
    });
    afterEach(() => crucible.close().catch(() => {}));

    async function start(options: Partial<ExperimentOptions> = {}): Promise<Experiment> {
      const experiment = crucible.startExperiment({
        name: 'e',
        segmentBytes: 2 ** 18,
        capacity: 8192,
        ...options,
      });
      capture(experiment, ROWS - 500);
      await experiment.flush();
      capture(experiment, 500);
      await experiment.flush();
      return experiment;
    }

    function capture(experiment: Experiment, rows: number): void {
      const recorder = experiment.recorder('e');
      for (let i = 0; i < rows; i++) recorder.record(i);
    }

    /** Captures until a segment has expired. */
    async function outgrow(experiment: Experiment, segment: string): Promise<void> {
      for (let i = 0; segmentsOf(experiment).includes(segment) && i < 50; i++) {
        capture(experiment, 4000);
        await experiment.flush();
      }
      capture(experiment, 8000);
      await experiment.flush();
      expect(segmentsOf(experiment)).not.toContain(segment);
    }

    function expectOnce(experiment: Experiment, lost: number, rows: number): void {
      const { captured, retained, damaged, dropped } = experiment.counts;
      const { expired, written } = experiment.storage!;
      expect({ retained, damaged, dropped }).toEqual({ retained: rows, damaged: lost, dropped: lost });
      expect({ captured, written }).toEqual({ captured: rows + expired + lost, written: rows + expired });
    }

    it('compacts what is there, although a segment is missing', async () => {
      const experiment = await start();
      await experiment.stop();
      const [first, ...others] = segmentsOf(experiment) as [string, ...string[]];
      unlinkSync(first);
      expect(await experiment.compact()).toMatchObject({
        segments: others.length,
        skipped: [{ file: '000001.arrows', reason: 'the file is missing' }],
      });
    });

    for (const { what, happen, isFlushed, costs } of MISFORTUNES) {
      it(`${what}: what that costs is counted, told and warned of once`, async () => {
        const experiment = await start();
        const files = segmentsOf(experiment);
        happen({ first: files[0]!, second: files[1]!, current: files.at(-1)! });
        capture(experiment, MORE);
        const flush = experiment.flush();
        if (isFlushed && costs !== 'nothing')
          await expect(flush).rejects.toMatchObject({
            code: 'ERR_FLUSH_INCOMPLETE',
            context: { report: { pending: 0, lost: { damaged: expect.any(Number) as number } } },
          });
        else await flush;
        const lost = await expectAgreement(experiment);
        if (costs === 'nothing') expect(lost).toBe(0);
        else expect(lost).toBeGreaterThan(0);
        // The rows of the chunk that was being filled are in memory, though they were on disk.
        const latest = (await experiment.window({ lastN: MORE + 20 })).map(({ latencyMs }) => latencyMs);
        expect(latest).toEqual([
          ...Array.from({ length: 20 }, (_, i) => 480 + i),
          ...Array.from({ length: MORE }, (_, i) => i),
        ]);
        capture(experiment, MORE);
        // What was lost before it does not concern this one.
        expect(await experiment.flush()).toMatchObject({ pending: 0, lost: { damaged: lost } });
        expect(await expectAgreement(experiment)).toBe(lost);
        await experiment.stop();
        expect(await expectAgreement(experiment)).toBe(lost);
        expect(warnings).toHaveLength(lost === 0 ? 0 : 1);
        await crucible.close();
        // Whoever opens it next finds the same.
        await using next = new Crucible({ dir, workers });
        await next.recover();
        expect(await expectAgreement(next.experiments()[0]!)).toBe(lost);
        expect(warnings).toHaveLength(lost === 0 ? 0 : 1);
      });
    }

    it('counts what was in a folder that is deleted, acknowledges nothing more, and says so to whoever reads', async () => {
      const experiment = await start();
      rmSync(experiment.storage!.folder, { recursive: true });
      capture(experiment, MORE);
      const refusal = { code: 'ERR_STORAGE_IO', message: expect.stringContaining('ENOENT') };
      await expect(experiment.flush()).rejects.toMatchObject(refusal);
      await expect.poll(() => warnings.length).toBe(1);
      const { captured, retained, damaged, dropped } = experiment.counts;
      expect(captured).toBe(ROWS + MORE);
      // What is still in memory is not lost yet.
      expect(damaged).toBeGreaterThan(ROWS - 8192);
      expect({ retained, dropped }).toEqual({ retained: captured - damaged, dropped: damaged });
      await expect(experiment.query()).rejects.toMatchObject(refusal);
      await expect(experiment.stop()).rejects.toMatchObject(refusal);
    });

    it('goes on where it was when a folder that was away is back', async () => {
      const experiment = await start();
      const { folder } = experiment.storage!;
      renameSync(folder, `${folder}.away`);
      capture(experiment, MORE);
      await expect(experiment.flush()).rejects.toMatchObject({ code: 'ERR_STORAGE_IO' });
      renameSync(`${folder}.away`, folder);
      const report = await experiment.flush();
      expect(report).toMatchObject({ captured: ROWS + MORE, durable: ROWS + MORE, lost: { total: 0 } });
      expect(await experiment.query()).toHaveLength(ROWS + MORE);
      expect(warnings).toEqual([]);
    });

    it('counts rows once that were lost and have expired since', async () => {
      const experiment = await start({ retention: { maxBytes: 2 ** 21 } });
      const [first, second] = segmentsOf(experiment) as [string, string];
      flipBit(first);
      unlinkSync(second);
      await experiment.flush().catch(() => {});
      const lost = await expectAgreement(experiment);
      expect(lost).toBeGreaterThan(1024);
      await outgrow(experiment, first);
      expectOnce(experiment, lost, (await experiment.query()).length);
    });

    it('counts damage of the past once that has expired since', async () => {
      const before = await start({ retention: { maxBytes: 2 ** 21 } });
      const [first] = segmentsOf(before) as [string];
      await before.stop();
      await crucible.close();
      flipBit(first);
      await using next = new Crucible({ dir, workers });
      await next.recover(dir, { reopen: true });
      const experiment = next.experiments()[0]!;
      const lost = await expectAgreement(experiment);
      expect(lost).toBeGreaterThan(0);
      expect(experiment.counts.captured).toBe(ROWS);
      await outgrow(experiment, first);
      expectOnce(experiment, lost, (await experiment.query()).length);
    });

    it('says that events are lost where an export finds none but these', async () => {
      const experiment = await start({ capacity: 1024 });
      await experiment.stop();
      for (const path of segmentsOf(experiment)) truncateSync(path, 0);
      await expect(experiment.export('csv', { path: join(dir, 'none.csv') })).rejects.toMatchObject({
        code: 'ERR_NO_DATA',
        message: expect.stringContaining(`${ROWS} that were on disk are lost`),
      });
    });

    it('says what an export finds in its own manifest, and of several experiments each its own', async () => {
      const damaged = await start();
      const sound = await start({ name: 'sound' });
      flipBit(segmentsOf(damaged)[0]!);
      const result = await crucible.exportMultiple([damaged, sound], 'csv', { path: join(dir, 'both.csv') });
      const lost = damaged.counts.damaged;
      expect(lost).toBeGreaterThan(0);
      expect(sound.counts.damaged).toBe(0);
      expect(result).toMatchObject({ rows: 2 * ROWS - lost, damaged: lost });
      expect(JSON.parse(readFileSync(result.manifest, 'utf8')).counts).toEqual({
        [damaged.id]: damaged.counts,
        [sound.id]: sound.counts,
      });
    });
  });
}
