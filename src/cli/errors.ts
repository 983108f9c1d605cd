/** Errors of the command line and how they are told. */

import { TelemetryError } from '../errors.js';

/** The command was called wrongly; `command` is the one whose help to point at. */
export class UsageError extends TelemetryError {
  readonly command: string | null;

  constructor(message: string, command: string | null = null) {
    super('ERR_USAGE', message, { command });
    this.command = command;
  }
}

/** `error: … (CODE)` in one line; the stack beneath it only for debugging. */
export function errorText(error: unknown, debug: boolean): string {
  const { message, code, stack } =
    error instanceof Error
      ? (error as Error & { code?: unknown })
      : { message: String(error), code: undefined, stack: undefined };
  const line = (message || 'unknown error').replaceAll(/\s*\n\s*/g, ' ');
  const suffix = typeof code === 'string' && !line.includes(code) ? ` (${code})` : '';
  return `error: ${line}${suffix}\n${debug && stack !== undefined ? `${stack}\n` : ''}`;
}
