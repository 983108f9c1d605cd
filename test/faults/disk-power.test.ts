/**
 * Lost power: at every boundary between two file operations of a run, what a power cut may leave is recovered, and
 * held against what had been promised by then.
 */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { FileSystem } from '../../src/storage/disk/file-system.js';
import { crashStates, type DiskContent, PowerLossDisk } from '../support/disks/power-loss-disk.mjs';
import { rounds } from '../support/effort.js';
import { SEED } from '../support/seed.js';
import { hooked, type RigOptions, recovered, SpoolRig } from '../support/spooling.js';

/** What must be found after a power cut that comes no sooner than this. */
interface Promised {
  /** Rows that were reported durable. */
  durable: number;
  /** Rows that were: those of a flush that was answered, and those that the ring let go of. */
  readonly serials: ReadonlySet<number>;
}

const ALL = { everything: true, sync: true };

/** A run, and what was promised at each point of the disk's journal. */
class Run {
  readonly rig: SpoolRig;
  readonly #promises: Promised[] = [];
  #serials = new Set<number>();

  constructor(options: RigOptions) {
    const wrap = options.wrap ?? ((files: FileSystem) => files);
    this.rig = new SpoolRig({
      ...options,
      wrap: (files) =>
        hooked(wrap(files), (perform) => {
          this.note();
          return perform();
        }),
    });
    this.note();
  }

  capture(producer: number, rows: number): void {
    this.rig.capture(producer, rows, rows % 2 === 0);
  }

  step(options: { everything: boolean; sync: boolean }): void {
    const isComplete = this.rig.step(options) === true;
    const isFlush = isComplete && options.everything && options.sync;
    if (isFlush) this.#serials = new Set(this.rig.onDisk().map(({ serial }) => serial));
    this.note();
  }

