import { spawnSync } from 'node:child_process';
import { EventEmitter } from 'node:events';
import { existsSync } from 'node:fs';
import { Readable } from 'node:stream';
import { describe, expect, it } from 'vitest';
import { type Command, defineCommand } from '../../src/cli/command.js';
import { type HostProcess, runProcess } from '../../src/cli/process.js';
import { fakeLibrary } from './support/fake-library.js';

class FakeStream extends EventEmitter {
  text = '';
  write(text: string): boolean {
    this.text += text;
    return true;
  }
}

class FakeProcess extends EventEmitter implements HostProcess {
  readonly argv: string[];
  readonly env = {};
  readonly pid = 4711;
  readonly stdin = Readable.from([]);
  readonly stdout = new FakeStream();
  readonly stderr = new FakeStream();
  readonly exits: number[] = [];
  exitCode: number | undefined;

  constructor(...args: string[]) {
    super();
    this.argv = ['node', 'crucible', ...args];
  }

  exit(code: number): void {
    this.exits.push(code);
  }
}

/** Works until it is told to stop, then fails or not. */
const work = (fails: boolean): Command =>
  defineCommand({
    name: 'work',
    summary: '',
    usage: '',
    positionals: { min: 0, max: 0 },
    options: {},
    async run({ signal, print }) {
      await new Promise((resolve) => signal.addEventListener('abort', resolve));
      if (fails) throw new Error('aborted');
      print('stopped');
    },
  });

/** Ends as most commands do. */
const interrupted: Command = defineCommand({
  name: 'work',
  summary: '',
  usage: '',
  positionals: { min: 0, max: 0 },
  options: {},
  async run({ signal }) {
    await new Promise((resolve) => signal.addEventListener('abort', resolve));
    signal.throwIfAborted();
  },
});

const run = (host: HostProcess, command = work(false), nowMs?: () => number) =>
  runProcess(host, [command], '1.2.3', async () => fakeLibrary(), nowMs);

describe('runProcess', () => {
  it('sets the exit status and lets the process end by itself', async () => {
    const [version, wrong] = [new FakeProcess('--version'), new FakeProcess('wrok')];
    await run(version);
    await run(wrong);
    expect(version).toMatchObject({ exitCode: 0, exits: [], stdout: { text: '1.2.3\n' } });
    expect(wrong).toMatchObject({ exitCode: 2, exits: [] });
  });

  it.each([
    ['SIGINT', 130],
    ['SIGTERM', 143],
    ['SIGHUP', 129],
  ])('stops the command on %s with %d, and does not wait on a later one', async (signal, status) => {
    const host = new FakeProcess('work');
    let nowMs = 0;
    const done = run(host, work(false), () => nowMs);
    host.emit(signal);
    // The same Ctrl-C, from npx.
    nowMs = 100;
    host.emit(signal);
    expect(host.exits).toEqual([]);
    nowMs = 1000;
    host.emit(signal);
    expect(host.exits).toEqual([status]);
    await done;
    expect(host).toMatchObject({ exitCode: status, stdout: { text: 'stopped\n' }, stderr: { text: '' } });
  });

  it('says that it was interrupted, also in JSON, or what else went wrong meanwhile', async () => {
    const text = new FakeProcess('work');
    const done = run(text, interrupted);
    text.emit('SIGINT');
    await done;
    expect(text).toMatchObject({ exitCode: 130, stderr: { text: 'error: interrupted\n' } });
    const json = new FakeProcess('work', '--json');
    const jsonDone = run(json, interrupted);
    json.emit('SIGTERM');
    await jsonDone;
    expect(json.exitCode).toBe(143);
    expect(JSON.parse(json.stderr.text)).toEqual({
      error: { code: 'ERR_INTERRUPTED', message: 'interrupted', hint: null, exitStatus: 143 },
    });
    const failed = new FakeProcess('work');
    const failedDone = run(failed, work(true));
    failed.emit('SIGINT');
    await failedDone;
    expect(failed).toMatchObject({ exitCode: 130, stderr: { text: 'error: aborted\n' } });
  });

  it('takes a reader who has gone for the end of work, not for a failure', async () => {
    const host = new FakeProcess('work');
    const done = run(host, work(true));
    host.stdout.emit('error', Object.assign(new Error('write EPIPE'), { code: 'EPIPE' }));
    await done;
    expect(host.exitCode).toBe(0);
  });

  it('says nothing to a reader who has gone, whatever it was about to write', async () => {
    const host = new FakeProcess('work');
    const done = run(host, interrupted);
    host.stdout.emit('error', Object.assign(new Error('write EPIPE'), { code: 'EPIPE' }));
    await done;
    expect(host).toMatchObject({ exitCode: 0, stdout: { text: '' }, stderr: { text: '' } });
  });

  const full = () => Object.assign(new Error('ENOSPC: no space left on device, write'), { code: 'ENOSPC' });
  const text =
    'error: cannot write to standard output: the disk is full (ENOSPC); make room on it (ERR_STORAGE_FULL)\nhint: make room on that disk and try again\n';

  it('fails, and says so once, where its output cannot be written: amid its work and after it', async () => {
    const amid = new FakeProcess('work');
    const done = run(amid, interrupted);
    amid.stdout.emit('error', full());
    amid.stdout.emit('error', full());
    await done;
    expect(amid).toMatchObject({ exitCode: 1, stderr: { text } });
    const after = new FakeProcess('--version');
    await run(after);
    after.stdout.emit('error', full());
    expect(after).toMatchObject({ exitCode: 1, stderr: { text } });
    const json = new FakeProcess('--version', '--json');
    await run(json);
    json.stdout.emit('error', full());
    expect(JSON.parse(json.stderr.text)).toMatchObject({
      error: { code: 'ERR_STORAGE_FULL', exitStatus: 1 },
    });
  });

  it('fails where nobody can be told', async () => {
    const host = new FakeProcess('wrok');
    await run(host);
    host.stderr.emit('error', full());
    expect(host.exitCode).toBe(1);
  });

  it.skipIf(!existsSync('/dev/full'))('has no stack trace for a full disk behind its output', () => {
    for (const args of ['--help', 'help --json', 'list --dir .']) {
      const line = `exec node dist/src/cli/main.js ${args} > /dev/full`;
      const { status, stderr } = spawnSync('sh', ['-c', line], { encoding: 'utf8' });
      expect({
        args,
        status,
        told: stderr.includes('ERR_STORAGE_FULL'),
        traced: /^ +at /m.test(stderr),
      }).toEqual({
        args,
        status: 1,
        told: true,
        traced: false,
      });
    }
  });
});
