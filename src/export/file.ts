/**
 * Files that appear whole or not at all.
 *
 * Content goes to a temporary file in the target's folder, is synced, and then gets its name. On any error the
 * temporary file is removed and the target is what it was before.
 */

import { createHash } from 'node:crypto';
import { type FileHandle, link, open, rename, rm } from 'node:fs/promises';
import { dirname } from 'node:path';
import { type Modes, makeFolder, PRIVATE_FILE } from '../make-folder.js';
import { newStaging, stagedPath } from '../staging.js';
import { storageError } from '../system-errors.js';
import type { Chunk } from './encoder.js';

export interface WrittenFile {
  bytes: number;
  /** Lower-case hex. */
  sha256: string;
}

/** A complete, synced file under a temporary name, until it gets its own or is discarded. */
export interface StagedFile extends WrittenFile {
  readonly temporaryPath: string;
  /** Removes it; once it has its name there is nothing to remove. Never fails. */
  discard(): Promise<void>;
}

/**
 * Writes chunks beside `path`, ready to be renamed there. Missing folders are created, on the first chunk: a
 * stream that fails before it leaves nothing, and neither does an empty one that throws.
 *
 * @param staging - what its temporary name is made of, for whoever has to remove it from elsewhere
 * @param modes - of the file, and of folders that are created
 * @throws StorageError ERR_STORAGE_FULL or ERR_STORAGE_IO, with cause; what `chunks` throws is passed on
 */
export async function stageFile(
  path: string,
  chunks: AsyncIterable<Chunk>,
  staging = newStaging(),
  { folderMode, fileMode = PRIVATE_FILE }: Modes = {},
): Promise<StagedFile> {
  const folder = dirname(path);
  const temporary = stagedPath(path, staging);
  const hash = createHash('sha256');
  let bytes = 0;
  let handle: FileHandle | null = null;
  // Clearing up must not hide the error that led here.
  const discard = () => rm(temporary, { force: true }).catch(() => {});
  const create = async (): Promise<FileHandle> => {
    makeFolder(folder, folderMode);
    // It may hold prompts, and ids of users: nobody else sees it before its mode says that they may.
    const created = await open(temporary, 'wx', PRIVATE_FILE);
    if (fileMode !== PRIVATE_FILE) await created.chmod(fileMode);
    return created;
  };
  try {
    for await (const chunk of chunks) {
      const buffer = typeof chunk === 'string' ? Buffer.from(chunk, 'utf8') : chunk;
      handle ??= await create().catch(storageFailure(path));
      // Another thread writes while this one reads the same bytes.
      const written = handle.writeFile(buffer).catch(storageFailure(path));
      hash.update(buffer);
      await written;
      bytes += buffer.length;
    }
    handle ??= await create().catch(storageFailure(path));
    await handle.sync().catch(storageFailure(path));
    await handle.close().catch(storageFailure(path));
  } catch (cause) {
    await handle?.close().catch(() => {});
    await discard();
    throw cause;
  }
  return {
    bytes,
    sha256: hash.digest('hex'),
    temporaryPath: temporary,
    discard,
  };
}

/** Gives a file its name, in the same folder; a file that has it is replaced. @throws StorageError */
export async function replaceFile(temporary: string, path: string): Promise<void> {
  await rename(temporary, path).catch(storageFailure(path));
  await syncFolder(dirname(path));
}

/** Where a file system has no second names for files. */
const NO_LINKS: ReadonlySet<string | undefined> = new Set([
  'EPERM',
  'ENOTSUP',
  'EOPNOTSUPP',
  'ENOSYS',
  'EMLINK',
]);

/**
 * Gives a file a name that no file has, in the same folder, whoever else wants it at the same moment.
 * @returns false where there is a file of that name
 * @throws StorageError
 */
export async function nameFile(temporary: string, path: string): Promise<boolean> {
  try {
    await link(temporary, path).catch((cause: NodeJS.ErrnoException) => {
      if (!NO_LINKS.has(cause.code)) throw cause;
      return takeName(temporary, path);
    });
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code === 'EEXIST') return false;
    return storageFailure(path)(cause);
  }
  await rm(temporary, { force: true }).catch(() => {});
  await syncFolder(dirname(path));
  return true;
}

/** An empty file has the name first, so that nobody else takes it. */
async function takeName(temporary: string, path: string): Promise<void> {
  const handle = await open(path, 'wx', PRIVATE_FILE);
  await handle.close();
  await rename(temporary, path);
}

/** Makes a rename durable. Some systems cannot sync a folder; the rename itself has happened all the same. */
async function syncFolder(folder: string): Promise<void> {
  const handle = await open(folder, 'r').catch(() => null);
  await handle?.sync().catch(() => {});
  await handle?.close();
}

function storageFailure(path: string): (cause: unknown) => never {
  return (cause) => {
    throw storageError(cause, 'write', { path });
  };
}
