/**
 * Calls of models by `node:http`, `node:http2` and npm's undici, as their channels tell of them: latency and status, since they
 * pass no bodies. None is imported; what fetch does by its own undici is the tap's to see.
 */
import { subscribe, unsubscribe } from 'node:diagnostics_channel';
import type { ClientRequest, IncomingMessage } from 'node:http';
import type { ClientHttp2Stream, IncomingHttpHeaders } from 'node:http2';
import { type ActiveRun, activeRun } from '../capture/context.js';
import { defersEvents } from '../capture/deferred.js';
import { systemClock } from '../clock.js';
import type { Endpoint, Endpoints } from './endpoints.js';
import { errorName } from './error-name.js';
import { isTapped } from './fetch-tap.js';
import { guarded } from './guard.js';
import { activeCall } from './layers.js';
import { type CallOutcome, emitOver } from './model-call.js';
import { Reply } from './reply.js';

interface UndiciRequest {
  readonly method: string;
  readonly origin: string | URL;
  readonly path: string;
  /** Names and values, one after the other. */
  readonly headers?: unknown;
  readonly aborted?: boolean;
}

interface Message {
  readonly request: object;
  readonly response?: { readonly statusCode?: number };
  readonly error?: unknown;
  /** Of HTTP/2, in the place of the request. */
  readonly stream: ClientHttp2Stream;
  readonly headers: IncomingHttpHeaders;
}

type Listener = (message: Message) => void;

/** By channel. */
type Listeners = Readonly<Record<string, Listener>>;

/** @returns what ends it */
export function listenToHttp(
  source: 'http' | 'undici',
  endpoints: Endpoints,
  run: ActiveRun | undefined,
): () => void {
  const calls = new OpenCalls(endpoints, run);
  const listeners =
    source === 'http' ? { ...httpListeners(calls), ...http2Listeners(calls) } : undiciListeners(calls);
  const ends = Object.entries(listeners).map(([channel, listener]) => {
    const safely = (message: unknown) => guarded(() => listener(message as Message), undefined);
    subscribe(channel, safely);
    return () => unsubscribe(channel, safely);
  });
  return () => {
    for (const end of ends) end();
    tellAll();
  };
}

/** So long another layer, which knows more of the call, may tell of it before it is told of here. */
const GRACE_MS = 250;

interface Open {
  readonly endpoint: Endpoint;
  readonly run: ActiveRun | undefined;
  readonly startUs: number;
  /** Whether a fetch has made it, and not undici's or Node's own requests. */
  readonly isFetch: boolean;
  statusCode: number | null;
}

class OpenCalls {
  readonly #endpoints: Endpoints;
  readonly #otherwise: ActiveRun | undefined;
  readonly #calls = new WeakMap<object, Open>();

  constructor(endpoints: Endpoints, otherwise: ActiveRun | undefined) {
    this.#endpoints = endpoints;
    this.#otherwise = otherwise;
  }

  /** @param urlOf - asked only where it matters: every request of the process passes here */
  begin(request: object, method: string, urlOf: () => string, isFetch = false): void {
    if (method !== 'POST') return;
    const outer = activeCall.getStore();
    if (outer !== undefined && !outer.isOver) return;
    const endpoint = this.#endpoints.of(urlOf());
    if (endpoint === null) return;
    const run = activeRun.getStore() ?? this.#otherwise;
    this.#calls.set(request, { endpoint, run, startUs: systemClock.nowUs(), isFetch, statusCode: null });
  }

  /** @returns whether it is a call of a model */
  answered(request: object, statusCode: number | undefined): boolean {
    const open = this.#calls.get(request);
    if (open !== undefined) open.statusCode = statusCode ?? null;
    return open !== undefined;
  }

  isUnanswered(request: object): boolean {
    return this.#calls.get(request)?.statusCode === null;
  }

  /** The answer is all there. */
  completed(request: object): void {
    const statusCode = this.#calls.get(request)?.statusCode ?? null;
    if (statusCode !== null && statusCode >= 400) this.#end(request, 'error', `http_${statusCode}`);
    else this.#end(request, 'ok', null);
  }

  left(request: object, isAborted: boolean): void {
    this.#end(request, isAborted ? 'aborted' : 'abandoned', null);
  }

  failed(request: object, error: unknown): void {
    this.#end(request, 'error', errorName(error));
  }

  #end(request: object, outcome: CallOutcome, error: string | null): void {
    const open = this.#calls.get(request);
    if (open === undefined) return;
    this.#calls.delete(request);
    const { endpoint: called, run, startUs, isFetch, statusCode } = open;
    const durationMs = (systemClock.nowUs() - startUs) / 1000;
    const unknown = { costUsd: null, isStream: null, attempts: null, ttftMs: null };
    later(() => {
      const isCounted = emitOver('http', {
        called,
        run,
        startUs,
        durationMs,
        statusCode,
        outcome,
        error,
        reply: new Reply(),
        ...unknown,
      });
      if (isCounted && isFetch && isTapped(globalThis.fetch)) warnOfUntapped(called);
    });
  }
}

