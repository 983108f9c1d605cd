/** Errors of the command line and how they are told. */

import { TelemetryError, type WireError } from '../errors.js';
import { storageError } from '../system-errors.js';
import { visible, visibleJson } from './terminal/text.js';
import { entryOf } from './troubleshooting.js';

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

/** Ctrl-C, or another signal that asks the process to end. */
export class InterruptedError extends TelemetryError {
  /** 128 and the signal's number, as shells count. */
  readonly exitStatus: number;

  constructor(signal: InterruptSignal) {
    super('ERR_INTERRUPTED', 'interrupted', { signal });
    this.exitStatus = 128 + SIGNAL_NUMBERS[signal];
  }
}

/** Standard output takes no more: a full disk behind `>`. Told once, by whoever hears it of the stream itself. */
export class OutputError extends TelemetryError {
  constructor(cause: unknown) {
    const { code, message, context } = storageError(cause, 'write to', { path: 'standard output' });
    super(code, message, context, { cause });
  }
}

const SIGNAL_NUMBERS = { SIGHUP: 1, SIGINT: 2, SIGTERM: 15 } as const;
export type InterruptSignal = keyof typeof SIGNAL_NUMBERS;
export const INTERRUPT_SIGNALS = Object.keys(SIGNAL_NUMBERS) as readonly InterruptSignal[];

/** What there is to say of errors besides, for whoever reads documents. */
const FACTS = new WeakMap<object, Readonly<Record<string, unknown>>>();

/** Has the document of an error say more. */
export function addFacts(error: unknown, facts: Readonly<Record<string, unknown>>): void {
  if (typeof error === 'object' && error !== null) FACTS.set(error, facts);
}

interface Told {
  readonly message: string;
  readonly code: string | null;
  readonly hint: string | null;
  readonly stack: string | undefined;
}

function toldOf(error: unknown): Told {
  if (isAbort(error)) return { message: 'interrupted', code: null, hint: null, stack: undefined };
  if (!(error instanceof Error)) return { message: String(error), code: null, hint: null, stack: undefined };
  const { message, code, stack } = error as Error & { code?: unknown };
  return {
    message: message || 'unknown error',
    code: typeof code === 'string' ? code : null,
    hint: hintOf(error, code),
    stack,
  };
}

function hintOf(error: Error, code: unknown): string | null {
  if (error instanceof CommandError) return error.hint;
  if (!(error instanceof UsageError)) {
    const isExplained = error instanceof TelemetryError && entryOf(error.code) !== null;
    return hintFor(code) ?? (isExplained ? `crucible help ${error.code} says what helps` : null);
  }
  return error.command === null ? 'crucible help' : `crucible help ${error.command}`;
}

/** `error: … (CODE)` in one line, and a hint in another where there is one; the stack beneath only for debugging. */
export function errorText(error: unknown, debug: boolean): string {
  const { message, code, hint, stack } = toldOf(error);
  const suffix = code === null || message.includes(code) ? '' : ` (${code})`;
  return [
    `error: ${message}${suffix}`,
    ...(hint === null ? [] : [error instanceof UsageError ? `See: ${hint}` : `hint: ${hint}`]),
    ...(debug && stack !== undefined ? stack.split('\n') : []),
  ]
    .map((line) => `${visible(line)}\n`)
    .join('');
}

/** The same as a document of one line. */
export function errorJson(error: unknown, exitStatus: number, debug: boolean): string {
  const { message, code, hint, stack } = toldOf(error);
  const facts = typeof error === 'object' && error !== null ? FACTS.get(error) : undefined;
  const document = {
    code: code ?? (isAbort(error) ? 'ERR_INTERRUPTED' : 'ERR_INTERNAL'),
    message,
    hint,
    exitStatus,
    ...facts,
    ...(debug && { stack }),
  };
  return `${visibleJson({ error: document })}\n`;
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
  return error instanceof InterruptedError || (error instanceof Error && error.name === 'AbortError');
}
