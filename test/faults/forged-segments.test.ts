/**
 * Segments in which somebody has changed what is stated, and made the checksums right again. Whatever reads them gives
 * events as their types say, or a typed damage: no TypeError, and nothing that an encoder cannot write.
 */
import { cpSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { finished } from 'node:stream/promises';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Crucible, type EventRow, type Experiment, TelemetryError } from '../../src/index.js';
import { sealMessage } from '../../src/storage/segment/seal.js';
import { messageBounds } from '../storage/segment/support.js';
import { rounds } from '../support/effort.js';

const ID = 'forged';
const FORMATS = ['csv', 'jsonl', 'msgpack', 'parquet', 'arrow'] as const;

let top: string;
let segments: string[];
beforeAll(async () => {
  top = mkdtempSync(join(tmpdir(), 'crucible-forged-'));
  await using crucible = new Crucible({ dir: join(top, 'pattern'), workers: 0 });
  const experiment = crucible.startExperiment({
    name: 'e',
    id: ID,
    events: 'all',
    columns: { shard: 'dict', n: 'i32', size: 'f64', cached: 'bool' },
  });
  const recorder = experiment.recorder('recorded', { model: 'm', provider: 'p', tag: 'bound' });
  for (let n = 0; n < 60; n++) {
    recorder.record(n, n / 8, n, 2 * n, n % 2 === 0);
    const nested = { list: [n, 'two', null, { deep: true }], text: 'x'.repeat(n % 40), user_id: `u${n % 3}` };
    const measured = { durationMs: n, custom: 1.5 * n, odd: n % 7 === 0 ? Number.NaN : 1 };
    experiment.capture(`captured ${n % 2}`, measured, {
      model: 'm',
      shard: `s${n % 5}`,
      n,
      cached: true,
      ...nested,
    });
    experiment.capture('plain', {}, { model: `m${n % 2}`, temperature: 0.5 });
  }
  // Rows that come back from a file keep beside their metadata what does not follow from that.
  const { path } = await experiment.export('jsonl', { path: join(top, 'once.jsonl') });
  await experiment.importFile(path);
  await experiment.stop();
  segments = readdirSync(join(top, 'pattern', ID)).filter((name) => name.endsWith('.arrows'));
});
afterAll(() => rmSync(top, { recursive: true }));

/** Changes a stated thing in the bytes of a message's body. */
type Change = (body: Buffer) => void;

const TEXT_HEADS = (byte: number) => (byte >= 0xa0 && byte < 0xc0) || byte === 0xd9;
const setNth =
  (nth: number, isWanted: (byte: number) => boolean, value: number): Change =>
  (body) => {
    const places = [...body.keys()].filter((at) => isWanted(body[at]!));
    if (places.length > 0) body[places[nth % places.length]!] = value;
  };

/** A list of numbers in the place of the nth stored text that is long enough. */
const listInPlaceOf =
  (nth: number): Change =>
  (body) => {
    const bytesAt = (at: number) => (body[at] === 0xd9 ? 2 + body[at + 1]! : 1 + (body[at]! & 31));
    const places = [...body.keys()].filter((at) => {
      const isLong = TEXT_HEADS(body[at]!) && bytesAt(at) >= 5 && at + bytesAt(at) <= body.length;
      return isLong && /^[-\w.]+$/.test(body.toString('latin1', at + 2, at + bytesAt(at)));
    });
    if (places.length === 0) return;
    const at = places[nth % places.length]!;
    const numbers = bytesAt(at) - 5;
    body[at] = 0xdd;
    body.writeUInt32BE(numbers, at + 1);
    body.fill(1, at + 5, at + 5 + numbers);
  };

/** Of the same length, so that nothing else has to change. */
const SUBSTITUTES = [
  ['"m"', '777'],
  ['"m"', '[1]'],
  ['"m"', '{} '],
  ['"p"', 'nul'],
  ['"plain"', ' 12345 '],
  ['"plain"', '["ain"]'],
  ['"recorded"', '1234567890'],
  ['{"tag":"bound"}', '[1,2,3,4,5,6,7]'],
  ['{"tag":"bound"}', '           null'],
  ['{}', '[]'],
  ['{}', '""'],
  ['"bound"', '"\\ud800'],
  ['s1', '\xff\xfe'],
] as const;

const substituted =
  ([from, to]: readonly [string, string]): Change =>
  (body) => {
    const found = body.indexOf(from);
    if (found >= 0) body.write(to, found, 'latin1');
  };

