/** The spooler against a model: whatever happens in whatever order, every row is somewhere, once. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { Fault } from '../support/disks/faulty-disk.mjs';
import { type RigOptions, SpoolRig } from '../support/spooling.js';

type Action =
  | { do: 'capture'; producer: number; rows: number; payload: boolean }
  | { do: 'publish' | 'seal'; producer: number }
  | { do: 'step'; everything: boolean; sync: boolean }
  | { do: 'finish' | 'lose' | 'faults on' | 'faults off' }
  | { do: 'kill'; operations: number; takesEffect: boolean; everything: boolean; sync: boolean }
  | { do: 'wait'; ms: number };

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
  chunks: fc.integer({ min: 3, max: 8 }),
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
  await rig.check({ quiet: !failing });
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
      { numRuns: 3000 },
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
      { numRuns: 3000 },
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
      { numRuns: 3000 },
    );
  });
});
