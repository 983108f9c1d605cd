/** Writes the sources that are made: generated/version.ts, and the threads' program as generated/thread-program.ts. */
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { build } from 'esbuild';

/** @param {string} name  @param {string} constant  @param {string} value */
function writeText(name, constant, value) {
  mkdirSync('generated', { recursive: true });
  writeFileSync(`generated/${name}.ts`, `export const ${constant}: string =\n  ${JSON.stringify(value)};\n`);
}

writeText('version', 'VERSION', JSON.parse(readFileSync('package.json', 'utf8')).version);

const {
  outputFiles: [program],
  metafile,
} = await build({
  entryPoints: ['src/workers/thread.worker.ts'],
  bundle: true,
  platform: 'node',
  target: 'node20.19',
  format: 'cjs',
  // Names stay, for the sake of stack traces.
  minifySyntax: true,
  minifyWhitespace: true,
  legalComments: 'none',
  metafile: true,
  write: false,
  outfile: 'thread-program.cjs',
});
writeText('thread-program', 'THREAD_PROGRAM', program.text);

/** The folder of the package that a file of node_modules belongs to. @param {string} file */
function packageOf(file) {
  let folder = dirname(file);
  while (!existsSync(join(folder, 'package.json')) || !('version' in manifestOf(folder)))
    folder = dirname(folder);
  return folder;
}
/** @param {string} folder */
const manifestOf = (folder) => JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8'));

const packages = new Set(
  Object.keys(metafile.inputs)
    .filter((file) => file.startsWith('node_modules/'))
    .map(packageOf),
);
const notices = [...packages].sort().map((folder) => {
  const { name, version, license } = manifestOf(folder);
  return `${name} ${version} (${license})\n\n${readFileSync(join(folder, 'LICENSE'), 'utf8').trim()}\n`;
});
mkdirSync('dist/generated', { recursive: true });
writeFileSync(
  'dist/generated/THIRD-PARTY-NOTICES.txt',
  `thread-program.js contains parts of these packages:\n\n${notices.join(`\n${'-'.repeat(80)}\n\n`)}`,
);
