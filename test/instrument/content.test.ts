/** What is said is stored where that is asked for, whoever tells of the call, and nothing else of a request. */
import { execFile } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { promisify } from 'node:util';
import { createOpenAI as createOpenAI6 } from '@ai-sdk/openai';
import { createOpenAI as createOpenAI5 } from '@ai-sdk/openai5';
import { createOpenAI as createOpenAI7 } from '@ai-sdk/openai7';
import Anthropic from '@anthropic-ai/sdk';
import { GoogleGenAI } from '@google/genai';
import { tool } from '@langchain/core/tools';
import { ChatOpenAI } from '@langchain/openai';
import { Client } from '@modelcontextprotocol/sdk/client/index.js';
import { InMemoryTransport } from '@modelcontextprotocol/sdk/inMemory.js';
import { McpServer } from '@modelcontextprotocol/sdk/server/mcp.js';
import { BasicTracerProvider } from '@opentelemetry/sdk-trace-base';
import * as ai6 from 'ai';
import * as ai5 from 'ai5';
import * as ai7 from 'ai7';
import { MockLanguageModelV4 } from 'ai7/test';
import { Ollama } from 'ollama';
import OpenAI from 'openai';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { z } from 'zod';
import { ConfigError, Crucible, type EventRow, type Experiment, instrument } from '../../src/index.js';
import type { ContentOptions } from '../../src/instrument/content.js';
import { crucibleFetch } from '../../src/instrument/fetch.js';
import { CrucibleCallbackHandler } from '../../src/instrument/langchain.js';
import { captureTools } from '../../src/instrument/mcp.js';
import { CrucibleSpanProcessor } from '../../src/outlets/otel.js';
import { type ModelServer, startModelServer } from './model-server.js';

let server: ModelServer;
let crucible: Crucible;
let experiment: Experiment;
let instrumented: Disposable | undefined;
const untapped = globalThis.fetch;
beforeEach(async () => {
  server = await startModelServer();
  crucible = new Crucible();
  experiment = crucible.startExperiment({ name: 'content' });
});
afterEach(async () => {
  instrumented?.[Symbol.dispose]();
  instrumented = undefined;
  await crucible.close();
  await server.close();
});

function capture(content?: boolean | ContentOptions): void {
  instrumented = instrument(experiment, { hosts: [server.host], content });
}

async function ends(): Promise<EventRow[]> {
  return (await experiment.query()).filter(({ eventName }) => !eventName.endsWith('.start'));
}

/** What each call's end has of what was said. */
async function said(): Promise<unknown[]> {
  return (await ends()).map(({ metadata: { prompt, response, toolCalls } }) => ({
    prompt,
    response,
    toolCalls,
  }));
}

const messages = [{ role: 'user' as const, content: 'Say hello' }];
const asked = [{ role: 'user', content: 'Say hello' }];
const keyed = () => ({ apiKey: 'sk-planted-key', baseURL: `${server.url}/v1` });
const inputSchema = z.object({ city: z.string() });

