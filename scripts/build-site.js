/**
 * Writes a folder, site/ where none is named: the documentation as files that a browser opens from the disk, with the style
 * of the live page.
 */
import { existsSync, mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { docsPages } from './build-docs.js';

const { PAGE_FILES } = await import(new URL('../dist/generated/page.js', import.meta.url).href);

/** @param {string} path  @param {string} content */
function write(path, content) {
  const file = join(folder, path);
  mkdirSync(dirname(file), { recursive: true });
  writeFileSync(file, content);
}

const folder = process.argv[2] ?? 'site';
// What TypeDoc has written stays.
rmSync(join(folder, 'docs'), { recursive: true, force: true });
const hasApi = existsSync(join(folder, 'api', 'index.html'));
for (const name of ['/style.css', '/icon.svg']) write(name, PAGE_FILES[name].content);
for (const [path, content] of docsPages({ isServed: false, hasApi })) write(path, content);
write(
  'index.html',
  '<!doctype html><meta charset="utf-8"><title>Crucible</title><meta http-equiv="refresh" content="0; url=docs/index.html"><a href="docs/index.html">Documentation</a>\n',
);
