/** The spooler's thread, watched by an impatient test. */
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { TelemetryError } from '../../../src/errors.js';
import { SpoolerThread } from '../../../src/storage/spooler/thread.js';
import { BrokenControl, type BrokenSpec } from '../../faults/broken-disk.mjs';
import { read } from '../../faults/kill.mjs';
import { type Bench, openBench } from './support.js';

const url = new URL('../../faults/broken-disk.mjs', import.meta.url).href;
const IMPATIENT = { watchMs: 20, hangMs: 200, restartMs: 1, restartMaxMs: 20, exitPatienceMs: 50 };
const NEVER_MS = 60_000;

let bench: Bench;
let states: (TelemetryError | null)[];
beforeEach(() => {
  bench = openBench({ flushIntervalMs: 20, capacity: 65_536 });
  states = [];
});
afterEach(() => bench.close());

function start(spec: BrokenSpec | null, timing = IMPATIENT): SpoolerThread {
  const { options, fields } = bench;
  const fileSystem = spec === null ? null : { url, spec };
  return new SpoolerThread(
    options,
    fields,
    fileSystem,
    (error) => states.push(error),
    () => {},
    () => {},
    timing,
  );
}

function capture(rows: number): void {
  for (let i = 0; i < rows; i++) bench.source.capture();
  bench.publish();
}

const everything = (rows: number) => ({ rows, counts: [rows], problems: [] });

describe('a spooler that hangs', () => {
  it('is replaced, and flushes that waited for it are answered', async () => {
    const control = new BrokenControl();
    const thread = start({ control: control.words, fault: 'hang' });
    for (let hang = 1; hang <= 3; hang++) {
      capture(1500);
      control.arm(1 + (hang % 2));
      const outcome = await thread.flush(NEVER_MS);
      expect(outcome).toEqual({ completed: true, error: null });
      expect(control.faults).toBe(hang);
    }
    expect(thread.restarts).toBeGreaterThanOrEqual(3);
    expect(thread.error).toBeNull();
    // Told when it fails and when it works again, in turn, however many have to be replaced in between.
    expect(states.map((error) => error !== null)).toEqual(states.map((_, i) => i % 2 === 0));
    expect(states).toHaveLength(6);
    // Those that hung wake up, and find that they are no longer wanted.
    control.release();
    await thread.finish(bench.fields, NEVER_MS);
    expect(bench.words.durable).toBe(4500);
    expect(await read(bench.dir)).toMatchObject(everything(4500));
  });

  it('does not hold up the end of the process for longer than it is thought alive', async () => {
    const control = new BrokenControl();
    const thread = start({ control: control.words, fault: 'hang' }, { ...IMPATIENT, hangMs: NEVER_MS });
    capture(100);
    await thread.flush(NEVER_MS);
    capture(100);
    control.arm(1);
    while (control.faults === 0) await sleep(1);
    expect(thread.finishNow(bench.fields, NEVER_MS)).toBe(false);
    thread.abandon();
    control.release();
  });
});

describe('at the end of a process', () => {
  it('the thread does it', async () => {
    const thread = start(null, { ...IMPATIENT, exitPatienceMs: NEVER_MS });
    capture(5000);
    expect(thread.finishNow(bench.fields, NEVER_MS)).toBe(true);
    expect(await read(bench.dir)).toMatchObject(everything(5000));
    thread.abandon();
  });

  it('it is done here when the thread has not even begun', async () => {
    const thread = start(null, { ...IMPATIENT, exitPatienceMs: 0 });
    capture(5000);
    expect(thread.finishNow(bench.fields, NEVER_MS)).toBe(true);
    expect(bench.words.durable).toBe(5000);
    // The thread comes too late, and changes nothing.
    await sleep(300);
    expect(await read(bench.dir)).toMatchObject(everything(5000));
    thread.abandon();
  });
});
