import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { Welford } from '../../src/stats/moments.js';
import {
  confidenceSequenceHalfWidth,
  type SequentialResult,
  sequentialMeanTest,
  sequentialProportionTest,
} from '../../src/stats/sequential.js';
import { welchTTest } from '../../src/stats/t-tests.js';
import { describeWithFixture } from '../support/fixtures.js';
import { expectInterval, expectRelative, seededNormal, seededUniform } from '../support/numeric.js';
import { expectAtLeast, expectAtMost, runs, shareOf, TIMEOUT_MS } from '../support/simulated.js';

interface SequentialCase {
  name: string;
  difference_type: 'absolute' | 'relative';
  alpha: number;
  sequential_tuning_parameter: number;
  a: { kind: string; n: number; sum: number; mean: number; variance: number };
  b: { kind: string; n: number; sum: number; mean: number; variance: number };
  expected: {
    estimate: number;
    standard_error: number;
    sequential_ci: [number, number];
    sequential_p_value: number;
  };
}
interface Sequential {
  tests: SequentialCase[];
  halfwidth: { s2: number; n: number; tuning: number; alpha: number; two_sided: number; one_sided: number }[];
}

describeWithFixture<Sequential>('confseq/asymptotic_cs.json', ({ tests, halfwidth }) => {
  it.each(tests)('$name, $difference_type: agrees with the reference to 1e-10', (reference) => {
    const {
      alpha,
      sequential_tuning_parameter: tuning,
      difference_type: difference,
      a,
      b,
      expected,
    } = reference;
    const options = { alpha, tuning, difference };
    const results: SequentialResult[] = [sequentialMeanTest(a, b, options)];
    if (a.kind === 'ProportionStatistic') {
      const arm = ({ n, sum }: { n: number; sum: number }) => ({ n, successes: sum });
      results.push(sequentialProportionTest(arm(a), arm(b), options));
    }
    for (const result of results) {
      expectRelative(result.estimate, expected.estimate, 1e-10, 'estimate');
      expectRelative(result.standardError, expected.standard_error, 1e-10, 'standardError');
      expectRelative(result.pValue, expected.sequential_p_value, 1e-10, 'p');
      expectInterval(result.confidenceInterval, expected.sequential_ci, 1e-10, 'interval');
    }
  });

  it('the half-widths agree to 1e-10, two-sided and one-sided', () => {
    for (const { s2, n, tuning, alpha, two_sided, one_sided } of halfwidth) {
      const arm = { n, variance: s2 };
      expectRelative(confidenceSequenceHalfWidth(arm, { alpha, tuning }), two_sided, 1e-10);
      const oneSided = confidenceSequenceHalfWidth(arm, { alpha, tuning, alternative: 'greater' });
      expectRelative(oneSided, one_sided, 1e-10);
    }
  });
});

/** Of `runs` A/A experiments, the share that `rejects` at any of the looks after each pair of observations. */
function rejectionRate(
  runs: number,
  perArm: number,
  draw: () => number,
  rejects: (a: Welford, b: Welford) => boolean,
): number {
  let rejected = 0;
  for (let run = 0; run < runs; run++) {
    const a = new Welford();
    const b = new Welford();
    for (let i = 0; i < perArm; i++) {
      a.push(draw());
      b.push(draw());
      if (rejects(a, b)) {
        rejected++;
        break;
      }
    }
  }
  return rejected / runs;
}

/** 0.05 and three standard errors of a share of 2,000. */
const RATE_MAX = 0.0647;

