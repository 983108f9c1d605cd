/**
 * How fast do rows become MessagePack, and files events again?
 *
 * The encoder works from blocks of rows; @msgpack/msgpack's Encoder gets finished objects, one a row, which nobody
 * has to make for it. Rows of recorders, and captured ones with metadata of their own. Imports read files of ours.
 */
import { join } from 'node:path';
import { performance } from 'node:perf_hooks';
import { Encoder } from '@msgpack/msgpack';
import type { EventWriter } from '../src/capture/event-writer.js';
import { systemClock } from '../src/clock.js';
import { resolveOptions } from '../src/experiment/options.js';
import { Stores } from '../src/experiment/stores.js';
import { jsonRecord } from '../src/export/jsonl.js';
import { MapWriter } from '../src/export/msgpack/rows.js';
import { Crucible, type ExportFormat, REFERENCE_PRICES } from '../src/index.js';
import { RowTable } from '../src/readers/row-table.js';
import { withFolder } from './durable.bench.js';
import { type Bench, nsText, type Row, type Scale, syntheticCalls, time } from './harness.js';

const START_US = 1.7e15;
const EVENT = 'req_llm.request.stop';
const BOUND = { model: 'gpt-4', provider: 'openai' };
const FORMATS: readonly ExportFormat[] = ['csv', 'jsonl', 'msgpack', 'arrow', 'parquet'];

type Fill = (writer: Pick<EventWriter, 'recorder' | 'capture'>, rows: number) => void;

const record: Fill = (writer, rows) => {
  const { latencies, costs } = syntheticCalls(rows);
  const recorder = writer.recorder(EVENT, BOUND);
  for (let i = 0; i < rows; i++) {
    recorder.recordAt(START_US + i, latencies[i], costs[i], i % 4000, i % 900, i % 20 !== 0);
  }
};

const capture: Fill = (writer, rows) => {
  const { latencies } = syntheticCalls(rows);
  for (let i = 0; i < rows; i++) {
    const tokens = { prompt: i % 4000, completion: i % 900, total: (i % 4000) + (i % 900) };
    const metadata = {
      ...BOUND,
      tokens,
      user_id: `user-${i % 1000}`,
      response: `answer ${i}`,
      temperature: 0.7,
    };
    writer.capture(EVENT, { duration: latencies[i] * 1e6 }, metadata, undefined, START_US + i);
  }
};

function encodingRow(name: string, fill: Fill, scale: Scale): Row {
  const rows = scale.smoke ? 1024 : 16_384;
  const options = resolveOptions({ name: 'bench', capacity: rows });
  const { writer, reader, source } = new Stores(options, { clock: systemClock, prices: REFERENCE_PRICES });
  fill(writer, rows);
  writer.ring.publish();
  const blocks = reader.chunks().map((chunk) => {
    const batch = reader.read(chunk)!;
    const all = Uint32Array.from({ length: batch.rows }, (_, row) => row);
    const table = new RowTable();
    table.add(batch, all);
    return { table, rows: all, events: undefined };
  });
  const documents = blocks.flatMap(({ table, rows }) =>
    Array.from(rows, (row) => jsonRecord(table.event(source, row))),
  );
  const ours = new MapWriter();
  const theirs = new Encoder();
  const [mine, peer] = time(
    [
      {
        name,
        operations: documents.length,
        run: () => blocks.reduce((sum, block) => sum + ours.rows(source, block).length, 0),
      },
      {
        name: 'Encoder',
        operations: documents.length,
        run: () => documents.reduce((sum, document) => sum + theirs.encodeSharedRef(document).length, 0),
      },
    ],
    scale,
  );
  const times = peer.ns / mine.ns;
  return {
    name,
    value: `${nsText(mine.ns)} a row`,
    against: `${times.toFixed(1)} × quicker than @msgpack/msgpack on finished objects (${nsText(peer.ns)})`,
    bound: '≥ 3 ×',
    holds: times >= 3,
  };
}

async function importRow(format: ExportFormat, dir: string, scale: Scale): Promise<Row> {
  const rows = scale.smoke ? 2000 : 300_000;
  const path = join(dir, `rows.${format}`);
  const identity = { name: 'bench', id: 'bench', capacity: rows, producers: 1 };
  await using crucible = new Crucible();
  const first = crucible.startExperiment(identity);
  record({ recorder: (event, bound) => first.recorder(event, bound), capture: () => {} }, rows);
  await first.export(format, { path, ...(format === 'parquet' && { compression: 'snappy' as const }) });
  await first.cleanup();
  let least = Number.POSITIVE_INFINITY;
  for (let round = 0; round < (scale.smoke ? 1 : 3); round++) {
    const experiment = crucible.startExperiment(identity);
    const start = performance.now();
    await experiment.importFile(path);
    least = Math.min(least, performance.now() - start);
    await experiment.cleanup();
  }
  const microseconds = (least * 1000) / rows;
  return {
    name: `import of our own ${format}`,
    value: `${microseconds.toFixed(1)} µs a row`,
    against: '',
    bound: '≤ 3 µs',
    holds: microseconds <= 3,
  };
}

export const exportMsgpack: Bench = {
  question: 'How fast do rows become MessagePack, and files events again?',
  not: 'making the objects that the library encodes',
  async rows(scale) {
    const imports = await withFolder(async (dir) => {
      const found: Row[] = [];
      for (const format of FORMATS) found.push(await importRow(format, dir, scale));
      return found;
    });
    return [
      encodingRow('rows of a recorder', record, scale),
      encodingRow('captured rows', capture, scale),
      ...imports,
    ];
  },
};
