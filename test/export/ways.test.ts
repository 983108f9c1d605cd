/** An experiment's rows and its events give the same file, whatever is in it and wherever it is. */

import { tableFromIPC } from 'apache-arrow';
import fc from 'fast-check';
import { parquetReadObjects } from 'hyparquet';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { type EncodeOptions, exportBlocks, exportChunks } from '../../src/export/index.js';
import { Crucible, type Experiment } from '../../src/index.js';
import { mergeEvents } from '../../src/readers/merge-events.js';
import { orderedEvents } from '../../src/readers/ordered.js';
import { script } from '../roundtrip/support.js';
import { eventSourceOf, viewOfExperiment } from '../support/views.js';
import { viewOfSteps } from './msgpack-support.js';
import { textOf, useFolder } from './support.js';

const folder = useFolder();
let crucible: Crucible;
beforeEach(() => {
  crucible = new Crucible();
});
afterEach(() => crucible.close());

/** Recorded and captured rows in turns, of several bindings, not in the order of their times. */
function fill(experiment: Experiment, count: number): void {
  const recorders = ['a', 'b,"c"', '=d'].map((model) =>
    experiment.recorder('crucible_train.epoch.stop', { model, region: 'eu', epoch: 3, list: [1, { a: -0 }] }),
  );
  for (let i = 0; i < count; i++) {
    const timeUs = 1.7e15 + ((i * 7919) % count) * 1000;
    if (i % 5 === 4)
      experiment.captureAt(timeUs, `event.${i % 3}`, { loss: i / 3 }, { region: 'us', n: -0, i });
    else recorders[i % 3]!.recordAt(timeUs, i / 7, i % 2 === 0 ? i / 1e5 : Number.NaN, i, 2 * i, i % 3 === 0);
  }
}

it.each<[string, EncodeOptions]>([
  ['csv', {}],
  ['csv', { csvSafe: true }],
  ['csv', { flatten: false }],
  ['jsonl', {}],
  ['jsonl', { pretty: true }],
])('%s %j', async (format, options) => {
  for (const dir of [undefined, folder()]) {
    const experiment = crucible.startExperiment({
      name: 'ways',
      capacity: 8192,
      columns: { region: 'dict' },
      tags: ['t'],
      ...(dir === undefined ? {} : { dir }),
    });
    fill(experiment, 6000);
    await experiment.stop();
    const byRows = await textOf(exportChunks([viewOfExperiment(experiment)], format, options));
    const byEvents = await textOf(exportChunks(eventSourceOf(experiment), format, options));
    expect(byRows === byEvents).toBe(true);
    const header = format === 'csv' ? 1 : 0;
    if (options.pretty !== true) expect(byRows.split('\n')).toHaveLength(6000 + header + 1);
    const filtered = { success: true, where: { region: 'eu' } };
    expect(await textOf(exportChunks([viewOfExperiment(experiment, filtered)], format, options))).toBe(
      await textOf(exportChunks(eventSourceOf(experiment, filtered), format, options)),
    );
  }
});

it('hides who it was in rows as in events', async () => {
  const experiment = crucible.startExperiment({ name: 'ways', capacity: 4096 });
  const recorder = experiment.recorder('e', { userId: 'somebody' });
  for (let i = 0; i < 100; i++) recorder.recordAt(1.7e15 + i, i);
  const anonymize = { key: 'secret of 16 bytes' };
  for (const format of ['csv', 'jsonl']) {
    const byRows = await textOf(exportChunks([viewOfExperiment(experiment)], format, { anonymize }));
    expect(byRows).not.toContain('somebody');
    expect(byRows).toBe(await textOf(exportChunks(eventSourceOf(experiment), format, { anonymize })));
  }
});

