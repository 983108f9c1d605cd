/** A file of batches of columns, one after the other. */

import type { Stage } from './stages.js';

/** Rows that make a batch; of each column a stage. */
export interface GatheredRows {
  readonly rows: number;
  readonly stages: readonly Stage[];
}

/** A file that has been begun: where its batches stand is counted from the end of its head. */
export interface ColumnarFile {
  readonly head: Uint8Array;
  /** The rows gathered, as the file has them; valid until the next call. */
  batch(rows: GatheredRows): Uint8Array;
  /** What comes behind the last batch. */
  end(): Uint8Array;
}
