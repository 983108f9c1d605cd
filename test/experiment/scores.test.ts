/** Scores: joined to what they are of, wherever they come from and whenever. Child processes run the built library. */
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { Crucible, type Experiment, type ExperimentOptions } from '../../src/index.js';
import { START_US, useBench } from '../capture/support.js';

const SMALL: ExperimentOptions = {
  name: 'eval',
  capacity: 4096,
  producers: 2,
  events: ['answer'],
  columns: { kind: 'dict', length: 'i32', good: 'bool' },
};

function answer(experiment: Experiment, i: number, metadata: Record<string, unknown> = {}): void {
  const ids = { sampleId: `s${i}`, sessionId: `t${i % 5}`, responseId: `r${i}` };
  experiment.captureAt(
    START_US + i * 1000,
    'answer',
    { durationMs: 10 + i, status: 'ok' },
    { ...ids, ...metadata },
  );
}

const scoresOf = async (experiment: Experiment, name = 'quality') =>
  (await experiment.query()).map(({ metadata }) => metadata[`score.${name}`] ?? null);

describe('a score', () => {
  const bench = useBench();

  it.each([
    ['sampleId', 's2', [null, null, 0.5, null, null, null, null]],
    ['responseId', 'r2', [null, null, 0.5, null, null, null, null]],
    ['sessionId', 't1', [null, 0.5, null, null, null, null, 0.5]],
  ])('is joined by %s to all events that have it', async (key, id, expected) => {
    const experiment = bench.start(SMALL);
    for (let i = 0; i < 7; i++) answer(experiment, i);
    experiment.score({ [key]: id } as never, 'quality', 0.5);
    expect(await scoresOf(experiment)).toEqual(expected);
    const found = await experiment.query({ where: { 'score.quality': { gte: 0.5 } } });
    expect(found).toHaveLength(expected.filter((value) => value !== null).length);
    expect(await experiment.query({ 'score.quality': 0.5 } as never)).toEqual(found);
  });

  it.each(['jsonl', 'parquet'] as const)('is in a %s archive, and comes back with it', async (format) => {
    const folder = mkdtempSync(join(tmpdir(), 'crucible-scored-'));
    try {
      const experiment = bench.start(SMALL);
      for (let i = 0; i < 3; i++) answer(experiment, i);
      experiment.score({ sampleId: 's1' }, 'quality', 0.5);
      const { path } = await experiment.archive({ destination: 'local', format, dir: folder });
      const back = bench.start({ ...SMALL, name: 'back' });
      await back.importFile(path);
      expect(await scoresOf(back)).toEqual([null, 0.5, null]);
    } finally {
      rmSync(folder, { recursive: true });
    }
  });

  it('is joined by eventId, also where an import has kept one, and by ids in columns, bindings and either case', async () => {
    const experiment = bench.start({ ...SMALL, columns: { sampleId: 'dict' } });
    const recorder = experiment.recorder('answer', { sessionId: 'bound' });
    recorder.record(5);
    experiment.capture('answer', { durationMs: 1 }, { sampleId: 'column' });
    experiment.capture('answer', { durationMs: 1 }, { session_id: 'snake' });
    const [first] = await experiment.query();
    experiment.score({ eventId: first!.eventId }, 'quality', 1);
    experiment.score({ sessionId: 'bound' }, 'other', 2);
    experiment.score({ sampleId: 'column' }, 'quality', 3);
    experiment.score({ sessionId: 'snake' }, 'quality', 4);
    expect(await scoresOf(experiment)).toEqual([1, 3, 4]);
    expect(await scoresOf(experiment, 'other')).toEqual([2, null, null]);
  });

  it('of an event counts before one of its sample, and that before one of its session', async () => {
    const experiment = bench.start(SMALL);
    for (let i = 0; i < 3; i++) answer(experiment, i);
    const [first] = await experiment.query();
    for (const id of ['t0', 't1', 't2']) experiment.score({ sessionId: id }, 'quality', 1);
    for (const id of ['s0', 's1']) experiment.score({ sampleId: id }, 'quality', 2);
    experiment.score({ eventId: first!.eventId }, 'quality', 3);
    expect(await scoresOf(experiment)).toEqual([3, 2, 1]);
  });

  it('of one judge is the last, of several judges their mean', async () => {
    const experiment = bench.start(SMALL);
    answer(experiment, 0);
    answer(experiment, 1);
    experiment.score({ sampleId: 's0' }, 'quality', 0, { by: 'a' });
    experiment.score({ sampleId: 's0' }, 'quality', 1, { by: 'b' });
    experiment.score({ sampleId: 's0' }, 'quality', 0.5, { by: 'a', at: 5, comment: 'on a second look' });
    expect(await scoresOf(experiment)).toEqual([0.75, null]);
    expect(experiment.scores()).toEqual([
      expect.objectContaining({
        by: 'a',
        value: 0.5,
        at: 5,
        comment: 'on a second look',
        key: 'sampleId',
        id: 's0',
      }),
      expect.objectContaining({ by: 'b', value: 1, at: START_US, comment: null }),
    ]);
  });

  it('that is yes or no is a rate, and a number for several judges', async () => {
    const experiment = bench.start(SMALL);
    for (let i = 0; i < 4; i++) {
      answer(experiment, i);
      experiment.score({ sampleId: `s${i}` }, 'right', i > 0, { by: 'test' });
    }
    expect(await scoresOf(experiment, 'right')).toEqual([false, true, true, true]);
    experiment.score({ sampleId: 's1' }, 'right', false, { by: 'human' });
    expect(await scoresOf(experiment, 'right')).toEqual([0, 0.5, 1, 1]);
  });

  it('changes nothing of the rows, declared columns of those that had none included', async () => {
    const experiment = bench.start(SMALL);
    for (let i = 0; i < 40; i++) {
      answer(experiment, i, i % 3 === 0 ? {} : { kind: `k${i % 4}`, length: i, good: i % 2 === 0 });
    }
    experiment.recorder('answer', { kind: 'bound', sampleId: 'bound' }).recordAt(START_US + 1, 4);
    const before = await experiment.query();
    for (let i = 0; i < 40; i += 2) experiment.score({ sampleId: `s${i}` }, 'quality', i);
    experiment.score({ sampleId: 'bound' }, 'quality', 99);
    const after = await experiment.query();
    const without = after.map((row) => {
      const { 'score.quality': _, ...metadata } = row.metadata;
      return { ...row, metadata };
    });
    expect(without).toEqual(before);
    expect(after.filter(({ metadata }) => 'score.quality' in metadata)).toHaveLength(21);
    for (const filter of [{ where: { kind: 'k2' } }, { where: { good: true } }, { where: { kind: null } }]) {
      const rows = (await experiment.query(filter)).map(({ sequence }) => sequence);
      const expected = before.filter(({ metadata }) => {
        const [[key, value]] = Object.entries(filter.where) as [[string, unknown]];
        return (metadata[key] ?? null) === value;
      });
      expect(rows).toEqual(expected.map(({ sequence }) => sequence));
    }
  });

  it('counts once as an outcome, however many events have it', async () => {
    const crucible = bench.crucible({ workers: 0 });
    const arms = ['a', 'b'].map((name, arm) => {
      const experiment = crucible.startExperiment({ ...SMALL, name });
      for (let i = 0; i < 100; i++) {
        for (let j = 0; j <= i % 3; j++) answer(experiment, i, { sampleId: `${name}${i}` });
        experiment.score({ sampleId: `${name}${i}` }, 'quality', (i % 10) / 10 + arm);
        experiment.score({ sampleId: `${name}${i}` }, 'right', i % 4 > arm);
      }
      return experiment;
    });
    const metrics = [
      { of: 'score.quality', direction: 'higher' as const },
      { of: 'score.right' },
      { of: 'score.unheard' },
    ];
    const {
      treatments: [compared],
    } = await crucible.compare(arms, { metrics, paired: false });
    const { 'score.quality': quality, 'score.right': right, 'score.unheard': unheard } = compared!.metrics;
    expect(quality!.baseline.n).toBe(100);
    expect(quality!.baseline.estimate).toBeCloseTo(0.45, 12);
    expect(quality!.difference).toBeCloseTo(1, 12);
    expect(quality).toMatchObject({ significant: true, direction: 'better' });
    expect(right!.baseline).toMatchObject({ n: 100, estimate: 0.75 });
    expect(right!.treatment).toMatchObject({ n: 100, estimate: 0.5 });
    expect(unheard).toMatchObject({ difference: null });
  });

  it('counts once in a study too, over experiments that have the same samples', async () => {
    const crucible = bench.crucible({ workers: 0 });
    const design = {
      ...SMALL,
      arms: { control: {}, treatment: {} },
      unit: 'sampleId',
      plan: { outcomes: [{ of: 'score.quality', direction: 'higher' as const }] },
    };
    for (let part = 0; part < 2; part++) {
      const study = crucible.study(design);
      for (let i = 0; i < 120; i++) {
        const experiment = study.experiment(study.assign(`s${i}`));
        answer(experiment, i);
        answer(experiment, i);
        experiment.score(
          { sampleId: `s${i}` },
          'quality',
          study.assign(`s${i}`) === 'control' ? i % 2 : 1 + (i % 2),
        );
      }
      await study.stop();
    }
    const { decision, outcomes } = await crucible.study(design).verdict();
    expect(decision).toBe('better');
    expect(outcomes['score.quality']!.baseline.n + outcomes['score.quality']!.treatment.n).toBe(240);
  });

  it.each([
    ['target', [{}, 'q', 1]],
    ['target', [{ sampleId: 'a', eventId: 'b' }, 'q', 1]],
    ['target', [{ userId: 'a' }, 'q', 1]],
    ['target.sampleId', [{ sampleId: '' }, 'q', 1]],
    ['name', [{ sampleId: 'a' }, '', 1]],
    ['value', [{ sampleId: 'a' }, 'q', Number.NaN]],
    ['value', [{ sampleId: 'a' }, 'q', '1']],
    ['by', [{ sampleId: 'a' }, 'q', 1, { by: 5 }]],
    ['at', [{ sampleId: 'a' }, 'q', 1, { at: 'now' }]],
    ['comment', [{ sampleId: 'a' }, 'q', 1, { comment: 'x'.repeat(65_537) }]],
    ['judge', [{ sampleId: 'a' }, 'q', 1, { judge: 'x' }]],
    ['name', [{ sampleId: 'a' }, 'declared', 1]],
  ])('is refused by %s: %j', (path, args) => {
    const experiment = bench.start({ ...SMALL, columns: { 'score.declared': 'f64' } });
    expect(() => experiment.score(...(args as Parameters<Experiment['score']>))).toThrow(
      expect.objectContaining({ code: 'ERR_CONFIG_INVALID', context: expect.objectContaining({ path }) }),
    );
    expect(experiment.scores()).toEqual([]);
  });

  it('is refused once the experiment was cleaned up, not once it has stopped', async () => {
    const experiment = bench.start(SMALL);
    answer(experiment, 0);
    await experiment.stop();
    experiment.score({ sampleId: 's0' }, 'quality', 1);
    expect(await scoresOf(experiment)).toEqual([1]);
    await experiment.cleanup();
    expect(() => experiment.score({ sampleId: 's0' }, 'quality', 1)).toThrow(
      expect.objectContaining({ code: 'ERR_CLOSED' }),
    );
  });
});

