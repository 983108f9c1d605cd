/** Help texts, made from the tables the parser reads. */

import type { OptionSpec, OptionTable } from './args.js';
import { COMMON_OPTIONS, type Command } from './command.js';
import type { Style } from './terminal/style.js';
import { displayWidth, padEnd, wrap } from './terminal/width.js';

interface HelpOptions {
  style: Style;
  width: number;
}

/** Longer lines are hard to read. */
export const TEXT_WIDTH = 100;

/** Of one command, or null for all of them. */
export function helpLines(
  command: Command | null,
  commands: readonly Command[],
  options: HelpOptions,
): string[] {
  return command === null ? overviewHelp(commands, options) : commandHelp(command, options);
}

/** The same for programs. */
export function helpDocument(commands: readonly Command[]) {
  return commands.map(({ name, summary, usage, json = [], options }) => ({
    name,
    summary,
    usage,
    json,
    options: { ...options, ...COMMON_OPTIONS },
  }));
}

function overviewHelp(commands: readonly Command[], options: HelpOptions): string[] {
  const { bold } = options.style;
  const width = Math.min(options.width, TEXT_WIDTH);
  return [
    `${bold('crucible')}: research-grade telemetry for AI experiments`,
    '',
    `${bold('Usage:')} npx crucible-telemetry <command> [options]`,
    ...wrap(
      'or crucible <command>, as below, where the package is installed globally or the command is one of npm run. (The package crucible is somebody else\u2019s.)',
      width,
      '       ',
    ),
    '',
    bold('Commands:'),
    ...pairs(
      commands.map(({ name, summary }) => [name, summary]),
      options,
    ),
    '',
    bold('Options:'),
    ...optionLines(COMMON_OPTIONS, options),
    ...pairs([['-V, --version', 'print the version']], options),
    ...wrap('They may stand before or behind the command; what follows -- is no option.', width),
    '',
    bold('Exit status:'),
    ...pairs(EXIT_STATUSES, options),
    '',
    'crucible help <command> tells more about one, crucible help ERR_… what an error means.',
  ];
}

const EXIT_STATUSES = [
  ['0', 'done'],
  [
    '1',
    'failed; the last line on stderr says why, with --json as { "error": { code, message, hint, exitStatus } }',
  ],
  ['2', 'called wrongly'],
  ['130', 'Ctrl-C (143: SIGTERM, 129: SIGHUP); what had been done by then has been cleared up or told'],
] as const;

function commandHelp(command: Command, options: HelpOptions): string[] {
  const { bold } = options.style;
  return [
    `${bold(`crucible ${command.name}`)}: ${command.summary}`,
    '',
    `${bold('Usage:')} crucible ${command.name} ${command.usage}`,
    ...(command.details === undefined
      ? []
      : ['', ...command.details.flatMap((text) => wrap(text, Math.min(options.width, TEXT_WIDTH)))]),
    '',
    bold('Options:'),
    ...optionLines({ ...command.options, ...COMMON_OPTIONS }, options),
    ...(command.json === undefined
      ? []
      : ['', bold('With --json:'), ...command.json.map((line) => `  ${line}`)]),
  ];
}

function optionLines(table: OptionTable, options: HelpOptions): string[] {
  return pairs(
    Object.entries(table).map(([name, spec]) => {
      const short = spec.short === undefined ? '    ' : `-${spec.short}, `;
      const value = spec.type === 'flag' ? '' : ` ${spec.value ?? placeholder(spec)}`;
      return [`${short}--${name}${value}`, spec.description + remarks(spec)];
    }),
    options,
  );
}

function placeholder(spec: OptionSpec): string {
  if ('choices' in spec && spec.choices !== undefined) return spec.choices.join('|');
  return spec.type === 'integer' || spec.type === 'number' ? 'N' : 'TEXT';
}

function remarks(spec: OptionSpec): string {
  const parts: string[] = [];
  if (spec.type === 'list') parts.push(spec.commas === true ? 'several with commas' : 'repeatable');
  if ('default' in spec && spec.default !== undefined)
    parts.push(`default ${[spec.default].flat().join(', ')}`);
  return parts.length === 0 ? '' : ` (${parts.join('; ')})`;
}

/** Two columns; descriptions wrap within theirs. */
function pairs(rows: readonly (readonly [left: string, right: string])[], { width }: HelpOptions): string[] {
  const leftWidth = Math.max(...rows.map(([left]) => displayWidth(left)));
  return rows.flatMap(([left, right]) =>
    wrap(right, Math.min(width, TEXT_WIDTH), `  ${padEnd(left, leftWidth)}   `, ' '.repeat(leftWidth + 5)),
  );
}
