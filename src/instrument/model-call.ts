/** One call of a model, from its first attempt to its end, as events of the bus. */
import { execute } from '../capture/channels.js';
import { type ActiveRun, activeRun } from '../capture/context.js';
import { systemClock } from '../clock.js';
import type { Metadata } from '../schema/event.js';
import { Usage } from '../schema/usage.js';
import type { Endpoint } from './endpoints.js';
import { Reply } from './reply.js';

/**
 * How a call has ended: with its answer; with a failure of the provider, the network or a deadline; ended by its
 * caller; left by its caller before the answer was complete; or with an answer that was cut short.
 */
export type CallOutcome = 'ok' | 'error' | 'aborted' | 'abandoned' | 'incomplete';

const START = 'req_llm.request.start';
const STOP = 'req_llm.request.stop';
const EXCEPTION = 'req_llm.request.exception';

export class ModelCall {
  reply = new Reply();
  statusCode: number | null = null;
  /** What a proxy says that the call has cost, USD. */
  costUsd: number | null = null;
  isStream = false;
  attempts = 1;
  readonly #endpoint: Endpoint;
  readonly #model: string | null;
  /** Where the call was made, wherever its answer is read. */
  readonly #run: ActiveRun | undefined;
  readonly #startNs = systemClock.monotonicNs();
  #attemptNs = this.#startNs;
  #ttftMs: number | null = null;
  #chunks = 0;
  #isOver = false;

  /**
   * @param model - as the request names it; null where it does not
   * @param otherwise - where the call belongs if it is made outside of any run
   */
  constructor(endpoint: Endpoint, model: string | null, otherwise: ActiveRun | undefined) {
    this.#run = activeRun.getStore() ?? otherwise;
    this.#endpoint = endpoint;
    this.#model = endpoint.model ?? model;
    this.#emit(START, { systemTime: systemClock.nowUs() }, this.#identity());
  }

  /** Another attempt, after one that has failed. What that one told is of no use. */
  retry(): void {
    this.attempts++;
    this.#attemptNs = systemClock.monotonicNs();
    this.reply = new Reply();
    this.statusCode = null;
    this.#ttftMs = null;
    this.#chunks = 0;
  }

  /** A piece of the answer has come. */
  chunk(): void {
    this.#chunks++;
    this.#ttftMs ??= Number(systemClock.monotonicNs() - this.#startNs) / 1e6;
  }

  /** Since the last attempt began. */
  elapsedMs(): number {
    return Number(systemClock.monotonicNs() - this.#attemptNs) / 1e6;
  }

  /** Emits the call's end. Of several ends the first counts. @param error - the name of what went wrong */
  end(outcome: CallOutcome, error: string | null = null): void {
    if (this.#isOver) return;
    this.#isOver = true;
    const { usage, responseId, finishReason } = this.reply;
    const measurements = {
      duration: systemClock.monotonicNs() - this.#startNs,
      ...(this.isStream ? { chunks: this.#chunks } : null),
    };
    const metadata: Metadata = {
      ...this.#identity(),
      ...(this.reply.model === null ? null : { responseModel: this.reply.model }),
      ...(this.isStream && this.#ttftMs !== null ? { ttftMs: this.#ttftMs } : null),
      ...(usage === null ? null : { usage, ...kindsOf(usage) }),
      ...(this.costUsd === null ? null : { cost: this.costUsd }),
      ...(responseId === null ? null : { responseId }),
      ...(finishReason === null ? null : { finishReason }),
      ...(this.statusCode === null ? null : { statusCode: this.statusCode }),
      stream: this.isStream,
      attempts: this.attempts,
      outcome,
      // A status of 200 says no more than that the answer had begun.
      ...(outcome === 'ok' ? null : { success: false }),
      ...(error === null ? null : { error }),
    };
    this.#emit(outcome === 'error' ? EXCEPTION : STOP, measurements, metadata);
  }

  #identity(): Metadata {
    const { provider, operation, isDeployment } = this.#endpoint;
    const model = isDeployment ? (this.reply.model ?? this.#model) : (this.#model ?? this.reply.model);
    return model === null ? { provider, operation } : { model, provider, operation };
  }

  #emit(event: string, measurements: Record<string, unknown>, metadata: Metadata): void {
    activeRun.run(this.#run, execute, event, measurements, metadata);
  }
}

const counts = new Usage();

/** Tokens that are among the others, as far as they are told. */
function kindsOf(usage: Metadata): Metadata {
  counts.clear();
  counts.addAll(usage, 'usage', { malformed: false, cut: false, malformedKeys: [] });
  counts.settle();
  const kinds = {
    cachedTokens: counts.reported('cached'),
    cacheWriteTokens: counts.reported('cacheWrite'),
    reasoningTokens: counts.reported('reasoning'),
  };
  return Object.fromEntries(Object.entries(kinds).filter(([, tokens]) => tokens !== null));
}
