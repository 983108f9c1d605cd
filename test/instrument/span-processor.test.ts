/** Spans of OpenTelemetry's own SDK, under all names that calls of models have had. */

import { createOpenAI } from '@ai-sdk/openai';
import { createOpenAI as createOpenAI5 } from '@ai-sdk/openai5';
import { type Attributes, context, SpanKind, SpanStatusCode, type Tracer, trace } from '@opentelemetry/api';
import { BasicTracerProvider } from '@opentelemetry/sdk-trace-base';
import { generateText, stepCountIs, streamText, tool } from 'ai';
import * as ai5 from 'ai5';
import { describe, expect, it } from 'vitest';
import { z } from 'zod';
import { CrucibleSpanProcessor } from '../../src/outlets/otel.js';
import { useCalls } from './support.js';

const bench = useCalls();

function tracerOf(options = {}): Tracer {
  return new BasicTracerProvider({ spanProcessors: [new CrucibleSpanProcessor(options)] }).getTracer('test');
}

function emit(attributes: Attributes, name = 'chat', tracer = tracerOf()) {
  tracer.startSpan(name, { kind: SpanKind.CLIENT, attributes }).end();
}

const TOKENS = { prompt: 20, completion: 10 };

describe('names of a call', () => {
  it.each<[string, Attributes]>([
    [
      'the conventions of generative AI',
      {
        ...{
          'gen_ai.operation.name': 'chat',
          'gen_ai.provider.name': 'openai',
          'gen_ai.request.model': 'gpt-4o',
        },
        ...{ 'gen_ai.usage.input_tokens': 20, 'gen_ai.usage.output_tokens': 10 },
        ...{ 'gen_ai.usage.cache_read.input_tokens': 8, 'gen_ai.usage.reasoning.output_tokens': 3 },
        ...{ 'gen_ai.response.id': 'r', 'gen_ai.response.finish_reasons': ['stop'] },
      },
    ],
    [
      'their older names',
      {
        ...{ 'gen_ai.system': 'openai', 'gen_ai.request.model': 'gpt-4o', 'gen_ai.response.id': 'r' },
        ...{ 'gen_ai.usage.prompt_tokens': 20, 'gen_ai.usage.completion_tokens': 10 },
        ...{ 'gen_ai.usage.cached_tokens': 8, 'gen_ai.usage.reasoning_tokens': 3 },
        'gen_ai.response.finish_reasons': ['stop'],
      },
    ],
    [
      'OpenLLMetry',
      {
        ...{ 'llm.request.type': 'chat', 'gen_ai.system': 'openai', 'gen_ai.request.model': 'gpt-4o' },
        ...{ 'gen_ai.usage.prompt_tokens': 20, 'gen_ai.usage.completion_tokens': 10 },
        ...{ 'gen_ai.usage.cache_read_input_tokens': 8, 'gen_ai.usage.reasoning_tokens': 3 },
        ...{ 'gen_ai.response.id': 'r', 'gen_ai.completion.0.finish_reason': 'stop' },
      },
    ],
    [
      'OpenInference',
      {
        ...{ 'openinference.span.kind': 'LLM', 'llm.provider': 'openai', 'llm.model_name': 'gpt-4o' },
        ...{ 'llm.token_count.prompt': 20, 'llm.token_count.completion': 10, 'llm.token_count.total': 30 },
        ...{
          'llm.token_count.prompt_details.cache_read': 8,
          'llm.token_count.completion_details.reasoning': 3,
        },
        ...{ 'llm.response.id': 'r', 'llm.finish_reason': 'stop' },
      },
    ],
  ])('%s', async (_, attributes) => {
    emit(attributes);
    expect(await bench.calls()).toMatchObject([
      {
        ...{
          eventName: 'req_llm.request.stop',
          model: 'gpt-4o',
          provider: 'openai',
          tokens: TOKENS,
          success: true,
        },
        metadata: {
          cachedTokens: 8,
          reasoningTokens: 3,
          responseId: 'r',
          finishReason: 'stop',
          outcome: 'ok',
        },
      },
    ]);
  });
});

