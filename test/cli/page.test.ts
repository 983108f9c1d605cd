/** docs/cli.md names every command, and each of its options. */
import { readFileSync } from 'node:fs';
import { expect, it } from 'vitest';
import { COMMON_OPTIONS } from '../../src/cli/command.js';
import { commands } from '../../src/cli/commands/index.js';

const page = readFileSync('docs/cli.md', 'utf8');
const sectionOf = (name: string) => page.split(`\n## crucible ${name}\n`)[1]?.split('\n## ')[0] ?? '';

it.each(commands.filter(({ name }) => name !== 'help').map((command) => [command.name, command] as const))(
  'crucible %s',
  (name, { usage, options }) => {
    const section = sectionOf(name);
    expect(section).toContain(`crucible ${name} ${usage}`);
    for (const option of Object.keys(options)) expect(section, option).toContain(`\`--${option}`);
  },
);

it('the options of all commands', () => {
  for (const option of Object.keys(COMMON_OPTIONS)) expect(page).toContain(`\`--${option}`);
});
