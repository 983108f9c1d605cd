/** The reference's own exports, cell by cell, and the way back through our import. */

import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { type EncodeOptions, exportChunks, exportFile } from '../../src/export/index.js';
import { type ImportedRecord, importRecords } from '../../src/import/index.js';
import type { EventRow, Json, Tokens } from '../../src/schema/event.js';
import { cellValue, fixturePath } from '../support/fixtures.js';
import { event, readCsv, sourceOf, textOf, useFolder } from './support.js';

const golden = fixturePath('golden');
const folder = useFolder();

/** Keys every reference event has; the others are its category's fields. */
const COMMON = new Set(
  'cohort condition cost_usd event_id event_name experiment_id experiment_name latency_ms measurements metadata model provider sample_id session_id success tags timestamp user_id'.split(
    ' ',
  ),
);

type GoldenEvent = Record<string, Json> & {
  metadata: Record<string, Json>;
  measurements: Record<string, Json>;
};

async function goldenEvents(): Promise<GoldenEvent[]> {
  const lines = (await readFile(join(golden, 'export_60.jsonl'), 'utf8')).trim().split('\n');
  return lines.map((line) => JSON.parse(line) as GoldenEvent);
}

function rowOf(from: GoldenEvent, sequence: number): EventRow {
  const camel = (name: string) => name.replace(/_([a-z])/g, (_, letter: string) => letter.toUpperCase());
  return event({
    eventId: from.event_id as string,
    eventName: (from.event_name as string[]).join('.'),
    timestamp: from.timestamp as number,
    sequence,
    experimentId: from.experiment_id as string,
    experimentName: from.experiment_name as string,
    condition: from.condition as string,
    tags: from.tags as string[],
    measurements: from.measurements,
    metadata: from.metadata,
    latencyMs: from.latency_ms as number | null,
    costUsd: from.cost_usd as number | null,
    success: from.success as boolean | null,
    tokens: (from.metadata.tokens as unknown as Tokens | undefined) ?? null,
    model: from.model as string | null,
    provider: from.provider as string | null,
    sessionId: from.session_id!,
    userId: from.user_id!,
    sampleId: from.sample_id!,
    cohort: from.cohort!,
    fields: Object.fromEntries(
      Object.entries(from)
        .filter(([key]) => !COMMON.has(key))
        .map(([key, value]) => [camel(key), value]),
    ),
  });
}

describe('golden exports', () => {
  it.each<[string, EncodeOptions]>([
    ['export_60.csv', {}],
    ['export_flat_false_60.csv', { flatten: false }],
  ])('%s, cell by cell', async (file, options) => {
    const rows = (await goldenEvents()).map(rowOf);
    const expected = await readCsv(await readFile(join(golden, file), 'utf8'));
    const text = await textOf(exportChunks(sourceOf(...rows), 'csv', options));
    const actual = await readCsv(text);
    expect(actual).toHaveLength(60);

    const header = text.slice(0, text.indexOf('\n')).split(',');
    const columns = Object.keys(expected[0]!);
    expect(header.filter((name) => columns.includes(name))).toEqual(columns);
    if (options.flatten === false) expect(header).toEqual(columns);
    for (const [i, row] of expected.entries()) {
      for (const column of columns) {
        expect(cellValue(actual[i]![column]!), `row ${i}, ${column}`).toBe(cellValue(row[column]!));
      }
    }
  });

  it('export_60.jsonl, with dot-joined event names', async () => {
    const events = await goldenEvents();
    const text = await textOf(exportChunks(sourceOf(...events.map(rowOf)), 'jsonl'));
    const actual = text
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line) as Record<string, Json>);
    expect(actual).toHaveLength(60);
    for (const [i, from] of events.entries()) {
      expect(actual[i]).toMatchObject({ ...from, event_name: (from.event_name as string[]).join('.') });
    }
  });

  it.each(['csv', 'jsonl'])('%s can be imported again', async (format) => {
    // The reference's ids are not of the form by which our own files are known.
    const events = (await goldenEvents()).map((from, i) => ({
      ...rowOf(from, i),
      eventId: `golden-00-${i.toString(16).padStart(10, '0')}`,
    }));
    const { path } = await exportFile(sourceOf(...events), format, { dir: folder(), name: 'again' });
    const records: ImportedRecord[] = [];
    const summary = await importRecords(path, {}, (record) => {
      records.push(record);
    });
    expect(summary).toMatchObject({ rows: 60, skipped: 0, problems: 0 });
    for (const [i, row] of events.entries()) {
      const { metadata, restored, ...core } = records[i]!;
      expect(core).toEqual({
        timestampUs: row.timestamp,
        event: row.eventName,
        latencyMs: row.latencyMs,
        costUsd: row.costUsd,
        promptTokens: row.tokens?.prompt ?? null,
        completionTokens: row.tokens?.completion ?? null,
        success: row.success,
        model: row.model,
        provider: row.provider,
        isPartial: false,
        malformedKeys: [],
      });
      // A CSV cannot say where nested metadata was split; its plain keys come back.
      for (const [key, value] of Object.entries(row.metadata)) {
        if (format === 'jsonl' || typeof value !== 'object') expect(metadata[key]).toEqual(value);
      }
      expect(restored).toMatchObject({
        eventId: row.eventId,
        costSource: row.costSource,
        malformed: row.malformed,
      });
      expect(Object.keys(metadata)).not.toContain('datetime');
    }
  });
});
