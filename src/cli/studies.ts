/** Studies of a folder, as a command line names them. */

import type { StoredStudy } from '../index.js';
import type { CommandContext } from './command.js';
import { UsageError } from './errors.js';
import { experimentFolder, openDir } from './folder.js';
import { visible } from './terminal/text.js';

/**
 * The study that a command means which takes experiments as well: the one that is called so, or whose name alone begins so
 * where no experiment does.
 * @returns null where an experiment is meant, or nothing that is there
 */
export async function studyMeant(
  context: CommandContext,
  command: string,
  name: string,
): Promise<{ dir: string; found: StoredStudy } | null> {
  const opened = await openDir(context, command);
  const library = await context.loadLibrary();
  const studies = library.listStudies(opened.dir);
  const exact = studies.find((study) => study.name === name);
  if (exact !== undefined) return { dir: opened.dir, found: exact };
  const alike = studies.filter((study) => study.name?.startsWith(name));
  if (alike.length !== 1) return null;
  const isExperiment = await experimentFolder(opened, name, () => library.listExperiments(opened.dir)).then(
    () => true,
    () => false,
  );
  return isExperiment ? null : { dir: opened.dir, found: alike[0]! };
}

/**
 * The study that is called so, or whose name begins so, if no other does.
 * @throws UsageError where there is none: what was asked for is no study that could pass or fail
 */
export async function findStudy(
  context: CommandContext,
  command: string,
  name: string,
): Promise<{ dir: string; found: StoredStudy }> {
  const { dir } = await openDir(context, command);
  const studies = (await context.loadLibrary()).listStudies(dir);
  const exact = studies.filter((study) => study.name === name);
  const found = exact.length > 0 ? exact : studies.filter((study) => study.name?.startsWith(name));
  if (found.length === 1) return { dir, found: found[0]! };
  const names = studies.map((study) => visible(study.name ?? study.folder)).join(', ');
  throw new UsageError(
    found.length === 0
      ? `no study ${JSON.stringify(name)} in ${dir}${studies.length === 0 ? '' : `, which has ${names}`}`
      : `${found.length} studies begin with ${JSON.stringify(name)}: ${found.map((study) => visible(study.name!)).join(', ')}`,
    command,
  );
}
