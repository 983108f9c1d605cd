/** The documentation as pages: what it links to is there, beside the live page and as files. Needs the built files. */
import { execFileSync } from 'node:child_process';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { PAGE_FILES } from '../../generated/page.js';

let folder: string;
let pages: Map<string, string>;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'crucible-site-'));
  execFileSync(process.execPath, ['scripts/build-site.js', folder]);
  const names = readdirSync(join(folder, 'docs')).filter((name) => name.endsWith('.html'));
  pages = new Map(names.map((name) => [name, readFileSync(join(folder, 'docs', name), 'utf8')]));
});
afterAll(() => rmSync(folder, { recursive: true }));

const linksOf = (text: string) =>
  [...text.matchAll(/(?:href|src)="(?!https?:)([^"]*)"/g)].map(
    ([, link]) => link!.split('#') as [string, string?],
  );

/** Of the page itself, as the server has it. */
const served = Object.entries(PAGE_FILES).filter(
  ([path]) => path.startsWith('/docs/') && path.endsWith('.html'),
);

describe('as files', () => {
  it('has a page for each document, and the first of them opens by itself', () => {
    const documents = readdirSync('docs').filter((name) => name.endsWith('.md'));
    expect([...pages.keys()]).toEqual(
      expect.arrayContaining(documents.map((name) => name.replace('.md', '.html'))),
    );
    expect(readFileSync(join(folder, 'index.html'), 'utf8')).toContain('url=docs/index.html');
  });

  it('links to what there is, by names that hold wherever the folder is', () => {
    for (const [name, text] of pages) {
      for (const [path, hash] of linksOf(text)) {
        expect(path.startsWith('/'), `${name}: ${path}`).toBe(false);
        const target = path === '' ? name : path;
        expect(existsSync(resolve(folder, 'docs', target)), `${name}: ${path}`).toBe(true);
        if (hash !== undefined && hash !== 'main')
          expect(pages.get(target), `${name}: ${target}#${hash}`).toContain(`id="${hash}"`);
      }
    }
  });
});

describe('beside the live page', () => {
  it('links to what is served', () => {
    expect(served.length).toBeGreaterThan(20);
    for (const [name, { content }] of served) {
      for (const [path] of linksOf(content)) {
        const target = new URL(path, `http://localhost${name}`).pathname.replace(/\/$/, '/index.html');
        expect(Object.hasOwn(PAGE_FILES, target), `${name}: ${path}`).toBe(true);
      }
    }
  });
});

it('names every export of every entry point', () => {
  const page = readFileSync('docs/api.md', 'utf8');
  const { exports } = JSON.parse(readFileSync('package.json', 'utf8')) as {
    exports: Record<string, string | { types: string }>;
  };
  for (const [entry, target] of Object.entries(exports)) {
    if (typeof target === 'string') continue;
    const section = page.split(`\n## crucible-telemetry${entry.slice(1)}\n`)[1]?.split('\n## ')[0] ?? '';
    const text = readFileSync(target.types, 'utf8');
    const declared = [
      ...text.matchAll(/^export declare (?:const|function|class|type|interface) (\w+)/gm),
    ].map(([, name]) => name!);
    const listed = [...text.matchAll(/^export (?:type )?\{([^}]+)\}/gm)].flatMap(([, list]) =>
      list!
        .split(',')
        .map(
          (part) =>
            part
              .trim()
              .replace(/^type /, '')
              .split(' as ')
              .at(-1)!,
        )
        .filter(Boolean),
    );
    expect(section, entry).not.toBe('');
    for (const name of [...declared, ...listed])
      expect(section, `${entry}: npm run docs writes the page`).toContain(`[\`${name}\`]`);
  }
});
