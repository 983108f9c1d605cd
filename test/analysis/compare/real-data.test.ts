/**
 * Data as experiments have them, of known truth, through the public door: nothing is called better or worse that is not,
 * what a reader must know is told, and the text says what the numbers say.
 */
import { describe, expect, it } from 'vitest';
import type { CompareOptions, MetricComparison, WarningCode } from '../../../src/analysis/types.js';
import { useBench } from '../../capture/support.js';
import { expectRelative, seededNormal, seededUniform } from '../../support/numeric.js';

const bench = useBench();

interface Draw {
  readonly normal: () => number;
  readonly uniform: () => number;
}
type Captured = [
  measurements: { latencyMs?: number; costUsd?: number; status?: 'ok' | 'error' },
  metadata?: Record<string, string | number>,
  event?: string,
];
/** The events that the i-th request of an arm makes. */
type Requests = (isTreatment: boolean, i: number, draw: Draw) => Captured[];

async function compared(sizes: readonly [number, number], requests: Requests, options: CompareOptions = {}) {
  const experiments = ['control', 'treatment'].map((name, arm) => {
    const experiment = bench.start({ name, columns: { score: 'f64' }, capacity: 16_384 });
    const draw = { normal: seededNormal(12 + arm), uniform: seededUniform(98 + arm) };
    for (let i = 0; i < sizes[arm]!; i++) {
      for (const [measurements, metadata = {}, event = 'ask'] of requests(arm === 1, i, draw)) {
        experiment.capture(event, { status: 'ok', ...measurements }, metadata);
      }
    }
    return experiment;
  });
  const { treatments } = await bench.crucible().compare(experiments, options);
  for (const experiment of experiments) await experiment.cleanup();
  const found = treatments[0]!;
  for (const metric of Object.values(found.metrics)) expectConsistent(metric, found.verdict);
  return found;
}

/** Decision, sign, interval, percentage and words do not contradict each other. */
function expectConsistent(found: MetricComparison, verdict: string): void {
  const { difference, relativePct, confidenceInterval, significant, pValue, label, direction } = found;
  if (significant) {
    expect(verdict).toContain(`a ${difference! > 0 ? 'higher' : 'lower'} ${label}`);
  } else {
    expect(direction).toBe('unclear');
    expect(verdict).not.toMatch(new RegExp(`a (?:higher|lower) ${label} \\(`));
  }
  if (relativePct !== null) {
    expectRelative(relativePct, (100 * difference!) / Math.abs(found.baseline.estimate!), 1e-12);
  }
  if (confidenceInterval !== null && difference !== null) {
    expect(confidenceInterval[0]).toBeLessThanOrEqual(difference);
    expect(confidenceInterval[1]).toBeGreaterThanOrEqual(difference);
  }
  if (pValue === null || confidenceInterval === null) return;
  const excludes0 = confidenceInterval[0] > 0 || confidenceInterval[1] < 0;
  if (excludes0 !== significant) expect(verdict).toMatch(/Asked alone.*excludes 0|the test decides/);
}

const codesOf = ({ warnings }: { warnings: { code: WarningCode }[] }) => [
  ...new Set(warnings.map(({ code }) => code)),
];
const directionsOf = ({ metrics }: { metrics: Record<string, MetricComparison> }) =>
  Object.fromEntries(
    Object.values(metrics)
      .filter(({ direction }) => direction !== 'unclear')
      .map(({ metric, direction }) => [metric, direction]),
  );
const score = (value: number): Captured[] => [[{ latencyMs: 10 }, { score: value }]];
const SCORES: CompareOptions = { metrics: [{ of: 'score', direction: 'higher' }] };
const LATENCY: CompareOptions = { metrics: ['latencyMean', 'latencyP95'] };

