/**
 * A fetch that sees the calls of models that pass through it.
 *
 * Requests and answers are those of the fetch underneath: same promises, same objects, same bytes, in the same order
 * and at the same pace. What becomes of an answer is seen from its consumption (capture/results). Whatever goes wrong
 * here costs the call its event, is counted and warned of once, and never reaches the caller.
 */
import type { ActiveRun } from '../capture/context.js';
import { type ResultObserver, watch } from '../capture/results/watch.js';
import { isAbort } from '../capture/results/watchable.js';
import { type BodyReader, bodyReader, isStreamType, parsed } from './body.js';
import { type Content, type ContentOptions, contentOf } from './content.js';
import { Endpoints } from './endpoints.js';
import { errorName } from './error-name.js';
import { guarded } from './guard.js';
import { activeCall } from './layers.js';
import { ModelCall } from './model-call.js';
import { modelIn, type Sent, sent } from './request.js';
import { retries } from './retries.js';

export interface FetchTapOptions {
  /** Hosts of models beside the known ones, each `host` or `host:port`. */
  readonly hosts?: readonly string[] | undefined;
  /**
   * Whether what is said is stored, and how: the messages of requests and the text of answers. Default: nothing of it.
   */
  readonly content?: boolean | ContentOptions | undefined;
  /** @internal Where calls belong that are made outside of any run; default: to every experiment that listens. */
  readonly run?: ActiveRun | undefined;
}

/** Marks a fetch that is tapped: one is enough. */
const TAPPED = Symbol.for('crucible-telemetry.tapped');

export function isTapped(fetch: typeof globalThis.fetch): boolean {
  return TAPPED in fetch;
}

/**
 * @param underneath - called with the caller's own arguments
 * @returns a fetch with the same name and length; the same one where it is tapped already
 */
export function tapFetch(underneath: typeof fetch, options: FetchTapOptions = {}): typeof fetch {
  const { hosts = [], run } = options;
  const content = contentOf(options.content);
  if (isTapped(underneath)) return underneath;
  const endpoints = new Endpoints(hosts);
  const tapped = function fetch(
    this: unknown,
    ...args: Parameters<typeof globalThis.fetch>
  ): Promise<Response> {
    const call = guarded(() => begin(endpoints, run, content, args), null);
    if (call === null) return Reflect.apply(underneath, this, args) as Promise<Response>;
    // What is underneath is part of the call.
    const answer = activeCall.run(
      call.call,
      () => Reflect.apply(underneath, this, args) as Promise<Response>,
    );
    return guarded(() => watch(answer, call, underneath), answer);
  };
  Object.defineProperties(tapped, {
    name: { value: underneath.name },
    length: { value: underneath.length },
    [TAPPED]: { value: true },
  });
  return tapped;
}

function begin(
  endpoints: Endpoints,
  run: ActiveRun | undefined,
  content: Content | null,
  args: Parameters<typeof fetch>,
): Attempt | null {
  const request = sent(args);
  if (request.method !== 'POST') return null;
  const endpoint = endpoints.of(request.url);
  if (endpoint === null) return null;
  const outer = activeCall.getStore();
  if (outer !== undefined && !outer.isOver) {
    // Another tap sees it already.
    return outer.layer === 'fetch' ? null : new Attempt(outer, request, true);
  }
  const call =
    retries.resume(request) ?? new ModelCall('fetch', endpoint, modelIn(request.body), run, content);
  return new Attempt(call, request, false);
}

/** One request of a call, and what becomes of its answer. */
class Attempt implements ResultObserver {
  readonly call: ModelCall;
  readonly #request: Sent;
  /** The call is a framework's, which tries again as it likes, and says when it has failed. */
  readonly #isInner: boolean;
  #body: BodyReader | undefined;
  #hasBytes = false;
  #hasArrived = false;
  /** What a refusal asks for. */
  #retryAfterS = Number.NaN;

  constructor(call: ModelCall, request: Sent, isInner: boolean) {
    this.call = call;
    this.#request = request;
    this.#isInner = isInner;
    if (call.wantsContent) call.prompt ??= request.body;
  }

