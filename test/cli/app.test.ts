import { describe, expect, it } from 'vitest';
import { defineCommand } from '../../src/cli/command.js';
import { NotFoundError } from '../../src/errors.js';
import { runInMemory } from './support/environment.js';

const show = defineCommand({
  name: 'show',
  summary: 'show an experiment',
  usage: 'ID [options]',
  details: ['Says what is known of it.'],
  positionals: { min: 1, max: 1 },
  options: {
    limit: { type: 'integer', default: 5, min: 1, description: 'rows at most' },
    only: { type: 'list', choices: ['a', 'b'], description: 'parts to show' },
  },
  async run({ positionals, options, print, live }) {
    if (positionals[0] === 'missing') throw new NotFoundError('experiment', 'missing');
    print(JSON.stringify({ id: positionals[0], limit: options.limit, dir: options.dir, live }));
  },
});

const run = (...argv: string[]) => runInMemory(argv, [show]);

describe('runCli', () => {
  it('runs a command with its options and the common ones', async () => {
    const { status, stdout, stderr } = await run('show', 'x1', '--limit', '7', '--dir', 'data');
    expect({ status, stderr }).toEqual({ status: 0, stderr: '' });
    expect(JSON.parse(stdout)).toEqual({ id: 'x1', limit: 7, dir: 'data', live: false });
  });

  it('is live at a terminal only, and not for JSON or a dumb terminal', async () => {
    const live = async (argv: string[], env: Record<string, string> = {}) =>
      JSON.parse((await runInMemory(argv, [show], { terminal: true, env })).stdout).live;
    expect(await live(['show', 'x1'])).toBe(true);
    expect(await live(['show', 'x1', '--json'])).toBe(false);
    expect(await live(['show', 'x1'], { TERM: 'dumb' })).toBe(false);
  });

  it('fails with 1 and one line', async () => {
    expect(await run('show', 'missing')).toMatchObject({
      status: 1,
      stdout: '',
      stderr:
        'error: no experiment with id "missing" (ERR_NOT_FOUND)\nhint: crucible help ERR_NOT_FOUND says what helps\n',
    });
  });

  it('adds the stack with DEBUG', async () => {
    const { stderr } = await runInMemory(['show', 'missing'], [show], { env: { DEBUG: '1' } });
    expect(stderr).toContain('    at ');
  });

  it.each([
    [['shwo'], 'error: unknown command "shwo"; did you mean show? (ERR_USAGE)\nSee: crucible help\n'],
    [['frobnicate'], 'error: unknown command "frobnicate" (ERR_USAGE)\nSee: crucible help\n'],
    [['--limit', '3'], 'error: expected a command before --limit (ERR_USAGE)\nSee: crucible help\n'],
    [
      ['show', 'x1', '--limt', '3'],
      'error: unknown option --limt; did you mean --limit? (ERR_USAGE)\nSee: crucible help show\n',
    ],
    [
      ['show'],
      'error: show needs more arguments: crucible show ID [options] (ERR_USAGE)\nSee: crucible help show\n',
    ],
    [['show', 'a', 'b'], 'error: unexpected argument "b" (ERR_USAGE)\nSee: crucible help show\n'],
  ])('answers wrong use %j with 2 and a hint', async (argv, stderr) => {
    expect(await run(...argv)).toMatchObject({ status: 2, stdout: '', stderr });
  });

  it('tells its version', async () => {
    for (const argv of [['--version'], ['-V'], ['show', '--version'], ['--dir', 'x', '--version']]) {
      expect(await run(...argv)).toMatchObject({ status: 0, stdout: '1.2.3\n' });
    }
    expect(JSON.parse((await run('--version', '--json')).stdout)).toEqual({ version: '1.2.3' });
  });

  it.each([
    [['--dir', 'data', 'show', 'x1']],
    [['show', '--dir', 'data', 'x1']],
    [['show', 'x1', '--dir', 'data']],
    [['--dir=data', 'show', 'x1']],
    [['show', 'x1', '--dir=data']],
    [['--dir', 'data', 'show', '--', 'x1']],
    [['--dir', 'data', '--', 'show', 'x1']],
  ])('takes common options in front of the command and behind it: %j', async (argv) => {
    const { status, stdout, stderr } = await run(...argv);
    expect({ status, stderr }).toEqual({ status: 0, stderr: '' });
    expect(JSON.parse(stdout)).toMatchObject({ id: 'x1', dir: 'data' });
  });

  it('takes what follows -- for arguments', async () => {
    expect(JSON.parse((await run('show', '--', '--json')).stdout)).toMatchObject({ id: '--json' });
    expect(JSON.parse((await run('show', '--limit=3', '--', '-h')).stdout)).toMatchObject({
      id: '-h',
      limit: 3,
    });
    expect((await run('show', '--', 'missing', '--json')).stderr).toMatch(
      /^error: unexpected argument "--json"/,
    );
  });

  it.each([
    [['show', 'missing', '--json'], 1, 'ERR_NOT_FOUND', 'crucible help ERR_NOT_FOUND says what helps'],
    [['--json', 'show', 'missing'], 1, 'ERR_NOT_FOUND', 'crucible help ERR_NOT_FOUND says what helps'],
    [['show', '--json'], 2, 'ERR_USAGE', 'crucible help show'],
    [['shwo', '--json'], 2, 'ERR_USAGE', 'crucible help'],
    [['--json', '--limit', '3'], 2, 'ERR_USAGE', 'crucible help'],
    [['--json', '--dir', 'x'], 2, 'ERR_USAGE', 'crucible help'],
    [['show', 'x', '--json', '--limit', 'many'], 2, 'ERR_USAGE', 'crucible help show'],
  ])('tells errors as JSON with --json: %j', async (argv, status, code, hint) => {
    const run1 = await run(...argv);
    expect(run1).toMatchObject({ status, stdout: '' });
    expect(run1.stderr.trimEnd().split('\n')).toHaveLength(1);
    expect(JSON.parse(run1.stderr)).toEqual({
      error: { code, message: expect.any(String), hint, exitStatus: status },
    });
  });

  it('gives help as JSON, too', async () => {
    const all = JSON.parse((await run('--json')).stdout);
    expect(all).toMatchObject([
      { name: 'show', options: { limit: { type: 'integer' }, json: { type: 'flag' } } },
    ]);
    for (const argv of [
      ['--help', '--json'],
      ['show', '--help', '--json'],
      ['--json', '--help', 'show'],
    ]) {
      expect(JSON.parse((await run(...argv)).stdout)).toEqual(all);
    }
  });

  it('shows what cannot be seen in arguments that it names', async () => {
    expect((await run('\u202eshow\u001b[2J')).stderr).toBe(
      'error: unknown command "\\u202eshow\\u001b[2J" (ERR_USAGE)\nSee: crucible help\n',
    );
    expect((await run('show', 'a', '\u200bb\u009b')).stderr).toContain(
      'unexpected argument "\\u200bb\\u009b"',
    );
  });

  it('shows an overview, and the help of a command whatever else is wrong', async () => {
    const overview = await run();
    expect(overview.status).toBe(0);
    expect(overview.stdout).toContain('  show   show an experiment\n');
    expect((await run('--help')).stdout).toBe(overview.stdout);
    expect(overview.stdout).toContain('Usage: npx crucible-telemetry <command> [options]\n');
    expect(overview.stdout).toContain('  130 ');

    const help = await run('show', '--nonsense', '--help');
    expect(help.status).toBe(0);
    expect(help.stdout).toBe(
      `crucible show: show an experiment

Usage: crucible show ID [options]

Says what is known of it.

Options:
      --limit N    rows at most (default 5)
      --only a|b   parts to show (repeatable)
      --dir DIR    folder that experiments are kept in (default: what CRUCIBLE_DIR says)
      --json       print one JSON document and nothing else
  -h, --help       show this help
`,
    );
  });
});
