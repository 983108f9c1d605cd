// A server on loopback that answers as the services do, so that the examples run without a key. Its answers cost a
// token a word of the question, and two.
import { createServer } from 'node:http';

/** @type {readonly (readonly [RegExp, (body: any, words: number) => object | (object | string)[]])[]} */
const ANSWERS = [
  [/\/chat\/completions$/, chat],
  [/\/responses$/, response],
  [/\/embeddings$/, (_, n) => ({ data: [{ index: 0, embedding: [0.6, 0.8] }], usage: { prompt_tokens: n } })],
  [/\/messages$/, message],
  [/:generateContent$/, gemini],
  [/\/converse$/, converse],
  [/\/api\/chat$/, (_, n) => ({ message: TEXT, done: true, prompt_eval_count: n, eval_count: 2 })],
];
const TEXT = { role: 'assistant', content: 'Hello there' };

const server = createServer(async (request, reply) => {
  let text = '';
  for await (const part of request) text += part;
  const body = JSON.parse(text);
  const { pathname } = new URL(request.url ?? '/', 'http://localhost');
  const [, answerOf] = ANSWERS.find(([path]) => path.test(pathname)) ?? [];
  const words = JSON.stringify(body.messages ?? body.input ?? body.contents).split(/\s+/).length;
  const answer = answerOf?.(body, words) ?? {};
  if (pathname.startsWith('/openrouter')) answer.usage.cost = 0.0004;
  if (pathname.startsWith('/litellm')) reply.setHeader('x-litellm-response-cost', '0.0021');
  if (!Array.isArray(answer)) {
    reply.setHeader('content-type', 'application/json');
    return reply.end(JSON.stringify(answer));
  }
  reply.setHeader('content-type', 'text/event-stream');
  for (const event of answer) {
    const name = event.type === undefined ? '' : `event: ${event.type}\n`;
    reply.write(`${name}data: ${typeof event === 'string' ? event : JSON.stringify(event)}\n\n`);
  }
  reply.end();
});
// The program ends when it has nothing else to do.
server.on('connection', (socket) => socket.unref());
await new Promise((resolve) => server.listen(0, '127.0.0.1', () => resolve(null)));
server.unref();
const address = server.address();

/** Where the service is. */
export const url = `http://127.0.0.1:${typeof address === 'object' ? address?.port : ''}`;

/** A model that is given a tool asks for it once. */
function chat({ model, stream, tools, messages }, words) {
  const id = `chatcmpl-${Math.random().toString(36).slice(2)}`;
  const usage = { prompt_tokens: words, completion_tokens: 2, total_tokens: words + 2 };
  const asks = tools !== undefined && !messages.some(({ role }) => role === 'tool');
  const call = { index: 0, id: 'call_1', type: 'function' };
  const tool_calls = [
    { ...call, function: { name: tools?.[0].function.name, arguments: '{"city":"Oslo"}' } },
  ];
  const said = asks ? { role: 'assistant', content: null, tool_calls } : TEXT;
  const finish_reason = asks ? 'tool_calls' : 'stop';
  const whole = { id, object: 'chat.completion', created: 1, model };
  if (!stream) return { ...whole, choices: [{ index: 0, message: said, finish_reason }], usage };
  const chunk = { ...whole, object: 'chat.completion.chunk' };
  return [
    { ...chunk, choices: [{ index: 0, delta: said, finish_reason: null }] },
    { ...chunk, choices: [{ index: 0, delta: {}, finish_reason }] },
    { ...chunk, choices: [], usage },
    '[DONE]',
  ];
}

function response({ model }, words) {
  const content = [{ type: 'output_text', text: TEXT.content, annotations: [] }];
  const output = [{ type: 'message', id: 'msg_1', role: 'assistant', status: 'completed', content }];
  const usage = { input_tokens: words, output_tokens: 2, total_tokens: words + 2 };
  return { id: 'resp_1', object: 'response', created_at: 1, status: 'completed', model, output, usage };
}

function message({ model, stream }, words) {
  const usage = { input_tokens: words, cache_read_input_tokens: 4, output_tokens: 2 };
  const whole = { id: 'msg_1', type: 'message', role: 'assistant', model, stop_reason: 'end_turn', usage };
  if (!stream) return { ...whole, content: [{ type: 'text', text: TEXT.content }] };
  return [
    { type: 'message_start', message: { ...whole, content: [], stop_reason: null } },
    { type: 'content_block_start', index: 0, content_block: { type: 'text', text: '' } },
    { type: 'content_block_delta', index: 0, delta: { type: 'text_delta', text: TEXT.content } },
    { type: 'content_block_stop', index: 0 },
    { type: 'message_delta', delta: { stop_reason: 'end_turn' }, usage: { output_tokens: 2 } },
    { type: 'message_stop' },
  ];
}

function gemini(_, words) {
  const content = { role: 'model', parts: [{ text: TEXT.content }] };
  const usageMetadata = { promptTokenCount: words, candidatesTokenCount: 2, totalTokenCount: words + 2 };
  return { candidates: [{ content, finishReason: 'STOP' }], responseId: 'gemini-1', usageMetadata };
}

function converse(_, words) {
  const usage = { inputTokens: words, outputTokens: 2, totalTokens: words + 2 };
  const message = { role: 'assistant', content: [{ text: TEXT.content }] };
  return { output: { message }, stopReason: 'end_turn', usage };
}
