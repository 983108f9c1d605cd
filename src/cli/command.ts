/** What a command is, and what it gets to work with. */

import type { OptionTable, OptionValues } from './args.js';
import type { Library } from './library.js';
import type { ReportOptions } from './report/measures.js';
import type { OutputStream, TextStream } from './terminal/stream.js';
import type { Style } from './terminal/style.js';

/** The process as the commands see it; tests bring their own. */
export interface CliEnvironment {
  stdout: OutputStream;
  stderr: TextStream;
  /** Standard input, which nobody reads unless a command asks for it. */
  stdin: () => AsyncIterable<Uint8Array>;
  env: Readonly<Record<string, string | undefined>>;
  /** Aborts on the first Ctrl-C, or when nobody reads the output any more. */
  signal: AbortSignal;
  /** Monotonic, in ms. */
  nowMs: () => number;
  version: string;
  /** The process's number. */
  pid: number;
  /** Loaded on demand: help and usage errors need no WebAssembly and no workers. */
  loadLibrary: () => Promise<Library>;
}

export interface CommandContext<T extends OptionTable = OptionTable> extends CliEnvironment {
  options: OptionValues<T & typeof COMMON_OPTIONS>;
  positionals: readonly string[];
  commands: readonly Command[];
  style: Style;
  width: number;
  /** How reports are laid out: these two, and how wide tables may be. */
  report: ReportOptions;
  /** Redraw in place: results and progress both go to a terminal, and no program reads along. */
  live: boolean;
  /** Writes lines to stdout; whatever in them could deceive is made visible. */
  print(...lines: readonly string[]): void;
  /** Writes the document that --json asks for to stdout. */
  printJson(document: unknown): void;
}

export interface Command {
  name: string;
  summary: string;
  /** What follows the name: `FILE [options]`. */
  usage: string;
  /** Paragraphs for `--help`, between usage and options; they are wrapped. */
  details?: readonly string[];
  /** What `--json` prints, as lines for `--help`; they are not wrapped. */
  json?: readonly string[];
  positionals: { min: number; max: number };
  options: OptionTable;
  /** What the process ends with; 0 if not said. */
  run(context: CommandContext): Promise<void> | Promise<number>;
}

export const COMMON_OPTIONS = {
  dir: {
    type: 'string',
    value: 'DIR',
    description: 'folder that experiments are kept in (default: what CRUCIBLE_DIR says)',
  },
  json: { type: 'flag', description: 'print one JSON document and nothing else' },
  help: { type: 'flag', short: 'h', description: 'show this help' },
} as const satisfies OptionTable;

/** Ties a command's `run` to the values of its own option table. */
export function defineCommand<const T extends OptionTable>(
  command: Omit<Command, 'options' | 'run'> & {
    options: T;
    run(context: CommandContext<T>): Promise<void> | Promise<number>;
  },
): Command {
  // The parser reads the values by this very table, so a context made for the command has the type it names.
  return command as unknown as Command;
}
