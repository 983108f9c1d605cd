/** Experiments of a folder, opened to look at: every event is verified, and nothing is changed. */

import { StorageError } from '../errors.js';
import type { RecoveredExperiment, RecoverOptions, StoredExperiment } from '../index.js';
import type { CommandContext } from './command.js';
import { CommandError, hintFor, UsageError } from './errors.js';
import { experimentFolder, openDir } from './folder.js';
import type { Library, LibraryCrucible, LibraryExperiment } from './library.js';
import { reasonText } from './report/stored.js';
import { formatBytes } from './terminal/numbers.js';
import { Progress } from './terminal/progress.js';

export interface OpenedExperiment {
  experiment: LibraryExperiment;
  /** What the folder says without its events. */
  stored: StoredExperiment;
  /** What was found when its events were read. */
  report: RecoveredExperiment;
}

/**
 * Opens experiments of the folder that `--dir` or CRUCIBLE_DIR names, gives them to `use` in the order of `ids`, and
 * closes them.
 * @param ids - or their beginnings, or names
 * @throws UsageError when no folder is named, or an experiment twice; CommandError when one is not there
 */
export async function withExperiments(
  context: CommandContext,
  command: string,
  ids: readonly string[],
  use: (crucible: LibraryCrucible, opened: OpenedExperiment[]) => Promise<void>,
): Promise<void> {
  const found = await openDir(context, command);
  const library = await context.loadLibrary();
  let listed: Promise<readonly StoredExperiment[]> | undefined;
  const list = () => {
    listed ??= library.listExperiments(found.dir);
    return listed;
  };
  const folders = await Promise.all(ids.map((id) => experimentFolder(found, id, list)));
  const twice = folders.findIndex((folder, index) => folders.indexOf(folder) < index);
  if (twice >= 0) throw new UsageError(`${command} names one experiment twice: ${ids[twice]}`, command);
  const crucible = library.open();
  try {
    const stored = await Promise.all(folders.map((folder) => storedExperiment(library, folder)));
    await use(crucible, await openAll(context, crucible, stored, { readOnly: true }));
  } finally {
    await crucible.close();
  }
}

/**
 * Opens the one experiment that the command's only argument names, to write in its folder.
 * @throws CommandError ERR_LOCKED while a process captures it
 */
export async function withWritable(
  context: CommandContext,
  command: string,
  use: (experiment: LibraryExperiment, stored: StoredExperiment) => Promise<void>,
): Promise<void> {
  const found = await openDir(context, command);
  const library = await context.loadLibrary();
  const folder = await experimentFolder(found, context.positionals[0]!, () =>
    library.listExperiments(found.dir),
  );
  const stored = await storedExperiment(library, folder);
  refuseHeld(stored, command);
  const crucible = library.open();
  try {
    const [opened] = await openAll(context, crucible, [stored], { resume: false });
    await use(opened!.experiment, stored);
  } finally {
    await crucible.close();
  }
}

/** @throws CommandError ERR_LOCKED while a process captures the experiment */
export function refuseHeld({ id, heldBy }: StoredExperiment, command: string): void {
  if (heldBy === null) return;
  const holder = `process ${heldBy.pid}${heldBy.host === null ? '' : ` on ${heldBy.host}`}`;
  throw new CommandError(
    'ERR_LOCKED',
    `${command}: ${id} is being captured by ${holder}`,
    hintFor('ERR_LOCKED'),
  );
}

/** As `withExperiments`, for the one that the command's only argument names. */
export function withExperiment(
  context: CommandContext,
  command: string,
  use: (opened: OpenedExperiment) => Promise<void>,
): Promise<void> {
  return withExperiments(context, command, context.positionals, (_, [opened]) => use(opened!));
}

async function openAll(
  { stderr, style, live, nowMs, signal }: CommandContext,
  crucible: LibraryCrucible,
  stored: readonly StoredExperiment[],
  how: RecoverOptions,
): Promise<OpenedExperiment[]> {
  const total = stored.reduce((sum, { bytes }) => sum + bytes, 0);
  const progress = new Progress(stderr, style, live, nowMs);
  let doneBytes = 0;
  const opened: OpenedExperiment[] = [];
  try {
    for (const one of stored) {
      const { experiments } = await crucible.recover(one.folder, {
        ...how,
        onProgress({ bytes }) {
          signal.throwIfAborted();
          const done = Math.min(total, doneBytes + bytes);
          progress.update({ label: one.id, done, total, format: formatBytes });
        },
      });
      doneBytes += one.bytes;
      const [report] = experiments;
      if (report === undefined) throw notFound(one.folder);
      if (report.error !== null) {
        const { code } = report.error;
        throw new CommandError(
          code,
          `${report.id} cannot be opened: ${reasonText(report.error)}`,
          hintFor(code),
        );
      }
      opened.push({ stored: one, report, experiment: crucible.experiment(report.id) });
    }
  } finally {
    progress.close();
  }
  signal.throwIfAborted();
  return opened;
}

export async function storedExperiment(library: Library, folder: string): Promise<StoredExperiment> {
  const [stored] = await library.listExperiments(folder).catch((error: unknown) => {
    const isFile = error instanceof StorageError && error.context.systemCode === 'ENOTDIR';
    throw isFile ? notFound(folder) : error;
  });
  if (stored === undefined) throw notFound(folder);
  return stored;
}

function notFound(folder: string): CommandError {
  return new CommandError('ERR_NOT_FOUND', `${folder} is no experiment`);
}