it('gives chunks that stay as they are, and blocks that do not', async () => {
  const experiment = crucible.startExperiment({ name: 'ways', capacity: 8192 });
  fill(experiment, 5000);
  const chunks: Uint8Array[] = [];
  for await (const chunk of exportChunks([viewOfExperiment(experiment)], 'jsonl')) chunks.push(chunk);
  const copies: Uint8Array[] = [];
  let used = new Set<ArrayBufferLike>();
  for await (const block of exportBlocks([viewOfExperiment(experiment)], 'jsonl')) {
    copies.push(Buffer.from(block));
    used = used.add(block.buffer);
  }
  expect(Buffer.concat(chunks).equals(Buffer.concat(copies))).toBe(true);
  expect(used.size).toBe(1);
});

it('can be given up halfway, and begun again', async () => {
  const experiment = crucible.startExperiment({ name: 'ways', capacity: 8192 });
  fill(experiment, 5000);
  for await (const chunk of exportChunks([viewOfExperiment(experiment)], 'csv')) {
    expect(chunk.length).toBeGreaterThan(0);
    break;
  }
  const stream = experiment.exportStream('csv');
  for await (const chunk of stream) {
    expect((chunk as Uint8Array).length).toBeGreaterThan(0);
    break;
  }
  expect(stream.destroyed).toBe(true);
  const text = await textOf(experiment.exportStream('csv') as AsyncIterable<Uint8Array>);
  expect(text.split('\n')).toHaveLength(5002);
});

async function bytesOf(chunks: AsyncIterable<Uint8Array>): Promise<Buffer> {
  const all: Uint8Array[] = [];
  for await (const chunk of chunks) all.push(chunk);
  return Buffer.concat(all);
}

describe('of several experiments', () => {
  const FORMATS: readonly (readonly [string, EncodeOptions])[] = [
    ['csv', {}],
    ['jsonl', {}],
    ['msgpack', {}],
    ['msgpack', { layout: 'columns' }],
  ];

  it.each(FORMATS)('%s %j has the rows of all, ascending by time', async (format, options) => {
    await fc.assert(
      fc.asyncProperty(fc.array(script, { minLength: 1, maxLength: 4 }), async (scripts) => {
        const views = scripts.map((steps) => viewOfSteps(steps));
        const byRows = exportChunks(views, format, options);
        const byEvents = exportChunks(
          () => mergeEvents(views.map((view) => orderedEvents(view))),
          format,
          options,
        );
        expect((await bytesOf(byRows)).equals(await bytesOf(byEvents))).toBe(true);
      }),
      { numRuns: 40 },
    );
  });

  it('arrow and parquet have them, too', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(script, { minLength: 2, maxLength: 4 }), async (scripts) => {
        const views = scripts.map((steps) => viewOfSteps(steps));
        const ids: string[] = [];
        for await (const event of mergeEvents(views.map((view) => orderedEvents(view))))
          ids.push(event.eventId);
        const idsIn = async (format: string, compression: 'none' | 'snappy') => {
          const bytes = Uint8Array.from(await bytesOf(exportChunks(views, format, { compression })));
          if (format === 'arrow') return [...tableFromIPC(bytes).getChild('event_id')!];
          const rows = await parquetReadObjects({ file: bytes.buffer });
          return rows.map(({ event_id: id }) => id);
        };
        expect(await idsIn('arrow', 'none')).toEqual(ids);
        expect(await idsIn('parquet', 'snappy')).toEqual(ids);
      }),
      { numRuns: 20 },
    );
  });

  it('is cut where many rows of one come before those of another', async () => {
    const experiments = ['a', 'b'].map((name) => crucible.startExperiment({ name, capacity: 8192 }));
    experiments.forEach((experiment, i) => {
      const recorder = experiment.recorder('e');
      for (let row = 0; row < 6000; row++) {
        // Runs of a thousand rows and more, then turns, then the same times.
        const block = Math.floor(row / 1500);
        recorder.recordAt(1.7e15 + (block < 2 ? (2 * block + i) * 1500 + (row % 1500) : row), row);
      }
    });
    for (const experiment of experiments) await experiment.stop();
    const views = experiments.map((experiment) => viewOfExperiment(experiment));
    const byEvents = () => mergeEvents(views.map((view) => orderedEvents(view)));
    expect(await textOf(exportChunks(views, 'csv'))).toBe(await textOf(exportChunks(byEvents, 'csv')));
  });
});
