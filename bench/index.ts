/** Every benchmark by name. */

import { capture } from './capture.bench.js';
import type { Bench } from './harness.js';
import { hotPath } from './hot-path.bench.js';

export const benches: Readonly<Record<string, Bench>> = { 'hot-path': hotPath, capture };
