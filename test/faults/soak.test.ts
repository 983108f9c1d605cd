/** Many experiments one after the other: nothing of them stays behind, and all totals are exact. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { runChild } from './children.mjs';

it('holds on to no file, no resource and no memory', async () => {
  const dir = mkdtempSync(join(tmpdir(), 'crucible-soak-'));
  try {
    const report = await runChild('soak-child.mjs', { dir, rounds: 16, minutes: 0 }, ['--expose-gc']);
    console.log(report);
    expect(report.problems).toEqual([]);
    expect(report.openFiles[1]).toBe(report.openFiles[0]);
    expect(report.resources[1]).toBe(report.resources[0]);
    // An experiment that were kept would be seen: its rows alone, as they are read, are megabytes.
    expect(report.heapGrowthBytes).toBeLessThan(2 ** 20);
  } finally {
    rmSync(dir, { recursive: true });
  }
});
