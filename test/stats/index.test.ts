import { readdirSync, readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { TelemetryError } from '../../src/errors.js';
import * as stats from '../../src/stats/index.js';
import { describeWithFixture } from '../support/fixtures.js';

describe('crucible-telemetry/stats', () => {
  it('exports what the contract names', () => {
    const names = [
      'describe quantile Welford QuantileSketch welchTTest studentTTest pairedTTest mannWhitneyU',
      'kolmogorovSmirnov kruskalWallis anova welchAnova chiSquare fisherExact twoProportionZ wilsonInterval',
      'cohensD hedgesG cliffsDelta pearson spearman bootstrapInterval adjustPValues tTestPower',
      'proportionPower sequentialMeanTest sequentialProportionTest clusteredMean ratioOfMeans cuped',
      'nonInferiority equivalence orderStatisticInterval sequentialQuantileTest anytimeValidLinear passAtK',
      'passHatK cohensKappa krippendorffAlpha detectableEffect',
    ].flatMap((line) => line.split(' '));
    for (const name of names) expect(stats, name).toHaveProperty(name, expect.any(Function));
  });

  it('is pure: it imports its own files and the error classes, and reads no clock', () => {
    for (const file of readdirSync('src/stats')) {
      const source = readFileSync(`src/stats/${file}`, 'utf8');
      for (const [, specifier] of source.matchAll(/from '([^']+)'/g)) {
        expect(specifier, file).toMatch(/^(\.\/[a-z-]+\.js|\.\.\/errors\.js)$/);
      }
      expect(source, file).not.toMatch(/\b(new Date|Date\.|performance\.|process\.|setTimeout|Math\.random)/);
    }
  });
});

type Call = (x: number[], y: number[], options: { alpha?: number }) => unknown;
const TWO_SAMPLE: Record<string, Call> = {
  welchTTest: stats.welchTTest,
  studentTTest: stats.studentTTest,
  pairedTTest: stats.pairedTTest,
  mannWhitneyU: stats.mannWhitneyU,
  kolmogorovSmirnov: stats.kolmogorovSmirnov,
  kruskalWallis: (x, y) => stats.kruskalWallis([x, y]),
  anova: (x, y) => stats.anova([x, y]),
  welchAnova: (x, y) => stats.welchAnova([x, y]),
  cohensD: stats.cohensD,
  hedgesG: stats.hedgesG,
  cliffsDelta: stats.cliffsDelta,
  pearson: stats.pearson,
  spearman: stats.spearman,
  bootstrapInterval: (x, y, options) => stats.bootstrapInterval([x, y], (a, b) => a![0]! - b![0]!, options),
  sequentialMeanTest: stats.sequentialMeanTest,
};
/** These take no level, so none can be out of range. */
const WITHOUT_LEVEL = ['kruskalWallis', 'anova', 'welchAnova'];
/** One observation a side is enough for ranks. */
const FOR_RANKS = ['mannWhitneyU', 'kolmogorovSmirnov', 'kruskalWallis', 'cliffsDelta'];

/** The answer is a typed error, or has no finite p-value and no interval and says why. */
function expectNoNumber(call: () => unknown, what: string): void {
  let result: { pValue?: unknown; confidenceInterval?: unknown; reason?: unknown };
  try {
    result = call() as typeof result;
  } catch (error) {
    expect(error, what).toBeInstanceOf(TelemetryError);
    return;
  }
  expect(result.pValue ?? null, what).toBeNull();
  expect(result.confidenceInterval ?? null, what).toBeNull();
  expect(result.reason, what).toBeTypeOf('string');
}

interface Invalid {
  name: string;
  x?: number[];
  y?: number[];
  alpha?: number;
  table?: number[][];
  successes?: number;
  n?: number;
}

describeWithFixture<{ must_not_yield_a_number_silently: Invalid[] }>('stats/invalid_inputs.json', (file) => {
  for (const { name, x, y, alpha, table, successes, n } of file.must_not_yield_a_number_silently) {
    it(`${name}: no function answers with a number`, () => {
      if (table !== undefined) {
        expectNoNumber(() => stats.chiSquare(table), 'chiSquare');
        expectNoNumber(() => stats.fisherExact(table), 'fisherExact');
      } else if (successes !== undefined) {
        expectNoNumber(() => stats.wilsonInterval(successes, n!), 'wilsonInterval');
        const arm = { successes, n: n! };
        expectNoNumber(() => stats.twoProportionZ(arm, { successes: 1, n: 10 }), 'twoProportionZ');
        expectNoNumber(() => stats.sequentialProportionTest(arm, { successes: 1, n: 10 }), 'sequential');
      } else {
        const options = alpha === undefined ? {} : { alpha };
        for (const [label, call] of Object.entries(TWO_SAMPLE)) {
          if (alpha !== undefined && WITHOUT_LEVEL.includes(label)) continue;
          if (name === 'n1_n1_t_test' && FOR_RANKS.includes(label)) continue;
          expectNoNumber(() => call(x!, y!, options), label);
        }
      }
    });
  }
});