let hasWarned = false;

/** The global fetch is tapped, and another has called: the client took it before. */
function warnOfUntapped({ provider }: Endpoint): void {
  if (hasWarned) return;
  hasWarned = true;
  process.emitWarning(
    `a client of ${provider} has a fetch that is not tapped: of its calls the latency and the status are seen, and no ` +
      'tokens or cost. Make it after instrument(), or give it { fetch: crucibleFetch() }.',
    { type: 'CrucibleWarning', code: 'CRUCIBLE_INSTRUMENTATION' },
  );
}

/** What is to be told later, with what does so. */
const waiting = new Map<() => void, NodeJS.Timeout>();
let isListening = false;

function later(tell: () => void): void {
  const timer = setTimeout(() => {
    waiting.delete(tell);
    guarded(tell, undefined);
  }, GRACE_MS).unref();
  waiting.set(tell, timer);
  if (isListening) return;
  isListening = true;
  defersEvents(tellAll);
  // Before experiments see to their own end.
  process.prependListener('exit', tellAll);
}

/** Tells what waits, now. */
function tellAll(): void {
  for (const [tell, timer] of waiting) {
    clearTimeout(timer);
    guarded(tell, undefined);
  }
  waiting.clear();
}

function httpListeners(calls: OpenCalls): Listeners {
  return {
    'http.client.request.start': ({ request }) => {
      const { method, protocol, host, path } = request as ClientRequest;
      const named = () => String((request as ClientRequest).getHeader('host') ?? host);
      calls.begin(request, method, () => `${protocol}//${named()}${path}`);
    },
    // It is said when the headers are there.
    'http.client.response.finish': ({ request, response }) => {
      const message = response as IncomingMessage;
      if (!calls.answered(request, message.statusCode)) return;
      message.once('close', () => {
        if (message.readableEnded) calls.completed(request);
        else if (message.errored) calls.failed(request, message.errored);
        else calls.left(request, false);
      });
    },
    'http.client.request.error': ({ request, error }) => {
      const { destroyed } = request as ClientRequest;
      const { code, name } = (error ?? {}) as NodeJS.ErrnoException;
      // Destroyed without a reason by its caller, Node says that the peer has hung up.
      if (name === 'AbortError' || (destroyed && code === undefined)) calls.left(request, true);
      else calls.failed(request, error);
    },
  };
}

/** How a stream of HTTP/2 was ended: in peace, or by its caller. */
const [NO_ERROR, CANCEL] = [0, 8];

/** Of Node 22 and later: earlier ones say nothing of HTTP/2. */
function http2Listeners(calls: OpenCalls): Listeners {
  return {
    'http2.client.stream.created': ({ stream, headers }) => {
      const { ':method': method, ':scheme': scheme, ':authority': authority, ':path': path, host } = headers;
      calls.begin(stream, method ?? 'GET', () => `${scheme}://${authority ?? host}${path}`);
    },
    // It is said when the headers are there.
    'http2.client.stream.finish': ({ stream, headers }) => {
      calls.answered(stream, Number(headers[':status']));
    },
    'http2.client.stream.error': ({ stream, error }) => calls.failed(stream, error),
    // It comes before the error, where there is one.
    'http2.client.stream.close': ({ stream }) => {
      const { readableEnded, rstCode = NO_ERROR, session } = stream;
      if (readableEnded) calls.completed(stream);
      else if (session?.closed === true) calls.failed(stream, { code: 'ERR_HTTP2_SESSION_ERROR' });
      else if (rstCode !== NO_ERROR && rstCode !== CANCEL) {
        calls.failed(stream, { code: 'ERR_HTTP2_STREAM_ERROR' });
      } else calls.left(stream, calls.isUnanswered(stream));
    },
  };
}

function undiciListeners(calls: OpenCalls): Listeners {
  return {
    'undici:request:create': ({ request }) => {
      const { method, origin, path, headers } = request as UndiciRequest;
      // As the standard has it, every fetch sends this one, and nothing else does.
      const isFetch = Array.isArray(headers) && headers.includes('sec-fetch-mode');
      calls.begin(request, method, () => new URL(path, origin).href, isFetch);
    },
    'undici:request:headers': ({ request, response }) => {
      calls.answered(request, response?.statusCode);
    },
    'undici:request:trailers': ({ request }) => calls.completed(request),
    'undici:request:error': ({ request, error }) => {
      const isAborted =
        (error as Error | undefined)?.name === 'AbortError' || (request as UndiciRequest).aborted;
      if (isAborted === true) calls.left(request, true);
      else calls.failed(request, error);
    },
  };
}
