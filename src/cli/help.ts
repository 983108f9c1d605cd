/** Help texts, made from the tables the parser reads. */

import type { OptionSpec, OptionTable } from './args.js';
import { COMMON_OPTIONS, type Command } from './command.js';
import type { Style } from './terminal/style.js';
import { tableLines } from './terminal/table.js';

interface HelpOptions {
  style: Style;
  width: number;
}

export function overviewHelp(commands: readonly Command[], options: HelpOptions): string[] {
  const { bold } = options.style;
  return [
    `${bold('crucible')}: research-grade telemetry for AI experiments`,
    '',
    `${bold('Usage:')} crucible <command> [options]`,
    '',
    bold('Commands:'),
    ...pairs(commands.map(({ name, summary }) => [name, summary])),
    '',
    bold('Options:'),
    ...optionLines(COMMON_OPTIONS),
    ...pairs([['    --version', 'print the version']]),
    '',
    'crucible help <command> tells more about one.',
  ];
}

export function commandHelp(command: Command, options: HelpOptions): string[] {
  const { bold } = options.style;
  return [
    `${bold(`crucible ${command.name}`)}: ${command.summary}`,
    '',
    `${bold('Usage:')} crucible ${command.name} ${command.usage}`,
    ...(command.details === undefined ? [] : ['', ...command.details]),
    '',
    bold('Options:'),
    ...optionLines({ ...command.options, ...COMMON_OPTIONS }),
  ];
}

function optionLines(table: OptionTable): string[] {
  return pairs(
    Object.entries(table).map(([name, spec]) => {
      const short = spec.short === undefined ? '    ' : `-${spec.short}, `;
      const value = spec.type === 'flag' ? '' : ` ${spec.value ?? placeholder(spec)}`;
      return [`${short}--${name}${value}`, spec.description + remarks(spec)];
    }),
  );
}

function placeholder(spec: OptionSpec): string {
  if ('choices' in spec && spec.choices !== undefined) return spec.choices.join('|');
  return spec.type === 'integer' ? 'N' : 'TEXT';
}

function remarks(spec: OptionSpec): string {
  const parts: string[] = [];
  if (spec.type === 'list') parts.push('repeatable');
  if ('default' in spec && spec.default !== undefined)
    parts.push(`default ${[spec.default].flat().join(', ')}`);
  return parts.length === 0 ? '' : ` (${parts.join('; ')})`;
}

/** Two columns of text; the descriptions wrap at the terminal rather than be cut. */
function pairs(rows: readonly (readonly [string, string])[]): string[] {
  return tableLines(
    [
      { header: '', align: 'left' },
      { header: '', align: 'left' },
    ],
    rows,
  );
}
