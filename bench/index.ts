/** Every benchmark by name. */
import { capture } from './capture.bench.js';
import type { Bench } from './harness.js';
import { hotPath } from './hot-path.bench.js';
import { memory } from './memory.bench.js';
import { tail } from './tail.bench.js';
import { threads } from './threads.bench.js';

export const benches: Readonly<Record<string, Bench>> = {
  'hot-path': hotPath,
  capture,
  tail,
  memory,
  threads,
};
