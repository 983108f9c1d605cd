/** What is done when the process ends. How it ends then is tested with real processes in test/faults/ends.test.ts. */
import { afterEach, beforeEach, describe, expect, it, type MockInstance, vi } from 'vitest';
import { atExit } from '../../../src/storage/disk/at-exit.js';

const EVENTS = ['exit', 'SIGTERM', 'SIGINT', 'SIGHUP'] as const;
const counts = () => EVENTS.map((event) => process.listenerCount(event));

describe('atExit', () => {
  const before = counts();
  const undo: (() => void)[] = [];
  let kill: MockInstance<typeof process.kill>;
  let exit: MockInstance<typeof process.exit>;

  function register(run: (deadlineMs: number) => void, release = () => {}): void {
    undo.push(atExit({ run, release }));
  }

  beforeEach(() => {
    kill = vi.spyOn(process, 'kill').mockReturnValue(true);
    exit = vi.spyOn(process, 'exit').mockReturnValue(undefined as never);
  });
  afterEach(() => {
    for (const forget of undo.splice(0)) forget();
    kill.mockRestore();
    exit.mockRestore();
    expect(counts()).toEqual(before);
  });

  it('listens once for all tasks, and only while there are any', () => {
    register(() => {});
    register(() => {});
    expect(counts()).toEqual(before.map((count) => count + 1));
    for (const forget of undo.splice(0)) forget();
    expect(counts()).toEqual(before);
  });

  it('does what is to be done at a signal, and lets the signal have its way', () => {
    const task = vi.fn();
    register(task);
    process.emit('SIGHUP', 'SIGHUP');
    expect(task).toHaveBeenCalledOnce();
    expect(kill).toHaveBeenCalledWith(process.pid, 'SIGHUP');
    expect(counts()).toEqual(before);
  });

  it('ends a process that the signal does not end, as a shell would say it', () => {
    register(() => {});
    process.emit('SIGHUP', 'SIGHUP');
    expect(exit).toHaveBeenCalledWith(129);
  });

  it('lets go of everything after all tasks, and before the end', () => {
    const order: string[] = [];
    const note = (what: string) => () => void order.push(what);
    register(note('run 1'), note('release 1'));
    register(note('run 2'), note('release 2'));
    kill.mockImplementation(() => {
      order.push('end');
      return true;
    });
    process.emit('SIGHUP', 'SIGHUP');
    expect(order).toEqual(['run 1', 'run 2', 'release 1', 'release 2', 'end']);
  });

  it('gives all tasks together a time', () => {
    const deadlinesMs: number[] = [];
    for (let i = 0; i < 2; i++) {
      register((deadlineMs) => {
        deadlinesMs.push(deadlineMs);
        Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 20);
      });
    }
    process.emit('SIGHUP', 'SIGHUP');
    expect(deadlinesMs[0]).toBeLessThanOrEqual(10_000);
    expect(deadlinesMs[1]).toBeLessThan(deadlinesMs[0]! - 10);
  });

  it('keeps what others could take where a package decides that leaves signals to others', async () => {
    const task = vi.fn();
    const release = vi.fn();
    const theirs = vi.fn();
    const global = globalThis as unknown as Record<symbol, unknown>;
    const key = Symbol.for('signal-exit emitter');
    global[key] = { count: 1 };
    process.on('SIGHUP', theirs);
    register(task, release);
    process.emit('SIGHUP', 'SIGHUP');
    expect([task, release, theirs, kill].map(({ mock }) => mock.calls.length)).toEqual([1, 0, 1, 0]);
    // It lives on.
    await new Promise(setImmediate);
    process.emit('SIGHUP', 'SIGHUP');
    expect(task).toHaveBeenCalledTimes(2);
    process.off('SIGHUP', theirs);
    delete global[key];
  });

  it.each(['before', 'after'])('leaves it to others who listen for one time, from %s us', (when) => {
    const task = vi.fn();
    const theirs = vi.fn();
    if (when === 'before') process.once('SIGHUP', theirs);
    register(task);
    if (when === 'after') process.once('SIGHUP', theirs);
    process.emit('SIGHUP', 'SIGHUP');
    expect(theirs).toHaveBeenCalledOnce();
    expect(task).not.toHaveBeenCalled();
    expect(kill).not.toHaveBeenCalled();
  });

  it('does the other tasks when one fails', () => {
    const task = vi.fn();
    register(() => {
      throw new Error('the first task fails on purpose');
    });
    register(task);
    process.emit('SIGHUP', 'SIGHUP');
    expect(task).toHaveBeenCalledOnce();
  });
});
