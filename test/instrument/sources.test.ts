/** Providers that speak another's wire format, and what goes wrong there: each as its clients are used. */
import { Mistral } from '@mistralai/mistralai';
import OpenAI, { AzureOpenAI } from 'openai';
import { describe, expect, it } from 'vitest';
import { instrument } from '../../src/index.js';
import { crucibleFetch } from '../../src/instrument/fetch.js';
import { useCalls } from './support.js';

const bench = useCalls();
const messages = [{ role: 'user' as const, content: 'Say hello' }];
const USAGE = { prompt: 20, completion: 10, total: 30 };

/** An answer from memory, in the shape that a provider was seen to give. */
const answering =
  (body: string, headers: Record<string, string> = {}): typeof fetch =>
  async () =>
    new Response(body, { headers: { 'content-type': 'application/json', ...headers } });
const events = (...messages: (object | string)[]) =>
  messages.map((each) => `data: ${typeof each === 'string' ? each : JSON.stringify(each)}\n\n`).join('');
const STREAM = { 'content-type': 'text/event-stream' };

const ask = (url: string, underneath: typeof fetch, hosts: string[] = []) =>
  crucibleFetch({ fetch: underneath, hosts })(url, { method: 'POST', body: '{"model":"m"}' }).then((r) =>
    r.text(),
  );

describe('clients', () => {
  it('Mistral, whose requests are objects with a body that is not read: the model is that of the answer', async () => {
    const client = new Mistral({ apiKey: 'x', serverURL: bench.server.url });
    await client.chat.complete({ model: 'mistral-small-latest', messages });
    for await (const _ of await client.chat.stream({ model: 'mistral-small-latest', messages }));
    expect(await bench.calls()).toMatchObject([
      { model: 'mistral-small-latest-2024-08-06', tokens: USAGE, metadata: { outcome: 'ok', stream: false } },
      { model: 'mistral-small-latest-2024-08-06', metadata: { outcome: 'ok', stream: true } },
    ]);
  });

  it('Azure, whose deployments say nothing of the model', async () => {
    const client = new AzureOpenAI({
      apiKey: 'x',
      apiVersion: '2024-10-21',
      baseURL: `${bench.server.url}/openai/deployments/prod`,
    });
    await client.chat.completions.create({ model: 'prod', messages });
    expect(await bench.calls()).toMatchObject([
      { model: 'prod-2024-08-06', tokens: USAGE, metadata: { outcome: 'ok' } },
    ]);
  });
});

describe('by their hosts and shapes', () => {
  it('OpenRouter tells the cost in its last message, apart from what a table says', async () => {
    const usage = { prompt_tokens: 5, completion_tokens: 2, cost: 0.0123 };
    const body = events(
      { id: 'gen-1', model: 'openai/gpt-4', choices: [] },
      { id: 'gen-1', choices: [], usage },
      '[DONE]',
    );
    await ask('https://openrouter.ai/api/v1/chat/completions', answering(body, STREAM));
    expect(await bench.calls()).toMatchObject([
      { provider: 'openrouter', costUsd: 0.0123, costSource: 'event', tokens: { prompt: 5, completion: 2 } },
    ]);
    expect((await bench.calls())[0]!.metadata).not.toHaveProperty('cachedTokens');
  });

  it('LiteLLM tells it in a header', async () => {
    const body = JSON.stringify({
      id: 'x',
      model: 'gpt-4',
      choices: [],
      usage: { prompt_tokens: 5, completion_tokens: 2 },
    });
    await ask(
      'http://proxy.test:4000/v1/chat/completions',
      answering(body, { 'x-litellm-response-cost': '0.5' }),
    );
    expect(await bench.calls()).toMatchObject([{ costUsd: 0.5, costSource: 'event' }]);
  });

  it('vLLM may have usage on every message, of which the last counts', async () => {
    const piece = (completion_tokens: number) => ({
      ...{ id: 'v', model: 'meta/llama', choices: [{ index: 0, delta: { content: 'x' } }] },
      usage: { prompt_tokens: 7, completion_tokens },
    });
    const body = events(piece(1), piece(2), piece(3), '[DONE]');
    await ask('http://gpu-1:8000/v1/chat/completions', answering(body, STREAM));
    expect(await bench.calls()).toMatchObject([{ model: 'm', tokens: { prompt: 7, completion: 3 } }]);
  });

  it('Bedrock, as the AWS event stream has it', async () => {
    const frame = (payload: object) => {
      const json = Buffer.from(JSON.stringify(payload));
      const bytes = Buffer.alloc(12 + json.length + 4);
      bytes.writeUInt32BE(bytes.length, 0);
      json.copy(bytes, 12);
      return bytes;
    };
    const body = Buffer.concat([
      frame({ contentBlockDelta: { delta: { text: 'Hello' } } }),
      frame({ stopReason: 'end_turn' }),
      frame({
        usage: { inputTokens: 9, outputTokens: 3, totalTokens: 12, cacheReadInputTokens: 2 },
        metrics: { latencyMs: 1 },
      }),
    ]);
    const url =
      'https://bedrock-runtime.us-east-1.amazonaws.com/model/anthropic.claude-3-haiku-20240307-v1%3A0/converse-stream';
    const answer: typeof fetch = async () =>
      new Response(body, { headers: { 'content-type': 'application/vnd.amazon.eventstream' } });
    await ask(url, answer);
    expect(await bench.calls()).toMatchObject([
      {
        ...{ provider: 'bedrock', model: 'anthropic.claude-3-haiku-20240307-v1:0' },
        metadata: { finishReason: 'end_turn', outcome: 'ok', stream: true, cachedTokens: 2 },
      },
    ]);
  });
});

