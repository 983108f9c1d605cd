import { describe, expect, it } from 'vitest';
import type { Comparison, LatencyStats, Metrics } from '../../src/analysis/types.js';
import {
  comparisonLines,
  filesLines,
  type Intervals,
  LatencyTrend,
  type LiveArm,
  liveLines,
  metricsLines,
  progressLogLine,
  verdict,
} from '../../src/cli/report.js';
import { NO_STYLE } from '../../src/cli/terminal/style.js';
import { displayWidth } from '../../src/cli/terminal/width.js';
import { metricsOf, streamingOf } from './support/fake-library.js';

const options = { style: NO_STYLE, width: 80 };
const noIntervals: Intervals = { meanInterval: () => null, proportionInterval: () => null };

function metrics(mean: number, totalUsd: number, successful: number, decided = 200): Metrics {
  const latency: LatencyStats = {
    count: decided,
    mean,
    median: mean * 0.8,
    stdDev: mean / 2,
    stdDevPopulation: mean / 2,
    min: mean / 4,
    max: mean * 6,
    p50: mean * 0.8,
    p90: mean * 1.5,
    p95: mean * 2,
    p99: mean * 4,
    p999: mean * 5,
  };
  const successRate = successful / decided;
  return {
    summary: {
      totalEvents: 2 * decided,
      timeRange: { start: 0, end: 12_340_000 },
      durationSeconds: 12.34,
      eventTypes: {},
      wallClockSeconds: 13,
      activeSeconds: 13,
      pausedSeconds: 0,
    },
    latency,
    cost: {
      total: totalUsd,
      count: successful,
      meanPerRequest: totalUsd / successful,
      medianPerRequest: totalUsd / successful,
      costPer1kRequests: (totalUsd / successful) * 1e3,
      costPer1mRequests: (totalUsd / successful) * 1e6,
    },
    reliability: {
      totalRequests: 2 * decided,
      decidedRequests: decided,
      successful,
      failed: decided - successful,
      successRate,
      failureRate: 1 - successRate,
      sla99: successRate >= 0.99,
      sla999: successRate >= 0.999,
      sla9999: successRate >= 0.9999,
    },
    tokens: {
      count: successful,
      totalPrompt: 204_000,
      totalCompletion: 42_200,
      total: 246_200,
      meanPrompt: 1020,
      meanCompletion: 211,
      meanTotal: 1231,
    },
    events: {},
  };
}

const nothing = metricsOf([]);

function compare(baseline: Metrics, treatment: Metrics, change: Partial<Comparison['treatments'][0]> = {}) {
  const comparison: Comparison = {
    baseline: { id: 'a', name: 'control', condition: 'control' },
    experiments: [
      { id: 'a', name: 'control', condition: 'control', metrics: baseline },
      { id: 'b', name: 'hedged', condition: 'hedged', metrics: treatment },
    ],
    treatments: [
      {
        id: 'b',
        name: 'hedged',
        condition: 'hedged',
        latencyImprovementPct: -38.4,
        costDifferenceUsd: 0.15,
        successRateImprovementPct: 2.18,
        eventCountDifference: 0,
        ...change,
      },
    ],
  };
  return comparison;
}

const typical = compare(metrics(516.52, 0.25, 193), metrics(318.2, 0.4025, 197.2));
const sentence = (comparison: Comparison, intervals = noIntervals) =>
  verdict(comparison, comparison.treatments[0]!, intervals);

describe('metricsLines', () => {
  it('sets experiments side by side, units said once, decimals alike', () => {
    const lines = metricsLines(
      [
        { name: 'control', metrics: metrics(516.52, 0.25, 193) },
        { name: 'hedged', metrics: metrics(98.2, 0.4, 199) },
      ],
      options,
    );
    expect(lines.join('\n')).toBe(
      [
        '                              control     hedged',
        '  events        all               400        400',
        '                span, s          12.3       12.3',
        '  requests      decided           200        200',
        '                failed              7          1',
        '                success, %      96.50      99.50',
        '  latency, ms   mean            516.5       98.2',
        '                std dev         258.3       49.1',
        '                p50             413.2       78.6',
        '                p90             774.8      147.3',
        '                p95           1,033.0      196.4',
        '                p99           2,066.1      392.8',
        '                max           3,099.1      589.2',
        '  cost, USD     total          0.2500     0.4000',
        '                a request    0.001250   0.002000',
        '  tokens        prompt        204,000    204,000',
        '                completion     42,200     42,200',
      ].join('\n'),
    );
  });

  it('leaves out what nobody measured, and marks what one did not', () => {
    const empty = metricsLines([{ name: 'empty', metrics: nothing }], options).join('\n');
    expect(empty).toBe(
      [
        '                       empty',
        '  events     all           0',
        '             span, s     0.0',
        '  requests   decided       0',
      ].join('\n'),
    );
    const mixed = metricsLines(
      [
        { name: 'some', metrics: metrics(10, 1, 200) },
        { name: 'none', metrics: nothing },
      ],
      options,
    );
    expect(mixed.find((line) => line.includes('mean'))).toMatch(/ 10\.00 +-$/);
  });
});

