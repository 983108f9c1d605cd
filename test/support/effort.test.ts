/** Long forms of tests run somewhere: `npm run test:long` names every file that has one. */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it } from 'vitest';

const HAS_LONG_FORM = /support\/(?:effort|simulated)\.js'|process\.env\.CRUCIBLE_LONG/;

/** Files of `folder` with a long form, of which no path is one or a folder of one. */
function unnamed(folder: string, named: readonly string[]): string[] {
  return readdirSync(folder, { recursive: true, encoding: 'utf8' })
    .map((file) => join(folder, file).replaceAll('\\', '/'))
    .filter((file) => file.endsWith('.test.ts') && HAS_LONG_FORM.test(readFileSync(file, 'utf8')))
    .filter((file) => !named.some((path) => file === path || file.startsWith(`${path}/`)))
    .sort();
}

it('npm run test:long names every file with a long form', () => {
  const { scripts } = JSON.parse(readFileSync('package.json', 'utf8')) as { scripts: Record<string, string> };
  const named = scripts['test:long']!.split('vitest run ')[1]!.split(' ');
  expect(unnamed('test', named)).toEqual([]);
  // One that is left out is found.
  const left = named.filter((path) => path !== 'test/stats/margins.test.ts');
  expect(unnamed('test', left)).toEqual(['test/stats/margins.test.ts']);
});
