/** LangChain.js without callbacks of ours in the program: what it runs is told of all the same, once. */
import { execFile } from 'node:child_process';
import { mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { promisify } from 'node:util';
import { BaseCallbackHandler } from '@langchain/core/callbacks/base';
import { getContextVariable, registerConfigureHook, setContextVariable } from '@langchain/core/context';
import { ChatPromptTemplate } from '@langchain/core/prompts';
import { RunnableLambda } from '@langchain/core/runnables';
import { tool } from '@langchain/core/tools';
import { FakeListChatModel } from '@langchain/core/utils/testing';
import { ChatOpenAI } from '@langchain/openai';
import { describe, expect, it } from 'vitest';
import { z } from 'zod';
import { Crucible } from '../../src/index.js';
import { CrucibleCallbackHandler } from '../../src/instrument/langchain.js';
import { startModelServer } from './model-server.js';
import { useCalls } from './support.js';

const bench = useCalls();

const chat = (over: object = {}) =>
  new ChatOpenAI({
    ...{ model: 'gpt-4o', apiKey: 'x', maxRetries: 0 },
    configuration: { baseURL: `${bench.server.url}/v1`, ...over },
  });
const weather = tool(async ({ city }: { city: string }) => `wet in ${city}`, {
  ...{ name: 'weather', description: 'it', schema: z.object({ city: z.string() }) },
});
const names = async () =>
  (await bench.calls()).map(({ eventName, metadata }) => `${eventName} ${metadata.tool ?? metadata.outcome}`);

describe('what LangChain runs', () => {
  it('is told of: a model without a transport, within a chain', async () => {
    const model = new FakeListChatModel({ responses: ['Hello'] });
    const chain = ChatPromptTemplate.fromTemplate('Say {what}').pipe(model);
    expect((await chain.invoke({ what: 'hello' })).content).toBe('Hello');
    expect(await names()).toEqual(['req_llm.request.stop ok']);
  });

  it('is told of: a tool', async () => {
    expect(await weather.invoke({ city: 'Oslo' })).toBe('wet in Oslo');
    expect(await names()).toEqual(['altar.tool.stop weather']);
  });

  it.each([
    ['seen', {}],
    ['not seen', { fetch: true }],
  ])('is one call where the transport is %s', async (_, { fetch }: { fetch?: boolean }) => {
    await chat(fetch === true ? { fetch: bench.fetch } : {}).invoke('Hi');
    expect(await bench.calls()).toMatchObject([{ model: 'gpt-4o', tokens: { prompt: 20 } }]);
  });

  it('is one call where the program has our handler as well', async () => {
    await weather.invoke({ city: 'Oslo' }, { callbacks: [new CrucibleCallbackHandler()] });
    expect(await names()).toEqual(['altar.tool.stop weather']);
  });

  it('is not told of any more when that is ended', async () => {
    bench.stop();
    await weather.invoke({ city: 'Oslo' });
    expect(await names()).toEqual([]);
  });
});

it('variables and hooks of the program are as they were', async () => {
  const told: string[] = [];
  class Theirs extends BaseCallbackHandler {
    name = 'theirs';
    override awaitHandlers = true;
    override handleToolEnd(output: unknown): void {
      told.push(String(output));
    }
  }
  const handler = new Theirs();
  const inner = RunnableLambda.from(() => {
    const outer = getContextVariable('who');
    setContextVariable('who', 'inner');
    return [outer, getContextVariable('who')];
  });
  const lambda = RunnableLambda.from(async () => {
    setContextVariable('who', 'outer');
    registerConfigureHook({ contextVar: 'theirs' });
    setContextVariable('theirs', handler);
    const seen = await inner.invoke({});
    await weather.invoke({ city: 'Oslo' });
    return [...(seen as string[]), getContextVariable('who')];
  });
  expect(await lambda.invoke({})).toEqual(['outer', 'inner', 'outer']);
  expect(told).toEqual(['wet in Oslo']);
  expect(getContextVariable('who')).toBeUndefined();
  expect(await names()).toEqual(['altar.tool.stop weather']);
});

it.each([
  [
    'mjs',
    `import { tool } from '@langchain/core/tools';
     await tool(async () => 'wet', { name: 'weather', description: 'it' }).invoke('Oslo');`,
  ],
  [
    'cjs',
    `const { tool } = require('@langchain/core/tools');
     setTimeout(() => tool(async () => 'wet', { name: 'weather', description: 'it' }).invoke('Oslo'), 1);`,
  ],
])('a program in %s is captured without a line of its code', async (type, source) => {
  const folder = mkdtempSync(join(tmpdir(), 'crucible-langchain-'));
  const server = await startModelServer();
  try {
    symlinkSync(resolve('node_modules'), join(folder, 'node_modules'));
    writeFileSync(join(folder, `app.${type}`), source);
    const env = { PATH: process.env.PATH, CRUCIBLE_DIR: 'runs' };
    const register = resolve('dist/src/instrument/register.js');
    await promisify(execFile)(process.execPath, ['--import', register, `app.${type}`], { cwd: folder, env });
    await using reader = new Crucible();
    const { experiments } = await reader.recover(join(folder, 'runs'), { readOnly: true });
    const rows = await reader.experiment(experiments[0]!.id).query({ eventName: 'altar.tool.stop' });
    expect(rows).toMatchObject([{ success: true, metadata: { tool: 'weather' } }]);
  } finally {
    await server.close();
    rmSync(folder, { recursive: true });
  }
});
