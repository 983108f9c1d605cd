/** Ensembles: how votes are counted, and what is told of it. */
import { afterEach, beforeEach, expect, it } from 'vitest';
import { ensemble, plurality } from '../../src/calls/index.js';
import { Crucible, type Experiment } from '../../src/index.js';

let crucible: Crucible;
let experiment: Experiment;
beforeEach(() => {
  crucible = new Crucible({ workers: 0 });
  experiment = crucible.startExperiment({ name: 'calls' });
});
afterEach(() => crucible.close());

const vote = (text: string) => (text === '' ? null : text);
const says = (text: string) => async () => text;
const fails = async (): Promise<string> => {
  throw new TypeError('x');
};

it('most votes win, and what the answers have cost is told once', async () => {
  const members = { a: says('3'), b: says('4'), c: says('4'), d: fails, e: says('') };
  const result = await ensemble(members, { vote, cost: () => 0.5, metadata: { sampleId: 'q' } });
  expect(result).toMatchObject({
    value: '4',
    winner: '4',
    votes: { 3: 1, 4: 2 },
    agreement: 2 / 3,
    totalCostUsd: 2,
  });
  expect(result.members.map(({ name, error }) => [name, error !== undefined])).toEqual([
    ['a', false],
    ['b', false],
    ['c', false],
    ['d', true],
    ['e', false],
  ]);
  expect(await experiment.query()).toMatchObject([
    { eventName: 'ensemble.prediction.start', sampleId: 'q', costUsd: null },
    {
      eventName: 'ensemble.vote.completed',
      costUsd: 2,
      fields: { votes: { 3: 1, 4: 2 }, winner: '4', agreement: 2 / 3, totalCost: 2 },
    },
    { eventName: 'ensemble.prediction.stop', success: true, costUsd: null, fields: { winner: '4' } },
  ]);
});

it('a cost that is not known of one is not known of all', async () => {
  const result = await ensemble(
    { a: says('1'), b: says('22') },
    { vote, cost: ({ length }) => (length > 1 ? null : 1) },
  );
  expect(result.totalCostUsd).toBeNull();
});

it('of equals, and without votes, the first one counts', async () => {
  expect(await ensemble({ a: says('x'), b: says('y') }, { vote })).toMatchObject({
    winner: 'x',
    agreement: 0.5,
  });
  expect(await ensemble({ a: fails, b: says('') }, { vote })).toMatchObject({
    winner: null,
    value: '',
    agreement: null,
  });
  expect(plurality(['__proto__', '__proto__', null]).winner).toBe('__proto__');
});

it('those that could not change the winner are ended', async () => {
  let isEnded = false;
  const waits = (signal: AbortSignal) =>
    new Promise<string>((_, reject) => {
      signal.addEventListener('abort', () => {
        isEnded = true;
        reject(signal.reason);
      });
    });
  const members = { a: says('1'), b: says('1'), c: waits };
  expect(await ensemble(members, { vote, stopWhenDecided: true })).toMatchObject({
    winner: '1',
    agreement: 1,
  });
  expect(isEnded).toBe(true);
});

it('without an answer it is a failure, and without members an error', async () => {
  await expect(ensemble({ a: fails, b: fails }, { vote })).rejects.toThrow(TypeError);
  expect((await experiment.query()).at(-1)).toMatchObject({
    eventName: 'ensemble.prediction.exception',
    success: false,
    metadata: { error: 'TypeError' },
  });
  await expect(ensemble({}, { vote })).rejects.toThrow(/members/);
});

it("its caller's abort ends it", async () => {
  const controller = new AbortController();
  const waits = (signal: AbortSignal) =>
    new Promise<string>((_, reject) => {
      signal.addEventListener('abort', () => reject(signal.reason));
    });
  const asked = ensemble({ a: waits, b: says('1') }, { vote, signal: controller.signal });
  controller.abort(new Error('enough'));
  await expect(asked).rejects.toThrow('enough');
  expect((await experiment.query()).at(-1)).toMatchObject({
    metadata: { outcome: 'aborted' },
    success: false,
  });
});
