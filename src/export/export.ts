/** Exporting events: as a stream of chunks, or as a file with its manifest. */

import { rm } from 'node:fs/promises';
import { ExportError } from '../errors.js';
import { compressed, suffixOf, wholeFileCodec } from '../formats/compression/compress.js';
import { jsonText } from '../formats/text.js';
import type { Modes } from '../make-folder.js';
import { matches } from '../readers/matches.js';
import { mergeEvents } from '../readers/merge-events.js';
import { mergedRows } from '../readers/merge-rows.js';
import { type OrderOptions, orderedEvents } from '../readers/ordered.js';
import { decodeRow, type RowSource } from '../readers/rows.js';
import type { View } from '../readers/source.js';
import type { EventRow, Json } from '../schema/event.js';
import { manifestStaging, newStaging, stagedPath } from '../staging.js';
import { type AnonymizeOptions, anonymizer } from './anonymize.js';
import { compareBytes } from './archive.js';
import type {
  EncodeOptions,
  ExperimentAbout,
  ExportBlock,
  ExportEncoder,
  ExportFormatDefinition,
  ExportSource,
} from './encoder.js';
import { stageFile } from './file.js';
import { formatNamed } from './formats.js';
import { countsNow, describeOptions, type ExportManifest, RowSummary } from './manifest.js';
import { ColumnPlan } from './plan.js';
import { type ExportTarget, exportTarget, publish, type TargetOptions } from './target.js';

export interface StreamOptions extends EncodeOptions {
  anonymize?: AnonymizeOptions | undefined;
  /** The experiments whose rows these are, for formats that keep what is known of them. */
  about?: readonly ExperimentAbout[] | undefined;
}

export interface FileExportOptions extends StreamOptions, TargetOptions, Modes {
  /** What `path`, or `dir` and `name`, have come to already. */
  target?: ExportTarget | undefined;
  /** Counters of the experiment, or of several by their ids, told in the manifest with what reading finds lost. */
  counts?: Json | undefined;
  libraryVersion?: string | undefined;
  /**
   * What an archive tells of its experiment. An archive may be without events; its bytes are read again and compared
   * before it gets its name.
   */
  archived?: Json | undefined;
  /** What temporary names are made of, for whoever has to remove them from elsewhere. */
  staging?: string | undefined;
}

export interface ExportProgress {
  /** Encoded so far. */
  rows: number;
  bytes: number;
}

export interface ExportResult {
  /** Absolute. */
  path: string;
  rows: number;
  /** Of those, events that were too large to be kept whole when they were captured. */
  cut: number;
  /** Events of the experiments that were on disk and are lost, whether they would be in this file or not. */
  damaged: number;
  bytes: number;
  /** Lower-case hex. */
  sha256: string;
  /** Path of the manifest. */
  manifest: string;
}

/** Events that are encoded together. */
const BLOCK_EVENTS = 64;

/**
 * What a stream holds of its rows, at most, for as long as its reader takes: fewer than a file, of which there are not
 * many at a time.
 */
const STREAM_ORDER: OrderOptions = { sliceRows: 8_192, sliceBytes: 4 << 20 };
const STREAM_BATCH_ROWS = 16_384;

/**
 * The encoded rows, in bounded memory. Formats whose columns depend on the rows read the source twice. Nothing comes
 * out before the first row.
 *
 * @throws ExportError ERR_NO_DATA, ERR_UNSUPPORTED_FORMAT; ConfigError for unusable `anonymize`
 */
export async function* exportChunks(
  source: ExportSource,
  format: string,
  options: StreamOptions = {},
): AsyncGenerator<Uint8Array> {
  // A stream's reader may keep what it is given.
  const blocks = exportBlocks(source, format, { ...options, batchRows: STREAM_BATCH_ROWS }, STREAM_ORDER);
  for await (const bytes of blocks) yield new Uint8Array(bytes);
}

