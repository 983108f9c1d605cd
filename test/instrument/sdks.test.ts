/** Calls of the real SDKs: what they give is theirs, and each is one event. */
import Anthropic from '@anthropic-ai/sdk';
import { GoogleGenAI } from '@google/genai';
import { Ollama } from 'ollama';
import OpenAI from 'openai';
import { describe, expect, it } from 'vitest';
import { useCalls } from './support.js';

const bench = useCalls();

const openai = (options: Partial<ConstructorParameters<typeof OpenAI>[0]> = {}) =>
  new OpenAI({ apiKey: 'sk-secret', baseURL: `${bench.server.url}/v1`, ...options });
const messages = [{ role: 'user' as const, content: 'Say hello' }];

describe('the SDK of OpenAI', () => {
  it('a chat', async () => {
    const reply = await openai().chat.completions.create({ model: 'gpt-4o', messages });
    expect(reply.choices[0]!.message.content).toBe('Hello');
    const [call, ...others] = await bench.calls();
    expect(others).toEqual([]);
    expect(call).toMatchObject({
      eventName: 'req_llm.request.stop',
      model: 'gpt-4o',
      provider: 'openai',
      success: true,
      tokens: { prompt: 20, completion: 10, total: 30 },
      metadata: {
        operation: 'chat',
        outcome: 'ok',
        responseModel: 'gpt-4o-2024-08-06',
        responseId: 'chatcmpl-1',
        finishReason: 'stop',
        statusCode: 200,
        attempts: 1,
        stream: false,
        cachedTokens: 8,
        reasoningTokens: 3,
      },
    });
    expect(call!.latencyMs).toBeGreaterThan(0);
  });

  it('with its response, or the response alone', async () => {
    const client = openai();
    const { data, response } = await client.chat.completions
      .create({ model: 'gpt-4o', messages })
      .withResponse();
    expect([data.id, response.status, response.url]).toEqual([
      'chatcmpl-1',
      200,
      `${bench.server.url}/v1/chat/completions`,
    ]);
    const alone = await client.chat.completions.create({ model: 'gpt-4o', messages }).asResponse();
    expect(((await alone.json()) as { id: string }).id).toBe('chatcmpl-1');
    expect(await bench.calls()).toHaveLength(2);
  });

  it('a stream, with the time to its first piece', async () => {
    let text = '';
    const stream = await openai().chat.completions.create({
      model: 'gpt-4o',
      messages,
      stream: true,
      stream_options: { include_usage: true },
    });
    for await (const { choices } of stream) text += choices[0]?.delta.content ?? '';
    expect(text).toBe('Hello "usage":{');
    const [call] = await bench.calls();
    expect(call).toMatchObject({
      tokens: { prompt: 20, completion: 2 },
      metadata: { outcome: 'ok', stream: true, finishReason: 'stop', responseId: 'chatcmpl-2' },
    });
    expect(call!.metadata.ttftMs).toBeGreaterThan(0);
    expect(call!.metadata.ttftMs).toBeLessThanOrEqual(call!.latencyMs!);
  });

  it('a stream without usage has none, and asks for none', async () => {
    for await (const _ of await openai().chat.completions.create({
      model: 'gpt-4o',
      messages,
      stream: true,
    }));
    expect((await bench.calls())[0]).toMatchObject({
      tokens: null,
      costUsd: null,
      metadata: { outcome: 'ok' },
    });
    expect(bench.server.requests[0]).toEqual({ model: 'gpt-4o', messages, stream: true });
  });

  it('a stream that is left early is abandoned', async () => {
    bench.server.hold();
    for await (const _ of await openai().chat.completions.create({ model: 'gpt-4o', messages, stream: true }))
      break;
    expect((await bench.calls())[0]).toMatchObject({ success: false, metadata: { outcome: 'abandoned' } });
  });

  it('a stream that its caller aborts is aborted', async () => {
    bench.server.hold();
    const controller = new AbortController();
    const { signal } = controller;
    const stream = await openai().chat.completions.create(
      { model: 'gpt-4o', messages, stream: true },
      { signal },
    );
    for await (const _ of stream) controller.abort();
    expect((await bench.calls())[0]).toMatchObject({ success: false, metadata: { outcome: 'aborted' } });
  });

  it('a stream that breaks is a failure', async () => {
    const stream = await openai().chat.completions.create({ model: 'cut', messages, stream: true });
    const read = async () => {
      for await (const _ of stream);
    };
    await expect(read()).rejects.toThrow();
    expect((await bench.calls())[0]).toMatchObject({
      eventName: 'req_llm.request.exception',
      success: false,
      metadata: { outcome: 'error', error: 'UND_ERR_SOCKET' },
    });
  });

  it('both halves of a stream are one call', async () => {
    const halves = (
      await openai().chat.completions.create({ model: 'gpt-4o', messages, stream: true })
    ).tee();
    for (const half of halves) for await (const _ of half);
    expect(await bench.calls()).toMatchObject([{ metadata: { outcome: 'ok' } }]);
  });

  it('attempts are inside of their call', async () => {
    const reply = await openai().chat.completions.create({ model: 'fail-429-2', messages });
    expect(reply.id).toBe('chatcmpl-1');
    expect(await bench.calls()).toMatchObject([
      { success: true, metadata: { outcome: 'ok', attempts: 3, statusCode: 200 } },
    ]);
  });

  it('a call whose last attempt fails is one failure, which says nothing of the request', async () => {
    const client = openai({ maxRetries: 1 });
    const failed = client.chat.completions.create({ model: 'fail-500-9', messages });
    await expect(failed).rejects.toBeInstanceOf(OpenAI.InternalServerError);
    const calls = await bench.calls();
    expect(calls).toMatchObject([
      {
        eventName: 'req_llm.request.exception',
        success: false,
        metadata: { outcome: 'error', error: 'server_error', attempts: 2, statusCode: 500 },
      },
    ]);
    expect(JSON.stringify(calls)).not.toMatch(/Say hello|sk-secret/);
  });

  it('the responses API, streamed or not, complete or cut', async () => {
    const client = openai();
    await client.responses.create({ model: 'gpt-5', input: 'Say hello' });
    for await (const _ of await client.responses.create({ model: 'gpt-5', input: 'x', stream: true }));
    for await (const _ of await client.responses.create({ model: 'short', input: 'x', stream: true }));
    const tokens = { prompt: 11, completion: 5, total: 16 };
    expect(await bench.calls()).toMatchObject([
      { tokens, metadata: { responseId: 'resp_1', reasoningTokens: 2, outcome: 'ok' } },
      { tokens, metadata: { outcome: 'ok', stream: true } },
      { tokens, success: false, metadata: { outcome: 'incomplete', finishReason: 'max_output_tokens' } },
    ]);
  });

  it('embeddings', async () => {
    await openai().embeddings.create({
      model: 'text-embedding-3-small',
      input: 'x',
      encoding_format: 'float',
    });
    expect(await bench.calls()).toMatchObject([
      {
        model: 'text-embedding-3-small',
        tokens: { prompt: 4, completion: 0 },
        metadata: { operation: 'embeddings' },
      },
    ]);
  });
});

