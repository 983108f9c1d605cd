/** Archives of an experiment: which file, in which format, and what is told of it. */

import { dirname } from 'node:path';
import { checkOptions, type OptionNames } from '../check-options.js';
import { ConfigError, ExportError } from '../errors.js';
import {
  archiveJsonl,
  type ExperimentAbout,
  type ExportTarget,
  exportTarget,
  waysOf,
} from '../export/index.js';
import type { Modes } from '../make-folder.js';
import { orderedEvents } from '../readers/ordered.js';
import type { View } from '../readers/source.js';
import type { Json } from '../schema/event.js';
import { removeAbandoned } from '../staging.js';
import { VERSION } from '../version.js';
import type { AnalysisPool } from '../workers/pool.js';
import { type ExportOptions, writeExport } from './exporting.js';
import type { Selected } from './reads.js';

export interface ArchiveOptions {
  /** A local folder: this version has no other. */
  destination: 'local';
  /** The file to write, anywhere; else it is `<dir>/<name>_archive.jsonl`, or `.parquet`, with a number where that is taken. */
  path?: string | undefined;
  /** Default `exports`. */
  dir?: string | undefined;
  /** Default 'jsonl'. */
  format?: 'jsonl' | 'parquet' | undefined;
  /** Gives it up: nothing is left of the file, and the experiment is stopped, not archived. */
  signal?: AbortSignal | undefined;
  /** Who may use the file, and folders that are created for it; default: as the experiment's own. */
  folderMode?: number | undefined;
  fileMode?: number | undefined;
}

export interface ArchiveResult {
  /** Absolute. */
  path: string;
  format: 'jsonl' | 'parquet';
  rows: number;
  bytes: number;
  /** Lower-case hex. */
  sha256: string;
  /** Path of the manifest; null for JSON Lines, whose first line says the same. */
  manifest: string | null;
  /** Rows that are not in it, because their bytes on disk are no longer what was written. */
  unreadable: number;
  /** It was read again, and holds what was to be written. */
  verified: true;
}

export interface ArchiveTarget extends ExportTarget {
  readonly format: 'jsonl' | 'parquet';
}

/** What an archive is made of. */
export interface ArchiveParts {
  readonly pool: AnalysisPool | null;
  /** All retained rows: as a view, and for another thread. */
  readonly view: View;
  readonly selected: Selected;
  /** The experiment's fields. */
  readonly metadata: Readonly<Record<string, Json>>;
  readonly about: ExperimentAbout;
  readonly signal: AbortSignal | undefined;
  readonly modes: Modes;
}

const OPTIONS: OptionNames<ArchiveOptions> = {
  destination: true,
  path: true,
  dir: true,
  format: true,
  folderMode: true,
  fileMode: true,
  signal: true,
};

/** @throws ConfigError, ExportError ERR_UNSUPPORTED_FORMAT, ERR_EXPORT_PATH */
export async function archiveTarget(options: ArchiveOptions, name: string): Promise<ArchiveTarget> {
  checkOptions(options, OPTIONS);
  const { destination, path, dir, format = 'jsonl' } = options;
  if (destination !== 'local')
    throw new ConfigError('destination', "'local': this version has no other", destination);
  if (format !== 'jsonl' && format !== 'parquet') {
    const message = `unsupported archive format ${JSON.stringify(format)}: expected one of jsonl, parquet`;
    throw new ExportError('ERR_UNSUPPORTED_FORMAT', message, { format, supported: ['jsonl', 'parquet'] });
  }
  if (path !== undefined && waysOf<ExportOptions>(format, { path }).compression !== undefined) {
    throw new ConfigError(
      'path',
      'a name that ends like no compressed file: an archive is not compressed',
      path,
    );
  }
  return { ...(await exportTarget(format, { path, dir, name: `${name}_archive` })), format };
}

/** @throws StorageError, and the signal's reason; nothing is left of the file then */
export async function writeArchive(target: ArchiveTarget, parts: ArchiveParts): Promise<ArchiveResult> {
  const { format } = target;
  const { view, modes, signal } = parts;
  await removeAbandoned(dirname(target.path));
  const metadata: Record<string, Json> = { ...parts.metadata, libraryVersion: VERSION };
  const expected = view.refs.reduce((sum, { rows }) => sum + rows, 0);
  if (format === 'jsonl') {
    const file = await archiveJsonl(target, metadata, () => orderedEvents(view), modes, signal);
    return { ...file, format, manifest: null, unreadable: expected - file.rows, verified: true };
  }
  const { path, rows, bytes, sha256, manifest } = await writeExport(parts.pool, [parts.selected], format, {
    target,
    ...modes,
    ...(signal !== undefined && { signal }),
    about: [parts.about],
    counts: metadata.counts ?? null,
    archived: metadata,
    libraryVersion: VERSION,
  });
  return { path, format, rows, bytes, sha256, manifest, unreadable: expected - rows, verified: true };
}