describe('A/A experiments with a look at every observation', () => {
  const ever = (tuning: number) => (a: Welford, b: Welford) => {
    const { pValue } = sequentialMeanTest(a, b, { alpha: 0.05, tuning });
    return pValue !== null && pValue <= 0.05;
  };

  it('reject in at most 6.47 % of 2,000 runs of 2,000 per arm', () => {
    expect(rejectionRate(2000, 2000, seededNormal(1), ever(2000))).toBeLessThanOrEqual(RATE_MAX);
  });

  it('reject far more often by a z-test: the check above can fail', () => {
    const naive = (a: Welford, b: Welford) => {
      if (a.count < 10) return false;
      const error = Math.sqrt(a.variance! / a.count + b.variance! / b.count);
      return Math.abs(b.mean! - a.mean!) / error > 1.959963984540054;
    };
    expect(rejectionRate(2000, 2000, seededNormal(1), naive)).toBeGreaterThan(0.3);
  });

  it('reject rarely at any tuning, for skewed and discrete data too', () => {
    const uniform = seededUniform(2);
    const normal = seededNormal(3);
    const draws: (() => number)[] = [
      () => -Math.log(1 - uniform()),
      () => (uniform() < 0.5 ? 1 : 0),
      () => Math.exp(1.5 * normal()),
    ];
    for (const draw of draws) {
      for (const tuning of [50, 200, 5000]) {
        expect(rejectionRate(500, 300, draw, ever(tuning))).toBeLessThanOrEqual(RATE_MAX);
      }
    }
  });

  it('reject rarely by the exact test of proportions from the first trial on', {
    timeout: TIMEOUT_MS,
  }, () => {
    const uniform = seededUniform(4);
    for (const p of [0.02, 0.5]) {
      let rejected = 0;
      const count = runs(60);
      for (let run = 0; run < count; run++) {
        const a = { successes: 0, n: 0 };
        const b = { successes: 0, n: 0 };
        for (let i = 1; i <= 150; i++) {
          a.n++;
          b.n++;
          if (uniform() < p) a.successes++;
          if (uniform() < p) b.successes++;
          // Often at first, where it is nearest to wrong.
          if (i > 5 && i % 15 !== 0) continue;
          if (sequentialProportionTest(a, b, { method: 'exact' }).pValue! <= 0.05) {
            rejected++;
            break;
          }
        }
      }
      expectAtMost(rejected / count, 0.05, count, `rate ${p}`);
    }
  });
});

