/** A server on loopback that speaks the wire formats of the providers, from shapes of theirs that were recorded. */
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';

export interface ModelServer {
  readonly url: string;
  readonly host: string;
  /** Bodies of the requests, in order. */
  readonly requests: Record<string, unknown>[];
  /** Lets streams wait after their first message, until `resume`. */
  hold(): void;
  resume(): void;
  close(): Promise<void>;
}

type Json = Record<string, unknown>;

/** Models whose names are answers: `fail-429-2` fails twice with 429, `cut` breaks after the first message. */
export async function startModelServer(): Promise<ModelServer> {
  const requests: Json[] = [];
  const failures = new Map<string, number>();
  let gate: Promise<void> | undefined;
  let open = () => {};

  async function answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    let text = '';
    for await (const part of request) text += part;
    const body = (text === '' ? {} : JSON.parse(text)) as Json;
    requests.push(body);
    const path = request.url!.replace(/\?.*/, '');
    const model = String(body.model ?? /models?\/([^:/]+)/.exec(path)?.[1]);
    const [, status, times] = /^fail-(\d+)-(\d+)$/.exec(model) ?? [];
    const failed = failures.get(model) ?? 0;
    if (status !== undefined && failed < Number(times)) {
      failures.set(model, failed + 1);
      const type = status === '429' ? 'rate_limit_exceeded' : 'server_error';
      // The text of an error may have what the caller has sent.
      response.setHeader('retry-after-ms', '1');
      return sendJson(response, { error: { message: `no, ${text}`, type, code: type } }, Number(status));
    }
    const isStream = body.stream === true || /stream/i.test(path);
    const shape = SHAPES.find(({ path: pattern }) => pattern.test(path));
    if (shape === undefined) return sendJson(response, { error: { message: 'no such path' } }, 404);
    if (!isStream) return sendJson(response, shape.whole(model, body));
    response.writeHead(200, { 'content-type': shape.lines ? 'application/x-ndjson' : 'text/event-stream' });
    for (const [i, message] of shape.stream(model, body).entries()) {
      if (i === 1) await gate;
      if (i === 1 && model === 'cut') return void response.destroy();
      if (response.destroyed) return;
      const json = typeof message === 'string' ? message : JSON.stringify(message);
      const name =
        typeof message === 'object' && shape.named === true ? `event: ${String(message.type)}\n` : '';
      const text = shape.lines ? `${json}\n` : `${name}data: ${json}\n\n`;
      await new Promise((resolve) => response.write(text, resolve));
    }
    response.end();
  }

  const server = createServer((request, response) => void answer(request, response));
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const host = `127.0.0.1:${(server.address() as AddressInfo).port}`;
  return {
    url: `http://${host}`,
    host,
    requests,
    hold() {
      gate = new Promise((resolve) => {
        open = resolve;
      });
    },
    resume() {
      open();
      gate = undefined;
    },
    async close() {
      open();
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

function sendJson(response: ServerResponse, body: Json, status = 200): void {
  response.writeHead(status, { 'content-type': 'application/json' });
  response.end(JSON.stringify(body));
}

interface Shape {
  readonly path: RegExp;
  readonly lines?: boolean;
  /** Events have names. */
  readonly named?: boolean;
  whole(model: string, body: Json): Json;
  stream(model: string, body: Json): (Json | string)[];
}

const choice = (rest: Json) => [{ index: 0, ...rest }];

const TOOL_CALL = {
  id: 'call_1',
  type: 'function',
  function: { name: 'weather', arguments: '{"city":"Oslo"}' },
};

/** The model of this name asks for a tool, until it is told what that gave. */
function asksForTool(model: string, { messages }: Json): boolean {
  return model === 'calls-tool' && !(messages as Json[]).some(({ role }) => role === 'tool');
}

const SHAPES: readonly Shape[] = [
  {
    path: /\/chat\/completions$/,
    whole: (model, body) => ({
      id: 'chatcmpl-1',
      object: 'chat.completion',
      created: 1,
      model: `${model}-2024-08-06`,
      choices: asksForTool(model, body)
        ? choice({
            message: { role: 'assistant', content: null, tool_calls: [TOOL_CALL] },
            finish_reason: 'tool_calls',
          })
        : choice({ message: { role: 'assistant', content: 'Hello' }, finish_reason: 'stop' }),
      usage: {
        prompt_tokens: 20,
        completion_tokens: 10,
        total_tokens: 30,
        prompt_tokens_details: { cached_tokens: 8 },
        completion_tokens_details: { reasoning_tokens: 3 },
      },
    }),
    stream: (model, body) => {
      const chunk = (rest: Json) => ({
        id: 'chatcmpl-2',
        object: 'chat.completion.chunk',
        created: 1,
        model: `${model}-2024-08-06`,
        ...rest,
      });
      const asksForUsage = (body.stream_options as Json | undefined)?.include_usage === true;
      const usage = { prompt_tokens: 20, completion_tokens: 2, total_tokens: 22 };
      if (asksForTool(model, body)) {
        const tool_calls = [{ index: 0, ...TOOL_CALL }];
        return [
          chunk({ choices: choice({ delta: { role: 'assistant', tool_calls }, finish_reason: null }) }),
          chunk({ choices: choice({ delta: {}, finish_reason: 'tool_calls' }) }),
          ...(asksForUsage ? [chunk({ choices: [], usage })] : []),
          '[DONE]',
        ];
      }
      return [
        chunk({ choices: choice({ delta: { role: 'assistant', content: 'Hel' }, finish_reason: null }) }),
        chunk({ choices: choice({ delta: { content: 'lo "usage":{' }, finish_reason: null }) }),
        chunk({ choices: choice({ delta: {}, finish_reason: 'stop' }) }),
        ...(asksForUsage ? [chunk({ choices: [], usage })] : []),
        '[DONE]',
      ];
    },
  },
  {
    path: /\/responses$/,
    named: true,
    whole: (model) => responseOf(model, 'completed'),
    stream: (model) => [
      { type: 'response.created', response: { ...responseOf(model, 'in_progress'), usage: null } },
      { type: 'response.output_text.delta', item_id: 'i', output_index: 0, content_index: 0, delta: 'Hello' },
      model === 'short'
        ? { type: 'response.incomplete', response: responseOf(model, 'incomplete') }
        : { type: 'response.completed', response: responseOf(model, 'completed') },
    ],
  },
  {
    path: /\/embeddings$/,
    whole: (model) => ({
      object: 'list',
      model,
      data: [{ object: 'embedding', index: 0, embedding: [0.25, 0.5] }],
      usage: { prompt_tokens: 4, total_tokens: 4 },
    }),
    stream: () => [],
  },
  {
    path: /\/v1\/messages$/,
    named: true,
    whole: (model) => ({
      id: 'msg_1',
      type: 'message',
      role: 'assistant',
      model,
      content: [{ type: 'text', text: 'Hello' }],
      stop_reason: 'max_tokens',
      stop_sequence: null,
      usage: {
        input_tokens: 10,
        cache_creation_input_tokens: 4,
        cache_read_input_tokens: 6,
        output_tokens: 5,
      },
    }),
    stream: (model) => [
      {
        type: 'message_start',
        message: {
          id: 'msg_2',
          type: 'message',
          role: 'assistant',
          model,
          content: [],
          stop_reason: null,
          stop_sequence: null,
          usage: { input_tokens: 10, cache_read_input_tokens: 6, output_tokens: 1 },
        },
      },
      { type: 'content_block_start', index: 0, content_block: { type: 'text', text: '' } },
      { type: 'content_block_delta', index: 0, delta: { type: 'text_delta', text: 'Hello' } },
      { type: 'content_block_stop', index: 0 },
      {
        type: 'message_delta',
        delta: { stop_reason: 'end_turn', stop_sequence: null },
        usage: { output_tokens: 7 },
      },
      { type: 'message_stop' },
    ],
  },
  {
    path: /:(streamG|g)enerateContent$/,
    whole: (model) =>
      geminiOf(model, { finishReason: 'STOP' }, { candidatesTokenCount: 3, totalTokenCount: 9 }),
    stream: (model) => [
      geminiOf(model, {}, { totalTokenCount: 6 }),
      geminiOf(
        model,
        { finishReason: 'STOP' },
        { candidatesTokenCount: 3, thoughtsTokenCount: 2, totalTokenCount: 11 },
      ),
    ],
  },
  {
    path: /\/model\/[^/]+\/converse$/,
    whole: () => ({
      output: { message: { role: 'assistant', content: [{ text: 'Hello' }] } },
      stopReason: 'end_turn',
      usage: { inputTokens: 9, outputTokens: 3, totalTokens: 12 },
      metrics: { latencyMs: 5 },
    }),
    stream: () => [],
  },
  {
    path: /\/api\/chat$/,
    lines: true,
    whole: (model) => ollamaOf(model, true),
    stream: (model) => [ollamaOf(model, false), ollamaOf(model, true)],
  },
];

function responseOf(model: string, status: string): Json {
  return {
    id: 'resp_1',
    object: 'response',
    created_at: 1,
    model,
    status,
    incomplete_details: status === 'incomplete' ? { reason: 'max_output_tokens' } : null,
    output: [
      {
        id: 'i',
        type: 'message',
        role: 'assistant',
        status,
        content: [{ type: 'output_text', text: 'Hello', annotations: [] }],
      },
    ],
    usage: {
      input_tokens: 11,
      output_tokens: 5,
      output_tokens_details: { reasoning_tokens: 2 },
      total_tokens: 16,
    },
  };
}

function geminiOf(model: string, candidate: Json, usage: Json): Json {
  return {
    candidates: [{ content: { role: 'model', parts: [{ text: 'Hello' }] }, ...candidate }],
    modelVersion: `${model}-001`,
    responseId: 'gemini-1',
    usageMetadata: { promptTokenCount: 6, ...usage },
  };
}

function ollamaOf(model: string, done: boolean): Json {
  const counts = { done_reason: 'stop', prompt_eval_count: 12, eval_count: 8, total_duration: 5e9 };
  return { model, message: { role: 'assistant', content: 'Hello' }, done, ...(done ? counts : {}) };
}
