import { describe, expect, it } from 'vitest';
import type { WindowRow } from '../../../src/analysis/types.js';
import { windowLines } from '../../../src/cli/report/windows.js';
import { NO_STYLE } from '../../../src/cli/terminal/style.js';
import { displayWidth } from '../../../src/cli/terminal/width.js';

const START = Date.UTC(2026, 0, 2, 23, 58) * 1000;
const MINUTE = 60e6;

function row(index: number, meanLatency: number | null, more: Partial<WindowRow> = {}): WindowRow {
  return {
    windowStart: START + index * MINUTE,
    windowEnd: START + (index + 1) * MINUTE,
    eventCount: 1200 + index,
    meanLatency,
    stdDevLatency: null,
    latencyQuantiles: { p50: meanLatency, p99: meanLatency === null ? null : 2 * meanLatency },
    totalCost: 0,
    successCount: 0,
    failureCount: 0,
    promptTokens: 0,
    completionTokens: 0,
    ...more,
  };
}

const full = {
  totalCost: 0.25,
  successCount: 99,
  failureCount: 1,
  promptTokens: 1000,
  completionTokens: 200,
};
const options = { style: NO_STYLE, width: 120, stepUs: MINUTE, limit: 40, drawn: false };

describe('windowLines', () => {
  it('has a line for each window', () => {
    const rows = [
      row(0, 100, full),
      row(1, 50.25, full),
      row(4, null, { ...full, successCount: 0, failureCount: 0 }),
    ];
    expect(windowLines(rows, options).join('\n')).toMatchInlineSnapshot(`
      "  start                 events  mean, ms    p50    p99  cost, USD  tokens  success, %
        2026-01-02T23:58:00Z   1,200     100.0  100.0  200.0     0.2500   1,200       99.00
        2026-01-02T23:59:00Z   1,201      50.3   50.3  100.5     0.2500   1,200       99.00
        2026-01-03T00:02:00Z   1,204         -      -      -     0.2500   1,200           -"
    `);
  });

  it('has no column for what no window has', () => {
    expect(windowLines([row(0, 100)], options)).toEqual([
      '  start                 events  mean, ms    p50    p99',
      '  2026-01-02T23:58:00Z   1,200     100.0  100.0  200.0',
    ]);
    expect(windowLines([row(0, null)], options)).toEqual([
      '  start                 events',
      '  2026-01-02T23:58:00Z   1,200',
    ]);
  });

  it('draws for eyes: bars of the means, or of the events where there are none', () => {
    const drawn = { ...options, drawn: true, width: 80 };
    expect(windowLines([row(0, 100), row(1, 50)], drawn).join('\n')).toMatchInlineSnapshot(`
      "  2026-01-02 UTC  events  mean, ms                  p50    p99
        23:58:00         1,200     100.0  ████████████  100.0  200.0
        23:59:00         1,201      50.0  ██████         50.0  100.0"
    `);
    expect(
      windowLines([row(0, null), row(1, null, { eventCount: 600 })], drawn).join('\n'),
    ).toMatchInlineSnapshot(`
      "  2026-01-02 UTC  events
        23:58:00         1,200  ████████████
        23:59:00           600  ██████"
    `);
  });

  it('says for eyes where windows are without events, and the date once where all share it', () => {
    expect(windowLines([row(0, 100), row(2, 50)], { ...options, drawn: true })).toEqual([
      expect.stringMatching(/^ {2}start, UTC /),
      expect.stringMatching(/^ {2}2026-01-02 23:58:00 /),
      '  ⋮ 1 without events',
      expect.stringMatching(/^ {2}2026-01-03 00:00:00 /),
    ]);
  });

  it('shows as much of a start as the step needs', () => {
    const shifted = row(0, 100, { windowStart: START + 123_456 });
    expect(windowLines([shifted], { ...options, stepUs: 250_000 })[1]).toContain('23:58:00.123Z ');
    expect(windowLines([shifted], { ...options, stepUs: 100 })[1]).toContain('23:58:00.123456Z ');
  });

  it('shows the last ones of very many, says how many there were, and draws them all in a line', () => {
    const many = Array.from({ length: 3000 }, (_, i) => row(i, i < 2999 ? 10 : 80));
    const lines = windowLines(many, { ...options, limit: 2, width: 80 });
    expect(lines).toEqual([
      '  … 2,998 earlier windows left out: --limit N shows more, --from and --to',
      '    others, --json all',
      expect.stringMatching(/^ {2}start/),
      expect.stringMatching(/^ {2}2026-01-05T01:56:00Z /),
      expect.stringMatching(/^ {2}2026-01-05T01:57:00Z /),
    ]);
    const [overview] = windowLines(many, { ...options, limit: 2, width: 80, drawn: true });
    expect(overview).toBe(`  mean latency, ms  ${'▁'.repeat(43)}█  10.00 to 80.00`);
    const gap = windowLines([row(0, 10), row(99, 80)], { ...options, limit: 1, drawn: true, width: 40 })[0];
    expect(gap).toBe(`  mean latency, ms  ▁${' '.repeat(18)}█`);
  });

  it.each([40, 60, 80, 120])('fits %i columns, and never cuts a start', (width) => {
    const rows = Array.from({ length: 50 }, (_, i) => row(i, 100 + i, full));
    for (const drawn of [true, false]) {
      const lines = windowLines(rows, { ...options, width, drawn, limit: 10 });
      expect(lines.filter((line) => displayWidth(line) > width)).toEqual([]);
      expect(lines.join('\n')).toContain('00:47:00');
    }
  });
});
