/** What is kept of events that are larger than a thread's scratch, and than any event may be. */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { EVENT_BYTES_MAX } from '../../assembly/layout.js';
import { withLongWriter, writeFitting } from '../../src/capture/long-event.js';
import type { ExportManifest } from '../../src/export/index.js';
import { OUT_OF_ROOM, StoredValueReader, TEXT_BYTES_MAX } from '../../src/formats/msgpack/stored-value.js';
import { Crucible, type EventRow, type Experiment } from '../../src/index.js';
import { countsOf } from '../support/counts.js';
import { difference, KIB, longText, MIB } from '../support/long-texts.js';

let crucible: Crucible;
let experiment: Experiment;
let dir: string;
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'crucible-long-'));
  crucible = new Crucible({ workers: 0 });
  experiment = crucible.startExperiment({ name: 'long', columns: { score: 'f64' }, capacity: 4096 });
});
afterEach(async () => {
  await crucible.close();
  rmSync(dir, { recursive: true });
});

async function captured(
  measurements: Record<string, unknown>,
  metadata: Record<string, unknown>,
): Promise<EventRow> {
  experiment.capture('e', measurements, metadata);
  const row = (await experiment.query()).at(-1);
  return row!;
}

/** Whether it is the beginning of the text, of so many bytes or up to three fewer. */
function expectBeginning(actual: unknown, text: string, bytes: number): void {
  expect(typeof actual).toBe('string');
  const size = Buffer.byteLength(actual as string);
  expect(size).toBeLessThanOrEqual(bytes);
  expect(size).toBeGreaterThan(bytes - 4);
  expect(difference(actual, text.slice(0, (actual as string).length))).toBeNull();
}

/** Whether that, and nothing else, is told of the only event so far. */
function expectCut(row: EventRow, ...keys: string[]): void {
  const malformedKeys = keys.map((key) => `${key} (cut)`);
  expect([row.malformed, row.malformedKeys]).toEqual([true, malformedKeys]);
  const counted = Object.fromEntries(malformedKeys.map((key) => [key, 1]));
  expect(experiment.counts).toEqual(countsOf({ captured: 1, malformed: 1, cut: 1, malformedKeys: counted }));
}

describe('a text', () => {
  it('of 16 MiB is kept whole, in metadata, measurements and within them', async () => {
    expect(TEXT_BYTES_MAX).toBe(16 * MIB);
    const text = longText(16 * MIB);
    expect(Buffer.byteLength(text)).toBe(16 * MIB);
    for (const [measurements, metadata, read] of [
      [{ latencyMs: 1 }, { text }, (row: EventRow) => row.metadata.text],
      [{ latencyMs: 1, text }, {}, (row: EventRow) => row.measurements.text],
      [{}, { messages: [{ content: [{ text }] }] }, (row: EventRow) => nested(row.metadata.messages)],
    ] as const) {
      const row = await captured(measurements, metadata);
      expect(difference(read(row), text)).toBeNull();
      expect(row.malformed).toBe(false);
    }
    expect(experiment.counts).toMatchObject({ captured: 3, malformed: 0, cut: 0 });
  });

  it.each([
    ['of one byte each', 'a', 1],
    ['of two, which do not come out even', 'é', 1],
    ['of three', '日', 1],
    ['of four', '😀', 3],
  ])('of more is cut at the end of a character: %s', async (_, character, left) => {
    const bytes = Buffer.byteLength(character);
    const text = 'x'.repeat(left) + character.repeat(Math.ceil((16 * MIB) / bytes));
    const row = await captured({ latencyMs: 1 }, { n: 1, text, after: 'whole' });
    expectBeginning(row.metadata.text, text, 16 * MIB);
    expect(row).toMatchObject({ latencyMs: 1, malformed: true, metadata: { n: 1, after: 'whole' } });
    expectCut(row, 'metadata.text');
  });

  it('that is an event’s name is cut as any other', async () => {
    const name = longText(16 * MIB + 1);
    experiment.capture(name, { latencyMs: 3 });
    const [row] = await experiment.query();
    expectBeginning(row!.eventName, name, 16 * MIB);
    expect(row).toMatchObject({ latencyMs: 3 });
    expectCut(row!, 'eventName');
  });
});

const nested = (messages: unknown) => (messages as [{ content: [{ text: string }] }])[0].content[0].text;

