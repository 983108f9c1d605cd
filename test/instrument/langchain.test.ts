/** LangChain.js as it is published: each call of a model is one event, with the transport's or without. */
import { tool } from '@langchain/core/tools';
import { ChatOpenAI } from '@langchain/openai';
import { describe, expect, it } from 'vitest';
import { z } from 'zod';
import { CrucibleCallbackHandler } from '../../src/instrument/langchain.js';
import { useCalls } from './support.js';

const bench = useCalls();

const chat = (model = 'gpt-4o', over: object = {}) =>
  new ChatOpenAI({
    ...{ model, apiKey: 'x', maxRetries: 0, ...over },
    configuration: {
      baseURL: `${bench.server.url}/v1`,
      ...(over as { configuration?: object }).configuration,
    },
  });
const silent = () => ({ configuration: { fetch: bench.fetch } });
const callbacks = () => [new CrucibleCallbackHandler()];

describe.each([
  ['seen by the transport as well', () => ({})],
  ['not seen by the transport', silent],
])('a call that is %s', (_, over) => {
  it('is one event', async () => {
    const { content } = await chat('gpt-4o', over()).invoke('Hi', { callbacks: callbacks() });
    expect(content).toBe('Hello');
    const [call, ...others] = await bench.calls();
    expect(others).toEqual([]);
    expect(call).toMatchObject({
      ...{ eventName: 'req_llm.request.stop', model: 'gpt-4o', provider: 'openai', success: true },
      tokens: { prompt: 20, completion: 10, total: 30 },
      metadata: {
        outcome: 'ok',
        responseId: 'chatcmpl-1',
        finishReason: 'stop',
        cachedTokens: 8,
        reasoningTokens: 3,
      },
    });
    expect(call!.latencyMs).toBeGreaterThan(0);
  });

  it('is one event when it is streamed', async () => {
    let text = '';
    for await (const { content } of await chat('gpt-4o', over()).stream('Hi', { callbacks: callbacks() }))
      text += content;
    expect(text).toBe('Hello "usage":{');
    const [call, ...others] = await bench.calls();
    expect(others).toEqual([]);
    expect(call).toMatchObject({
      tokens: { prompt: 20, completion: 2 },
      metadata: { stream: true, outcome: 'ok' },
    });
    expect(call!.metadata.ttftMs).toBeGreaterThan(0);
  });

  it('is one failure', async () => {
    await expect(chat('fail-500-9', over()).invoke('Hi', { callbacks: callbacks() })).rejects.toThrow();
    await expect.poll(() => bench.calls()).toHaveLength(1);
    expect(await bench.calls()).toMatchObject([{ success: false, metadata: { outcome: 'error' } }]);
    expect(JSON.stringify(await bench.calls())).not.toMatch(/Hi/);
  });
});

it('calls of tools are events', async () => {
  const weather = tool(async ({ city }) => (city === 'Oslo' ? 'rain' : Promise.reject(new RangeError('x'))), {
    ...{ name: 'weather', description: 'x', schema: z.object({ city: z.string() }) },
  });
  await weather.invoke({ city: 'Oslo' }, { callbacks: callbacks() });
  await expect(weather.invoke({ city: 'Rome' }, { callbacks: callbacks() })).rejects.toThrow();
  expect(await bench.calls()).toMatchObject([
    { eventName: 'altar.tool.stop', success: true, metadata: { tool: 'weather' } },
    { eventName: 'altar.tool.exception', success: false, metadata: { tool: 'weather', error: 'RangeError' } },
  ]);
});

it('calls inside of a run go to its experiment', async () => {
  const other = bench.crucible.startExperiment({ name: 'other' });
  await other.run(() => chat('gpt-4o', silent()).invoke('Hi', { callbacks: callbacks() }));
  expect(await bench.calls()).toEqual([]);
  expect(await other.query({ eventName: 'req_llm.request.stop' })).toHaveLength(1);
});