describe('by the tap', () => {
  const SOURCES: [string, () => Promise<unknown>, string][] = [
    ['OpenAI', () => new OpenAI(keyed()).chat.completions.create({ model: 'm', messages }), 'Hello'],
    [
      'OpenAI, a stream',
      async () => {
        const stream = await new OpenAI(keyed()).chat.completions.create({
          model: 'm',
          messages,
          stream: true,
        });
        for await (const _ of stream);
      },
      'Hello "usage":{',
    ],
    [
      'OpenAI, responses',
      async () => {
        const stream = await new OpenAI(keyed()).responses.create({
          model: 'm',
          input: 'Say hello',
          stream: true,
        });
        for await (const _ of stream);
      },
      'Hello',
    ],
    [
      'Anthropic',
      async () => {
        const client = new Anthropic({ apiKey: 'sk-planted-key', baseURL: server.url });
        for await (const _ of client.messages.stream({ model: 'm', max_tokens: 5, messages }));
      },
      'Hello',
    ],
    [
      'Google',
      async () => {
        const client = new GoogleGenAI({ apiKey: 'sk-planted-key', httpOptions: { baseUrl: server.url } });
        await client.models.generateContent({ model: 'm', contents: 'Say hello' });
      },
      'Hello',
    ],
    [
      'Ollama',
      async () => {
        for await (const _ of await new Ollama({ host: server.url }).chat({
          model: 'm',
          messages,
          stream: true,
        }));
      },
      'HelloHello',
    ],
    [
      'AI SDK 5',
      () => ai5.generateText({ model: createOpenAI5(keyed()).chat('m'), prompt: 'Say hello' }),
      'Hello',
    ],
    [
      'AI SDK 6',
      () => ai6.generateText({ model: createOpenAI6(keyed()).chat('m'), prompt: 'Say hello' }),
      'Hello',
    ],
    [
      'AI SDK 7',
      () => ai7.generateText({ model: createOpenAI7(keyed()).chat('m'), prompt: 'Say hello' }),
      'Hello',
    ],
    [
      'LangChain',
      () =>
        new ChatOpenAI({ model: 'm', apiKey: 'sk-planted-key', configuration: keyed() }).invoke('Say hello'),
      'Hello',
    ],
  ];

  it.each(SOURCES)('%s', async (_, call, response) => {
    capture(true);
    await call();
    expect(await said()).toEqual([{ prompt: asked, response, toolCalls: undefined }]);
    const rows = JSON.stringify(await experiment.query());
    expect(rows).not.toContain('sk-planted-key');
    // Nothing of a call is told twice.
    expect(rows.split('Say hello')).toHaveLength(2);
  });

  it.each(SOURCES)('%s: nothing, where nobody has asked', async (_, call) => {
    capture();
    await call();
    const rows = JSON.stringify(await experiment.query());
    expect(rows).toContain('req_llm.request.stop');
    expect(rows).not.toMatch(/Say hello|Hello|sk-planted-key/);
  });

  it('calls of tools', async () => {
    capture(true);
    await new OpenAI(keyed()).chat.completions.create({ model: 'calls-tool', messages });
    const toolCalls = [{ name: 'weather', arguments: '{"city":"Oslo"}' }];
    expect(await said()).toEqual([{ prompt: asked, response: undefined, toolCalls }]);
  });

  it('of a fetch that is given to a client', async () => {
    const fetch = crucibleFetch({ hosts: [server.host], experiment, content: true });
    await new OpenAI({ ...keyed(), fetch }).chat.completions.create({ model: 'm', messages });
    expect(await said()).toMatchObject([{ prompt: asked, response: 'Hello' }]);
  });

  it('of the attempt that has answered', async () => {
    capture(true);
    await new OpenAI(keyed()).chat.completions.create({ model: 'fail-500-1', messages });
    expect(await said()).toMatchObject([{ prompt: asked, response: 'Hello' }]);
  });

  it('as far as a stream has come that is left, or breaks', async () => {
    capture(true);
    const stream = await new OpenAI(keyed()).chat.completions.create({
      model: 'cut',
      messages,
      stream: true,
    });
    const read = async () => {
      for await (const _ of stream);
    };
    await expect(read()).rejects.toThrow();
    const [end] = await ends();
    expect(end).toMatchObject({ success: false, metadata: { prompt: asked, response: 'Hel' } });
  });

  it('a body that is no JSON costs the call nothing but its content', async () => {
    capture(true);
    const response = await fetch(`${server.url}/v1/embeddings`, { method: 'POST', body: '{}' });
    await response.text();
    expect(await ends()).toMatchObject([{ success: true, metadata: { outcome: 'ok' } }]);
  });
});

