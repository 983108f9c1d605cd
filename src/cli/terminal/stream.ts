/** What the command line needs of an output; `process.stdout` and a test's string collector both fit. */
import { isReaderGone, OutputError } from '../errors.js';

export interface TextStream {
  write(text: string): unknown;
  readonly isTTY?: boolean;
  readonly columns?: number;
  readonly rows?: number;
}

/** An output that takes a file as well. */
export interface OutputStream extends TextStream {
  /** @param done - is called when the data has been handed on, or could not be */
  write(data: string | Uint8Array, done?: (error?: Error | null) => void): unknown;
}

/** Hands the chunks on, each once the one before is gone. @throws what the output says, and what `chunks` throw */
export async function writeAll(stream: OutputStream, chunks: AsyncIterable<Uint8Array>): Promise<void> {
  for await (const chunk of chunks) {
    await new Promise<void>((resolve, reject) => {
      stream.write(chunk, (error) =>
        error ? reject(isReaderGone(error) ? error : new OutputError(error)) : resolve(),
      );
    });
  }
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
