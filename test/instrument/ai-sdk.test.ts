/** The AI SDK as it is published: each call of a model is one event, whichever layers see it. */
import { createOpenAI } from '@ai-sdk/openai';
import { createOpenAI as createOpenAI5 } from '@ai-sdk/openai5';
import { createOpenAI as createOpenAI7 } from '@ai-sdk/openai7';
import { generateText, stepCountIs, streamText, tool } from 'ai';
import * as ai5 from 'ai5';
import * as ai7 from 'ai7';
import { MockLanguageModelV4 } from 'ai7/test';
import { describe, expect, it, onTestFinished } from 'vitest';
import { z } from 'zod';
import { crucibleIntegration } from '../../src/instrument/ai-sdk.js';
import { useCalls } from './support.js';

const bench = useCalls();

const keyed = () => ({ apiKey: 'x', baseURL: `${bench.server.url}/v1` });
const inputSchema = z.object({ city: z.string() });
const silent = { onError: () => {} };

async function rows(of = 'req_llm') {
  return (await bench.experiment.query()).filter(({ eventName }) => eventName.startsWith(of));
}

const USAGE = { prompt: 20, completion: 10, total: 30 };
/** A model without a transport. */
const local = (over: object = {}) =>
  new MockLanguageModelV4({
    provider: 'house.chat',
    modelId: 'local-1',
    doGenerate: {
      content: [{ type: 'text', text: 'Hello' }],
      finishReason: { unified: 'stop', raw: 'stop' },
      usage: {
        inputTokens: { total: 9, noCache: 5, cacheRead: 4, cacheWrite: undefined },
        outputTokens: { total: 3, text: 1, reasoning: 2 },
      },
      response: { id: 'local-response' },
      warnings: [],
    },
    ...over,
  });

describe('version 7', () => {
  const model = (name = 'gpt-4o') => createOpenAI7(keyed()).chat(name);

  it('a text is one call, with what the transport knows of it', async () => {
    const { text } = await ai7.generateText({ model: model(), prompt: 'Hi' });
    expect(text).toBe('Hello');
    expect(await rows()).toMatchObject([
      { eventName: 'req_llm.request.start', model: 'gpt-4o', provider: 'openai' },
      {
        eventName: 'req_llm.request.stop',
        model: 'gpt-4o',
        provider: 'openai',
        tokens: USAGE,
        metadata: { statusCode: 200, attempts: 1, cachedTokens: 8, responseId: 'chatcmpl-1', outcome: 'ok' },
      },
    ]);
  });

  it('its attempts are inside of their call', async () => {
    await ai7.generateText({ model: model('fail-500-1'), prompt: 'Hi' });
    expect(await bench.calls()).toMatchObject([
      { success: true, metadata: { attempts: 2, statusCode: 200 } },
    ]);
  });

  it('a call that fails says what the provider has said', async () => {
    const failed = ai7.generateText({ model: model('fail-500-9'), prompt: 'Hi', maxRetries: 1 });
    await expect(failed).rejects.toThrow();
    expect(await bench.calls()).toMatchObject([
      { success: false, metadata: { attempts: 2, outcome: 'error', error: 'server_error', statusCode: 500 } },
    ]);
  });

  it('a stream', async () => {
    const { textStream } = ai7.streamText({ model: model(), prompt: 'Hi' });
    let text = '';
    for await (const part of textStream) text += part;
    expect(text).toBe('Hello "usage":{');
    const [call, ...others] = await bench.calls();
    expect(others).toEqual([]);
    expect(call).toMatchObject({
      tokens: { prompt: 20, completion: 2 },
      metadata: { outcome: 'ok', stream: true },
    });
    expect(call!.metadata.ttftMs).toBeGreaterThan(0);
  });

  it('a stream that is left early goes on to be read by the SDK, and is one call', async () => {
    bench.server.hold();
    for await (const _ of ai7.streamText({ model: model(), prompt: 'Hi', ...silent }).textStream) break;
    expect(await bench.calls()).toEqual([]);
    bench.server.resume();
    await expect.poll(() => bench.calls()).toMatchObject([{ metadata: { outcome: 'ok', stream: true } }]);
  });

  it('a stream that its caller aborts is aborted', async () => {
    bench.server.hold();
    const controller = new AbortController();
    const { fullStream } = ai7.streamText({
      ...{ model: model(), prompt: 'Hi', abortSignal: controller.signal },
      ...silent,
    });
    for await (const { type } of fullStream) if (type === 'text-delta') controller.abort();
    await expect.poll(() => bench.calls()).toMatchObject([{ metadata: { outcome: 'aborted' } }]);
  });

  it('each step is a call, and each tool', async () => {
    await ai7.generateText({
      ...{ model: model('calls-tool'), prompt: 'Hi', stopWhen: ai7.stepCountIs(3) },
      tools: { weather: ai7.tool({ inputSchema, execute: async () => 'rain' }) },
    });
    expect(await bench.calls()).toMatchObject([
      { eventName: 'req_llm.request.stop', tokens: USAGE, metadata: { finishReason: 'tool_calls' } },
      { eventName: 'altar.tool.stop', success: true, metadata: { tool: 'weather', toolCallId: 'call_1' } },
      { eventName: 'req_llm.request.stop', tokens: USAGE, metadata: { finishReason: 'stop' } },
    ]);
  });

  it('a tool that fails is a failure', async () => {
    const fail = async (): Promise<string> => {
      throw new RangeError('x');
    };
    await ai7.generateText({
      ...{ model: model('calls-tool'), prompt: 'Hi', stopWhen: ai7.stepCountIs(3) },
      tools: { weather: ai7.tool({ inputSchema, execute: fail }) },
    });
    expect(await rows('altar')).toMatchObject([
      { eventName: 'altar.tool.start' },
      { eventName: 'altar.tool.exception', success: false, metadata: { error: 'RangeError' } },
    ]);
  });

  it('a model without a transport is known by what the SDK tells', async () => {
    await ai7.generateText({ model: local(), prompt: 'Hi' });
    expect(await bench.calls()).toMatchObject([
      {
        model: 'local-1',
        provider: 'house',
        tokens: { prompt: 9, completion: 3 },
        metadata: { cachedTokens: 4, reasoningTokens: 2, responseId: 'local-response', outcome: 'ok' },
      },
    ]);
  });

  it('a model of another context, called by a tool, is a call of its own', async () => {
    const inner = async () => (await ai7.generateText({ model: local(), prompt: 'Inner' })).text;
    await ai7.generateText({
      ...{ model: model('calls-tool'), prompt: 'Hi', stopWhen: ai7.stepCountIs(3) },
      tools: { weather: ai7.tool({ inputSchema, execute: inner }) },
    });
    const models = (await bench.calls()).map(({ eventName, model: name }) => name ?? eventName);
    expect(models).toEqual(['calls-tool', 'local-1', 'altar.tool.stop', 'calls-tool']);
  });

  it('as the integrations of one call, for one experiment', async () => {
    const other = bench.crucible.startExperiment({ name: 'other' });
    const integrations = [crucibleIntegration({ experiment: other })];
    await ai7.generateText({ model: local(), prompt: 'Hi', telemetry: { integrations } });
    expect(await bench.calls()).toEqual([]);
    expect(await other.query({ eventName: 'req_llm.request.stop' })).toHaveLength(1);
  });
});