/** The same without a copy: each is valid until the next is asked for, and may lie in shared memory. */
export async function* exportBlocks(
  source: ExportSource,
  format: string,
  options: StreamOptions = {},
  order: OrderOptions = {},
): AsyncGenerator<Uint8Array> {
  const { rows, about } = anonymized(source, options, order);
  const codec = wholeFileCodec(format, options);
  const encoder = await openEncoder(await formatNamed(format), rows, { ...options, about });
  yield* compressed(encoder.encode(blocksOf(rows, new RowSummary(), order)), codec);
}

/**
 * Writes the events to a file, and `<path>.manifest.json` beside it. Both appear whole or not at all. A file at a `path`
 * that was given is replaced; one at a path made of a name never is, the result tells the path then taken.
 *
 * @throws ExportError ERR_NO_DATA (no file is made), ERR_UNSUPPORTED_FORMAT, ERR_EXPORT_PATH
 * @throws StorageError ERR_STORAGE_FULL, ERR_STORAGE_IO
 * @throws ConfigError for unusable `anonymize`
 */
export async function exportFile(
  source: ExportSource,
  format: string,
  options: FileExportOptions = {},
  onProgress: (progress: ExportProgress) => void = () => {},
): Promise<ExportResult> {
  const codec = wholeFileCodec(format, options);
  const target = options.target ?? (await formatTarget(format, options));
  const { rows, about } = anonymized(source, options);
  const summary = new RowSummary();
  const encoder = await openEncoder(await formatNamed(format), rows, { ...options, about });
  const { staging = newStaging() } = options;
  const blocks = blocksOf(rows, summary, {}, options.archived !== undefined);
  const told = telling(encoder.encode(blocks), summary, onProgress);
  const data = await stageFile(target.path, compressed(told, codec), staging, options);
  try {
    if (options.archived !== undefined) await compareBytes(target.path, data);
    const { rows, cut } = summary;
    const { bytes, sha256 } = data;
    const lost = damageOf(source);
    const damaged = sumOf(lost);
    const manifestOf = (file: string) => {
      const manifest: ExportManifest = {
        file,
        format,
        rows,
        cut,
        damaged,
        bytes,
        sha256,
        timeRange: summary.timeRange(),
        experiments: summary.experiments(),
        ...(options.archived !== undefined && { experiment: options.archived }),
        counts: countsNow(options.counts, lost),
        libraryVersion: options.libraryVersion ?? null,
        options: describeOptions(options),
        schema: encoder.schema,
        additionalKeys: encoder.additionalKeys,
      };
      return `${jsonText(manifest as unknown as Json, 2)}\n`;
    };
    const { path, manifest } = await publish(data, target, manifestOf, manifestStaging(staging), options);
    return { path, rows, cut, damaged, bytes, sha256, manifest: manifest as string };
  } finally {
    await data.discard();
  }
}

/** Removes what an export has left that was ended from outside. */
export async function discardStaged(path: string, staging: string): Promise<void> {
  for (const name of [staging, manifestStaging(staging)]) await rm(stagedPath(path, name), { force: true });
}

/** Rows that were on disk and are lost, as far as anybody has found out, by their experiments' ids. */
function damageOf(source: ExportSource): Map<string, number> {
  if (typeof source === 'function') return new Map();
  return new Map(source.map(({ source: { experimentId }, damage }) => [experimentId, damage?.rows ?? 0]));
}

function sumOf(lost: ReadonlyMap<string, number>): number {
  return [...lost.values()].reduce((sum, rows) => sum + rows, 0);
}

/** @throws ExportError ERR_EXPORT_PATH, ERR_UNSUPPORTED_FORMAT; ConfigError for a compression that cannot be */
export async function formatTarget(format: string, options: FileExportOptions): Promise<ExportTarget> {
  const { extension } = await formatNamed(format);
  return exportTarget(extension + suffixOf(wholeFileCodec(format, options)), options);
}

