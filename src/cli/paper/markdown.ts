/** A report as Markdown, for pull requests: without its drawings, whose numbers are in the tables. */
import { visible } from '../terminal/text.js';
import type { Paper, PaperTable, Section } from './document.js';

export function paperMarkdown({ title, subtitle, sections }: Paper): string {
  return `${[`# ${text(title)}`, text(subtitle), ...sections.flatMap(sectionLines)].join('\n\n')}\n`;
}

function sectionLines({ heading, lead, paragraphs = [], list = [], tables = [] }: Section): string[] {
  return [
    `## ${text(heading)}`,
    ...(lead === undefined ? [] : [`**${text(lead)}**`]),
    ...paragraphs.map(text),
    ...(list.length === 0 ? [] : [list.map((item) => `- ${text(item)}`).join('\n')]),
    ...tables.map(tableMarkdown),
  ];
}

function tableMarkdown({ caption, columns, rows }: PaperTable): string {
  const line = (cells: readonly (string | number | null)[]) =>
    `| ${cells.map((cell) => text(String(cell ?? '–'))).join(' | ')} |`;
  return [
    line(columns),
    `|${columns.map(() => ' --- |').join('')}`,
    ...rows.map(line),
    '',
    `*${text(caption)}*`,
  ].join('\n');
}

/** What an experiment says is never read as markup, a mention or a link. */
function text(value: string): string {
  return visible(value)
    .replaceAll(/\s+/g, ' ')
    .replaceAll(/[\\`*_{}[\]<>#|~]/g, '\\$&')
    .replaceAll('@', '@<!-- -->');
}