describe('sequentialMeanTest', () => {
  const a = { n: 500, mean: 10, variance: 4 };
  const b = { n: 600, mean: 10.9, variance: 5 };

  it('finds a difference that is there', () => {
    const result = sequentialMeanTest(a, b, { alpha: 0.05, tuning: 1000 });
    expect(result.pValue).toBeLessThan(1e-6);
    expect(result.estimate).toBeCloseTo(0.9, 12);
    expect(result.confidenceInterval![0]).toBeGreaterThan(0);
    expectRelative(result.eValue, 1 / result.pValue!, 1e-12);
  });

  it('has a p-value at or below alpha exactly when its interval excludes 0, one-sided too', () => {
    fc.assert(
      fc.property(
        fc.double({ min: -0.5, max: 0.5, noNaN: true }),
        fc.integer({ min: 40, max: 4000 }),
        fc.constantFrom('two-sided' as const, 'less' as const, 'greater' as const),
        fc.double({ min: 0.001, max: 0.4, noNaN: true }),
        (shift, n, alternative, alpha) => {
          const arms = [
            { n, mean: 0, variance: 1 },
            { n, mean: shift, variance: 1 },
          ] as const;
          const { pValue, confidenceInterval } = sequentialMeanTest(arms[0], arms[1], { alpha, alternative });
          const [low, high] = confidenceInterval!;
          if (Math.abs(pValue! - alpha) < 1e-9) return;
          expect(pValue! <= alpha).toBe(low > 0 || high < 0);
        },
      ),
      { numRuns: 500 },
    );
  });

  it("reads 'less' as a below b", () => {
    const less = sequentialMeanTest(a, b, { alternative: 'less' });
    expect(less.pValue).toBeLessThan(1e-5);
    expect(less.confidenceInterval![0]).toBeGreaterThan(0);
    expect(less.confidenceInterval![1]).toBe(Number.POSITIVE_INFINITY);
    expect(sequentialMeanTest(a, b, { alternative: 'greater' }).pValue).toBe(1);
  });

  it('pays for peeking with width: its interval is wider than the fixed-horizon one', () => {
    const [low, high] = sequentialMeanTest(a, b, { tuning: 1100 }).confidenceInterval!;
    const fixed = welchTTest(b, a).confidenceInterval!;
    expect((high - low) / (fixed[1] - fixed[0])).toBeGreaterThan(1.3);
    expect((high - low) / (fixed[1] - fixed[0])).toBeLessThan(1.8);
  });

  it('is tightest, in standard errors, near its tuning', () => {
    const inErrors = (n: number, tuning: number) =>
      confidenceSequenceHalfWidth({ n, variance: n }, { tuning });
    for (const tuning of [100, 1000, 10_000]) {
      expect(inErrors(1000, tuning)).toBeGreaterThanOrEqual(inErrors(1000, 1000));
    }
  });

  it('gives one answer for samples, summaries and merged accumulators', () => {
    const normal = seededNormal(5);
    const x = Array.from({ length: 400 }, normal);
    const y = Array.from({ length: 300 }, () => normal() + 0.2);
    const accumulate = (values: number[]) => {
      const whole = new Welford();
      for (let i = 0; i < values.length; i += 90) {
        const part = new Welford();
        for (const value of values.slice(i, i + 90)) part.push(value);
        whole.merge(part);
      }
      return whole;
    };
    expectRelative(
      sequentialMeanTest(accumulate(x), accumulate(y)).pValue,
      sequentialMeanTest(x, y).pValue!,
      1e-11,
    );
  });

  it('has not begun while a small tuning meets few observations: p is 1 and the interval everything', () => {
    const early = [
      { n: 5, mean: 0, variance: 1 },
      { n: 5, mean: 9, variance: 1 },
    ] as const;
    const result = sequentialMeanTest(early[0], early[1], { tuning: 100 });
    expect(result.pValue).toBe(1);
    expect(result.confidenceInterval).toEqual([Number.NEGATIVE_INFINITY, Number.POSITIVE_INFINITY]);
    expect(sequentialMeanTest(early[0], early[1], { tuning: 5000 }).confidenceInterval![0]).toBeGreaterThan(
      -100,
    );
  });

  it('is undefined, with a reason, for one observation, constants and a relative difference to 0', () => {
    for (const result of [
      sequentialMeanTest([1], [1, 2]),
      sequentialMeanTest([1, 1], [2, 2]),
      sequentialMeanTest([-1, 1], [2, 3], { difference: 'relative' }),
    ]) {
      expect(result).toMatchObject({ pValue: null, confidenceInterval: null, reason: expect.any(String) });
    }
  });

  it('refuses empty arms and options out of range', () => {
    expect(() => sequentialMeanTest([], [1])).toThrow(
      expect.objectContaining({ code: 'ERR_TOO_FEW_SAMPLES' }),
    );
    for (const call of [
      () => sequentialMeanTest([1, Number.NaN], [1, 2]),
      () => sequentialMeanTest(a, b, { alpha: 1.5 }),
      () => sequentialMeanTest(a, b, { alpha: 0.5, alternative: 'less' }),
      () => sequentialMeanTest(a, b, { tuning: 0 }),
      () => sequentialMeanTest(a, b, { difference: 'ratio' as 'relative' }),
      () => confidenceSequenceHalfWidth({ n: 0, variance: 1 }),
      () => confidenceSequenceHalfWidth({ n: 5, variance: -1 }),
    ]) {
      expect(call).toThrow(expect.objectContaining({ code: 'ERR_CONFIG_INVALID' }));
    }
  });
});

/** Ever, with a look at every `every` observations from `from` an arm on; arms by a coin that falls on a in `shareOfA`. */
function everRejects(
  total: number,
  shareOfA: number,
  uniform: () => number,
  rejects: (arms: readonly [Third, Third]) => boolean,
  draw: (isA: boolean) => number,
  every = 1,
): boolean {
  const arms = [new Third(), new Third()] as const;
  for (let i = 1; i <= total; i++) {
    const isA = uniform() < shareOfA;
    arms[isA ? 0 : 1].push(draw(isA));
    if (i % every === 0 && Math.min(arms[0].n, arms[1].n) >= 30 && rejects(arms)) return true;
  }
  return false;
}

/** Moments up to the third, one value at a time. */
class Third {
  n = 0;
  mean = 0;
  sum = 0;
  #m2 = 0;
  #m3 = 0;

