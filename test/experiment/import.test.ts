/** What an experiment does with the events of an export: they are what they were, wherever they are kept. */

import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { FLAG_BLOB, FLAG_CORRECTED } from '../../assembly/layout.js';
import { systemClock } from '../../src/clock.js';
import { Crucible, type CrucibleOptions } from '../../src/experiment/crucible.js';
import { ImportSink } from '../../src/experiment/import-sink.js';
import type { ExperimentOptions } from '../../src/experiment/options.js';
import { resolveOptions } from '../../src/experiment/options.js';
import { Stores } from '../../src/experiment/stores.js';
import { emptyRecord } from '../../src/import/mapping.js';
import { decodeRow } from '../../src/readers/rows.js';
import { eventIdText } from '../../src/row/event-id.js';
import type { EventRow } from '../../src/schema/event.js';
import { REFERENCE_PRICES } from '../../src/schema/prices.js';

const IDENTITY = { name: 'n', id: 'id-1', capacity: 4096 };
const START_US = 1_700_000_000_000_000;

let dir = '';
beforeAll(async () => {
  dir = await mkdtemp(join(tmpdir(), 'crucible-import-'));
});
afterAll(() => rm(dir, { recursive: true, force: true }));

/** Events of an experiment of which the times go down, in a file. */
async function exported(name: string): Promise<{ path: string; events: EventRow[] }> {
  await using crucible = new Crucible();
  const experiment = crucible.startExperiment(IDENTITY);
  const recorder = experiment.recorder('req_llm.request.stop', { model: 'gpt-4', provider: 'openai' });
  for (let i = 0; i < 1500; i++) recorder.recordAt(START_US - i, i / 7, 0.5, i, 2 * i, i % 2 === 0);
  experiment.captureAt(
    START_US,
    'req_llm.request.stop',
    { duration: 5e6 },
    { model: 'gpt-4', tokens: { prompt: 10, completion: 5, total: 15 }, null: 'a user may say so', '': 1 },
  );
  const path = join(dir, `${name}.jsonl`);
  await experiment.export('jsonl', { path });
  return { path, events: await experiment.query() };
}

async function imported<T>(
  path: string,
  options: Partial<ExperimentOptions>,
  use: (events: EventRow[]) => Promise<T> | T,
  crucibleOptions: CrucibleOptions = {},
): Promise<T> {
  await using crucible = new Crucible(crucibleOptions);
  const experiment = crucible.startExperiment({ ...IDENTITY, ...options });
  await experiment.importFile(path);
  return await use(await experiment.query());
}

const withoutPlace = (events: readonly EventRow[]) => events.map(({ sequence: _, ...event }) => event);

describe('an experiment that imports an export', () => {
  it('keeps ids, though the order of capture is another one', async () => {
    const { path, events } = await exported('order');
    await imported(path, {}, (back) => {
      expect(withoutPlace(back)).toEqual(withoutPlace(events));
      expect(back.map(({ sequence }) => sequence)).toEqual([...back.keys()]);
    });
  });

  it('of another experiment keeps ids, and says where the rows are from', async () => {
    const { path, events } = await exported('other');
    await imported(path, { id: 'id-2', name: 'm', tags: ['t'] }, (back) => {
      expect(back.map((event) => event.eventId)).toEqual(events.map((event) => event.eventId));
      expect(back[0]).toMatchObject({
        experimentId: 'id-2',
        experimentName: 'm',
        metadata: { experiment_id: 'id-1', experiment_name: 'n' },
      });
    });
  });

  it('keeps the price table that a cost was computed from', async () => {
    const { path, events } = await exported('prices');
    const computed = (rows: readonly EventRow[]) => rows.filter(({ costSource }) => costSource !== 'event');
    expect(computed(events).map(({ costSource }) => costSource)).toEqual(['table:reference-0.5.0']);
    const prices = { version: 'later', models: {} };
    await imported(path, {}, (back) => expect(computed(back)).toHaveLength(1), { prices });
  });

  it('on disk, in segments and in what these are compacted to', async () => {
    const { path, events } = await exported('disk');
    const folder = join(dir, 'disk');
    const crucible = new Crucible({ dir: folder });
    const experiment = crucible.startExperiment({ ...IDENTITY, segmentBytes: 65536 });
    await experiment.importFile(path);
    expect(withoutPlace(await experiment.query())).toEqual(withoutPlace(events));
    await experiment.stop();
    await experiment.compact();
    expect(withoutPlace(await experiment.query())).toEqual(withoutPlace(events));
    await crucible.close();
    await using again = new Crucible({ dir: folder });
    await again.recover(folder);
    expect(withoutPlace(await again.experiment('id-1').query())).toEqual(withoutPlace(events));
  });

  it('keeps nothing beside the columns of a row that needs nothing', () => {
    const stores = new Stores(resolveOptions(IDENTITY), { clock: systemClock, prices: REFERENCE_PRICES });
    const sink = new ImportSink(stores.writer, 'id-1', REFERENCE_PRICES.version, systemClock);
    const accept = (id: string) => {
      const restored = {
        eventId: id,
        costSource: null,
        malformed: false,
        measurements: {},
        corrections: null,
      };
      sink.accept({ ...emptyRecord('e'), timestampUs: START_US, restored });
    };
    accept(eventIdText('id-1', 0, 0));
    expect(stores.writer.ring.blobEnd).toBe(0);
    accept(eventIdText('id-1', 0, 7));
    expect(stores.writer.ring.blobEnd).toBeGreaterThan(0);
    stores.writer.ring.publish();
    const batch = stores.reader.read(stores.reader.chunks()[0]!)!;
    const { tags } = batch;
    expect([...tags].map((tag) => tag & (FLAG_BLOB | FLAG_CORRECTED))).toEqual([
      0,
      FLAG_BLOB | FLAG_CORRECTED,
    ]);
    expect([0, 1].map((row) => decodeRow(stores.source, batch, row).eventId)).toEqual([
      eventIdText('id-1', 0, 0),
      eventIdText('id-1', 0, 7),
    ]);
  });
});
