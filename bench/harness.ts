/**
 * How everything here is timed: candidates take turns in many short rounds, and each one's minimum counts.
 *
 * The machine may be throttled from outside at any time; a minimum over interleaved rounds is what survives that,
 * and only ratios between candidates of one run mean something. A round's result is consumed.
 */

/** One timed piece of work: runs `operations` of them and returns something that depends on all. */
export interface Candidate {
  readonly name: string;
  readonly operations: number;
  run(): number;
}

export interface Timing {
  readonly name: string;
  /** Best round, nanoseconds an operation. */
  readonly ns: number;
}

export interface Row {
  readonly name: string;
  /** As it should be read, such as "7.1 ns". */
  readonly value: string;
  /** What it is compared with, such as "2.1 × stores only". */
  readonly against: string;
  readonly bound: string;
  /** Undefined where there is nothing to hold: a peer, a floor. */
  readonly holds?: boolean;
}

export interface Bench {
  readonly question: string;
  /** What is not measured. */
  readonly not?: string;
  rows(scale: Scale): Promise<Row[]> | Row[];
}

/** Full for figures, smoke for the tests: the same code, tiny. */
export interface Scale {
  readonly smoke: boolean;
  readonly rounds: number;
  /** Operations of a round for quick things. */
  readonly operations: number;
}

export const FULL: Scale = { smoke: false, rounds: 40, operations: 1 << 20 };
export const SMOKE: Scale = { smoke: true, rounds: 2, operations: 1 << 12 };

let sink = 0;

/** What all results added up to; printed, so that no work can be optimised away. */
export function consumed(): number {
  return sink;
}

/** Times the candidates in turns. */
export function time(candidates: readonly Candidate[], { rounds }: Scale): Timing[] {
  const best = candidates.map(() => Number.POSITIVE_INFINITY);
  for (let round = 0; round < rounds; round++) {
    candidates.forEach((candidate, i) => {
      const start = process.hrtime.bigint();
      sink += candidate.run();
      const ns = Number(process.hrtime.bigint() - start) / candidate.operations;
      if (ns < best[i]) best[i] = ns;
    });
  }
  return candidates.map(({ name }, i) => ({ name, ns: best[i] }));
}

/** Milliseconds of the quickest of several runs. */
export async function best(rounds: number, run: () => Promise<unknown>): Promise<number> {
  let least = Number.POSITIVE_INFINITY;
  for (let round = 0; round < rounds; round++) {
    const start = performance.now();
    await run();
    least = Math.min(least, performance.now() - start);
  }
  return least;
}

export function nsText(ns: number): string {
  return ns < 100 ? `${ns.toFixed(1)} ns` : ns < 1e6 ? `${Math.round(ns)} ns` : `${(ns / 1e6).toFixed(1)} ms`;
}

/** A figure held against a multiple of another of the same run. */
export function ratioRow(timing: Timing, base: Timing, limit: number | undefined): Row {
  const ratio = timing.ns / base.ns;
  return {
    name: timing.name,
    value: nsText(timing.ns),
    against: `${ratio.toFixed(2)} × ${base.name}`,
    bound: limit === undefined ? '' : `≤ ${limit} ×`,
    ...(limit === undefined ? {} : { holds: ratio <= limit }),
  };
}

/** A figure with nothing to hold, such as a floor or a peer. */
export function plainRow(timing: Timing, against = ''): Row {
  return { name: timing.name, value: nsText(timing.ns), against, bound: '' };
}

/** The same pseudo-random numbers in every run (mulberry32), in [0, 1). */
export function random(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
}

/** Log-normal latencies in ms and costs in USD, as language models have them. */
export function syntheticCalls(count: number, seed = 1): { latencies: Float64Array; costs: Float64Array } {
  const next = random(seed);
  const normal = () => Math.sqrt(-2 * Math.log(1 - next())) * Math.cos(2 * Math.PI * next());
  const latencies = Float64Array.from({ length: count }, () => Math.exp(6 + 0.6 * normal()));
  const costs = Float64Array.from({ length: count }, () => Math.exp(-6 + 0.4 * normal()));
  return { latencies, costs };
}