describe('scores on disk', () => {
  let dir: string;
  let crucible: Crucible;
  beforeEach(() => {
    dir = mkdtempSync(join(tmpdir(), 'scores-'));
    crucible = new Crucible({ dir, workers: 1 });
  });
  afterEach(async () => {
    await crucible.close();
    rmSync(dir, { recursive: true, force: true });
  });
  const elsewhere = (body: string) => {
    const program = `
      import { Crucible } from 'crucible-telemetry';
      const crucible = new Crucible({ dir: ${JSON.stringify(dir)}, workers: 0 });
      ${body}`;
    return spawnSync(process.execPath, ['--input-type=module', '-e', program], {
      encoding: 'utf8',
      timeout: 60_000,
    });
  };
  const opened = `
    const { experiments: [{ id }] } = await crucible.recover(undefined, { readOnly: true });
    const experiment = crucible.experiment(id);`;

  it('come from other processes while it runs, killed ones too', async () => {
    const experiment = crucible.startExperiment(SMALL);
    for (let i = 0; i < 6; i++) answer(experiment, i);
    await experiment.flush();
    experiment.score({ sampleId: 's0' }, 'quality', 0);
    const killed = elsewhere(`${opened}
      for (let i = 1; i < 4; i++) experiment.score({ sampleId: 's' + i }, 'quality', i, { by: 'judge' });
      process.kill(process.pid, 'SIGKILL');`);
    expect(killed.signal).toBe('SIGKILL');
    expect(
      elsewhere(
        `${opened} experiment.score({ sampleId: 's3' }, 'quality', 7, { by: 'judge' }); await crucible.close();`,
      ).stderr,
    ).toBe('');
    expect(await scoresOf(experiment)).toEqual([0, 1, 2, 7, null, null]);
    experiment.score({ sampleId: 's4' }, 'quality', 4);
    const seen = elsewhere(
      `${opened} console.log((await experiment.query()).map((row) => row.metadata['score.quality'] ?? null).join());`,
    );
    expect(seen.stdout).toBe('0,1,2,7,4,\n');
  });

  it('survive the death of the process as soon as they are told, and are there when it is recovered', async () => {
    const killed = elsewhere(`
      const experiment = crucible.startExperiment(${JSON.stringify(SMALL)});
      for (let i = 0; i < 3; i++) experiment.capture('answer', { durationMs: i }, { sampleId: 's' + i });
      await experiment.flush();
      for (let i = 0; i < 3; i++) experiment.score({ sampleId: 's' + i }, 'quality', i);
      process.kill(process.pid, 'SIGKILL');`);
    expect(killed.signal).toBe('SIGKILL');
    const {
      experiments: [{ id }],
    } = (await crucible.recover()) as never as { experiments: [{ id: string }] };
    const experiment = crucible.experiment(id);
    expect(await scoresOf(experiment)).toEqual([0, 1, 2]);
    // It goes on.
    experiment.capture('answer', { durationMs: 1 }, { sampleId: 's9' });
    experiment.score({ sampleId: 's9' }, 'quality', 9);
    expect(await scoresOf(experiment)).toEqual([0, 1, 2, 9]);
    await experiment.stop();
    const [journal] = readdirSync(join(dir, id, 'scores'));
    const path = join(dir, id, 'scores', journal!);
    writeFileSync(path, readFileSync(path).subarray(0, -3));
    const again = new Crucible({ dir, workers: 0 });
    await again.recover();
    expect((await scoresOf(again.experiment(id))).filter((score) => score !== null)).toHaveLength(3);
    await again.close();
  });

  it.each(['csv', 'jsonl', 'msgpack', 'parquet', 'arrow'] as const)(
    'are in an export to %s',
    async (format) => {
      const experiment = crucible.startExperiment(SMALL);
      for (let i = 0; i < 5; i++) answer(experiment, i, { kind: 'k' });
      for (let i = 0; i < 4; i++) experiment.score({ sampleId: `s${i}` }, 'quality', i / 4);
      const { path } = await experiment.export(format, { path: join(dir, `out.${format}`) });
      const back = crucible.startExperiment({ ...SMALL, columns: {} });
      await back.importFile(path);
      expect(await scoresOf(back)).toEqual([0, 0.25, 0.5, 0.75, null]);
      const streamed: Buffer[] = [];
      for await (const chunk of experiment.exportStream(format)) streamed.push(chunk as Buffer);
      expect(Buffer.concat(streamed).includes('quality')).toBe(true);
    },
  );

  it('are joined on a thread as they are here', async () => {
    const experiment = crucible.startExperiment({ ...SMALL, capacity: 32_768 });
    for (let i = 0; i < 20_000; i++) answer(experiment, i);
    for (let i = 0; i < 20_000; i += 10) experiment.score({ sampleId: `s${i}` }, 'quality', i);
    const rows = await experiment.query({ where: { 'score.quality': { gte: 10_000 } } });
    expect(rows).toHaveLength(1000);
    expect(
      rows.every(({ metadata }) => metadata['score.quality'] === Number(String(metadata.sampleId).slice(1))),
    ).toBe(true);
  });
});
