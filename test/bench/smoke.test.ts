/** Every benchmark runs, tiny, from its sources. How quick anything is, is never asserted. */
import { describe, expect, it } from 'vitest';
import { SMOKE } from '../../bench/harness.js';
import { benches } from '../../bench/index.js';

describe.each(Object.entries(benches))('%s', (_name, bench) => {
  it('asks a question and answers it in rows with finite values', async () => {
    expect(bench.question).toMatch(/\?$/);
    const rows = await bench.rows(SMOKE);
    expect(rows.length).toBeGreaterThan(0);
    expect(new Set(rows.map(({ name }) => name)).size).toBe(rows.length);
    for (const { name, value, against } of rows) {
      expect(name).not.toBe('');
      expect(Number.parseFloat(value), `${name}: ${value}`).toSatisfy(Number.isFinite);
      expect(`${value} ${against}`, name).not.toMatch(/NaN|Infinity|undefined/);
    }
  });
});
