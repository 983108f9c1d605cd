/**
 * The package as it is published, wherever it says that it runs: packed, installed in an empty folder, and there an
 * application, require() and the command line on every runtime, which npm brings. One line each; fails if one does.
 *   node scripts/test-runtimes.js [RUNTIME ...]      all of them if none is named, such as node@24
 * The package is to be built before.
 */
import { execFile } from 'node:child_process';
import { copyFileSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { isDeepStrictEqual, promisify } from 'node:util';
import { EXPECTED } from '../test/support/package/expected.js';

/** The first version that can require modules, and the latest, of each line that is supported. */
const RUNTIMES = [
  'node@20.19.0',
  'node@20',
  'node@22.12.0',
  'node@22',
  'node@24',
  'node@26',
  'deno@2',
  'bun@1',
];
const TIMEOUT_MS = 120_000;
/** What Node 22.12 says of every require() of a module. */
const EXPERIMENTAL = /^\(node:\d+\) ExperimentalWarning: CommonJS module [\s\S]*$/;

const { version } = JSON.parse(readFileSync('package.json', 'utf8'));
const work = mkdtempSync(join(tmpdir(), 'crucible-runtimes-'));
const run = promisify(execFile);

/** A new folder with what npm installs. @returns its path, and what npm warned of */
async function install(name, what) {
  const folder = join(work, name);
  mkdirSync(folder);
  writeFileSync(join(folder, 'package.json'), '{ "private": true, "type": "module" }\n');
  const { stderr } = await run('npm', ['install', '--no-audit', '--no-fund', '--no-update-notifier', what], {
    cwd: folder,
  });
  return { folder, warnings: stderr };
}

/** The package where an application has it, with the application beside. */
async function installPackage() {
  const packed = await run('npm', ['pack', '--json', '--ignore-scripts', '--pack-destination', work]);
  const [{ filename }] = JSON.parse(packed.stdout);
  const { folder, warnings } = await install('application', join(work, filename));
  expectSame('warnings of npm install', warnings, '');
  copyFileSync('test/support/package/application.js', join(folder, 'application.js'));
  writeFileSync(
    join(folder, 'required.cjs'),
    `const { VERSION } = require('crucible-telemetry');
const { quantile } = require('crucible-telemetry/stats');
console.log(JSON.stringify([VERSION, quantile([1, 2, 3], 0.5)]));\n`,
  );
  return folder;
}

function expectSame(what, actual, expected) {
  if (isDeepStrictEqual(actual, expected)) return;
  throw new Error(`${what}: expected ${JSON.stringify(expected)}, got ${JSON.stringify(actual)}`);
}

/** @param {string} runtime - a package whose program it is, such as node@24. @returns what it calls itself */
async function check(runtime, application) {
  const [name] = runtime.split('@');
  const { folder } = await install(runtime, runtime);
  const program = resolve(folder, 'node_modules', '.bin', name);
  const before = { node: [], deno: ['run', '-A'], bun: ['run'] }[name];
  /** What a program prints, as JSON; nothing else may be said. */
  const printed = async (...argv) => {
    const { stdout, stderr } = await run(program, [...before, ...argv], {
      cwd: application,
      timeout: TIMEOUT_MS,
      maxBuffer: 1 << 24,
    });
    expectSame(`${argv[0]}, on stderr`, stderr.replace(EXPERIMENTAL, ''), '');
    return JSON.parse(stdout);
  };
  expectSame('the application', await printed('application.js'), { version, ...EXPECTED });
  expectSame('require()', await printed('required.cjs'), [version, 2]);

  const crucible = (...argv) =>
    printed('node_modules/crucible-telemetry/dist/src/cli/main.js', ...argv, '--json');
  const [dir, out] = [join(folder, 'data'), join(folder, 'out')];
  const { files } = await crucible('demo', '--requests', '20', '--speed', '1000', '--dir', dir, '--out', out);
  const { experiments } = await crucible('list', '--dir', dir);
  const listed = experiments.map(({ experiment }) => experiment.name);
  expectSame('crucible list', listed.sort(), ['control', 'hedged']);
  const { rows } = await crucible('import', files[0].path);
  expectSame('crucible import', rows, files[0].rows);

  const { stdout } = await run(program, ['--version']);
  return `${name} ${/\d+\.\d+\.\d+/.exec(stdout)[0]}`;
}

const named = process.argv.slice(2);
try {
  const application = await installPackage();
  for (const runtime of named.length > 0 ? named : RUNTIMES) {
    try {
      console.log(`ok ${await check(runtime, application)}: application, require(), command line`);
    } catch (error) {
      console.log(`not ok ${runtime}: ${error.message}\n${error.stdout ?? ''}${error.stderr ?? ''}`);
      process.exitCode = 1;
    }
  }
} finally {
  rmSync(work, { recursive: true, force: true });
}
