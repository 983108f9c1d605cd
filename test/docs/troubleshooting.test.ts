/** The page of errors has an entry for each code that there is, and none for others. */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it } from 'vitest';

const told = [...readFileSync('docs/troubleshooting.md', 'utf8').matchAll(/^## (ERR_\w+)$/gm)].map(
  ([, code]) => code,
);

it('has an entry for each code of errors.ts, in the order of the alphabet', () => {
  const codes = new Set(readFileSync('src/errors.ts', 'utf8').match(/\bERR_[A-Z_]+\b/g));
  expect(told).toEqual([...codes].sort());
});

it('says of each what it means and what helps', () => {
  const text = readFileSync('docs/troubleshooting.md', 'utf8');
  for (const entry of text.split(/^## (?=ERR_)/m).slice(1)) {
    expect(entry).toMatch(/^ERR_\w+\n\n[A-Z`][\s\S]+?\.\n\n\*\*What helps:\*\* [\s\S]+\.\n*$/);
  }
});

/** Codes of Node that are looked for. */
const OF_NODE = ['ERR_STRING_TOO_LONG', 'ERR_STREAM_PREMATURE_CLOSE'];

it('the library throws no code that errors.ts does not know', () => {
  const sources = readdirSync('src', { recursive: true, encoding: 'utf8' }).filter(
    // The command line has codes of its own: of how it was called.
    (path) => path.endsWith('.ts') && !path.startsWith('cli/') && !path.startsWith('serve/page/'),
  );
  const unknown = sources.flatMap((path) =>
    [...new Set(readFileSync(join('src', path), 'utf8').match(/'ERR_[A-Z_]+'/g) ?? [])]
      .map((code) => code.slice(1, -1))
      .filter((code) => !told.includes(code) && !OF_NODE.includes(code))
      .map((code) => `${path}: ${code}`),
  );
  expect(unknown).toEqual([]);
});
