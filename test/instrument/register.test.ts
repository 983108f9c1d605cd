/** Programs that know nothing of us, captured from their command line. */
import { execFile } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import { promisify } from 'node:util';
import { build } from 'esbuild';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { Crucible } from '../../src/index.js';
import { type ModelServer, startModelServer } from './model-server.js';

const REGISTER = resolve('dist/src/instrument/register.js');
const CALL = `
const call = async (model, stream) => {
  const body = JSON.stringify({ model, stream, stream_options: { include_usage: true } });
  const response = await fetch(process.env.BASE + '/v1/chat/completions', { method: 'POST', body });
  return response.text();
};`;

let folder: string;
let server: ModelServer;
beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), 'crucible-register-'));
  server = await startModelServer();
});
afterEach(async () => {
  await server.close();
  rmSync(folder, { recursive: true });
});

function run(file: string, source: string, env: Record<string, string> = {}, flags = ['--import', REGISTER]) {
  writeFileSync(join(folder, file), source);
  return promisify(execFile)(process.execPath, [...flags, file], {
    cwd: folder,
    env: { PATH: process.env.PATH, BASE: server.url, ...env },
  });
}

async function kept() {
  await using crucible = new Crucible();
  const { experiments } = await crucible.recover(join(folder, 'runs'), { readOnly: true });
  return Promise.all(
    experiments.map(async ({ id, status }) => {
      const experiment = crucible.experiment(id);
      const { name, condition, tags } = experiment;
      const rows = await experiment.query({ eventName: 'req_llm.request.stop' });
      const calls = rows.map(({ model, metadata: { stream, response } }) => ({ model, stream, response }));
      return { status, name, condition, tags: [...tags], calls };
    }),
  );
}

const DIR = { CRUCIBLE_DIR: 'runs' };
const CALLS = [
  { model: 'gpt-4o', stream: false },
  { model: 'gpt-4o', stream: true },
];

describe('a program', () => {
  it('of ES modules is captured, and its experiment stopped at its end', async () => {
    const source = `${CALL}\nawait call('gpt-4o', false);\nawait call('gpt-4o', true);\nconsole.log('done');`;
    const { stdout, stderr } = await run('app.mjs', source, {
      ...DIR,
      CRUCIBLE_SUMMARY: '1',
      CRUCIBLE_TAGS: 'a, b',
    });
    expect(stdout).toBe('done\n');
    expect(stderr).toMatch(
      /crucible: 4 events in experiment app\.mjs .*\n.*gpt-4o {2}2 calls {2}0 failed {2}mean/,
    );
    expect(await kept()).toEqual([
      { status: 'stopped', name: 'app.mjs', condition: 'default', tags: ['a', 'b'], calls: CALLS },
    ]);
  });

  it('of CommonJS, that exits by itself', async () => {
    const source = `${CALL}\ncall('gpt-4o', false).then(() => call('gpt-4o', true)).then(() => process.exit(3));`;
    await expect(run('app.cjs', source, DIR)).rejects.toMatchObject({ code: 3 });
    expect(await kept()).toMatchObject([{ status: 'stopped', calls: CALLS }]);
  });

  it('with threads, which capture for the same experiment', async () => {
    const source = `${CALL}
import { isMainThread, Worker } from 'node:worker_threads';
if (isMainThread) {
  await call('gpt-4o', false);
  new Worker(new URL(import.meta.url));
} else await call('gpt-4o', true);`;
    await run('app.mjs', source, DIR);
    expect(await kept()).toMatchObject([{ calls: CALLS }]);
  });

  it('that was bundled, with its SDK in it, is captured', async () => {
    const contents = `
import OpenAI from 'openai';
const openai = new OpenAI({ baseURL: process.env.BASE + '/v1', apiKey: 'x', maxRetries: 0 });
const { choices } = await openai.chat.completions.create({ model: 'gpt-4o', messages: [{ role: 'user', content: 'Hi' }] });
console.log(choices[0].message.content);`;
    const { outputFiles } = await build({
      ...{ stdin: { contents, resolveDir: resolve('.') }, bundle: true, write: false },
      ...{ platform: 'node', format: 'esm', target: 'node20', logLevel: 'silent' },
    });
    const { stdout, stderr } = await run('app.mjs', outputFiles[0]!.text, DIR);
    expect([stdout, stderr]).toEqual(['Hello\n', '']);
    expect(await kept()).toMatchObject([{ calls: CALLS.slice(0, 1) }]);
  });

  it('of TypeScript, run by tsx, is captured', async () => {
    const source = `${CALL.replace('(model, stream)', '(model: string, stream: boolean)')}\nawait call('gpt-4o', false);`;
    const tsx = pathToFileURL(resolve('node_modules/tsx/dist/loader.mjs')).href;
    await run('app.mts', source, DIR, ['--import', tsx, '--import', REGISTER]);
    expect(await kept()).toMatchObject([{ name: 'app.mts', calls: CALLS.slice(0, 1) }]);
  });

  it('of several processes of a cluster has an experiment in each that calls', async () => {
    const source = `${CALL}
import cluster from 'node:cluster';
if (cluster.isPrimary) for (let i = 0; i < 2; i++) cluster.fork();
else {
  await call('gpt-4o', false);
  process.disconnect();
}`;
    await run('app.mjs', source, DIR);
    const calls = (await kept()).flatMap((experiment) => experiment.calls);
    expect(calls).toEqual([CALLS[0], CALLS[0]]);
  });

  it('that loads it twice is captured once', async () => {
    const source = `${CALL}\nawait call('gpt-4o', false);`;
    const copy = `${REGISTER}?again`;
    await run('app.mjs', source, DIR, ['--import', REGISTER, '--import', `file://${copy}`]);
    expect(await kept()).toMatchObject([{ calls: CALLS.slice(0, 1) }]);
  });

  it('whose client was made before is told of it once, and its calls have what transport shows', async () => {
    const source = `
import OpenAI from 'openai';
import { Crucible, instrument } from '${pathToFileURL(resolve('dist/src/index.js')).href}';
const openai = new OpenAI({ baseURL: process.env.BASE + '/v1', apiKey: 'x', maxRetries: 0 });
const crucible = new Crucible();
instrument(crucible);
const experiment = crucible.startExperiment({ name: 'late' });
const ask = () => openai.chat.completions.create({ model: 'gpt-4o', messages: [{ role: 'user', content: 'Hi' }] });
await experiment.run(ask);
await experiment.run(ask);
await experiment.stop();
const [{ latencyMs, tokens, metadata }] = await experiment.query({ eventName: 'req_llm.request.stop' });
console.log(JSON.stringify([experiment.counts.captured, latencyMs > 0, tokens, metadata.statusCode]));
await crucible.close();`;
    symlinkSync(resolve('node_modules'), join(folder, 'node_modules'));
    const { stdout, stderr } = await run('app.mjs', source, {}, []);
    expect(JSON.parse(stdout)).toEqual([4, true, null, 200]);
    expect(stderr.match(/CRUCIBLE_INSTRUMENTATION/g)).toHaveLength(1);
    expect(stderr).toMatch(/a client of openai has a fetch that is not tapped: .* crucibleFetch\(\)/);
  });

  it('without calls of models is left alone', async () => {
    const { stdout, stderr } = await run('app.mjs', 'console.log(fetch.name, fetch.length)', {});
    expect([stdout, stderr]).toEqual([`${fetch.name} ${fetch.length}\n`, '']);
  });
});

