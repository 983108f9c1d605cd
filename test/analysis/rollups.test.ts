/** Windows over real traces are what plain arrays give: every value in its window, sorted. */

import { readFile } from 'node:fs/promises';
import { beforeEach, describe, expect, it } from 'vitest';
import type { WindowRow } from '../../src/analysis/types.js';
import { Crucible, type ImportOptions } from '../../src/index.js';
import { needsTraces, tracePath } from '../support/fixtures.js';

const HOUR_US = 3600e6;

interface Point {
  readonly timeUs: number;
  readonly latencyMs: number | null;
  readonly promptTokens: number;
  readonly completionTokens: number;
}

/** The trace by itself: every line split at its commas. */
async function points(name: string, pointOf: (cells: readonly string[]) => Point): Promise<Point[]> {
  const [, ...lines] = (await readFile(tracePath(name), 'utf8')).trim().split(/\r?\n/);
  return lines.map((line) => pointOf(line.split(',')));
}

/** Times such as 2023-11-16 18:15:46.6805900, in UTC; microseconds, rounded down. */
function timeOf(text: string): number {
  const [seconds, fraction = ''] = text.split('.') as [string, string?];
  return Date.parse(`${seconds.replace(' ', 'T')}Z`) * 1000 + Number(fraction.padEnd(6, '0').slice(0, 6));
}

const noTokens = { promptTokens: 0, completionTokens: 0 };
const TRACES: readonly [string, ImportOptions, (cells: readonly string[]) => Point][] = [
  [
    'nab_machine_temperature_system_failure.csv',
    { map: { timestamp: 'timestamp', latencyMs: 'value' } },
    ([time, value]) => ({ timeUs: timeOf(time!), latencyMs: Number(value), ...noTokens }),
  ],
  [
    'nab_ec2_request_latency_system_failure.csv',
    { map: { timestamp: 'timestamp', latencyMs: 'value' } },
    ([time, value]) => ({ timeUs: timeOf(time!), latencyMs: Number(value), ...noTokens }),
  ],
  [
    'azure_llm_2023_conv.csv',
    {},
    ([time, prompt, completion]) => ({
      timeUs: timeOf(time!),
      latencyMs: null,
      promptTokens: Number(prompt),
      completionTokens: Number(completion),
    }),
  ],
];

/** Type 7. */
function quantile(ascending: readonly number[], p: number): number | null {
  if (ascending.length === 0) return null;
  const position = (ascending.length - 1) * p;
  const low = ascending[Math.floor(position)]!;
  const high = ascending[Math.min(ascending.length - 1, Math.floor(position) + 1)]!;
  return low + (high - low) * (position - Math.floor(position));
}

function expectRollup(row: WindowRow, inside: readonly Point[]): void {
  const sum = (values: readonly number[]) => values.reduce((total, value) => total + value, 0);
  const latencies = inside.flatMap(({ latencyMs }) => latencyMs ?? []).sort((a, b) => a - b);
  expect(row.eventCount).toBe(inside.length);
  expect(row.promptTokens).toBe(sum(inside.map((point) => point.promptTokens)));
  expect(row.completionTokens).toBe(sum(inside.map((point) => point.completionTokens)));
  expect(row.latencyQuantiles).toEqual({
    p50: quantile(latencies, 0.5),
    p95: quantile(latencies, 0.95),
    p99: quantile(latencies, 0.99),
  });
  if (latencies.length === 0) expect(row.meanLatency).toBeNull();
  else expect(row.meanLatency).toBeCloseTo(sum(latencies) / latencies.length, 9);
}

describe('rollups of real traces', () => {
  beforeEach(needsTraces);

  describe.each(TRACES)('%s', (name, options, pointOf) => {
    it.each([
      ['tumbling', { sizeUs: HOUR_US, stepUs: HOUR_US, align: 'epoch' }],
      ['hopping', { sizeUs: 6 * HOUR_US, stepUs: HOUR_US / 2, align: 'first' }],
    ] as const)('in %s windows', async (_, spec) => {
      await using crucible = new Crucible({ workers: 1 });
      const experiment = crucible.startExperiment({ name, capacity: 32_768 });
      await experiment.importFile(tracePath(name), options);
      const all = await points(name, pointOf);
      const rows = await experiment.windowedMetrics(spec);
      const firstUs = Math.min(...all.map(({ timeUs }) => timeUs));
      const originUs = spec.align === 'first' ? firstUs : 0;
      for (const row of rows) {
        expect((row.windowStart - originUs) % spec.stepUs).toBe(0);
        const inside = all.filter(({ timeUs }) => timeUs >= row.windowStart && timeUs < row.windowEnd);
        expect(inside.length).toBeGreaterThan(0);
        expectRollup(row, inside);
      }
      const covered = (timeUs: number) =>
        rows.some((row) => row.windowStart <= timeUs && timeUs < row.windowEnd);
      expect(all.every(({ timeUs }) => covered(timeUs))).toBe(true);
    });
  });

  it('do not come out if one value is moved', () => {
    const point: Point = { timeUs: 0, latencyMs: 1, ...noTokens };
    const row: WindowRow = {
      windowStart: 0,
      windowEnd: 1,
      stdDevLatency: null,
      totalCost: 0,
      successCount: 0,
      failureCount: 0,
      eventCount: 2,
      meanLatency: 1.5,
      latencyQuantiles: { p50: 1.5, p95: 1.95, p99: 1.99 },
      promptTokens: 0,
      completionTokens: 0,
    };
    expectRollup(row, [point, { ...point, latencyMs: 2 }]);
    expect(() => expectRollup(row, [point, { ...point, latencyMs: 2.001 }])).toThrow();
    expect(() => expectRollup(row, [point])).toThrow();
  });
});
