/** Calls of tools that a layer hears of, as events of the bus. */
import { execute } from '../capture/channels.js';
import { type ActiveRun, activeRun } from '../capture/context.js';
import { systemClock } from '../clock.js';
import type { Content } from './content.js';

export interface ToolCall {
  readonly tool: string | null;
  readonly toolCallId: string | null;
  /** Null where nobody has measured it. */
  readonly durationMs: number | null;
  /** The name of what went wrong; null for a call that has succeeded. */
  readonly error: string | null;
  readonly run: ActiveRun | undefined;
  /** Where it is wanted; and what the tool was given, and gave. */
  readonly content?: Content | null;
  readonly given?: unknown;
  readonly result?: unknown;
}

/** Emits the start and the end of a tool's call that is over. */
export function emitTool(call: ToolCall): void {
  const { tool, toolCallId, durationMs, error, run } = call;
  const about = {
    ...(tool === null ? null : { tool }),
    ...(toolCallId === null ? null : { toolCallId }),
  };
  const measurements = durationMs === null ? {} : { duration: Math.round(durationMs * 1e6) };
  const startUs = systemClock.nowUs() - Math.round((durationMs ?? 0) * 1000);
  activeRun.run(run, () => {
    execute('altar.tool.start', { systemTime: startUs }, about);
    const end = error === null ? { ...about, success: true } : { ...about, error };
    call.content?.tellTool(end, tool, call.given, call.result);
    execute(error === null ? 'altar.tool.stop' : 'altar.tool.exception', measurements, end);
  });
}
