/** The statistics of a comparison, against direct calls of the tests and against laws that must hold. */

import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { compareArms } from '../../../src/analysis/compare/compare.js';
import { METRIC_NAMES } from '../../../src/analysis/compare/outcomes.js';
import type { CompareOptions, Comparison, MetricComparison } from '../../../src/analysis/types.js';
import { fisherExact } from '../../../src/stats/contingency.js';
import { describe as describeSample } from '../../../src/stats/describe.js';
import { cliffsDelta, hedgesG } from '../../../src/stats/effect-sizes.js';
import { adjustPValues } from '../../../src/stats/multiplicity.js';
import { proportionPower, tTestPower } from '../../../src/stats/power.js';
import { twoProportionZ, wilsonInterval } from '../../../src/stats/proportions.js';
import { mannWhitneyU } from '../../../src/stats/rank-tests.js';
import { skewCorrectedTTest } from '../../../src/stats/skewed.js';
import { welchTTest } from '../../../src/stats/t-tests.js';
import { describeWithFixture } from '../../support/fixtures.js';
import { expectInterval, expectRelative } from '../../support/numeric.js';
import { type ArmSpec, armOf, logNormal, numbersIn } from './support.js';

const SEED = 20_260_101;

/** All five metrics of two arms. */
function metricsOf(old: ArmSpec, now: ArmSpec, options?: CompareOptions) {
  const { treatments } = compareArms([armOf('old', old), armOf('new', now)], options);
  return treatments[0]!.metrics as Required<(typeof treatments)[0]['metrics']>;
}

interface ExactT {
  t: number;
  df: number;
  p_two_sided: number;
  mean_diff: number;
  'ci_0.95': [number, number];
}
interface TwoSample {
  cases: {
    name: string;
    x: number[];
    y: number[];
    t_exact: { welch?: ExactT };
    rank_exact?: { U1: number; cliffs_delta_x_minus_y: number };
  }[];
}

describeWithFixture<TwoSample>('stats/two_sample.json', ({ cases }) => {
  it.each(cases)('$name: latency agrees with the 50-digit answers', ({ x, y, t_exact, rank_exact }) => {
    const { latencyMean } = metricsOf({ latencyMs: y }, { latencyMs: x }, { adjust: 'none' });
    const [welch, rank] = latencyMean.tests;
    if (t_exact.welch === undefined) {
      expect(latencyMean).toMatchObject({ pValue: null, confidenceInterval: null, significant: false });
      expect(latencyMean.reason).toBeTypeOf('string');
    } else {
      expectRelative(welch!.statistic, t_exact.welch.t, 1e-10, 't');
      expectRelative(welch!.df, t_exact.welch.df, 1e-10, 'df');
      expectRelative(latencyMean.difference, t_exact.welch.mean_diff, 1e-10, 'difference');
      // Where the arms' sizes differ and their values are skewed, p and interval are corrected for that.
      const corrected = welch!.method.includes('Hall') ? skewCorrectedTTest(x, y) : null;
      expectRelative(latencyMean.pValue, corrected?.pValue ?? t_exact.welch.p_two_sided, 1e-8, 'p');
      const interval = corrected?.confidenceInterval ?? t_exact.welch['ci_0.95'];
      expectInterval(latencyMean.confidenceInterval, interval, 1e-9);
    }
    if (rank_exact !== undefined && rank!.effectSize !== null) {
      expect(rank!.statistic).toBe(rank_exact.U1);
      expect(rank!.effectSize.value).toBeCloseTo(rank_exact.cliffs_delta_x_minus_y, 12);
    }
  });
});

interface Proportions {
  tables: {
    table: [[number, number], [number, number]];
    expected: {
      two_prop_z_pooled: { z: number; p: number };
      diff_p1_minus_p2: number;
      newcombe_ci95_diff_statsmodels: [number, number];
      fisher: { p_two_sided: number };
    };
  }[];
}

