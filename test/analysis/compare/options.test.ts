/** The options of a comparison: what is filled in, and what is refused. */

import { describe, expect, it } from 'vitest';
import { compareArms } from '../../../src/analysis/compare/compare.js';
import { resolveCompareOptions } from '../../../src/analysis/compare/options.js';
import { METRIC_NAMES } from '../../../src/analysis/compare/outcomes.js';
import type { CompareOptions } from '../../../src/analysis/types.js';
import { AnalysisError, ConfigError } from '../../../src/errors.js';
import { useBench } from '../../capture/support.js';
import { armOf } from './support.js';

const bench = useBench();

describe('resolveCompareOptions', () => {
  it('fills in what is left out', () => {
    const { questions, ...settings } = resolveCompareOptions({}, 3);
    expect(questions.map(({ name }) => name)).toEqual(METRIC_NAMES);
    expect(settings).toEqual({
      alpha: 0.05,
      confidenceLevel: 0.95,
      adjust: 'holm',
      event: undefined,
      seed: 1,
      resamples: 10_000,
      paired: 'auto',
      expectedRatio: [1, 1, 1],
      unit: 'event',
      assigned: null,
      segments: [],
      sequential: null,
      strata: null,
    });
  });

  it('takes the level under either name, and from the sequential options', () => {
    expect(resolveCompareOptions({ alpha: 0.1 }, 2)).toMatchObject({ alpha: 0.1, confidenceLevel: 0.9 });
    expect(resolveCompareOptions({ confidenceLevel: 0.99 }, 2).alpha).toBeCloseTo(0.01, 12);
    expect(resolveCompareOptions({ sequential: { alpha: 0.01 } }, 2)).toMatchObject({
      alpha: 0.01,
      sequential: { tuning: 5000 },
      paired: false,
    });
    expect(resolveCompareOptions({ sequential: false }, 2).sequential).toBeNull();
  });

  it.each<[string, unknown]>([
    ['options', null],
    ['options', 5],
    ['pairs', { pairs: true }],
    ['alpha', { alpha: 0 }],
    ['alpha', { alpha: 1 }],
    ['alpha', { alpha: Number.NaN }],
    ['alpha', { alpha: 0.05, confidenceLevel: 0.9 }],
    ['confidenceLevel', { confidenceLevel: 1 }],
    ['confidenceLevel', { confidenceLevel: '0.95' }],
    ['adjust', { adjust: 'tukey' }],
    ['metrics', { metrics: 'latencyMean' }],
    ['metrics', { metrics: [] }],
    ['metrics[1]', { metrics: ['costMean', 'latency'] }],
    ['metrics[0].of', { metrics: [{}] }],
    ['metrics[0].off', { metrics: [{ of: 'latencyMs', off: 1 }] }],
    ['metrics[0].summary', { metrics: [{ of: 'latencyMs', summary: 'median' }] }],
    ['metrics[0].summary', { metrics: [{ of: 'latencyMs', summary: { quantile: 1 } }] }],
    ['metrics[0].summary', { metrics: [{ of: 'costUsd', per: 'success', summary: 'mean' }] }],
    ['metrics[0].direction', { metrics: [{ of: 'costUsd', direction: 'up' }] }],
    ['metrics[0].role', { metrics: [{ of: 'costUsd', role: 'main' }] }],
    ['metrics[0].margin', { metrics: [{ of: 'costUsd', role: 'guardrail' }] }],
    ['metrics[0].margin', { metrics: [{ of: 'costUsd', margin: -1 }] }],
    ['metrics[0].direction', { metrics: [{ of: 'tokensTotal', margin: 1 }] }],
    ['metrics', { metrics: [{ of: 'costUsd' }, { of: 'costUsd' }] }],
    ['event', { event: '' }],
    ['unit', { unit: '' }],
    ['paired', { unit: 'userId', paired: true }],
    ['seed', { seed: 1.5 }],
    ['resamples', { resamples: 99 }],
    ['resamples', { resamples: 2e6 }],
    ['paired', { paired: 'yes' }],
    ['paired', { paired: true, sequential: true }],
    ['expectedRatio', { expectedRatio: [1, 1, 1] }],
    ['expectedRatio', { expectedRatio: [1, 0] }],
    ['expectedRatio', { expectedRatio: 2 }],
    ['sequential', { sequential: 5000 }],
    ['sequential', { sequential: null }],
    ['sequential.looks', { sequential: { looks: 5 } }],
    ['sequential.tuning', { sequential: { tuning: 0 } }],
    ['sequential.alpha', { alpha: 0.05, sequential: { alpha: 0.01 } }],
    ['alpha', { sequential: { alpha: 2 } }],
  ])('refuses %s of %j', async (path, options) => {
    const refused = options as CompareOptions;
    const attempt = () => compareArms([armOf('a'), armOf('b')], refused);
    expect(attempt).toThrow(ConfigError);
    expect(attempt).toThrow(expect.objectContaining({ context: expect.objectContaining({ path }) }));
    const crucible = bench.crucible();
    const experiments = [bench.start(), bench.start()];
    await expect(crucible.compare(experiments, refused)).rejects.toThrow(ConfigError);
  });

  it.each([0, 1])('refuses %d arms', (arms) => {
    const attempt = () => compareArms([armOf('a')].slice(0, arms));
    expect(attempt).toThrow(AnalysisError);
    expect(attempt).toThrow(expect.objectContaining({ code: 'ERR_TOO_FEW_EXPERIMENTS' }));
  });
});
