/** The server's thread: HTTP on one side, experiments on the other. */
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { MessagePort } from 'node:worker_threads';
import { ConfigError, NotFoundError, ServeError, serializeError } from '../errors.js';
import { call, calls, compare, files, metrics, sessions } from './api.js';
import { Asker } from './asker.js';
import { streamExport } from './downloads.js';
import { Feeds } from './feed.js';
import { Guard, SECURITY_HEADERS } from './guard.js';
import type { FromServer, ServerStart, ToServer } from './protocol.js';
import { scoresOfExperiment, scoresOfStudy } from './scores.js';
import { Shelf } from './shelf.js';
import { ExperimentSource, Followers, ListSource } from './sources.js';

/** Connections that are held at once; more are closed as they come. */
const CONNECTIONS_MAX = 1_000;
/** Deltas are sent so often, ms. */
const FEED_MS = 200;
const HEADER_BYTES_MAX = 16 * 1024;
const HEADERS_MAX = 64;
const HEADERS_TIMEOUT_MS = 10_000;
const REQUEST_TIMEOUT_MS = 15_000;
const KEEP_ALIVE_MS = 10_000;
/** Questions that are worked on at once; more wait for an answer that says so. */
const QUESTIONS_MAX = 8;

/** @param data - ServerStart */
export function runServerThread(data: unknown, port: MessagePort): void {
  new PageServer(data as ServerStart, port).listen();
}

class PageServer {
  readonly #start: ServerStart;
  readonly #port: MessagePort;
  readonly #shelf: Shelf;
  readonly #followers: Followers;
  readonly #feeds: Feeds;
  readonly #asker: Asker;
  readonly #guard: Guard;
  readonly #server: Server;
  #questions = 0;

