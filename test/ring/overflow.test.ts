/** What becomes of events once there are more names, bindings or bytes than there are places. */

import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { DICTIONARY_CAPACITY } from '../../assembly/layout.js';
import { attachExperiment, Crucible } from '../../src/index.js';
import { countsOf } from '../support/counts.js';

let crucible: Crucible;
beforeEach(() => {
  crucible = new Crucible();
});
afterEach(() => crucible.close());

describe('an experiment with more names than places', () => {
  it('keeps the name, model and provider of a captured event when the dictionary is full', async () => {
    const experiment = crucible.startExperiment({ name: 'full', capacity: 4096 });
    // One event name of many models: each is a binding.
    for (let i = 1; i < DICTIONARY_CAPACITY; i++) experiment.recorder('bound', { model: `m${i}` });
    for (let i = 0; i < 20; i++) {
      experiment.capture(`late ${i}`, { latencyMs: i }, { model: `late model ${i}`, provider: 'p', k: i });
    }
    const rows = await experiment.query();
    expect(rows.map(({ eventName }) => eventName)).toEqual(Array.from({ length: 20 }, (_, i) => `late ${i}`));
    expect(rows.map(({ model }) => model)).toEqual(Array.from({ length: 20 }, (_, i) => `late model ${i}`));
    expect(rows[3]).toMatchObject({
      latencyMs: 3,
      provider: 'p',
      metadata: { model: 'late model 3', provider: 'p', k: 3 },
      malformed: false,
    });
    expect(experiment.counts).toEqual(countsOf({ captured: 20 }));
    expect(experiment.streamingMetrics().eventCounts).toEqual({ '(other)': 20 });
  });

  it('shows a recorder that found the dictionary full as (overflow), and keeps its values', async () => {
    const experiment = crucible.startExperiment({ name: 'full', capacity: 1024 });
    experiment.recorder('r'.repeat(2 ** 20)).recordAt(5, 1, 2, 3, 4, true);
    const [row] = await experiment.query();
    expect(row).toMatchObject({
      eventName: '(overflow)',
      timestamp: 5,
      latencyMs: 1,
      costUsd: 2,
      tokens: { prompt: 3, completion: 4 },
      success: true,
    });
  });

  it('keeps all of a name of 1 MB', async () => {
    const experiment = crucible.startExperiment({ name: 'long', capacity: 1024 });
    experiment.capture('n'.repeat(2 ** 20), { latencyMs: 1 });
    experiment.capture('m'.repeat(100_000), { latencyMs: 2 });
    const [huge, large] = await experiment.query();
    expect(huge!.eventName === 'n'.repeat(2 ** 20)).toBe(true);
    expect(huge).toMatchObject({ latencyMs: 1, malformed: false });
    expect(large).toMatchObject({ eventName: 'm'.repeat(100_000), latencyMs: 2, malformed: false });
  });

  it('keeps exact counts per event with more than 192 bindings, from two threads', () => {
    const experiment = crucible.startExperiment({ name: 'many', capacity: 65_536 });
    const other = attachExperiment(experiment.share());
    const counts: Record<string, number> = {};
    for (let i = 0; i < 900; i++) {
      const event = `event ${i % 60}`;
      const bound = { model: `model ${i % 300}` };
      const rows = 1 + (i % 7);
      const recorder = (i % 2 === 0 ? experiment : other).recorder(event, bound);
      for (let row = 0; row < rows; row++) recorder.recordAt(i, i);
      counts[event] = (counts[event] ?? 0) + rows;
    }
    other.publish();
    expect(experiment.streamingMetrics().eventCounts).toEqual(counts);
    other.close();
  });

  it('counts what has no slot left together, and loses none of it', () => {
    const experiment = crucible.startExperiment({ name: 'many', capacity: 4096 });
    for (let i = 0; i < 400; i++) experiment.recorder(`event ${i}`).recordAt(i, 1);
    const { count, eventCounts } = experiment.streamingMetrics();
    expect(count).toBe(400);
    expect(eventCounts['(other)']).toBe(400 - 255);
    expect(Object.keys(eventCounts)).toHaveLength(256);
  });

  it('keeps texts of a dictionary column that do not fit the dictionary', async () => {
    const experiment = crucible.startExperiment({ name: 'long', capacity: 1024, columns: { label: 'dict' } });
    experiment.capture('e', {}, { label: 'x'.repeat(70_000) });
    experiment.capture('e', {}, { label: 'short' });
    const [long, short] = await experiment.query();
    expect([long!.metadata.label, short!.metadata.label]).toEqual(['x'.repeat(70_000), 'short']);
  });
});
