/** Threads that die take their task with them, and nothing else. */

import { afterEach, describe, expect, it } from 'vitest';
import { AnalysisError, StateError } from '../../src/errors.js';
import { AnalysisPool } from '../../src/workers/pool.js';

const TROUBLE = new URL('../support/analysis/trouble.mjs', import.meta.url);

let pool: AnalysisPool;
afterEach(() => pool.close());

const open = (threads = 1) => {
  pool = new AnalysisPool({ threads, heapMb: 24, module: TROUBLE });
};

/** What the thread is to do, as a task that the pool takes for one of its own. */
const ask = (key: string) => {
  const times = { wallClockSeconds: 0, activeSeconds: 0, pausedSeconds: 0 };
  return pool.run([], { kind: 'metricsBy', key, times }, { onDamaged: () => {} });
};

describe('a pool of threads', () => {
  it.each(['exit', 'throw', 'throw later', 'memory'])(
    'rejects the task of a thread that dies (%s), and does the next one',
    async (trouble) => {
      open();
      const failed = await ask(trouble).catch((error: unknown) => error);
      expect(failed).toBeInstanceOf(AnalysisError);
      expect(failed).toMatchObject({ code: 'ERR_WORKER_FAILED' });
      expect((failed as Error).cause).toBeInstanceOf(Error);
      expect(await ask('fine')).toBe('fine');
    },
  );

  it('does not mix up tasks when one of several threads dies', async () => {
    open(2);
    const outcomes = await Promise.allSettled(
      ['a', 'exit', 'b', 'memory', 'c', 'exit', 'd'].map((key) => ask(key)),
    );
    expect(outcomes.map((outcome) => (outcome.status === 'fulfilled' ? outcome.value : 'failed'))).toEqual([
      'a',
      'failed',
      'b',
      'failed',
      'c',
      'failed',
      'd',
    ]);
  });

  it('survives a thread that dies when it has nothing to do', async () => {
    open();
    expect(await ask('fine, and dies')).toBe('fine, and dies');
    await new Promise((resolve) => setTimeout(resolve, 50));
    expect(await ask('fine')).toBe('fine');
  });

  it('rejects the tasks of threads that die before they can begin', async () => {
    pool = new AnalysisPool({ threads: 2, module: new URL('data:text/javascript,throw new Error("no")') });
    const outcomes = await Promise.allSettled(['a', 'b', 'c'].map((key) => ask(key)));
    for (const outcome of outcomes) expect(outcome).toMatchObject({ reason: { code: 'ERR_WORKER_FAILED' } });
  });

  it('rejects what is under way, waiting, or comes later, when it is closed', async () => {
    open();
    const asked = [ask('hang'), ask('fine')];
    const outcomes = Promise.allSettled(asked);
    await pool.close();
    for (const outcome of [...(await outcomes), ...(await Promise.allSettled([ask('fine')]))]) {
      expect(outcome.status === 'rejected' && outcome.reason).toBeInstanceOf(StateError);
      expect(outcome).toMatchObject({ reason: { code: 'ERR_CLOSED' } });
    }
  });
});
