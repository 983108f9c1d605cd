import { describe, expect, it } from 'vitest';
import {
  HEADER_MAGIC_OFFSET,
  HEADER_MEMORY_BYTES_OFFSET,
  HEADER_VERSION_OFFSET,
} from '../../assembly/layout.js';
import { attachExperiment, ConfigError, Crucible, LayoutError } from '../../src/index.js';
import { prefaultChunks, verifyMemory } from '../../src/ring/memory.js';
import { batchesOf, makeRing } from '../support/ring.js';

function thrownBy(act: () => unknown): unknown {
  try {
    act();
  } catch (error) {
    return error;
  }
  return undefined;
}

describe('an experiment’s memory', () => {
  for (const [what, offset] of [
    ['magic', HEADER_MAGIC_OFFSET],
    ['version', HEADER_VERSION_OFFSET],
    ['size in bytes', HEADER_MEMORY_BYTES_OFFSET],
  ] as const) {
    it(`is refused when its ${what} is another`, () => {
      const { memory, geometry } = makeRing();
      expect(thrownBy(() => verifyMemory(memory))).toBeUndefined();
      const header = new DataView(memory.buffer);
      header.setUint32(offset, header.getUint32(offset, true) + 1, true);
      const prices = { version: 'none', models: {} };
      const handle = { experimentId: 'x', memory, geometry, prices, events: 'all', onlyRuns: false };
      for (const act of [() => verifyMemory(memory), () => attachExperiment(handle as never)]) {
        const error = thrownBy(act);
        expect(error).toBeInstanceOf(LayoutError);
        expect(error).toMatchObject({ code: 'ERR_LAYOUT_VERSION', context: { what } });
      }
    });
  }

  it('is refused when it is none of ours', () => {
    const memory = { buffer: new SharedArrayBuffer(65536) };
    expect(thrownBy(() => verifyMemory(memory))).toMatchObject({ code: 'ERR_LAYOUT_VERSION' });
  });

  it('is refused when it is no handle at all', () => {
    for (const handle of [
      undefined,
      null,
      1,
      {},
      { memory: {} },
      { memory: { buffer: new ArrayBuffer(8) } },
    ]) {
      expect(thrownBy(() => attachExperiment(handle as never))).toMatchObject({ code: 'ERR_CONFIG_INVALID' });
    }
  });

  it('of an absurd capacity is a ConfigError that names the capacity', async () => {
    await using crucible = new Crucible();
    const absurd = [
      0,
      -1,
      1.5,
      Number.NaN,
      Infinity,
      1e308,
      Number.MAX_SAFE_INTEGER,
      2 ** 40,
      100_000_000,
      '5',
      null,
    ];
    for (const capacity of absurd) {
      const error = thrownBy(() =>
        crucible.startExperiment({ name: 'absurd', capacity: capacity as number }),
      );
      expect(error, String(capacity)).toBeInstanceOf(ConfigError);
      expect(error, String(capacity)).toMatchObject({
        code: 'ERR_CONFIG_INVALID',
        context: { path: 'capacity' },
      });
    }
    expect(crucible.experiments()).toEqual([]);
  });

  it('can be had 300 times in a row, each cleaned up before the next', async () => {
    await using crucible = new Crucible();
    for (let i = 0; i < 300; i++) {
      const experiment = crucible.startExperiment({ name: `experiment ${i}` });
      experiment.recorder('e').record(i);
      await experiment.cleanup();
      expect(experiment.counts.captured).toBe(1);
    }
    expect(crucible.experiments()).toEqual([]);
  });

  it('lets as many threads write as were asked for, and takes back the place of one that is done', async () => {
    await using crucible = new Crucible();
    const experiment = crucible.startExperiment({ name: 'crowd', capacity: 4096, producers: 3 });
    const writers = [attachExperiment(experiment.share()), attachExperiment(experiment.share())];
    expect(thrownBy(() => attachExperiment(experiment.share()))).toMatchObject({ context: { producers: 3 } });
    writers[0]!.recorder('e').recordAt(1, 1);
    writers[0]!.close();
    const again = attachExperiment(experiment.share());
    again.recorder('e').recordAt(2, 2);
    again.close();
    writers[1]!.close();
    expect((await experiment.query()).map(({ latencyMs }) => latencyMs)).toEqual([1, 2]);
  });

  it('reads the same after its pages were touched ahead', () => {
    const ring = makeRing({ capacityRows: 2048 });
    const writer = ring.writer();
    writer.recorder('e').recordAt(1, 2);
    prefaultChunks(ring.memory, ring.geometry);
    writer.ring.publish();
    expect(batchesOf(ring).map(({ rows, latencyMs }) => [rows, latencyMs[0]])).toEqual([[1, 2]]);
  });

  it('has its regions at other distances than the memory before it', () => {
    const addresses = Array.from(
      { length: 8 },
      () => makeRing({ capacityRows: 1024 }).geometry.chunksAddress,
    );
    for (const [i, address] of addresses.entries()) {
      for (const other of addresses.slice(i + 1)) expect((address - other) % 65536).not.toBe(0);
    }
  });
});