describe('an event', () => {
  it('of nearly 32 MiB is kept whole', async () => {
    const a = longText(16 * MIB, 'a');
    const b = longText(16 * MIB - 100, 'b');
    const row = await captured({ latencyMs: 1 }, { a, b, n: 5 });
    expect(difference(row.metadata.a, a)).toBeNull();
    expect(difference(row.metadata.b, b)).toBeNull();
    expect(row).toMatchObject({ malformed: false, metadata: { n: 5 } });
  });

  it('of more has its texts cut to one length, the largest power of two, and everything else', async () => {
    const [a, b, c] = ['a', 'b', 'c'].map((seed) => longText(12 * MIB, seed)) as [string, string, string];
    const short = longText(1 * MIB, 'short');
    const row = await captured(
      { latencyMs: 9, cost: 0.5, c },
      { a, model: 'm', list: [1, { b }], score: 0.25, short, tokens: { prompt: 1, completion: 2, total: 3 } },
    );
    expectBeginning(row.metadata.a, a, 8 * MIB);
    expectBeginning((row.metadata.list as [number, { b: string }])[1].b, b, 8 * MIB);
    expectBeginning(row.measurements.c, c, 8 * MIB);
    expect(difference(row.metadata.short, short)).toBeNull();
    expect(row).toMatchObject({
      latencyMs: 9,
      costUsd: 0.5,
      model: 'm',
      malformed: true,
      tokens: { prompt: 1, completion: 2, total: 3 },
      metadata: { model: 'm', score: 0.25 },
    });
    expectCut(row, 'metadata.a', 'metadata.list', 'measurements.c');
  });

  it('that is too large whatever is cut of its texts keeps its scalars and their beginnings', async () => {
    const text = longText(10 * KIB);
    const row = await captured(
      { latencyMs: 9, list: new Array(4 * MIB).fill(0.5) },
      { text, n: 1, yes: true, score: 0.25, model: 'm', more: { deep: 1 } },
    );
    expectBeginning(row.metadata.text, text, KIB);
    expect(row).toMatchObject({ latencyMs: 9, model: 'm', malformed: true, measurements: { list: null } });
    expect(row.metadata).toMatchObject({ n: 1, yes: true, score: 0.25, more: null });
    expectCut(row, 'measurements.list', 'metadata.more', 'metadata.text');
  });

  it('of which not even that fits keeps what has columns', async () => {
    const metadata = Object.fromEntries(
      Array.from({ length: 60_000 }, (_, i) => [`${i}${'k'.repeat(600)}`, i]),
    );
    const row = await captured({ latencyMs: 9, cost: 2 }, { ...metadata, model: 'm', provider: 'p' });
    expect(row).toMatchObject({ latencyMs: 9, costUsd: 2, model: 'm', provider: 'p' });
    expectCut(row, 'metadata', 'measurements');
  });

  it('whose getter captures another that is as large is kept whole, as is the other', async () => {
    const [before, inner, after] = ['before', 'inner', 'after'].map((seed) => longText(2 * MIB, seed));
    const row = await captured(
      { latencyMs: 1 },
      {
        before,
        get nested() {
          experiment.capture('inner', {}, { inner });
          return 'value';
        },
        after,
      },
    );
    expect(difference(row.metadata.before, before!)).toBeNull();
    expect(difference(row.metadata.after, after!)).toBeNull();
    expect(row.metadata.nested).toBe('value');
    for (const other of (await experiment.query({ eventName: 'inner' })).map(({ metadata }) => metadata)) {
      expect(difference(other.inner, inner!)).toBeNull();
    }
  });

  it('whose getter throws where it is large keeps the rest', async () => {
    const text = longText(3 * MIB);
    const metadata = { text };
    Object.defineProperty(metadata, 'bad', {
      enumerable: true,
      get() {
        throw new Error('no');
      },
    });
    const row = await captured({ latencyMs: 1 }, metadata);
    expect(difference(row.metadata.text, text)).toBeNull();
    expect(row).toMatchObject({ malformed: true, metadata: { bad: null } });
    expect(experiment.counts.cut).toBe(0);
  });
});

