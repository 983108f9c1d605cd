/** One call of a model, from its first attempt to its end, as events of the bus. */
import { execute, isHeard } from '../capture/channels.js';
import { type ActiveRun, activeRun } from '../capture/context.js';
import { systemClock } from '../clock.js';
import type { Metadata } from '../schema/event.js';
import { Usage } from '../schema/usage.js';
import type { Content } from './content.js';
import type { Endpoint } from './endpoints.js';
import { type CallTraits, claim, type Layer } from './layers.js';
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
  reply: Reply;
  /** What was sent, where content is wanted: a body, or messages. */
  prompt: unknown = null;
  statusCode: number | null = null;
  /** What a proxy says that the call has cost, USD. */
  costUsd: number | null = null;
  isStream = false;
  attempts = 1;
  /** Further metadata of its end. */
  additions: Metadata | null = null;
  readonly layer: Layer;
  readonly #content: Content | null;
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
   * @param content - where it is wanted
   */
  constructor(
    layer: Layer,
    called: Called,
    model: string | null,
    otherwise: ActiveRun | undefined,
    content: Content | null = null,
  ) {
    this.layer = layer;
    this.#content = content;
    this.reply = this.#newReply();
    this.#run = activeRun.getStore() ?? otherwise;
    this.#called = called;
    this.#model = called.model ?? model;
    if (isHeard(START)) this.#emit(START, { systemTime: this.#startUs }, this.#identity());
  }

  #newReply(): Reply {
    return new Reply(this.#content?.newReply() ?? null);
  }

  get wantsContent(): boolean {
    return this.#content !== null;
  }

  get isOver(): boolean {
    return this.#isOver;
  }

  /** Another attempt, after one that has failed. What that one told is of no use. */
  retry(): void {
    this.attempts++;
    this.#attemptNs = systemClock.monotonicNs();
    this.reply = this.#newReply();
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
    if (!claim(this.layer, this.#traits())) return;
    const measurements: Record<string, unknown> = {
      duration:
        durationMs === undefined
          ? systemClock.monotonicNs() - this.#startNs
          : BigInt(Math.round(durationMs * 1e6)),
    };
    if (this.isStream && this.#chunks > 0) measurements.chunks = this.#chunks;
    const metadata = this.#identity();
    tell(metadata, this, this.isStream ? this.#ttftMs : null, outcome, error);
    if (this.additions !== null) Object.assign(metadata, this.additions);
    this.#content?.tell(
      metadata,
      aboutOf(this.#called.provider, metadata.model),
      this.prompt,
      this.reply.words,
    );
    this.#emit(outcome === 'error' ? EXCEPTION : STOP, measurements, metadata);
  }

  #traits(): CallTraits {
    const { model, responseId } = this.reply;
    const endUs = systemClock.nowUs();
    return { responseId, model: this.#model, responseModel: model, startUs: this.#startUs, endUs };
  }

  #identity(): Record<string, unknown> {
    const { provider, operation, isDeployment } = this.#called;
    const model = isDeployment ? (this.reply.model ?? this.#model) : (this.#model ?? this.reply.model);
    return identityOf(model, provider, operation);
  }

  #emit(event: string, measurements: Record<string, unknown>, metadata: Metadata): void {
    inRun(this.#run, () => execute(event, measurements, metadata));
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
  /** Where it is wanted; and what was sent. */
  readonly content?: Content | null;
  readonly prompt?: unknown;
  readonly ttftMs: number | null;
  readonly outcome: CallOutcome;
  readonly error: string | null;
}

/** Emits the start and the end of a call, unless another layer has. @returns whether it has done so */
export function emitOver(layer: Layer, call: OverCall): boolean {
  const { called, reply, startUs, durationMs, run } = call;
  const isTimed = durationMs !== null;
  const traits = {
    responseId: reply.responseId,
    model: called.model,
    responseModel: reply.model,
    startUs: isTimed ? startUs : Number.NEGATIVE_INFINITY,
    endUs: isTimed ? startUs + durationMs * 1000 : systemClock.nowUs(),
  };
  if (!claim(layer, traits)) return false;
  inRun(run, () => emitBoth(call));
  return true;
}

/** Most calls end in the run that they were made in. */
function inRun(run: ActiveRun | undefined, emit: () => void): void {
  if (activeRun.getStore() === run) emit();
  else activeRun.run(run, emit);
}

function emitBoth(call: OverCall): void {
  const { called, reply, startUs, durationMs, additions, content, prompt } = call;
  const model = called.model ?? reply.model;
  if (isHeard(START)) {
    const identity = identityOf(model, called.provider, called.operation);
    execute(START, { systemTime: startUs }, Object.assign(identity, additions));
  }
  const metadata = identityOf(model, called.provider, called.operation);
  tell(metadata, call, call.ttftMs, call.outcome, call.error);
  Object.assign(metadata, additions);
  content?.tell(metadata, aboutOf(called.provider, model), prompt, reply.words);
  const measurements = durationMs === null ? {} : { duration: Math.round(durationMs * 1e6) };
  execute(call.outcome === 'error' ? EXCEPTION : STOP, measurements, metadata);
}

/** What is known of a call at its end. */
export interface Told {
  readonly reply: Reply;
  readonly statusCode: number | null;
  readonly costUsd: number | null;
  readonly isStream: boolean | null;
  readonly attempts: number | null;
}

// What follows adds keys one after the other: calls of a kind then share the shape of their metadata, and whoever
// reads them is quick with those.

function identityOf(
  model: string | null,
  provider: string | null,
  operation: string,
): Record<string, unknown> {
  const identity: Record<string, unknown> = {};
  if (model !== null) identity.model = model;
  if (provider !== null) identity.provider = provider;
  identity.operation = operation;
  return identity;
}

function tell(
  metadata: Record<string, unknown>,
  { reply, statusCode, costUsd, isStream, attempts }: Told,
  ttftMs: number | null,
  outcome: CallOutcome,
  error: string | null,
): void {
  const { usage, responseId, finishReason, model } = reply;
  if (model !== null) metadata.responseModel = model;
  if (ttftMs !== null) metadata.ttftMs = ttftMs;
  if (usage !== null) {
    metadata.usage = usage;
    tellKinds(metadata, usage);
  }
  if (costUsd !== null) metadata.cost = costUsd;
  if (responseId !== null) metadata.responseId = responseId;
  if (finishReason !== null) metadata.finishReason = finishReason;
  if (statusCode !== null) metadata.statusCode = statusCode;
  if (isStream !== null) metadata.stream = isStream;
  if (attempts !== null) metadata.attempts = attempts;
  metadata.outcome = outcome;
  // A status of 200 says no more than that the answer had begun.
  if (outcome !== 'ok') metadata.success = false;
  if (error !== null) metadata.error = error;
}

function aboutOf(provider: string | null, model: unknown) {
  return { provider, model: typeof model === 'string' ? model : null, tool: null };
}

const counts = new Usage();
/** What of them is malformed is found again when the event is enriched. */
const unread = { malformed: false, cut: false, malformedKeys: [] };

/** Tokens that are among the others, as far as they are told. */
function tellKinds(metadata: Record<string, unknown>, usage: Metadata): void {
  counts.clear();
  counts.addAll(usage, 'usage', unread);
  counts.settle();
  const cached = counts.reported('cached');
  if (cached !== null) metadata.cachedTokens = cached;
  const cacheWrite = counts.reported('cacheWrite');
  if (cacheWrite !== null) metadata.cacheWriteTokens = cacheWrite;
  const reasoning = counts.reported('reasoning');
  if (reasoning !== null) metadata.reasoningTokens = reasoning;
}
