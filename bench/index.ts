/** Every benchmark by name. */
import type { Bench } from './harness.js';
import { hotPath } from './hot-path.bench.js';
import { peersMemory } from './peers/memory.bench.js';
import { peers } from './peers.bench.js';
import { suite } from './suite.bench.js';

export const benches: Readonly<Record<string, Bench>> = {
  'hot-path': hotPath,
  peers,
  'peers-memory': peersMemory,
  suite,
};
