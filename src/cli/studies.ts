/** Studies of a folder, as a command line names them. */

import type { StoredStudy } from '../index.js';
import type { CommandContext } from './command.js';
import { UsageError } from './errors.js';
import { openDir } from './folder.js';
import { visible } from './terminal/text.js';

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
