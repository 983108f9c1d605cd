/**
 * Archives and compacted segments, made by nothing but the packed package, read by programs of others: each event is
 * there as it was put in. `CRUCIBLE_LONG=1` does the same with a million rows.
 */

import { mkdtempSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { isDeepStrictEqual } from 'node:util';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Experiment } from '../../src/index.js';
import { IS_LONG, LONG_ROWS } from '../support/effort.js';
import { type Compared, compareColumns, compareDocuments, compareSegment } from './compare.js';
import { type Installed, installed } from './package.js';
import {
  byHyparquet,
  byLines,
  byParquetWasm,
  type DocumentReader,
  parquetByDuckDb,
  parquetByPolars,
  polars,
  type Reader,
} from './readers.js';
import { type Arm, armsOf, DECLARED, eventOf, FileOrder, fill, type JsonObject, trueRow } from './truth.js';

const SIZES = IS_LONG ? [LONG_ROWS] : [0, 1, 10, 16_384, 100_000];
const TIMEOUT_MS = IS_LONG ? 1_800_000 : 300_000;

const PARQUET: Readonly<Record<string, Reader>> = {
  hyparquet: byHyparquet,
  DuckDB: parquetByDuckDb,
  'parquet-wasm': byParquetWasm,
  ...(polars !== null && { polars: parquetByPolars }),
};

let product: Installed;
let folder: string;
beforeAll(async () => {
  product = await installed();
  folder = mkdtempSync(join(product.folder, 'files-'));
}, 120_000);
afterAll(() => product.remove());

/** The first line of an archive tells the experiment, the others an event each. */
const events: DocumentReader = async function* (path) {
  let isFirst = true;
  for await (const { type, data } of byLines(path)) {
    if (type !== (isFirst ? 'experiment_metadata' : 'event')) throw new Error(`a line of type ${type}`);
    if (!isFirst) yield data as JsonObject;
    isFirst = false;
  }
};

/** A Parquet archive is an export. Without events it has no columns to be compared. */
async function checkExport(path: string, arm: Arm): Promise<void> {
  for (const [name, reader] of Object.entries(PARQUET)) {
    if (arm.rows === 0) continue;
    expect((await compareColumns(path, reader, new FileOrder([arm]))).rows, name).toBe(arm.rows);
  }
}

async function checkSegments(paths: readonly string[], arm: Arm): Promise<void> {
  for (const [name, reader] of Object.entries(PARQUET)) {
    const all: Reader = async function* () {
      for (const path of paths) yield* reader(path);
    };
    const compared: Compared = await compareSegment(all, arm, Object.keys(DECLARED));
    expect(compared.rows, name).toBe(arm.rows);
  }
}

const DURABLE = [true, false];

describe.each(SIZES)('%d rows', (rows) => {
  it.each(DURABLE)(
    'archived say what was put in, durable: %s',
    async (durable) => {
      // Both formats meet both kinds of storage, and both numbers of workers.
      const [at, isOdd] = [SIZES.indexOf(rows), SIZES.indexOf(rows) % 2 === 1];
      const format = durable === isOdd ? 'jsonl' : 'parquet';
      await using crucible = new product.library.Crucible({ workers: at % 4 < 2 ? 0 : 1 });
      const [arm] = armsOf(`archive-${rows}-${durable}`, rows);
      const experiment = await filled(crucible, arm!, durable);
      const path = join(folder, `archive-${rows}.${format}`);
      const result = await experiment.archive({ destination: 'local', format, path });
      expect(result).toMatchObject({ rows, unreadable: 0, verified: true });
      if (format === 'parquet') await checkExport(path, arm!);
      else {
        const order = new FileOrder([arm!]);
        const compared = await compareDocuments(path, events, order, eventOf, 'eventId');
        expect(compared.rows).toBe(rows);
      }
    },
    TIMEOUT_MS,
  );

  it(
    'compacted say what was put in, to others and to an export',
    async () => {
      await using crucible = new product.library.Crucible({ workers: SIZES.indexOf(rows) % 2 });
      const [arm] = armsOf(`compact-${rows}`, rows);
      const experiment = await filled(crucible, arm!, true);
      await experiment.stop();
      await experiment.compact();
      const data = experiment.storage!.folder;
      const names = readdirSync(data).sort();
      expect(names.filter((name) => name.endsWith('.arrows'))).toEqual([]);
      const segments = names.filter((name) => name.endsWith('.parquet')).map((name) => join(data, name));
      expect(segments.length > 0).toBe(rows > 0);
      await checkSegments(segments, arm!);
      if (rows === 0) return;
      const path = join(folder, 'compacted.jsonl');
      await experiment.export('jsonl', { path });
      expect((await compareDocuments(path, byLines, new FileOrder([arm!]))).rows).toBe(rows);
    },
    TIMEOUT_MS,
  );
});

async function filled(
  crucible: InstanceType<Installed['library']['Crucible']>,
  arm: Arm,
  durable: boolean,
): Promise<Experiment> {
  const experiment = crucible.startExperiment({
    ...(durable && { dir: join(folder, 'data') }),
    id: arm.id,
    name: arm.name,
    condition: arm.condition,
    tags: arm.tags,
    columns: DECLARED,
    capacity: arm.rows + 2048,
  });
  fill(arm, experiment);
  await experiment.flush();
  return experiment;
}

it('is found out when an event differs', async () => {
  const [arm] = armsOf('differs', 100);
  const order = new FileOrder([arm!]);
  const ids = (index: number) => `${arm!.id}-00-${index.toString(16).padStart(10, '0')}`;
  const read = (change: (event: JsonObject, place: number) => JsonObject): DocumentReader =>
    async function* () {
      for (let place = 0; place < order.rows; place++) {
        const row = order.at(place);
        yield change({ ...eventOf(row), eventId: ids(row.index) }, place);
      }
    };
  const compared = (reader: DocumentReader) => compareDocuments('', reader, order, eventOf, 'eventId');
  expect((await compared(read((event) => event))).rows).toBe(100);
  const changes: ((event: JsonObject, place: number) => JsonObject)[] = [
    (event, place) => (place === 7 ? { ...event, latencyMs: 1e9 } : event),
    (event, place) => (place === 40 ? { ...event, eventId: ids(0) } : event),
    (event, place) => (place === 99 ? { ...event, metadata: { more: 1 } } : event),
    ({ costUsd: _, ...event }) => event,
  ];
  for (const change of changes) await expect(compared(read(change))).rejects.toThrow('expected');
  expect(isDeepStrictEqual(eventOf(trueRow(arm!, 2)), eventOf(trueRow(arm!, 6)))).toBe(false);
});
