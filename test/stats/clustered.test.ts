/** Cluster-robust standard errors: published and exact values, and errors as often as stated. */
import { describe, expect, it } from 'vitest';
import {
  clusterEstimate,
  clusteredMean,
  clusteredTest,
  clusterTotals,
  welchTTest,
} from '../../src/stats/index.js';
import { expectRelative, seededNormal, seededUniform } from '../support/numeric.js';
import { expectAtMost, runs, shareOf, TIMEOUT_MS } from '../support/simulated.js';

describe('clusteredMean', () => {
  it('has the published standard error', () => {
    // UKGovernmentBEIS/inspect_ai @ 499e6152e, tests/scorer/test_metric.py:550: 0 to 19, of cluster i % 4.
    const x = Array.from({ length: 20 }, (_, i) => i);
    const found = clusteredMean(
      x,
      x.map((i) => i % 4),
    );
    expect(found.standardError!.toFixed(3)).toBe('0.645');
    expect(found).toMatchObject({ estimate: 9.5, clusters: 4, n: [20] });
    // Clusters of one size: t with one degree of freedom fewer than clusters.
    expectRelative(found.df, 3, 1e-12);
  });

  it('is that of single observations where each is a cluster', () => {
    const normal = seededNormal(3);
    const [x, y] = [12, 30].map((n) => Array.from({ length: n }, normal));
    const single = (values: number[]) =>
      clusterTotals(
        values,
        values.map((_, i) => i),
      );
    const clustered = clusteredTest(single(x!), single(y!));
    const welch = welchTTest(x!, y!);
    for (const key of ['estimate', 'statistic', 'df', 'pValue', 'standardError'] as const) {
      expectRelative(clustered[key], welch[key]!, 1e-10, key);
    }
  });

  it('is that of the matrices that define it', () => {
    const sizes = [1, 2, 3, 7];
    const normal = seededNormal(8);
    const values = sizes.map((size) => Array.from({ length: size }, normal));
    const n = sizes.reduce((sum, size) => sum + size, 0);
    const { estimate, standardError, df } = clusterEstimate({
      of: values.map((cluster) => cluster.reduce((sum, value) => sum + value, 0)),
      per: sizes,
    });
    // Residuals of each cluster, adjusted by (I − H)^−½: only its direction of equal entries is not left alone.
    const adjusted = values.map((cluster, g) => {
      const residual = cluster.reduce((sum, value) => sum + value - estimate!, 0);
      return residual / Math.sqrt(1 - sizes[g]! / n) / n;
    });
    expectRelative(standardError, Math.hypot(...adjusted), 1e-12);
    // The covariance of those, where all observations of a cluster are equal: A V A' by hand.
    const matrix = sizes.map((a, g) =>
      sizes.map((b, h) => {
        const weights = 1 / Math.sqrt((1 - a / n) * (1 - b / n));
        const total = sizes.reduce((sum, size) => sum + size * size, 0);
        return (
          weights * ((g === h ? a * a : 0) - (a / n) * b * b - (b / n) * a * a + ((a * b) / n / n) * total)
        );
      }),
    );
    const trace = matrix.reduce((sum, row, g) => sum + row[g]!, 0);
    const square = matrix.flat().reduce((sum, entry) => sum + entry * entry, 0);
    expectRelative(df, (trace * trace) / square, 1e-10);
  });

  it('says why there is none', () => {
    expect(clusteredMean([1, 2, 3], ['a', 'a', 'a'])).toMatchObject({
      estimate: 2,
      standardError: null,
      reason: expect.stringContaining('fewer than two clusters'),
    });
    expect(() => clusteredMean([1, 2], ['a'])).toThrow('clusters');
    expect(() => clusteredMean([], [])).toThrow('x');
  });
});

describe('clusteredTest errs as often as it says', () => {
  const normal = seededNormal(21);
  const uniform = seededUniform(22);
  /** Sums of clusters whose observations have an intraclass correlation. */
  function arm(sizes: number[], icc: number) {
    const of = sizes.map((size) => size * Math.sqrt(icc) * normal() + Math.sqrt(size * (1 - icc)) * normal());
    return { of, per: sizes };
  }
  const designs: [string, () => number[]][] = [
    ['30 users of 20 requests', () => new Array<number>(30).fill(20)],
    ['5 users of 20', () => new Array<number>(5).fill(20)],
    ['4 users of 5 to 80', () => [5, 10, 20, 80]],
    [
      '30 users, some of them heavy',
      () => Array.from({ length: 30 }, () => Math.min(500, Math.floor(2 * (1 - uniform()) ** (-1 / 1.2)))),
    ],
  ];

  it.each(designs.flatMap(([name, sizes]) => [0, 0.2, 0.6].map((icc) => [name, icc, sizes] as const)))(
    '%s, ICC %d',
    (name, icc, sizes) => {
      const count = runs(400);
      const share = shareOf(count, () => clusteredTest(arm(sizes(), icc), arm(sizes(), icc)).pValue! <= 0.05);
      expectAtMost(share, 0.055, count, name);
    },
    TIMEOUT_MS,
  );

  it('where taking events as independent errs in more than a quarter', () => {
    const count = runs(200);
    const share = shareOf(count, () => {
      const sample = () =>
        Array.from({ length: 30 }, () => {
          const mean = 100 * normal();
          return Array.from({ length: 20 }, () => mean + 200 * normal());
        }).flat();
      return welchTTest(sample(), sample()).pValue! <= 0.05;
    });
    expect(share).toBeGreaterThan(0.25);
  });

  it('and finds what is there: a difference of 1 in clusters of 20, ICC 0.2', () => {
    const count = runs(200);
    const share = shareOf(count, () => {
      const sizes = new Array<number>(40).fill(20);
      const { of, per } = arm(sizes, 0.2);
      return clusteredTest({ of: of.map((sum) => sum + 20 * 0.4), per }, arm(sizes, 0.2)).pValue! <= 0.05;
    });
    // Standard error √(2·(0.2 + 0.8/20)/40) = 0.11: 3.65 of them, found in 95 %.
    expect(share).toBeGreaterThan(0.85);
  });
});
