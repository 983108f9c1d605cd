/** Where experiments are kept, as a command line says it. */

import { readdir } from 'node:fs/promises';
import { basename, join, resolve } from 'node:path';
import type { StoredExperiment } from '../index.js';
import type { CommandContext } from './command.js';
import { CommandError, UsageError } from './errors.js';
import { shellArgument } from './terminal/text.js';

type FolderContext = Pick<CommandContext, 'options' | 'env'>;

/** The folder that `--dir` names, or else CRUCIBLE_DIR; undefined when neither does. */
export function dirOf({ options, env }: FolderContext): string | undefined {
  return options.dir ?? (env.CRUCIBLE_DIR || undefined);
}

/**
 * The folder to look in, and the names there.
 * @param positional - the folder as an argument without `--dir`
 * @throws UsageError when none is named, CommandError when there is none
 */
export async function openDir(
  context: FolderContext,
  command: string,
  positional?: string,
): Promise<{ dir: string; names: string[] }> {
  if (positional !== undefined && context.options.dir !== undefined) {
    throw new UsageError(`${command} takes the folder once: as DIR or with --dir`, command);
  }
  const dir = positional ?? dirOf(context);
  if (dir === undefined || dir === '') {
    throw new UsageError(`${command} needs a folder: name it with --dir, or set CRUCIBLE_DIR`, command);
  }
  try {
    return { dir, names: await readdir(dir) };
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'ENOENT') throw new CommandError('ERR_NOT_FOUND', `there is no folder ${dir}`);
    if (code === 'ENOTDIR') throw new CommandError('ERR_NOT_FOUND', `${dir} is a file, not a folder`);
    throw new CommandError('ERR_STORAGE_IO', `cannot look into ${dir}: ${code ?? (error as Error).message}`);
  }
}

/**
 * The folder of one experiment of `dir`.
 * @param id - or its beginning, or the experiment's name, if no other has it
 * @param list - tells the experiments of `dir`, whose names count where no id does
 */
export async function experimentFolder(
  { dir, names }: { dir: string; names: readonly string[] },
  id: string,
  list: () => Promise<readonly StoredExperiment[]>,
): Promise<string> {
  // The folder of a single experiment will do, too.
  if (names.includes('experiment.json') && basename(resolve(dir)).startsWith(id)) return dir;
  const found = names.includes(id) ? [id] : names.filter((name) => name.startsWith(id));
  if (found.length === 1) return join(dir, found[0]!);
  const hint = `crucible list ${shellArgument(dir)} shows what there is`;
  const quoted = JSON.stringify(id);
  if (found.length > 1) {
    throw new CommandError('ERR_NOT_FOUND', `${found.length} experiments begin with ${quoted}`, hint);
  }
  const named = (await list()).filter(({ experiment }) => experiment?.name === id);
  if (named.length === 1) return named[0]!.folder;
  throw named.length === 0
    ? new CommandError('ERR_NOT_FOUND', `no experiment ${quoted} in ${dir}`, hint)
    : new CommandError(
        'ERR_NOT_FOUND',
        `${named.length} experiments are named ${quoted}: ${named.map((each) => each.id).join(', ')}`,
        hint,
      );
}
