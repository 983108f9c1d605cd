/** The calls that every peer records: the same values, in the same order, under the same 16 combinations of labels. */
import { type Candidate, random, syntheticCalls } from '../harness.js';

/** A power of two: call i has the values of i & (CALLS - 1). */
export const CALLS = 4096;
export const { latencies, costs } = syntheticCalls(CALLS);

const next = random(2);
export const prompts = Int32Array.from({ length: CALLS }, () => 50 + 2000 * next());
export const completions = Int32Array.from({ length: CALLS }, () => 10 + 500 * next());
export const successes = Array.from({ length: CALLS }, () => next() < 0.95);

export interface Labels {
  readonly event: string;
  readonly model: string;
  readonly provider: string;
}

/** A power of two: call i has the labels of i & (LABELS - 1). */
export const LABELS = 16;
export const labels: readonly Labels[] = Array.from({ length: LABELS }, (_, i) => ({
  event: i < LABELS / 2 ? 'req_llm.request.stop' : 'hedging.request.stop',
  model: `model-${i % 8}`,
  provider: `provider-${i % 4}`,
}));

/** Somebody who can record a call. */
export interface Peer {
  readonly candidate: Candidate;
  /** What can be known of a call afterwards. */
  readonly keeps: string;
  close?(): Promise<unknown> | unknown;
}

/** Where events queue for something that a busy loop never lets run, it is done every so many of them. */
export const QUEUE = 2048;