describe('what goes wrong elsewhere', () => {
  it('a stream that is not read is not read ahead', async () => {
    let pulled = 0;
    const endless: typeof fetch = async () =>
      new Response(
        new ReadableStream({
          pull(controller) {
            pulled++;
            controller.enqueue(new TextEncoder().encode(events({ id: 'x', choices: [] })));
          },
        }),
        { headers: STREAM },
      );
    const tapped = crucibleFetch({ fetch: endless });
    const response = await tapped('https://api.openai.com/v1/chat/completions', {
      method: 'POST',
      body: '{}',
    });
    const reader = response.body!.getReader();
    await reader.read();
    await new Promise((resolve) => setTimeout(resolve, 20));
    expect(pulled).toBeLessThanOrEqual(3);
    await reader.cancel();
  });

  it('a client that is given the tap, and one fetch around another, count once', async () => {
    const client = new OpenAI({ apiKey: 'x', baseURL: `${bench.server.url}/v1`, fetch: crucibleFetch() });
    await client.chat.completions.create({ model: 'gpt-4o', messages });
    const twice = crucibleFetch({ fetch: crucibleFetch({ fetch: (...args) => globalThis.fetch(...args) }) });
    await ask(`${bench.server.url}/v1/chat/completions`, twice);
    expect(await bench.calls()).toHaveLength(2);
  });

  it('a wrapper that somebody strips or wraps again leaves one event', async () => {
    const tapped = globalThis.fetch;
    globalThis.fetch = (...args) => tapped(...args);
    try {
      await ask(`${bench.server.url}/v1/chat/completions`, globalThis.fetch);
    } finally {
      globalThis.fetch = tapped;
    }
    expect(await bench.calls()).toHaveLength(1);
  });

  it('a tap that somebody has taken out is put in again, and counts once', async () => {
    const tapped = globalThis.fetch;
    globalThis.fetch = bench.fetch;
    const again = instrument(bench.crucible, { hosts: [bench.server.host] });
    try {
      await ask(`${bench.server.url}/v1/chat/completions`, globalThis.fetch);
      expect(await bench.calls()).toMatchObject([{ metadata: { outcome: 'ok' } }]);
    } finally {
      again[Symbol.dispose]();
      globalThis.fetch = tapped;
    }
  });

  it('a stream that ends without its last word is incomplete, with the tokens that are known', async () => {
    const usage = { prompt_tokens: 5, completion_tokens: 2 };
    const body = events({ id: 'x', choices: [], usage });
    await ask('https://api.openai.com/v1/chat/completions', answering(body, STREAM));
    expect(await bench.calls()).toMatchObject([
      { success: false, tokens: { prompt: 5, completion: 2 }, metadata: { outcome: 'incomplete' } },
    ]);
  });

  it('tokens of the cache are priced once, at their own price', async () => {
    const usage = {
      input_tokens: 10,
      cache_creation_input_tokens: 4,
      cache_read_input_tokens: 6,
      output_tokens: 5,
    };
    const body = JSON.stringify({
      id: 'msg',
      type: 'message',
      model: 'claude-3-opus',
      stop_reason: 'end_turn',
      usage,
    });
    await crucibleFetch({ fetch: answering(body) })('https://api.anthropic.com/v1/messages', {
      ...{ method: 'POST', body: '{"model":"claude-3-opus"}' },
    }).then((response) => response.text());
    const [call] = await bench.calls();
    expect(call!.tokens).toEqual({ prompt: 20, completion: 5, total: 25 });
    // 15, 18.75, 1.5 and 75 USD a million.
    expect(call!.costUsd).toBeCloseTo((10 * 15 + 4 * 18.75 + 6 * 1.5 + 5 * 75) / 1e6, 12);
  });

  it('a call in a generator belongs to the run in which it was made', async () => {
    const other = bench.crucible.startExperiment({ name: 'other' });
    const client = new OpenAI({ apiKey: 'x', baseURL: `${bench.server.url}/v1` });
    const generated = other.run(async function* () {
      for await (const chunk of await client.chat.completions.create({
        model: 'gpt-4o',
        messages,
        stream: true,
      })) {
        yield chunk;
      }
    });
    for await (const _ of generated);
    expect(await bench.calls()).toEqual([]);
    expect(await other.query({ eventName: 'req_llm.request.stop' })).toHaveLength(1);
  });

  it('errors are those of the fetch underneath', async () => {
    const failure = new TypeError('fetch failed', {
      cause: Object.assign(new Error('x'), { code: 'ECONNRESET' }),
    });
    const failing: typeof fetch = () => Promise.reject(failure);
    await expect(ask('https://api.openai.com/v1/chat/completions', failing)).rejects.toBe(failure);
    expect(await bench.calls()).toMatchObject([
      { success: false, metadata: { error: 'ECONNRESET', outcome: 'error' } },
    ]);
  });
});

describe('an answer that is read as JSON and is none', () => {
  it.each([
    [200, { metadata: { outcome: 'ok', statusCode: 200 } }],
    [502, { metadata: { outcome: 'error', statusCode: 502, error: 'http_502' } }],
  ])('with status %i is what its status says, and its reader is told', async (status, expected) => {
    const page: typeof fetch = async () =>
      new Response('<html>', { status, headers: { 'content-type': 'text/html' } });
    const url = 'https://api.openai.com/v1/chat/completions';
    const response = await crucibleFetch({ fetch: page })(url, { method: 'POST', body: '{"model":"m"}' });
    await expect(response.json()).rejects.toThrow(SyntaxError);
    expect(await bench.calls()).toMatchObject([expected]);
  });
});
