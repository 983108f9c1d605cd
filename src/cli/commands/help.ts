import { findCommand } from '../app.js';
import { defineCommand } from '../command.js';
import { UsageError } from '../errors.js';
import { helpDocument, helpLines, TEXT_WIDTH } from '../help.js';
import { wrap } from '../terminal/width.js';
import { entryOf } from '../troubleshooting.js';

export const help = defineCommand({
  name: 'help',
  summary: 'show what there is, how one command is used, or what an error means',
  usage: '[COMMAND|CODE]',
  json: [
    '[{ name, summary, usage, json, options: { NAME: { type, description, … } } }],',
    'of a code { code, text: [paragraph] }',
  ],
  positionals: { min: 0, max: 1 },
  options: {},
  async run({ commands, options, positionals, style, width, print, printJson }) {
    const [name] = positionals;
    if (name !== undefined && /^ERR_/i.test(name)) {
      const code = name.toUpperCase();
      const text = entryOf(code);
      if (text === null) throw new UsageError(`there is no error ${JSON.stringify(name)}`, 'help');
      if (options.json) printJson({ code, text });
      else
        print(
          style.bold(code),
          ...text.flatMap((paragraph) => ['', ...wrap(paragraph, Math.min(width, TEXT_WIDTH))]),
        );
      return;
    }
    const command = name === undefined ? null : findCommand(name, commands);
    if (options.json) printJson(helpDocument(command === null ? commands : [command]));
    else print(...helpLines(command, commands, { style, width }));
  },
});
