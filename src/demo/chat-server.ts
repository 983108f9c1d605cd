/**
 * An OpenAI-compatible chat endpoint on loopback that behaves like a hosted model: it takes its time, streams,
 * refuses and hangs up as `traffic.ts` planned. What happens to a request depends on the seed, the model, the
 * messages and the request's `seed` field, not on arrival order.
 */

import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { answerSum } from './questions.js';
import { hash32, Random } from './random.js';
import { type AnswerPlan, MODEL_PROFILES, type ModelProfile, PROVIDER, planAnswer } from './traffic.js';

export interface ChatServerOptions {
  seed: number;
  /** Multiplies every planned time: 0.05 runs twenty times as fast as life, 0 answers at once. */
  timeScale: number;
  models?: readonly ModelProfile[];
}

export interface ChatServer {
  /** `http://127.0.0.1:<port>` */
  readonly url: string;
  /** Requests whose answer is still being waited for or streamed. */
  readonly pending: number;
  /** Stops listening, cuts open connections and frees every timer. */
  close(): Promise<void>;
}

/** Tokens due within this time leave in one write: timers are no finer than 1 ms, and wake-ups cost. */
const STREAM_TICK_MS = 8;
const MAX_BODY_BYTES = 1 << 20;

/** Words that pad an answer to its planned length, one a token. */
const FILLER = 'because adding the hundreds then the tens and then the ones gives that sum'.split(' ');

interface ChatBody {
  profile: ModelProfile;
  conversation: string;
  stream: boolean;
  includeUsage: boolean;
  attempt: number;
}

/** A request the server cannot serve, in the shape of OpenAI's errors. */
class RequestError extends Error {
  readonly status: number;
  readonly code: string;

  constructor(status: number, code: string, message: string) {
    super(message);
    this.status = status;
    this.code = code;
  }
}

export async function startChatServer(options: ChatServerOptions): Promise<ChatServer> {
  const models = options.models ?? MODEL_PROFILES;
  const answering = new Set<ServerResponse>();

  const server = createServer((request, response) => {
    answering.add(response);
    response.once('close', () => answering.delete(response));
    handle(request, response, options, models).catch((error: unknown) => sendError(response, error));
  });
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(0, '127.0.0.1', resolve);
  });

  const { port } = server.address() as AddressInfo;
  return {
    url: `http://127.0.0.1:${port}`,
    get pending() {
      return answering.size;
    },
    close: () =>
      new Promise((resolve, reject) => {
        server.close((error) => (error === undefined ? resolve() : reject(error)));
        server.closeAllConnections();
      }),
  };
}

async function handle(
  request: IncomingMessage,
  response: ServerResponse,
  options: ChatServerOptions,
  models: readonly ModelProfile[],
): Promise<void> {
  const route = `${request.method} ${request.url?.split('?')[0]}`;
  if (route === 'GET /v1/models') {
    const data = models.map(({ id }) => ({ id, object: 'model', created: 0, owned_by: PROVIDER }));
    sendJson(response, 200, { object: 'list', data });
    return;
  }
  if (route !== 'POST /v1/chat/completions') throw new RequestError(404, 'not_found', `no route ${route}`);

  const body = readChatBody(await readText(request), models);
  const plan = planAnswer(body.profile, {
    seed: options.seed,
    conversation: body.conversation,
    attempt: body.attempt,
  });
  const tokens = writeAnswer(body, plan, options.seed);
  const id = `chatcmpl-${hash32(`${options.seed} ${body.conversation} ${body.profile.id} ${body.attempt}`).toString(16)}`;
  const pace = new Pace(response, options.timeScale);

  if (plan.outcome === 'rate_limited' || plan.outcome === 'server_error') {
    if (!(await pace.wait(plan.firstTokenMs))) return;
    throw plan.outcome === 'rate_limited'
      ? new RequestError(429, 'rate_limit_exceeded', 'too many requests, try again later')
      : new RequestError(500, 'server_error', 'the model is overloaded');
  }
  const reply = { id, created: 0, model: body.profile.id };
  if (body.stream) await streamAnswer(response, pace, body, plan, tokens, reply);
  else await sendAnswer(response, pace, plan, tokens, reply);
}

interface ReplyHeader {
  id: string;
  created: number;
  model: string;
}

async function sendAnswer(
  response: ServerResponse,
  pace: Pace,
  plan: AnswerPlan,
  tokens: readonly string[],
  reply: ReplyHeader,
): Promise<void> {
  if (!(await pace.wait(plan.firstTokenMs + plan.tokensSent * plan.tokenMs))) return;
  if (plan.outcome === 'dropped') {
    response.destroy();
    return;
  }
  sendJson(response, 200, {
    ...reply,
    object: 'chat.completion',
    choices: [
      {
        index: 0,
        message: { role: 'assistant', content: tokens.join('') },
        logprobs: null,
        finish_reason: 'stop',
      },
    ],
    usage: usageOf(plan),
  });
}

