/** Exports as DuckDB reads them: its readers of CSV and JSON share no code with ours. */

import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { Crucible, type EventRow, type Experiment } from '../../src/index.js';
import { useFolder } from './support.js';

const duckdb = await import('@duckdb/node-api').catch(() => null);
const folder = useFolder();

const START_US = 1_700_000_000_000_000;
const VALUES = [
  0,
  -0,
  0.1,
  1 / 3,
  5e-324,
  1e21,
  1e-7,
  2 ** 53 + 2,
  -12.5,
  123456.789,
  1.7976931348623157e139,
];
const TEXTS = [
  'plain',
  'a,b',
  'say "hi"',
  'two\nlines',
  'cr\rlf\r\n',
  "'quoted'",
  'é😀',
  'lone \ud800',
  ' spaced ',
  '=',
];

let crucible: Crucible;
let experiment: Experiment;
beforeEach(async () => {
  crucible = new Crucible();
  experiment = crucible.startExperiment({
    name: 'read "back"',
    capacity: 4096,
    tags: ['a', 'b,c'],
    columns: { region: 'dict', size: 'f64' },
  });
  // Recorded rows, which the kernel writes, and captured ones, which are decoded, in turns.
  TEXTS.forEach((text, i) => {
    const recorder = experiment.recorder('req_llm.request.stop', {
      model: text,
      provider: 'p',
      region: text,
    });
    VALUES.forEach((value, n) => {
      const at = START_US + 1000 * (i * VALUES.length + n);
      recorder.recordAt(
        at,
        value,
        n % 3 === 0 ? Number.NaN : Math.abs(value),
        n,
        2 * n,
        [true, false, null][n % 3],
      );
      experiment.captureAt(
        at + 1,
        `custom.${i}`,
        { value },
        { text, size: value, nested: { list: [text, n] } },
      );
    });
  });
  await experiment.stop();
});
afterEach(() => crucible.close());

async function rowsOf(sql: string): Promise<Record<string, unknown>[]> {
  const instance = await duckdb!.DuckDBInstance.create(':memory:');
  const connection = await instance.connect();
  try {
    return (await connection.runAndReadAll(sql)).getRowObjectsJS() as Record<string, unknown>[];
  } finally {
    connection.closeSync();
    instance.closeSync();
  }
}

/** As it comes through UTF-8. */
const sent = (text: string | null) => text?.replace('\ud800', '\ufffd') ?? null;
/** A cell of CSV cannot tell nothing from an empty text; no text here is empty. */
const bits = (value: unknown) => (typeof value === 'number' ? (Object.is(value, -0) ? '-0' : value) : null);

describe.skipIf(duckdb === null)('DuckDB', () => {
  async function eventsAnd(rows: Record<string, unknown>[]): Promise<[EventRow, Record<string, unknown>][]> {
    const events = await experiment.query();
    expect(events).toHaveLength(2 * TEXTS.length * VALUES.length);
    expect(rows).toHaveLength(events.length);
    return events.map((event, i) => [event, rows[i]!]);
  }

  it('reads CSV as it was written: every double to the bit, every text', async () => {
    const { path } = await experiment.export('csv', { path: join(folder(), 'back.csv') });
    const rows =
      await rowsOf(`SELECT * FROM read_csv('${path}', header = true, delim = ',', quote = '"', escape = '"',
      new_line = '\\n', strict_mode = true, all_varchar = true, nullstr = '', parallel = false)`);
    for (const [event, row] of await eventsAnd(rows)) {
      expect(row).toMatchObject({
        event_id: event.eventId,
        event_name: event.eventName,
        experiment_name: 'read "back"',
        model: sent(event.model),
        tags: 'a,b,c',
        timestamp: String(event.timestamp),
        success: event.success === null ? null : String(event.success),
        metadata_text: sent((event.metadata.text as string | undefined) ?? null),
        metadata_region: sent((event.metadata.region as string | undefined) ?? null),
      });
      for (const [name, value] of [
        ['latency_ms', event.latencyMs],
        ['cost_usd', event.costUsd],
        ['metadata_size', event.metadata.size],
        ['measurement_value', event.measurements.value],
      ] as const) {
        expect(row[name] === null ? null : bits(Number(row[name])), name).toBe(bits(value));
      }
    }
  });

  it('finds out the types of CSV by itself', async () => {
    const { path } = await experiment.export('csv', { path: join(folder(), 'types.csv') });
    const described = await rowsOf(`DESCRIBE SELECT * FROM read_csv('${path}')`);
    const types = new Map(described.map((row) => [row.column_name, row.column_type]));
    expect(types.get('timestamp')).toBe('BIGINT');
    expect(types.get('datetime')).toMatch(/^TIMESTAMP/);
    expect(types.get('latency_ms')).toBe('DOUBLE');
    expect(types.get('cost_usd')).toBe('DOUBLE');
    expect(types.get('tokens_prompt')).toBe('BIGINT');
    expect(types.get('success')).toBe('BOOLEAN');
    expect(types.get('model')).toBe('VARCHAR');
  });

  it('reads JSON Lines as they were written', async () => {
    const { path } = await experiment.export('jsonl', { path: join(folder(), 'back.jsonl') });
    const rows = await rowsOf(`SELECT event_id, model, latency_ms, cost_usd, success, timestamp, tokens,
      metadata::JSON AS metadata FROM read_json('${path}', format = 'newline_delimited', columns = {
        event_id: 'VARCHAR', model: 'VARCHAR', latency_ms: 'DOUBLE', cost_usd: 'DOUBLE', success: 'BOOLEAN',
        timestamp: 'BIGINT', tokens: 'STRUCT(prompt INTEGER, completion INTEGER, total INTEGER)', metadata: 'JSON' })`);
    for (const [event, row] of await eventsAnd(rows)) {
      expect(row).toMatchObject({
        event_id: event.eventId,
        model: sent(event.model),
        success: event.success,
        timestamp: BigInt(event.timestamp),
        tokens: event.tokens,
      });
      // A JSON number without a point is an integer to DuckDB, and integers have no −0.
      expect(bits(row.latency_ms)).toBe(bits(event.latencyMs === 0 ? 0 : event.latencyMs));
      expect(bits(row.cost_usd)).toBe(bits(event.costUsd));
      const expected = JSON.parse(JSON.stringify(event.metadata).replaceAll('\\ud800', '\ufffd')) as object;
      expect(JSON.parse(String(row.metadata).replaceAll('-0,', '0,'))).toEqual(expected);
    }
  });

  it('sees it when a byte has changed', async () => {
    const { path } = await experiment.export('csv', { path: join(folder(), 'changed.csv') });
    const sum = async () =>
      (await rowsOf(`SELECT sum(hash(COLUMNS(*)::VARCHAR)) FROM read_csv('${path}')`))[0];
    const { readFile, writeFile } = await import('node:fs/promises');
    const whole = await sum();
    const bytes = await readFile(path);
    const at = bytes.indexOf('0.3333333333333333');
    bytes[at + 5]! ^= 1;
    await writeFile(path, bytes);
    expect(await sum()).not.toEqual(whole);
  });
});
