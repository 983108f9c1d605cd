// MCP: each call of a tool is an event. For real: another transport, such as StdioClientTransport.
import { Client } from '@modelcontextprotocol/sdk/client/index.js';
import { InMemoryTransport } from '@modelcontextprotocol/sdk/inMemory.js';
import { McpServer } from '@modelcontextprotocol/sdk/server/mcp.js';
import { captureTools } from 'crucible-telemetry/mcp';

const server = new McpServer({ name: 'weather', version: '1.0.0' });
server.registerTool('forecast', {}, async () => ({ content: [{ type: 'text', text: 'rain' }] }));
const [near, far] = InMemoryTransport.createLinkedPair();
const client = captureTools(new Client({ name: 'example', version: '1.0.0' }));
await Promise.all([server.connect(near), client.connect(far)]);
const { content } = await client.callTool({ name: 'forecast' });
console.log(content[0].text);
await client.close();
