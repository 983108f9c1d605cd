/** The spooler against a model: whatever happens in whatever order, every row is somewhere, once. */

import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { readDocument } from '../../../src/storage/disk/document.js';
import { segmentName } from '../../../src/storage/disk/paths.js';
import { NO_LOSSES } from '../../../src/storage/segment/format.js';
import { scanSegment } from '../../../src/storage/segment/scan.js';
import { Spooler, Superseded } from '../../../src/storage/spooler/spooler.js';
import type { Fault } from '../../support/disks/faulty-disk.mjs';
import { FOLDER, hooked, type RigOptions, recovered, SpoolRig } from '../../support/spooling.js';

type Action =
  | { do: 'capture'; producer: number; rows: number; payload: boolean }
  | { do: 'publish' | 'seal'; producer: number }
  | { do: 'step'; everything: boolean; sync: boolean }
  | { do: 'finish' | 'lose' | 'faults on' | 'faults off' }
  | { do: 'kill'; operations: number; takesEffect: boolean; everything: boolean; sync: boolean }
  | { do: 'wait'; ms: number };

const ALL = { everything: true, sync: true };
const segmentPath = (number: number) => `${FOLDER}/${segmentName(number)}`;

const producer = fc.nat(2);
const action: fc.Arbitrary<Action> = fc.oneof(
  {
    weight: 6,
    arbitrary: fc.record({
      do: fc.constant('capture' as const),
      producer,
      rows: fc.oneof(fc.integer({ min: 1, max: 40 }), fc.integer({ min: 200, max: 1500 })),
      payload: fc.boolean(),
    }),
  },
  { weight: 1, arbitrary: fc.record({ do: fc.constantFrom('publish' as const, 'seal' as const), producer }) },
  {
    weight: 6,
    arbitrary: fc.record({ do: fc.constant('step' as const), everything: fc.boolean(), sync: fc.boolean() }),
  },
  { weight: 2, arbitrary: fc.record({ do: fc.constantFrom('finish' as const, 'lose' as const) }) },
  {
    weight: 1,
    arbitrary: fc.record({ do: fc.constant('wait' as const), ms: fc.integer({ min: 1, max: 3000 }) }),
  },
);
const kill: fc.Arbitrary<Action> = fc.record({
  do: fc.constant('kill' as const),
  operations: fc.nat(25),
  takesEffect: fc.boolean(),
  everything: fc.boolean(),
  sync: fc.boolean(),
});
const fault: fc.Arbitrary<Action> = fc.record({
  do: fc.constantFrom('faults on' as const, 'faults off' as const),
});

const rig: fc.Arbitrary<RigOptions> = fc.record({
  overflow: fc.constantFrom('reject' as const, 'overwrite' as const, 'block' as const),
  fsync: fc.constantFrom('interval' as const, 'always' as const, 'never' as const),
  chunks: fc.constantFrom(3, 5, 8, 40),
  producers: fc.constant(3),
  segmentBytes: fc.constantFrom(4096, 40_000, 200_000),
});

async function run(options: RigOptions, actions: readonly Action[]): Promise<SpoolRig> {
  const rig = new SpoolRig(options);
  rig.control.faults = false;
  let failing = false;
  // No spooler has ended in the midst of something that the next one has not taken over.
  let quiet = true;
  for (const action of actions) {
    switch (action.do) {
      case 'capture':
        rig.capture(action.producer, action.rows, action.payload);
        break;
      case 'publish':
        rig.publish(action.producer);
        break;
      case 'seal':
        rig.seal(action.producer);
        break;
      case 'step':
        if (rig.step(action) !== undefined) quiet = !failing;
        break;
      case 'finish':
        if (rig.step({ everything: true, sync: true })) rig.attempt((spooler) => spooler.finish());
        break;
      case 'lose':
        rig.lose();
        break;
      case 'kill':
        rig.kill(action.operations, action.takesEffect, action);
        quiet = false;
        break;
      case 'wait':
        rig.clock.ms += action.ms;
        break;
      default:
        rig.control.faults = action.do === 'faults on';
        failing = true;
        quiet = false;
    }
    await rig.check({ quiet });
  }
  rig.settle();
  rig.attempt((spooler) => spooler.finish());
  await rig.check({ quiet: !failing, settled: true });
  return rig;
}

/** Only a write has a length. */
function noBytes({ bytes, ...fault }: Fault): Fault {
  return fault.operation === 'write' && bytes !== undefined ? { ...fault, bytes } : fault;
}

