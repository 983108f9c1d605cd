/** The rooms' imports go one way, as ARCHITECTURE.md says. */
import { readdirSync, readFileSync } from 'node:fs';
import { dirname, join, posix } from 'node:path';
import { describe, expect, it } from 'vitest';

/** What each room of src/ may import, besides itself and what all may. The longest path that fits is the room. */
const MAY_IMPORT: Readonly<Record<string, readonly string[]>> = {
  schema: [],
  row: ['schema'],
  stats: [],
  formats: ['row', 'schema', 'version'],
  ring: ['row', 'schema', 'stats'],
  storage: ['row', 'formats', 'ring', 'schema', 'version'],
  kernels: ['ring', 'stats'],
  readers: ['row', 'formats', 'ring', 'schema', 'storage'],
  analysis: ['row', 'kernels', 'readers', 'ring', 'stats', 'schema'],
  export: ['row', 'formats', 'kernels', 'readers', 'ring', 'schema', 'version'],
  import: ['row', 'formats', 'schema'],
  workers: ['analysis', 'export', 'kernels', 'readers', 'ring', 'schema', 'storage'],
  charts: [],
  serve: [
    'analysis',
    'charts',
    'export',
    'readers',
    'ring',
    'schema',
    'stats',
    'storage',
    'study',
    'version',
    'workers',
  ],
  study: ['analysis', 'readers', 'schema', 'stats', 'storage', 'version'],
  capture: ['row', 'formats', 'ring', 'schema'],
  experiment: [
    'row',
    'analysis',
    'capture',
    'export',
    'import',
    'readers',
    'ring',
    'schema',
    'serve',
    'storage',
    'study',
    'version',
    'workers',
  ],
  instrument: ['capture', 'experiment', 'schema', 'storage'],
  calls: ['capture', 'schema'],
  outlets: ['analysis', 'capture', 'experiment', 'instrument', 'schema', 'version'],
  demo: ['calls', 'schema'],
  cli: ['analysis', 'charts', 'demo', 'schema', 'serve', 'stats', 'index', 'version'],
};
/** What all may import: files of src/ that know nothing of events, and what the compilers of both languages read. */
const EVERYWHERE = [
  'errors',
  'check-options',
  'system-errors',
  'make-folder',
  'process-identity',
  'staging',
  'clock',
  'assembly',
  'generated',
  'node_modules',
  'suggest',
  'thread',
  'optional',
  'address-space',
  'pace',
];

/** What a row's tag says, and how much there can be of something. */
const OF_ROWS = /^(?:FLAGS?|TAG|UNPRICED)_|^(?:CHUNK_ROWS|STRINGS|DICTIONARY_CAPACITY)$|_MAX$/;
/** The names of the memory's layout that each room may use; where things are is known to the ring, and to what writes rows. */
const LAYOUT_NAMES: Readonly<Record<string, RegExp>> = {
  ring: /./,
  capture: new RegExp(`${OF_ROWS.source}|^BATCH_ROWS$|^COLUMN_\\w+_OFFSET$`),
  schema: /^VALUE_MAX$/,
  kernels: /^CHUNK_ROWS$/,
  storage: OF_ROWS,
  readers: OF_ROWS,
  analysis: OF_ROWS,
  export: OF_ROWS,
  workers: OF_ROWS,
  serve: OF_ROWS,
  experiment: OF_ROWS,
};
/** The same of what the kernels for text share. */
const TEXT_LAYOUT_ROOMS: readonly string[] = ['kernels', 'export'];

interface Import {
  /** Below src/, without extension. */
  readonly from: string;
  readonly to: string;
  /** It is needed when the program runs, and not by the compiler alone. */
  readonly isValue: boolean;
}

const WITH_NAMES = /^\s*(?:import|export)\s+(type\s)?[^'";]*?\sfrom\s+'(\.[^']+)'/gm;
const FOR_ITS_EFFECT = /^\s*import\s+'(\.[^']+)'/gm;
const WHEN_RUN = /\bimport\(\s*'(\.[^']+)'/g;

/** All imports of a source: of names, for their effect, and while it runs. */
function importsOf(file: string, text: string): Import[] {
  const from = file.replace(/\.ts$/, '');
  const to = (specifier: string) =>
    posix.join(dirname(from), specifier.replace(/\.js$/, '')).replace(/^(?:\.\.\/)+/, '');
  return [
    ...[...text.matchAll(WITH_NAMES)].map(([, type, specifier]) => ({
      from,
      to: to(specifier!),
      isValue: type === undefined,
    })),
    ...[...text.matchAll(FOR_ITS_EFFECT), ...text.matchAll(WHEN_RUN)].map(([, specifier]) => ({
      from,
      to: to(specifier!),
      isValue: true,
    })),
  ];
}

const rooms = Object.keys(MAY_IMPORT).sort((a, b) => b.length - a.length);

/** The room of a file, or the file itself where it stands in none; `assembly` and `generated` beside src/. */
function roomOf(path: string): string {
  return rooms.find((room) => path.startsWith(`${room}/`)) ?? path.split('/')[0]!;
}

