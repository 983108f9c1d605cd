/**
 * Where an export may be written.
 *
 * A name comes from data (an experiment's name) and must stay inside the export folder, whatever it contains. An
 * explicit path comes from the caller and may be anywhere.
 */

import { lstat, readlink, realpath } from 'node:fs/promises';
import { dirname, isAbsolute, join, relative, resolve, sep, win32 } from 'node:path';
import { ExportError } from '../errors.js';
import { wellFormed } from '../formats/text.js';
import { absolutePath } from '../system-errors.js';

export const MANIFEST_SUFFIX = '.manifest.json';

/** Longest file name of the common file systems. */
const NAME_BYTES_MAX = 255;

/**
 * The path of `name.extension` inside `dir`. The name may have folders in it, none of which may lead out: not by
 * `..`, not by being absolute, not through a symbolic link. Nothing is created.
 *
 * @throws ExportError ERR_EXPORT_PATH
 */
export async function resolveExportPath(dir: string, name: string, extension: string): Promise<string> {
  checkText(dir, 'export folder');
  checkText(name, 'export name');
  const parts = name.split(/[/\\]/);
  if (isAbsolute(name) || win32.isAbsolute(name)) {
    throw refused(name, 'the name is an absolute path');
  }
  if (parts.some((part) => part === '' || part === '.' || part === '..')) {
    throw refused(name, 'the name has an empty, "." or ".." part');
  }
  const root = absolutePath('dir', dir);
  const path = join(root, ...parts.slice(0, -1), `${parts.at(-1)}.${extension}`);
  checkLengths(relative(root, path), name);
  const [realRoot, realFolder] = await Promise.all([realFolderOf(root), realFolderOf(dirname(path))]);
  if (realFolder !== realRoot && !realFolder.startsWith(realRoot.endsWith(sep) ? realRoot : realRoot + sep)) {
    throw refused(name, 'a symbolic link leads out of the export folder');
  }
  return path;
}

/**
 * Checks a path the caller chose and makes it absolute.
 *
 * @throws ExportError ERR_EXPORT_PATH when it is no text, empty, has a NUL, or names a folder
 */
export function explicitExportPath(path: unknown): string {
  checkText(path, 'export path');
  if (/[/\\]$/.test(path) || ['.', '..'].includes(path)) throw refused(path, 'the path names a folder');
  const absolute = absolutePath('path', path);
  checkLengths(absolute, path);
  return absolute;
}

/** As many as the system follows. */
const LINKS_MAX = 40;

/**
 * What a path is that may be a symbolic link: the file that it points to, be it there or not. The link stays.
 * @throws ExportError ERR_EXPORT_PATH for links in a circle
 */
export async function linkedPath(path: string): Promise<string> {
  let end = path;
  for (let links = 0; links <= LINKS_MAX; links++) {
    const next = await readlink(end).catch(() => null);
    if (next === null) return end;
    // A relative one starts where the link really is.
    end = resolve(await realpath(dirname(end)), next);
  }
  throw refused(path, 'symbolic links lead in a circle');
}

function checkText(value: unknown, what: string): asserts value is string {
  if (typeof value !== 'string' || value === '') throw refused(value, `the ${what} is not a text`);
  if (value.includes('\0')) throw refused(value, `the ${what} has a NUL character`);
  if (wellFormed(value) !== value) throw refused(value, `the ${what} is not valid Unicode`);
}

/**
 * The manifest's name must fit as well, or the export would fail after the data was written.
 * @throws ExportError ERR_EXPORT_PATH
 */
export function checkLengths(path: string, shown: string): void {
  const parts = path.split(sep);
  const tooLong = parts.some((part, index) => {
    const suffix = index === parts.length - 1 ? MANIFEST_SUFFIX : '';
    return Buffer.byteLength(part + suffix) > NAME_BYTES_MAX;
  });
  if (tooLong) {
    throw refused(shown, `a file name, with ${MANIFEST_SUFFIX}, is longer than ${NAME_BYTES_MAX} bytes`);
  }
}

/** The folder with all links resolved; where it does not exist yet, its deepest existing ancestor with the rest. */
async function realFolderOf(folder: string): Promise<string> {
  try {
    return await realpath(folder);
  } catch (cause) {
    const code = (cause as NodeJS.ErrnoException).code;
    const parent = dirname(folder);
    if (code !== 'ENOENT' || parent === folder) {
      throw new ExportError(
        'ERR_EXPORT_PATH',
        `cannot resolve ${folder}: ${code}`,
        { path: folder },
        { cause },
      );
    }
    const dangling = await lstat(folder).catch(() => null);
    // A link to a folder that does not exist yet would escape as soon as somebody creates that folder.
    if (dangling !== null) throw refused(folder, 'a symbolic link leads nowhere');
    return join(await realFolderOf(parent), relative(parent, folder));
  }
}

function refused(path: unknown, reason: string): ExportError {
  const shown = typeof path === 'string' ? JSON.stringify(path.slice(0, 80)) : `a ${typeof path}`;
  return new ExportError('ERR_EXPORT_PATH', `cannot export to ${shown}: ${reason}`, { path });
}
