/** Verdicts, word by word. */

import { describe, expect, it } from 'vitest';
import { compareArms } from '../../../src/analysis/compare/compare.js';
import type { CompareOptions } from '../../../src/analysis/types.js';
import { type ArmSpec, armOf } from './support.js';

/** Evenly spread around a mean, in no order: no randomness to explain. */
const around = (mean: number, spread: number, n = 400) =>
  Float64Array.from({ length: n }, (_, i) => {
    const place = (i * 163) % n;
    return mean + spread * (((2 * place + 1) / n - 1) * Math.sqrt(3));
  });

const treatmentOf = (old: ArmSpec, now: ArmSpec, options: CompareOptions = {}) =>
  compareArms([armOf('control', old), armOf('short prompt', now)], options).treatments[0]!;

describe('verdicts', () => {
  const control = { latencyMs: around(100, 20), successes: 380, decided: 400 };
  const latency: CompareOptions = { metrics: ['latencyMean'] };

  it('tell what differs and by how much, and what is not shown', () => {
    const now = { latencyMs: around(80, 20), costUsd: around(0.002, 0.0001), successes: 384, decided: 400 };
    const { verdict, metrics } = treatmentOf({ ...control, costUsd: around(0.002, 0.0001) }, now);
    expect(metrics.latencyMean!.verdict).toBe(
      'Mean latency was lower: 80.0 ms with short prompt against 100.0 ms with control (-20.0 ms, -20 %; 95 % interval -22.8 to -17.2 ms; adjusted p < 0.001).',
    );
    expect(metrics.successRate!.verdict).toBe(
      'No difference in success rate is shown: 96.00 % with short prompt against 95.00 % with control (+1.00 percentage points; 95 % interval -1.96 to +4.01 percentage points; adjusted p = 0.99).',
    );
    expect(metrics.costMean!.verdict).toBe(
      'No difference in mean cost is shown: $0.0020000 with short prompt against $0.0020000 with control ($0.0000000, 0.0 %; 95 % interval -$0.0000139 to +$0.0000139; adjusted p = 1.00).',
    );
    expect(metrics.tokensMean!.verdict).toBe(
      'No comparison of mean token count: neither arm has token counts.',
    );
    expect(verdict).toBe(
      'Compared with control, short prompt had a lower mean latency (-20.0 ms, -20 %; 95 % interval -22.8 to -17.2 ms) and a lower p95 latency (-20.0 ms, -15 %; 95 % interval -22.1 to -17.9 ms). ' +
        'No difference is shown in mean cost ($0.0000000, 0.0 %; 95 % interval -$0.0000139 to +$0.0000139) or success rate (+1.00 percentage points; 95 % interval -1.96 to +4.01 percentage points).',
    );
  });

  it('say that a difference is not shown, never that there is none', () => {
    const { verdict } = treatmentOf(control, { latencyMs: around(101, 20) }, latency);
    expect(verdict).toBe(
      'At the 5 % level no difference between short prompt and control is shown in mean latency (+1.00 ms, +1.0 %; 95 % interval -1.78 to +3.78 ms).',
    );
  });

  it('say that several questions were asked where one alone would have been answered', () => {
    const { metrics, verdict } = treatmentOf(
      { ...control, costUsd: around(1, 0.1) },
      { ...control, latencyMs: around(103, 20), costUsd: around(1, 0.1) },
    );
    expect(metrics.latencyMean!.verdict).toBe(
      'No difference in mean latency is shown: 103.00 ms with short prompt against 100.00 ms with control (+3.00 ms, +3.0 %; 95 % interval +0.22 to +5.78 ms; adjusted p = 0.10). Asked alone, this would have been significant; as one of 4 questions it is not.',
    );
    expect(verdict).toContain(
      'Asked alone, a difference in mean latency would have been significant, which is why its interval excludes 0; as one of 4 questions it is not.',
    );
  });

  it('name what one arm lacks, and what has no spread to judge by', () => {
    const { metrics, verdict } = treatmentOf(
      { costUsd: Array(50).fill(0.01), latencyMs: around(100, 20) },
      { costUsd: Array(50).fill(0.02), successes: 50, decided: 50 },
    );
    expect(metrics.latencyMean!.verdict).toBe(
      'No comparison of mean latency: the treatment has no latencies.',
    );
    expect(metrics.costMean!.verdict).toBe(
      'Mean cost was $0.0200 with short prompt against $0.0100 with control. No test: within each arm all costs are equal, so that there is no spread to judge the difference by.',
    );
    expect(verdict).toBe(
      'Not tested: mean latency, p95 latency, mean cost and success rate. To be read with care: the arms’ sizes do not fit the planned ratio, so the arms may differ in more than the treatment; events lack an outcome in one arm more often than in the other, and those may be the worst.',
    );
  });

  it('bring doubts about the arms along', () => {
    const { verdict } = treatmentOf(
      control,
      { latencyMs: around(80, 20, 200), timeRange: [100e6, 200e6] },
      latency,
    );
    expect(verdict).toBe(
      'Compared with control, short prompt had a lower mean latency (-20.0 ms, -20 %; 95 % interval -23.4 to -16.6 ms). ' +
        'To be read with care: the arms’ sizes do not fit the planned ratio, so the arms may differ in more than the treatment; the arms ran at different times, so what changed over time is part of the differences.',
    );
  });

  it('say when they hold at every look', () => {
    const { metrics, verdict } = treatmentOf(control, { latencyMs: around(80, 20) }, { sequential: true });
    expect(metrics.latencyMean!.verdict).toBe(
      'Mean latency was lower: 80.0 ms with short prompt against 100.0 ms with control (-20.0 ms, -20 %; always-valid 95 % interval -24.9 to -15.1 ms; always-valid adjusted p < 0.001).',
    );
    expect(verdict).toContain('p95 latency');
  });

  it('have nothing to say of nothing', () => {
    expect(treatmentOf({}, {}).verdict).toBe('There is nothing to compare short prompt with control by.');
  });

  it('tell arms of one name apart', () => {
    const [a, b] = [armOf('run', control), armOf('run', { latencyMs: around(80, 20) })];
    const verdictOf = (old: object, now: object) =>
      compareArms(
        [
          { ...a, ...old },
          { ...b, ...now },
        ],
        latency,
      ).treatments[0]!.verdict;
    expect(verdictOf({ condition: 'v1' }, { condition: 'v2' })).toContain(
      'Compared with run (v1), run (v2) had',
    );
    expect(verdictOf({ id: '1' }, { id: '2' })).toContain('Compared with run (1), run (2) had');
  });
});