describe('no difference where there is none', () => {
  it.each<[string, readonly [number, number], Requests, WarningCode[], CompareOptions?]>([
    [
      'every event of one arm is there three times',
      [300, 300],
      (isTreatment, _, { normal }) => {
        const event: Captured = [{ latencyMs: 500 * Math.exp(0.5 * normal()) }];
        return isTreatment ? [event, event, event] : [event];
      },
      ['sampleRatioMismatch', 'serialCorrelation'],
    ],
    [
      'a user with 2,000 slow events, by user',
      [600, 600],
      (isTreatment, i, { normal }) => {
        const latencyMs = () => 300 * Math.exp(0.4 * normal());
        if (isTreatment && i === 0) {
          return Array.from({ length: 2000 }, () => [{ latencyMs: 3 * latencyMs() }, { userId: 'whale' }]);
        }
        return [[{ latencyMs: latencyMs() }, { userId: `${isTreatment}${i % 200}` }]];
      },
      ['unequalSkew'],
      { unit: 'userId' },
    ],
    [
      'rare costs, 4,000 against 100',
      [4000, 100],
      (_, __, { normal, uniform }) => [
        [{ latencyMs: 10 + uniform(), costUsd: uniform() < 0.99 ? 0 : Math.exp(2 * normal()) }],
      ],
      ['unequalSkew', 'sampleRatioMismatch', 'manyTies', 'heavyTail'],
    ],
    ['two values', [300, 300], (_, __, { uniform }) => [[{ latencyMs: uniform() < 0.5 ? 10 : 20 }]], []],
    [
      'few values',
      [800, 800],
      (_, __, { uniform }) => [[{ latencyMs: 1 + Math.floor(3 * uniform() + 3 * uniform()) }]],
      [],
    ],
    [
      'negative latencies, of a clock that was set back',
      [300, 300],
      (_, __, { normal }) => [[{ latencyMs: -50 + 5 * normal() }]],
      [],
    ],
    ['one value', [100, 100], () => [[{ latencyMs: 5 }]], ['zeroVariance']],
    ['one event each', [1, 1], (isTreatment) => [[{ latencyMs: isTreatment ? 1 : 100 }]], ['tooFewSamples']],
    [
      'one event against many',
      [500, 1],
      (isTreatment, _, { normal }) => [[{ latencyMs: isTreatment ? 1 : 100 + 10 * normal() }]],
      ['tooFewSamples', 'sampleRatioMismatch'],
    ],
    [
      'half of an arm without a number',
      [300, 300],
      (isTreatment, i, { normal }) => score(isTreatment && i % 2 === 0 ? Number.NaN : normal()),
      ['unequalShares'],
      SCORES,
    ],
    [
      'large values with small differences',
      [400, 400],
      (_, __, { normal }) => score(1e15 + Math.round(2 * normal())),
      [],
      SCORES,
    ],
    [
      'values beyond a double’s squares',
      [200, 200],
      (_, __, { normal }) => score(1e300 * (1 + 0.2 * normal())),
      [],
      SCORES,
    ],
    [
      'one value that outweighs all',
      [300, 300],
      (isTreatment, i, { normal }) => [[{ latencyMs: isTreatment && i === 7 ? 1e12 : 100 + 5 * normal() }]],
      ['heavyTail'],
    ],
    [
      'two users an arm, by user',
      [200, 200],
      (isTreatment, i, { normal }) => [
        [
          { latencyMs: 100 + 40 * (isTreatment ? [-0.5, 1] : [-0.9, 0.3])[i % 2]! + 5 * normal() },
          { userId: `${isTreatment}${i % 2}` },
        ],
      ],
      ['tooFewSamples'],
      { unit: 'userId' },
    ],
    [
      'all failures',
      [300, 300],
      (_, __, { normal }) => [[{ latencyMs: 50 + normal(), status: 'error' }]],
      [],
    ],
    [
      'three failures of three: the interval has no say against the exact test',
      [3, 3],
      (isTreatment, _, { normal }) => [[{ latencyMs: 50 + normal(), status: isTreatment ? 'error' : 'ok' }]],
      ['tooFewSamples'],
      { alpha: 0.05 },
    ],
  ])('%s', async (_, sizes, requests, codes, options = {}) => {
    // A level at which chance has no say.
    const found = await compared(sizes, requests, { alpha: 0.001, ...options });
    expect(directionsOf(found)).toEqual({});
    expect(codesOf(found)).toEqual(expect.arrayContaining(codes));
    // Nothing was cut here.
    expect(codesOf(found)).not.toContain('censored');
  });
});

