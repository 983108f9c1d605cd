/** Samples that both arms have, as pairs. */

import { describe, expect, it } from 'vitest';
import { compareArms } from '../../../src/analysis/compare/compare.js';
import type { SamplesById } from '../../../src/analysis/compare/samples.js';
import type { CompareOptions } from '../../../src/analysis/types.js';
import { pairedTTest, welchTTest } from '../../../src/stats/t-tests.js';
import { seededNormal } from '../../support/numeric.js';
import { type ArmSpec, armOf } from './support.js';

const SEED = 77;

/** One event per sample, with the sample's value as latency and its outcome. */
function samplesOf(values: ReadonlyMap<string, number>, outcomes?: ReadonlyMap<string, number>): ArmSpec {
  const latencyMs = Float64Array.from(values.values());
  const unknown = new Float64Array(values.size).fill(Number.NaN);
  const successRate =
    outcomes === undefined ? unknown : Float64Array.from(values.keys(), (id) => outcomes.get(id)!);
  const bySampleId: SamplesById = {
    ids: [...values.keys()],
    latencyMs,
    costUsd: unknown,
    tokens: unknown,
    successRate,
    events: values.size,
  };
  const successes = outcomes === undefined ? 0 : successRate.filter((rate) => rate === 1).length;
  return { latencyMs, bySampleId, successes, decided: outcomes === undefined ? 0 : values.size };
}

const treatmentOf = (old: ArmSpec, now: ArmSpec, options?: CompareOptions) =>
  compareArms([armOf('old', old), armOf('new', now)], options).treatments[0]!;

/** Questions of very different difficulty, each answered a little faster in the second arm. */
function questions(count: number, from = 0) {
  const normal = seededNormal(SEED);
  const difficulty = Array.from({ length: count }, () => 200 * Math.exp(normal()));
  const old = new Map(difficulty.map((ms, i) => [`q${from + i}`, ms + normal()]));
  const now = new Map(difficulty.map((ms, i) => [`q${from + i}`, ms - 1 + normal()]));
  return { old, now };
}

