/** Counts of an experiment of which nothing was lost, but for what is given. */

import type { RefusedCounts } from '../../src/capture/losses.js';
import type { ExperimentCounts } from '../../src/experiment/counts.js';

type Given = Partial<Omit<ExperimentCounts, 'refused'>> & { refused?: Partial<RefusedCounts> };

const NOTHING_REFUSED: RefusedCounts = { total: 0, full: 0, stopped: 0, closed: 0, readOnly: 0, paused: 0 };

/** @param given - `retained` is `captured` unless it is given */
export function countsOf({ captured = 0, refused, ...rest }: Given): ExperimentCounts {
  return {
    captured,
    retained: captured,
    dropped: 0,
    damaged: 0,
    malformed: 0,
    cut: 0,
    malformedKeys: {},
    ...rest,
    refused: { ...NOTHING_REFUSED, ...refused },
  };
}
