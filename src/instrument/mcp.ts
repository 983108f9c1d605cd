/** `crucible-telemetry/mcp`: the tools that a client of the Model Context Protocol calls, whatever its transport. */
import { span } from '../capture/bus-span.js';
import { checkOptions } from '../check-options.js';
import { type ContentOptions, contentOf } from './content.js';

export interface CaptureToolsOptions {
  /** Whether arguments and results are stored, and how; default: nothing of them. */
  readonly content?: boolean | ContentOptions | undefined;
}

/** The client of `@modelcontextprotocol/sdk`, as far as it is used here. */
export interface ToolClient {
  callTool(
    params: { readonly name: string; readonly arguments?: unknown },
    ...rest: never[]
  ): Promise<object>;
}

const CAPTURED = Symbol.for('crucible-telemetry.mcp');

/**
 * Makes each `callTool` of the client an event `altar.tool.stop`, or `.exception` where it throws. A result that says
 * `isError` is no success, though nothing is thrown. Arguments and results are stored only where
 * `content` asks for it.
 * @returns the client itself, whose method gives what it gave; a second time changes nothing
 */
export function captureTools<Client extends ToolClient>(
  client: Client,
  options: CaptureToolsOptions = {},
): Client {
  checkOptions(options, ['content']);
  const content = contentOf(options.content);
  if (CAPTURED in client) return client;
  const { callTool } = client;
  function captured(this: unknown, ...args: Parameters<ToolClient['callTool']>): Promise<object> {
    return span(
      'altar.tool',
      { tool: args[0]?.name, protocol: 'mcp' },
      () => Reflect.apply(callTool, client, args) as Promise<object>,
      (result) => {
        const { isError, content: given } = result as {
          readonly isError?: unknown;
          readonly content?: unknown;
        };
        const metadata: Record<string, unknown> =
          isError === true ? { success: false, outcome: 'error' } : {};
        content?.tellTool(metadata, args[0]?.name ?? null, args[0]?.arguments, given);
        return { metadata };
      },
    );
  }
  Object.defineProperties(client, {
    callTool: { value: captured, configurable: true, writable: true },
    [CAPTURED]: { value: true },
  });
  return client;
}