describeWithFixture<Proportions>('stats/proportions.json', ({ tables }) => {
  it.each(tables.map((entry) => ({ text: JSON.stringify(entry.table), ...entry })))(
    '$text: success agrees with the reference',
    ({ table: [[a, b], [c, d]], expected }) => {
      const { successRate } = metricsOf(
        { successes: c, decided: c + d },
        { successes: a, decided: a + b },
        { adjust: 'none' },
      );
      expect(successRate.difference).toBeCloseTo(expected.diff_p1_minus_p2, 12);
      expectInterval(successRate.confidenceInterval, expected.newcombe_ci95_diff_statsmodels, 1e-9);
      if (successRate.pValue === null) expect(successRate.reason).toBeTypeOf('string');
      else {
        const exact = successRate.tests[0]!.method === 'Fisher exact test';
        const p = exact
          ? fisherExact([
              [a, b],
              [c, d],
            ]).pValue
          : twoProportionZ(rate(a, b), rate(c, d)).pValue!;
        expectRelative(successRate.pValue, p, 1e-12, 'p');
      }
    },
  );

  const rate = (successes: number, failures: number) => ({ successes, n: successes + failures });
});

describe('compareArms', () => {
  const old = logNormal(300, 100, SEED);
  const now = logNormal(250, 85, SEED + 1);
  const costs = [logNormal(300, 0.002, SEED + 2), logNormal(250, 0.002, SEED + 3)] as const;
  const arms: [ArmSpec, ArmSpec] = [
    { latencyMs: old, costUsd: costs[0], tokens: old, successes: 290, decided: 300 },
    { latencyMs: now, costUsd: costs[1], tokens: now, successes: 230, decided: 250 },
  ];
  const found = metricsOf(...arms);

  it('gives of each metric what the tests give', () => {
    const { latencyMean, latencyP95, costMean, successRate } = found;
    const welch = welchTTest(now, old);
    expect(latencyMean).toMatchObject({ metric: 'latencyMean', unit: 'ms' });
    expectRelative(latencyMean.pValue, welch.pValue!, 1e-12, 'p');
    expectInterval(latencyMean.confidenceInterval, welch.confidenceInterval!, 1e-12);
    expectRelative(latencyMean.effectSize!.value, hedgesG(now, old).estimate!, 1e-12, 'g');
    const rank = mannWhitneyU(now, old);
    expect(latencyMean.tests[1]).toMatchObject({ method: rank.method, statistic: rank.statistic });
    expectRelative(latencyMean.tests[1]!.pValue, rank.pValue!, 1e-12, 'rank p');
    expectRelative(latencyMean.tests[1]!.effectSize!.value, cliffsDelta(now, old).estimate!, 1e-12, 'delta');
    const [a, b] = [describeSample(old), describeSample(now)];
    expect(latencyMean.baseline).toMatchObject({ n: 300, estimate: a.mean });
    expect(latencyMean.treatment).toMatchObject({ n: 250, estimate: b.mean });
    expectRelative(latencyMean.relativePct, ((b.mean! - a.mean!) / a.mean!) * 100, 1e-12, 'relative');
    const stdDev = Math.sqrt((a.variance! + b.variance!) / 2);
    const planned = tTestPower({ delta: b.mean! - a.mean!, stdDev, power: 0.8 });
    expect(latencyMean.requiredN).toBe(planned.nCeiling);
    expectRelative(costMean.pValue, welchTTest(costs[1], costs[0]).pValue!, 1e-12, 'cost p');
    expect(latencyP95.baseline.estimate).toBeCloseTo(
      old.toSorted()[285]! * 0.05 + old.toSorted()[284]! * 0.95,
      9,
    );

    const z = twoProportionZ({ successes: 230, n: 250 }, { successes: 290, n: 300 });
    expect(successRate).toMatchObject({ pValue: z.pValue, confidenceInterval: z.confidenceInterval });
    expect(successRate.baseline.confidenceInterval).toEqual(wilsonInterval(290, 300).confidenceInterval);
    const rates = proportionPower({ p1: 290 / 300, p2: 230 / 250, power: 0.8 });
    expect(successRate.requiredN).toBe(rates.nCeiling);
  });

  it('has an interval around a mean that is the t interval', () => {
    const { latencyMean } = metricsOf({ latencyMs: [1, 2, 3, 4] }, { latencyMs: [1, 2] });
    // t(0.975, 3) = 3.182446305284263, s/√n = √(5/3)/2.
    const margin = (3.182446305284263 * Math.sqrt(5 / 3)) / 2;
    expectInterval(latencyMean.baseline.confidenceInterval, [2.5 - margin, 2.5 + margin], 1e-12);
  });

  it('takes the exact test for success where a count expected is below 5', () => {
    const { successRate } = metricsOf({ successes: 50, decided: 50 }, { successes: 46, decided: 50 });
    expect(successRate.tests.map(({ method }) => method)).toEqual([
      'Fisher exact test',
      'two-proportion z-test, pooled',
    ]);
    expect(successRate.pValue).toBe(
      fisherExact([
        [46, 4],
        [50, 0],
      ]).pValue,
    );
  });

  it('adjusts over all metrics of all treatments, by Holm unless told', () => {
    const three = [armOf('a', arms[0]), armOf('b', arms[1]), armOf('c', arms[0])];
    const primary = (comparison: Comparison, key: 'pValue' | 'adjustedPValue') =>
      comparison.treatments.flatMap(({ metrics }) => Object.values(metrics).map((found) => found[key]!));
    const holm = compareArms(three);
    expect(holm.settings).toMatchObject({ adjust: 'holm', questions: 10, alpha: 0.05 });
    expect(primary(holm, 'adjustedPValue')).toEqual(adjustPValues(primary(holm, 'pValue'), 'holm'));
    const bh = compareArms(three, { adjust: 'bh' });
    expect(primary(bh, 'adjustedPValue')).toEqual(adjustPValues(primary(bh, 'pValue'), 'bh'));
    const none = compareArms(three, { adjust: 'none' });
    expect(primary(none, 'adjustedPValue')).toEqual(primary(none, 'pValue'));
  });

  it('compares the metrics asked for, and counts only those as questions', () => {
    const { treatments, settings } = compareArms([armOf('a', arms[0]), armOf('b', arms[1])], {
      metrics: ['successRate', 'latencyMean'],
    });
    expect(Object.keys(treatments[0]!.metrics)).toEqual(['latencyMean', 'successRate']);
    expect(settings.questions).toBe(2);
  });

  it('gives the same for the same input, which it leaves alone, and other draws for another seed', () => {
    const samples = [armOf('a', arms[0]), armOf('b', arms[1])];
    const before = structuredClone(samples);
    const first = compareArms(structuredClone(samples));
    expect(compareArms(samples)).toEqual(first);
    expect(samples).toEqual(before);
    const intervals = [1, 1, 2].map(
      (seed) => compareArms(samples, { seed }).treatments[0]!.metrics.latencyP95!.confidenceInterval,
    );
    expect(intervals[1]).toEqual(intervals[0]);
    expect(intervals[2]).not.toEqual(intervals[0]);
    expect(structuredClone(first)).toEqual(first);
  });

  it('needs no more than summaries for means, and says what it cannot do with them', () => {
    const [a, b] = [armOf('a', arms[0]), armOf('b', arms[1])];
    const summaries = [a, b].map((arm) => {
      const { n, mean, variance } = describeSample(arm.latencyMs as Float64Array);
      return { ...arm, latencyMs: { n, mean, variance } };
    });
    const { latencyMean, latencyP95 } = compareArms(summaries).treatments[0]!.metrics;
    expectRelative(latencyMean!.pValue, found.latencyMean.pValue!, 1e-9, 'p');
    expect(latencyMean!.tests[1]).toMatchObject({ pValue: null, reason: expect.stringContaining('summary') });
    expect(latencyP95).toMatchObject({ difference: null, reason: expect.stringContaining('summary') });
  });

  it('tells better from worse by what the metric is', () => {
    const low = {
      latencyMs: logNormal(200, 10, 1),
      costUsd: logNormal(200, 1, 2),
      tokens: logNormal(200, 5, 3),
    };
    const high = {
      latencyMs: logNormal(200, 90, 4),
      costUsd: logNormal(200, 9, 5),
      tokens: logNormal(200, 50, 6),
    };
    const directions = (metrics: Record<string, MetricComparison>) =>
      Object.values(metrics).map(({ direction }) => direction);
    const fell = metricsOf(
      { ...high, successes: 200, decided: 200 },
      { ...low, successes: 100, decided: 200 },
    );
    expect(directions(fell)).toEqual(['better', 'better', 'better', 'worse', 'neutral']);
    const rose = metricsOf(
      { ...low, successes: 100, decided: 200 },
      { ...high, successes: 200, decided: 200 },
    );
    expect(directions(rose)).toEqual(['worse', 'worse', 'worse', 'better', 'neutral']);
  });

  it('ranks many values of few kinds as it ranks few', () => {
    const n = 200_000;
    const latencyMs = Float64Array.from({ length: n }, (_, i) => i % 1000);
    const { latencyMean } = metricsOf({ latencyMs }, { latencyMs: latencyMs.map((value) => value + 1) });
    // A cycle of 1…1,000 against one of 0…999: v values below each v, and 999 ties.
    expect(latencyMean.tests[1]!.statistic).toBe(200 ** 2 * (500_500 + 999 / 2));
  });
});

