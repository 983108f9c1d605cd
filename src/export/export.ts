/** Exporting events: as a stream of chunks, or as a file with its manifest. */

import { stat } from 'node:fs/promises';
import { basename } from 'node:path';
import { ExportError } from '../errors.js';
import type { EventRow, Json } from '../schema/event.js';
import { type AnonymizeOptions, anonymizer } from './anonymize.js';
import { type Chunk, type EncodeOptions, type EventSource, encodeRows } from './encoder.js';
import { stageFile } from './file.js';
import { formatNamed } from './formats.js';
import { describeOptions, type ExportManifest, RowSummary } from './manifest.js';
import { explicitExportPath, MANIFEST_SUFFIX, resolveExportPath } from './path.js';
import { jsonText } from './text.js';

export interface StreamOptions extends EncodeOptions {
  anonymize?: AnonymizeOptions;
}

export interface FileExportOptions extends StreamOptions {
  /** The file to write, anywhere; else `dir` and `name` decide. */
  path?: string;
  /** Export folder; default `exports`. */
  dir?: string;
  /** File name without extension, inside `dir`. Needed unless `path` is given. */
  name?: string;
  /** Counters of the experiment, told in the manifest. */
  counts?: Json;
  libraryVersion?: string;
}

export interface ExportResult {
  /** Absolute. */
  path: string;
  rows: number;
  bytes: number;
  /** Lower-case hex. */
  sha256: string;
  /** Path of the manifest. */
  manifest: string;
}

export const DEFAULT_EXPORT_DIR = 'exports';

/**
 * The encoded events, in bounded memory. Formats whose columns depend on the rows read the source twice.
 *
 * @throws ExportError ERR_NO_DATA, ERR_UNSUPPORTED_FORMAT; ConfigError for unusable `anonymize`
 */
export async function* exportChunks(
  source: EventSource,
  format: string,
  options: StreamOptions = {},
): AsyncGenerator<Chunk> {
  const definition = formatNamed(format);
  const events = anonymized(source, options.anonymize);
  yield* encodeRows(await definition.open(events, options), events);
}

/**
 * Writes the events to a file, and `<path>.manifest.json` beside it. Both appear whole or not at all; an
 * existing file is replaced.
 *
 * @throws ExportError ERR_NO_DATA (no file is made), ERR_UNSUPPORTED_FORMAT, ERR_EXPORT_PATH
 * @throws StorageError ERR_STORAGE_FULL, ERR_STORAGE_IO
 * @throws ConfigError for unusable `anonymize`
 */
export async function exportFile(
  source: EventSource,
  format: string,
  options: FileExportOptions = {},
): Promise<ExportResult> {
  const definition = formatNamed(format);
  const path = await targetPath(definition.extension, options);
  const events = anonymized(source, options.anonymize);
  const summary = new RowSummary();
  const encoder = await definition.open(events, options);
  const data = await stageFile(
    path,
    encodeRows(encoder, events, (event) => summary.add(event)),
  );
  try {
    const manifest: ExportManifest = {
      file: basename(path),
      format,
      rows: summary.rows,
      bytes: data.bytes,
      sha256: data.sha256,
      columns: encoder.columns,
      timeRange: summary.timeRange(),
      experiments: summary.experiments(),
      counts: options.counts ?? null,
      libraryVersion: options.libraryVersion ?? null,
      options: describeOptions(options),
    };
    const manifestPath = path + MANIFEST_SUFFIX;
    const text = `${jsonText(manifest as unknown as Json, 2)}\n`;
    const staged = await stageFile(manifestPath, single(text));
    try {
      await data.commit();
      await staged.commit();
    } finally {
      await staged.discard();
    }
    return {
      path,
      rows: summary.rows,
      bytes: data.bytes,
      sha256: data.sha256,
      manifest: manifestPath,
    };
  } finally {
    await data.discard();
  }
}

/** The file to write, which is no folder. @throws ExportError ERR_EXPORT_PATH */
export async function targetPath(extension: string, options: FileExportOptions): Promise<string> {
  const path =
    options.path === undefined
      ? await resolveExportPath(options.dir ?? DEFAULT_EXPORT_DIR, options.name ?? '', extension)
      : explicitExportPath(options.path);
  for (const target of [path, path + MANIFEST_SUFFIX]) {
    const folder = await stat(target).then(
      (found) => found.isDirectory(),
      () => false,
    );
    if (folder)
      throw new ExportError('ERR_EXPORT_PATH', `cannot export to ${target}: it is a folder`, { path });
  }
  return path;
}

function anonymized(source: EventSource, options: AnonymizeOptions | undefined): EventSource {
  if (options === undefined) return source;
  const anonymize = anonymizer(options);
  return () => mapped(source(), anonymize);
}

async function* mapped(
  events: AsyncIterable<EventRow>,
  map: (event: EventRow) => EventRow,
): AsyncGenerator<EventRow> {
  for await (const event of events) yield map(event);
}

async function* single(text: string): AsyncGenerator<string> {
  yield text;
}
