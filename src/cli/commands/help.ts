import { findCommand } from '../app.js';
import { COMMON_OPTIONS, defineCommand } from '../command.js';
import { commandHelp, overviewHelp } from '../help.js';

export const help = defineCommand({
  name: 'help',
  summary: 'show what there is, or how one command is used',
  usage: '[COMMAND]',
  positionals: { min: 0, max: 1 },
  options: {},
  async run({ commands, options, positionals, style, width, print }) {
    const [name] = positionals;
    const shown = name === undefined ? commands : [findCommand(name, commands)];
    if (options.json) {
      const described = shown.map(({ name, summary, usage, json = [], options: own }) => ({
        name,
        summary,
        usage,
        json,
        options: { ...own, ...COMMON_OPTIONS },
      }));
      print(JSON.stringify(described, null, 2));
    } else if (name === undefined) {
      print(...overviewHelp(commands, { style, width }));
    } else {
      print(...commandHelp(shown[0]!, { style, width }));
    }
  },
});
