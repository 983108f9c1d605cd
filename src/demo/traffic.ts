/**
 * What the demo's server will do with a request: how long, how many tokens, and whether it fails.
 *
 * The shapes are fitted to two public traces; the numbers stand here so that the demo needs no data file.
 * - llmperf: ray-project/llmperf-leaderboard, raw_data/individual (Apache-2.0), successful requests only.
 * - Azure: AzurePublicDataset, AzureLLMInferenceTrace_conv, November 2023 (CC-BY 4.0; Splitwise, ISCA '24).
 * Accuracies and prices are the demo's own: no trace has them.
 */

import { Random } from './random.js';

/** A log-normal body with a share of slow starts. Times in ms of the modelled service, before scaling. */
export interface FirstTokenShape {
  medianMs: number;
  sigma: number;
  /** Probability that a request meets a cold or busy replica and is drawn from the slow part. */
  slowShare: number;
  slowMedianMs: number;
  slowSigma: number;
  /** Nothing in the trace was slower; keeps one draw from deciding the length of the demo. */
  maxMs: number;
}

export interface ModelProfile {
  id: string;
  firstToken: FirstTokenShape;
  token: { medianMs: number; sigma: number };
  /** Probabilities, of all requests. `dropped` closes the connection in the middle of the answer. */
  failures: { rateLimited: number; serverError: number; dropped: number };
  /** Probability that the model knows the answer to a question. */
  accuracy: number;
  /** USD per million tokens. */
  price: { prompt: number; completion: number };
}

export const PROVIDER = 'loopback';

/**
 * Failure rates lie between the trace's quiet providers (perplexity 1.3 %, together 0.7 %) and its busy ones
 * (bedrock 33 %, lepton 87 %), nearer to the quiet ones.
 */
export const MODEL_PROFILES: readonly ModelProfile[] = [
  {
    // First token: replicate llama2-70b, 145 requests, 22 of them above twice the median (1.19 s), up to 72 s.
    // Tokens: perplexity llama2-70b, 148 requests.
    id: 'demo-70b',
    firstToken: {
      medianMs: 1252,
      sigma: 0.24,
      slowShare: 0.15,
      slowMedianMs: 19_360,
      slowSigma: 0.79,
      maxMs: 72_000,
    },
    token: { medianMs: 30.5, sigma: 0.1 },
    failures: { rateLimited: 0.03, serverError: 0.015, dropped: 0.01 },
    accuracy: 0.9,
    price: { prompt: 0.9, completion: 0.9 },
  },
  {
    // together llama2-13b, 149 requests, 4 of them slow.
    id: 'demo-13b',
    firstToken: {
      medianMs: 532,
      sigma: 0.16,
      slowShare: 0.027,
      slowMedianMs: 12_800,
      slowSigma: 1,
      maxMs: 72_000,
    },
    token: { medianMs: 6.4, sigma: 0.11 },
    failures: { rateLimited: 0.02, serverError: 0.01, dropped: 0.007 },
    accuracy: 0.82,
    price: { prompt: 0.3, completion: 0.3 },
  },
  {
    // together llama2-7b, 150 requests; none slow in the trace.
    id: 'demo-7b',
    firstToken: {
      medianMs: 566,
      sigma: 0.23,
      slowShare: 0,
      slowMedianMs: 566,
      slowSigma: 0,
      maxMs: 72_000,
    },
    token: { medianMs: 9.9, sigma: 0.13 },
    failures: { rateLimited: 0.013, serverError: 0.005, dropped: 0.007 },
    accuracy: 0.75,
    price: { prompt: 0.2, completion: 0.2 },
  },
];

/** Quantiles of 19,366 Azure conversations as [probability, tokens]; the tops are cut at the 99th percentile. */
const PROMPT_TOKEN_QUANTILES: QuantileTable = [
  [0, 2],
  [0.01, 29],
  [0.05, 181],
  [0.25, 396],
  [0.5, 1020],
  [0.75, 1189],
  [0.9, 2734],
  [0.95, 4083],
  [1, 4142],
];
const COMPLETION_TOKEN_QUANTILES: QuantileTable = [
  [0, 7],
  [0.01, 16],
  [0.05, 41],
  [0.25, 85],
  [0.5, 129],
  [0.6, 177],
  [0.75, 395],
  [0.9, 424],
  [0.95, 451],
  [1, 601],
];

