/** Importing several files at once, into one experiment or into one for each value of a column. */

import type { Dirent } from 'node:fs';
import { readdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { checkOptions, type OptionNames } from '../check-options.js';
import { ConfigError, ImportError } from '../errors.js';
import {
  checkSignal,
  IMPORT_OPTIONS,
  type ImportFileOptions,
  type ImportProblem,
  type ImportProgress,
  type ImportReason,
  ImportSource,
  type ImportSummary,
  isImportable,
  mergeSummaries,
} from '../import/index.js';
import type { Json } from '../schema/event.js';
import { isExperiment } from '../storage/folders.js';
import { storageError } from '../system-errors.js';
import type { Experiment } from './experiment.js';

export interface ImportOptions extends ImportFileOptions {
  onProgress?: ((progress: ImportProgress) => void) | undefined;
  /** Ends the import early; what has been imported stays. */
  signal?: AbortSignal | undefined;
}

/** Records of an import that did not become events, or not whole. */
export interface ImportLosses {
  /** Records that the experiment refused, since its ring was full. */
  refused: number;
  /** Events that were too large to be kept whole, here or where they were captured first. */
  cut: number;
}

export interface ImportResult extends ImportLosses {
  /** Records that became events. */
  rows: number;
  /** Records left out because they could not be understood. */
  skipped: number;
  /** Records, or parts of them, that could not be understood. */
  malformed: number;
  /** The first 20 of those; with the file, where there are several. */
  errors: ImportProblem[];
  /** All of them by reason; only those that there were. */
  reasons: Partial<Record<ImportReason, number>>;
  /** Records that got the time of the import, since the file tells none. */
  untimed: number;
  /** Targets of `map` that no record has given anything. */
  unfilled: string[];
  bytes: number;
}

export interface ImportFilesOptions extends ImportFileOptions {
  /** Of the experiment; with `splitBy` its beginning. Default: the first file's name. */
  name?: string | undefined;
  /** Of the experiment; default: a new one. Not with `splitBy`. */
  id?: string | undefined;
  /** Default 'default'. Not with `splitBy`. */
  condition?: string | undefined;
  hypothesis?: string | undefined;
  tags?: string[] | undefined;
  metadata?: Record<string, Json> | undefined;
  /** A column, or dots to reach into nested objects: each of its values becomes the condition of an experiment. */
  splitBy?: string | undefined;
  onProgress?: ((progress: ImportProgress & { readonly path: string }) => void) | undefined;
  /** Ends the import early; what has been imported stays. */
  signal?: AbortSignal | undefined;
}

export interface ImportedFiles {
  /** In the order in which their first records came. */
  readonly experiments: Experiment[];
  /** Of all files together. */
  readonly result: ImportResult;
}

/** @throws ConfigError for what is none */
export function checkImportFilesOptions(options: ImportFilesOptions): void {
  checkOptions(options, OPTIONS);
}

const OPTIONS: OptionNames<ImportFilesOptions> = {
  ...IMPORT_OPTIONS,
  name: true,
  id: true,
  condition: true,
  hypothesis: true,
  tags: true,
  metadata: true,
  splitBy: true,
  onProgress: true,
  signal: true,
};

/** A column with more values than this is no condition. */
const CONDITIONS_MAX = 64;
/** Folders inside folders are looked into as deep as this. */
const DEPTH_MAX = 16;

/** What is started for one condition. */
export type StartImport = (condition: string | undefined) => Experiment;

/**
 * The files that a path names: itself, or of a folder all that have a known extension, sorted by name, in folders inside
 * too. Hidden ones, manifests and links are left out.
 * @throws StorageError for what is not there; ImportError ERR_UNSUPPORTED_FORMAT for the folder of an experiment
 */
export async function filesOf(path: string): Promise<string[]> {
  try {
    if (!(await stat(path)).isDirectory()) return [path];
    const found = await filesBelow(path, DEPTH_MAX);
    if (found.length > 0) return found;
  } catch (cause) {
    // An ImportError is as it is.
    throw storageError(cause, 'read', { path });
  }
  throw new ImportError('ERR_NO_DATA', `${path} is a folder without files that could be imported`, { path });
}

/** What an experiment keeps in its folder is not what an export has. */
function notToImport(folder: string): ImportError {
  const message =
    `${folder} is the folder of an experiment, which is not imported but opened: crucible.recover(dir), or crucible ` +
    'list and export on the command line; what export or archive writes can be imported';
  return new ImportError('ERR_UNSUPPORTED_FORMAT', message, { path: folder });
}

async function filesBelow(folder: string, depth: number): Promise<string[]> {
  if (depth === 0) return [];
  const entries = await readdir(folder, { withFileTypes: true });
  if (isExperiment(entries.map(({ name }) => name))) throw notToImport(folder);
  const byName = (a: Dirent, b: Dirent) => (a.name < b.name ? -1 : 1);
  const found: string[] = [];
  for (const entry of entries.sort(byName)) {
    const path = join(folder, entry.name);
    if (entry.name.startsWith('.')) continue;
    if (entry.isDirectory()) found.push(...(await filesBelow(path, depth - 1)));
    else if (entry.isFile() && isImportable(path)) found.push(path);
  }
  return found;
}

/** Imports one file. @throws what `Experiment.importFile` tells of */
export async function importOne(
  experiment: Experiment,
  file: string | AsyncIterable<Uint8Array> | ImportSource,
  { onProgress, signal, ...options }: ImportOptions,
): Promise<ImportResult> {
  checkSignal(signal);
  const losses = { refused: 0, cut: 0 };
  const sink = experiment.importSink(losses);
  const source = file instanceof ImportSource ? file : await ImportSource.open(file, options, signal);
  const summary = await source.run(
    (record, _, report) => {
      signal?.throwIfAborted();
      sink(record, report);
    },
    onProgress,
    experiment,
    signal,
  );
  const { rows, problems, ...told } = summary;
  return { ...told, ...losses, rows: rows - losses.refused, malformed: problems };
}

/**
 * Imports files one after the other. Nothing is started before a first record is there.
 * @param take - hands a source to an experiment
 */
export async function importInto(
  sources: readonly (string | AsyncIterable<Uint8Array>)[],
  { splitBy, onProgress, signal, ...options }: ImportFilesOptions,
  start: StartImport,
): Promise<ImportedFiles> {
  checkSignal(signal);
  const experiments = new Map<string | undefined, Experiment>();
  const summaries: (ImportSummary & ImportLosses)[] = [];
  const experimentOf = (condition: string | undefined): Experiment => {
    let experiment = experiments.get(condition);
    if (experiment === undefined) {
      if (experiments.size === CONDITIONS_MAX) {
        throw new ConfigError('splitBy', `a column of at most ${CONDITIONS_MAX} values`, splitBy);
      }
      experiment = start(condition);
      experiments.set(condition, experiment);
    }
    return experiment;
  };
  /** Why the first file without records has none: one among others is no reason to refuse those. */
  let empty: ImportError | null = null;
  for (const from of sources) {
    signal?.throwIfAborted();
    const source = await ImportSource.open(from, options, signal);
    try {
      if (source.emptiness !== null) {
        empty ??= source.emptiness;
        summaries.push({ ...(await source.run(() => {})), refused: 0, cut: 0 });
        continue;
      }
      if (splitBy !== undefined) checkColumn(splitBy, source.columns);
      // What an event of our own exports need not tell is known of one experiment alone.
      const into = splitBy === undefined ? experimentOf(undefined) : undefined;
      summaries.push(await importFrom(source, into));
    } finally {
      await source.close();
    }
  }
  if (empty !== null && experiments.size === 0) throw empty;
  const { problems, ...result } = mergeSummaries(summaries);
  const refused = summaries.reduce((sum, summary) => sum + summary.refused, 0);
  const cut = summaries.reduce((sum, summary) => sum + summary.cut, 0);
  return {
    experiments: [...experiments.values()],
    result: { ...result, rows: result.rows - refused, refused, cut, malformed: problems },
  };

  async function importFrom(
    source: ImportSource,
    into: Experiment | undefined,
  ): Promise<ImportSummary & ImportLosses> {
    const losses = { refused: 0, cut: 0 };
    let unsplit = 0;
    const sinks = new Map<string | undefined, ReturnType<Experiment['importSink']>>();
    const progress = (told: ImportProgress) => onProgress?.({ ...told, path: source.path });
    const summary = await source.run(
      (record, raw, report) => {
        signal?.throwIfAborted();
        let condition: string | undefined;
        if (splitBy !== undefined) {
          condition = conditionOf(raw, splitBy);
          if (condition === undefined) {
            unsplit++;
            report(`there is no ${splitBy}, which tells experiments apart`, 'condition');
            return;
          }
        }
        let sink = sinks.get(condition);
        if (sink === undefined) {
          sink = experimentOf(condition).importSink(losses);
          sinks.set(condition, sink);
        }
        sink(record, report);
      },
      progress,
      into,
    );
    const { path } = source;
    return {
      ...summary,
      ...losses,
      rows: summary.rows - unsplit,
      skipped: summary.skipped + unsplit,
      errors: sources.length === 1 ? summary.errors : summary.errors.map((error) => ({ ...error, path })),
    };
  }
}

/** @throws ConfigError for a column that the file has not */
function checkColumn(column: string, columns: readonly string[]): void {
  if (columns.includes(column) || columns.includes(column.split('.')[0]!)) return;
  throw new ConfigError('splitBy', `one of the file's columns (${columns.slice(0, 50).join(', ')})`, column);
}

/** A record's value as text; undefined where there is none. */
function conditionOf(raw: Readonly<Record<string, Json>>, column: string): string | undefined {
  let value: Json | undefined = Object.hasOwn(raw, column) ? raw[column] : undefined;
  if (value === undefined) {
    value = raw as Json;
    for (const key of column.split('.')) {
      value = typeof value === 'object' && value !== null && !Array.isArray(value) ? value[key] : undefined;
    }
  }
  if (value === undefined || value === null || value === '') return undefined;
  return typeof value === 'object' ? JSON.stringify(value) : String(value);
}
