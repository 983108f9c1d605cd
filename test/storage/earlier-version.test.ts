/** Folders that an earlier version of the library has written: `test/golden/earlier`, by the first one there was. */
import { cp, mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { Crucible, type EventRow } from '../../src/index.js';
import { countsOf } from '../support/counts.js';

const ID = '0123456789abcdef';
const golden = fileURLToPath(new URL('../golden/earlier', import.meta.url));

let dir: string;
beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), 'crucible-earlier-'));
});
afterEach(() => rm(dir, { recursive: true, force: true }));

/** What was captured. */
function expectRows(rows: readonly EventRow[]): void {
  expect(rows).toHaveLength(26);
  rows.slice(0, 20).forEach((row, i) => {
    expect(row).toMatchObject({
      eventName: 'req_llm.request.stop',
      timestamp: 1_700_000_000_000_000 + i * 1000,
      latencyMs: i + 0.5,
      costUsd: i / 8,
      tokens: { prompt: i, completion: 2 * i, total: 3 * i },
      success: i % 3 === 0 ? null : i % 3 === 1,
      model: 'gpt-4',
      provider: 'openai',
    });
  });
  rows.slice(20, 25).forEach((row, i) => {
    expect(row).toMatchObject({
      eventName: 'tool.call',
      latencyMs: i,
      costUsd: i / 4,
      userId: `u${i}`,
      measurements: { note: `n${i}` },
      metadata: {
        score: i / 2,
        region: 'eu',
        ok: i % 2 === 0,
        text: 'é😀'.repeat(i),
        nested: { list: [i, null, 'x'] },
      },
      malformed: false,
    });
  });
  // That version kept no more of a text of 300,000 characters.
  expect(rows[25]).toMatchObject({ latencyMs: 7, malformed: true, metadata: { text: 'x'.repeat(1024) } });
}

async function bytesOf(folder: string): Promise<Record<string, string>> {
  const names = (await readdir(folder)).sort();
  return Object.fromEntries(
    await Promise.all(
      names.map(async (name) => [name, (await readFile(join(folder, name))).toString('hex')]),
    ),
  );
}

describe.each(['arrow', 'parquet'])('a folder of the first version, in %s', (form) => {
  beforeEach(() => cp(join(golden, form), dir, { recursive: true }));

  it('is read as it was written, and its counts tell nothing of what it did not count', async () => {
    await using crucible = new Crucible();
    const report = await crucible.recover(dir, { readOnly: true });
    expect(report.experiments).toMatchObject([
      { id: ID, status: 'stopped', rows: 26, damage: [], cut: [], changed: false, error: null },
    ]);
    const experiment = crucible.experiment(ID);
    expect(experiment.counts).toEqual(countsOf({ captured: 26, malformed: 1 }));
    expectRows(await experiment.query());
  });

  it('is not changed by being recovered', async () => {
    const before = await bytesOf(join(dir, ID));
    for (let i = 0; i < 2; i++) {
      await using crucible = new Crucible();
      await crucible.recover(dir);
      expectRows(await crucible.experiment(ID).query());
    }
    expect(await bytesOf(join(dir, ID))).toEqual(before);
  });
});

it('an Arrow segment of the first version can be compacted', async () => {
  await cp(join(golden, 'arrow'), dir, { recursive: true });
  await using crucible = new Crucible();
  await crucible.recover(dir);
  const experiment = crucible.experiment(ID);
  expect(await experiment.compact()).toMatchObject({ segments: 1, skipped: [] });
  expectRows(await experiment.query());
});
