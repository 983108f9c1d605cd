import { findCommand } from '../app.js';
import { defineCommand } from '../command.js';
import { helpDocument, helpLines } from '../help.js';

export const help = defineCommand({
  name: 'help',
  summary: 'show what there is, or how one command is used',
  usage: '[COMMAND]',
  json: ['[{ name, summary, usage, json, options: { NAME: { type, description, … } } }]'],
  positionals: { min: 0, max: 1 },
  options: {},
  async run({ commands, options, positionals, style, width, print, printJson }) {
    const [name] = positionals;
    const command = name === undefined ? null : findCommand(name, commands);
    if (options.json) printJson(helpDocument(command === null ? commands : [command]));
    else print(...helpLines(command, commands, { style, width }));
  },
});
