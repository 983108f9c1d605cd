/** Exports to files, encoded by other threads or, where that cannot be or is not worth it, by this one. */

import { dirname } from 'node:path';
import { checkOptions, type OptionNames } from '../check-options.js';
import { ExportError } from '../errors.js';
import {
  type AnonymizeOptions,
  choices,
  discardStaged,
  type ExportProgress,
  type ExportResult,
  type ExportTarget,
  type FileExportOptions,
  formatTarget,
  isTaken,
  waysOf,
} from '../export/index.js';
import type { Filter } from '../schema/event.js';
import { newStaging, removeAbandoned } from '../staging.js';
import type { AnalysisPool } from '../workers/pool.js';
import { perform } from '../workers/tasks.js';
import { accessesOf, damageNoted, isForHere, rowsOf, type Selected } from './reads.js';

export interface ExportOptions
  extends Omit<
    FileExportOptions,
    'counts' | 'libraryVersion' | 'about' | 'archived' | 'staging' | 'target' | 'batchRows'
  > {
  filter?: Filter | undefined;
  /** Called about ten times a second, and at the end. */
  onProgress?: ((progress: ExportProgress) => void) | undefined;
  /** Ends the export early; nothing is left of the file then. */
  signal?: AbortSignal | undefined;
}

const OPTIONS: OptionNames<ExportOptions> = {
  filter: true,
  onProgress: true,
  signal: true,
  flatten: true,
  pretty: true,
  csvSafe: true,
  compression: true,
  layout: true,
  rowGroupRows: true,
  anonymize: true,
  path: true,
  dir: true,
  name: true,
  folderMode: true,
  fileMode: true,
};
const ANONYMIZE: OptionNames<AnonymizeOptions> = { key: true, fields: true, mode: true };

/** @param further - options of this call besides. @throws ConfigError for what is none */
export function checkExportOptions(options: ExportOptions, further: readonly string[] = []): void {
  checkOptions(options, [...Object.keys(OPTIONS), ...further]);
  if (options.anonymize !== undefined) checkOptions(options.anonymize, ANONYMIZE, 'anonymize');
}

/** Targets that are being written by this process: of two exports to one path neither would be whole with its manifest. */
const underWay = new Set<string>();

/** @throws as exportFile; ExportError ERR_EXPORT_PATH when the path is being exported to */
export async function writeExport(
  pool: AnalysisPool | null,
  parts: readonly Selected[],
  format: string,
  { onProgress = () => {}, signal, filter: _, ...options }: FileExportOptions & ExportOptions,
): Promise<ExportResult> {
  const given = waysOf(format, options);
  const { path, target } = await reserved(given.target ?? (await formatTarget(format, given)));
  await removeAbandoned(dirname(path));
  const staging = newStaging();
  const task = { kind: 'export', format, options: { ...given, target, staging } } as const;
  try {
    signal?.throwIfAborted();
    if (pool === null || isForHere(parts, task)) {
      return await perform(rowsOf(parts), task, (progress) => {
        signal?.throwIfAborted();
        onProgress(progress);
      });
    }
    try {
      return await pool.run(accessesOf(parts), task, { onProgress, onDamaged: damageNoted(parts), signal });
    } catch (error) {
      // A thread that was ended has not cleared up.
      if (pool.isClosed) await pool.close();
      await discardStaged(path, staging);
      throw error;
    }
  } finally {
    underWay.delete(path);
  }
}

/**
 * A path that is under way from here on: the one that was given, or else the first that is free.
 * @throws ExportError ERR_EXPORT_PATH when the one that was given is being written
 */
async function reserved(wanted: ExportTarget): Promise<{ path: string; target: ExportTarget }> {
  for (const choice of choices(wanted)) {
    const { path } = choice;
    if (underWay.has(path)) continue;
    underWay.add(path);
    if (!(await isTaken(wanted, path))) return choice;
    underWay.delete(path);
  }
  const { path } = wanted;
  throw new ExportError('ERR_EXPORT_PATH', `cannot export to ${path}: another export is writing it`, {
    path,
  });
}
