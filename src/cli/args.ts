/**
 * Options as data: a table per command gives the parser, the types of the values and the help text. Reading
 * the arguments is node:util's `parseArgs`; checking them, with a suggestion for a slip, is done here.
 */

import { parseArgs } from 'node:util';
import { suggest } from '../suggest.js';
import { UsageError } from './errors.js';

interface OptionBase {
  description: string;
  /** What stands for the value in the help: `FILE`. */
  value?: string;
  short?: string;
}

export type OptionSpec = OptionBase &
  (
    | { type: 'flag' }
    | { type: 'string'; default?: string }
    | { type: 'integer'; default?: number; min?: number; max?: number }
    /** Between two bounds that are themselves no values. */
    | { type: 'number'; default?: number; above: number; below: number }
    | { type: 'choice'; choices: readonly string[]; default?: string }
    /** May be given several times, or with `commas` several at once; always a list. */
    | { type: 'list'; choices?: readonly string[]; default?: readonly string[]; commas?: true }
  );

export type OptionTable = Readonly<Record<string, OptionSpec>>;

type ValueOf<S> = S extends { type: 'flag' }
  ? boolean
  : S extends { type: 'list'; choices: readonly (infer C)[] }
    ? C[]
    : S extends { type: 'list' }
      ? string[]
      :
          | (S extends { type: 'integer' | 'number' }
              ? number
              : S extends { type: 'choice'; choices: readonly (infer C)[] }
                ? C
                : string)
          | (S extends { default: unknown } ? never : undefined);

/** The values a table yields: an option without a default may be undefined, a flag is a boolean. */
export type OptionValues<T extends OptionTable> = { -readonly [K in keyof T]: ValueOf<T[K]> };

type Value = string | number | boolean | readonly string[] | undefined;

export interface ParsedArguments {
  values: Record<string, Value>;
  positionals: string[];
}

/** Reads `argv` against a table. Throws UsageError with `command` for anything the table does not allow. */
export function readArguments(argv: readonly string[], table: OptionTable, command: string): ParsedArguments {
  const { tokens } = parseArgs({
    args: [...argv],
    strict: false,
    allowPositionals: true,
    tokens: true,
    options: Object.fromEntries(
      Object.entries(table).map(([name, spec]) => [
        name,
        {
          type: spec.type === 'flag' ? ('boolean' as const) : ('string' as const),
          ...(spec.short === undefined ? {} : { short: spec.short }),
        },
      ]),
    ),
  });

  const given = new Map<string, string[]>();
  const positionals: string[] = [];
  for (const token of tokens) {
    if (token.kind === 'positional') positionals.push(token.value);
    if (token.kind !== 'option') continue;
    const spec = Object.hasOwn(table, token.name) ? table[token.name]! : null;
    if (spec === null) throw unknownOption(token.rawName, table, command);
    const text = given.get(token.name) ?? [];
    text.push(optionText(spec, token, command));
    given.set(token.name, text);
  }

  const values = Object.fromEntries(
    Object.entries(table).map(([name, spec]) => [name, readValue(name, spec, given.get(name), command)]),
  );
  return { values, positionals };
}

interface OptionToken {
  rawName: string;
  value: string | undefined;
  inlineValue: boolean | undefined;
}

function optionText(spec: OptionSpec, token: OptionToken, command: string): string {
  if (spec.type === 'flag') {
    if (token.inlineValue === true) throw new UsageError(`${token.rawName} takes no value`, command);
    return '';
  }
  // `--out --json` forgot the value; `--seed -3` and `--out=--json` did not.
  const swallowed = token.inlineValue === false && /^-[^\d]/.test(token.value ?? '');
  if (token.value === undefined || swallowed) {
    throw new UsageError(`${token.rawName} needs a value`, command);
  }
  return token.value;
}

function unknownOption(rawName: string, table: OptionTable, command: string): UsageError {
  const meant = suggest(rawName.replace(/^-+/, ''), Object.keys(table));
  const hint = meant === null ? '' : `; did you mean --${meant}?`;
  return new UsageError(`unknown option ${rawName}${hint}`, command);
}

function readValue(name: string, spec: OptionSpec, given: string[] | undefined, command: string): Value {
  const last = given?.at(-1);
  switch (spec.type) {
    case 'flag':
      return given !== undefined;
    case 'string':
      return last ?? spec.default;
    case 'integer':
      return last === undefined ? spec.default : readInteger(name, spec, last, command);
    case 'number':
      return last === undefined ? spec.default : readNumber(name, spec, last, command);
    case 'choice':
      return last === undefined ? spec.default : readChoice(name, spec.choices, last, command);
    case 'list':
      if (given === undefined) return spec.default ?? [];
      return (spec.commas === true ? given.flatMap((text) => text.split(',')) : given).map((text) =>
        spec.choices === undefined ? text : readChoice(name, spec.choices, text, command),
      );
  }
}

function readNumber(
  name: string,
  { above, below }: { above: number; below: number },
  text: string,
  command: string,
): number {
  const value = text.trim() === '' ? Number.NaN : Number(text);
  if (value > above && value < below) return value;
  const most = below === Number.POSITIVE_INFINITY ? '' : ` and below ${below}`;
  throw new UsageError(
    `--${name} expects a number above ${above}${most}, got ${JSON.stringify(text)}`,
    command,
  );
}

function readInteger(
  name: string,
  { min = Number.MIN_SAFE_INTEGER, max = Number.MAX_SAFE_INTEGER }: { min?: number; max?: number },
  text: string,
  command: string,
): number {
  const value = /^[+-]?\d+$/.test(text) ? Number(text) : Number.NaN;
  if (value >= min && value <= max) return value;
  const least = min === Number.MIN_SAFE_INTEGER ? '' : ` of at least ${min}`;
  const most = max === Number.MAX_SAFE_INTEGER ? '' : ` and at most ${max}`;
  throw new UsageError(`--${name} expects an integer${least}${most}, got ${JSON.stringify(text)}`, command);
}

function readChoice(name: string, choices: readonly string[], text: string, command: string): string {
  if (choices.includes(text)) return text;
  const meant = suggest(text, choices);
  const hint = meant === null ? '' : `; did you mean ${meant}?`;
  throw new UsageError(
    `--${name} expects ${choices.join(' or ')}, got ${JSON.stringify(text)}${hint}`,
    command,
  );
}
