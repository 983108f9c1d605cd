/** An option that a call does not know is an error that names the nearest one, and not passed over in silence. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { checkOptions } from '../src/check-options.js';
import { ConfigError, Crucible, type Experiment, instrument } from '../src/index.js';
import { crucibleFetch } from '../src/instrument/fetch.js';

let dir: string;
let crucible: Crucible;
let experiment: Experiment;
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'crucible-options-'));
  crucible = new Crucible({ workers: 0 });
  experiment = crucible.startExperiment({ name: 'e' });
  experiment.capture('a', { latencyMs: 1 });
  writeFileSync(join(dir, 'a.csv'), 'model,latency_ms\nm,5\n');
});
afterEach(async () => {
  await crucible.close();
  rmSync(dir, { recursive: true });
});

describe('checkOptions', () => {
  it('takes those that there are, and undefined', () => {
    expect(() => checkOptions({ a: 1, b: undefined }, ['a', 'c'])).not.toThrow();
  });

  it('names the nearest, if one is near, and where it stands', () => {
    expect(() => checkOptions({ anonymise: 1 }, ['anonymize'])).toThrow(
      'anonymise: expected no such option (did you mean anonymize?), got 1',
    );
    expect(() => checkOptions({ other: 1 }, ['anonymize'], 'inner')).toThrow(
      'inner.other: expected no such option, got 1',
    );
    expect(() => checkOptions(null as unknown as object, [])).toThrow(
      'options: expected an object, got null',
    );
    expect(() => checkOptions([] as unknown as object, [])).toThrow(ConfigError);
  });
});

describe('a misspelt option', () => {
  const path = () => join(dir, 'out.csv');
  const odd = (options: object) => options as never;
  const CALLS: readonly [string, string, string | null, () => unknown][] = [
    ['new Crucible', 'Dir', 'dir', () => new Crucible(odd({ Dir: 'x' }))],
    [
      'startExperiment',
      'capasity',
      'capacity',
      () => crucible.startExperiment(odd({ name: 'f', capasity: 1 })),
    ],
    [
      'retention',
      'retention.maxbytes',
      'maxBytes',
      () => crucible.startExperiment(odd({ name: 'f', dir, retention: { maxbytes: 1 } })),
    ],
    [
      'export',
      'anonymise',
      'anonymize',
      () => experiment.export('csv', odd({ path: path(), anonymise: {} })),
    ],
    [
      'export of internal ones',
      'staging',
      null,
      () => experiment.export('csv', odd({ path: path(), staging: 'x' })),
    ],
    [
      'anonymize',
      'anonymize.feilds',
      'fields',
      () => experiment.export('csv', odd({ path: path(), anonymize: { mode: 'drop', feilds: ['a'] } })),
    ],
    ['exportStream', 'csvsafe', 'csvSafe', () => experiment.exportStream('csv', odd({ csvsafe: true }))],
    [
      'exportMultiple',
      'filtre',
      'filter',
      () => crucible.exportMultiple([experiment], 'csv', odd({ filtre: {} })),
    ],
    ['archive', 'pth', 'path', () => experiment.archive(odd({ destination: 'local', pth: 'x' }))],
    [
      'importFile',
      'delimeter',
      'delimiter',
      () => experiment.importFile(join(dir, 'a.csv'), odd({ delimeter: ';' })),
    ],
    [
      'importFiles',
      'splitby',
      'splitBy',
      () => crucible.importFiles(join(dir, 'a.csv'), odd({ splitby: 'model' })),
    ],
    ['flush', 'deadline', 'deadlineMs', () => experiment.flush(odd({ deadline: 1 }))],
    ['compact', 'signl', 'signal', () => experiment.compact(odd({ signl: 1 }))],
    ['cleanup', 'keepdata', 'keepData', () => experiment.cleanup(odd({ keepdata: true }))],
    ['recover', 'reopn', 'reopen', () => crucible.recover(dir, odd({ reopn: true }))],
    ['recover of the folder', 'reopn', 'reopen', () => crucible.recover(odd({ reopn: true }))],
    [
      'compare',
      'unti',
      'unit',
      () => crucible.compare([experiment, crucible.startExperiment({ name: 'g' })], odd({ unti: 'a' })),
    ],
    ['window', 'window.unti', 'unit', () => experiment.window(odd({ last: 1, unti: 'hours' }))],
    [
      'windowedMetrics',
      'alin',
      'align',
      () => experiment.windowedMetrics(odd({ sizeUs: 1, stepUs: 1, alin: 'epoch' })),
    ],
    ['score', 'commnt', 'comment', () => experiment.score({ sampleId: 1 }, 'good', 1, odd({ commnt: 'x' }))],
    ['serve', 'prt', 'port', () => crucible.serve(odd({ prt: 1 }))],
    ['instrument', 'source', 'sources', () => instrument(crucible, odd({ source: ['fetch'] }))],
    ['crucibleFetch', 'host', 'hosts', () => crucibleFetch(odd({ host: ['a'] }))],
  ];

  it.each(CALLS)('of %s is refused', async (_, option, nearest, call) => {
    const error = await Promise.resolve()
      .then(call)
      .then(
        () => null,
        (thrown: unknown) => thrown,
      );
    expect(error).toBeInstanceOf(ConfigError);
    const hint = nearest === null ? '' : ` (did you mean ${nearest}?)`;
    expect((error as ConfigError).message).toContain(`${option}: expected no such option${hint}, got`);
    expect((error as ConfigError).context.path).toBe(option);
  });
});

describe('an argument that is none', () => {
  it('is a ConfigError that names it', async () => {
    const b = crucible.startExperiment({ name: 'b' });
    for (const list of [
      [experiment, null],
      [experiment, {}],
    ] as never[]) {
      const error = { code: 'ERR_CONFIG_INVALID', context: { path: 'experiments[1]' } };
      await expect(crucible.compare(list)).rejects.toMatchObject(error);
      await expect(crucible.exportMultiple(list, 'csv')).rejects.toMatchObject(error);
    }
    for (const list of [
      [experiment, b, experiment],
      [experiment, b, experiment.id],
    ]) {
      const error = { code: 'ERR_CONFIG_INVALID', context: { path: 'experiments[2]' } };
      await expect(crucible.compare(list)).rejects.toMatchObject(error);
      await expect(crucible.exportMultiple(list, 'csv')).rejects.toMatchObject(error);
    }
    expect(() => experiment.run(null as never)).toThrow(ConfigError);
  });

  it('archive({}) is told of what there is', async () => {
    await expect(experiment.archive({} as never)).rejects.toThrow(
      "destination: expected 'local': this version has no other, got undefined",
    );
  });

  it('recover takes options alone, for the folder that the Crucible has', async () => {
    await using writer = new Crucible({ dir, workers: 0 });
    const { id } = writer.startExperiment({ name: 'stopped' });
    await writer.experiment(id).cleanup();
    const { experiments } = await writer.recover({ reopen: [id] });
    expect(experiments).toMatchObject([{ id, access: 'write', status: 'running' }]);
  });
});