/** Imports that a room may not have. */
function forbidden(imports: readonly Import[]): string[] {
  return imports
    .filter(({ from, to }) => {
      const room = roomOf(from);
      const allowed = MAY_IMPORT[room];
      const target = roomOf(to);
      if (allowed === undefined || target === room) return false;
      return ![...allowed, ...EVERYWHERE].some((each) => target === each || target.startsWith(`${each}/`));
    })
    .map(({ from, to }) => `${from} imports ${to}`);
}

/** Names of the memory's layout that a source may not use. */
function forbiddenNames(file: string, text: string): string[] {
  const room = roomOf(file);
  return [...text.matchAll(/import\s+(?:type\s)?\{([^}]*)\}\s+from\s+'[./]*assembly\/([\w-]+)\.js'/g)]
    .flatMap(([, names, layout]) => names!.split(',').map((name) => [name.trim(), layout] as const))
    .filter(([name, layout]) =>
      layout === 'text-layout' ? !TEXT_LAYOUT_ROOMS.includes(room) : !LAYOUT_NAMES[room]?.test(name),
    )
    .filter(([name]) => name !== '')
    .map(([name]) => `${file} uses ${name}`);
}

/** Files that import each other, as a path that ends where it began. */
function cycles(imports: readonly Import[]): string[] {
  const targets = new Map<string, string[]>();
  for (const { from, to, isValue } of imports) {
    if (isValue) targets.set(from, [...(targets.get(from) ?? []), to]);
  }
  const found: string[] = [];
  const done = new Set<string>();
  const visit = (file: string, path: readonly string[]) => {
    if (path.includes(file)) found.push([...path.slice(path.indexOf(file)), file].join(' → '));
    if (path.includes(file) || done.has(file)) return;
    for (const target of targets.get(file) ?? []) visit(target, [...path, file]);
    done.add(file);
  };
  for (const file of targets.keys()) visit(file, []);
  return found;
}

const sources = readdirSync('src', { recursive: true, encoding: 'utf8' }).filter((path) =>
  path.endsWith('.ts'),
);
const imports = sources.flatMap((path) => importsOf(path, readFileSync(join('src', path), 'utf8')));

it.each(rooms)('src/%s imports only what lies below it', (room) => {
  const own = imports.filter(({ from }) => roomOf(from) === room);
  expect(sources.some((path) => roomOf(path) === room)).toBe(true);
  expect(forbidden(own)).toEqual([]);
});

it('no file imports itself by way of others', () => {
  expect(cycles(imports)).toEqual([]);
});

it('every folder of src/ is a room', () => {
  const folders = sources.filter((path) => path.includes('/')).map((path) => path.split('/')[0]);
  expect([...new Set(folders)].filter((folder) => !rooms.includes(folder!))).toEqual([]);
});

it('the layout of the memory is used where rows are written and read', () => {
  const text = (path: string) => readFileSync(join('src', path), 'utf8');
  expect(sources.flatMap((path) => forbiddenNames(path, text(path)))).toEqual([]);
});

it('lets one file touch WebAssembly', () => {
  const touching = sources.filter((path) => /\bWebAssembly\./.test(readFileSync(join('src', path), 'utf8')));
  expect(touching.filter((path) => path !== 'ring/wasm.ts')).toEqual([]);
});

it('ARCHITECTURE.md says of every room what it imports', () => {
  const table = readFileSync('ARCHITECTURE.md', 'utf8')
    .split('\n')
    .filter((line) => line.startsWith('| `src/'))
    .map((line) => line.split('|').map((cell) => cell.trim()));
  const told = Object.fromEntries(
    table.map(([, room, , may]) => [
      room!
        .replaceAll('`', '')
        .replace(/^src\//, '')
        .replace(/\/$/, ''),
      may === 'nothing' ? [] : may!.split(', '),
    ]),
  );
  const expected = Object.fromEntries(
    Object.entries(MAY_IMPORT).map(([room, may]) => [room, may.filter((each) => each !== 'version')]),
  );
  expect(told).toEqual(expected);
});

describe('what is planted is found', () => {
  it.each([
    ["import { x } from '../capture/bus.js';", 'a name'],
    ["import type { X } from '../capture/bus.js';", 'a type'],
    ["import '../capture/bus.js';", 'an effect'],
    ["const x = await import('../capture/bus.js');", 'an import while it runs'],
    ["export * from '../capture/bus.js';", 'an export'],
    ["import {\n  x,\n} from '../capture/bus.js';", 'an import over several lines'],
  ])('%s', (text) => {
    expect(forbidden(importsOf('stats/mean.ts', text))).toEqual(['stats/mean imports capture/bus']);
  });

  it('a name of the layout', () => {
    const text = "import { CHUNK_STATE_OFFSET, FLAG_BLOB } from '../../assembly/layout.js';";
    expect(forbiddenNames('readers/rows.ts', text)).toEqual(['readers/rows.ts uses CHUNK_STATE_OFFSET']);
  });

  it('a cycle', () => {
    const planted = [
      ...importsOf('stats/a.ts', "import { b } from './b.js';"),
      ...importsOf('stats/b.ts', "import { a } from './a.js';"),
    ];
    expect(cycles(planted)).toEqual(['stats/a → stats/b → stats/a']);
  });
});
