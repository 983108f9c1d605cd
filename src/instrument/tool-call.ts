/** Calls of tools that a layer hears of, as events of the bus. */
import { execute } from '../capture/channels.js';
import { type ActiveRun, activeRun } from '../capture/context.js';
import { systemClock } from '../clock.js';

export interface ToolCall {
  readonly tool: string | null;
  readonly toolCallId: string | null;
  /** Null where nobody has measured it. */
  readonly durationMs: number | null;
  /** The name of what went wrong; null for a call that has succeeded. */
  readonly error: string | null;
  readonly run: ActiveRun | undefined;
}

/** Emits the start and the end of a tool's call that is over. */
export function emitTool({ tool, toolCallId, durationMs, error, run }: ToolCall): void {
  const about = {
    ...(tool === null ? null : { tool }),
    ...(toolCallId === null ? null : { toolCallId }),
  };
  const measurements = durationMs === null ? {} : { duration: Math.round(durationMs * 1e6) };
  const startUs = systemClock.nowUs() - Math.round((durationMs ?? 0) * 1000);
  activeRun.run(run, () => {
    execute('altar.tool.start', { systemTime: startUs }, about);
    if (error === null) execute('altar.tool.stop', measurements, { ...about, success: true });
    else execute('altar.tool.exception', measurements, { ...about, error });
  });
}
