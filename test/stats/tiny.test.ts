/** Values whose squares leave the range of a double. */
import { describe, expect, it } from 'vitest';
import {
  anova,
  cohensD,
  hedgesG,
  pairedTTest,
  studentTTest,
  twoProportionZ,
  welchTTest,
} from '../../src/stats/index.js';
import { expectRelative } from '../support/numeric.js';

describe.each([-150, -158, -160, -161, -162, -200, -300])('values of 1e%d', (exponent) => {
  // A power of two, so that the scaled values are exact.
  const scale = 2 ** Math.round(exponent / Math.log10(2));
  const [x, y] = [
    [1, 2.5, 3, 4.25, 5.5, 7],
    [2, 4, 4.5, 6, 8.25, 9],
  ];
  const tiny = (values: readonly number[]) => values.map((value) => value * scale);

  it.each([
    ['welchTTest', welchTTest],
    ['studentTTest', studentTTest],
    ['pairedTTest', pairedTTest],
  ] as const)('%s gives the p of the values as they are, and estimates in their unit', (_, test) => {
    const [expected, actual] = [test(x!, y!), test(tiny(x!), tiny(y!))];
    expectRelative(actual.pValue, expected.pValue!, 1e-12);
    expectRelative(actual.statistic, expected.statistic!, 1e-12);
    expectRelative(actual.estimate, expected.estimate * scale, 1e-12);
    expectRelative(actual.confidenceInterval![0], expected.confidenceInterval![0] * scale, 1e-12);
  });

  it('effect sizes and the analysis of variance too', () => {
    expectRelative(hedgesG(tiny(x!), tiny(y!)).estimate, hedgesG(x!, y!).estimate!, 1e-12);
    expectRelative(cohensD(tiny(x!), tiny(y!)).estimate, cohensD(x!, y!).estimate!, 1e-12);
    expectRelative(anova([tiny(x!), tiny(y!)]).pValue, anova([x!, y!]).pValue!, 1e-12);
  });
});

it('the Wald interval of a difference of proportions is one of differences of proportions', () => {
  // R 4.2: prop.test(c(1, 1), c(4, 1), correct = FALSE)$conf.int.
  const [low, high] = twoProportionZ({ successes: 1, n: 4 }, { successes: 1, n: 1 }).waldInterval!;
  expect(low).toBe(-1);
  expect(high.toFixed(4)).toBe('-0.3257');
});
