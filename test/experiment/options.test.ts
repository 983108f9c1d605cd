/** What an experiment and a Crucible refuse to be made of. */

import { describe, expect, it } from 'vitest';
import { ConfigError } from '../../src/errors.js';
import { Crucible, type CrucibleOptions } from '../../src/experiment/crucible.js';
import {
  type ExperimentOptions,
  resolveOptions,
  restoreOptions,
  storedOptions,
} from '../../src/experiment/options.js';
import { useBench } from '../capture/support.js';

const bench = useBench();

/** Expects a ConfigError that names the option and what was expected. */
function expectRefused(call: () => unknown, path: string, expected: string | RegExp): void {
  try {
    call();
  } catch (error) {
    expect(error).toBeInstanceOf(ConfigError);
    expect(error).toMatchObject({ code: 'ERR_CONFIG_INVALID', context: { path } });
    expect((error as Error).message).toMatch(expected);
    expect((error as Error).message.startsWith(`${path}: expected `)).toBe(true);
    return;
  }
  expect.unreachable(`${path} was accepted`);
}

const many = Object.fromEntries([...Array(65).keys()].map((n) => [`c${n}`, 'f64']));

describe('startExperiment', () => {
  it.each<[string, Record<string, unknown>, string]>([
    ['name', { name: undefined }, 'a non-empty string, got undefined'],
    ['name', { name: '' }, 'a non-empty string, got ""'],
    ['name', { name: 5 }, 'a non-empty string, got 5'],
    ['condition', { condition: '' }, 'a non-empty string'],
    ['condition', { condition: {} }, 'a non-empty string, got a object'],
    ['hypothesis', { hypothesis: 5 }, 'a string'],
    ['tags', { tags: 'a' }, 'an array of strings, got "a"'],
    ['tags', { tags: ['a', 5] }, 'an array of strings, got an array'],
    ['metadata', { metadata: null }, 'an object'],
    ['metadata', { metadata: [] }, 'an object, got an array'],
    ['sampleSize', { sampleSize: 0 }, 'a whole number from 1'],
    ['sampleSize', { sampleSize: '10' }, 'a whole number from 1'],
    ['sampleSize', { sampleSize: 1.5 }, 'a whole number from 1'],
    ['id', { id: 'a/b' }, '1 to 64 letters'],
    ['id', { id: '' }, '1 to 64 letters'],
    ['id', { id: 5 }, '1 to 64 letters'],
    ['id', { id: 'x'.repeat(65) }, '1 to 64 letters'],
    ['capacity', { capacity: 0 }, 'a whole number from 1'],
    ['capacity', { capacity: -5 }, 'a whole number from 1'],
    ['capacity', { capacity: 1.5 }, 'a whole number from 1'],
    ['capacity', { capacity: Number.NaN }, 'a whole number from 1'],
    ['capacity', { capacity: Number.POSITIVE_INFINITY }, 'a whole number from 1'],
    ['capacity', { capacity: '1024' }, 'a whole number from 1'],
    ['capacity', { capacity: 10n }, 'got a bigint'],
    ['capacityBytes', { capacityBytes: 1024 }, 'a whole number from 3'],
    ['capacityBytes', { capacityBytes: 2 ** 31 }, 'a whole number from'],
    ['capacityBytes', { capacityBytes: '64 MB' }, 'a whole number from'],
    ['capacityBytes', { capacity: 1024, capacityBytes: 2 ** 24 }, 'nothing, since there is a capacity'],
    ['capacity', { capacity: 2 ** 40 }, 'fits one 2 GiB memory, got 1099511627776'],
    ['capacity', { capacity: Number.MAX_SAFE_INTEGER }, 'fits one 2 GiB memory'],
    ['overflow', { overflow: 'explode' }, 'one of overwrite, block, reject, got "explode"'],
    ['overflow', { overflow: null }, 'one of overwrite, block, reject'],
    ['columns', { columns: 'f64' }, 'an object of column name to type'],
    ['columns', { columns: ['f64'] }, 'an object of column name to type'],
    ['columns', { columns: null }, 'an object of column name to type'],
    ['columns', { columns: many }, 'at most 64 columns'],
    ['columns.x', { columns: { x: 'f32' } }, 'one of f64, i32, u32, bool, dict, got "f32"'],
    ['columns.x', { columns: { x: undefined } }, 'one of f64'],
    ['columns.model', { columns: { model: 'dict' } }, 'a name without a column of its own'],
    ['columns.tokens', { columns: { tokens: 'f64' } }, 'a name without a column of its own'],
    ['events', { events: 'everything' }, "'standard', 'all' or an array of event names"],
    ['events', { events: [5] }, "'standard', 'all' or an array of event names"],
    ['events', { events: [''] }, "'standard', 'all' or an array of event names"],
    ['events', { events: null }, "'standard', 'all' or an array of event names"],
    ['streamingMetrics', { streamingMetrics: 'yes' }, 'a boolean'],
    ['prefault', { prefault: 1 }, 'a boolean'],
    ['onlyRuns', { onlyRuns: 1 }, 'a boolean'],
    ['producers', { producers: 0 }, 'a whole number from 1 to 32'],
    ['producers', { producers: 65 }, 'a whole number from 1 to 32'],
    ['capactiy', { capactiy: 1024 }, 'no such option (did you mean capacity?)'],
  ])('refuses %s, case %#', (path, options, expected) => {
    const crucible = bench.crucible();
    expectRefused(
      () => crucible.startExperiment({ name: 'n', ...options } as unknown as ExperimentOptions),
      path,
      new RegExp(expected.replace(/[.*+?^${}()|[\]\\]/g, '\\$&')),
    );
    expect(crucible.experiments()).toEqual([]);
  });

  it.each([undefined, null, 'name', 5])('refuses options that are %j', (options) => {
    expectRefused(() => bench.crucible().startExperiment(options as never), 'options', 'an object');
  });

  it('takes undefined for an option left out', () => {
    const experiment = bench.crucible().startExperiment({
      name: 'n',
      hypothesis: undefined,
      condition: undefined,
      capacity: undefined,
      columns: undefined,
      events: undefined,
    });
    expect(experiment).toMatchObject({ condition: 'default', hypothesis: null });
  });

  it('rounds the capacity up to whole chunks', async () => {
    const experiment = bench.start({ capacity: 1, overflow: 'reject' });
    for (let i = 0; i < 1024; i++) experiment.capture('e', {});
    expect(experiment.counts).toMatchObject({ captured: 1024, retained: 1024, dropped: 0 });
  });

  it('leaves nothing behind when it refuses', () => {
    const crucible = bench.crucible();
    expect(() => crucible.startExperiment({ name: 'n', id: 'same', capacity: 2 ** 40 })).toThrow(ConfigError);
    expect(() => crucible.startExperiment({ name: 'n', id: 'same', capacity: 1024 })).not.toThrow();
  });

  it('refuses an id that an experiment of another Crucible in this process has, without harm to it', () => {
    const [first, second] = [bench.crucible(), bench.crucible()];
    const kept = first.startExperiment({ name: 'n', id: 'twin', capacity: 1024 });
    expectRefused(() => second.startExperiment({ name: 'n', id: 'twin', capacity: 1024 }), 'id', 'an id');
    expect(second.experiments()).toEqual([]);
    expect(kept.status).toBe('running');
  });
});

