/** The demo's experiment: the same questions to a control and to a treatment, side by side, over real HTTP. */

import { setTimeout as delay } from 'node:timers/promises';
import { httpTransport } from './chat-client.js';
import { startChatServer } from './chat-server.js';
import {
  type ClientContext,
  type Emit,
  ensembleClient,
  hedgedClient,
  type QuestionClient,
  singleClient,
} from './clients.js';
import { makeQuestions, type Question } from './questions.js';
import { firstTokenQuantileMs, MODEL_PROFILES, planAnswer } from './traffic.js';

export type Treatment = 'hedged' | 'ensemble';

/** Twenty times as fast as life: an answer of ten seconds takes half a second. */
export const DEFAULT_TIME_SCALE = 0.05;

/** Where the backup leaves: the quantile of the time to first token beyond which a request is called slow. */
export const HEDGE_QUANTILE = 0.85;

/** What an arm needs of an experiment: everything emitted inside `run` is captured by it alone. */
export interface Arm {
  run<T>(fn: () => T): T;
}

export interface DemoOptions {
  control: Arm;
  treatment: Arm;
  /** The bus both arms emit on; their isolation is `run`'s work. */
  emit: Emit;
  strategy: Treatment;
  seed: number;
  /** Questions, each asked in both arms. */
  requests: number;
  /** Questions under way at once, in each arm. */
  concurrency?: number;
  timeScale?: number;
  /** Ends the run early: requests under way are aborted and counted nowhere. */
  signal?: AbortSignal;
  /** After every finished question; the counts go on counting. */
  onProgress?: (counts: DemoCounts) => void;
}

export interface DemoCounts {
  readonly control: Readonly<ArmCounts>;
  readonly treatment: Readonly<ArmCounts>;
}

export interface ArmCounts {
  /** Questions finished: answered + failed. */
  finished: number;
  answered: number;
  failed: number;
  correct: number;
  /** HTTP requests sent beyond one a question. */
  extraRequests: number;
}

export interface DemoResult extends DemoCounts {
  interrupted: boolean;
  elapsedMs: number;
  /** How long a hedged request waits before its backup leaves, as run; null for another treatment. */
  hedgeDelayMs: number | null;
}

const DEFAULT_CONCURRENCY = 12;

/** The arms' draws are independent: the control takes one request seed, a hedged pair the next two. */
const CONTROL_SEED_BASE = 0;
const TREATMENT_SEED_BASE = 1;

/** How long `runDemo` will take, from the control's planned answers: it is the slower arm, or near it. */
export function estimateDemoMs(
  options: Pick<DemoOptions, 'seed' | 'requests' | 'concurrency' | 'timeScale'>,
): number {
  const { seed, requests, concurrency = DEFAULT_CONCURRENCY, timeScale = DEFAULT_TIME_SCALE } = options;
  const plannedMs = makeQuestions(seed, requests).map(({ text }) => {
    const plan = planAnswer(MODEL_PROFILES[0]!, { seed, conversation: text, attempt: CONTROL_SEED_BASE });
    return plan.firstTokenMs + plan.tokensSent * plan.tokenMs;
  });
  const sumMs = plannedMs.reduce((sum, ms) => sum + ms, 0);
  // A list never packs perfectly: at the end, most of the workers wait for the last long answers.
  return timeScale * (sumMs / concurrency + Math.max(0, ...plannedMs) / 3);
}

/** Runs both arms to the end, or to the abort of `signal`; the server is closed either way. */
export async function runDemo(options: DemoOptions): Promise<DemoResult> {
  const { seed, requests, strategy, concurrency = DEFAULT_CONCURRENCY } = options;
  const timeScale = options.timeScale ?? DEFAULT_TIME_SCALE;
  const signal = options.signal ?? new AbortController().signal;
  const questions = makeQuestions(seed, requests);
  const counts = { control: noCounts(), treatment: noCounts() };
  const startedMs = performance.now();
  const server = await startChatServer({ seed, timeScale });

  try {
    const context = (seedBase: number): ClientContext => ({
      transport: httpTransport(server.url),
      emit: options.emit,
      nowMs: () => performance.now(),
      sleep: (ms, stop) => delay(ms, undefined, { signal: stop }),
      seedBase,
    });
    const model = MODEL_PROFILES[0]!;
    const hedgeDelayMs =
      strategy === 'hedged' ? firstTokenQuantileMs(model, HEDGE_QUANTILE) * timeScale : null;
    const treated =
      hedgeDelayMs === null
        ? ensembleClient(context(TREATMENT_SEED_BASE), MODEL_PROFILES)
        : hedgedClient(context(TREATMENT_SEED_BASE), model, hedgeDelayMs);

    const runArm = (arm: Arm, client: QuestionClient, tally: ArmCounts) =>
      arm.run(() =>
        askAll(questions, client, concurrency, signal, tally, () => options.onProgress?.(counts)),
      );
    await Promise.all([
      runArm(options.control, singleClient(context(CONTROL_SEED_BASE), model), counts.control),
      runArm(options.treatment, treated, counts.treatment),
    ]);
    return {
      ...counts,
      interrupted: signal.aborted && Math.min(counts.control.finished, counts.treatment.finished) < requests,
      elapsedMs: performance.now() - startedMs,
      hedgeDelayMs,
    };
  } finally {
    await server.close();
  }
}

/** Asks every question, at most `concurrency` at once; returns early, without throwing, when aborted. */
async function askAll(
  questions: readonly Question[],
  client: QuestionClient,
  concurrency: number,
  signal: AbortSignal,
  tally: ArmCounts,
  onFinished: () => void,
): Promise<void> {
  const queue = questions.values();
  const worker = async () => {
    for (const question of queue) {
      if (signal.aborted) return;
      try {
        const { answered, correct, extraRequests } = await client(question, signal);
        tally.finished++;
        tally[answered ? 'answered' : 'failed']++;
        tally.correct += Number(correct);
        tally.extraRequests += extraRequests;
      } catch (error) {
        if (signal.aborted) return;
        throw error;
      }
      onFinished();
    }
  };
  await Promise.all(Array.from({ length: Math.min(concurrency, questions.length) }, worker));
}

function noCounts(): ArmCounts {
  return { finished: 0, answered: 0, failed: 0, correct: 0, extraRequests: 0 };
}