describe('comparisonLines', () => {
  const intervals: Intervals = {
    meanInterval: (x, y) => [x.mean - y.mean - 50, x.mean - y.mean + 50],
    proportionInterval: () => [-0.001, 0.05],
  };

  it('gives differences with their intervals, and a sentence', () => {
    expect(comparisonLines(typical, intervals, options).join('\n')).toBe(
      [
        'hedged against control',
        '  measure             control    hedged  difference  change, %     95 % interval',
        '  mean latency, ms      516.5     318.2      -198.3      -38.4  -248.3 to -148.3',
        '  p95 latency, ms     1,033.0     636.4      -396.6      -38.4',
        '  success, %            96.50     98.60       +2.10       +2.2    -0.10 to +5.00',
        '  request cost, USD  0.001250  0.002012   +0.000762      +61.0',
        '',
        '→ hedged is 38 % faster on mean latency at +61 % cost a request; success +2.1',
        '  points (within chance)',
      ].join('\n'),
    );
  });

  it('has no column for intervals that nobody knows', () => {
    const lines = comparisonLines(typical, noIntervals, options);
    expect(lines[1]).not.toContain('interval');
    expect(lines.every((line) => displayWidth(line) <= options.width)).toBe(true);
  });
});

describe('verdict', () => {
  it('says faster or slower, dearer or cheaper, better or worse', () => {
    expect(sentence(typical)).toBe(
      'hedged is 38 % faster on mean latency at +61 % cost a request; success +2.1 points',
    );
    const worse = compare(metrics(100, 1, 200), metrics(107.25, 0.5, 190), { latencyImprovementPct: 7.25 });
    expect(sentence(worse)).toBe(
      'hedged is 7.3 % slower on mean latency at -50 % cost a request; success -5.0 points',
    );
  });

  it('does not call a difference that chance explains', () => {
    const chance: Intervals = { ...noIntervals, meanInterval: () => [-20, 5] };
    expect(sentence(typical, chance)).toBe(
      'hedged is not clearly faster or slower than control on mean latency (-38 %, within chance) at +61 % cost a request; success +2.1 points',
    );
  });

  it('says what is equal, and keeps silent on what is not known', () => {
    const same = metrics(100, 1, 200);
    expect(sentence(compare(same, same, { latencyImprovementPct: 0 }))).toBe(
      'hedged is not clearly faster or slower than control on mean latency at the same cost a request; success the same',
    );
    expect(sentence(compare(same, nothing, { latencyImprovementPct: null }))).toBe(
      'hedged and control have no latency in common',
    );
  });

  it('asks for intervals of treatment minus baseline', () => {
    const asked: unknown[] = [];
    sentence(typical, {
      meanInterval: (x, y) => {
        asked.push([x.mean, y.mean]);
        return null;
      },
      proportionInterval: (x, y) => {
        asked.push([x, y]);
        return null;
      },
    });
    expect(asked).toEqual([
      [318.2, 516.52],
      [
        { successes: 197.2, n: 200 },
        { successes: 193, n: 200 },
      ],
    ]);
  });

  it('refuses a comparison without the metrics it names', () => {
    expect(() => sentence({ ...typical, experiments: [] })).toThrow(RangeError);
  });
});

describe('the live view', () => {
  const row = (latencyMs: number, success = true) => ({
    event: 'req_llm.request.stop',
    latencyMs,
    costUsd: 0.001,
    success,
  });
  const arms: LiveArm[] = [
    {
      name: 'control',
      done: 3,
      target: 10,
      streaming: streamingOf([row(100), row(200), row(300, false)]),
      trend: [null, 100, 400],
    },
    { name: 'hedged', done: 2, target: 10, streaming: streamingOf([row(90), row(110)]), trend: [100, 100] },
  ];

  it('shows progress and both arms', () => {
    expect(liveLines(arms, 2000, options).join('\n')).toBe(
      [
        '  questions  ━━━━━━━━──────────────────────────   5/20   25 %  2.5/s  ETA 6.0 s',
        '',
        '                              control     hedged',
        '  requests      done             3/10       2/10',
        '                rate, 1/s         1.5        1.0',
        '                success, %      66.67     100.00',
        '  latency, ms   mean            200.0      100.0',
        '                p50             200.0      110.0',
        '                p95             300.0      110.0',
        '                p99             300.0      110.0',
        '                recent             ▃█         ▃▃',
        '  cost, USD     total        0.003000   0.002000',
      ].join('\n'),
    );
  });

  it('has something to show before anything happened', () => {
    const before: LiveArm = { name: 'control', done: 0, target: 10, streaming: streamingOf([]), trend: [] };
    expect(liveLines([before], 0, options).join('\n')).toContain('0/10');
  });

  it('fits in one line for a log', () => {
    expect(progressLogLine(arms, 61_000)).toBe(
      '1 min 1 s: control 3/10, mean 200.0 ms · hedged 2/10, mean 100.0 ms',
    );
  });
});

describe('LatencyTrend', () => {
  it('gives the mean of what came between two looks', () => {
    const trend = new LatencyTrend();
    trend.observe({ count: 0, sum: 0 });
    trend.observe({ count: 2, sum: 300 });
    trend.observe({ count: 2, sum: 300 });
    trend.observe({ count: 3, sum: 310 });
    expect(trend.means).toEqual([null, 150, null, 10]);
    for (let i = 0; i < 100; i++) trend.observe({ count: 4 + i, sum: 310 });
    expect(trend.means).toHaveLength(12);
  });
});

describe('filesLines', () => {
  it('gives path, rows and bytes', () => {
    expect(filesLines([{ path: 'exports/a.csv', rows: 1200, bytes: 34_567 }], options)).toEqual([
      '  path             rows    bytes',
      '  exports/a.csv   1,200   34,567',
    ]);
  });
});
