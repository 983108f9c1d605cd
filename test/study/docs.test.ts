/** docs/studies.md says what examples/study.js prints, and what names of codes there are. Runs the built library. */
import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { expect, it } from 'vitest';

const page = readFileSync('docs/studies.md', 'utf8');

it('the example prints what the page shows', () => {
  const printed = execFileSync(process.execPath, ['examples/study.js'], { encoding: 'utf8' });
  expect(page).toContain(`\`\`\`text\n${printed}\`\`\``);
});

it('the page has every decision and deviation', () => {
  const source = readFileSync('src/study/verdict.ts', 'utf8');
  const names = (type: string) => {
    const [, union] = new RegExp(`export type ${type} =([^;]+);`).exec(source)!;
    return [...union!.matchAll(/'(\w+)'/g)].map(([, name]) => name);
  };
  const all = [...names('Decision'), ...names('DeviationCode')];
  expect(all.length).toBeGreaterThan(10);
  for (const name of all) expect(page).toContain(`\`${name}\``);
});