  /** From now on, and until more is promised. */
  note(): void {
    const { rig } = this;
    if (rig === undefined) return;
    const serials = new Set(this.#serials);
    if (rig.options.overflow !== 'overwrite' && rig.options.fsync !== 'never') {
      const held = rig.held();
      for (const { serial } of rig.captured.flat()) if (!held.has(serial)) serials.add(serial);
    }
    this.#promises[rig.disk.journal.length] = { durable: rig.words.durable, serials };
  }

  promisedAt(point: number): Promised {
    for (let at = point; ; at--) {
      const promised = this.#promises[at];
      if (promised !== undefined) return promised;
    }
  }
}

/** Recovers what is there, holds it against what was promised, and does it again. */
async function examine(run: Run, content: DiskContent, promised: Promised): Promise<PowerLossDisk> {
  const { rig } = run;
  const disk = new PowerLossDisk(content);
  const { contents, rows } = await recovered(disk, { repair: true });
  const expired = contents.document.expired.rows;
  const found = new Set(rows.map(({ serial }) => serial));
  expect(found.size + expired, 'rows that were reported durable').toBeGreaterThanOrEqual(promised.durable);
  const missing = [...promised.serials].filter((serial) => !found.has(serial));
  expect(missing.length, 'rows that were promised').toBeLessThanOrEqual(expired);
  if (rig.options.overflow !== 'overwrite' && expired === 0 && contents.damage.length === 0) {
    rig.captured.forEach((captured, producer) => {
      const own = rows.filter((row) => row.producer === producer).map(({ serial }) => serial);
      expect(own, `what producer ${producer} captured first`).toEqual(
        captured.slice(0, own.length).map(({ serial }) => serial),
      );
    });
  }
  const again = new PowerLossDisk(disk.content());
  const second = await recovered(again, { repair: true });
  expect(second.rows).toEqual(rows);
  expect(again.journal, 'what a second recovery changes').toEqual([]);
  return disk;
}

interface Effort {
  readonly seed: number;
  readonly statesPerPoint: number;
  /** Every so manieth state is recovered with a power cut at every point of that, too. */
  readonly duringRecovery: number;
}

async function cutPowerEverywhere(
  run: Run,
  { seed, statesPerPoint, duringRecovery }: Effort,
): Promise<number> {
  const { initial, journal } = run.rig.disk;
  const from = FIRST_POINT;
  let states = 0;
  for (const { point, choices, content } of crashStates(initial, journal, { seed, statesPerPoint, from })) {
    try {
      const promised = run.promisedAt(point);
      const disk = await examine(run, content, promised);
      if (states++ % duringRecovery !== 0) continue;
      const again = crashStates(disk.initial, disk.journal, { seed, statesPerPoint: 2 });
      for (const state of again) await examine(run, state.content, promised);
    } catch (cause) {
      throw new Error(`power cut at point ${point} of ${journal.length}, choices ${choices}`, { cause });
    }
  }
  return states;
}

/** The experiment itself, its folder and its document, are there by then. */
const FIRST_POINT = new SpoolRig().disk.journal.length;

/** A run of the usual kind: bursts of three producers, flushes, rotations. */
function usualRun(options: RigOptions, seed: number, steps = 12): Run {
  const run = new Run({ producers: 3, chunks: 8, segmentBytes: 60_000, ...options });
  const choices = fc.sample(
    fc.record({ producer: fc.nat(2), rows: fc.integer({ min: 1, max: 900 }), kind: fc.nat(5) }),
    { seed, numRuns: steps },
  );
  for (const { producer, rows, kind } of choices) {
    run.capture(producer, rows);
    if (kind < 2) run.step({ everything: true, sync: false });
    else if (kind < 4) run.step(ALL);
    else if (kind === 4) run.step({ everything: false, sync: false });
    if (kind === 5) run.rig.lose();
  }
  run.rig.attempt((spooler) => {
    if (spooler.step(ALL)) spooler.finish();
  });
  run.note();
  return run;
}

describe('a power cut', () => {
  it.each<[string, RigOptions]>([
    ['fsync: interval', { fsync: 'interval' }],
    ['fsync: always', { fsync: 'always' }],
    ['fsync: never', { fsync: 'never' }],
    ['a ring that overwrites', { overflow: 'overwrite', chunks: 4 }],
    ['a segment for every pass', { segmentBytes: 1 }],
    ['retention', { segmentBytes: 20_000, retention: { maxBytes: 100_000 } }],
    ['a failing sync', { faults: [{ operation: 'sync', path: '.arrows', from: 3, until: 5, code: 'EIO' }] }],
    ['a failing folder sync', { faults: [{ operation: 'syncFolder', from: 3, until: 6, code: 'EIO' }] }],
    [
      'short writes',
      { faults: [{ operation: 'write', bytes: 'random', code: 'ENOSPC', from: 3, until: 6 }] },
    ],
  ])('takes nothing that was reported durable, at any point, with %s', async (_, options) => {
    const run = usualRun(options, SEED);
    const states = await cutPowerEverywhere(run, {
      seed: SEED,
      statesPerPoint: rounds(2, 4),
      duringRecovery: 20,
    });
    expect(states).toBeGreaterThan(rounds(50, 100));
  });
});

/** Whether a power cut is found, with some seed, that takes what was promised. */
async function isCaught(wrap: (files: FileSystem) => FileSystem): Promise<boolean> {
  for (let i = 0; i < 10; i++) {
    const run = usualRun({ wrap, segmentBytes: 20_000 }, SEED + i, 6);
    try {
      await cutPowerEverywhere(run, {
        seed: SEED + i,
        statesPerPoint: 3,
        duringRecovery: Number.MAX_SAFE_INTEGER,
      });
    } catch {
      return true;
    }
  }
  return false;
}

const without =
  (left: keyof FileSystem) =>
  (files: FileSystem): FileSystem =>
    hooked(files, (perform, operation) => (operation === left ? (undefined as never) : perform()));

describe('the examination', () => {
  it('catches a disk that does not sync', async () => {
    expect(await isCaught(without('sync'))).toBe(true);
  });

  it('catches a disk that does not sync names', async () => {
    expect(await isCaught(without('syncFolder'))).toBe(true);
  });

  it('catches rows reported durable a sync too early', async () => {
    const early = (files: FileSystem): FileSystem => {
      let late: (() => unknown) | undefined;
      return hooked(files, (perform, operation) => {
        if (operation !== 'sync') return perform();
        try {
          late?.();
        } catch {
          // Closed meanwhile.
        }
        late = perform;
        return undefined as never;
      });
    };
    expect(await isCaught(early)).toBe(true);
  });

  it('passes a disk with nothing wrong', async () => {
    expect(await isCaught((files) => files)).toBe(false);
  });
});
