import { describe, expect, it } from 'vitest';
import { httpTransport } from '../../src/demo/chat-client.js';

const request = { model: 'm', text: 'What is 1 + 2?', seed: 3 };

const chunk = (content: string) =>
  `data: ${JSON.stringify({ id: 'c1', choices: [{ delta: { content } }] })}\n\n`;
const usage = `data: ${JSON.stringify({ id: 'c1', choices: [], usage: { prompt_tokens: 4, completion_tokens: 2 } })}\n\n`;
const done = 'data: [DONE]\n\n';

/** A `fetch` whose body is what the test pushes. */
function pushedFetch() {
  const sent: RequestInit[] = [];
  let controller!: ReadableStreamDefaultController<Uint8Array>;
  const body = new ReadableStream<Uint8Array>({
    start(started) {
      controller = started;
    },
  });
  const fetchImpl = async (_url: unknown, init?: RequestInit) => {
    sent.push(init!);
    init!.signal!.addEventListener('abort', () => controller.error(init!.signal!.reason));
    return new Response(body, { status: 200 });
  };
  const push = (text: string) => controller.enqueue(new TextEncoder().encode(text));
  return { fetchImpl: fetchImpl as typeof fetch, sent, push, end: () => controller.close() };
}

describe('httpTransport', () => {
  it('tells the first token, counts tokens and collects the reply, however the bytes are cut', async () => {
    const { fetchImpl, sent, push, end } = pushedFetch();
    const call = httpTransport('http://host', fetchImpl)(request);
    const first = chunk('Answer:');
    push(first.slice(0, 20));
    push(first.slice(20));
    await call.firstToken;
    expect(call.tokensReceived()).toBe(1);
    push(`${chunk(' 3')}${usage}${done}`);
    end();
    expect(await call.reply).toEqual({ id: 'c1', text: 'Answer: 3', promptTokens: 4, completionTokens: 2 });
    expect(JSON.parse(String(sent[0]!.body))).toMatchObject({ model: 'm', seed: 3, stream: true });
  });

  it('reports a refusal by status and message', async () => {
    const refuse = async () => Response.json({ error: { message: 'slow down' } }, { status: 429 });
    const call = httpTransport('http://host', refuse as typeof fetch)(request);
    await expect(call.reply).rejects.toMatchObject({ code: 'http_429', message: 'slow down' });
    await expect(call.firstToken).rejects.toMatchObject({ code: 'http_429' });
  });

  it('reports an answer that ends too early, and a connection that fails, as lost', async () => {
    const { fetchImpl, push, end } = pushedFetch();
    const call = httpTransport('http://host', fetchImpl)(request);
    push(chunk('Answer:'));
    end();
    await expect(call.reply).rejects.toMatchObject({ code: 'connection_lost' });

    const fail = () => Promise.reject(new TypeError('fetch failed'));
    const broken = httpTransport('http://host', fail as typeof fetch)(request);
    await expect(broken.reply).rejects.toMatchObject({ code: 'connection_lost' });
  });

  it('rejects with the reason of an abort, its own or the caller’s', async () => {
    const own = httpTransport('http://host', pushedFetch().fetchImpl)(request);
    own.abort();
    await expect(own.reply).rejects.toMatchObject({ name: 'AbortError' });

    const caller = new AbortController();
    const call = httpTransport('http://host', pushedFetch().fetchImpl)(request, caller.signal);
    caller.abort(new Error('enough'));
    await expect(call.reply).rejects.toThrow('enough');
  });
});
