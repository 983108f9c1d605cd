/** From arguments to an exit status. */

import { parseArgs } from 'node:util';
import { suggest } from '../suggest.js';
import { readArguments } from './args.js';
import { type CliEnvironment, COMMON_OPTIONS, type Command, type CommandContext } from './command.js';
import { errorJson, errorText, InterruptedError, isReaderGone, OutputError, UsageError } from './errors.js';
import { EXIT_FAILED, EXIT_OK, EXIT_USAGE } from './exit-status.js';
import { helpDocument, helpLines } from './help.js';
import { widthOf } from './terminal/stream.js';
import { styleFor } from './terminal/style.js';
import { printable, visibleJson } from './terminal/text.js';

/** Runs one command line; never throws. Errors are told on stderr, with --json as a document of one line. */
export async function runCli(
  argv: readonly string[],
  commands: readonly Command[],
  environment: CliEnvironment,
): Promise<number> {
  const { signal, stderr, env } = environment;
  // Whatever a command has made of it: who interrupted it is told that it was.
  const interrupted = () => (signal.reason instanceof InterruptedError ? signal.reason.exitStatus : null);
  try {
    const status = await dispatch(argv, commands, environment);
    return interrupted() ?? status;
  } catch (error) {
    if (isReaderGone(error)) return EXIT_OK;
    if (error instanceof OutputError) return EXIT_FAILED;
    const status = interrupted() ?? (error instanceof UsageError ? EXIT_USAGE : EXIT_FAILED);
    stderr.write(told(error, status, argv, env));
    return status;
  }
}

/** An error as standard error has it. */
export function told(
  error: unknown,
  status: number,
  argv: readonly string[],
  env: CliEnvironment['env'],
): string {
  const debug = Boolean(env.DEBUG);
  return hasFlag(argv, '--json') ? errorJson(error, status, debug) : errorText(error, debug);
}

async function dispatch(
  argv: readonly string[],
  commands: readonly Command[],
  environment: CliEnvironment,
): Promise<number> {
  const { stdout, stderr, env } = environment;
  const style = styleFor(stdout, env);
  const width = widthOf(stdout);
  const print = (...lines: readonly string[]) =>
    void stdout.write(lines.map((line) => `${printable(line)}\n`).join(''));
  const printJson = (document: unknown) => void stdout.write(`${visibleJson(document, 2)}\n`);

  const json = hasFlag(argv, '--json');
  if (hasFlag(argv, '--version', '-V')) {
    if (json) printJson({ version: environment.version });
    else print(environment.version);
    return EXIT_OK;
  }
  const { name, rest } = splitCommand(argv);
  const command = name === null ? null : findCommand(name, commands);
  // Help is for somebody who does not know the arguments yet, so it comes before they are checked.
  if (hasFlag(rest, '--help', '-h') || (command === null && rest.every((arg) => arg === '--json'))) {
    if (json) printJson(helpDocument(command === null ? commands : [command]));
    else print(...helpLines(command, commands, { style, width }));
    return EXIT_OK;
  }
  if (command === null) throw new UsageError(`expected a command behind ${rest.join(' ')}`);

  const { values, positionals } = readArguments(
    rest,
    { ...command.options, ...COMMON_OPTIONS },
    command.name,
  );
  checkPositionals(positionals, command);
  const terminal = stdout.isTTY === true && stderr.isTTY === true && env.TERM !== 'dumb';
  const status = await command.run({
    ...environment,
    options: values as CommandContext['options'],
    positionals,
    commands,
    style,
    width,
    report: { style, width, tableWidth: stdout.isTTY === true ? width : Number.POSITIVE_INFINITY },
    live: terminal && values.json !== true,
    print,
    printJson,
  });
  return status ?? EXIT_OK;
}

/**
 * The command, and all other arguments: options that every command takes may stand in front of it.
 * @throws UsageError for any other option there
 */
function splitCommand(argv: readonly string[]): { name: string | null; rest: string[] } {
  const options = Object.fromEntries(
    Object.entries(COMMON_OPTIONS).map(([name, { type, ...spec }]) => [
      name,
      {
        type: type === 'flag' ? ('boolean' as const) : ('string' as const),
        ...('short' in spec && { short: spec.short }),
      },
    ]),
  );
  const { tokens } = parseArgs({
    args: [...argv],
    options,
    strict: false,
    allowPositionals: true,
    tokens: true,
  });
  for (const token of tokens) {
    if (token.kind === 'option' && !Object.hasOwn(options, token.name)) {
      throw new UsageError(`expected a command before ${token.rawName}`);
    }
    if (token.kind !== 'positional') continue;
    return { name: token.value, rest: argv.filter((_, index) => index !== token.index) };
  }
  return { name: null, rest: [...argv] };
}

export function findCommand(name: string, commands: readonly Command[]): Command {
  const command = commands.find((candidate) => candidate.name === name);
  if (command !== undefined) return command;
  const meant = suggest(
    name,
    commands.map((candidate) => candidate.name),
  );
  const hint = meant === null ? '' : `; did you mean ${meant}?`;
  throw new UsageError(`unknown command ${JSON.stringify(name)}${hint}`);
}

/** Whether one of the flags is given, wherever: not behind `--`, where arguments are no options. */
function hasFlag(args: readonly string[], ...flags: readonly string[]): boolean {
  const end = args.indexOf('--');
  return args.slice(0, end < 0 ? undefined : end).some((arg) => flags.includes(arg));
}

function checkPositionals(
  positionals: readonly string[],
  { name, usage, positionals: allowed }: Command,
): void {
  if (positionals.length < allowed.min) {
    throw new UsageError(`${name} needs more arguments: crucible ${name} ${usage}`, name);
  }
  if (positionals.length > allowed.max) {
    throw new UsageError(`unexpected argument ${JSON.stringify(positionals[allowed.max])}`, name);
  }
}