describe('what cannot be said', () => {
  it.each<[string, ArmSpec, ArmSpec]>([
    ['no events', {}, {}],
    ['no events in one arm', {}, { latencyMs: [1, 2, 3], successes: 3, decided: 3 }],
    ['one event an arm', { latencyMs: [1], decided: 1 }, { latencyMs: [2], successes: 1, decided: 1 }],
    ['constants', { latencyMs: Array(80).fill(5) }, { latencyMs: Array(80).fill(6) }],
    ['all ties', { latencyMs: Array(80).fill(5) }, { latencyMs: Array(80).fill(5) }],
    ['all succeeded', { successes: 50, decided: 50 }, { successes: 60, decided: 60 }],
    [
      'NaN and infinities',
      { latencyMs: [Number.NaN, 1, Number.POSITIVE_INFINITY, 2] },
      { latencyMs: [Number.NEGATIVE_INFINITY, Number.NaN] },
    ],
    ['values next to the end of the range', { latencyMs: [1e140, -1e140] }, { latencyMs: [1e-140, 2e-140] }],
    ['beyond it', { latencyMs: [1e308, -1e308, 3] }, { latencyMs: [-1e308, 1e308, 1e-308] }],
  ])('is null with a reason, and no number is other than finite: %s', (_, old, now) => {
    for (const options of [{}, { sequential: true }, { paired: true }] satisfies CompareOptions[]) {
      const comparison = compareArms([armOf('a', old), armOf('b', now)], options);
      for (const [path, value] of numbersIn(comparison.treatments)) {
        expect(Number.isFinite(value), `${path} is ${value}`).toBe(true);
      }
      for (const found of Object.values(comparison.treatments[0]!.metrics)) {
        if (found.pValue === null) expect(found.reason, found.metric).toBeTypeOf('string');
        expect(found.verdict).not.toMatch(/NaN|Infinity|\bundefined\b|\bnull\b/);
      }
      expect(comparison.treatments[0]!.verdict).not.toMatch(/NaN|Infinity|\bundefined\b|\bnull\b/);
    }
  });

  it('leaves out values that are not finite, and keeps the others', () => {
    const { latencyMean } = metricsOf(
      { latencyMs: [Number.NaN, 1, 2, Number.POSITIVE_INFINITY, 3, Number.NEGATIVE_INFINITY] },
      { latencyMs: [2, 3, 4] },
    );
    expect(latencyMean.baseline).toMatchObject({ n: 3, estimate: 2 });
    expect(latencyMean.difference).toBe(1);
  });
});

