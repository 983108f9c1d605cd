/** What is done when the process ends. How it ends then is tested with real processes in test/faults/ends.test.ts. */
import { afterEach, beforeEach, describe, expect, it, type MockInstance, vi } from 'vitest';
import { atExit } from '../../src/storage/at-exit.js';

const EVENTS = ['exit', 'SIGTERM', 'SIGINT', 'SIGHUP'] as const;
const counts = () => EVENTS.map((event) => process.listenerCount(event));

describe('atExit', () => {
  const before = counts();
  const undo: (() => void)[] = [];
  let kill: MockInstance<typeof process.kill>;

  function register(task: () => void): void {
    undo.push(atExit(task));
  }

  beforeEach(() => {
    kill = vi.spyOn(process, 'kill').mockReturnValue(true);
  });
  afterEach(() => {
    for (const forget of undo.splice(0)) forget();
    kill.mockRestore();
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
