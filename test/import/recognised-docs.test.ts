/** docs/import.md lists every name that is recognised. */
import { readFileSync } from 'node:fs';
import { expect, it } from 'vitest';
import { DETECTED } from '../../src/import/defaults.js';

const page = readFileSync('docs/import.md', 'utf8');
const table = page.split('<!-- fields -->')[1]!.split('<!-- end -->')[0]!;

it.each(Object.entries(DETECTED))('the names of %s', (field, names) => {
  const row = table.split('\n').find((line) => line.startsWith(`| \`${field}\` `)) ?? '';
  expect([...row.matchAll(/`([^`]+)`/g)].slice(1).map(([, name]) => name)).toEqual(Object.keys(names));
});