describe('a spooler', () => {
  it('keeps every row once, and counts those it does not, whatever happens', async () => {
    await fc.assert(
      fc.asyncProperty(rig, fc.array(action, { maxLength: 25 }), async (options, actions) => {
        const rig = await run(options, actions);
        if (options.fsync !== 'never') expect(rig.words.durable).toBe(rig.words.written);
      }),
      { numRuns: 150 },
    );
  });

  it('is replaced after it died at any of its operations', async () => {
    const actions = fc.array(fc.oneof({ weight: 4, arbitrary: action }, { weight: 1, arbitrary: kill }), {
      maxLength: 25,
    });
    await fc.assert(
      fc.asyncProperty(rig, actions, async (options, actions) => {
        await run(options, actions);
      }),
      { numRuns: 150 },
    );
  });

  it('goes on while the disk fails', async () => {
    const faults = fc.array(
      fc.record({
        operation: fc.constantFrom(
          ...([
            'open',
            'close',
            'write',
            'truncate',
            'sync',
            'syncFolder',
            'rename',
            'unlink',
            'list',
          ] as const),
        ),
        from: fc.integer({ min: 1, max: 6 }),
        until: fc.integer({ min: 2, max: 9 }),
        code: fc.constantFrom('EIO', 'ENOSPC'),
        bytes: fc.constantFrom(undefined, 1, 3000, 'random' as const),
        takesEffect: fc.boolean(),
      }),
      { minLength: 1, maxLength: 3 },
    );
    const actions = fc.array(fc.oneof({ weight: 4, arbitrary: action }, { weight: 1, arbitrary: fault }), {
      maxLength: 25,
    });
    await fc.assert(
      fc.asyncProperty(rig, faults, actions, async (options, faults, actions) => {
        await run({ ...options, faults: faults.map(noBytes) }, [{ do: 'faults on' }, ...actions]);
      }),
      { numRuns: 150 },
    );
  });

  it.each([...Array(14).keys()])(
    'counts what it had taken and what was overwritten after it died at operation %d',
    async (operation) => {
      const rig = new SpoolRig({ overflow: 'overwrite', chunks: 3, producers: 1 });
      rig.capture(0, 1500);
      rig.kill(operation, false, { everything: true, sync: true });
      rig.capture(0, 5000);
      rig.settle();
      await rig.check({ quiet: true });
    },
  );

  it.each(['reject', 'overwrite'] as const)(
    'does not write again what has expired, with %s',
    async (overflow) => {
      const retention = { maxBytes: 100_000 };
      const rig = new SpoolRig({ overflow, chunks: 8, producers: 1, segmentBytes: 4096, retention });
      for (let i = 0; i < 6; i++) {
        rig.capture(0, 1000);
        rig.step(ALL);
        await rig.check({ quiet: true });
      }
      expect(rig.expired).toBe(5000);
      rig.lose();
      rig.step(ALL);
      await rig.check({ quiet: true });
      expect(rig.expired).toBe(5000);
    },
  );

  it('tells in its document what was lost after the last rows were taken', async () => {
    const faults = [{ operation: 'write', path: '.arrows', code: 'ENOSPC' }] as const;
    const rig = new SpoolRig({ overflow: 'reject', chunks: 2, producers: 1, faults });
    rig.capture(0, 2048);
    rig.step(ALL);
    expect(rig.lastError?.code).toBe('ERR_STORAGE_FULL');
    rig.capture(0, 10);
    expect(rig.refused).toBe(10);
    rig.settle();
    rig.attempt((spooler) => spooler.finish());
    const { entries } = scanSegment(rig.disk, segmentPath(1));
    expect(entries.map(({ losses }) => losses.refused)).toEqual([0, 0]);
    expect(readDocument(rig.disk, FOLDER).losses).toEqual({ ...NO_LOSSES, refused: 10 });
    expect((await recovered(rig.disk)).contents.losses).toEqual({ ...NO_LOSSES, refused: 10 });
    // It is not written again for nothing.
    const operations = rig.disk.journal.length;
    rig.attempt((spooler) => spooler.finish());
    expect(rig.disk.journal.length).toBe(operations);
  });

  it('deletes what has expired, once the disk lets it', async () => {
    const retention = { maxBytes: 100_000 };
    const faults = [{ operation: 'unlink', path: '.arrows', code: 'EIO' }] as const;
    const rig = new SpoolRig({ segmentBytes: 4096, producers: 1, retention, faults });
    for (let i = 0; i < 4; i++) {
      rig.capture(0, 1000);
      rig.step(ALL);
    }
    expect(rig.lastError?.code).toBe('ERR_STORAGE_IO');
    expect(rig.disk.list(FOLDER).filter((name) => name.endsWith('.arrows')).length).toBe(4);
    rig.settle();
    await rig.check({ quiet: true });
    expect(rig.disk.list(FOLDER).filter((name) => name.endsWith('.arrows')).length).toBe(1);
  });

  it('deletes old segments by their newest row', async () => {
    const rig = new SpoolRig({ segmentBytes: 4096, producers: 1, retention: { maxAgeMs: 60_000 } });
    rig.capture(0, 1000);
    rig.step(ALL);
    expect(rig.expired).toBe(0);
    rig.clock.ms = 120_000;
    rig.step(ALL);
    expect(rig.expired).toBe(1000);
    await rig.check({ quiet: true });
  });

  it('shows each row once while a failed sync has it written again, from the ring and then from the next file', async () => {
    const faults = [{ operation: 'sync', path: '.arrows', code: 'EIO', from: 2, until: 3 }] as const;
    const rig = new SpoolRig({ chunks: 32, producers: 1, faults });
    rig.capture(0, 300);
    expect(rig.step(ALL)).toBe(true);
    rig.capture(0, 300);
    expect(rig.step({ everything: true, sync: false })).toBe(true);
    await rig.check({ quiet: true });
    expect([rig.words.written, rig.words.durable]).toEqual([600, 300]);
    expect(rig.step(ALL)).toBe(undefined);
    expect(rig.lastError?.code).toBe('ERR_STORAGE_IO');
    expect([rig.words.written, rig.words.durable]).toEqual([300, 300]);
    await rig.check({ quiet: false });
    expect(rig.step(ALL)).toBe(true);
    await rig.check({ quiet: true });
    expect([rig.words.written, rig.words.durable]).toEqual([600, 600]);
    expect(rig.segments.damaged).toEqual([]);
  });

  it('writes rows of a ring that overwrites again, as far as they are still there', async () => {
    const faults = [{ operation: 'sync', path: '.arrows', code: 'EIO', from: 2, until: 3 }] as const;
    const rig = new SpoolRig({ overflow: 'overwrite', chunks: 16, producers: 1, faults });
    rig.capture(0, 1024);
    expect(rig.step(ALL)).toBe(true);
    rig.capture(0, 3 * 1024);
    expect(rig.step({ everything: true, sync: false })).toBe(true);
    // Of the three chunks one is overwritten before the sync fails.
    rig.capture(0, 14 * 1024);
    expect(rig.step(ALL)).toBe(undefined);
    rig.settle();
    await rig.check({ quiet: true });
    const unsynced = rig.words.written - rig.words.durable;
    expect(unsynced).toBe(1024);
    const [abandoned] = readDocument(rig.disk, FOLDER).segments;
    expect(abandoned).toMatchObject({ rows: 2048, unsyncedRows: 1024, ended: false });
    rig.lose();
    rig.step(ALL);
    expect(rig.words.written - rig.words.durable).toBe(unsynced);
  });

  it('leaves files alone that are not its own, and takes no row of theirs for one of its own', async () => {
    const other = new SpoolRig({ producers: 1 });
    other.capture(0, 500);
    other.settle();
    other.attempt((spooler) => spooler.finish());
    const foreign = other.disk.readFile(segmentPath(1), 1e9);
    const renamed = Buffer.from(foreign);
    const rig = new SpoolRig({ producers: 1 });
    const copy = (number: number, bytes: Uint8Array) => {
      const fd = rig.disk.open(segmentPath(number), 'wx');
      rig.disk.write(fd, [bytes], 0);
      rig.disk.close(fd);
    };
    rig.capture(0, 500);
    // The same experiment by its id, but another segment by its number; and a file of nobody's.
    copy(7, renamed);
    copy(8, Buffer.from('no segment at all, and longer than the shortest of messages would have to be'));
    rig.settle();
    expect(rig.words.durable).toBe(500);
    expect(readDocument(rig.disk, FOLDER).segments.map(({ segment }) => segment)).toEqual([]);
    rig.attempt((spooler) => spooler.finish());
    expect(readDocument(rig.disk, FOLDER).segments.map(({ segment }) => segment)).toEqual([9]);
    expect(rig.disk.readFile(segmentPath(7), 1e9)).toEqual(new Uint8Array(foreign));
    expect(rig.disk.list(FOLDER)).toContain('000008.arrows');
  });

  it('says nothing of a failure, and answers no flush, when another has taken over', () => {
    const rig = new SpoolRig({ producers: 1 });
    let overtaken = 0;
    const spooler = new Spooler(
      { ...rig.options, epoch: rig.words.nextEpoch() },
      hooked(rig.disk, (perform, operation) => {
        if (operation === 'write') overtaken = rig.words.nextEpoch();
        return perform();
      }),
      { clock: rig.clock },
    );
    rig.capture(0, 100);
    expect(() => spooler.step(ALL)).toThrow(Superseded);
    expect(overtaken).toBe(2);
    expect(() => spooler.step(ALL)).toThrow(Superseded);
    spooler.close();
  });
});
