/**
 * A process that runs out of file descriptors while it captures, exports, opens and reads: typed errors, nothing that was
 * accepted is lost, and it goes on once there are descriptors again. Runs the built package in child processes.
 */
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';

let dir: string;
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'crucible-descriptors-'));
});
afterEach(() => rmSync(dir, { recursive: true }));

/** Runs a program with `exhaust` and `relax` in scope. @returns what it tells by `tell` */
function run(program: string): Record<string, unknown> {
  const source = `
    import * as fs from 'node:fs';
    import { Crucible, listExperiments, TelemetryError } from './dist/src/index.js';
    process.on('warning', () => {});
    const DIR = ${JSON.stringify(dir)};
    const told = {};
    const taken = [];
    const exhaust = () => {
      try {
        for (;;) taken.push(fs.openSync('/dev/null', 'r'));
      } catch {}
    };
    const relax = () => taken.splice(0).forEach((fd) => fs.closeSync(fd));
    const outcome = (error) => (error instanceof TelemetryError ? [error.code, error.context.systemCode] : String(error));
    const attempt = async (name, fn) => {
      try {
        await fn();
        told[name] = 'done';
      } catch (error) {
        told[name] = outcome(error);
      }
    };
    ${program}
    console.log(JSON.stringify(told));`;
  // A limit of its own, far above what it needs.
  const command = `ulimit -n 200; exec "${process.execPath}" --input-type=module --eval "$PROGRAM"`;
  const out = execFileSync('bash', ['-c', command], {
    encoding: 'utf8',
    env: { ...process.env, PROGRAM: source, NODE_NO_WARNINGS: '1' },
    timeout: 120_000,
  });
  return JSON.parse(out) as Record<string, unknown>;
}

const NO_DESCRIPTORS = ['ERR_STORAGE_IO', 'EMFILE'];

it('captures on, and writes everything once there are descriptors again', () => {
  const told = run(`
    const crucible = new Crucible({ dir: DIR, workers: 0 });
    const experiment = crucible.startExperiment({ name: 'e', id: 'e', segmentBytes: 65_536, flushIntervalMs: 20 });
    const recorder = experiment.recorder('e');
    for (let i = 0; i < 3000; i++) recorder.record(i);
    await experiment.flush();
    exhaust();
    for (let i = 0; i < 30_000; i++) recorder.record(i);
    await attempt('flush', () => experiment.flush());
    told.captured = experiment.counts.captured;
    told.refused = experiment.counts.refused.total;
    relax();
    await attempt('flushAgain', () => experiment.flush());
    told.retained = experiment.counts.retained;
    told.rows = (await experiment.query()).length;
    await crucible.close();
    const again = new Crucible({ workers: 0 });
    await again.recover(DIR);
    told.recovered = again.experiment('e').counts.retained;
    await again.close();`);
  expect(told).toEqual({
    flush: NO_DESCRIPTORS,
    captured: 33_000,
    refused: 0,
    flushAgain: 'done',
    retained: 33_000,
    rows: 33_000,
    recovered: 33_000,
  });
});

it('refuses to start, to export, to archive, to open and to read with typed errors, and then does all of that', () => {
  const told = run(`
    const crucible = new Crucible({ dir: DIR, workers: 0 });
    const experiment = crucible.startExperiment({ name: 'e', id: 'e' });
    const recorder = experiment.recorder('e');
    for (let i = 0; i < 3000; i++) recorder.record(i);
    await experiment.stop();
    experiment.storage;
    const all = async (suffix) => {
      await attempt('start' + suffix, () => crucible.startExperiment({ name: 'f', id: 'f' }));
      await attempt('read' + suffix, () => experiment.query());
      await attempt('export' + suffix, () => experiment.export('csv', { path: DIR + '/out.csv' }));
      await attempt('archive' + suffix, () => experiment.archive({ destination: 'local', path: DIR + '/a.jsonl' }));
      await attempt('list' + suffix, () => listExperiments(DIR));
      const other = new Crucible({ workers: 0 });
      await attempt('recover' + suffix, () => other.recover(DIR, { readOnly: true }));
      await attempt('import' + suffix, () => other.importFiles(DIR + '/there.jsonl'));
      await attempt('close' + suffix, () => other.close());
    };
    // What is loaded when it is first wanted must be there.
    await experiment.export('jsonl', { path: DIR + '/there.jsonl' });
    const warm = new Crucible({ workers: 0 });
    await warm.importFiles(DIR + '/there.jsonl');
    await warm.close();
    await experiment.export('csv', { path: DIR + '/warm.csv' });
    exhaust();
    await all('');
    relax();
    await all('Again');
    told.rows = (await experiment.query()).length;
    await crucible.close();`);
  const { rows, ...outcomes } = told;
  expect(rows).toBe(3000);
  const names = ['start', 'read', 'export', 'archive', 'list', 'recover', 'import', 'close'];
  expect(names.map((name) => [name, outcomes[`${name}Again`]])).toEqual(names.map((name) => [name, 'done']));
  const first = names.map((name) => [name, outcomes[name]]);
  expect(first).toEqual(names.map((name) => [name, name === 'close' ? 'done' : NO_DESCRIPTORS]));
  expect(readdirSync(dir).filter((name) => name.endsWith('.tmp'))).toEqual([]);
});

it('cannot start threads, says so, and starts them later', () => {
  const told = run(`
    const crucible = new Crucible({ dir: DIR, workers: 1 });
    const experiment = crucible.startExperiment({ name: 'e', id: 'e' });
    const recorder = experiment.recorder('e');
    for (let i = 0; i < 40_000; i++) recorder.record(i);
    await experiment.flush();
    exhaust();
    // Enough for files, and for no event loop.
    for (const fd of taken.splice(-3)) fs.closeSync(fd);
    await attempt('metrics', () => experiment.metrics());
    const other = crucible.startExperiment({ name: 'f', id: 'f' });
    for (let i = 0; i < 1000; i++) other.capture('x', { n: i });
    await attempt('flush', () => other.flush());
    relax();
    await attempt('metricsAgain', () => experiment.metrics());
    await attempt('flushAgain', () => other.flush());
    told.rows = (await other.query()).length;
    await attempt('close', () => crucible.close());`);
  const { metrics, flush, ...later } = told as Record<string, [string]>;
  expect(metrics![0]).toMatch(/^ERR_(WORKER_FAILED|STORAGE_IO)$/);
  expect(flush![0]).toBe('ERR_STORAGE_IO');
  expect(later).toEqual({ metricsAgain: 'done', flushAgain: 'done', rows: 1000, close: 'done' });
});
