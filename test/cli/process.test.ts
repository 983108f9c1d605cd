import { EventEmitter } from 'node:events';
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

const run = (host: HostProcess, command = work(false)) =>
  runProcess(host, [command], '1.2.3', async () => fakeLibrary());

describe('runProcess', () => {
  it('sets the exit status and lets the process end by itself', async () => {
    const [version, wrong] = [new FakeProcess('--version'), new FakeProcess('wrok')];
    await run(version);
    await run(wrong);
    expect(version).toMatchObject({ exitCode: 0, exits: [], stdout: { text: '1.2.3\n' } });
    expect(wrong).toMatchObject({ exitCode: 2, exits: [] });
  });

  it.each(['SIGINT', 'SIGTERM'])(
    'stops the command on %s, and does not wait on a second one',
    async (signal) => {
      const host = new FakeProcess('work');
      const done = run(host);
      host.emit(signal);
      expect(host.exits).toEqual([]);
      host.emit(signal);
      expect(host.exits).toEqual([130]);
      await done;
      expect(host).toMatchObject({ exitCode: 0, stdout: { text: 'stopped\n' } });
    },
  );

  it('takes a reader who has gone for the end of work, not for a failure', async () => {
    const host = new FakeProcess('work');
    const done = run(host, work(true));
    host.stdout.emit('error', Object.assign(new Error('write EPIPE'), { code: 'EPIPE' }));
    await done;
    expect(host.exitCode).toBe(0);
  });

  it('says nothing to a reader who has gone, whatever it was about to write', async () => {
    const write: Command = defineCommand({
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
    const host = new FakeProcess('work');
    const done = run(host, write);
    host.stdout.emit('error', Object.assign(new Error('write EPIPE'), { code: 'EPIPE' }));
    await done;
    expect(host).toMatchObject({ exitCode: 0, stdout: { text: '' }, stderr: { text: '' } });
  });

  it('does not swallow another error of a stream', async () => {
    const host = new FakeProcess('--version');
    await run(host);
    expect(() => host.stdout.emit('error', new Error('disk full'))).toThrow('disk full');
  });
});
