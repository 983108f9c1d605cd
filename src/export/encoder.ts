/**
 * The seam between events and files.
 *
 * An encoder turns rows into text or bytes, one at a time and without I/O. A format is a way to open an encoder
 * on a source; one that must see all rows first (CSV needs the union of the columns) reads the source once for
 * that, and the rows are encoded on a second pass.
 */

import { ExportError } from '../errors.js';
import type { OrderedRows } from '../readers/ordered.js';
import type { RowSource } from '../readers/rows.js';
import type { EventRow, Json } from '../schema/event.js';
import type { ColumnPlan } from './plan.js';

/**
 * Events that can be read more than once. Every pass must give the same rows: a caller whose experiment is still
 * capturing hands in a snapshot.
 */
export type EventSource = () => AsyncIterable<EventRow>;

export type Chunk = string | Uint8Array;

export interface RowEncoder {
  /** Column names in file order; null where every row names its own. */
  readonly columns: readonly string[] | null;
  /** What comes before the first row; may be empty. */
  header(): Chunk;
  /** One row, with its separator. May be empty where a format gathers rows; `footer` then gives the rest. */
  row(event: EventRow): Chunk;
  footer?(): Chunk;
}

export interface EncodeOptions {
  /**
   * CSV, Arrow, Parquet: metadata and measurements as columns of their own (default), or just the base columns; in
   * Arrow and Parquet with one column of JSON text for each of the two.
   */
  flatten?: boolean;
  /** JSONL: indented over several lines. */
  pretty?: boolean;
  /** CSV: text that a spreadsheet would run as a formula gets an apostrophe in front. */
  csvSafe?: boolean;
  /** Parquet: the codec of its pages; other formats: of the whole file, where they allow one. */
  compression?: 'none' | 'gzip' | 'zstd' | 'snappy';
  /** Arrow: 'file' (default) or 'stream'. MessagePack: 'rows' (default) or 'columns'. */
  layout?: 'file' | 'stream' | 'rows' | 'columns';
  /** Parquet: rows of a row group, at most; default 131,072. */
  rowGroupRows?: number;
}

export interface RowFormatDefinition {
  readonly format: string;
  /** File name extension, without the dot. */
  readonly extension: string;
  open(source: EventSource, options: EncodeOptions): Promise<RowEncoder>;
}

/** What is told of an experiment whose rows are exported, beside the rows. */
export interface ExperimentAbout {
  readonly id: string;
  readonly name: string;
  readonly condition: string;
  readonly hypothesis?: string | null;
  readonly tags?: readonly string[];
  readonly metadata?: Readonly<Record<string, Json>>;
  /** In µs since the Unix epoch; stoppedAt is null while it runs. */
  readonly startedAt?: number | null;
  readonly stoppedAt?: number | null;
  readonly counts?: {
    readonly captured: number;
    readonly retained: number;
    readonly dropped: number;
    readonly malformed: number;
  };
}

/** Turns rows into the bytes of a file, in order and without I/O. */
export interface ExportEncoder {
  /** Column names in file order; null where every row names its own. */
  readonly columns: readonly string[] | null;
  /** What comes before the first row; may be empty. */
  header(): Uint8Array;
  /** A block from one experiment. Bytes are valid until the next call; may be empty when the format gathers rows. */
  rows(source: RowSource, block: OrderedRows): Uint8Array | Promise<Uint8Array>;
  /** The same from events: anonymised ones, or several experiments merged. Gives what `rows` gives for the same events. */
  events(events: readonly EventRow[]): Uint8Array | Promise<Uint8Array>;
  footer(): Uint8Array | Promise<Uint8Array>;
}

export interface ExportFormatDefinition {
  readonly format: string;
  /** File name extension, without the dot. */
  readonly extension: string;
  /** Formats whose columns depend on the rows get the plan, made by a first pass. */
  readonly needsPlan: (options: EncodeOptions) => boolean;
  open(
    plan: ColumnPlan | null,
    about: readonly ExperimentAbout[],
    options: EncodeOptions,
  ): ExportEncoder | Promise<ExportEncoder>;
}

/** Text gathered before it is handed on, in UTF-16 code units. */
const CHUNK_CHARS = 64 * 1024;

/**
 * Encodes a source as chunks of about 64 Ki characters, in bounded memory. Nothing comes out before the first
 * event, so a consumer that creates a file on the first chunk creates none for an empty source.
 *
 * @param onRow - sees every event as it is encoded
 * @throws ExportError ERR_NO_DATA when the source has no events
 */
export async function* encodeRows(
  encoder: RowEncoder,
  source: EventSource,
  onRow?: (event: EventRow) => void,
): AsyncGenerator<Chunk> {
  let text = '';
  let empty = true;
  function* add(chunk: Chunk): Generator<Chunk> {
    if (typeof chunk === 'string') {
      text += chunk;
      if (text.length < CHUNK_CHARS) return;
    }
    if (text !== '') yield text;
    text = '';
    if (typeof chunk !== 'string' && chunk.length > 0) yield chunk;
  }
  for await (const event of source()) {
    if (empty) yield* add(encoder.header());
    empty = false;
    yield* add(encoder.row(event));
    onRow?.(event);
  }
  if (empty) throw new ExportError('ERR_NO_DATA', 'there are no events to export');
  yield* add(encoder.footer?.() ?? '');
  if (text !== '') yield text;
}