describe('laws', () => {
  const values = fc.array(fc.double({ min: 0, max: 1e4, noNaN: true }), { minLength: 2, maxLength: 120 });
  const arm = fc.record({
    latencyMs: values,
    costUsd: values,
    tokens: values,
    decided: fc.nat(200),
    share: fc.double({ min: 0, max: 1, noNaN: true }),
  });
  const specOf = ({ share, ...rest }: { share: number; decided: number } & ArmSpec): ArmSpec => ({
    ...rest,
    successes: Math.round(share * rest.decided),
  });
  const quick = { resamples: 200, metrics: METRIC_NAMES } satisfies CompareOptions;
  const close = (actual: number | null, expected: number | null, scale = 1) => {
    if (actual === null || expected === null) expect(actual).toBe(expected);
    else expect(Math.abs(actual - expected)).toBeLessThanOrEqual(1e-9 * (scale + Math.abs(expected)));
  };
  const negated = (value: number | null) => (value === null ? null : -value);

  it('swapping the arms flips every sign and no p-value', () => {
    fc.assert(
      fc.property(arm, arm, (a, b) => {
        const [there, back] = [
          metricsOf(specOf(a), specOf(b), quick),
          metricsOf(specOf(b), specOf(a), quick),
        ];
        for (const metric of METRIC_NAMES) {
          const [x, y] = [there[metric], back[metric]];
          close(x.difference, negated(y.difference));
          expect([x.baseline.estimate, x.treatment.estimate]).toEqual([
            y.treatment.estimate,
            y.baseline.estimate,
          ]);
          // The bootstrap draws from other streams then.
          if (metric === 'latencyP95') continue;
          close(x.pValue, y.pValue);
          close(x.effectSize?.value ?? null, negated(y.effectSize?.value ?? null));
          close(x.confidenceInterval?.[0] ?? null, negated(y.confidenceInterval?.[1] ?? null), 1e4);
          expect(x.requiredN).toBe(y.requiredN);
        }
      }),
      { seed: SEED, numRuns: 60 },
    );
  });

  it('arms that are the same differ by 0, and nothing is significant', () => {
    fc.assert(
      fc.property(arm, (a) => {
        for (const found of Object.values(metricsOf(specOf(a), specOf(a), quick))) {
          expect(found.significant, found.metric).toBe(false);
          if (found.difference !== null) expect(Math.abs(found.difference)).toBe(0);
          if (found.pValue !== null && found.metric !== 'latencyP95') expect(found.pValue).toBeCloseTo(1, 12);
        }
      }),
      { seed: SEED, numRuns: 60 },
    );
  });

  it('adding a constant to both arms changes no difference, interval, effect or p-value', () => {
    const shifted = (spec: ArmSpec) => ({ ...spec, latencyMs: Array.from(spec.latencyMs!, (v) => v + 1000) });
    const spread = fc.array(fc.integer({ min: 0, max: 1000 }), { minLength: 75, maxLength: 120 });
    fc.assert(
      fc.property(spread, spread, (x, y) => {
        const [a, b] = [{ latencyMs: x }, { latencyMs: y }];
        const [plain, moved] = [metricsOf(a, b, quick), metricsOf(shifted(a), shifted(b), quick)];
        for (const metric of ['latencyMean', 'latencyP95'] as const) {
          const [before, after] = [plain[metric], moved[metric]];
          // How wide a pile at the greatest may be goes with the values: what was cut is another matter.
          fc.pre(before.censored === undefined && after.censored === undefined);
          close(after.difference, before.difference);
          close(after.pValue, before.pValue);
          close(after.confidenceInterval?.[0] ?? null, before.confidenceInterval?.[0] ?? null, 1e3);
          close(after.effectSize?.value ?? null, before.effectSize?.value ?? null);
        }
      }),
      { seed: SEED, numRuns: 60 },
    );
  });

  it('an adjusted p-value is not below its own, and decides', () => {
    fc.assert(
      fc.property(
        arm,
        arm,
        fc.constantFrom('holm', 'bh', 'by', 'bonferroni', 'hochberg', 'none'),
        (a, b, adjust) => {
          for (const found of Object.values(metricsOf(specOf(a), specOf(b), { ...quick, adjust }))) {
            expect(found.adjustedPValue === null).toBe(found.pValue === null);
            if (found.adjustedPValue === null) continue;
            expect(found.adjustedPValue).toBeGreaterThanOrEqual(found.pValue!);
            expect(found.significant).toBe(found.adjustedPValue <= 0.05);
            expect(found.direction === 'unclear').toBe(!found.significant);
          }
        },
      ),
      { seed: SEED, numRuns: 60 },
    );
  });
});