describe('what looks like a difference is told apart', () => {
  it('retries that fail fast', async () => {
    const found = await compared([500, 500], (isTreatment, i, { normal, uniform }) => {
      const sampleId = `q${i}`;
      const events: Captured[] = [];
      while (uniform() < (isTreatment ? 0.4 : 0.05)) {
        events.push([{ latencyMs: 20 + 5 * uniform(), status: 'error' }, { sampleId }]);
      }
      return [...events, [{ latencyMs: 800 * Math.exp(0.3 * normal()) }, { sampleId }]];
    });
    // No costs are added up where there are none.
    expect(codesOf(found)).toEqual(['unlikeFailures']);
    expect(found.warnings[0]!.message).toMatch(
      /Of successes alone its mean was 8\d\d ms in control and 8\d\d ms in treatment$/,
    );
    expect(found.verdict).toContain('latency is of failures too');
  });

  it('an arm that only fails, fast', async () => {
    const found = await compared([300, 300], (isTreatment, _, { normal }) => [
      isTreatment ? [{ latencyMs: 5, status: 'error' }] : [{ latencyMs: 500 + 50 * normal() }],
    ]);
    expect(directionsOf(found)).toMatchObject({ successRate: 'worse' });
    const told = found.warnings.find(({ code }) => code === 'unlikeFailures')!.message;
    expect(told).toMatch(/treatment has no success to compare$/);
  });

  it('a mix of models', async () => {
    const found = await compared([600, 600], (isTreatment, _, { normal, uniform }) => {
      const isLarge = uniform() < (isTreatment ? 0.2 : 0.8);
      const latencyMs = (isLarge ? 2000 : 400) * Math.exp(0.2 * normal());
      return [[{ latencyMs }, { model: isLarge ? 'large' : 'small' }]];
    });
    expect(codesOf(found)).toEqual(['unequalMix']);
    expect(found.verdict).toContain('made of different models');
  });

  it('an arm that is cheap since it fails', async () => {
    const { decision } = await compared(
      [300, 300],
      (isTreatment, _, { normal }) => [
        [
          {
            costUsd: (isTreatment ? 1e-4 : 1e-2) * (1 + 0.1 * normal()),
            status: isTreatment ? 'error' : 'ok',
          },
        ],
      ],
      {
        metrics: [
          { of: 'costUsd', role: 'primary' },
          { of: 'success', role: 'guardrail', margin: 0.02 },
        ],
      },
    );
    expect(decision!.outcome).toBe('worse');
  });

  it('an arm that has only beginnings', async () => {
    const found = await compared([50, 50], (isTreatment) => [
      [{ latencyMs: 5 }, {}, isTreatment ? 'ask.stop' : 'ask.start'],
    ]);
    expect(found.warnings.map(({ message }) => message)).toEqual([
      'no events of ask.stop in control: control has 50 others, and beginnings are no observations',
    ]);
    expect(directionsOf(found)).toEqual({});
  });
});

describe('latencies that were cut are told from those of few values', () => {
  it.each<[string, (draw: Draw) => number]>([
    [
      'and 60 % are answered from a cache',
      ({ normal, uniform }) => (uniform() < 0.6 ? 0.4 : Math.min(2000, 900 * Math.exp(0.6 * normal()))),
    ],
    [
      'at two timeouts',
      ({ normal, uniform }) => Math.min(uniform() < 0.5 ? 1000 : 2000, 900 * Math.exp(0.6 * normal())),
    ],
    ['more than half of them', ({ normal }) => Math.min(800, 900 * Math.exp(0.6 * normal()))],
  ])('%s', async (_, latency) => {
    const found = await compared([800, 800], (__, ___, draw) => [[{ latencyMs: latency(draw) }]], LATENCY);
    expect(codesOf(found)).toContain('censored');
    expect(found.metrics.latencyP95!.difference).toBeNull();
  });
});

describe('a difference that is there', () => {
  it.each<[string, number, number, 'better' | 'worse']>([
    ['of negative values', -5, -6, 'worse'],
    ['of large values', 1e15, 1e15 + 1, 'better'],
    ['of values around 0', -0.2, 0.2, 'better'],
  ])('%s', async (_, before, after, direction) => {
    const found = await compared(
      [400, 400],
      (isTreatment, __, { normal }) => score((isTreatment ? after : before) + normal()),
      SCORES,
    );
    expect(directionsOf(found)).toEqual({ score: direction });
    expect(found.metrics.score!.difference).toBeGreaterThan(after - before - 0.35);
    expect(found.metrics.score!.difference).toBeLessThan(after - before + 0.35);
  });

  it('of tiny values', async () => {
    const found = await compared(
      [400, 400],
      (isTreatment, _, { normal }) => score(1e-158 * (isTreatment ? 1.1 : 1) * (1 + 0.2 * normal())),
      SCORES,
    );
    expect(directionsOf(found)).toEqual({ score: 'better' });
    expect(found.metrics.score!.relativePct).toBeGreaterThan(5);
  });
});
