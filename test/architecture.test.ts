/** The folders' imports go one way, as ARCHITECTURE.md says. */
import { readdirSync, readFileSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';
import { describe, expect, it } from 'vitest';

/** What each part of src/ may import, besides itself, errors, clock, suggestions and the memory layout. */
const MAY_IMPORT: Readonly<Record<string, readonly string[]>> = {
  schema: [],
  stats: [],
  arrow: [],
  ring: ['schema', 'stats'],
  storage: ['arrow', 'ring', 'schema', 'version'],
  kernels: ['ring', 'stats'],
  readers: ['ring', 'schema', 'storage'],
  analysis: ['kernels', 'readers', 'ring', 'stats', 'schema'],
  workers: ['analysis', 'export', 'kernels', 'readers', 'ring', 'schema', 'storage'],
  export: ['arrow', 'kernels', 'readers', 'ring', 'schema', 'version'],
  import: ['arrow', 'schema'],
  study: ['analysis', 'schema', 'stats', 'storage', 'version'],
  capture: [
    'analysis',
    'export',
    'import',
    'readers',
    'ring',
    'schema',
    'storage',
    'study',
    'version',
    'workers',
  ],
  instrument: ['capture', 'schema', 'storage'],
  demo: ['schema'],
  cli: ['analysis', 'demo', 'schema', 'stats', 'index', 'version'],
};
const EVERYWHERE = [
  'errors',
  'system-errors',
  'make-folder',
  'process-identity',
  'staging',
  'clock',
  'assembly',
  'generated',
  'suggest',
  'thread',
  'optional',
  'address-space',
  'pace',
];

const sources = readdirSync('src', { recursive: true, encoding: 'utf8' }).filter((path) =>
  path.endsWith('.ts'),
);

function importsOf(path: string): string[] {
  const text = readFileSync(join('src', path), 'utf8');
  return [...text.matchAll(/from '(\.[^']+)'/g)].map(([, specifier]) =>
    relative('src', join('src', dirname(path), specifier!)).replace(/^\.\.\//, ''),
  );
}

/** The first folder, or the file itself where it stands in src/. */
const partOf = (path: string) => path.split('/')[0]!.replace(/\.[jt]s$/, '');

describe.each(Object.keys(MAY_IMPORT))('src/%s', (part) => {
  const files = sources.filter((path) => partOf(path) === part);

  it('imports only what lies below it', () => {
    expect(files.length).toBeGreaterThan(0);
    const allowed = new Set([part, ...EVERYWHERE, ...MAY_IMPORT[part]!]);
    const upward = files.flatMap((path) =>
      importsOf(path)
        .filter((target) => !allowed.has(partOf(target)))
        .map((target) => `${path} imports ${target}`),
    );
    expect(upward).toEqual([]);
  });
});

it('lets one file touch WebAssembly', () => {
  const touching = sources.filter((path) => /\bWebAssembly\./.test(readFileSync(join('src', path), 'utf8')));
  expect(touching.filter((path) => path !== 'ring/wasm.ts')).toEqual([]);
});
