/** Bundled by what applications are bundled with, without any setting for it, and run where no other file is. */
import { cp, mkdir, mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import zlib from 'node:zlib';
import { nodeResolve } from '@rollup/plugin-node-resolve';
import * as esbuild from 'esbuild';
import { type OutputOptions, type RollupLog, rollup } from 'rollup';
import * as vite from 'vite';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import webpack from 'webpack';
import { EXPECTED } from '../support/package/expected.js';
import { applicationFolder, link, run } from '../support/package/installed.js';

/** Rows that compressing.js exports. */
const FEW = 2_500;

/** Where the application is, with what it has installed. */
let application: string;
/** Where its bundles are made, each in a folder. */
let bundles: string;
let entry: string;

beforeAll(async () => {
  application = await applicationFolder();
  bundles = await mkdtemp(join(tmpdir(), 'crucible-bundles-'));
  entry = join(application, 'application.js');
  await cp('test/support/package/application.js', entry);
}, 60_000);

afterAll(async () => {
  for (const folder of [application, bundles]) await rm(folder, { recursive: true, force: true });
});

/** Runs a bundle from a folder that has nothing to do with it. */
async function printed(file: string): Promise<unknown> {
  const { stdout, stderr } = await run(process.execPath, [file], { cwd: tmpdir(), timeout: 50_000 });
  expect(stderr).toBe('');
  return JSON.parse(stdout);
}

/** Makes the bundle in a folder of its own. @returns the file to run, and what was warned of */
type Bundle = (folder: string) => Promise<{ file: string; warnings: readonly string[] }>;

function byEsbuild(format: 'esm' | 'cjs', minify: boolean, program?: string): Bundle {
  return async (folder) => {
    const file = join(folder, format === 'esm' ? 'out.mjs' : 'out.cjs');
    const { warnings } = await esbuild.build({
      entryPoints: [program ?? entry],
      bundle: true,
      platform: 'node',
      format,
      minify,
      outfile: file,
      logLevel: 'silent',
    });
    return { file, warnings: warnings.map(({ text }) => text) };
  };
}

const byRollup =
  (output: OutputOptions): Bundle =>
  async (folder) => {
    const warnings: string[] = [];
    const bundle = await rollup({
      input: entry,
      plugins: [nodeResolve()],
      onwarn: ({ message }: RollupLog) => warnings.push(message),
    });
    const isOne = output.inlineDynamicImports === true;
    await bundle.write({
      ...output,
      format: 'es',
      ...(isOne ? { file: join(folder, 'application.js') } : { dir: folder }),
    });
    await bundle.close();
    await writeFile(join(folder, 'package.json'), '{ "type": "module" }');
    return { file: join(folder, 'application.js'), warnings };
  };

const byWebpack: Bundle = (folder) =>
  new Promise((resolve, reject) => {
    const compiler = webpack({
      mode: 'production',
      target: 'node20',
      entry,
      output: { path: folder, filename: 'out.cjs', chunkFilename: '[id].cjs' },
      // That takes longer than all the rest; what shortened names do is seen by esbuild.
      optimization: { minimize: false },
    });
    compiler.run((error, stats) => {
      compiler.close(() => {});
      if (error !== null || stats === undefined) reject(error);
      else {
        const { warnings = [], errors = [] } = stats.toJson({ all: false, warnings: true, errors: true });
        const messages = [...errors, ...warnings].map(({ message }) => message);
        resolve({ file: join(folder, 'out.cjs'), warnings: messages });
      }
    });
  });

const byVite: Bundle = async (folder) => {
  const warnings: string[] = [];
  const logger = vite.createLogger('warn');
  logger.warn = (message) => warnings.push(message);
  await vite.build({
    configFile: false,
    root: application,
    customLogger: logger,
    logLevel: 'warn',
    build: { ssr: entry, outDir: folder, emptyOutDir: false, minify: true },
    ssr: { noExternal: true },
  });
  await writeFile(join(folder, 'package.json'), '{ "type": "module" }');
  return { file: join(folder, 'application.js'), warnings };
};

const BUNDLES: Record<string, Bundle> = {
  'esbuild, a module': byEsbuild('esm', false),
  'esbuild, a module, minified': byEsbuild('esm', true),
  'esbuild, CommonJS': byEsbuild('cjs', false),
  'esbuild, CommonJS, minified': byEsbuild('cjs', true),
  Rollup: byRollup({}),
  'Rollup, one file': byRollup({ inlineDynamicImports: true }),
  webpack: byWebpack,
  'Vite, for a server': byVite,
};

describe('an application bundled by', () => {
  it.each(Object.entries(BUNDLES))('%s works', { timeout: 120_000 }, async (name, bundle) => {
    const folder = join(bundles, name.replace(/\W+/g, '-'));
    await mkdir(folder);
    const { file, warnings } = await bundle(folder);
    expect(warnings).toEqual([]);
    const { version } = JSON.parse(await readFile('package.json', 'utf8'));
    expect(await printed(file)).toEqual({ version, ...EXPECTED });
    // The module, the threads' program, the page and the rest; more would be something twice.
    const sizes = await Promise.all((await readdir(folder)).map((path) => stat(join(folder, path))));
    expect(sizes.reduce((sum, { size }) => sum + size, 0)).toBeLessThan(4.5e6);
  });

  it('nothing at all gives the same', async () => {
    expect(await printed(entry)).toMatchObject(EXPECTED);
  });

  it('esbuild, with packages left where they are installed, works', async () => {
    const file = join(application, 'external.mjs');
    const options = { bundle: true, platform: 'node', format: 'esm', packages: 'external' } as const;
    await esbuild.build({ entryPoints: [entry], outfile: file, ...options });
    expect((await stat(file)).size).toBeLessThan(10_000);
    expect(await printed(file)).toMatchObject(EXPECTED);
  });
});

describe('in a bundle', () => {
  it('an optional package is found beside the main script, whatever the working folder', async () => {
    const folder = join(bundles, 'optional');
    await mkdir(folder);
    await cp('test/support/package/compressing.js', join(application, 'compressing.js'));
    const { file } = await byEsbuild('cjs', false, join(application, 'compressing.js'))(folder);
    const without = 'zstdCompressSync' in zlib ? { rows: FEW } : { code: 'ERR_CONFIG_INVALID' };
    expect(await printed(file)).toMatchObject(without);
    await link('@bokuweb/zstd-wasm', folder);
    expect(await printed(file)).toEqual({ rows: FEW });
  });

  it('statistics alone are small, and bring no thread along', async () => {
    const { outputFiles } = await esbuild.build({
      stdin: {
        contents: "import { welchTTest } from 'crucible-telemetry/stats'; console.log(welchTTest);",
        resolveDir: application,
      },
      bundle: true,
      platform: 'node',
      write: false,
    });
    expect(outputFiles[0]!.text.length).toBeLessThan(60_000);
    expect(outputFiles[0]!.text).not.toContain('node:worker_threads');
  });
});
