/** Costs by another table, beside those that events have. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { commands } from '../../src/cli/commands/index.js';
import { loadLibrary } from '../../src/cli/library.js';
import { Crucible, type Experiment, type PriceTable } from '../../src/index.js';
import { runInMemory } from '../cli/support/environment.js';

let dir: string;
let crucible: Crucible;
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'crucible-reprice-'));
  crucible = new Crucible({ dir, workers: 0 });
});
afterEach(async () => {
  await crucible.close();
  rmSync(dir, { recursive: true, force: true });
});

const TABLE: PriceTable = { version: 'new', models: { 'gpt-4': { input: 1, output: 2, cached: 0.5 } } };
const M = 1_000_000;

function fill(experiment: Experiment): void {
  const stop = (metadata: Record<string, unknown>) =>
    experiment.capture('req_llm.request.stop', { duration: 1e6 }, metadata);
  stop({ model: 'gpt-4', tokens: { prompt: M, completion: M, total: 2 * M } });
  // By the table of the experiment there is no rate for cached tokens.
  stop({
    model: 'gpt-4',
    usage: { prompt_tokens: M, completion_tokens: 0, prompt_tokens_details: { cached_tokens: M } },
  });
  // What a proxy reports is kept, and not looked at.
  stop({ model: 'gpt-4', usage: { prompt_tokens: M, completion_tokens: 0, cost: 7 } });
  stop({ model: 'other', tokens: { prompt: 1, completion: 1, total: 2 } });
  stop({ model: 'gpt-4' });
  experiment.recorder('r', { model: 'gpt-4' }).record(5, Number.NaN, M, M);
}

const EXPECTED = {
  ...{ version: 'new', column: 'score.costUsd.new', events: 5, priced: 4, reported: 1 },
  ...{ totalUsd: 3 + 0.5 + 1 + 3, beforeUsd: 90 + 7 + 90 },
  unpriced: [{ model: 'other', reason: 'unpriced:model', events: 1 }],
};

it('keeps both costs, and lists what has none', async () => {
  const experiment = crucible.startExperiment({ name: 'priced' });
  fill(experiment);
  expect(await experiment.reprice(TABLE)).toEqual(EXPECTED);
  const rows = await experiment.query();
  expect(rows.map(({ costUsd }) => costUsd)).toEqual([90, null, 7, null, null, 90]);
  expect(await experiment.query({ where: { 'score.costUsd.new': { gt: 2.5 } } })).toHaveLength(2);
  // Again, and by yet another: nothing is added up.
  expect(await experiment.reprice(TABLE)).toEqual(EXPECTED);
  const twice: PriceTable = { version: 'twice', models: { 'gpt-4': [2, 4] } };
  expect((await experiment.reprice(twice)).column).toBe('score.costUsd.twice');
  expect(await experiment.query({ where: { 'score.costUsd.new': { gt: 2.5 } } })).toHaveLength(2);
});

it('a table that is none is refused', async () => {
  const experiment = crucible.startExperiment({ name: 'priced' });
  await expect(experiment.reprice({ version: 'x' } as PriceTable)).rejects.toThrow(/prices.models/);
});

it('crucible reprice, of one that has ended', async () => {
  const experiment = crucible.startExperiment({ name: 'priced' });
  fill(experiment);
  await experiment.stop();
  await crucible.close();
  const file = join(dir, 'prices.json');
  writeFileSync(file, JSON.stringify(TABLE));
  const run = (...argv: string[]) =>
    runInMemory(['reprice', experiment.id, ...argv, '--dir', dir], commands, { loadLibrary });
  expect(JSON.parse((await run('--prices', file, '--json')).stdout)).toEqual({
    id: experiment.id,
    ...EXPECTED,
  });
  const { stdout } = await run('--prices', file);
  expect(stdout).toContain('4 events of 5 events with tokens priced: $7.50000, where they had $187.000');
  expect(stdout).toContain('! other: unpriced:model, 1 event');
  expect((await run()).status).toBe(2);
  expect((await run('--prices', join(dir, 'none.json'))).status).toBe(1);
});

it('crucible reprice, by rates of every kind: of caches, of reasoning, of long prompts, of a time', async () => {
  const experiment = crucible.startExperiment({ name: 'rated' });
  const at = (day: string, metadata: Record<string, unknown>) =>
    experiment.captureAt(Date.parse(day) * 1000, 'req_llm.request.stop', { duration: 1e6 }, metadata);
  at('2026-01-01', {
    model: 'claude-5',
    usage: {
      ...{ input_tokens: 100_000, cache_read_input_tokens: 200_000, cache_creation_input_tokens: 300_000 },
      output_tokens: 400_000,
    },
  });
  at('2026-01-01', {
    model: 'thinker',
    usage: {
      ...{ prompt_tokens: 100_000, completion_tokens: 500_000 },
      completion_tokens_details: { reasoning_tokens: 400_000 },
    },
  });
  at('2026-01-01', { model: 'long', tokens: { prompt: 200_000, completion: 0, total: 200_000 } });
  at('2026-01-01', { model: 'long', tokens: { prompt: 200_001, completion: 0, total: 200_001 } });
  at('2026-05-31', { model: 'dated', tokens: { prompt: M, completion: 0, total: M } });
  at('2026-06-01', { model: 'dated', tokens: { prompt: M, completion: 0, total: M } });
  await experiment.stop();
  await crucible.close();
  const table = {
    version: 'rates',
    models: {
      'claude-5': { input: 10, output: 20, cached: 1, cacheWrite: 12 },
      thinker: { input: 10, output: 20, reasoning: 5 },
      long: { input: 10, output: 20, tiers: [{ above: 200_000, input: 100 }] },
      dated: [
        { input: 8, output: 0, until: '2026-06-01' },
        { input: 4, output: 0, from: '2026-06-01' },
      ],
    },
  };
  const file = join(dir, 'prices.json');
  writeFileSync(file, JSON.stringify(table));
  const argv = ['reprice', experiment.id, '--dir', dir, '--prices', file, '--json'];
  const { totalUsd, priced } = JSON.parse((await runInMemory(argv, commands, { loadLibrary })).stdout);
  const expected = [1 + 0.2 + 3.6 + 8, 1 + 2 + 2, 2, 20.0001, 8, 4];
  expect(priced).toBe(6);
  expect(totalUsd).toBeCloseTo(
    expected.reduce((sum, usd) => sum + usd),
    9,
  );
  await using reader = new Crucible({ workers: 0 });
  await reader.recover(dir, { readOnly: true });
  for (const usd of expected) {
    const where = { 'score.costUsd.rates': { gt: usd - 1e-9, lt: usd + 1e-9 } };
    expect(await reader.experiment(experiment.id).query({ where })).not.toEqual([]);
  }
});