async function streamAnswer(
  response: ServerResponse,
  pace: Pace,
  body: ChatBody,
  plan: AnswerPlan,
  tokens: readonly string[],
  reply: ReplyHeader,
): Promise<void> {
  const chunk = (choices: readonly unknown[], usage?: unknown) =>
    `data: ${JSON.stringify({ ...reply, object: 'chat.completion.chunk', choices, ...(usage === undefined ? {} : { usage }) })}\n\n`;
  const delta = (content: object, finish: string | null) => [
    { index: 0, delta: content, finish_reason: finish },
  ];

  response.writeHead(200, { 'content-type': 'text/event-stream', 'cache-control': 'no-store' });
  if (!(await pace.wait(plan.firstTokenMs))) return;
  response.write(chunk(delta({ role: 'assistant', content: '' }, null)));

  for (let sent = 0; sent < plan.tokensSent; ) {
    const due = Math.min(plan.tokensSent, Math.max(sent + 1, pace.countDue(plan.firstTokenMs, plan.tokenMs)));
    response.write(
      tokens
        .slice(sent, due)
        .map((content) => chunk(delta({ content }, null)))
        .join(''),
    );
    sent = due;
    if (sent < plan.tokensSent) {
      const next = plan.firstTokenMs + sent * plan.tokenMs;
      if (!(await pace.waitUntil(next, STREAM_TICK_MS))) return;
    }
  }
  if (plan.outcome === 'dropped') {
    // A comment, so that its callback tells when all before it has left; the body then ends without an end.
    response.write(': connection lost\n\n', () => response.destroy());
    return;
  }
  response.write(chunk(delta({}, 'stop')));
  if (body.includeUsage) response.write(chunk([], usageOf(plan)));
  response.end('data: [DONE]\n\n');
}

/** Scaled waiting for one response; a client that hangs up ends the wait and frees the timer. */
class Pace {
  private readonly startedMs = performance.now();
  private readonly response: ServerResponse;
  private readonly timeScale: number;

  constructor(response: ServerResponse, timeScale: number) {
    this.response = response;
    this.timeScale = timeScale;
  }

  /** Waits until `plannedMs` after the request, and at least `leastMs`; false if the client has gone. */
  waitUntil(plannedMs: number, leastMs = 0): Promise<boolean> {
    const leftMs = plannedMs * this.timeScale - (performance.now() - this.startedMs);
    return this.sleep(Math.max(leftMs, this.timeScale === 0 ? 0 : leastMs));
  }

  wait(plannedMs: number): Promise<boolean> {
    return this.waitUntil(plannedMs);
  }

  /** Tokens that should have left by now. */
  countDue(firstTokenMs: number, tokenMs: number): number {
    if (this.timeScale === 0) return Number.POSITIVE_INFINITY;
    const plannedMs = (performance.now() - this.startedMs) / this.timeScale;
    return 1 + Math.floor((plannedMs - firstTokenMs) / tokenMs);
  }

  private sleep(ms: number): Promise<boolean> {
    if (this.response.closed) return Promise.resolve(false);
    return new Promise((resolve) => {
      const gone = () => {
        clearTimeout(timer);
        resolve(false);
      };
      const timer = setTimeout(() => {
        this.response.off('close', gone);
        resolve(true);
      }, ms);
      this.response.once('close', gone);
    });
  }
}

function writeAnswer(body: ChatBody, plan: AnswerPlan, seed: number): string[] {
  const random = new Random(seed, 'words', body.conversation, body.profile.id);
  const sum = answerSum(body.conversation, plan.correct, random);
  const words = sum === null ? ['Answer:', 'unknown'] : ['Answer:', sum];
  while (words.length < plan.completionTokens) words.push(FILLER[random.integer(0, FILLER.length - 1)]!);
  return words.map((word, index) => (index === 0 ? word : ` ${word}`));
}

function usageOf(plan: AnswerPlan) {
  return {
    prompt_tokens: plan.promptTokens,
    completion_tokens: plan.completionTokens,
    total_tokens: plan.promptTokens + plan.completionTokens,
  };
}

function readChatBody(text: string, models: readonly ModelProfile[]): ChatBody {
  const body = parseObject(text);
  const { model, messages, stream, seed, stream_options: streamOptions } = body;
  if (typeof model !== 'string') throw invalid('model must be a string');
  const profile = models.find(({ id }) => id === model);
  if (profile === undefined)
    throw new RequestError(404, 'model_not_found', `no model ${JSON.stringify(model)}`);
  if (!Array.isArray(messages) || messages.length === 0) throw invalid('messages must be a non-empty array');
  if (seed !== undefined && !Number.isSafeInteger(seed)) throw invalid('seed must be an integer');
  return {
    profile,
    conversation: messages.map(readContent).join('\n'),
    stream: stream === true,
    includeUsage: (streamOptions as { include_usage?: unknown } | undefined)?.include_usage === true,
    attempt: typeof seed === 'number' ? seed : 0,
  };
}

function readContent(message: unknown): string {
  const content = (message as { content?: unknown } | null)?.content;
  if (typeof content !== 'string') throw invalid('message content must be a string');
  return content;
}

function parseObject(text: string): Record<string, unknown> {
  try {
    const value: unknown = JSON.parse(text);
    if (typeof value === 'object' && value !== null) return value as Record<string, unknown>;
  } catch {
    // Reported below, as any other body that is not an object.
  }
  throw invalid('the body must be a JSON object');
}

function invalid(message: string): RequestError {
  return new RequestError(400, 'invalid_request_error', message);
}

async function readText(request: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of request as AsyncIterable<Buffer>) {
    bytes += chunk.length;
    if (bytes > MAX_BODY_BYTES) throw new RequestError(413, 'invalid_request_error', 'body over 1 MiB');
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString('utf8');
}

function sendJson(response: ServerResponse, status: number, value: unknown): void {
  response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(value));
}

function sendError(response: ServerResponse, error: unknown): void {
  if (response.closed || response.headersSent) {
    response.destroy();
    return;
  }
  const { status, code, message } =
    error instanceof RequestError ? error : new RequestError(500, 'internal_error', String(error));
  if (status === 429) response.setHeader('retry-after', '1');
  sendJson(response, status, { error: { message, type: code, code } });
}
