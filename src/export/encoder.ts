/**
 * The seam between rows and files.
 *
 * An encoder turns blocks of rows into the bytes of a file, without I/O. It is given all blocks at once and gives all
 * bytes, so that nobody else can get their order wrong. A format is a way to open one; where the columns depend on the
 * rows, a first pass over them makes the plan of the columns.
 */

import type { PageCompression } from '../formats/parquet/write/codecs.js';
import type { SourcedRows } from '../readers/merge-rows.js';
import type { RowSource } from '../readers/rows.js';
import type { View } from '../readers/source.js';
import type { EventRow, Json } from '../schema/event.js';
import type { SchemaColumn } from './columns.js';
import type { ColumnPlan } from './plan.js';

/**
 * Events that can be read more than once. Every pass must give the same rows: a caller whose experiment is still
 * capturing hands in a snapshot.
 */
export type EventSource = () => AsyncIterable<EventRow>;

/** What is exported: the rows of experiments, which go the quick way, or any events. */
export type ExportSource = readonly View[] | EventSource;

export type Chunk = string | Uint8Array;

export interface EncodeOptions {
  /**
   * CSV, Arrow, Parquet: metadata and measurements as columns of their own (default), or just the base columns; in
   * Arrow and Parquet with one column of JSON text for each of the two.
   */
  flatten?: boolean | undefined;
  /** JSONL: indented over several lines. */
  pretty?: boolean | undefined;
  /** CSV: text that a spreadsheet would run as a formula gets an apostrophe in front. */
  csvSafe?: boolean | undefined;
  /** Parquet: the codec of its pages; other formats: of the whole file, where they allow one. */
  compression?: PageCompression | undefined;
  /** Arrow: 'file' (default) or 'stream'. MessagePack: 'rows' (default) or 'columns'. */
  layout?: 'file' | 'stream' | 'rows' | 'columns' | undefined;
  /** Parquet: rows of a row group, at most; default 131,072, in a stream 16,384. */
  rowGroupRows?: number | undefined;
  /** @internal Rows that are encoded together, at most. */
  batchRows?: number | undefined;
}

/** What is told of an experiment whose rows are exported, beside the rows. */
export interface ExperimentAbout {
  readonly id: string;
  readonly name: string;
  readonly condition: string;
  readonly hypothesis?: string | null;
  readonly tags?: readonly string[];
  readonly metadata?: Readonly<Record<string, Json>>;
  /** Its declared columns, which keep their types where the rows come as events. */
  readonly columns?: RowSource['columns'];
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

/** Rows in file order: a block from one experiment, or events, such as anonymised ones. */
export type ExportBlock = SourcedRows | { readonly events: readonly EventRow[] };

/** They come some at a time: a block may be a single row, which costs less than to wait for it. */
export type ExportBlocks = AsyncIterable<Iterable<ExportBlock>>;

/** Turns rows into the bytes of a file, without I/O. */
export interface ExportEncoder {
  /** The columns, or the keys that every row has, in file order. */
  readonly schema: readonly SchemaColumn[];
  /** Whether a row may have keys that are not in the schema. */
  readonly additionalKeys: boolean;
  /**
   * The file, from its first byte to its last. The first block is asked for before anything is given. Each piece is
   * valid until the next one is asked for. Events give the bytes that blocks of the same rows give.
   */
  encode(blocks: ExportBlocks): AsyncGenerator<Uint8Array>;
}

export interface ExportFormatDefinition {
  readonly format: string;
  /** File name extension, without the dot. */
  readonly extension: string;
  /** Formats whose columns depend on the rows get the plan, made by a first pass; some need to know the texts, too. */
  readonly needsPlan: (options: EncodeOptions) => 'none' | 'columns' | 'texts';
  open(
    plan: ColumnPlan | null,
    about: readonly ExperimentAbout[],
    options: EncodeOptions,
  ): ExportEncoder | Promise<ExportEncoder>;
}
