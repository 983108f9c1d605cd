/** The names in an experiment's folder, `<dir>/<experiment id>/`. */

import { randomBytes } from 'node:crypto';
import { join } from 'node:path';
import { NotFoundError } from '../errors.js';

/** The experiment and its finished segments; replaced atomically. */
export const DOCUMENT = 'experiment.json';

const TEMPORARY = '.tmp-';

/** @throws NotFoundError for an id that no experiment can have, so that no id leads out of `dir` */
export function experimentFolder(dir: string, id: string): string {
  if (!/^[\w-]{1,64}$/.test(id)) throw new NotFoundError('experiment', id);
  return join(dir, id);
}

/** @param segment from 1 */
export function segmentName(segment: number): string {
  return `${digits(segment)}.arrows`;
}

/** A segment's name once it is Parquet. @param segment from 1 */
export function compactedName(segment: number): string {
  return `${digits(segment)}.parquet`;
}

/** The number in a segment's name, from 1; undefined for any other name. */
export function parseSegmentName(name: string): number | undefined {
  return parseNumbered(name, segmentName);
}

/** The number in a compacted segment's name, from 1; undefined for any other name. */
export function parseCompactedName(name: string): number | undefined {
  return parseNumbered(name, compactedName);
}

/** A name for what will be renamed to `name` once it is whole. Never the same twice. */
export function temporaryName(name: string): string {
  return `${TEMPORARY}${randomBytes(8).toString('hex')}-${name}`;
}

/** Whether a name is one that `temporaryName` gave out for `name`: left over, unless its writer is still at it. */
export function isTemporaryName(found: string, name: string): boolean {
  return (
    found.length === TEMPORARY.length + 17 + name.length &&
    found.startsWith(TEMPORARY) &&
    found.endsWith(`-${name}`)
  );
}

function digits(segment: number): string {
  return String(segment).padStart(6, '0');
}

function parseNumbered(name: string, nameOf: (segment: number) => string): number | undefined {
  const segment = Number.parseInt(name, 10);
  return segment >= 1 && Number.isSafeInteger(segment) && nameOf(segment) === name ? segment : undefined;
}
