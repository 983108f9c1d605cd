/**
 * SDKs that want a later Node than the library does, as they are published, beside the packed package in an empty folder:
 * each program of examples/calls that uses them prints what it should and is captured, on each such Node, which npm brings.
 *   node scripts/test-sdks.js
 * The package is to be built before.
 */
import { execFile } from 'node:child_process';
import { copyFileSync, cpSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { isDeepStrictEqual, promisify } from 'node:util';

const NODES = { node22: 'node@22', node24: 'node@24' };
const SDKS = ['openai@7', 'ai@7', '@ai-sdk/openai@4', 'zod@4', '@aws-sdk/client-bedrock-runtime@3'];
/** Calls of a model that each program makes. */
const CALLS = {
  'openai-chat.js': 1,
  'openai-stream.js': 1,
  'openai-responses.js': 1,
  'openai-tools.js': 2,
  'openai-embeddings.js': 1,
  'ai-sdk-generate.js': 1,
  'ai-sdk-stream.js': 1,
  'ai-sdk-tools.js': 2,
};
const STUDIES = ['ab-openai.js', 'ab-ai-sdk.js'];
const HTTP2_ENDS = [
  ['answers', 'ok', null],
  ['fails', 'error', 'http_503'],
  ['resets', 'error', 'ERR_HTTP2_STREAM_ERROR'],
  ['drops', 'error', 'ERR_HTTP2_SESSION_ERROR'],
  ['waits', 'aborted', null],
  ['begins', 'abandoned', null],
  ['anthropic.claude', 'ok', null],
];

const run = promisify(execFile);
const work = mkdtempSync(join(tmpdir(), 'crucible-sdks-'));

async function install() {
  const packed = await run('npm', ['pack', '--json', '--ignore-scripts', '--pack-destination', work]);
  const [{ filename }] = JSON.parse(packed.stdout);
  writeFileSync(join(work, 'package.json'), '{ "private": true, "type": "module" }\n');
  const nodes = Object.entries(NODES).map(([name, version]) => `${name}@npm:${version}`);
  const what = [join(work, filename), ...SDKS, ...nodes];
  await run('npm', ['install', '--no-audit', '--no-fund', '--no-update-notifier', ...what], { cwd: work });
  cpSync('examples/calls', join(work, 'calls'), { recursive: true });
  copyFileSync('test/support/package/http2-calls.js', join(work, 'http2-calls.js'));
}

function expect(what, actual, isRight) {
  if (!isRight) throw new Error(`${what}: ${typeof actual === 'string' ? actual : JSON.stringify(actual)}`);
}

async function check(name) {
  const program = resolve(work, 'node_modules', name, 'bin', 'node');
  const printed = (...argv) =>
    run(program, argv, {
      cwd: work,
      timeout: 60_000,
      env: { PATH: process.env.PATH, CRUCIBLE_SUMMARY: '1' },
    });
  for (const [file, calls] of Object.entries(CALLS)) {
    const { stderr } = await printed('--import', 'crucible-telemetry/register', join('calls', file));
    expect(file, stderr, stderr.includes(`  ${calls} calls  0 failed`) && !stderr.includes('Warning'));
  }
  for (const file of STUDIES) {
    const { stdout } = await printed(join('calls', file));
    expect(file, stdout, stdout.startsWith('Compared with long, short had a lower mean cost'));
  }
  const { stdout } = await printed('http2-calls.js');
  expect('calls by node:http2', stdout, isDeepStrictEqual(JSON.parse(stdout), HTTP2_ENDS));
  return (await run(program, ['--version'])).stdout.trim();
}

try {
  await install();
  for (const name of Object.keys(NODES)) {
    try {
      console.log(`ok ${await check(name)}: ${SDKS.join(', ')}`);
    } catch (error) {
      console.log(`not ok ${name}: ${error.message}\n${error.stdout ?? ''}${error.stderr ?? ''}`);
      process.exitCode = 1;
    }
  }
} finally {
  rmSync(work, { recursive: true, force: true });
}