describe('how much is kept', () => {
  const sizes = fc.array(fc.integer({ min: 1, max: 12 * MIB }), { minLength: 1, maxLength: 12 });

  it('is the most that fits with texts of one length', () => {
    fc.assert(
      fc.property(sizes, (lengths) => {
        const texts = lengths.map((length) => 'x'.repeat(length));
        const written = withLongWriter((out) => {
          const fits = writeFitting(out, () => out.value(texts));
          return fits ? (new StoredValueReader(Buffer.from(out.written)).value() as string[]) : null;
        });
        const bytesWith = (most: number) =>
          5 + lengths.reduce((sum, length) => sum + 5 + Math.min(length, most), 0);
        let most = TEXT_BYTES_MAX;
        while (bytesWith(most) > EVENT_BYTES_MAX) most /= 2;
        expect(written!.map((text) => text.length)).toEqual(lengths.map((length) => Math.min(length, most)));
      }),
      { numRuns: 15 },
    );
  }, 60_000);

  it('is nothing where that is not enough, and is asked for few times', () => {
    let tries = 0;
    withLongWriter((out) => {
      expect(
        writeFitting(out, () => {
          tries++;
          throw OUT_OF_ROOM;
        }),
      ).toBe(false);
    });
    expect(tries).toBe(2);
  });
});

describe('what was cut', () => {
  const text = longText(16 * MIB + 1, 'long');

  it('is told by the import that cuts it', async () => {
    const path = join(dir, 'in.jsonl');
    const lines = [
      { timestamp: '2024-01-01T00:00:00Z', latencyMs: 1, text },
      { timestamp: '2024-01-01T00:00:01Z', latencyMs: 2, text: 'short' },
    ];
    writeFileSync(path, lines.map((line) => `${JSON.stringify(line)}\n`).join(''));
    expect(await experiment.importFile(path)).toMatchObject({ rows: 2, skipped: 0, malformed: 0, cut: 1 });
    const [row] = await experiment.query();
    expectBeginning(row!.metadata.text, text, 16 * MIB);
    expect(row).toMatchObject({ malformed: true, malformedKeys: ['metadata.text (cut)'] });
    expect(experiment.counts).toMatchObject({ captured: 2, malformed: 1, cut: 1 });
  });

  it.each(['csv', 'jsonl', 'msgpack', 'parquet', 'arrow'] as const)(
    'is told by exports to %s, by their manifests, and by who reads them back',
    async (format) => {
      experiment.capture('e', { latencyMs: 1 }, { text, n: 1 });
      experiment.capture('e', { latencyMs: 2 }, { text: 'short', n: 2 });
      for (const options of [{}, { anonymize: { key: '0123456789abcdef' } }]) {
        const path = join(dir, `out.${format}`);
        const result = await experiment.export(format, { path, ...options });
        expect(result).toMatchObject({ rows: 2, cut: 1 });
        const manifest = JSON.parse(readFileSync(result.manifest, 'utf8')) as ExportManifest;
        expect(manifest).toMatchObject({ rows: 2, cut: 1, counts: { cut: 1 } });
      }
      const path = join(dir, `back.${format}`);
      await experiment.export(format, { path });
      const other = crucible.startExperiment({ name: 'other' });
      expect(await other.importFile(path)).toMatchObject({ rows: 2, malformed: 0, cut: 1 });
      expect(other.counts).toMatchObject({ captured: 2, malformed: 1, cut: 1 });
      const [row] = await other.query();
      expectBeginning(row!.metadata.text, text, 16 * MIB);
      expect(row).toMatchObject({ malformed: true, malformedKeys: ['metadata.text (cut)'] });
    },
    60_000,
  );

  it('is told by an archive, and after recovery', async () => {
    const durable = crucible.startExperiment({ name: 'durable', id: 'durable', dir });
    durable.capture('e', { latencyMs: 1 }, { text, n: 1 });
    await durable.flush();
    await crucible.close();
    crucible = new Crucible({ workers: 0, dir });
    await crucible.recover();
    const recovered = crucible.experiment('durable');
    const counted = { malformed: 1, cut: 1, malformedKeys: { 'metadata.text (cut)': 1 } };
    expect(recovered.counts).toEqual(countsOf({ captured: 1, ...counted }));
    const { manifest } = await recovered.archive({ destination: 'local', dir, format: 'parquet' });
    expect(JSON.parse(readFileSync(manifest!, 'utf8'))).toMatchObject({
      rows: 1,
      cut: 1,
      counts: { cut: 1 },
    });
  });
});