type QuantileTable = readonly (readonly [probability: number, value: number])[];

export type Outcome = 'ok' | 'rate_limited' | 'server_error' | 'dropped';

export interface AnswerPlan {
  outcome: Outcome;
  /** Until the first token, or until the refusal, in ms before scaling. */
  firstTokenMs: number;
  tokenMs: number;
  promptTokens: number;
  completionTokens: number;
  /** Tokens sent before a dropped connection; otherwise all of them. */
  tokensSent: number;
  correct: boolean;
}

export interface AnswerKey {
  seed: number;
  /** The conversation, as text: token counts and correctness hang on it alone. */
  conversation: string;
  /** Tells repetitions of one question apart: times and failures are drawn anew for each. */
  attempt: number;
}

/** The plan for one request; a pure function of its arguments. */
export function planAnswer(profile: ModelProfile, key: AnswerKey): AnswerPlan {
  const size = new Random(key.seed, 'size', key.conversation);
  const knowledge = new Random(key.seed, 'knowledge', key.conversation, profile.id);
  const fate = new Random(key.seed, 'fate', key.conversation, profile.id, key.attempt);

  const promptTokens = Math.round(fromQuantiles(PROMPT_TOKEN_QUANTILES, size.uniform()));
  const completionTokens = Math.round(fromQuantiles(COMPLETION_TOKEN_QUANTILES, size.uniform()));
  const outcome = drawOutcome(profile, fate.uniform());
  const tokensSent =
    outcome === 'dropped'
      ? Math.floor(fate.uniform() * completionTokens)
      : outcome === 'ok'
        ? completionTokens
        : 0;
  // A refusal comes before any work is done, so in a fraction of the time an answer takes.
  const waitShare = outcome === 'rate_limited' || outcome === 'server_error' ? 0.1 : 1;
  return {
    outcome,
    firstTokenMs: drawFirstTokenMs(profile.firstToken, fate) * waitShare,
    tokenMs: fate.logNormal(profile.token.medianMs, profile.token.sigma),
    promptTokens,
    completionTokens,
    tokensSent,
    correct: knowledge.uniform() < profile.accuracy,
  };
}

/**
 * A quantile of a model's time to first token, in ms before scaling, as an operator would read it off
 * yesterday's traffic: from 4,000 draws that are no part of the experiment.
 */
export function firstTokenQuantileMs(profile: ModelProfile, probability: number): number {
  const random = new Random(0, 'yesterday', profile.id);
  const draws = Float64Array.from({ length: 4000 }, () =>
    drawFirstTokenMs(profile.firstToken, random),
  ).sort();
  return draws[Math.round(probability * (draws.length - 1))]!;
}

function drawFirstTokenMs(shape: FirstTokenShape, random: Random): number {
  const slow = random.uniform() < shape.slowShare;
  const drawn = slow
    ? random.logNormal(shape.slowMedianMs, shape.slowSigma)
    : random.logNormal(shape.medianMs, shape.sigma);
  return Math.min(drawn, shape.maxMs);
}

function drawOutcome(profile: ModelProfile, u: number): Outcome {
  const { rateLimited, serverError, dropped } = profile.failures;
  if (u < rateLimited) return 'rate_limited';
  if (u < rateLimited + serverError) return 'server_error';
  return u < rateLimited + serverError + dropped ? 'dropped' : 'ok';
}

/** Inverts a distribution given by quantiles, linear between them. */
function fromQuantiles(table: QuantileTable, u: number): number {
  const next = table.findIndex(([probability]) => probability > u);
  const [p0, v0] = table[next - 1]!;
  const [p1, v1] = table[next]!;
  return v0 + ((u - p0) / (p1 - p0)) * (v1 - v0);
}
