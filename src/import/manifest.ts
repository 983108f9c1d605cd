/** The manifest beside one of our own exports, which says what the file's bytes have to be. */

import { createHash } from 'node:crypto';
import { type FileHandle, open } from 'node:fs/promises';
import { ConfigError, ImportError } from '../errors.js';
import { ofSystem } from '../system-errors.js';

export const MANIFEST_SUFFIX = '.manifest.json';
/** A manifest has a line for each column of its file. */
const MANIFEST_BYTES_MAX = 64 * 1024 * 1024;
const READ_BYTES = 1024 * 1024;

/** What opening a file says where there cannot be one of that name. */
const ABSENT: ReadonlySet<string | undefined> = new Set(['ENOENT', 'ENOTDIR', 'ENAMETOOLONG']);

const CHOICES = ['check', 'ignore'] as const;
export type ManifestUse = (typeof CHOICES)[number];

/** @throws ConfigError */
export function checkManifestUse(use: unknown): void {
  if (use !== undefined && !CHOICES.includes(use as ManifestUse)) {
    throw new ConfigError('manifest', "'check' or 'ignore'", use);
  }
}

interface Stated {
  readonly bytes: number;
  readonly sha256: string;
}

/**
 * Compares a file with the manifest beside it, if there is one: all of it is read.
 * @returns whether there is one
 * @throws ImportError ERR_MANIFEST_MISMATCH; StorageError when either cannot be read
 */
export async function checkManifest(path: string): Promise<boolean> {
  const manifest = path + MANIFEST_SUFFIX;
  const stated = await read(manifest, path);
  if (stated === null) return false;
  const found = await hashOf(path);
  if (found === null) return false;
  if (found.bytes === stated.bytes && found.sha256 === stated.sha256) return true;
  const what =
    found.bytes === stated.bytes
      ? `it has the SHA-256 ${found.sha256}, and ${stated.sha256} is expected`
      : `it has ${found.bytes} bytes, and ${stated.bytes} are expected`;
  throw mismatch(path, manifest, what, { expected: stated, actual: found });
}

/** Null where there is none, or the manifest of another program. */
async function read(manifest: string, path: string): Promise<Stated | null> {
  const text = await textOf(manifest);
  if (text === null || !text.startsWith('{')) return null;
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    throw mismatch(path, manifest, 'the manifest is no JSON');
  }
  const { bytes, sha256 } = value as Record<string, unknown>;
  return typeof bytes === 'number' && typeof sha256 === 'string' ? { bytes, sha256 } : null;
}

async function textOf(manifest: string): Promise<string | null> {
  let handle: FileHandle | null = null;
  try {
    handle = await open(manifest, 'r');
    const stat = await handle.stat();
    if (!stat.isFile() || stat.size > MANIFEST_BYTES_MAX) return null;
    return await handle.readFile('utf8');
  } catch (cause) {
    if (ABSENT.has((cause as NodeJS.ErrnoException).code)) return null;
    throw ofSystem(cause, 'read', manifest);
  } finally {
    await handle?.close();
  }
}

/** Null for what is no regular file, whose bytes come only once. */
async function hashOf(path: string): Promise<Stated | null> {
  const hash = createHash('sha256');
  const buffer = Buffer.allocUnsafeSlow(READ_BYTES);
  let bytes = 0;
  let handle: FileHandle | null = null;
  try {
    handle = await open(path, 'r');
    if (!(await handle.stat()).isFile()) return null;
    for (;;) {
      const { bytesRead } = await handle.read(buffer, 0, READ_BYTES, bytes);
      if (bytesRead === 0) return { bytes, sha256: hash.digest('hex') };
      hash.update(buffer.subarray(0, bytesRead));
      bytes += bytesRead;
    }
  } catch (cause) {
    throw ofSystem(cause, 'read', path);
  } finally {
    await handle?.close();
  }
}

function mismatch(path: string, manifest: string, what: string, facts: Record<string, unknown> = {}) {
  return new ImportError(
    'ERR_MANIFEST_MISMATCH',
    `${path} is not what ${manifest} says: ${what}. One of them is damaged, or the file was changed; manifest: 'ignore' (--manifest ignore) reads it all the same`,
    { path, manifest, ...facts },
  );
}
