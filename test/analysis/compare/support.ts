/** Arms made of numbers, without an experiment. */

import type { ArmSamples } from '../../../src/analysis/compare/samples.js';
import type { Metrics, ReliabilityStats } from '../../../src/analysis/types.js';
import { describe } from '../../../src/stats/describe.js';
import { quantileOfSorted } from '../../../src/stats/quantile.js';
import { seededNormal, seededUniform } from '../../support/numeric.js';

export interface ArmSpec {
  id?: string;
  name?: string;
  condition?: string;
  latencyMs?: ArrayLike<number>;
  costUsd?: ArrayLike<number>;
  tokens?: ArrayLike<number>;
  successes?: number;
  decided?: number;
  events?: number;
  timeRange?: readonly [number, number] | null;
  bySampleId?: ArmSamples['bySampleId'];
  lost?: ArmSamples['lost'];
}

/** An arm with as many events as its longest list, from 0 s to 100 s. */
export function armOf(name: string, spec: ArmSpec = {}): ArmSamples {
  const [latencyMs, costUsd, tokens] = [spec.latencyMs, spec.costUsd, spec.tokens].map((values) =>
    Float64Array.from(values ?? []),
  );
  const { successes = 0, decided = 0 } = spec;
  const longest = Math.max(latencyMs!.length, costUsd!.length, tokens!.length, decided);
  const { events = longest, timeRange = [0, 100e6], ...rest } = spec;
  const metrics = metricsOf(latencyMs!, costUsd!, events, successes, decided);
  return {
    id: name,
    name,
    condition: name,
    metrics,
    successes,
    decided,
    events,
    timeRange,
    ...rest,
    latencyMs: latencyMs!,
    costUsd: costUsd!,
    tokens: tokens!,
  };
}

function metricsOf(
  latencyMs: Float64Array,
  costUsd: Float64Array,
  totalEvents: number,
  successful: number,
  decidedRequests: number,
): Metrics {
  const latency = describe(latencyMs.filter(Number.isFinite));
  const cost = describe(costUsd.filter(Number.isFinite));
  const sorted = latencyMs.toSorted();
  const at = (p: number) => quantileOfSorted(sorted, p);
  return {
    summary: {
      totalEvents,
      timeRange: { start: null, end: null },
      durationSeconds: 0,
      eventTypes: {},
      wallClockSeconds: 0,
      activeSeconds: 0,
      pausedSeconds: 0,
    },
    latency:
      latency.n === 0
        ? { count: 0 }
        : {
            count: latency.n,
            mean: latency.mean!,
            median: latency.median!,
            stdDev: latency.stdDev,
            stdDevPopulation: latency.stdDevPopulation!,
            min: latency.min!,
            max: latency.max!,
            p50: at(0.5),
            p90: at(0.9),
            p95: at(0.95),
            p99: at(0.99),
            p999: at(0.999),
          },
    cost:
      cost.n === 0
        ? { count: 0, total: 0 }
        : {
            total: cost.sum,
            count: cost.n,
            meanPerRequest: cost.mean!,
            medianPerRequest: cost.median!,
            costPer1kRequests: cost.mean! * 1e3,
            costPer1mRequests: cost.mean! * 1e6,
          },
    reliability:
      decidedRequests === 0
        ? { totalRequests: totalEvents, decidedRequests: 0, successRate: null }
        : ({ decidedRequests, successful, successRate: successful / decidedRequests } as ReliabilityStats),
    tokens: { count: 0 },
    events: {},
  };
}

/** Log-normal values with the given median. */
export function logNormal(n: number, median: number, seed: number, sigma = 0.5): Float64Array {
  const normal = seededNormal(seed);
  return Float64Array.from({ length: n }, () => median * Math.exp(sigma * normal()));
}

/** Zeros and ones. */
export function trials(n: number, rate: number, seed: number): Float64Array {
  const uniform = seededUniform(seed);
  return Float64Array.from({ length: n }, () => (uniform() < rate ? 1 : 0));
}

/** Every number anywhere in a result, with its path. */
export function numbersIn(value: unknown, path = ''): [path: string, value: number][] {
  if (typeof value === 'number') return [[path, value]];
  if (typeof value !== 'object' || value === null) return [];
  return Object.entries(value).flatMap(([key, inner]) => numbersIn(inner, `${path}.${key}`));
}

/** Bytes of all numbers that an object holds, in lists and typed arrays, at any depth; memory shared by views counts once. */
export function heldBytes(value: unknown, seen = new Set<unknown>()): number {
  if (typeof value !== 'object' || value === null || seen.has(value)) return 0;
  seen.add(value);
  if (ArrayBuffer.isView(value)) return heldBytes(value.buffer, seen);
  if (value instanceof ArrayBuffer || value instanceof SharedArrayBuffer) return value.byteLength;
  const own = Array.isArray(value) ? 8 * value.filter((item) => typeof item === 'number').length : 0;
  return Object.values(value).reduce<number>((sum, inner) => sum + heldBytes(inner, seen), own);
}
