/** `crucible-telemetry/mcp`: the tools that a client of the Model Context Protocol calls, whatever its transport. */
import { span } from '../capture/bus-span.js';

/** The client of `@modelcontextprotocol/sdk`, as far as it is used here. */
export interface ToolClient {
  callTool(params: { readonly name: string }, ...rest: never[]): Promise<object>;
}

const CAPTURED = Symbol.for('crucible-telemetry.mcp');

/**
 * Makes each `callTool` of the client an event `altar.tool.stop`, or `.exception` where it throws. A result that says
 * `isError` is no success, though nothing is thrown. Arguments and results are never stored.
 * @returns the client itself, whose method gives what it gave; a second time changes nothing
 */
export function captureTools<Client extends ToolClient>(client: Client): Client {
  if (CAPTURED in client) return client;
  const { callTool } = client;
  function captured(this: unknown, ...args: Parameters<ToolClient['callTool']>): Promise<object> {
    return span(
      'altar.tool',
      { tool: args[0]?.name, protocol: 'mcp' },
      () => Reflect.apply(callTool, client, args) as Promise<object>,
      (result) =>
        (result as { readonly isError?: unknown }).isError === true
          ? { metadata: { success: false, outcome: 'error' } }
          : undefined,
    );
  }
  Object.defineProperties(client, {
    callTool: { value: captured, configurable: true, writable: true },
    [CAPTURED]: { value: true },
  });
  return client;
}
