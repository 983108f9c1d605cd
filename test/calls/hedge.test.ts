/** Hedged calls: who wins, who is aborted, and what is told of it. */
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { type HedgeLeg, hedge } from '../../src/calls/index.js';
import { Crucible, type Experiment } from '../../src/index.js';

let crucible: Crucible;
let experiment: Experiment;
beforeEach(() => {
  crucible = new Crucible({ workers: 0 });
  experiment = crucible.startExperiment({ name: 'calls' });
});
afterEach(() => crucible.close());

const told = async () =>
  (await experiment.query()).map(({ eventName, success, fields, metadata, costUsd }) => ({
    event: eventName.replace('hedging.request.', ''),
    ...{ success, costUsd, winner: fields.winner, metadata },
  }));

/** Ends when the test says so, or its signal. */
function scripted() {
  const legs = new Map<string, HedgeLeg & { answer(value: string): void; fail(error: Error): void }>();
  const call = (leg: HedgeLeg) =>
    new Promise<string>((resolve, reject) => {
      legs.set(leg.name, Object.assign(leg, { answer: resolve, fail: reject }));
      leg.signal.addEventListener('abort', () => reject(leg.signal.reason));
    });
  return { call, legs };
}
const NEVER = 1e6;
const metadata = { model: 'm', provider: 'p' };

describe('a call that answers in time', () => {
  it('is alone', async () => {
    const result = await hedge(async () => 'a', { delayMs: NEVER, metadata });
    expect(result).toMatchObject({
      value: 'a',
      winner: 'primary',
      isDuplicated: false,
      backupLatencyMs: null,
    });
    expect(await told()).toMatchObject([
      { event: 'start', metadata },
      { event: 'stop', success: true, winner: 'primary', costUsd: null },
    ]);
  });

  it('is alone once it has begun', async () => {
    const { call, legs } = scripted();
    const hedged = hedge(call, { delayMs: 20 });
    legs.get('primary')!.started();
    await new Promise((resolve) => setTimeout(resolve, 60));
    legs.get('primary')!.answer('a');
    expect(await hedged).toMatchObject({ isDuplicated: false });
  });
});

describe('a call that is slow', () => {
  it('is aborted when the second begins first, and its cost is told once', async () => {
    const { call, legs } = scripted();
    const duplicationCost = (value: string, { hasFailed }: { hasFailed: boolean }) =>
      hasFailed ? null : value.length;
    const hedged = hedge(call, { delayMs: 1, metadata, duplicationCost });
    await expect.poll(() => legs.size).toBe(2);
    legs.get('backup')!.started();
    await expect.poll(() => legs.get('primary')!.signal.aborted).toBe(true);
    legs.get('backup')!.answer('abc');
    const result = await hedged;
    expect(result).toMatchObject({
      value: 'abc',
      winner: 'backup',
      isDuplicated: true,
      duplicationCostUsd: 3,
    });
    expect(result.primaryLatencyMs).toBeNull();
    expect(await told()).toMatchObject([
      { event: 'start' },
      { event: 'duplicated', metadata: { reason: 'slow' } },
      { event: 'stop', winner: 'backup', costUsd: 3 },
    ]);
  });

  it('wins if it begins first all the same', async () => {
    const { call, legs } = scripted();
    const hedged = hedge(call, { delayMs: 1 });
    await expect.poll(() => legs.size).toBe(2);
    legs.get('primary')!.answer('late');
    expect(await hedged).toMatchObject({ value: 'late', winner: 'primary', isDuplicated: true });
    expect(legs.get('backup')!.signal.aborted).toBe(true);
  });
});

it('a call that fails is made again at once', async () => {
  const call = async ({ name }: HedgeLeg) => {
    if (name === 'primary') throw new TypeError('x');
    return 'b';
  };
  expect(await hedge(call, { delayMs: NEVER })).toMatchObject({ value: 'b', winner: 'backup' });
  expect(await told()).toMatchObject([
    {},
    { event: 'duplicated', metadata: { reason: 'failed' } },
    { event: 'stop' },
  ]);
});

it('two that fail are a failure, with the last word of the second', async () => {
  const call = async ({ name }: HedgeLeg): Promise<string> => {
    throw name === 'primary' ? new TypeError('1') : new RangeError('2');
  };
  await expect(hedge(call, { delayMs: NEVER })).rejects.toThrow(RangeError);
  expect((await told()).at(-1)).toMatchObject({
    event: 'exception',
    success: false,
    metadata: { error: 'RangeError' },
  });
});

it("its caller's abort ends both, and is no failure", async () => {
  const { call, legs } = scripted();
  const controller = new AbortController();
  const hedged = hedge(call, { delayMs: 1, signal: controller.signal });
  await expect.poll(() => legs.size).toBe(2);
  controller.abort(new Error('enough'));
  await expect(hedged).rejects.toThrow('enough');
  expect([...legs.values()].every(({ signal }) => signal.aborted)).toBe(true);
  expect((await told()).at(-1)).toMatchObject({
    event: 'stop',
    success: false,
    metadata: { outcome: 'aborted' },
  });
  await expect(hedge(call, { delayMs: 1, signal: controller.signal })).rejects.toThrow('enough');
});

it('a delay that is none is refused', async () => {
  await expect(hedge(async () => 1, { delayMs: Number.NaN })).rejects.toThrow(/delayMs/);
});