describe('by frameworks alone', () => {
  it('AI SDK 7, with a tool', async () => {
    capture(true);
    const usage = {
      inputTokens: { total: 1, noCache: 1, cacheRead: undefined, cacheWrite: undefined },
      outputTokens: { total: 1, text: 1, reasoning: undefined },
    };
    const steps = [
      [{ type: 'tool-call', toolCallId: 'c', toolName: 'weather', input: '{"city":"Oslo"}' }],
      [{ type: 'text', text: 'Rain' }],
    ];
    const model = new MockLanguageModelV4({
      doGenerate: (async () => ({
        content: steps.shift(),
        finishReason: { unified: steps.length === 1 ? 'tool-calls' : 'stop', raw: undefined },
        ...{ usage, warnings: [] },
      })) as never,
    });
    const weather = ai7.tool({ inputSchema, execute: async ({ city }) => `wet in ${city}` });
    const stopWhen = ai7.stepCountIs(3);
    await ai7.generateText({ model, system: 'Be brief', prompt: 'Weather?', tools: { weather }, stopWhen });
    const rows = (await ends()).map(({ metadata }) => metadata);
    expect(rows).toMatchObject([
      { toolCalls: [{ name: 'weather', arguments: '{"city":"Oslo"}' }] },
      { arguments: '{"city":"Oslo"}', result: 'wet in Oslo' },
      { response: 'Rain' },
    ]);
    expect(rows[0]!.prompt).toEqual([
      { role: 'system', content: 'Be brief' },
      { role: 'user', content: 'Weather?' },
    ]);
  });

  it('LangChain, with a tool', async () => {
    const callbacks = [new CrucibleCallbackHandler({ experiment, content: true })];
    const configuration = { ...keyed(), fetch: untapped };
    await new ChatOpenAI({ model: 'm', apiKey: 'x', configuration }).invoke(
      [
        ['system', 'Be brief'],
        ['human', 'Say hello'],
      ],
      { callbacks },
    );
    const weather = tool(async ({ city }: { city: string }) => `wet in ${city}`, {
      ...{ name: 'weather', description: 'it', schema: inputSchema },
    });
    await weather.invoke({ city: 'Oslo' }, { callbacks });
    expect((await ends()).map(({ metadata }) => metadata)).toMatchObject([
      { prompt: [{ role: 'system', content: 'Be brief' }, ...asked], response: 'Hello' },
      { tool: 'weather', arguments: '{"city":"Oslo"}', result: 'wet in Oslo' },
    ]);
  });

  it('MCP', async () => {
    const mcp = new McpServer({ name: 'weather', version: '1.0.0' });
    mcp.registerTool('forecast', { inputSchema: { city: z.string() } }, async () => ({
      content: [{ type: 'text', text: 'rain' }],
    }));
    const client = new Client({ name: 'test', version: '1.0.0' });
    const [near, far] = InMemoryTransport.createLinkedPair();
    await Promise.all([mcp.connect(near), client.connect(far)]);
    captureTools(client, { content: true });
    await client.callTool({ name: 'forecast', arguments: { city: 'Oslo' } });
    await client.close();
    expect((await ends()).map(({ metadata }) => metadata)).toMatchObject([
      { tool: 'forecast', arguments: '{"city":"Oslo"}', result: '[{"type":"text","text":"rain"}]' },
    ]);
  });

  const CALL = { 'gen_ai.operation.name': 'chat', 'gen_ai.request.model': 'spanned' };
  it.each<[string, Record<string, string>]>([
    [
      'the conventions of generative AI',
      {
        ...CALL,
        'gen_ai.system_instructions': '[{"type":"text","content":"Be brief"}]',
        'gen_ai.input.messages': '[{"role":"user","parts":[{"type":"text","content":"Say hello"}]}]',
        'gen_ai.output.messages': '[{"role":"assistant","parts":[{"type":"text","content":"Hello"}]}]',
      },
    ],
    [
      'OpenLLMetry',
      {
        ...{ 'llm.request.type': 'chat', 'gen_ai.request.model': 'spanned' },
        ...{ 'gen_ai.prompt.0.role': 'system', 'gen_ai.prompt.0.content': 'Be brief' },
        ...{ 'gen_ai.prompt.1.role': 'user', 'gen_ai.prompt.1.content': 'Say hello' },
        'gen_ai.completion.0.content': 'Hello',
      },
    ],
    [
      'OpenInference',
      {
        ...{ 'openinference.span.kind': 'LLM', 'llm.model_name': 'spanned' },
        'llm.input_messages.0.message.role': 'system',
        'llm.input_messages.0.message.content': 'Be brief',
        'llm.input_messages.1.message.role': 'user',
        'llm.input_messages.1.message.content': 'Say hello',
        'llm.output_messages.0.message.role': 'assistant',
        'llm.output_messages.0.message.content': 'Hello',
      },
    ],
    [
      'the AI SDK',
      {
        ...{ 'ai.operationId': 'ai.generateText.doGenerate', 'ai.model.id': 'spanned' },
        'ai.prompt.messages':
          '[{"role":"system","content":"Be brief"},{"role":"user","content":[{"type":"text","text":"Say hello"}]}]',
        'ai.response.text': 'Hello',
      },
    ],
  ])('spans of OpenTelemetry: %s', async (_, attributes) => {
    const spanProcessors = [new CrucibleSpanProcessor({ experiment, content: true })];
    new BasicTracerProvider({ spanProcessors }).getTracer('t').startSpan('chat', { attributes }).end();
    expect(await said()).toMatchObject([
      { prompt: [{ role: 'system', content: 'Be brief' }, ...asked], response: 'Hello' },
    ]);
  });
});

