/** Ten times as many rows as the disk takes: memory stays what it is, calls keep to their policy, every row is counted. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { runChild } from './children.mjs';
import { read } from './kill.mjs';

let dir: string;
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'crucible-overload-'));
});
afterEach(() => rmSync(dir, { recursive: true }));

const BLOCK_MS = 20;

describe.each(['reject', 'block', 'overwrite'])('with overflow %s', (overflow) => {
  it('counts every row, waits no longer than it may, and needs no more memory', async () => {
    const report = await runChild('overload-child.mjs', { dir, overflow, seconds: 2, blockMs: BLOCK_MS });
    console.log(overflow, report);
    const { offered, captured, retained, dropped, waits, rssBytes } = report;
    expect(report.problems).toEqual([]);
    expect(report.deadlineExceeded).toBe(false);
    expect(report.read).toBe(retained);
    // Most of it cannot be kept, and all of it is accounted for.
    expect(retained).toBeLessThan(offered / 2);
    expect(retained + dropped).toBe(offered);
    if (overflow === 'overwrite') expect(captured).toBe(offered);
    else expect(captured).toBe(retained);
    if (overflow === 'block') {
      expect(waits.count).toBeGreaterThan(0);
      expect(waits.longestMs).toBeLessThanOrEqual(BLOCK_MS);
    } else expect(waits.count).toBe(0);
    expect(rssBytes).toBeLessThan(256 * 2 ** 20);

    const found = await read(dir, { gaps: true });
    expect(found).toMatchObject({ rows: retained, problems: [] });
  });
});