describe('new Crucible', () => {
  it.each<[string, unknown, string]>([
    ['options', null, 'an object'],
    ['options', 'x', 'an object'],
    ['workers', { workers: -1 }, 'a whole number of threads'],
    ['workers', { workers: '2' }, 'a whole number of threads'],
    ['dir', { dir: '' }, 'a path'],
    ['dir', { dir: 5 }, 'a path'],
    ['clock', { clock: {} }, 'nowUs'],
    ['clock', { clock: null }, 'nowUs'],
    ['clock', { clock: { nowUs: () => 0 } }, 'monotonicNs'],
    ['prices', { prices: 5 }, 'a price table'],
    ['prices', { prices: null }, 'a price table'],
    ['prices.version', { prices: { models: {} } }, 'a string'],
    ['prices.models', { prices: { version: 'v' } }, 'an object'],
    ['prices.models["m"]', { prices: { version: 'v', models: { m: 5 } } }, 'two USD amounts'],
    ['prices.models["m"]', { prices: { version: 'v', models: { m: [1] } } }, 'two USD amounts'],
    ['prices.models["m"]', { prices: { version: 'v', models: { m: [1, -1] } } }, 'two USD amounts'],
    ['prices.models["m"]', { prices: { version: 'v', models: { m: [1, Number.NaN] } } }, 'two USD amounts'],
  ])('refuses %s, case %#', (path, options, expected) => {
    expectRefused(() => new Crucible(options as CrucibleOptions), path, expected);
  });
});

describe('stored options', () => {
  it('come back as they were, but for the module of file operations, which no folder may name', () => {
    const fileSystem = { url: 'file:///elsewhere.mjs' };
    const resolved = resolveOptions({ name: 'n', id: 'i', dir: '/data', fsync: 'always', fileSystem });
    expect(resolved.durable).toMatchObject({ fileSystem });
    const fields = { id: 'i', name: 'n', condition: 'default', tags: [], metadata: {} };
    const options = { ...storedOptions(resolved), fileSystem };
    expect(restoreOptions({ ...fields, options }, '/data').durable).toMatchObject({
      fsync: 'always',
      fileSystem: null,
    });
  });
});
