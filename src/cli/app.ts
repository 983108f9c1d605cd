/** From arguments to an exit status. */

import { suggest } from '../suggest.js';
import { readArguments } from './args.js';
import { type CliEnvironment, COMMON_OPTIONS, type Command, type CommandContext } from './command.js';
import { errorText, isReaderGone, UsageError } from './errors.js';
import { commandHelp, overviewHelp } from './help.js';
import { widthOf } from './terminal/stream.js';
import { styleFor } from './terminal/style.js';

export const EXIT_OK = 0;
export const EXIT_FAILED = 1;
export const EXIT_USAGE = 2;

/** Runs one command line; never throws. Errors are told on stderr. */
export async function runCli(
  argv: readonly string[],
  commands: readonly Command[],
  environment: CliEnvironment,
): Promise<number> {
  try {
    await dispatch(argv, commands, environment);
    return EXIT_OK;
  } catch (error) {
    if (isReaderGone(error)) return EXIT_OK;
    environment.stderr.write(errorText(error, Boolean(environment.env.DEBUG)));
    if (!(error instanceof UsageError)) return EXIT_FAILED;
    const help = error.command === null ? 'crucible help' : `crucible help ${error.command}`;
    environment.stderr.write(`See: ${help}\n`);
    return EXIT_USAGE;
  }
}

async function dispatch(
  argv: readonly string[],
  commands: readonly Command[],
  environment: CliEnvironment,
): Promise<void> {
  const style = styleFor(environment.stdout, environment.env);
  const width = widthOf(environment.stdout);
  const print = (...lines: readonly string[]) =>
    void environment.stdout.write(lines.map((line) => `${line}\n`).join(''));

  const [name, ...rest] = argv;
  if (name === undefined || name === '--help' || name === '-h') {
    print(...overviewHelp(commands, { style, width }));
    return;
  }
  if (name === '--version' || name === '-V') {
    print(environment.version);
    return;
  }
  const command = findCommand(name, commands);
  // Help is for somebody who does not know the arguments yet, so it comes before they are checked.
  if (asksForHelp(rest)) {
    print(...commandHelp(command, { style, width }));
    return;
  }

  const { values, positionals } = readArguments(
    rest,
    { ...command.options, ...COMMON_OPTIONS },
    command.name,
  );
  checkPositionals(positionals, command);
  const { stdout, stderr, env } = environment;
  const terminal = stdout.isTTY === true && stderr.isTTY === true && env.TERM !== 'dumb';
  await command.run({
    ...environment,
    options: values as CommandContext['options'],
    positionals,
    commands,
    style,
    width,
    live: terminal && values.json !== true,
    print,
  });
}

export function findCommand(name: string, commands: readonly Command[]): Command {
  const command = commands.find((candidate) => candidate.name === name);
  if (command !== undefined) return command;
  if (name.startsWith('-')) throw new UsageError(`expected a command before ${name}`);
  const meant = suggest(
    name,
    commands.map((candidate) => candidate.name),
  );
  const hint = meant === null ? '' : `; did you mean ${meant}?`;
  throw new UsageError(`unknown command ${JSON.stringify(name)}${hint}`);
}

function asksForHelp(args: readonly string[]): boolean {
  const end = args.indexOf('--');
  return args.slice(0, end < 0 ? undefined : end).some((arg) => arg === '--help' || arg === '-h');
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
