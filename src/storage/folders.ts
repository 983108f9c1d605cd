/** Which folders hold an experiment. */
import { basename, join } from 'node:path';
import { storageError, systemCodeOf } from '../system-errors.js';
import { nodeFileSystem as files } from './disk/file-system.js';
import { DOCUMENT, isExperimentId, parseCompactedName, parseSegmentName } from './disk/paths.js';

/**
 * Folders of experiments under `dir`, or `dir` itself when it is one, in the order of their names. None where there is no
 * `dir` yet.
 * @throws StorageError where it is a file, or may not be looked into
 */
export function experimentFolders(dir: string): string[] {
  const names = namesIn(dir, ['ENOENT', 'ELOOP']).sort();
  if (isExperiment(names)) return [dir];
  return names.map((name) => join(dir, name)).filter(isExperimentFolder);
}

/**
 * Whether a folder with these names is an experiment's. Segments whose document is gone are one too: one that cannot be
 * opened, which must not go unsaid.
 */
export function isExperiment(names: readonly string[]): boolean {
  const isSegment = (name: string) => (parseSegmentName(name) ?? parseCompactedName(name)) !== undefined;
  return names.some((name) => name === DOCUMENT || isSegment(name));
}

/** One that may not be looked into is said to be unreadable by whoever opens it, unless its name says it is none. */
function isExperimentFolder(folder: string): boolean {
  try {
    return isExperiment(namesIn(folder, ['ENOENT', 'ENOTDIR', 'ELOOP']));
  } catch {
    return isExperimentId(basename(folder));
  }
}

/** Names in a folder; none where looking fails for one of these reasons. ELOOP: a link to itself. */
function namesIn(path: string, absent: readonly string[]): string[] {
  try {
    return files.list(path);
  } catch (error) {
    if (absent.includes(systemCodeOf(error) ?? '')) return [];
    throw storageError(error, 'look for experiments in', { path });
  }
}
