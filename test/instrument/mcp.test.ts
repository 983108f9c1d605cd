/** Tools of a real MCP server, called by the real client. */
import { Client } from '@modelcontextprotocol/sdk/client/index.js';
import { InMemoryTransport } from '@modelcontextprotocol/sdk/inMemory.js';
import { McpServer } from '@modelcontextprotocol/sdk/server/mcp.js';
import { expect, it } from 'vitest';
import { z } from 'zod';
import { captureTools } from '../../src/instrument/mcp.js';
import { useCalls } from './support.js';

const bench = useCalls();

async function connected(): Promise<Client> {
  const server = new McpServer({ name: 'weather', version: '1.0.0' });
  server.registerTool('forecast', { inputSchema: { city: z.string() } }, async ({ city }) => {
    if (city !== 'Oslo') throw new Error(`no ${city}`);
    return { content: [{ type: 'text', text: 'rain' }] };
  });
  const client = new Client({ name: 'test', version: '1.0.0' });
  const [near, far] = InMemoryTransport.createLinkedPair();
  await Promise.all([server.connect(near), client.connect(far)]);
  return client;
}

it('calls of tools are events, and one that says it is an error is none of success', async () => {
  const client = captureTools(captureTools(await connected()));
  const good = await client.callTool({ name: 'forecast', arguments: { city: 'Oslo' } });
  expect(good.content).toEqual([{ type: 'text', text: 'rain' }]);
  const bad = await client.callTool({ name: 'forecast', arguments: { city: 'Rome' } });
  expect(bad.isError).toBe(true);
  await client.close();
  await expect(client.callTool({ name: 'forecast', arguments: {} })).rejects.toThrow();
  const rows = await bench.calls();
  expect(rows).toMatchObject([
    { eventName: 'altar.tool.stop', success: true, metadata: { tool: 'forecast', protocol: 'mcp' } },
    { eventName: 'altar.tool.stop', success: false, metadata: { outcome: 'error' } },
    { eventName: 'altar.tool.exception', success: false },
  ]);
  expect(JSON.stringify(rows)).not.toMatch(/Oslo|Rome|rain/);
});
