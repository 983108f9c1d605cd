/** The page for those who come from Elixir: its program runs as it stands, and makes each call of its table. */
import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { expect, it } from 'vitest';

const page = readFileSync('docs/migration.md', 'utf8');
const [, program] = /```mjs\n([\s\S]*?)```/.exec(page) as RegExpExecArray;

it('has a program that prints what the reference would, and what is corrected', () => {
  const printed = execFileSync(process.execPath, ['--input-type=module', '-e', program!], {
    cwd: resolve('.'),
    encoding: 'utf8',
  });
  expect(printed.trimEnd().split('\n')).toEqual([
    '154.5 1',
    '-24.4',
    'heard altar.tool.stop',
    'paused true 2',
    '10',
    '1',
    '13 3',
    '1',
    '10 0.060',
    '13',
    '23',
    '25 tools 8',
    'stopped archived',
  ]);
});

it('its program makes each call of the table that has one', () => {
  const rows = page.split('\n').filter((line) => line.startsWith('| `'));
  expect(rows.length).toBeGreaterThan(20);
  const named = rows
    .filter((row) => !row.includes('not here yet'))
    .flatMap((row) => [...row.split('|')[2]!.matchAll(/\b(?:telemetry|crucible|experiment|events)\.(\w+)/g)])
    .map(([, name]) => name!);
  expect(named.filter((name) => !program!.includes(`.${name}`))).toEqual([]);
});
