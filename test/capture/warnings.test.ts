/** Each kind of loss is warned of once, in the process that loses. Needs the built files, for its processes. */
import { execFile } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { countsOf } from '../support/counts.js';

interface Heard {
  readonly name: string;
  readonly code: string | undefined;
  readonly message: string;
}

let dir: string;
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'crucible-warnings-'));
});
afterEach(() => rmSync(dir, { recursive: true }));

/** Runs a program with the library's exports, `open` for a Crucible, `DIR` and a `report` in scope. */
async function run(program: string): Promise<{ warnings: Heard[]; report: unknown; stderr: string }> {
  const source = `
    import { setTimeout as sleep } from 'node:timers/promises';
    import { Worker } from 'node:worker_threads';
    import { attachExperiment, Crucible, telemetry } from './dist/src/index.js';
    const DIR = ${JSON.stringify(dir)};
    const warnings = [];
    process.on('warning', ({ name, code, message }) => warnings.push({ name, code, message }));
    const opened = [];
    const open = (options) => opened[opened.push(new Crucible(options)) - 1];
    let report;
    ${program}
    await sleep(0);
    console.log(JSON.stringify({ warnings, report }));
    for (const crucible of opened.reverse()) await crucible.close();
  `;
  const args = ['--input-type=module', '--eval', source];
  const { stdout, stderr } = await promisify(execFile)(process.execPath, args, { timeout: 50_000 });
  return { ...(JSON.parse(stdout) as { warnings: Heard[]; report: unknown }), stderr };
}

/** Everything that captures, once. */
const ALL_WAYS = `
  const recorder = experiment.recorder('by.recorder');
  const [first, second] = [recorder.start(), recorder.start()];
  const everyWay = () => {
    recorder.record(1);
    recorder.recordAt(Date.now() * 1000, 1);
    first.stop();
    second.fail(new Error('late'));
    experiment.capture('by.capture', {});
    experiment.captureAt(Date.now() * 1000, 'by.captureAt', {});
    experiment.run(() => telemetry.execute('req_llm.request.stop', {}));
  };`;

describe('events that come too late', () => {
  it('are counted and warned of once: stopped', async () => {
    const { warnings, report, stderr } = await run(`
      const crucible = open();
      const experiment = crucible.startExperiment({ name: 'late\\u001b[31m', capacity: 2048 });
      ${ALL_WAYS}
      await experiment.stop();
      for (let i = 0; i < 3; i++) everyWay();
      report = experiment.counts;
    `);
    // A span ends once.
    expect(report).toEqual(countsOf({ dropped: 17, refused: { total: 17, stopped: 17 } }));
    expect(warnings).toEqual([
      { name: 'CrucibleWarning', code: 'CRUCIBLE_REFUSED', message: expect.stringContaining('was stopped') },
    ]);
    expect(warnings[0]!.message).toMatch(/^experiment "late.*" \([0-9a-f]{16}\) /);
    expect(stderr).toContain('[CRUCIBLE_REFUSED] CrucibleWarning');
    expect(stderr).not.toContain('\u001b[31m');
  });

  it('are counted after cleanup too, when its memory is gone', async () => {
    const { warnings, report } = await run(`
      const crucible = open({ dir: DIR });
      const experiment = crucible.startExperiment({ name: 'closed' });
      ${ALL_WAYS}
      recorder.record(1);
      await experiment.cleanup();
      everyWay();
      report = experiment.counts;
    `);
    expect(report).toEqual(countsOf({ captured: 1, dropped: 7, refused: { total: 7, closed: 7 } }));
    expect(warnings.map(({ code }) => code)).toEqual(['CRUCIBLE_REFUSED']);
  });

  it('are counted where the experiment is only read', async () => {
    const { warnings, report } = await run(`
      const writing = open({ dir: DIR });
      const writer = writing.startExperiment({ name: 'elsewhere' });
      writer.recorder('e').record(1);
      await writer.flush();
      const crucible = open({ dir: DIR });
      await crucible.recover(DIR, { readOnly: true });
      const experiment = crucible.experiment(writer.id);
      ${ALL_WAYS}
      everyWay();
      report = { counts: experiment.counts, written: writer.counts.captured };
    `);
    const counts = countsOf({ captured: 1, dropped: 6, refused: { total: 6, readOnly: 6 } });
    // What is emitted in its run goes to whoever captures an experiment of that id in this process.
    expect(report).toEqual({ counts, written: 2 });
    expect(warnings).toEqual([expect.objectContaining({ message: expect.stringContaining('only read') })]);
  });

  it('are counted in code that runs on when its experiment has ended', async () => {
    const { report } = await run(`
      const crucible = open();
      const experiment = crucible.startExperiment({ name: 'overtaken', events: ['e'], capacity: 2048 });
      const other = crucible.startExperiment({ name: 'other', events: ['e'], capacity: 2048 });
      const running = experiment.run(async () => {
        telemetry.execute('e', {});
        await sleep(20);
        telemetry.execute('e', {});
        telemetry.execute('not one of its events', {});
      });
      await experiment.stop();
      await running;
      telemetry.execute('e', {});
      report = [experiment.counts, other.counts];
    `);
    expect(report).toEqual([
      countsOf({ captured: 1, dropped: 1, refused: { total: 1, stopped: 1 } }),
      countsOf({ captured: 1 }),
    ]);
  });

  it('are counted in pauses, and nobody is warned of what nobody wants', async () => {
    const { warnings, report } = await run(`
      const crucible = open();
      const experiment = crucible.startExperiment({ name: 'paused', capacity: 2048 });
      ${ALL_WAYS}
      experiment.pause();
      everyWay();
      telemetry.execute('req_llm.request.stop', {});
      report = experiment.counts;
    `);
    expect(report).toEqual(countsOf({ refused: { paused: 8 } }));
    expect(warnings).toEqual([]);
  });
});

