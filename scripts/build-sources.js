/**
 * Writes the sources that are made: generated/version.ts, the threads' program as generated/thread-program.ts, and
 * generated/piscina.ts, the pool such that it starts its threads from that text instead of from a file.
 */
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { build } from 'esbuild';

/** @param {string} name  @param {string} constant  @param {string} value */
function writeText(name, constant, value) {
  mkdirSync('generated', { recursive: true });
  writeFileSync(`generated/${name}.ts`, `export const ${constant}: string =\n  ${JSON.stringify(value)};\n`);
}

writeText('version', 'VERSION', JSON.parse(readFileSync('package.json', 'utf8')).version);

/** Modules of Node that CommonJS asks for, by the names that they are imported under. @type {Map<string, string>} */
const builtins = new Map();

/**
 * Modules of Node that CommonJS asks for, as imports, and a package that Piscina can do without left out: no `require`
 * is left, which modules do not have and bundlers complain of. The imports are of defaults: what webpack before 5.99, and
 * with it Next.js 15, makes of all names of `node:events`, which is a function, is empty.
 * @type {import('esbuild').Plugin}
 */
const withoutRequire = {
  name: 'without-require',
  setup(pluginBuild) {
    pluginBuild.onResolve({ filter: /^node:/ }, ({ path, kind }) =>
      kind === 'require-call' ? { path, namespace: 'node-module' } : { path, external: true },
    );
    pluginBuild.onLoad({ filter: /.*/, namespace: 'node-module' }, ({ path }) => {
      const name = path.replaceAll(/\W/g, '_');
      builtins.set(path, name);
      return { contents: `module.exports = ${name};` };
    });
    pluginBuild.onResolve({ filter: /^@napi-rs\/nice$/ }, ({ path }) => ({ path, namespace: 'left-out' }));
    pluginBuild.onLoad({ filter: /.*/, namespace: 'left-out' }, () => ({ contents: '' }));
  },
};

/** How Piscina's program finds the function that answers requests, and how it is to find ours. */
const LOADS = '__importStar(require(s))';
const LOADS_OURS =
  '(globalThis[Symbol.for("crucible-telemetry.handlers")]?.get(s) ?? __importStar(require(s)))';

const {
  outputFiles: [program],
  metafile,
} = await build({
  entryPoints: ['src/thread.worker.ts'],
  bundle: true,
  platform: 'node',
  target: 'node20.19',
  format: 'cjs',
  // Names stay, for the sake of stack traces.
  minifySyntax: true,
  minifyWhitespace: true,
  legalComments: 'none',
  external: ['@napi-rs/nice'],
  metafile: true,
  write: false,
  outfile: 'thread-program.cjs',
  plugins: [
    {
      name: 'handler-of-ours',
      setup(pluginBuild) {
        pluginBuild.onLoad({ filter: /piscina[/\\]dist[/\\]worker\.js$/ }, ({ path }) => {
          const contents = readFileSync(path, 'utf8');
          if (!contents.includes(LOADS)) throw new Error(`${path} finds its handlers in another way`);
          return { contents: contents.replace(LOADS, LOADS_OURS) };
        });
      },
    },
  ],
});
writeText('thread-program', 'THREAD_PROGRAM', program.text);

/** The page that `serve` shows: its files by their paths. */
await import('./build-page.js');

/** The one place in Piscina that starts a thread, and what it is to be. */
const STARTS = 'new node_worker_threads_1.Worker(filename, workerOpts)';
const STARTS_FROM_TEXT =
  'new node_worker_threads_1.Worker(require("crucible:thread-program").THREAD_PROGRAM, { ...workerOpts, eval: true })';

const {
  outputFiles: [pool],
} = await build({
  stdin: { contents: "export { Piscina } from 'piscina/dist/main.js';", resolveDir: '.' },
  alias: { 'piscina/dist/main.js': './node_modules/piscina/dist/main.js' },
  bundle: true,
  platform: 'node',
  target: 'node20.19',
  format: 'esm',
  legalComments: 'none',
  external: ['./thread-program.js'],
  // Where its file would be, which is not started.
  define: { __dirname: '""' },
  write: false,
  outfile: 'generated/piscina.js',
  plugins: [
    withoutRequire,
    {
      name: 'threads-from-text',
      setup(pluginBuild) {
        pluginBuild.onResolve({ filter: /^crucible:thread-program$/ }, () => ({
          path: 'thread-program',
          namespace: 'crucible',
        }));
        pluginBuild.onLoad({ filter: /.*/, namespace: 'crucible' }, () => ({
          contents: "export { THREAD_PROGRAM } from './thread-program.js';",
          resolveDir: 'generated',
        }));
        pluginBuild.onLoad({ filter: /piscina[/\\]dist[/\\]worker_pool[/\\]index\.js$/ }, ({ path }) => {
          const contents = readFileSync(path, 'utf8');
          if (!contents.includes(STARTS)) throw new Error(`${path} starts its threads in another way`);
          return { contents: contents.replace(STARTS, STARTS_FROM_TEXT) };
        });
      },
    },
  ],
});
const imports = [...builtins].sort().map(([path, name]) => `import ${name} from '${path}';\n`);
writeFileSync('generated/piscina.ts', `// @ts-nocheck\n${imports.join('')}${pool.text}`);

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
