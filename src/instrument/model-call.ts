/** One call of a model, from its first attempt to its end, as events of the bus. */
import { execute } from '../capture/channels.js';
import { type ActiveRun, activeRun } from '../capture/context.js';
import { systemClock } from '../clock.js';
import type { Metadata } from '../schema/event.js';
import { Usage } from '../schema/usage.js';
import type { Endpoint } from './endpoints.js';
import { claim, type Layer } from './layers.js';
import { Reply } from './reply.js';

/**
 * How a call has ended: with its answer; with a failure of the provider, the network or a deadline; ended by its
 * caller; left by its caller before the answer was complete; or with an answer that was cut short.
 */
export type CallOutcome = 'ok' | 'error' | 'aborted' | 'abandoned' | 'incomplete';

const START = 'req_llm.request.start';
const STOP = 'req_llm.request.stop';
const EXCEPTION = 'req_llm.request.exception';

/** What is called, as far as the caller knows. */
export type Called = Pick<Endpoint, 'model' | 'isDeployment'> & {
  readonly operation: string;
  readonly provider: string | null;
};

export class ModelCall {
  reply = new Reply();
  statusCode: number | null = null;
  /** What a proxy says that the call has cost, USD. */
  costUsd: number | null = null;
  isStream = false;
  attempts = 1;
  /** Further metadata of its end. */
  additions: Metadata | null = null;
  readonly layer: Layer;
  readonly #called: Called;
  readonly #model: string | null;
  /** Where the call was made, wherever its answer is read. */
  readonly #run: ActiveRun | undefined;
  readonly #startNs = systemClock.monotonicNs();
  readonly #startUs = systemClock.nowUs();
  #attemptNs = this.#startNs;
  #ttftMs: number | null = null;
  #chunks = 0;
  #isOver = false;

  /**
   * @param layer - whoever sees the call from its start to its end
   * @param model - as the request names it; null where it does not
   * @param otherwise - where the call belongs if it is made outside of any run
   */
  constructor(layer: Layer, called: Called, model: string | null, otherwise: ActiveRun | undefined) {
    this.layer = layer;
    this.#run = activeRun.getStore() ?? otherwise;
    this.#called = called;
    this.#model = called.model ?? model;
    this.#emit(START, { systemTime: this.#startUs }, this.#identity());
  }

  get isOver(): boolean {
    return this.#isOver;
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

  /** The first piece has come so long after the start, as somebody else has measured it. */
  firstAfter(ttftMs: number): void {
    this.#ttftMs ??= ttftMs;
  }

  /** Since the last attempt began. */
  elapsedMs(): number {
    return Number(systemClock.monotonicNs() - this.#attemptNs) / 1e6;
  }

  /**
   * Emits the call's end. Of several ends the first counts.
   * @param error - the name of what went wrong
   * @param durationMs - where somebody has measured it; default: the time since the start
   */
  end(outcome: CallOutcome, error: string | null = null, durationMs?: number): void {
    if (this.#isOver) return;
    this.#isOver = true;
    const { model, responseId } = this.reply;
    const traits = { responseId, models: [this.#model, model], startUs: this.#startUs };
    if (!claim(this.layer, { ...traits, endUs: systemClock.nowUs() })) return;
    const measurements = {
      duration:
        durationMs === undefined
          ? systemClock.monotonicNs() - this.#startNs
          : BigInt(Math.round(durationMs * 1e6)),
      ...(this.isStream && this.#chunks > 0 ? { chunks: this.#chunks } : null),
    };
    const ttftMs = this.isStream ? this.#ttftMs : null;
    const metadata = {
      ...this.#identity(),
      ...told({ ...this, ttftMs, outcome, error }),
      ...this.additions,
    };
    this.#emit(outcome === 'error' ? EXCEPTION : STOP, measurements, metadata);
  }

  #identity(): Metadata {
    const { provider, operation, isDeployment } = this.#called;
    const model = isDeployment ? (this.reply.model ?? this.#model) : (this.#model ?? this.reply.model);
    return {
      ...(model === null ? null : { model }),
      ...(provider === null ? null : { provider }),
      operation,
    };
  }

  #emit(event: string, measurements: Record<string, unknown>, metadata: Metadata): void {
    activeRun.run(this.#run, execute, event, measurements, metadata);
  }
}

/** A call that a layer hears of when it is over. */
export interface OverCall extends Told {
  readonly called: Called;
  /** µs since the Unix epoch. */
  readonly startUs: number;
  /** Null where nobody has measured it. */
  readonly durationMs: number | null;
  readonly run: ActiveRun | undefined;
  readonly additions?: Metadata;
}

/** Emits the start and the end of a call, unless another layer has. */
export function emitOver(layer: Layer, call: OverCall): void {
  const { called, reply, startUs, durationMs, run, outcome } = call;
  const isTimed = durationMs !== null;
  const endUs = isTimed ? startUs + durationMs * 1000 : systemClock.nowUs();
  const traits = { responseId: reply.responseId, models: [called.model, reply.model], endUs };
  if (!claim(layer, { ...traits, startUs: isTimed ? startUs : Number.NEGATIVE_INFINITY })) return;
  const model = called.model ?? reply.model;
  const { provider, operation } = called;
  const identity = {
    ...(model === null ? null : { model }),
    ...(provider === null ? null : { provider }),
    operation,
  };
  const measurements = durationMs === null ? {} : { duration: Math.round(durationMs * 1e6) };
  const metadata = { ...identity, ...told(call), ...call.additions };
  activeRun.run(run, () => {
    execute(START, { systemTime: startUs }, { ...identity, ...call.additions });
    execute(outcome === 'error' ? EXCEPTION : STOP, measurements, metadata);
  });
}

/** What is known of a call at its end. */
export interface Told {
  readonly reply: Reply;
  readonly statusCode: number | null;
  readonly costUsd: number | null;
  readonly isStream: boolean | null;
  readonly attempts: number | null;
  readonly ttftMs: number | null;
  readonly outcome: CallOutcome;
  readonly error: string | null;
}

function told(call: Told): Metadata {
  const { usage, responseId, finishReason, model } = call.reply;
  return {
    ...(model === null ? null : { responseModel: model }),
    ...(call.ttftMs === null ? null : { ttftMs: call.ttftMs }),
    ...(usage === null ? null : { usage, ...kindsOf(usage) }),
    ...(call.costUsd === null ? null : { cost: call.costUsd }),
    ...(responseId === null ? null : { responseId }),
    ...(finishReason === null ? null : { finishReason }),
    ...(call.statusCode === null ? null : { statusCode: call.statusCode }),
    ...(call.isStream === null ? null : { stream: call.isStream }),
    ...(call.attempts === null ? null : { attempts: call.attempts }),
    outcome: call.outcome,
    // A status of 200 says no more than that the answer had begun.
    ...(call.outcome === 'ok' ? null : { success: false }),
    ...(call.error === null ? null : { error: call.error }),
  };
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
