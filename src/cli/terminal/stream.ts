/** What the command line needs of an output; `process.stdout` and a test's string collector both fit. */

export interface TextStream {
  write(text: string): unknown;
  readonly isTTY?: boolean;
  readonly columns?: number;
  readonly rows?: number;
}

/** Below this, tables would be cut to nothing; such a terminal wraps instead. */
const MIN_WIDTH = 40;
/** A pipe has no edge; this is where sentences wrap. */
const PIPE_WIDTH = 120;
const DEFAULT_ROWS = 24;

/** Usable columns. */
export function widthOf(stream: TextStream): number {
  return Math.max(MIN_WIDTH, stream.columns || PIPE_WIDTH);
}

export function rowsOf(stream: TextStream): number {
  return stream.rows || DEFAULT_ROWS;
}
