/** The programs of docs/isolation.md, run as they stand. */

import { execFile } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, describe, expect, it } from 'vitest';

const text = readFileSync('docs/isolation.md', 'utf8');
const programs = [...text.matchAll(/```js\n([\s\S]*?)```/g)].map(([, program]) => program as string);
/** What each prints. */
const PRINTED = [
  'a\nplain\nanswer\nshort\n1 1\n',
  'chunk\n2 0\n',
  'It depends. true true 2 { prompt: 4, completion: 2, total: 6 } 1\ntrue\n',
  '43 true\ntrue u1 true\n',
  '2 1\n',
];

// In the project, from where the package is found by its name.
const folder = mkdtempSync(join(resolve('dist'), '.isolation-docs-'));
afterAll(() => rmSync(folder, { recursive: true }));

describe('docs/isolation.md', () => {
  it('has as many programs as are known here', () => {
    expect(programs).toHaveLength(PRINTED.length);
  });

  it.each(PRINTED.map((_, index) => index))('has a program that runs: %i', async (index) => {
    const file = join(folder, `${index}.mjs`);
    writeFileSync(file, programs[index] as string);
    const { stdout } = await promisify(execFile)(process.execPath, [file]);
    expect(stdout).toBe(PRINTED[index]);
  });
});