describe('version 6', () => {
  const model = (name = 'gpt-4o') => createOpenAI(keyed()).chat(name);

  it('a text, a stream, and a tool: each call once', async () => {
    await generateText({ model: model(), prompt: 'Hi' });
    await streamText({ model: model(), prompt: 'Hi' }).text;
    await generateText({
      ...{ model: model('calls-tool'), prompt: 'Hi', stopWhen: stepCountIs(3) },
      tools: { weather: tool({ inputSchema, execute: async () => 'rain' }) },
    });
    expect(await bench.calls()).toMatchObject([
      { model: 'gpt-4o', tokens: USAGE, metadata: { statusCode: 200 } },
      { model: 'gpt-4o', tokens: { prompt: 20, completion: 2 }, metadata: { stream: true } },
      { model: 'calls-tool', tokens: USAGE },
      { eventName: 'altar.tool.stop', metadata: { tool: 'weather' } },
      { model: 'calls-tool', tokens: USAGE },
    ]);
  });

  it('without a transport that is seen', async () => {
    const { fetch: untapped } = bench;
    const silentModel = createOpenAI({ ...keyed(), fetch: untapped }).chat('gpt-4o');
    await generateText({ model: silentModel, prompt: 'Hi' });
    const [call, ...others] = await bench.calls();
    expect(others).toEqual([]);
    expect(call).toMatchObject({
      ...{ model: 'gpt-4o', provider: 'openai', tokens: USAGE },
      metadata: { cachedTokens: 8, reasoningTokens: 3, responseId: 'chatcmpl-1', outcome: 'ok' },
    });
    expect(call!.latencyMs).toBeGreaterThan(0);
  });
});

it('version 5 has no integrations, and its calls are seen by their fetch', async () => {
  const model = createOpenAI5(keyed()).chat('gpt-4o');
  await ai5.generateText({ model, prompt: 'Hi' });
  expect(await bench.calls()).toMatchObject([{ model: 'gpt-4o', tokens: USAGE, metadata: { attempts: 1 } }]);
});

it('an integration that is taken out hears nothing more', async () => {
  bench.stop();
  onTestFinished(() => bench.stop());
  await ai7.generateText({ model: local(), prompt: 'Hi' });
  expect(await bench.calls()).toEqual([]);
});

describe.each([
  [
    '5',
    (name: string, rest = {}) =>
      ai5.generateText({ model: createOpenAI5(keyed()).chat(name), prompt: 'Hi', ...rest }),
  ],
  [
    '6',
    (name: string, rest = {}) =>
      generateText({ model: createOpenAI(keyed()).chat(name), prompt: 'Hi', ...rest }),
  ],
])('attempts of version %s, which counts them nowhere', (_, generate) => {
  it('are inside of their call', async () => {
    expect((await generate('fail-500-2')).text).toBe('Hello');
    expect(await bench.calls()).toMatchObject([
      { success: true, tokens: USAGE, metadata: { outcome: 'ok', attempts: 3, statusCode: 200 } },
    ]);
    // Three requests were made.
    expect(bench.server.requests).toHaveLength(3);
  });

  it('that all fail are one failure, which is told before the experiment ends', async () => {
    await expect(generate('fail-500-9', { maxRetries: 1 })).rejects.toThrow();
    await bench.experiment.stop();
    expect(await bench.calls()).toMatchObject([
      { success: false, metadata: { outcome: 'error', attempts: 2, statusCode: 500 } },
    ]);
  });

  it('are not made after an answer that is final', async () => {
    await expect(generate('fail-400-9')).rejects.toThrow();
    expect(await bench.calls()).toMatchObject([
      { success: false, metadata: { attempts: 1, statusCode: 400 } },
    ]);
  });
});