describe('pairs', () => {
  const { old, now } = questions(60);
  const [x, y] = [now, old].map((values) => Float64Array.from(values.values())) as [
    Float64Array,
    Float64Array,
  ];

  it('show what the spread between samples hides', () => {
    const { metrics, pairing } = treatmentOf(samplesOf(old), samplesOf(now));
    const { latencyMean } = metrics;
    const test = pairedTTest(x, y);
    expect(pairing).toEqual({
      used: true,
      pairs: 60,
      unpaired: { baseline: 0, treatment: 0 },
      reason: '100 % of the samples are in both arms',
    });
    expect(latencyMean).toMatchObject({
      pValue: test.pValue,
      confidenceInterval: test.confidenceInterval,
      significant: true,
      direction: 'better',
      effectSize: { name: 'cohensDz' },
      baseline: { n: 60 },
    });
    expect(welchTTest(x, y).pValue).toBeGreaterThan(0.5);
    const { latencyMean: unpaired } = treatmentOf(samplesOf(old), samplesOf(now), { paired: false }).metrics;
    expect(unpaired).toMatchObject({ significant: false, effectSize: { name: 'hedgesG' } });
  });

  it('are told by their signs, and by an exact test of those', () => {
    const { latencyMean } = treatmentOf(samplesOf(old), samplesOf(now)).metrics;
    const higher = x.filter((value, i) => value > y[i]!).length;
    expect(latencyMean!.pairs).toEqual({ higher, lower: 60 - higher, equal: 0 });
    // 2 · P(X ≤ higher) of 60 fair coins, summed plainly.
    let term = 2 ** -60;
    let tail = 0;
    for (let k = 0; k <= higher; k++) {
      tail += term;
      term *= (60 - k) / (k + 1);
    }
    expect(latencyMean!.tests[1]).toMatchObject({ method: 'sign test, exact', statistic: higher });
    expect(latencyMean!.tests[1]!.pValue! / (2 * tail)).toBeCloseTo(1, 10);
  });

  it('do not depend on the order of the samples', () => {
    const shuffled = new Map([...now].reverse());
    const [straight, turned] = [now, shuffled].map(
      (values) => treatmentOf(samplesOf(old), samplesOf(values)).metrics.latencyMean!,
    );
    expect(turned!.difference).toBeCloseTo(straight!.difference!, 10);
    expect(turned!.pairs).toEqual(straight!.pairs);
  });

  it('are used when most samples are shared, and those that are not are counted', () => {
    const extra = new Map([...now].slice(5)).set('other', 100);
    const { pairing, warnings, metrics } = treatmentOf(samplesOf(old), samplesOf(extra));
    expect(pairing).toMatchObject({ used: true, pairs: 55, unpaired: { baseline: 5, treatment: 1 } });
    expect(warnings.map(({ code }) => code)).toContain('unpairedSamples');
    expect(metrics.latencyMean!.baseline.n).toBe(55);
    const half = new Map([...now].slice(30));
    expect(treatmentOf(samplesOf(old), samplesOf(half)).pairing).toMatchObject({
      used: false,
      pairs: 30,
      reason: '50 % of the samples are in both arms',
    });
    expect(treatmentOf(samplesOf(old), samplesOf(half), { paired: true }).pairing.used).toBe(true);
  });

  it('are not used where most events say nothing of their sample', () => {
    const sparse = { ...samplesOf(old), events: 600 };
    expect(treatmentOf(sparse, samplesOf(now)).pairing).toMatchObject({
      used: false,
      reason: 'only 10 % of an arm’s events carry a sampleId',
    });
  });

  it('that are asked for and are not there leave nothing to test', () => {
    const elsewhere = questions(60, 1000).now;
    const { metrics, pairing } = treatmentOf(samplesOf(old), samplesOf(elsewhere), { paired: true });
    expect(pairing).toMatchObject({ used: true, pairs: 0 });
    expect(metrics.latencyMean).toMatchObject({
      pValue: null,
      difference: null,
      reason: 'no sample has a value in both arms',
    });
    expect(treatmentOf({ latencyMs: [1, 2] }, { latencyMs: [2, 3] }, { paired: true }).pairing.pairs).toBe(0);
  });

  it('of which one side lacks the value do not count', () => {
    const gaps = samplesOf(now);
    (gaps.bySampleId as SamplesById).latencyMs[3] = Number.NaN;
    expect(treatmentOf(samplesOf(old), gaps).metrics.latencyMean!.treatment.n).toBe(59);
  });

  it('of zero or one differences have no test', () => {
    const one = treatmentOf(samplesOf(new Map([['a', 1]])), samplesOf(new Map([['a', 2]])), { paired: true });
    expect(one.metrics.latencyMean).toMatchObject({ difference: 1, pValue: null, confidenceInterval: null });
    const same = treatmentOf(samplesOf(old), samplesOf(old));
    expect(same.metrics.latencyMean).toMatchObject({ difference: 0, pValue: null, pairs: { equal: 60 } });
  });

  it('of outcomes have the published p-value', () => {
    // raphaelvallat/pingouin @ 14994d6, tests/test_contingency.py, there from R's package exact2x2: 12 right in both, 40
    // only by Y, 8 only by X, 20 in neither.
    const ids = Array.from({ length: 80 }, (_, i) => `q${i}`);
    const outcomes = (isRight: (i: number) => boolean) =>
      new Map(ids.map((id, i) => [id, Number(isRight(i))]));
    const [x, y] = [outcomes((i) => i < 12 || i >= 72), outcomes((i) => i < 52)];
    const { successRate } = treatmentOf(samplesOf(x, x), samplesOf(y, y)).metrics;
    expect(successRate!.pairs).toMatchObject({ higher: 40, lower: 8 });
    expect(Math.abs(successRate!.pValue! - 3.305e-6)).toBeLessThan(5e-10);
  });

  it('of outcomes are judged by those that differ', () => {
    const ids = Array.from({ length: 100 }, (_, i) => `q${i}`);
    const values = new Map(ids.map((id, i) => [id, i]));
    // 80 right in both, 12 only in the treatment, 2 only in the baseline, 6 in neither.
    const before = new Map(ids.map((id, i) => [id, i < 82 ? 1 : 0]));
    const after = new Map(ids.map((id, i) => [id, i < 80 || (i >= 82 && i < 94) ? 1 : 0]));
    const { successRate } = treatmentOf(samplesOf(values, before), samplesOf(values, after)).metrics;
    // 2 · (1 + 14 + 91) / 2^14.
    expect(successRate!.pValue).toBeCloseTo(212 / 16384, 12);
    expect(successRate).toMatchObject({ pairs: { higher: 12, lower: 2, equal: 86 } });
    expect(successRate!.tests[0]).toMatchObject({ method: 'McNemar exact test', statistic: 12 });
    expect(successRate!.difference).toBeCloseTo(0.1, 12);
    // Bonett & Price: 13/102 − 3/102 ∓ z·√((16/102 − (10/102)²)/102).
    const margin = 1.959963984540054 * Math.sqrt((16 / 102 - (10 / 102) ** 2) / 102);
    expect(successRate!.confidenceInterval![0]).toBeCloseTo(10 / 102 - margin, 12);
    expect(successRate!.confidenceInterval![1]).toBeCloseTo(10 / 102 + margin, 12);
  });

  it('of success rates, where samples have several events, are judged by their mean difference', () => {
    const values = new Map(Array.from({ length: 40 }, (_, i) => [`q${i}`, i]));
    const rates = (shift: number) => new Map([...values].map(([id, i]) => [id, ((i % 5) + shift) / 10]));
    const spec = (shift: number) => ({
      ...samplesOf(values, rates(shift)),
      decided: 400,
      successes: 200,
      events: 40,
    });
    const { successRate } = treatmentOf(spec(0), spec(2)).metrics;
    expect(successRate!.tests.map(({ method }) => method)).toEqual(['paired t-test', 'sign test, exact']);
    expect(successRate!.difference).toBeCloseTo(0.2, 12);
  });
});
