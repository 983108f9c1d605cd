/** Errors of the command line and how they are told. */

import { TelemetryError, type WireError } from '../errors.js';

/** The command was called wrongly; `command` is the one whose help to point at. */
export class UsageError extends TelemetryError {
  readonly command: string | null;

  constructor(message: string, command: string | null = null) {
    super('ERR_USAGE', message, { command });
    this.command = command;
  }
}

/** The command cannot do what it was asked, for a reason of its own. */
export class CommandError extends TelemetryError {
  /** What to do about it, in a sentence. */
  readonly hint: string | null;

  constructor(code: string, message: string, hint: string | null = null) {
    super(code, message);
    this.hint = hint;
  }
}

/** What to do about an error of the library. */
const HINTS: Readonly<Record<string, string>> = {
  ERR_LAYOUT_VERSION: 'it was written by another version of crucible-telemetry; that one can read it',
  ERR_SEGMENT_VERSION: 'it was written by another version of crucible-telemetry; that one can read it',
  ERR_LOCKED: 'stop that process first; list and show can look meanwhile',
  ERR_EXPORT_PATH: 'name another file with --out',
  ERR_STORAGE_FULL: 'make room on that disk and try again',
};

/** `error: … (CODE)` in one line, and a hint in another where there is one; the stack beneath only for debugging. */
export function errorText(error: unknown, debug: boolean): string {
  const { message, code, stack } =
    error instanceof Error
      ? (error as Error & { code?: unknown })
      : { message: String(error), code: undefined, stack: undefined };
  const line = isAbort(error) ? 'interrupted' : (message || 'unknown error').replaceAll(/\s*\n\s*/g, ' ');
  const suffix = typeof code === 'string' && !line.includes(code) ? ` (${code})` : '';
  const hint = error instanceof CommandError ? error.hint : hintFor(code);
  return [
    `error: ${line}${suffix}`,
    ...(hint === null ? [] : [`hint: ${hint}`]),
    ...(debug && stack !== undefined ? [stack] : []),
    '',
  ].join('\n');
}

/** An error of the library as a document tells it: no stack, no paths of this machine's modules. */
export function errorDocument(error: WireError | null): { code: string; message: string } | null {
  return error && { code: error.code, message: error.message };
}

/** What to do about an error with this code, if that can be said of all of them. */
export function hintFor(code: unknown): string | null {
  return typeof code === 'string' && Object.hasOwn(HINTS, code) ? HINTS[code]! : null;
}

/** Nobody reads the output any more, who has had enough (`crucible help | head -1`): no failure. */
export function isReaderGone(error: unknown): boolean {
  return error instanceof Error && (error as NodeJS.ErrnoException).code === 'EPIPE';
}

/** What Ctrl-C makes work throw. */
function isAbort(error: unknown): boolean {
  return error instanceof Error && error.name === 'AbortError';
}