describe('what is stored', () => {
  it('is what a redaction gives, which is told what it has', async () => {
    const seen: unknown[] = [];
    capture({
      redact(text, { part, model, provider }) {
        seen.push([text, part, model, provider]);
        return part === 'response' ? null : text.replace('hello', '…');
      },
    });
    await new OpenAI(keyed()).chat.completions.create({ model: 'm', messages });
    expect(await said()).toEqual([
      { prompt: [{ role: 'user', content: 'Say …' }], response: null, toolCalls: undefined },
    ]);
    expect(seen).toEqual([
      ['Say hello', 'prompt', 'm', 'openai'],
      ['Hello', 'response', 'm', 'openai'],
    ]);
  });

  it.each<[string, unknown]>([
    [
      'throws',
      () => {
        throw new Error('no');
      },
    ],
    ['returns a promise', async (text: string) => text],
    ['returns nothing', () => undefined],
  ])('is nothing where the redaction %s', async (_, redact) => {
    capture({ redact: redact as never });
    const reply = await new OpenAI(keyed()).chat.completions.create({ model: 'm', messages });
    expect(reply.id).toBe('chatcmpl-1');
    expect(await said()).toEqual([{ prompt: undefined, response: undefined, toolCalls: undefined }]);
    expect(await ends()).toMatchObject([{ success: true, tokens: { prompt: 20 } }]);
  });

  it('is cut at the end of a character; of prompts the last messages are kept', async () => {
    capture({ maxBytes: 8 });
    const long = [
      { role: 'system' as const, content: 'Be brief' },
      { role: 'assistant' as const, content: 'ääää' },
      { role: 'user' as const, content: 'Hi you' },
    ];
    await new OpenAI(keyed()).chat.completions.create({ model: 'm', messages: long });
    const [end] = await ends();
    expect(end!.metadata).toMatchObject({
      prompt: [
        { role: 'assistant', content: 'ä' },
        { role: 'user', content: 'Hi you' },
      ],
      response: 'Hello',
      contentCut: true,
    });
  });

  it.each([{ maxBytes: 0 }, { maxBytes: 1.5 }, { redact: 'x' }, { redacted: () => '' }, 1])(
    'is not what %o says',
    (content) => {
      expect(() => capture(content as never)).toThrow(ConfigError);
      expect(globalThis.fetch).toBe(untapped);
    },
  );
});

it('a program stores it by its environment, and no key of it anywhere', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'crucible-content-'));
  try {
    writeFileSync(
      join(folder, 'app.mjs'),
      `const body = JSON.stringify({ model: 'm', messages: [{ role: 'user', content: 'Say hello' }], metadata: { token: 'planted-3' } });
       const headers = { authorization: 'Bearer planted-1', 'x-api-key': 'planted-2' };
       const response = await fetch(process.env.BASE + '/v1/chat/completions?key=planted-4', { method: 'POST', headers, body });
       await response.text();`,
    );
    const env = { PATH: process.env.PATH, BASE: server.url, CRUCIBLE_DIR: 'runs', CRUCIBLE_CONTENT: '1' };
    const register = resolve('dist/src/instrument/register.js');
    await promisify(execFile)(process.execPath, ['--import', register, 'app.mjs'], { cwd: folder, env });
    const runs = join(folder, 'runs');
    await using reader = new Crucible();
    const { experiments } = await reader.recover(runs, { readOnly: true });
    const path = join(folder, 'x.jsonl');
    await reader.experiment(experiments[0]!.id).export('jsonl', { path });
    expect(readFileSync(path, 'utf8')).toMatch(/Say hello.*Hello/);
    const files = readdirSync(folder, { recursive: true, withFileTypes: true })
      .filter((entry) => entry.isFile() && entry.name !== 'app.mjs')
      .map((entry) => readFileSync(join(entry.parentPath, entry.name), 'latin1'));
    expect(files.join('\n')).toContain('Say hello');
    expect(files.join('\n')).not.toContain('planted');
  } finally {
    rmSync(folder, { recursive: true });
  }
});
