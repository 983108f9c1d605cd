/** The names in an experiment's folder, `<dir>/<experiment id>/`. */

import { randomBytes } from 'node:crypto';
import { join } from 'node:path';
import { NotFoundError } from '../../errors.js';

/** The experiment and its finished segments; replaced atomically. */
export const DOCUMENT = 'experiment.json';

/** Where journals of scores are. */
export const SCORES_FOLDER = 'scores';

/** How a segment's file is written: as it comes, or compacted. */
export type SegmentForm = 'arrow' | 'parquet';

/** @throws NotFoundError for an id that no experiment can have, so that no id leads out of `dir` */
export function experimentFolder(dir: string, id: string): string {
  if (!isExperimentId(id)) throw new NotFoundError('experiment', id);
  return join(dir, id);
}

export function isExperimentId(id: string): boolean {
  return /^[\w-]{1,64}$/.test(id);
}

/** @param segment from 1 */
export function segmentName(segment: number): string {
  return `${digits(segment)}.arrows`;
}

/** A segment's name once it is Parquet. @param segment from 1 */
export function compactedName(segment: number): string {
  return `${digits(segment)}.parquet`;
}

/** A segment's name in either form. @param segment from 1 */
export function segmentFileName(segment: number, form: SegmentForm): string {
  return form === 'arrow' ? segmentName(segment) : compactedName(segment);
}

/** The number in a segment's name, from 1; undefined for any other name. */
export function parseSegmentName(name: string): number | undefined {
  return parseNumbered(name, segmentName);
}

/** The number in a compacted segment's name, from 1; undefined for any other name. */
export function parseCompactedName(name: string): number | undefined {
  return parseNumbered(name, compactedName);
}

/** Who writes: the process, and 16 hex digits so that no name is ever used twice. */
export function lockName(pid: number, token: string): string {
  return `writer-${pid}-${token}.lock`;
}

/** The process in a lock's name; undefined for any other name. */
export function parseLockName(name: string): number | undefined {
  const match = /^writer-([1-9]\d{0,9})-[0-9a-f]{16}\.lock$/.exec(name);
  return match === null ? undefined : Number(match[1]);
}

/** A name for what will be renamed to `name` once it is whole. @param token 16 hex digits, never used before */
export function temporaryName(name: string, token = randomToken()): string {
  return `.tmp-${token}-${name}`;
}

/**
 * The name that a temporary one stands for; undefined for any other name. Such a file is left over, unless its writer
 * is still at it.
 */
export function parseTemporaryName(name: string): string | undefined {
  return /^\.tmp-[0-9a-f]{16}-(.+)$/.exec(name)?.[1];
}

/** 16 hex digits that nobody else has. */
export function randomToken(): string {
  return randomBytes(8).toString('hex');
}

function digits(segment: number): string {
  return String(segment).padStart(6, '0');
}

function parseNumbered(name: string, nameOf: (segment: number) => string): number | undefined {
  const segment = Number.parseInt(name, 10);
  return segment >= 1 && Number.isSafeInteger(segment) && nameOf(segment) === name ? segment : undefined;
}
