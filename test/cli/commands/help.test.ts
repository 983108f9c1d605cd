import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { commands } from '../../../src/cli/commands/index.js';
import { runInMemory } from '../support/environment.js';

const help = (...argv: string[]) => runInMemory(['help', ...argv], commands);

describe('crucible help', () => {
  it('lists every registered command with its summary', async () => {
    const { status, stdout } = await help();
    expect(status).toBe(0);
    for (const { name, summary } of commands)
      expect(stdout).toMatch(new RegExp(`^ +${name} +${summary}$`, 'm'));
  });

  it('shows one command as its --help does', async () => {
    for (const { name } of commands) {
      expect((await help(name)).stdout).toBe((await runInMemory([name, '--help'], commands)).stdout);
    }
  });

  it('gives the same as one JSON document', async () => {
    const described = JSON.parse((await help('--json')).stdout);
    expect(described.map(({ name }: { name: string }) => name)).toEqual(commands.map(({ name }) => name));
    expect(JSON.parse((await help('demo', '--json')).stdout)[0].options).toHaveProperty('requests');
  });

  it('says what each error of the library means, and what helps', async () => {
    const codes = [...readFileSync('docs/troubleshooting.md', 'utf8').matchAll(/^## (ERR_\w+)$/gm)];
    expect(codes.length).toBeGreaterThan(20);
    for (const [, code] of codes) {
      const { status, stdout } = await help(code!);
      expect(status).toBe(0);
      expect(stdout).toMatch(new RegExp(`^${code}\\n\\n[\\s\\S]+\\n\\nWhat helps: `));
      expect(stdout).not.toMatch(/\*\*|\]\(/);
    }
    expect(JSON.parse((await help('err_locked', '--json')).stdout)).toMatchObject({ code: 'ERR_LOCKED' });
    expect((await help('ERR_NOTHING')).status).toBe(2);
  });

  it('answers an unknown command with 2', async () => {
    expect(await help('dmeo')).toMatchObject({
      status: 2,
      stderr: expect.stringContaining('did you mean demo?'),
    });
  });

  it('fits a terminal of 100 columns', async () => {
    for (const argv of [[], ...commands.map(({ name }) => [name])]) {
      const { stdout } = await help(...argv);
      expect(stdout.split('\n').filter((line) => line.length > 100)).toEqual([]);
    }
  });
});
