/** The README's first example is run as it stands. */
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { expect, it } from 'vitest';

it('begins with an example of some 15 lines that runs and prints what it says', () => {
  const [, example] = /```js\n([\s\S]*?)```/.exec(readFileSync('README.md', 'utf8')) as RegExpExecArray;
  const lines = example!.split('\n').filter((line) => line.trim() !== '');
  expect(lines.length).toBeLessThanOrEqual(20);
  const folder = mkdtempSync(join(tmpdir(), 'crucible-readme-'));
  try {
    // The package is found from the folder it is run in, and its file must not land there.
    const program = example!.replace(
      "path: 'control.csv'",
      `path: ${JSON.stringify(join(folder, 'control.csv'))}`,
    );
    const printed = execFileSync(process.execPath, ['--input-type=module', '-e', program], {
      cwd: resolve('.'),
      encoding: 'utf8',
    });
    expect(printed).toContain('latency -19.1 %');
    expect(printed).toContain('rows: 100');
  } finally {
    rmSync(folder, { recursive: true });
  }
});