const change: fc.Arbitrary<{ what: string; change: Change }> = fc.oneof(
  fc
    .record({ nth: fc.nat(), value: fc.nat(255) })
    .map(({ nth, value }) => ({ what: `byte ${nth} = ${value}`, change: setNth(nth, () => true, value) })),
  fc
    .record({ nth: fc.nat(), value: fc.constantFrom(0, 5, 0xc0, 0xc3, 0xcb, 0xce, 0xdd, 0xde, 0xa0, 0xdb) })
    .map(({ nth, value }) => ({ what: `text ${nth} = ${value}`, change: setNth(nth, TEXT_HEADS, value) })),
  fc.record({ nth: fc.nat(), value: fc.constantFrom(0xdd, 0xc0, 0xa0, 7) }).map(({ nth, value }) => ({
    what: `map ${nth} = ${value}`,
    change: setNth(nth, (byte) => byte === 0xde, value),
  })),
  fc.nat().map((nth) => ({ what: `list ${nth}`, change: listInPlaceOf(nth) })),
  fc
    .constantFrom(...SUBSTITUTES)
    .map((texts) => ({ what: `${texts[0]} = ${texts[1]}`, change: substituted(texts) })),
);

/** A folder whose segment has a change in the `message`-th of its messages, or in all of them. */
function forged(message: number | null, make: Change): string {
  const dir = mkdtempSync(join(top, 'copy-'));
  cpSync(join(top, 'pattern'), dir, { recursive: true });
  for (const name of segments) {
    const path = join(dir, ID, name);
    const bytes = readFileSync(path);
    const bounds = messageBounds(bytes);
    // The first is the schema; what ends the stream has no body.
    const count = bounds.length - 3;
    for (let i = 1; i <= count; i++) {
      if (message !== null && i !== 1 + (message % count)) continue;
      const [start, end] = [bounds[i]!, bounds[i + 1]!];
      const headEnd = start + 8 + bytes.readInt32LE(start + 4);
      make(bytes.subarray(headEnd, end));
      sealMessage(bytes, start, headEnd, end);
    }
    writeFileSync(path, bytes);
  }
  return dir;
}

const isText = (value: unknown) => typeof value === 'string';
const isTextOrNull = (value: unknown) => value === null || isText(value);

function expectSound(event: EventRow): void {
  const {
    eventId,
    eventName,
    timestamp,
    metadata,
    measurements,
    model,
    provider,
    malformedKeys,
    costSource,
  } = event;
  const texts = [eventId, eventName].every(isText) && [model, provider, costSource].every(isTextOrNull);
  const objects = [metadata, measurements, event.fields].every(
    (value) => typeof value === 'object' && value !== null && !Array.isArray(value),
  );
  const isSound = texts && objects && Number.isFinite(timestamp) && malformedKeys.every(isText);
  if (!isSound) throw new Error(`no event: ${JSON.stringify(event)}`);
}

/** Everything that reads. @returns what came of it: 'read', or the code of a typed error */
async function readAll(dir: string): Promise<string[]> {
  const outcomes: string[] = [];
  const attempt = async <T>(read: () => Promise<T>): Promise<T | undefined> => {
    try {
      const result = await read();
      outcomes.push('read');
      return result;
    } catch (error) {
      if (!(error instanceof TelemetryError)) throw error;
      outcomes.push(error.code);
      return undefined;
    }
  };
  await using crucible = new Crucible({ workers: 0 });
  const report = await crucible.recover(dir, { readOnly: true });
  expect(report.experiments).toHaveLength(1);
  const experiment: Experiment | undefined = crucible.experiments()[0];
  if (experiment === undefined) {
    expect(report.experiments[0]!.error).not.toBeNull();
    return ['none'];
  }
  for (const event of (await attempt(() => experiment.query())) ?? []) expectSound(event);
  await attempt(() => experiment.query({ model: 'm', where: { list: 5, tag: 'bound' } }));
  await attempt(() => experiment.metrics());
  await attempt(() => experiment.metricsBy('shard'));
  await attempt(() => experiment.windowedMetrics({ sizeUs: 1e6, stepUs: 1e6 }));
  for (const format of FORMATS) {
    await attempt(() => experiment.export(format, { path: join(dir, `out.${format}`) }));
  }
  await attempt(() =>
    experiment.export('jsonl', { path: join(dir, 'flat'), anonymize: { key: '0123456789abcdef' } }),
  );
  await attempt(() => finished(experiment.exportStream('csv').resume()));
  // Whoever counts finds what can be read.
  const rows = (await attempt(() => experiment.query()))?.length ?? experiment.counts.retained;
  expect(experiment.counts.retained).toBe(rows);
  return outcomes;
}

describe('a segment whose content is not what its schema says', () => {
  it.each(SUBSTITUTES.map(([from, to]) => [from, to] as const))(
    'is read or refused as damage: %s replaced by %s',
    async (from, to) => {
      const dir = forged(null, substituted([from, to]));
      const outcomes = await readAll(dir);
      expect(outcomes.filter((code) => !['read', 'none', 'ERR_NO_DATA'].includes(code))).toEqual([]);
    },
  );

  it('is read or refused, whatever was changed', { timeout: 300_000 }, async () => {
    await fc.assert(
      fc.asyncProperty(fc.nat(), change, async (message, { change: make }) => {
        const dir = forged(message, make);
        try {
          await readAll(dir);
        } finally {
          rmSync(dir, { recursive: true });
        }
      }),
      { numRuns: rounds(20, 200) },
    );
  });
});