  constructor(start: ServerStart, port: MessagePort) {
    this.#start = start;
    this.#port = port;
    this.#shelf = new Shelf(start.options.dir);
    this.#followers = new Followers(this.#shelf);
    this.#feeds = new Feeds(FEED_MS, (watched) => this.#post({ kind: 'watched', watched }));
    this.#asker = new Asker((message) => this.#post(message));
    this.#guard = new Guard(start.options, () => (this.#server.address() as AddressInfo | null)?.port ?? 0);
    this.#server = createServer({ maxHeaderSize: HEADER_BYTES_MAX }, (request, response) => {
      void this.#answer(request, response);
    });
    this.#server.maxConnections = CONNECTIONS_MAX;
    this.#server.maxHeadersCount = HEADERS_MAX;
    this.#server.headersTimeout = HEADERS_TIMEOUT_MS;
    this.#server.requestTimeout = REQUEST_TIMEOUT_MS;
    this.#server.keepAliveTimeout = KEEP_ALIVE_MS;
    port.on('message', (message: ToServer | null) => {
      if (message === null) this.#close();
      else if ('experiments' in message) this.#shelf.take(message);
      else this.#asker.take(message);
    });
  }

  listen(): void {
    const { port, host, anyPort } = this.#start.options;
    this.#server.on('error', (error: NodeJS.ErrnoException) => {
      if (anyPort && error.code === 'EADDRINUSE' && !this.#server.listening) {
        this.#server.listen(0, host);
        return;
      }
      const message = `cannot listen on ${host}:${port}: ${error.code ?? error.message}`;
      const failed = new ServeError('ERR_SERVE_FAILED', message, { host, port }, { cause: error });
      this.#post({ kind: 'failed', error: serializeError(failed) });
    });
    this.#server.on('listening', () => {
      this.#post({ kind: 'listening', port: (this.#server.address() as AddressInfo).port });
    });
    this.#server.listen(port, host);
  }

  #post(message: FromServer): void {
    this.#port.postMessage(message);
  }

  #close(): void {
    this.#feeds.close();
    this.#server.closeAllConnections();
    this.#server.close();
    this.#port.close();
  }

  async #answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    for (const [name, value] of Object.entries(SECURITY_HEADERS)) response.setHeader(name, value);
    // A viewer that is gone is no failure.
    response.on('error', () => {});
    const refusal = this.#guard.refuse(request);
    if (refusal !== null) {
      const { status, message, headers } = refusal;
      // What is left of the request is not waited for.
      response.setHeader('Connection', 'close');
      sendJson(response, status, { error: { code: 'ERR_REFUSED', message } }, headers);
      return;
    }
    try {
      await this.#route(request, response);
    } catch (error) {
      sendError(response, error);
    }
  }

  async #route(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const { pathname, searchParams: query } = new URL(request.url ?? '/', 'http://page.invalid');
    if (!pathname.startsWith('/api/')) return this.#page(pathname, query, request, response);
    const [, , what, id, part, item] = pathname.split('/').map(decodeURIComponent);
    const shelf = this.#shelf;
    if (what === 'feed') return this.#feed(query, request, response);
    if (what === 'experiments' && id !== undefined && part === 'export') {
      await shelf.look();
      return streamExport(shelf, id, query, response);
    }
    await this.#question(response, async () => {
      await shelf.look();
      if (what === 'studies' && id === undefined) return { studies: await this.#asker.studies() };
      if (what === 'studies' && id !== undefined && part === 'verdict') {
        return this.#asker.verdict(id, Number(query.get('withinMs')) || 0);
      }
      if (what === 'studies' && id !== undefined && part === 'scores') {
        return scoresOfStudy(shelf, this.#asker, id);
      }
      if (what === 'compare') return compare(shelf, this.#followers, query);
      if (what === 'experiments' && id === undefined) {
        return { dir: shelf.dir, error: shelf.error, experiments: shelf.since(0).changed };
      }
      if (what === 'experiments' && id !== undefined) {
        if (part === undefined) return this.#describe(id);
        if (part === 'metrics') return metrics(shelf, id, query);
        if (part === 'calls') return item === undefined ? calls(shelf, id, query) : call(shelf, id, item);
        if (part === 'sessions') return sessions(shelf, id);
        if (part === 'scores') return scoresOfExperiment(shelf, this.#asker, id);
        if (part === 'files') return files(shelf, id);
      }
      throw new NotFoundError('page', pathname);
    });
  }

  #describe(id: string) {
    const found = this.#shelf.get(id);
    if (found === null) throw new NotFoundError('experiment', id);
    return found.descriptor;
  }

  async #question(response: ServerResponse, answer: () => unknown): Promise<void> {
    if (this.#questions >= QUESTIONS_MAX) {
      const error = { code: 'ERR_BUSY', message: 'too many questions at once' };
      sendJson(response, 503, { error }, { 'Retry-After': '1' });
      return;
    }
    this.#questions++;
    try {
      sendJson(response, 200, await answer());
    } finally {
      this.#questions--;
    }
  }

  async #feed(query: URLSearchParams, request: IncomingMessage, response: ServerResponse): Promise<void> {
    const id = query.get('id');
    const kind = query.get('kind') || null;
    await this.#shelf.look();
    const last = request.headers['last-event-id'] ?? query.get('since') ?? undefined;
    const key = id === null ? 'list' : JSON.stringify([id, kind]);
    const open = () =>
      id === null
        ? new ListSource(this.#shelf)
        : new ExperimentSource(this.#shelf, this.#followers, id, kind);
    await this.#feeds.join(key, open, response, typeof last === 'string' ? last : undefined);
  }

  #page(pathname: string, query: URLSearchParams, request: IncomingMessage, response: ServerResponse): void {
    const token = this.#guard.tokenIn(request.url ?? '');
    if (token !== undefined) {
      // The address is seen by others, kept in histories, and sent along: the token moves into a cookie.
      if (this.#guard.isToken(token)) {
        const cookie = `${this.#guard.cookieName}=${token}; HttpOnly; SameSite=Strict; Path=/`;
        response.setHeader('Set-Cookie', cookie);
      }
      query.delete('token');
      response.writeHead(303, { Location: query.size === 0 ? pathname : `${pathname}?${query}` }).end();
      return;
    }
    const name = pathname.endsWith('/') ? `${pathname}index.html` : pathname;
    const { files } = this.#start;
    const file = Object.hasOwn(files, name) ? files[name] : undefined;
    if (file === undefined) throw new NotFoundError('page', pathname);
    const { type, tag, content } = file;
    const headers = { 'Content-Type': type, ETag: `"${tag}"`, 'Cache-Control': 'no-cache' };
    if (request.headers['if-none-match'] === `"${tag}"`) response.writeHead(304, headers).end();
    else response.writeHead(200, headers).end(request.method === 'HEAD' ? undefined : content);
  }
}

function sendError(response: ServerResponse, error: unknown): void {
  if (response.headersSent) {
    response.destroy();
    return;
  }
  const status =
    error instanceof NotFoundError
      ? 404
      : error instanceof ConfigError || error instanceof URIError
        ? 400
        : 500;
  const { code, message } = serializeError(error);
  sendJson(response, status, { error: { code, message } });
}

function sendJson(
  response: ServerResponse,
  status: number,
  body: unknown,
  headers: Readonly<Record<string, string>> = {},
): void {
  response.writeHead(status, {
    'Content-Type': 'application/json; charset=utf-8',
    'Cache-Control': 'no-store',
    ...headers,
  });
  response.end(response.req.method === 'HEAD' ? undefined : JSON.stringify(body));
}
