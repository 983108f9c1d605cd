/**
 * The file that an export or an archive writes.
 *
 * A path that the caller has given is replaced. One that was made of a name never is: experiments may share a name, and
 * one may be exported again. Where such a path is taken, by a file or by the manifest of one, the next number is
 * tried: `name.csv`, `name-2.csv`, `name-3.csv`.
 */

import type { Stats } from 'node:fs';
import { lstat, stat } from 'node:fs/promises';
import { basename } from 'node:path';
import { ExportError } from '../errors.js';
import type { Modes } from '../make-folder.js';
import { nameFile, replaceFile, type StagedFile, stageFile } from './file.js';
import { checkLengths, explicitExportPath, linkedPath, MANIFEST_SUFFIX, resolveExportPath } from './path.js';

export const DEFAULT_EXPORT_DIR = 'exports';

/** Structured-cloneable. */
export interface ExportTarget {
  /** Absolute; of a path made of a name, the one without a number. */
  readonly path: string;
  /** What the path ends with, dot included; '' of a path that was given. */
  readonly extension: string;
  /** The first number to try; null where the path was given and is replaced. */
  readonly number: number | null;
}

export interface TargetOptions {
  /** The file to write, anywhere; else `dir` and `name` decide. */
  path?: string | undefined;
  /** Export folder; default `exports`. */
  dir?: string | undefined;
  /** File name without extension, inside `dir`. Needed unless `path` is given. */
  name?: string | undefined;
}

/**
 * Nothing is created.
 * @param extension - without a dot in front
 * @throws ExportError ERR_EXPORT_PATH, also for a path that is a folder, a device, a FIFO or a socket
 */
export async function exportTarget(extension: string, options: TargetOptions): Promise<ExportTarget> {
  if (options.path === undefined) {
    const path = await resolveExportPath(options.dir ?? DEFAULT_EXPORT_DIR, options.name ?? '', extension);
    return { path, extension: `.${extension}`, number: 1 };
  }
  const path = await linkedPath(explicitExportPath(options.path));
  for (const file of [path, path + MANIFEST_SUFFIX]) {
    const found = await stat(file).catch(() => null);
    if (found === null || found.isFile()) continue;
    // Whatever else it is would be replaced by a file.
    throw new ExportError('ERR_EXPORT_PATH', `cannot export to ${file}: it is ${kindOf(found)}`, { path });
  }
  return { path, extension: '', number: null };
}

function kindOf(found: Stats): string {
  if (found.isDirectory()) return 'a folder';
  if (found.isFIFO()) return 'a FIFO (exportStream writes to those, or --out - > FIFO)';
  return found.isSocket() ? 'a socket' : 'a device';
}

/** The paths to try, each with what is then the target. @throws ExportError when a number makes the name too long */
export function* choices(target: ExportTarget): Generator<{ path: string; target: ExportTarget }> {
  const { path, extension, number } = target;
  if (number === null) {
    yield { path, target };
    return;
  }
  const stem = path.slice(0, path.length - extension.length);
  for (let n = number; ; n++) {
    const numbered = n === 1 ? path : `${stem}-${n}${extension}`;
    checkLengths(numbered, basename(numbered));
    yield { path: numbered, target: { ...target, number: n } };
  }
}

/** Whether there is a file, or the manifest of one, that must not be replaced. */
export async function isTaken({ number }: ExportTarget, path: string): Promise<boolean> {
  if (number === null) return false;
  for (const file of [path, path + MANIFEST_SUFFIX]) {
    const exists = await lstat(file).then(
      () => true,
      () => false,
    );
    if (exists) return true;
  }
  return false;
}

export interface Published {
  /** Absolute. */
  readonly path: string;
  readonly manifest: string | null;
}

/**
 * Gives a staged file its name, and a manifest beside it: both, or, unless the process dies in between, neither.
 * @param manifestOf - the manifest's text for a file of that name; null for no manifest
 * @param staging - what the manifest's temporary name is made of
 * @param modes - of the manifest
 * @throws StorageError, ExportError ERR_EXPORT_PATH; the staged file is still there then
 */
export async function publish(
  staged: StagedFile,
  target: ExportTarget,
  manifestOf: ((file: string) => string) | null,
  staging?: string,
  modes?: Modes,
): Promise<Published> {
  for (const choice of choices(target)) {
    const { path } = choice;
    if (await isTaken(target, path)) continue;
    const manifest = path + MANIFEST_SUFFIX;
    const told =
      manifestOf === null
        ? null
        : await stageFile(manifest, single(manifestOf(basename(path))), staging, modes);
    try {
      if (target.number === null) await replaceFile(staged.temporaryPath, path);
      else if (!(await nameFile(staged.temporaryPath, path))) continue;
      if (told !== null) await replaceFile(told.temporaryPath, manifest);
      return { path, manifest: told === null ? null : manifest };
    } finally {
      await told?.discard();
    }
  }
  throw new ExportError('ERR_EXPORT_PATH', `cannot export to ${target.path}`, { path: target.path });
}

async function* single(text: string): AsyncGenerator<string> {
  yield text;
}