/** Opens the format's encoder, with the plan of the columns where it needs one. */
async function openEncoder(
  definition: ExportFormatDefinition,
  source: ExportSource,
  options: StreamOptions,
): Promise<ExportEncoder> {
  const { about = [] } = options;
  const needed = definition.needsPlan(options);
  const plan = needed === 'none' ? null : new ColumnPlan({ texts: needed === 'texts' });
  if (plan !== null) {
    for (const { columns = [] } of about) plan.declare(columns);
    if (typeof source === 'function') for await (const event of source()) plan.add(event);
    else for (const view of source) await addView(plan, view);
  }
  return definition.open(plan, about, options);
}

/** Reads every row once, in the order that costs least: which columns there are does not depend on it. */
async function addView(plan: ColumnPlan, view: View): Promise<void> {
  for await (const { batch, rows, events } of matches(view, { room: {} })) {
    const { tags, blob, blobOffsets, promptTokens, completionTokens, declared } = batch;
    const event = (source: RowSource, row: number) => decodeRow(source, batch, row);
    const table = { tags, blob, blobOffsets, promptTokens, completionTokens, declared, event };
    plan.addRows(view.source, { table, rows, events });
  }
}

/**
 * The rows in file order.
 * @param summary - is told of them on the way
 * @throws ExportError ERR_NO_DATA when there are none, unless there may be none
 */
async function* blocksOf(
  source: ExportSource,
  summary: RowSummary,
  order: OrderOptions = {},
  mayBeEmpty = false,
): AsyncGenerator<Iterable<ExportBlock>> {
  const blocks = typeof source === 'function' ? eventBlocks(source()) : mergedRows(source, order);
  for await (const some of blocks) yield counted(some, summary);
  if (summary.rows > 0 || mayBeEmpty) return;
  const damaged = sumOf(damageOf(source));
  const why = damaged === 0 ? '' : `: ${damaged} that were on disk are lost, as storage.damaged tells`;
  throw new ExportError('ERR_NO_DATA', `there are no events to export${why}`, { damaged });
}

function* counted(blocks: Iterable<ExportBlock>, summary: RowSummary): Generator<ExportBlock> {
  for (const block of blocks) {
    summary.addBlock(block);
    yield block;
  }
}

async function* eventBlocks(source: AsyncIterable<EventRow>): AsyncGenerator<Iterable<ExportBlock>> {
  let events: EventRow[] = [];
  for await (const event of source) {
    events.push(event);
    if (events.length < BLOCK_EVENTS) continue;
    yield [{ events }];
    events = [];
  }
  if (events.length > 0) yield [{ events }];
}

/** What is to be exported, and what is told of its experiments, as `anonymize` leaves it. */
function anonymized(
  source: ExportSource,
  { anonymize: options, about = [] }: StreamOptions,
  order: OrderOptions = {},
): { rows: ExportSource; about: readonly ExperimentAbout[] } {
  if (options === undefined) return { rows: source, about };
  const anonymize = anonymizer(options);
  const rows = () => {
    const events =
      typeof source === 'function' ? source() : mergeEvents(source.map((view) => orderedEvents(view, order)));
    return mapped(events, anonymize.event);
  };
  return { rows, about: about.map(anonymize.about) };
}

async function* mapped(
  events: AsyncIterable<EventRow>,
  map: (event: EventRow) => EventRow,
): AsyncGenerator<EventRow> {
  for await (const event of events) yield map(event);
}

/** Between two reports of progress, ms. */
const PROGRESS_MS = 100;

async function* telling(
  chunks: AsyncIterable<Uint8Array>,
  summary: RowSummary,
  onProgress: (progress: ExportProgress) => void,
): AsyncGenerator<Uint8Array> {
  let bytes = 0;
  let toldMs = performance.now();
  for await (const chunk of chunks) {
    bytes += chunk.length;
    yield chunk;
    if (performance.now() - toldMs < PROGRESS_MS) continue;
    toldMs = performance.now();
    onProgress({ rows: summary.rows, bytes });
  }
  onProgress({ rows: summary.rows, bytes });
}
