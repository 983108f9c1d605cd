/** What an experiment does with the events of an export: they are what they were, wherever they are kept. */

import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
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
import { type Reading, RULES } from '../../src/schema/spellings.js';

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

describe('a record that is imported', () => {
  const PLAIN_VALUES: Partial<Record<Reading, fc.Arbitrary<unknown>>> = {
    name: fc.constantFrom('gpt-4', 'claude-3-opus', 'other'),
    usage: fc.record({ input_tokens: fc.nat(500), output_tokens: fc.nat(500), cached_tokens: fc.nat(50) }),
    'any usage': fc.constantFrom({ prompt_tokens: 7, completion_tokens: 8, total_tokens: 20 }, { disk: 5 }),
    count: fc.nat(1000),
    USD: fc.constantFrom(0.25, 0, 3),
    'USD after the table': fc.constantFrom(0.5, 7),
    failure: fc.constantFrom('timeout', null, false, { code: 5 }),
    flag: fc.boolean(),
    status: fc.constantFrom('ok', 'failed', 200, 500, 'pending'),
    'HTTP status': fc.constantFrom(200, 404, '503'),
    response: fc.constantFrom('text', null),
  };
  const KEYS = RULES.flatMap(({ reading, keys, in: parts, quantity }) =>
    parts.includes('metadata') && quantity !== 'latencyMs' && PLAIN_VALUES[reading] !== undefined
      ? keys.map((key) => ({ key, values: PLAIN_VALUES[reading]! }))
      : [],
  );
  const RECORD = fc
    .array(
      fc.constantFrom(...KEYS).chain(({ key, values }) => values.map((value) => [key, value] as const)),
      { maxLength: 6 },
    )
    .map((entries) => ({ note: 'x', ...Object.fromEntries(entries) }) as Record<string, unknown>);
  const READ = ['costUsd', 'costSource', 'tokens', 'success', 'model', 'provider', 'malformedKeys'] as const;

  it('is the event that it would have been, had it been captured: every spelling', async () => {
    await using crucible = new Crucible({ workers: 0 });
    const events = fc.constantFrom(
      'req_llm.request.stop',
      'x',
      'x.exception',
      'crucible_deployment.inference.stop',
    );
    await fc.assert(
      fc.asyncProperty(fc.array(RECORD, { minLength: 1, maxLength: 30 }), events, async (records, event) => {
        const path = join(dir, 'alike.jsonl');
        await writeFile(path, records.map((record) => `${JSON.stringify(record)}\n`).join(''));
        const captured = crucible.startExperiment({ name: 'captured', capacity: 1024 });
        const importing = crucible.startExperiment({ name: 'imported', capacity: 1024 });
        for (const record of records) captured.capture(event, {}, record);
        await importing.importFile(path, { event });
        const [was, is] = [await captured.query(), await importing.query()];
        for (const [i, row] of was.entries()) {
          for (const key of READ) {
            expect({ record: records[i], [key]: is[i]![key] }).toEqual({
              record: records[i],
              [key]: row[key],
            });
          }
        }
        await captured.cleanup();
        await importing.cleanup();
      }),
      { numRuns: 60 },
    );
  });

  it('of text is read as well: words, JSON of counts, and costs by the table', async () => {
    const path = join(dir, 'words.csv');
    await writeFile(
      path,
      [
        'latency_ms,model,usage,error,status',
        '5,gpt-4,"{""prompt_tokens"":100,""completion_tokens"":50}",False,200',
        '5,gpt-4,"{""prompt_tokens"":100,""completion_tokens"":50}",timeout,',
        '5,7,,,failed',
      ].join('\n'),
    );
    const events = await imported(path, {}, (rows) => rows);
    expect(events.map(({ success }) => success)).toEqual([true, false, false]);
    expect(events.map(({ costUsd }) => costUsd)).toEqual([0.006, 0.006, null]);
    expect(events[2]!.model).toBe('7');
    const counts = join(dir, 'counts.csv');
    await writeFile(
      counts,
      'model,prompt_tokens,completion_tokens,total_tokens\ngpt-4,100,50,170\ngpt-4,100,,\n',
    );
    const [whole, partial] = await imported(counts, {}, (rows) => rows);
    expect(whole).toMatchObject({ costUsd: 0.006, tokens: { prompt: 100, completion: 50, total: 170 } });
    expect(partial).toMatchObject({ costUsd: null, costSource: 'unpriced:tokens' });
  });

  it('is counted where it is beyond a limit, or is not understood', async () => {
    const path = join(dir, 'limits.jsonl');
    const deep = `${'['.repeat(100)}${']'.repeat(100)}`;
    await writeFile(
      path,
      `{"a":${deep}}\n{"tokens":"many","hits":"x"}\n{"prompt_tokens":3000000000,"completion_tokens":7}\n`,
    );
    await using crucible = new Crucible({ workers: 0 });
    const experiment = crucible.startExperiment({ name: 'limits', columns: { hits: 'i32' } });
    const { reasons, errors } = await experiment.importFile(path);
    expect(reasons).toEqual({ limit: 2, value: 2 });
    expect(errors.map(({ line, message }) => [line, message.split(':')[0]])).toEqual([
      [1, 'metadata.a'],
      [2, 'metadata.tokens'],
      [2, 'metadata.hits'],
      [3, 'promptTokens'],
    ]);
    const rows = await experiment.query();
    expect(rows.map(({ malformedKeys }) => malformedKeys)).toEqual([
      ['metadata.a'],
      ['metadata.tokens', 'metadata.hits'],
      ['metadata.prompt_tokens'],
    ]);
  });
});
