import { describe, expect, it } from 'vitest';
import type { ComparisonDifferences, Metrics } from '../../../src/analysis/types.js';
import { comparisonLines, type Intervals, verdict } from '../../../src/cli/report/comparison.js';
import { NO_STYLE } from '../../../src/cli/terminal/style.js';
import { displayWidth } from '../../../src/cli/terminal/width.js';
import { metricsOf } from '../support/fake-library.js';
import { plausibleMetrics } from '../support/plausible-metrics.js';

const options = { style: NO_STYLE, width: 80 };
const noIntervals: Intervals = { meanInterval: () => null, proportionInterval: () => null };
const nothing = metricsOf([]);

function compare(
  baseline: Metrics,
  treatment: Metrics,
  change: Partial<ComparisonDifferences['treatments'][0]> = {},
) {
  const comparison: ComparisonDifferences = {
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

const typical = compare(plausibleMetrics(516.52, 0.25, 193), plausibleMetrics(318.2, 0.4025, 197.2));
const sentence = (comparison: ComparisonDifferences, intervals = noIntervals) =>
  verdict(comparison, comparison.treatments[0]!, intervals);

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
    const worse = compare(plausibleMetrics(100, 1, 200), plausibleMetrics(107.25, 0.5, 190), {
      latencyImprovementPct: 7.25,
    });
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
    const same = plausibleMetrics(100, 1, 200);
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
