/** Every benchmark by name. */
import { analysis } from './analysis.bench.js';
import { capture } from './capture.bench.js';
import { durable } from './durable.bench.js';
import { exportCaptured } from './export-captured.bench.js';
import { exportColumns } from './export-columns.bench.js';
import { exportMemory } from './export-memory.bench.js';
import { exportMsgpack } from './export-msgpack.bench.js';
import { exportStreams } from './export-streams.bench.js';
import { exportText } from './export-text.bench.js';
import type { Bench } from './harness.js';
import { hotPath } from './hot-path.bench.js';
import { instrument } from './instrument.bench.js';
import { memory } from './memory.bench.js';
import { peersMemory } from './peers/memory.bench.js';
import { peers } from './peers.bench.js';
import { reading } from './reading.bench.js';
import { responsive } from './responsive.bench.js';
import { service } from './service.bench.js';
import { suite } from './suite.bench.js';
import { tail } from './tail.bench.js';
import { threads } from './threads.bench.js';

export const benches: Readonly<Record<string, Bench>> = {
  'hot-path': hotPath,
  capture,
  tail,
  memory,
  threads,
  durable,
  reading,
  analysis,
  responsive,
  'export-text': exportText,
  'export-columns': exportColumns,
  'export-msgpack': exportMsgpack,
  'export-captured': exportCaptured,
  'export-memory': exportMemory,
  'export-streams': exportStreams,
  instrument,
  service,
  peers,
  'peers-memory': peersMemory,
  suite,
};
