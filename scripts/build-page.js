/** Writes generated/page.ts: the files of the page that `serve` shows, as text. */
import { createHash } from 'node:crypto';
import { readFileSync, writeFileSync } from 'node:fs';
import { build } from 'esbuild';
import { docsPages } from './build-docs.js';

const { outputFiles } = await build({
  entryPoints: { app: 'src/serve/page/main.ts', style: 'src/serve/page/style.css' },
  bundle: true,
  minify: true,
  format: 'esm',
  target: ['es2022', 'chrome109', 'firefox115', 'safari16'],
  legalComments: 'inline',
  loader: { '.svg': 'text' },
  write: false,
  outdir: '/',
});

/** @type {Record<string, { type: string, tag: string, content: string }>} */
const files = {};
/** @param {string} path  @param {string} type  @param {string} content */
function add(path, type, content) {
  const tag = createHash('sha256').update(content).digest('base64url').slice(0, 16);
  files[path] = { type, tag, content };
}
for (const { path, text } of outputFiles) {
  const name = path.replaceAll('\\', '/').replace(/^.*\//, '/');
  add(name, name.endsWith('.css') ? 'text/css; charset=utf-8' : 'text/javascript; charset=utf-8', text);
}
add('/index.html', 'text/html; charset=utf-8', readFileSync('src/serve/page/index.html', 'utf8'));
add('/icon.svg', 'image/svg+xml', readFileSync('src/serve/page/icon.svg', 'utf8'));

for (const [path, content] of docsPages({ isServed: true }))
  add(path, path.endsWith('.svg') ? 'image/svg+xml' : 'text/html; charset=utf-8', content);

writeFileSync(
  'generated/page.ts',
  `export const PAGE_FILES: Readonly<Record<string, { type: string; tag: string; content: string }>> =\n  ${JSON.stringify(files)};\n`,
);
