/** What a reader is warned of, and what not. */

import { describe, expect, it } from 'vitest';
import { compareArms } from '../../../src/analysis/compare/compare.js';
import type { CompareOptions, WarningCode } from '../../../src/analysis/types.js';
import { type ArmSpec, armOf, logNormal } from './support.js';

const warningsOf = (old: ArmSpec, now: ArmSpec, options?: CompareOptions) =>
  compareArms([armOf('old', old), armOf('new', now)], options).treatments[0]!.warnings;
const codes = (...args: Parameters<typeof warningsOf>) => warningsOf(...args).map(({ code }) => code);

/** Nothing to complain about. */
const clean = { latencyMs: logNormal(500, 100, 1) };
const faster = { latencyMs: logNormal(500, 50, 2) };
/** 500 values, all but one of them small. */
const oneLarge = Float64Array.from({ length: 500 }, (_, i) => (i === 0 ? 1e6 : 100 + (i % 10)));
const latency: CompareOptions = { metrics: ['latencyMean'] };

describe('warnings', () => {
  it('are none where there is nothing to warn of', () => {
    expect(warningsOf(clean, faster)).toEqual([]);
  });

  it.each<[WarningCode, string, ArmSpec, ArmSpec, CompareOptions?]>([
    ['noEvents', 'no events in old and new', {}, {}],
    ['noEvents', 'no events in new', clean, {}],
    [
      'lostEvents',
      'new has lost 9,228 events (12 in files that are damaged or missing), and has 500 to compare',
      clean,
      { ...faster, lost: { dropped: 9_228, damaged: 12 } },
    ],
    ['lostEvents', 'old has lost 3 events (3 in', { lost: { dropped: 3, damaged: 3 } }, clean],
    [
      'missingMetric',
      'old has nothing to tell success rate from, new has',
      clean,
      { ...faster, successes: 400, decided: 500 },
    ],
    [
      'tooFewSamples',
      'fewer than 30 observations in an arm: mean latency 29',
      { latencyMs: logNormal(29, 100, 1) },
      { latencyMs: logNormal(35, 100, 1) },
      latency,
    ],
    ['zeroVariance', 'all 500 latencies of old are equal', { latencyMs: Array(500).fill(3) }, faster],
    [
      'manyTies',
      '300 of the 500 latencies of old are one value',
      { latencyMs: Float64Array.from({ length: 500 }, (_, i) => (i < 300 ? 50 : i)) },
      faster,
    ],
    ['heavyTail', 'the latencies of new have a long tail (skewness 22.3)', clean, { latencyMs: oneLarge }],
    [
      'sampleRatioMismatch',
      '500 events in old and 650 in new do not fit 1 : 1 (chi-square 19.6, p < 0.001)',
      clean,
      { latencyMs: logNormal(650, 50, 2) },
    ],
    [
      'littleTimeOverlap',
      'old and new share 10 % of the shorter one’s time',
      { ...clean, timeRange: [0, 100e6] },
      { ...faster, timeRange: [90e6, 190e6] },
    ],
    [
      'unequalTimeSpans',
      'old spans 100 s, new 250 s',
      { ...clean, timeRange: [0, 100e6] },
      { ...faster, timeRange: [0, 250e6] },
    ],
    [
      'unequalRequests',
      'mean cost is that of an event, and a request has 1.00 events with costs in old and 1.50 in new: compare totals, or pairs by sampleId',
      { ...clean, costUsd: clean.latencyMs, decided: 500 },
      { ...faster, costUsd: [...Array(750).keys()], decided: 500, events: 500 },
    ],
    [
      'repeatedSamples',
      'old has 50.0 events per sample, counted as if they were independent',
      {
        ...clean,
        bySampleId: {
          ids: Array.from({ length: 10 }, (_, i) => `${i}`),
          latencyMs: new Float64Array(10),
          costUsd: new Float64Array(10),
          tokens: new Float64Array(10),
          successRate: new Float64Array(10),
          events: 500,
        },
      },
      faster,
    ],
  ])('%s: %s', (code, message, old, now, options) => {
    const found = warningsOf(old, now, options).filter((warning) => warning.code === code);
    expect(found).toHaveLength(1);
    expect(found[0]!.message).toContain(message);
  });

  it('judge arm sizes by the ratio that was planned', () => {
    const larger = { latencyMs: logNormal(1000, 50, 2) };
    expect(codes(clean, larger)).toEqual(['sampleRatioMismatch']);
    expect(codes(clean, larger, { expectedRatio: [1, 2] })).toEqual([]);
    expect(codes(clean, larger, { expectedRatio: [50, 100] })).toEqual([]);
    expect(codes(clean, faster, { expectedRatio: [1, 2] })).toEqual(['sampleRatioMismatch']);
  });

  it('do not take skewed values for a danger where there are enough of them', () => {
    const tail = (n: number) => ({ latencyMs: logNormal(n, 100, 3, 1) });
    expect(codes(tail(100), tail(100), latency)).toContain('heavyTail');
    expect(codes(tail(50_000), tail(50_000), latency)).toEqual([]);
  });
});
