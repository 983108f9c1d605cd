/** What a row keeps of an event when the ring, a column or the byte area does not take it. */

import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { attachExperiment, Crucible, telemetry } from '../../src/index.js';

let crucible: Crucible;
beforeEach(() => {
  crucible = new Crucible();
});
afterEach(() => crucible.close());

describe('declared columns', () => {
  it('carry nothing over from an event that came during a pause', async () => {
    const experiment = crucible.startExperiment({
      name: 'declared',
      capacity: 1024,
      columns: { a: 'f64', b: 'f64' },
      events: ['declared.event'],
    });
    experiment.pause();
    telemetry.execute('declared.event', {}, { a: 1 });
    experiment.resume();
    telemetry.execute('declared.event', {}, { b: 2 });
    expect((await experiment.query()).map(({ metadata }) => metadata)).toEqual([{ b: 2 }]);
  });

  it('carry nothing over from an event that the ring refused', async () => {
    const experiment = crucible.startExperiment({
      name: 'declared',
      capacity: 2048,
      overflow: 'overwrite',
      columns: { a: 'f64', b: 'f64' },
    });
    const others = [attachExperiment(experiment.share()), attachExperiment(experiment.share())];
    for (const other of others) other.recorder('other').recordAt(0, 0);
    experiment.capture('refused', {}, { a: 1 });
    expect(experiment.counts.dropped).toBe(1);
    for (const other of others) other.close();
    experiment.capture('kept', {}, { b: 2 });
    const rows = await experiment.query({ eventName: 'kept' });
    expect(rows.map(({ metadata }) => metadata)).toEqual([{ b: 2 }]);
  });

  it('do not make an event malformed whose long text is kept elsewhere', async () => {
    const experiment = crucible.startExperiment({ name: 'declared', capacity: 1024, columns: { t: 'dict' } });
    experiment.capture('e', {}, { t: 'x'.repeat(70_000) });
    const [row] = await experiment.query();
    expect(row).toMatchObject({ metadata: { t: 'x'.repeat(70_000) }, malformed: false });
  });
});

describe('an event too large for any chunk', () => {
  it('keeps what has columns', async () => {
    const experiment = crucible.startExperiment({ name: 'large', capacity: 1024, columns: { score: 'f64' } });
    experiment.capture(
      'e',
      { latencyMs: 7 },
      {
        model: 'm',
        provider: 'p',
        score: 0.5,
        tokens: { prompt: 1, completion: 2, total: 3 },
        list: new Array(5_000_000).fill(0.5),
      },
    );
    const [row] = await experiment.query();
    expect(row).toMatchObject({ latencyMs: 7, model: 'm', provider: 'p', malformed: true });
    expect(row!.tokens).toEqual({ prompt: 1, completion: 2, total: 3 });
    expect(row!.metadata).toMatchObject({
      model: 'm',
      provider: 'p',
      score: 0.5,
      tokens: { prompt: 1, completion: 2, total: 3 },
    });
  });
});

describe('an event whose time is no number', () => {
  it('is stored with what could be read, and counted as malformed', async () => {
    const experiment = crucible.startExperiment({ name: 'time', capacity: 1024 });
    const times: unknown[] = ['soon', null, {}, 10n, Symbol('now')];
    for (const time of times) experiment.captureAt(time as number, 'e', { latencyMs: 1 });
    const rows = await experiment.query();
    expect(rows.map(({ latencyMs }) => latencyMs)).toEqual(times.map(() => 1));
    expect(experiment.counts).toMatchObject({ captured: times.length });
  });
});
