/**
 * An agent: the AI SDK with tools of an MCP server, in one session. Its calls, tools and attempts are told alike by
 * queries, by the page and by the command line.
 */
import { execFile } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { createOpenAI } from '@ai-sdk/openai7';
import { Client } from '@modelcontextprotocol/sdk/client/index.js';
import { InMemoryTransport } from '@modelcontextprotocol/sdk/inMemory.js';
import { McpServer } from '@modelcontextprotocol/sdk/server/mcp.js';
import { generateText, stepCountIs, tool } from 'ai7';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { z } from 'zod';
import { Crucible, instrument, LLM_COLUMNS } from '../../src/index.js';
import { captureTools } from '../../src/instrument/mcp.js';
import { type ModelServer, startModelServer } from './model-server.js';

let folder: string;
let server: ModelServer;
beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), 'crucible-agent-'));
  server = await startModelServer();
});
afterEach(async () => {
  await server.close();
  rmSync(folder, { recursive: true });
});

async function forecasts(): Promise<Client> {
  const weather = new McpServer({ name: 'weather', version: '1.0.0' });
  weather.registerTool('forecast', { inputSchema: { city: z.string() } }, async () => ({
    content: [{ type: 'text', text: 'rain' }],
  }));
  const client = captureTools(new Client({ name: 'agent', version: '1.0.0' }));
  const [near, far] = InMemoryTransport.createLinkedPair();
  await Promise.all([weather.connect(near), client.connect(far)]);
  return client;
}

it('is one session, of two calls, a tool, and the call of it that MCP makes', {
  timeout: 60_000,
}, async () => {
  const crucible = new Crucible({ dir: folder });
  const experiment = crucible.startExperiment({ name: 'agent', columns: LLM_COLUMNS });
  const instrumented = instrument(crucible, { hosts: [server.host] });
  const mcp = await forecasts();
  const openai = createOpenAI({ apiKey: 'x', baseURL: `${server.url}/v1` });
  const execute = async (input: { city: string }) => mcp.callTool({ name: 'forecast', arguments: input });
  const agent = (model: string) =>
    generateText({
      ...{ model: openai.chat(model), prompt: 'What is the weather in Oslo?', stopWhen: stepCountIs(3) },
      tools: { weather: tool({ inputSchema: z.object({ city: z.string() }), execute }) },
    });
  await experiment.run(() => agent('calls-tool'), { sessionId: 'oslo' });
  // Another session, whose only call is made twice.
  await experiment.run(() => agent('fail-429-1'), { sessionId: 'retried' });
  instrumented[Symbol.dispose]();
  await mcp.close();

  const ends = (await experiment.query({ where: { sessionId: 'oslo' } })).filter(
    ({ eventName }) => !eventName.endsWith('.start'),
  );
  const names = ends.map(({ eventName, metadata }) => [eventName, metadata.tool ?? metadata.finishReason]);
  expect(names).toEqual([
    ['req_llm.request.stop', 'tool_calls'],
    ['altar.tool.stop', 'forecast'],
    ['altar.tool.stop', 'weather'],
    ['req_llm.request.stop', 'stop'],
  ]);
  expect(ends.map(({ success }) => success)).toEqual([true, true, true, true]);
  const again = await experiment.query({
    where: { sessionId: 'retried' },
    eventName: 'req_llm.request.stop',
  });
  expect(again).toMatchObject([{ metadata: { outcome: 'ok', attempts: 2 } }]);

  const page = await crucible.serve({ port: 0 });
  const response = await fetch(new URL(`api/experiments/${experiment.id}/sessions`, page.url));
  const { sessions } = (await response.json()) as { sessions: object[] };
  expect(sessions).toMatchObject([
    { session: 'retried', events: 2, failed: 0, tokens: 30 },
    { session: 'oslo', events: 8, failed: 0, tokens: 60 },
  ]);
  await page.close();
  await crucible.close();
  const crucibleOf = async (...argv: string[]) => {
    const program = ['dist/src/cli/main.js', ...argv, '--dir', folder, '--json'];
    const { stdout } = await promisify(execFile)(process.execPath, program);
    return JSON.parse(stdout) as object;
  };
  expect(await crucibleOf('show', experiment.id)).toMatchObject({ counts: { captured: 10, dropped: 0 } });
  expect(await crucibleOf('metrics', experiment.id, '--where', 'sessionId=oslo')).toMatchObject({
    metrics: { tokens: { count: 2, total: 60 } },
  });
});