describe('the configuration', () => {
  it('is a file, which the environment overrules', async () => {
    const config = { experiment: 'prompt A', condition: 'control', dir: 'runs', tags: ['file'] };
    writeFileSync(join(folder, 'crucible.config.json'), JSON.stringify(config));
    await run('app.mjs', CALL, { CRUCIBLE_CONDITION: 'treatment' });
    expect(await kept()).toMatchObject([{ name: 'prompt A', condition: 'treatment', tags: ['file'] }]);
  });

  it('may be a module, wherever it is', async () => {
    mkdirSync(join(folder, 'config'));
    writeFileSync(join(folder, 'config/c.js'), "module.exports = { dir: 'runs', experiment: 'by module' };");
    await run('app.mjs', CALL, { CRUCIBLE_CONFIG: 'config/c.js' });
    expect(await kept()).toMatchObject([{ name: 'by module' }]);
  });

  it.each([
    ['crucible.config.mjs', 'export default'],
    ['crucible.config.cjs', 'module.exports ='],
    ['crucible.config.js', 'export default'],
  ])('may be %s with %s, and have functions', async (file, exports) => {
    writeFileSync(join(folder, 'package.json'), '{ "type": "module" }');
    const config = "{ dir: 'runs', experiment: 'by module', content: { redact: () => '…' } }";
    writeFileSync(join(folder, file), `${exports} ${config};`);
    const { stderr } = await run('app.mjs', `${CALL}\nawait call('gpt-4o', false);`);
    expect(stderr).toBe('');
    expect(await kept()).toMatchObject([{ name: 'by module', calls: [{ response: '…' }] }]);
  });

  it.each([
    ['{"experimnt":"x"}', {}, /the key experiment/],
    ['{"tags":"x"}', {}, /tags: expected a list of texts/],
    ['nonsense', {}, /a file that can be read/],
    ['{}', { CRUCIBLE_SOURCES: 'fetsch' }, /CRUCIBLE_SOURCES: expected a list of fetch/],
  ])('%s is refused with a warning, and the program runs', async (file, env, warning) => {
    writeFileSync(join(folder, 'crucible.config.json'), file);
    const { stdout, stderr } = await run('app.mjs', 'console.log("runs")', env);
    expect(stdout).toBe('runs\n');
    expect(stderr).toMatch(warning);
    expect(stderr).toMatch(/CRUCIBLE_INSTRUMENTATION/);
  });
});
