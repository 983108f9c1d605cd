import { describe, expect, it } from 'vitest';
import {
  bernoulliConfidenceInterval,
  betaBinomialMixtureBound,
  gammaExponentialMixtureBound,
  normalLogMixture,
  normalMixtureBound,
} from '../../src/stats/mixtures.js';
import { describeWithFixture } from '../support/fixtures.js';
import { expectRelative, seededUniform } from '../support/numeric.js';

interface Args {
  s: number;
  v: number;
  alpha: number;
  v_opt: number;
  alpha_opt: number;
  is_one_sided: number;
  c: number;
  g: number;
  h: number;
  num_successes: number;
  num_trials: number;
  t_opt: number;
}
type Boundary = { fn: string; args: Args; value: number | [number, number] };

function evaluate({ fn, args }: Boundary): number | readonly [number, number] {
  const { v, alpha, c, g, h } = args;
  const tuning = { vOpt: args.v_opt, alphaOpt: args.alpha_opt, oneSided: args.is_one_sided === 1 };
  switch (fn) {
    case 'normal_mixture_bound':
      return normalMixtureBound(v, alpha, tuning);
    case 'normal_log_mixture':
      return normalLogMixture(args.s, v, tuning);
    case 'gamma_exponential_mixture_bound':
      return gammaExponentialMixtureBound(v, alpha, { ...tuning, c });
    case 'beta_binomial_mixture_bound':
      return betaBinomialMixtureBound(v, alpha, { ...tuning, g, h });
    default:
      return bernoulliConfidenceInterval(args.num_successes, args.num_trials, alpha, {
        tOpt: args.t_opt,
        alphaOpt: args.alpha_opt,
      });
  }
}

describeWithFixture<Boundary[]>('confseq/uniform_boundaries.json', (boundaries) => {
  for (const fn of new Set(boundaries.map((boundary) => boundary.fn))) {
    it(`${fn} agrees with confseq: closed forms to 1e-10, bisected ones to 1e-9`, () => {
      for (const boundary of boundaries.filter((candidate) => candidate.fn === fn)) {
        const { args, value } = boundary;
        const closed =
          fn === 'normal_log_mixture' || (fn === 'normal_mixture_bound' && args.is_one_sided === 0);
        const actual = [evaluate(boundary)].flat();
        for (const [i, expected] of [value].flat().entries()) {
          const computed = actual[i] as number;
          // Of a probability next to 0, 1e-9 absolute: the reference bisected there stops at 0.
          const error =
            Math.abs(computed - expected) /
            Math.max(Math.abs(expected), fn === 'bernoulli_confidence_interval' ? 1 : 0);
          expect(error, `${computed}, ${JSON.stringify(args)}`).toBeLessThanOrEqual(closed ? 1e-10 : 1e-9);
        }
      }
    });
  }
});

describe('the boundaries', () => {
  it('agree with the values computed from the confseq header', () => {
    const tuning = { vOpt: 100 };
    expectRelative(normalMixtureBound(100, 0.05, tuning), 30.35208990376253, 1e-13);
    expectRelative(normalMixtureBound(10, 0.05, { ...tuning, oneSided: true }), 11.49268179625324, 1e-9);
    expectRelative(gammaExponentialMixtureBound(100, 0.05, { ...tuning, c: 1 }), 30.23812962007923, 1e-9);
    expectRelative(
      betaBinomialMixtureBound(1000, 0.05, { ...tuning, g: 0.2, h: 0.8 }),
      103.9347411541058,
      1e-9,
    );
    expectRelative(Math.exp(-normalLogMixture(30, 100, tuning)), 0.05494761454740484, 1e-12);
  });

  it('one-sided are below two-sided ones at the same level', () => {
    const tuning = { vOpt: 50, g: 0.3, h: 0.7 };
    for (const v of [5, 50, 500]) {
      const oneSided = { ...tuning, oneSided: true };
      expect(normalMixtureBound(v, 0.05, oneSided)).toBeLessThan(normalMixtureBound(v, 0.05, tuning));
      expect(betaBinomialMixtureBound(v, 0.05, oneSided)).toBeLessThan(
        betaBinomialMixtureBound(v, 0.05, tuning),
      );
    }
  });

  it('stop at the largest sum there can be', () => {
    expect(betaBinomialMixtureBound(0.01, 0.001, { vOpt: 1, g: 0.5, h: 0.5 })).toBe(0.02);
  });

  it('refuse times, levels and tunings out of range', () => {
    for (const call of [
      () => normalMixtureBound(0, 0.05, { vOpt: 1 }),
      () => normalMixtureBound(1, 1.5, { vOpt: 1 }),
      () => normalMixtureBound(1, 0.05, { vOpt: -1 }),
      () => normalMixtureBound(1, 0.05, { vOpt: 1, alphaOpt: 0.6, oneSided: true }),
      () => gammaExponentialMixtureBound(1, 0.05, { vOpt: 1, c: 0 }),
      () => betaBinomialMixtureBound(1, 0.05, { vOpt: 1, g: 0, h: 1 }),
      () => bernoulliConfidenceInterval(11, 10, 0.05, { tOpt: 10 }),
      () => bernoulliConfidenceInterval(1, 10, 0.05, { tOpt: 0 }),
    ]) {
      expect(call).toThrow(expect.objectContaining({ code: 'ERR_CONFIG_INVALID' }));
    }
    expect(() => bernoulliConfidenceInterval(0, 0, 0.05, { tOpt: 10 })).toThrow(
      expect.objectContaining({ code: 'ERR_TOO_FEW_SAMPLES' }),
    );
  });
});

describe('bernoulliConfidenceInterval', () => {
  it('covers at all of two hundred looks at once, as often as it says', () => {
    const uniform = seededUniform(21);
    let missed = 0;
    for (let run = 0; run < 300; run++) {
      let successes = 0;
      for (let trials = 1; trials <= 200; trials++) {
        if (uniform() < 0.3) successes++;
        const [low, high] = bernoulliConfidenceInterval(successes, trials, 0.05, { tOpt: 100 });
        if (0.3 < low || 0.3 > high) {
          missed++;
          break;
        }
      }
    }
    expect(missed / 300).toBeLessThanOrEqual(0.05);
  });
});