  push(value: number): void {
    this.n++;
    this.sum += value;
    const delta = value - this.mean;
    const step = delta / this.n;
    const term = delta * step * (this.n - 1);
    this.mean += step;
    this.#m3 += term * step * (this.n - 2) - 3 * step * this.#m2;
    this.#m2 += term;
  }

  get variance(): number {
    return this.#m2 / (this.n - 1);
  }

  get skewness(): number | null {
    return this.#m2 > 0 ? this.#m3 / this.n / (this.#m2 / this.n) ** 1.5 : null;
  }
}

describe('arms of different sizes', () => {
  const rare = (uniform: () => number, share: number, factor: number) => () =>
    uniform() < share ? factor * (1 + 0.1 * uniform()) : 1 + 0.1 * uniform();
  const cells: [string, number, number, (uniform: () => number, normal: () => number) => () => number][] = [
    ['1 : 9, 2 % of values 50 times as large', 0.1, 3000, (uniform) => rare(uniform, 0.02, 50)],
    ['1 : 19, the same', 0.05, 3000, (uniform) => rare(uniform, 0.02, 50)],
    ['1 : 9, log-normal of σ 1.5', 0.1, 3000, (_, normal) => () => Math.exp(1.5 * normal())],
    ['1 : 1, log-normal of σ 1.5', 0.5, 1000, (_, normal) => () => Math.exp(1.5 * normal())],
  ];

  it.each(cells)(
    '%s: watched at every observation, rejected as rarely as stated',
    (name, shareOfA, total, drawOf) => {
      const count = runs(60);
      const uniform = seededUniform(31);
      const draw = drawOf(seededUniform(32), seededNormal(33));
      for (const tuning of [100, 5000]) {
        const share = shareOf(count, () =>
          everRejects(
            total,
            shareOfA,
            uniform,
            ([a, b]) => sequentialMeanTest(a, b, { tuning }).pValue! <= 0.05,
            draw,
          ),
        );
        expectAtMost(share, 0.05, count, `${name}, tuning ${tuning}`);
      }
    },
    TIMEOUT_MS,
  );

  it('whose skewness nobody tells are rejected far more often: the check above can fail', () => {
    const uniform = seededUniform(31);
    const draw = rare(uniform, 0.02, 50);
    const untold = ({ n, mean, variance }: Third) => ({ n, mean, variance });
    const share = shareOf(60, () =>
      everRejects(
        3000,
        0.1,
        uniform,
        ([a, b]) => sequentialMeanTest(untold(a), untold(b)).pValue! <= 0.05,
        draw,
      ),
    );
    expect(share).toBeGreaterThan(0.1);
  });

  it('of rates, by default: p = 0.02, 1 : 9', { timeout: TIMEOUT_MS }, () => {
    const count = runs(100);
    const uniform = seededUniform(34);
    const share = shareOf(count, () =>
      everRejects(
        2000,
        0.1,
        uniform,
        ([a, b]) =>
          sequentialProportionTest({ successes: a.sum, n: a.n }, { successes: b.sum, n: b.n }).pValue! <=
          0.05,
        () => Number(uniform() < 0.02),
      ),
    );
    expectAtMost(share, 0.05, count, 'alarms');
  });
});

describe('the exact sequence of rates', () => {
  const watched = (
    rates: readonly [number, number],
    total: number,
    shareOfA: number,
    tuning: number,
    seed: number,
  ) => {
    const uniform = seededUniform(seed);
    return () =>
      everRejects(
        total,
        shareOfA,
        uniform,
        ([a, b]) =>
          sequentialProportionTest(
            { successes: a.sum, n: a.n },
            { successes: b.sum, n: b.n },
            { method: 'exact', tuning, shareOfA },
          ).pValue! <= 0.05,
        (isA) => Number(uniform() < rates[isA ? 0 : 1]),
        100,
      );
  };

  it.each([
    [0.02, 0.1, 5000],
    [0.3, 0.5, 500],
    [0.5, 0.5, 100],
    [0.95, 0.2, 1000],
  ])(
    'errs as rarely as stated: rate %d, share %d, tuning %d',
    (rate, shareOfA, tuning) => {
      const count = runs(40);
      expectAtMost(shareOf(count, watched([rate, rate], 1500, shareOfA, tuning, 41)), 0.05, count, 'alarms');
    },
    TIMEOUT_MS,
  );

  it('finds 90 against 95 % among 2,000 in more than four of five experiments', {
    timeout: TIMEOUT_MS,
  }, () => {
    const count = runs(40);
    // The mixture that it replaced found half of them; the asymptotic sequence finds 91 %.
    expectAtLeast(shareOf(count, watched([0.9, 0.95], 2000, 0.5, 1000, 42)), 0.84, count, 'found');
  });
});