describe('writers of other threads', () => {
  const THREAD = `
    const program = \`
      const { workerData, parentPort } = require('node:worker_threads');
      import('./dist/src/index.js').then(async ({ attachExperiment }) => {
        const warnings = [];
        process.on('warning', ({ code }) => warnings.push(code));
        const writer = attachExperiment(workerData);
        const recorder = writer.recorder('e');
        const all = () => {
          recorder.record(1);
          recorder.start().fail('late');
          writer.capture('e', {});
          writer.captureAt(1, 'e', {});
        };
        all();
        // Until it has seen by itself that it is over.
        await new Promise((resolve) => setTimeout(resolve, 100));
        all();
        writer.close();
        all();
        await new Promise(setImmediate);
        parentPort.postMessage(warnings);
      });\`;
    const inThread = (handle) => new Promise((resolve, reject) => {
      const worker = new Worker(program, { eval: true, execArgv: [], workerData: handle });
      worker.once('message', resolve).once('error', reject);
    });`;

  it('count in the experiment what comes after its end, and warn there', async () => {
    const { warnings, report } = await run(`
      ${THREAD}
      const crucible = open();
      const experiment = crucible.startExperiment({ name: 'shared', capacity: 2048 });
      const handle = experiment.share();
      await experiment.stop();
      const heard = await inThread(handle);
      const stopped = experiment.counts;
      await experiment.cleanup();
      report = [stopped, heard, await inThread(handle), experiment.counts];
    `);
    expect(report).toEqual([
      countsOf({ dropped: 12, refused: { total: 12, stopped: 12 } }),
      ['CRUCIBLE_REFUSED'],
      // Said once, whichever thread it was.
      [],
      countsOf({ dropped: 24, refused: { total: 24, stopped: 12, closed: 12 } }),
    ]);
    expect(warnings).toEqual([]);
  });

  it('count what comes after their own end, while the experiment runs on', async () => {
    const { warnings, report } = await run(`
      const crucible = open();
      const experiment = crucible.startExperiment({ name: 'shared', capacity: 4096 });
      const writer = attachExperiment(experiment.share());
      writer.capture('e', {});
      writer.close();
      writer.capture('e', {});
      experiment.capture('e', {});
      report = experiment.counts;
    `);
    expect(report).toEqual(countsOf({ captured: 2, dropped: 1, refused: { total: 1, closed: 1 } }));
    expect(warnings.map(({ code }) => code)).toEqual(['CRUCIBLE_REFUSED']);
  });
});

describe('what is taken and not kept', () => {
  it('is warned of when a full ring refuses it', async () => {
    const { warnings, report } = await run(`
      const crucible = open();
      const experiment = crucible.startExperiment({ name: 'full', capacity: 1024, overflow: 'reject' });
      const recorder = experiment.recorder('e');
      for (let i = 0; i < 3000; i++) recorder.record(i);
      report = experiment.counts;
    `);
    expect(report).toEqual(countsOf({ captured: 1024, dropped: 1976, refused: { total: 1976, full: 1976 } }));
    expect(warnings).toEqual([expect.objectContaining({ message: expect.stringContaining('ring is full') })]);
  });

  it('is warned of when it is overwritten before it is on disk, and not in memory, where that is meant', async () => {
    const { warnings } = await run(`
      const crucible = open();
      const options = { capacity: 1024, overflow: 'overwrite' };
      for (const experiment of [
        crucible.startExperiment({ name: 'memory', ...options }),
        crucible.startExperiment({ name: 'durable', dir: DIR, ...options }),
      ]) {
        const recorder = experiment.recorder('e');
        for (let i = 0; i < 100_000; i++) recorder.record(i);
      }
    `);
    expect(warnings).toEqual([
      expect.objectContaining({
        code: 'CRUCIBLE_OVERWRITTEN',
        message: expect.stringMatching(/^experiment "durable"/),
      }),
    ]);
  });

  it.each([
    ['captured', "experiment.capture('odd', { latencyMs: 'soon' });", '"measurements.latencyMs" in "odd"'],
    ['recorded', "experiment.recorder('e').record(Infinity); experiment.counts;", 'understand'],
  ])('is warned of when it is not understood: %s', async (_, call, text) => {
    const { warnings, report } = await run(`
      const crucible = open();
      const experiment = crucible.startExperiment({ name: 'odd', capacity: 2048 });
      ${call}
      ${call}
      report = experiment.counts.malformed;
    `);
    expect(report).toBe(2);
    expect(warnings).toEqual([expect.objectContaining({ code: 'CRUCIBLE_MALFORMED' })]);
    expect(warnings[0]!.message).toContain(text);
  });

  it('is nothing that anybody is told of when nothing is lost', async () => {
    const { warnings, report } = await run(`
      const crucible = open({ dir: DIR });
      const experiment = crucible.startExperiment({ name: 'whole' });
      ${ALL_WAYS}
      everyWay();
      await experiment.stop();
      report = experiment.counts;
    `);
    expect(report).toEqual(countsOf({ captured: 7 }));
    expect(warnings).toEqual([]);
  });
});