  arrived(response: unknown): void {
    guarded(() => {
      const { status, headers } = response as Response;
      const type = headers.get('content-type');
      const call = this.call;
      call.statusCode = status;
      call.isStream = isStreamType(type);
      const cost = Number(headers.get('x-litellm-response-cost') ?? Number.NaN);
      if (Number.isFinite(cost)) call.costUsd = cost;
      this.#body = bodyReader(type, call.reply);
      this.#hasArrived = true;
      if (status >= 400) this.#retryAfterS = retryAfterS(headers);
    }, undefined);
  }

  chunk(value: unknown): void {
    guarded(() => {
      this.call.chunk();
      if (!(value instanceof Uint8Array)) return;
      this.#take(value);
      // What a provider calls the end is one, whether somebody reads on or not.
      if (this.call.isStream && this.call.reply.isComplete) this.#concluded();
    }, undefined);
  }

  /** Chunks of an answer that is none in pieces say nothing. */
  wantsWhole(): boolean {
    return !this.call.isStream;
  }

  /** A method of the answer has read its body, or the runtime has, past its stream. */
  read(value: unknown): void {
    guarded(() => {
      if (this.#hasBytes) return;
      if (typeof value === 'string') this.#takeText(value);
      else if (value instanceof ArrayBuffer) this.#take(new Uint8Array(value));
      else if (value instanceof Uint8Array) this.#take(value);
      else this.call.reply.take(value);
    }, undefined);
  }

  #take(bytes: Uint8Array): void {
    this.#hasBytes = true;
    this.#body?.take(bytes);
  }

  #takeText(text: string): void {
    if (this.call.isStream) this.#take(Buffer.from(text));
    else this.call.reply.take(parsed(text));
  }

  completed(): void {
    guarded(() => {
      this.#body?.end();
      this.#concluded();
    }, undefined);
  }

  /** The answer is all there. */
  #concluded(): void {
    const call = this.call;
    const { reply, statusCode, isStream } = call;
    if (statusCode !== null && statusCode >= 400) {
      const error = reply.error ?? `http_${statusCode}`;
      if (this.#request.isRepeated && isTriedAgain(statusCode)) this.#hold(error);
      else this.#fail(error);
    } else if (reply.error !== null) this.#fail(reply.error);
    else if (reply.isCut) call.end('incomplete');
    else if (!isStream || reply.isComplete || reply.finishReason !== null) call.end('ok');
    else call.end('incomplete');
  }

  abandoned(): void {
    guarded(() => {
      const { statusCode } = this.call;
      if (statusCode !== null && statusCode >= 400) {
        // An SDK lets a refusal go unread when it is about to try again.
        this.#hold(`http_${statusCode}`);
      } else this.call.end(this.#request.signal?.aborted === true ? 'aborted' : 'abandoned');
    }, undefined);
  }

  forgotten(): void {
    this.abandoned();
  }

  failed(error: unknown): void {
    // An answer that has come, and is no JSON, is one.
    if (error instanceof SyntaxError && this.#hasArrived && this.wantsWhole()) {
      this.completed();
      return;
    }
    guarded(() => {
      const isTimeout = isAbort(error) && this.call.elapsedMs() >= this.#request.timeoutMs;
      const name = isTimeout ? 'timeout' : errorName(error);
      if (isAbort(error) && !isTimeout) this.call.end('aborted');
      else if (!this.#hasArrived) this.#hold(name);
      else this.#fail(name);
    }, undefined);
  }

  #fail(error: string): void {
    if (this.#isInner) this.call.reply.error ??= error;
    else this.call.end('error', error);
  }

  /** The next attempt may follow; if none does, this was the call's end. */
  #hold(error: string): void {
    if (this.#isInner) {
      this.#fail(error);
      return;
    }
    retries.hold(this.#request, this.call, error, this.#retryAfterS);
  }
}

/** Whether the AI SDK tries again after an answer of this status. */
function isTriedAgain(status: number): boolean {
  return status === 408 || status === 409 || status === 429 || status >= 500;
}

function retryAfterS(headers: Headers): number {
  const milliseconds = Number(headers.get('retry-after-ms') ?? Number.NaN);
  return Number(headers.get('retry-after') ?? milliseconds / 1000);
}
