/**
 * Files that appear whole or not at all.
 *
 * Content goes to a temporary file in the target's folder, is synced, and then renamed over the target. On any
 * error the temporary file is removed and the target is what it was before.
 */

import { createHash, randomBytes } from 'node:crypto';
import { type FileHandle, mkdir, open, rename, rm } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { StorageError } from '../errors.js';
import type { Chunk } from './encoder.js';

export interface WrittenFile {
  bytes: number;
  /** Lower-case hex. */
  sha256: string;
}

/** A complete, synced file under a temporary name, until it is committed or discarded. */
export interface StagedFile extends WrittenFile {
  /** Where it is until it is committed. */
  readonly temporaryPath: string;
  /** Renames it to its target. */
  commit(): Promise<void>;
  /** Removes it; after a commit there is nothing to remove. Never fails. */
  discard(): Promise<void>;
}

/** A name that no other staged file has. */
export function newStaging(): string {
  return randomBytes(8).toString('hex');
}

/** Where a file is before it gets its name. */
export function stagedPath(path: string, staging: string): string {
  return join(dirname(path), `.crucible-${staging}.tmp`);
}

/**
 * Writes chunks beside `path`, ready to be renamed there. Missing folders are created, on the first chunk: a
 * stream that fails before it leaves nothing, and neither does an empty one that throws.
 *
 * @param staging - what its temporary name is made of, for whoever has to remove it from elsewhere
 * @throws StorageError ERR_STORAGE_FULL or ERR_STORAGE_IO, with cause; what `chunks` throws is passed on
 */
export async function stageFile(
  path: string,
  chunks: AsyncIterable<Chunk>,
  staging = newStaging(),
): Promise<StagedFile> {
  const folder = dirname(path);
  const temporary = stagedPath(path, staging);
  const hash = createHash('sha256');
  let bytes = 0;
  let handle: FileHandle | null = null;
  // Clearing up must not hide the error that led here.
  const discard = () => rm(temporary, { force: true }).catch(() => {});
  const create = async (): Promise<FileHandle> => {
    await mkdir(folder, { recursive: true });
    return open(temporary, 'wx');
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
    async commit() {
      await rename(temporary, path).catch(storageFailure(path));
      await syncFolder(folder);
    },
  };
}

/** Makes a rename durable. Some systems cannot sync a folder; the rename itself has happened all the same. */
async function syncFolder(folder: string): Promise<void> {
  const handle = await open(folder, 'r').catch(() => null);
  await handle?.sync().catch(() => {});
  await handle?.close();
}

function storageFailure(path: string): (cause: NodeJS.ErrnoException) => never {
  return (cause) => {
    const full = cause.code === 'ENOSPC' || cause.code === 'EDQUOT';
    throw new StorageError(
      full ? 'ERR_STORAGE_FULL' : 'ERR_STORAGE_IO',
      `cannot write ${path}: ${cause.code ?? cause.message}`,
      { path },
      { cause },
    );
  };
}