it('a span has its time, its trace, its session and its failure', async () => {
  const tracer = tracerOf();
  const span = tracer.startSpan('chat', {
    startTime: new Date(1_700_000_000_000),
    attributes: {
      'gen_ai.operation.name': 'chat',
      'session.id': 's',
      'user.id': 'u',
      'error.type': 'timeout',
    },
  });
  span.setStatus({ code: SpanStatusCode.ERROR, message: 'secret' });
  span.end(new Date(1_700_000_000_250));
  const rows = await bench.calls();
  expect(rows).toMatchObject([
    {
      ...{ eventName: 'req_llm.request.exception', latencyMs: 250, success: false, tokens: null },
      ...{
        traceId: span.spanContext().traceId,
        spanId: span.spanContext().spanId,
        sessionId: 's',
        userId: 'u',
      },
      metadata: { error: 'timeout', outcome: 'error' },
    },
  ]);
  expect(JSON.stringify(rows)).not.toContain('secret');
});

it('spans around calls, and about something else, are no calls', async () => {
  emit({ 'gen_ai.operation.name': 'invoke_agent', 'gen_ai.usage.input_tokens': 99 });
  emit({ 'openinference.span.kind': 'CHAIN', 'llm.token_count.prompt': 99 });
  emit({ 'traceloop.span.kind': 'workflow' });
  emit({ 'ai.operationId': 'ai.generateText', 'gen_ai.system': 'openai', 'gen_ai.request.model': 'x' });
  emit({ 'http.request.method': 'GET' });
  expect(await bench.experiment.query()).toEqual([]);
});

it('a span of inference around another is the same call', async () => {
  const tracer = tracerOf();
  const outer = tracer.startSpan('LLM', {
    attributes: { 'openinference.span.kind': 'LLM', 'llm.model_name': 'gpt-4o' },
  });
  const inside = trace.setSpan(context.active(), outer);
  tracer
    .startSpan(
      'chat',
      { attributes: { 'gen_ai.operation.name': 'chat', 'gen_ai.request.model': 'gpt-4o' } },
      inside,
    )
    .end();
  outer.end();
  expect(await bench.calls()).toHaveLength(1);
});

it('tools', async () => {
  emit({
    'gen_ai.operation.name': 'execute_tool',
    'gen_ai.tool.name': 'weather',
    'gen_ai.tool.call.id': 'c',
  });
  emit({ 'openinference.span.kind': 'TOOL', 'tool.name': 'search', 'error.type': 'RangeError' });
  expect(await bench.calls()).toMatchObject([
    { eventName: 'altar.tool.stop', success: true, metadata: { tool: 'weather', toolCallId: 'c' } },
    { eventName: 'altar.tool.exception', success: false, metadata: { tool: 'search', error: 'RangeError' } },
  ]);
});

it('a span that was begun in a run belongs to it, wherever it ends', async () => {
  const other = bench.crucible.startExperiment({ name: 'other' });
  const tracer = tracerOf();
  const span = other.run(() => tracer.startSpan('chat', { attributes: { 'gen_ai.operation.name': 'chat' } }));
  span.end();
  expect(await bench.calls()).toEqual([]);
  expect(await other.query()).toHaveLength(2);
});

describe('spans of the AI SDK', () => {
  const keyed = (fetched: typeof fetch) => ({
    apiKey: 'x',
    baseURL: `${bench.server.url}/v1`,
    fetch: fetched,
  });
  const on = () => ({ isEnabled: true, tracer: tracerOf() });
  const USAGE = { prompt: 20, completion: 10 };

  it.each([
    ['seen by the transport as well', () => globalThis.fetch],
    ['alone', () => bench.fetch],
  ])('version 6, %s: each call once', async (_, fetched) => {
    const openai = createOpenAI(keyed(fetched()));
    const inputSchema = z.object({ city: z.string() });
    await generateText({
      ...{
        model: openai.chat('calls-tool'),
        prompt: 'Hi',
        stopWhen: stepCountIs(3),
        experimental_telemetry: on(),
      },
      tools: { weather: tool({ inputSchema, execute: async () => 'rain' }) },
    });
    await streamText({ model: openai.chat('gpt-4o'), prompt: 'Hi', experimental_telemetry: on() }).text;
    const llm = (await bench.calls()).filter(({ eventName }) => eventName.startsWith('req_llm'));
    expect(llm).toMatchObject([
      { model: 'calls-tool', tokens: USAGE },
      { model: 'calls-tool', tokens: USAGE },
      { model: 'gpt-4o', tokens: { prompt: 20, completion: 2 } },
    ]);
  });

  it('version 5, alone', async () => {
    const openai = createOpenAI5(keyed(bench.fetch));
    await ai5.generateText({ model: openai.chat('gpt-4o'), prompt: 'Hi', experimental_telemetry: on() });
    expect(await bench.calls()).toMatchObject([
      { model: 'gpt-4o', tokens: USAGE, metadata: { outcome: 'ok' } },
    ]);
  });
});
