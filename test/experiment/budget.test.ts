/** Budgets: what is counted, when it warns, and that calls side by side never exceed a limit. */
import { setTimeout as sleep } from 'node:timers/promises';
import fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import {
  type Budget,
  BudgetError,
  type BudgetOptions,
  Crucible,
  type Experiment,
  telemetry,
} from '../../src/index.js';

let crucible: Crucible;
let experiment: Experiment;
const budgets: Budget[] = [];
beforeEach(() => {
  crucible = new Crucible({ workers: 0 });
  experiment = crucible.startExperiment({ name: 'calls' });
});
afterEach(async () => {
  for (const budget of budgets.splice(0)) budget[Symbol.dispose]();
  await crucible.close();
});

function limited(options: BudgetOptions): Budget {
  const budget = experiment.budget({ onWarn: () => {}, ...options });
  budgets.push(budget);
  return budget;
}
const begin = (metadata = {}) => telemetry.execute('req_llm.request.start', {}, metadata);
const end = (metadata = {}) =>
  telemetry.execute('req_llm.request.stop', { duration: 1 }, { model: 'gpt-4', ...metadata });
/** USD 0.09 by the table. */
const TOKENS = { tokens: { prompt: 1000, completion: 1000, total: 2000 } };

it('counts calls, tokens and costs, by the table or as reported, and what is not priced', () => {
  const budget = limited({ costUsd: 10 });
  begin();
  end(TOKENS);
  begin();
  end({ cost: 1 });
  end({ model: 'unknown', ...TOKENS });
  begin();
  expect(budget.spent()).toMatchObject({ key: null, tokens: 4000, calls: 3, unpriced: 1 });
  expect(budget.spent().costUsd).toBeCloseTo(1.09, 12);
});

it('warns once, then aborts further calls and calls back once', () => {
  const onWarn = vi.fn();
  const onExceeded = vi.fn();
  const budget = limited({ costUsd: 1, warnAt: 0.5, onWarn, onExceeded });
  end({ cost: 0.4 });
  expect(onWarn).not.toHaveBeenCalled();
  end({ cost: 0.2 });
  end({ cost: 0.2 });
  expect(onWarn).toHaveBeenCalledOnce();
  expect(budget.signal().aborted).toBe(false);
  end({ cost: 0.2 });
  end({ cost: 0.2 });
  expect(onExceeded).toHaveBeenCalledOnce();
  expect(budget.signal().reason).toBeInstanceOf(BudgetError);
  expect(budget.signal().reason).toMatchObject({
    code: 'ERR_BUDGET_EXCEEDED',
    context: { limit: 'costUsd', allowed: 1 },
  });
});

it('of calls, the one too many is aborted as it begins', () => {
  const budget = limited({ calls: 2 });
  begin();
  begin();
  expect(budget.signal().aborted).toBe(false);
  begin();
  expect(budget.signal().aborted).toBe(true);
});

it('each session has its own, from metadata or the context of a run', () => {
  const budget = limited({ tokens: 2000, per: 'sessionId' });
  end({ sessionId: 'a', ...TOKENS });
  experiment.run(() => end(TOKENS), { sessionId: 'b' });
  end({});
  expect(['a', 'b', 'c'].map((key) => budget.signal(key).aborted)).toEqual([true, true, false]);
  expect(budget.spent().tokens).toBe(0);
});

it('calls of other experiments are theirs', () => {
  const budget = limited({ costUsd: 1 });
  crucible.startExperiment({ name: 'other' }).run(() => end({ cost: 5 }));
  expect(budget.spent().costUsd).toBe(0);
});

describe('run', () => {
  it('refuses what is more than is left', async () => {
    const budget = limited({ costUsd: 1 });
    await expect(budget.run(() => 1, { reserve: { costUsd: 1.5 } })).rejects.toThrow(BudgetError);
    expect(await budget.run(() => 1, { reserve: { costUsd: 1 } })).toBe(1);
    end({ cost: 1 });
    await expect(budget.run(() => 1)).rejects.toThrow('1 costUsd is spent');
  });

  it('never exceeds a limit, however calls are side by side', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.integer({ min: 1, max: 20 }), { minLength: 1, maxLength: 30 }),
        async (costs) => {
          const budget = limited({ costUsd: 50 });
          let most = 0;
          const call = async (cost: number) => {
            await sleep(0);
            end({ cost });
            most = Math.max(most, budget.spent().costUsd);
          };
          const made = costs.map((cost) => budget.run(() => call(cost), { reserve: { costUsd: cost } }));
          const settled = await Promise.allSettled(made);
          const spent = costs.reduce(
            (sum, cost, i) => sum + (settled[i]!.status === 'fulfilled' ? cost : 0),
            0,
          );
          expect(budget.spent().costUsd).toBe(spent);
          expect(most).toBeLessThanOrEqual(50);
          budget[Symbol.dispose]();
        },
      ),
      { numRuns: 25 },
    );
  });

  it('holds back what a stream may need until that has ended', async () => {
    const budget = limited({ costUsd: 1 });
    async function* answer() {
      yield 'Hel';
      yield 'lo';
      end({ cost: 0.9 });
    }
    const reserve = { costUsd: 0.9 };
    const stream = await budget.run(() => answer(), { reserve });
    await expect(budget.run(() => 1, { reserve })).rejects.toThrow(BudgetError);
    let text = '';
    for await (const part of stream) text += part;
    expect(text).toBe('Hello');
    await expect(budget.run(() => 1, { reserve })).rejects.toThrow(BudgetError);
    expect(await budget.run(() => 1, { reserve: { costUsd: 0.1 } })).toBe(1);
  });

  it('holds back nothing for a stream that was left', async () => {
    const budget = limited({ costUsd: 1 });
    async function* answer() {
      yield 'Hel';
      yield 'lo';
    }
    const reserve = { costUsd: 0.9 };
    for await (const _ of await budget.run(() => answer(), { reserve })) break;
    expect(await budget.run(() => 1, { reserve })).toBe(1);
  });

  it('forgets no key that a call is under way for', async () => {
    const budget = limited({ calls: 1, per: 'sessionId' });
    let finish = () => {};
    const call = budget.run(() => new Promise<void>((resolve) => (finish = resolve)), { key: 'mine' });
    for (let i = 0; i < 70_000; i++) budget.spent(`other ${i}`);
    await expect(budget.run(() => 1, { key: 'mine' })).rejects.toThrow(BudgetError);
    finish();
    await call;
  });

  it('of calls lets exactly as many through', async () => {
    const budget = limited({ calls: 5 });
    const call = async () => {
      begin();
      await sleep(1);
      end();
    };
    const settled = await Promise.allSettled(Array.from({ length: 20 }, () => budget.run(call)));
    expect(settled.filter(({ status }) => status === 'fulfilled')).toHaveLength(5);
    expect(budget.signal().aborted).toBe(false);
    await expect(budget.run(call)).rejects.toThrow(BudgetError);
  });
});

it('limits that are none are refused, and one that has ended counts nothing', () => {
  expect(() => limited({})).toThrow(/one of costUsd, tokens, calls/);
  expect(() => limited({ calls: -1 })).toThrow(/budget.calls/);
  expect(() => limited({ calls: 1, warnAt: 2 })).toThrow(/budget.warnAt/);
  const budget = limited({ calls: 1 });
  budget[Symbol.dispose]();
  begin();
  expect(budget.spent().calls).toBe(0);
});
