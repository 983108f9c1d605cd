/**
 * What the pages show is run from the pages themselves: all their JavaScript and all lines of shell, in their order, in a
 * folder a page. Needs the built files. Not here: what is run, and whose output is compared, by a test of its own
 * (isolation.md, migration.md, the lines of shell of exports.md, the blocks of events.md with an output, the table of the
 * commands in cli.md).
 */
import { type ChildProcess, execFile, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import {
  chmodSync,
  cpSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { delimiter, join, resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import { promisify } from 'node:util';
import { Worker } from 'node:worker_threads';
import { gzipSync } from 'node:zlib';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Crucible } from '../../src/index.js';
import { fill, importable } from '../support/docs/arms.js';

const RUN_ELSEWHERE = new Set(['isolation.md', 'migration.md']);
const NAMES = pathToFileURL(resolve('test/support/docs/names.js')).href;

interface Block {
  readonly page: string;
  readonly line: number;
  readonly heading: string;
  readonly language: string;
  readonly code: string;
}

function blocksOf(path: string): Block[] {
  const text = readFileSync(path, 'utf8');
  const page = path.replace(/^docs\//, '');
  return [...text.matchAll(/^```(js|mjs|sh)\n([\s\S]*?)^```$(\n\n```text$)?/gm)]
    .filter(
      ([, language, , printed]) =>
        !(page === 'events.md' && printed) && !(page === 'exports.md' && language === 'sh'),
    )
    .map(({ 1: language, 2: code, index }) => {
      const before = text.slice(0, index);
      const heading = [...before.matchAll(/^#+ (.+)$/gm)].at(-1)?.[1] ?? '';
      return { page, line: before.split('\n').length, heading, language: language!, code: code! };
    });
}

const pages = ['README.md', ...readdirSync('docs').map((name) => `docs/${name}`)].filter(
  (path) => path.endsWith('.md') && path !== 'docs/cli.md' && !RUN_ELSEWHERE.has(path.replace(/^docs\//, '')),
);
const blocks = pages.flatMap(blocksOf);

// In the project, from where the package and those of its examples are found by their names.
const root = mkdtempSync(join(resolve('dist'), '.docs-'));
const children = new Set<ChildProcess>();
afterAll(() => {
  for (const child of children) child.kill('SIGKILL');
  rmSync(root, { recursive: true });
});

const environment = { ...process.env, PATH: `${root}${delimiter}${process.env.PATH}`, CI: '' };

const folderOf = (page: string) => join(root, page.replace('.md', ''));

beforeAll(async () => {
  const command = join(root, 'crucible');
  writeFileSync(command, `#!/bin/sh\nexec ${process.execPath} ${resolve('dist/src/cli/main.js')} "$@"\n`);
  chmodSync(command, 0o755);
  const ready = join(root, 'ready');
  mkdirSync(ready);
  const crucible = new Crucible({ dir: join(ready, 'data'), workers: 0 });
  fill(crucible, { ids: ['295d', '8f01'] });
  const study = crucible.study({
    name: 'shorter prompt',
    arms: { control: {}, short: {} },
    unit: 'userId',
    plan: { outcomes: [{ of: 'latencyMs' }], sequential: true },
  });
  for (let i = 0; i < 100; i++) {
    study.run(`u${i}`, () => {
      study
        .experiment(study.assign(`u${i}`))
        .capture('req_llm.request.stop', { durationMs: 100 + (i % 7) }, { userId: `u${i}` });
    });
  }
  await crucible.close();
  cpSync(join(ready, 'data'), join(ready, 'telemetry'), { recursive: true });
  writeFileSync(
    join(ready, 'app.js'),
    "await fetch('http://127.0.0.1:9/v1/chat/completions', { method: 'POST' }).catch(() => {});\n",
  );
  importable(join(ready, 'requests.csv'));
  mkdirSync(join(ready, 'logs'));
  const line = JSON.stringify({ timestamp: '2026-01-01T00:00:00Z', latency_ms: 5, model: 'gpt-4' });
  writeFileSync(join(ready, 'logs', 'one.gz'), gzipSync(`${line}\n`));
  for (const path of pages) cpSync(ready, folderOf(path.replace(/^docs\//, '')), { recursive: true });
  // Its service plans the study of that name itself.
  const data = join(folderOf('README.md'), 'data');
  for (const name of readdirSync(data))
    if (name.startsWith('study.')) rmSync(join(data, name), { recursive: true });
}, 60_000);

/** Answers as a provider does, whatever is asked, so that nothing leaves this machine. */
const provider = createServer((request, response) => {
  request.resume();
  response.setHeader('content-type', 'application/json');
  response.end(
    JSON.stringify({
      id: 'one',
      object: 'chat.completion',
      model: 'gpt-4o-mini',
      choices: [{ index: 0, message: { role: 'assistant', content: 'Because.' }, finish_reason: 'stop' }],
      usage: { prompt_tokens: 10, completion_tokens: 2, total_tokens: 12 },
    }),
  );
});
let address: string;
beforeAll(async () => {
  provider.listen(0, '127.0.0.1');
  await once(provider, 'listening');
  address = `http://127.0.0.1:${(provider.address() as AddressInfo).port}`;
});
afterAll(() => provider.close());

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  server.close();
  return port;
}

/** The block as a file, where what is around it is known; what it asks for on the network is on this machine. */
function fileOf({ page, line, code }: Block, more = ''): string {
  const isProgram = /^import .* from 'crucible-telemetry|import\('crucible-telemetry/m.test(code);
  const program = code.replace('https://api.openai.com', address).replace('http://localhost:11434', address);
  const file = join(folderOf(page), `line-${line}.mjs`);
  writeFileSync(file, `${isProgram ? '' : `import ${JSON.stringify(NAMES)};\n`}${program}${more}`);
  return file;
}

/** Runs it until it ends by itself. @returns what it printed */
async function runFile(file: string): Promise<string> {
  const run = promisify(execFile)(process.execPath, ['--disable-warning=CrucibleWarning', file], {
    cwd: resolve(file, '..'),
    env: environment,
    timeout: 60_000,
  });
  const { stdout, stderr } = await run;
  expect(stderr).toBe('');
  return stdout;
}

async function withServer(file: string, env: NodeJS.ProcessEnv, use: (child: ChildProcess) => Promise<void>) {
  const child = spawn(process.execPath, [file], {
    cwd: resolve(file, '..'),
    env: { ...environment, ...env },
    stdio: 'inherit',
  });
  children.add(child);
  const ended = once(child, 'exit');
  const failed = ended.then(([status, signal]) =>
    Promise.reject(new Error(`ended with ${status ?? signal}`)),
  );
  await Promise.race([use(child), failed]);
  failed.catch(() => {});
  child.kill('SIGTERM');
  await ended;
}

/** Asks until somebody listens. */
async function ask(url: string, headers: Record<string, string> = {}): Promise<string> {
  for (;;) {
    const response = await fetch(url, { headers }).catch(() => null);
    if (response !== null) return response.text();
    await new Promise((done) => setTimeout(done, 50));
  }
}

/** A service that asks a model for six users: their calls are kept, each with its user and its cost. */
async function serves(block: Block, dir: string, path: string) {
  const port = await freePort();
  const env = { PORT: String(port), OPENAI_API_KEY: 'none', OPENAI_BASE_URL: `${address}/v1` };
  // The address is not that of a known provider; its path is.
  await withServer(fileOf(block), env, async () => {
    for (let i = 0; i < 6; i++)
      expect(await ask(`http://127.0.0.1:${port}${path}`, { 'x-user': `u${i}` })).toContain('Because.');
  });
  const crucible = new Crucible({ dir: join(folderOf(block.page), dir), workers: 0 });
  await crucible.recover({ readOnly: true });
  const ofStudy = crucible
    .experiments()
    .filter(({ name }) => /^shorter prompt \/ (control|short|treatment)$/.test(name));
  const reads = ofStudy.map((each) =>
    each.query({ eventName: 'req_llm.request.stop', model: 'gpt-4o-mini' }),
  );
  const calls = (await Promise.all(reads)).flat();
  expect(new Set(calls.map(({ userId }) => userId)).size).toBe(6);
  expect(calls.map(({ costUsd }) => costUsd)).toEqual(Array(6).fill((10 * 0.15 + 2 * 0.6) / 1e6));
  await crucible.close();
}

/** Blocks that end only when they are told to, or that are called by somebody else. */
const CALLED: Readonly<Record<string, (block: Block) => Promise<void>>> = {
  'guides.md: Express': (block) => serves(block, 'service', '/ask?q=why'),
  'README.md: Five minutes': (block) => serves(block, 'data', '/'),
  'guides.md: Next.js': async (block) => {
    const called =
      "process.env.NEXT_RUNTIME = 'nodejs';\nawait register();\nconsole.log(typeof globalThis.crucible.startExperiment);\n";
    expect(await runFile(fileOf(block, called))).toBe('function\n');
  },
  'guides.md: Worker threads': async (block) => {
    const crucible = new Crucible({ workers: 0 });
    const experiment = crucible.startExperiment({ name: 'threads' });
    const worker = new Worker(fileOf(block));
    worker.postMessage(experiment.share());
    await once(worker, 'exit');
    expect((await experiment.query()).map(({ latencyMs, model }) => [latencyMs, model])).toEqual([
      [12, 'gpt-4o-mini'],
    ]);
    await crucible.close();
  },
  'guides.md: Serverless': async (block) => {
    const called = 'console.log(await handler());\n';
    expect(await runFile(fileOf(block, called))).toBe('{ statusCode: 200 }\n');
  },
  'outlets.md: Prometheus': async (block) => {
    const port = await freePort();
    const file = fileOf({ ...block, code: block.code.replace('9464', String(port)) });
    await withServer(file, {}, async () =>
      expect(await ask(`http://127.0.0.1:${port}/`)).toContain('# TYPE crucible_'),
    );
  },
};

const isInstalled = (program: string, ...args: string[]) => spawnSync(program, args).status === 0;
const HAS: Readonly<Record<string, () => boolean>> = {
  python3: () => isInstalled('python3', '-c', 'import pandas, pyarrow'),
  duckdb: () => isInstalled('duckdb', '--version'),
};

/** Lines that take the package from the registry, or that need what is not installed, are another test's. */
function linesOf(code: string): string[] {
  const lines = code.split('\n').map((line) => line.replace(/^npx crucible /, 'crucible '));
  return lines.filter((line) => {
    const [program] = line.split(' ');
    return line.trim() !== '' && !/^npm |^crucible demo/.test(line) && (HAS[program!]?.() ?? true);
  });
}

/** Statuses that say something other than that it went wrong: of `gate`, the decision. */
const DECISIONS = [0, 1, 3];

async function runShell({ page, code }: Block) {
  for (const line of linesOf(code)) {
    const child = spawn('bash', ['-o', 'pipefail', '-c', line], {
      cwd: folderOf(page),
      env: { ...environment, GITHUB_STEP_SUMMARY: 'summary.md' },
    });
    const told: Buffer[] = [];
    child.stdout.resume();
    child.stderr.on('data', (chunk: Buffer) => told.push(chunk));
    const [status] = await once(child, 'close');
    expect(/^crucible gate/.test(line) ? DECISIONS : [0], `${line}\n${Buffer.concat(told)}`).toContain(
      status,
    );
  }
}

describe.each([...new Set(blocks.map(({ page }) => page))])('%s', (page) => {
  it.each(blocks.filter((block) => block.page === page))(
    '$heading, line $line ($language)',
    async (block) => {
      const called = CALLED[`${page}: ${block.heading}`];
      if (block.language === 'sh') await runShell(block);
      else if (called !== undefined) await called(block);
      else await runFile(fileOf(block));
    },
  );
});

it('whatever is called in its own way is there', () => {
  const there = blocks.map(({ page, heading }) => `${page}: ${heading}`);
  expect(Object.keys(CALLED).filter((name) => !there.includes(name))).toEqual([]);
});
