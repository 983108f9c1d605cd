/**
 * The types of the package as it is published: they compile under what TypeScript resolves modules by, and so does all
 * JavaScript that README.md, docs/ and examples/ show, as TypeScript and as it stands. Needs the built files.
 */
import { cp, mkdir, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { applicationFolder, link, run } from '../support/package/installed.js';

const COMPILER = resolve('node_modules/typescript/bin/tsc');
/** Module, and how modules are resolved. */
type Settings = readonly [module: string, moduleResolution: string];
const SETTINGS: readonly [Settings, ...Settings[]] = [
  ['nodenext', 'nodenext'],
  ['node16', 'node16'],
  ['esnext', 'bundler'],
];

let application: string;
beforeAll(async () => {
  application = await applicationFolder();
  for (const name of ['@types/node', 'undici-types']) await link(name, application);
}, 60_000);
afterAll(() => rm(application, { recursive: true, force: true }));

/** @returns what the compiler says of all files of the folder: nothing if they are right */
async function compile(
  folder: string,
  [module, moduleResolution]: Settings = SETTINGS[0],
  further: Readonly<Record<string, boolean>> = {},
): Promise<string> {
  const compilerOptions = {
    ...{ module, moduleResolution, target: 'es2022', lib: ['es2022'], types: ['node'] },
    ...{ strict: true, skipLibCheck: false, noEmit: true, ...further },
  };
  await writeFile(join(folder, 'tsconfig.json'), JSON.stringify({ compilerOptions, include: ['./*'] }));
  const told = await run(process.execPath, [COMPILER, '-p', folder]).catch(
    (error: { stdout: string }) => error,
  );
  return told.stdout;
}

async function folderOf(name: string, files: Readonly<Record<string, string>>): Promise<string> {
  const folder = join(application, name);
  await mkdir(folder);
  for (const [file, text] of Object.entries(files)) await writeFile(join(folder, file), text);
  return folder;
}

/** Blocks of JavaScript of all pages, by page and line. */
async function blocks(): Promise<Map<string, string>> {
  const pages = (await readdir('docs', { recursive: true })).filter((path) => path.endsWith('.md'));
  const found = new Map<string, string>();
  for (const page of ['README.md', ...pages.map((path) => join('docs', path))]) {
    const text = await readFile(page, 'utf8');
    for (const { 1: code, index } of text.matchAll(
      /^```(?:js|javascript|ts|typescript)\b.*\n([\s\S]*?)^```$/gm,
    )) {
      const line = text.slice(0, index).split('\n').length;
      found.set(`${page.replaceAll(/\W+/g, '-')}-line-${line}.ts`, code!);
    }
  }
  return found;
}

describe.each(SETTINGS)('module %s, resolution %s', (...settings) => {
  it('finds the types, and they are right, for modules and CommonJS', async () => {
    const use = `
      import { Crucible, type Experiment, type Metrics } from 'crucible-telemetry';
      import { welchTTest } from 'crucible-telemetry/stats';
      export const experiment: Experiment = new Crucible({ workers: 0 }).startExperiment({ name: 'typed' });
      export const count: number = experiment.counts.captured;
      export const p: number | null = welchTTest([1, 2, 3], [2, 3, 5]).pValue;
      export const mean = (metrics: Metrics): number | undefined => metrics.latency.mean;`;
    // TypeScript lets CommonJS require modules under nodenext only; elsewhere it imports them when it is run.
    const later = `export const loaded = import('crucible-telemetry').then(({ VERSION }) => VERSION.length);`;
    const isAtOnce = settings[0] === 'nodenext';
    const folder = await folderOf(`settings-${settings.join('-')}`, {
      'module.mts': use,
      'common.cts': isAtOnce ? use : later,
    });
    expect(await compile(folder, settings)).toBe('');
  });
});

it('values of interfaces and classes are taken, and options that may be undefined, under the strictest settings', async () => {
  const folder = await folderOf('strictest', {
    'strictest.ts': `
      import { Crucible, telemetry } from 'crucible-telemetry';
      interface Who { readonly userId: string; readonly tier?: string; readonly tags: readonly string[] }
      interface Measured { duration: number; queue?: number }
      class Call { constructor(readonly model: string) {} }
      export function capture(who: Who, measured: Measured, model: string | undefined): void {
        const crucible = new Crucible({ dir: undefined, workers: undefined });
        const experiment = crucible.startExperiment({ name: 'strictest', metadata: who, hypothesis: undefined });
        experiment.capture('req_llm.request.stop', measured, who);
        experiment.capture('req_llm.request.stop', measured, new Call('gpt-4'));
        telemetry.execute('req_llm.request.stop', measured, who);
        telemetry.span('req_llm.request', who, (span) => span.set({ metadata: who, measurements: measured }));
        experiment.run(() => experiment.recorder('e', who).start().stop({ costUsd: undefined }), who);
        void experiment.query({ model, success: undefined, where: { tier: who.tier } });
        void experiment.export('csv', { path: undefined, flatten: undefined });
        crucible.study({ name: 's', arms: { a: {}, b: {} } }).run('u', () => 1, who);
      }`,
  });
  const strictest = { exactOptionalPropertyTypes: true, noUncheckedIndexedAccess: true };
  expect(await compile(folder, SETTINGS[0], strictest)).toBe('');
});

it('a wrong call is found by the compiler', async () => {
  const folder = await folderOf('wrong', {
    'wrong.mts': `
      import { Crucible } from 'crucible-telemetry';
      new Crucible().startExperiment({ nmae: 'wrong' });`,
  });
  expect(await compile(folder)).toMatch(/wrong\.mts\(3,\d+\): error TS\d+: .*'nmae'/);
});

describe('as TypeScript', () => {
  it('all programs of the documentation compile', async () => {
    const programs = [...(await blocks())].filter(([, code]) => isProgram(code));
    expect(programs.length).toBeGreaterThan(10);
    expect(await compile(await folderOf('programs', Object.fromEntries(programs)))).toBe('');
  });

  it('all its fragments compile, with the names that are known around them', async () => {
    const fragments = [...(await blocks())].filter(([, code]) => !isProgram(code));
    expect(fragments.length).toBeGreaterThan(10);
    const modules = fragments.map(([name, code]) => [name, `${code}export {};\n`]);
    const folder = await folderOf('fragments', Object.fromEntries(modules));
    await cp('test/support/package/names.d.ts', join(folder, 'names.d.ts'));
    expect(await compile(folder)).toBe('');
  });

  it('all examples compile', async () => {
    const files = (await readdir('examples')).filter((file) => file.endsWith('.js'));
    const texts = await Promise.all(
      files.map(async (file) => [
        file.replace(/\.js$/, '.ts'),
        await readFile(join('examples', file), 'utf8'),
      ]),
    );
    expect(await compile(await folderOf('examples', Object.fromEntries(texts)))).toBe('');
  });
});

function isProgram(code: string): boolean {
  return /^import .* from 'crucible-telemetry/m.test(code);
}
