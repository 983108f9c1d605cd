/**
 * How much memory does a stream take that its reader has stopped, and how many threads do many of them take?
 *
 * Each format runs in a process of its own: 150 streams of one experiment are begun and read in turn, a piece at a time,
 * so that none comes to its end before all others are under way.
 */
import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import type { StreamsCost, StreamsJob } from './export-streams.process.js';
import type { Bench, Row, Scale } from './harness.js';

const STREAMS = 150;
const ROWS = 300_000;

const SUBJECTS: readonly (Pick<StreamsJob, 'format' | 'layout'> & { name: string; limitMb: number })[] = [
  { name: 'csv', format: 'csv', layout: null, limitMb: 5 },
  { name: 'jsonl', format: 'jsonl', layout: null, limitMb: 5 },
  { name: 'msgpack', format: 'msgpack', layout: 'rows', limitMb: 5 },
  { name: 'msgpack, columns', format: 'msgpack', layout: 'columns', limitMb: 10 },
  { name: 'arrow', format: 'arrow', layout: 'file', limitMb: 10 },
  { name: 'parquet', format: 'parquet', layout: null, limitMb: 10 },
];

/** When this runs from the sources, the process is the built one. */
const PROCESS = fileURLToPath(
  new URL(
    import.meta.url.endsWith('.ts')
      ? '../dist/bench/export-streams.process.js'
      : './export-streams.process.js',
    import.meta.url,
  ),
);

async function run(job: StreamsJob): Promise<StreamsCost> {
  const { stdout } = await promisify(execFile)(process.execPath, [
    '--expose-gc',
    PROCESS,
    JSON.stringify(job),
  ]);
  return JSON.parse(stdout) as StreamsCost;
}

async function rows({ smoke }: Scale): Promise<Row[]> {
  const streams = smoke ? 3 : STREAMS;
  const results: Row[] = [];
  for (const { name, format, layout, limitMb } of smoke ? SUBJECTS.slice(0, 1) : SUBJECTS) {
    const { threads, warmBytes, peakBytes } = await run({
      format,
      layout,
      rows: smoke ? 5000 : ROWS,
      streams,
    });
    const eachMb = (peakBytes - warmBytes) / streams / 1e6;
    results.push({
      name,
      value: `${eachMb.toFixed(1)} MB a stream`,
      against: `${streams} streams, ${threads} threads more than for one, ${(peakBytes / 1e6).toFixed(0)} MB in all`,
      bound: `≤ ${limitMb} MB`,
      holds: eachMb <= limitMb,
    });
  }
  return results;
}

export const exportStreams: Bench = {
  question: 'How much memory does an export stream take that its reader has stopped, in each format?',
  not: 'metadata beyond the columns, compression of whole streams; what the experiment itself takes',
  rows,
};
