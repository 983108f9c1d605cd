/** Events whose getters capture in turn. */

import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { attachExperiment, Crucible, type Experiment } from '../../src/index.js';

let crucible: Crucible;
let experiment: Experiment;
beforeEach(() => {
  crucible = new Crucible();
  experiment = crucible.startExperiment({ name: 'nested', capacity: 4096 });
});
afterEach(() => crucible.close());

describe('an event whose getter captures another', () => {
  it('is stored whole, as is the other', async () => {
    experiment.capture(
      'outer',
      { latencyMs: 1 },
      {
        before: 1,
        get nested() {
          experiment.capture('inner', { latencyMs: 2 }, { text: 'x'.repeat(500) });
          return 'value';
        },
        after: 2,
      },
    );
    const rows = await experiment.query();
    expect(rows.map(({ eventName, latencyMs, metadata }) => [eventName, latencyMs, metadata])).toEqual([
      ['inner', 2, { text: 'x'.repeat(500) }],
      ['outer', 1, { before: 1, nested: 'value', after: 2 }],
    ]);
  });

  it('stays readable when the other is of the same name and its own model found no place', async () => {
    experiment.capture(
      'e',
      {},
      {
        model: 'm'.repeat(70_000),
        get nested() {
          experiment.capture('e', {}, {});
          return 1;
        },
      },
    );
    experiment.capture('later', {}, {});
    const rows = await experiment.query();
    expect(rows.map(({ eventName }) => eventName)).toEqual(['e', 'e', 'later']);
    expect(rows[1]!.model).toBe('m'.repeat(70_000));
  });

  it('counts as malformed when it lost something before', async () => {
    experiment.capture(
      'outer',
      {},
      {
        lost: () => 1,
        get nested() {
          experiment.capture('inner', {}, {});
          return 1;
        },
      },
    );
    const rows = await experiment.query();
    expect(rows.map(({ eventName, malformed }) => [eventName, malformed])).toEqual([
      ['inner', false],
      ['outer', true],
    ]);
    expect(experiment.counts.malformed).toBe(1);
  });

  it('leaves the other whole where both carry the same object', async () => {
    const parent = {
      own: 1,
      get nested() {
        if (depth++ === 0) experiment.capture('inner', {}, { parent });
        return 1;
      },
    };
    let depth = 0;
    experiment.capture('outer', {}, { parent });
    const [inner, outer] = await experiment.query();
    expect(inner).toMatchObject({
      eventName: 'inner',
      metadata: { parent: { own: 1, nested: 1 } },
      malformed: false,
    });
    expect(outer!.metadata).toEqual({ parent: { own: 1, nested: 1 } });
  });
});

describe('a span of a writer that was closed', () => {
  it('does not write into the bytes of the writer that has its place now', async () => {
    const former = attachExperiment(experiment.share());
    const span = former.recorder('former').start();
    former.close();
    const writer = attachExperiment(experiment.share());
    writer.capture(
      'e',
      {},
      {
        a: 'AAAAAAAAAA',
        get b() {
          span.fail(new Error('after the end'));
          return 1;
        },
        c: 2,
      },
    );
    writer.close();
    const rows = await experiment.query();
    expect(rows.map(({ eventName, metadata }) => [eventName, metadata])).toEqual([
      ['e', { a: 'AAAAAAAAAA', b: 1, c: 2 }],
    ]);
  });
});
