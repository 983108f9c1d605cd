/** The package as others install it, from the built files: run `npm run build` first. */

import { execFile } from 'node:child_process';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { applicationFolder } from '../support/package/installed.js';

const run = promisify(execFile);

interface Manifest {
  name: string;
  version: string;
  type: string;
  files: string[];
  bin: Record<string, string>;
  exports: Record<string, string | { types: string; default: string }>;
  dependencies: Record<string, string>;
  peerDependencies: Record<string, string>;
}

const manifest = JSON.parse(readFileSync('package.json', 'utf8')) as Manifest;
let packed: string[];

beforeAll(async () => {
  const { stdout } = await run('npm', ['pack', '--dry-run', '--json', '--ignore-scripts']);
  const [{ files }] = JSON.parse(stdout) as [{ files: { path: string }[] }];
  packed = files.map(({ path }) => path);
}, 60_000);

const inside = (path: string) => path.replace(/^\.\//, '');

describe('the package', () => {
  it('holds every file that its exports name, types included', () => {
    const targets = Object.values(manifest.exports).flatMap((entry) =>
      typeof entry === 'string' ? [entry] : [entry.types, entry.default],
    );
    expect(targets.length).toBeGreaterThanOrEqual(5);
    for (const target of targets) expect(packed).toContain(inside(target));
  });

  it('holds types beside every module', () => {
    const modules = packed.filter((path) => path.startsWith('dist/') && path.endsWith('.js'));
    expect(modules.length).toBeGreaterThan(20);
    for (const path of modules) expect(packed).toContain(path.replace(/\.js$/, '.d.ts'));
  });

  it('holds the WebAssembly module that was compiled, as a file and as what is loaded', async () => {
    expect(packed).toContain('dist/assembly/crucible.wasm');
    const bytes = readFileSync('dist/assembly/crucible.wasm');
    expect([...bytes.subarray(0, 8)]).toEqual([0, 0x61, 0x73, 0x6d, 1, 0, 0, 0]);
    expect(bytes.equals(readFileSync('assembly/crucible.wasm'))).toBe(true);
    const { WASM_BASE64 } = (await import(resolve('dist/generated/wasm.js'))) as { WASM_BASE64: string };
    expect(bytes.equals(Buffer.from(WASM_BASE64, 'base64'))).toBe(true);
  });

  it('holds the documentation and the examples', () => {
    const files = ['docs', 'examples'].flatMap((folder) =>
      readdirSync(folder, { recursive: true, withFileTypes: true })
        .filter((entry) => entry.isFile())
        .map(({ parentPath, name }) => join(parentPath, name)),
    );
    expect(files.length).toBeGreaterThan(15);
    expect(packed).toEqual(expect.arrayContaining(files));
  });

  it('holds what its pages link to, and names no source map', () => {
    for (const path of packed.filter((file) => file.endsWith('.md'))) {
      const links = readFileSync(path, 'utf8').matchAll(/\]\((?![a-z]+:)([^)#\s]+)/g);
      for (const { 1: link } of links) {
        const target = join(dirname(path), link!);
        const isThere = packed.some((file) => file === target || file.startsWith(join(target, '/')));
        expect(isThere, `${path}: ${link}`).toBe(true);
      }
    }
    for (const path of packed.filter((file) => /\.[jt]s$/.test(file))) {
      expect(readFileSync(path, 'utf8'), path).not.toMatch(/^\/\/# sourceMappingURL/m);
    }
  });

  it('names the packages whose code the threads program contains, with their licences', () => {
    const notices = readFileSync('dist/generated/THIRD-PARTY-NOTICES.txt', 'utf8');
    for (const name of ['@msgpack/msgpack', 'hyparquet', 'hyparquet-writer']) {
      expect(notices).toMatch(new RegExp(`^${name} \\S+ \\((MIT|ISC)\\)$`, 'm'));
    }
  });

  it('holds no tests, benchmarks, sources or source maps', () => {
    const unwanted = /(^|\/)(test|tests|bench|node_modules|scripts|coverage)\/|\.test\.|\.bench\.|\.map$/;
    expect(packed.filter((path) => unwanted.test(path))).toEqual([]);
    expect(packed.filter((path) => path.endsWith('.ts') && !path.endsWith('.d.ts'))).toEqual([]);
  });

  it('holds nothing but what its files list and npm always adds', () => {
    const listed = (path: string) =>
      path === 'package.json' ||
      manifest.files.some((entry) => path === entry || path.startsWith(`${entry}/`));
    expect(packed.filter((path) => !listed(path))).toEqual([]);
  });

  it('imports nothing that it does not depend on', () => {
    const known = new Set([
      manifest.name,
      ...Object.keys({ ...manifest.dependencies, ...manifest.peerDependencies }),
    ]);
    // The page is text, and so are the documents in it, with programs of other packages. Examples of SDKs import them.
    const exceptions = /generated\/page\.js$|^examples\/calls\//;
    for (const path of packed.filter((file) => file.endsWith('.js') && !exceptions.test(file))) {
      const source = readFileSync(path, 'utf8');
      for (const [, specifier] of source.matchAll(/(?:^import |\bfrom |\bimport\()'([^'.][^']*)'/gm)) {
        if (specifier!.startsWith('node:')) continue;
        const name = specifier!.split('/', specifier!.startsWith('@') ? 2 : 1).join('/');
        expect(known, `${path} imports ${specifier}`).toContain(name);
      }
    }
  });

  it('holds every program that its bin names', () => {
    expect(Object.keys(manifest.bin)).toEqual(['crucible', 'crucible-telemetry']);
    for (const target of Object.values(manifest.bin)) expect(packed).toContain(inside(target));
  });

  it('holds something for every entry of its files', () => {
    for (const entry of manifest.files) {
      expect(
        packed.some((path) => path === entry || path.startsWith(`${entry}/`)),
        entry,
      ).toBe(true);
    }
  });

  it.each(['crucible-telemetry', 'crucible-telemetry/stats'])('%s can be imported by name', async (name) => {
    const program = `const names = Object.keys(await import('${name}')); console.log(JSON.stringify(names));`;
    const { stdout } = await run(process.execPath, ['--input-type=module', '-e', program]);
    expect((JSON.parse(stdout) as string[]).length).toBeGreaterThan(0);
  });

  it('tells its own version', async () => {
    const program = `console.log((await import('crucible-telemetry')).VERSION);`;
    const { stdout } = await run(process.execPath, ['--input-type=module', '-e', program]);
    expect(stdout.trim()).toBe(manifest.version);
  });

  it('keeps what it does not export to itself', async () => {
    const program = `await import('crucible-telemetry/dist/src/index.js');`;
    await expect(run(process.execPath, ['--input-type=module', '-e', program])).rejects.toThrow(
      'ERR_PACKAGE_PATH_NOT_EXPORTED',
    );
  });

  it('does nothing and keeps no process alive when it is imported', async () => {
    const program = `await import('crucible-telemetry'); await import('crucible-telemetry/stats');`;
    const result = await run(process.execPath, ['--input-type=module', '-e', program], { timeout: 20_000 });
    expect(result).toMatchObject({ stdout: '', stderr: '' });
  });
});

describe('an experiment nobody closed', () => {
  it('keeps no process alive', async () => {
    const program = `
      import { Crucible, telemetry } from 'crucible-telemetry';
      const experiment = new Crucible().startExperiment({ name: 'left' });
      experiment.recorder('e').record(1);
      telemetry.execute('req_llm.request.stop', {});
      console.log(experiment.counts.captured);`;
    const result = await run(process.execPath, ['--input-type=module', '-e', program], { timeout: 20_000 });
    expect(result).toMatchObject({ stdout: '2\n', stderr: '' });
  });
});

describe('examples, as they are installed', () => {
  let application: string;
  beforeAll(async () => {
    application = await applicationFolder();
  }, 60_000);
  afterAll(() => rm(application, { recursive: true }));

  const EXPECTED: Record<string, RegExp> = {
    'quick-start.js': /^4 events, \$0\.006, success rate 1\n4 rows in .*quick-start\.csv\n$/,
    'ab-test.js': /^prompt-b: latency -20\.0 %, cost \$-0\.0240\nprogress 20\/20\n$/,
    'compare.js':
      /^5 questions, alpha 0\.05, adjusted by holm\n[\s\S]*\nCompared with long prompt, short prompt had [^\n]*\n$/,
    'durable.js':
      /^the child was ended by SIGKILL\ndoomed: 10000 events, 0 damaged\n10001 latencies, mean 104\.50 ms\n$/,
    'threads.js': /^15000 events from 3 threads, 0 dropped\n$/,
    'model-calls.js': /^short: \$-0\.01080 in all\n4 series of tokens\n$/,
    'study.js': /what would change it: an interval of cost per success with 0 in it[^\n]*\n$/,
    'evaluation.js': /\nbetter: The primary outcome, quality, is better\.[^\n]*\n$/,
    'watched.js': /^1500 an arm: better [\s\S]* is ruled out\.\n$/m,
    'import-csv.js':
      /^4 rows imported, 0 malformed\n6 s, latency p50 1565 ms, p99 4655\.8 ms\n2783 tokens, success rate 0\.75\n$/,
  };

  it('are all run here', () => {
    const programs = readdirSync('examples').filter((file) => file.endsWith('.js'));
    expect(programs.toSorted()).toEqual(Object.keys(EXPECTED).toSorted());
  });

  it.each(Object.entries(EXPECTED))('%s runs and prints what it should', async (file, expected) => {
    const folder = await mkdtemp(join(tmpdir(), 'crucible-example-'));
    try {
      const args = file === 'quick-start.js' || file === 'durable.js' ? [folder] : [];
      const program = join(application, 'node_modules', manifest.name, 'examples', file);
      const { stdout, stderr } = await run(process.execPath, [program, ...args], {
        cwd: folder,
        timeout: 30_000,
      });
      expect(stdout).toMatch(expected);
      expect(stderr).toBe('');
      if (file === 'quick-start.js') expect(existsSync(join(folder, 'quick-start.csv'))).toBe(true);
    } finally {
      await rm(folder, { recursive: true });
    }
  });
});