describe('sequentialProportionTest, exact', () => {
  const exact = { method: 'exact' } as const;

  it('finds a difference that is there, and brackets it', () => {
    const result = sequentialProportionTest({ successes: 100, n: 1000 }, { successes: 180, n: 1000 }, exact);
    expect(result.pValue).toBeLessThan(0.01);
    const [low, high] = result.confidenceInterval!;
    expect(low).toBeGreaterThan(0);
    expect(low).toBeLessThan(0.08);
    expect(high).toBeGreaterThan(0.08);
    expect(high).toBeLessThan(0.2);
  });

  it('has a p-value at or below alpha exactly when its interval excludes 0', () => {
    const count = fc.integer({ min: 0, max: 60 });
    fc.assert(
      fc.property(count, count, count, count, (sa, fa, sb, fb) => {
        fc.pre(sa + fa > 0 && sb + fb > 0);
        const [a, b] = [
          { successes: sa, n: sa + fa },
          { successes: sb, n: sb + fb },
        ];
        const { pValue, confidenceInterval, estimate } = sequentialProportionTest(a, b, exact);
        const [low, high] = confidenceInterval!;
        expect(low).toBeLessThanOrEqual(estimate!);
        expect(high).toBeGreaterThanOrEqual(estimate!);
        if (Math.abs(pValue! - 0.05) > 1e-9) expect(pValue! <= 0.05).toBe(low > 0 || high < 0);
      }),
      { numRuns: 100 },
    );
  });

  it('mirrors when the arms swap', () => {
    const [a, b] = [
      { successes: 3, n: 40 },
      { successes: 9, n: 30 },
    ];
    const forward = sequentialProportionTest(a, b, exact);
    const backward = sequentialProportionTest(b, a, exact);
    expect(backward.pValue).toBeCloseTo(forward.pValue!, 5);
    expect(backward.confidenceInterval![0]).toBeCloseTo(-forward.confidenceInterval![1], 4);
  });

  it('is defined where the asymptotic one is not: all trials of one outcome', () => {
    const [a, b] = [
      { successes: 0, n: 12 },
      { successes: 12, n: 12 },
    ];
    expect(sequentialProportionTest(a, b)).toMatchObject({ pValue: null, reason: expect.any(String) });
    expect(sequentialProportionTest(a, b, exact).pValue).toBeLessThan(1e-3);
    const same = sequentialProportionTest(a, a, exact);
    expect(same.pValue).toBe(1);
    expect(same.confidenceInterval![0]).toBeLessThan(0);
    expect(same.confidenceInterval![1]).toBeGreaterThan(0);
  });

  it('refuses arms that are not counts, one-sided and relative questions, and unknown methods', () => {
    const [a, b] = [
      { successes: 3, n: 40 },
      { successes: 9, n: 30 },
    ];
    expect(() => sequentialProportionTest({ successes: 0, n: 0 }, b)).toThrow(
      expect.objectContaining({ code: 'ERR_TOO_FEW_SAMPLES' }),
    );
    for (const call of [
      () => sequentialProportionTest({ successes: 11, n: 10 }, b),
      () => sequentialProportionTest(a, b, { ...exact, alternative: 'less' }),
      () => sequentialProportionTest(a, b, { ...exact, difference: 'relative' }),
      () => sequentialProportionTest(a, b, { method: 'bayes' as 'exact' }),
      () => sequentialProportionTest(a, b, { alpha: -1 }),
    ]) {
      expect(call).toThrow(expect.objectContaining({ code: 'ERR_CONFIG_INVALID' }));
    }
  });
});