describe('other SDKs', () => {
  it('Anthropic: input includes what the cache had, and usage is not summed', async () => {
    const client = new Anthropic({ apiKey: 'x', baseURL: bench.server.url });
    const request = { model: 'claude-opus-4-6', max_tokens: 9, messages };
    await client.messages.create(request);
    const message = await client.messages.stream(request).finalMessage();
    expect(message.usage.output_tokens).toBe(7);
    expect(await bench.calls()).toMatchObject([
      {
        provider: 'anthropic',
        tokens: { prompt: 20, completion: 5 },
        metadata: { cachedTokens: 6, cacheWriteTokens: 4, finishReason: 'max_tokens', responseId: 'msg_1' },
      },
      {
        tokens: { prompt: 16, completion: 7 },
        metadata: { finishReason: 'end_turn', stream: true, outcome: 'ok' },
      },
    ]);
  });

  it('Google GenAI: output includes thoughts', async () => {
    const client = new GoogleGenAI({ apiKey: 'secret', httpOptions: { baseUrl: bench.server.url } });
    await client.models.generateContent({ model: 'gemini-2.5-flash', contents: 'x' });
    for await (const _ of await client.models.generateContentStream({
      model: 'gemini-2.5-flash',
      contents: 'x',
    }));
    expect(await bench.calls()).toMatchObject([
      { model: 'gemini-2.5-flash', provider: 'google', tokens: { prompt: 6, completion: 3 } },
      {
        tokens: { prompt: 6, completion: 5 },
        metadata: { operation: 'generate_content', finishReason: 'STOP', stream: true, outcome: 'ok' },
      },
    ]);
  });

  it('Ollama, whose stream nobody reads to its end', async () => {
    const client = new Ollama({ host: bench.server.url });
    await client.chat({ model: 'llama3', messages });
    for await (const _ of await client.chat({ model: 'llama3', messages, stream: true }));
    expect(await bench.calls()).toMatchObject([
      { model: 'llama3', tokens: { prompt: 12, completion: 8 }, metadata: { stream: false } },
      { tokens: { prompt: 12, completion: 8 }, metadata: { stream: true, outcome: 'ok' } },
    ]);
  });
});

it('calls inside of a run go to its experiment alone, wherever their streams are read', async () => {
  const other = bench.crucible.startExperiment({ name: 'other' });
  const client = openai();
  const stream = await other.run(() =>
    client.chat.completions.create({ model: 'gpt-4o', messages, stream: true }),
  );
  for await (const _ of stream);
  expect(await bench.calls()).toEqual([]);
  expect((await other.query()).map(({ eventName }) => eventName)).toEqual([
    'req_llm.request.start',
    'req_llm.request.stop',
  ]);
});
