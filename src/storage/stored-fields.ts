/** What the document of an experiment says of it, as `storedOptions` and the experiment wrote it. */
import { join } from 'node:path';
import { COLUMN_TYPES } from '../schema/columns.js';
import type { Json } from '../schema/event.js';
import type { ExperimentDocument } from './disk/document.js';
import { DOCUMENT } from './disk/paths.js';
import { isNumber, isObject, isText, oneOf, orNull, requireShape, type Shape } from './disk/shape.js';

export type ExperimentStatus = 'running' | 'paused' | 'stopped' | 'archived';

export interface StoredFields {
  readonly id: string;
  readonly name: string;
  readonly hypothesis: string | null;
  readonly condition: string;
  readonly tags: readonly string[];
  readonly metadata: Readonly<Record<string, Json>>;
  readonly sampleSize: number | null;
  readonly status: ExperimentStatus;
  readonly startedAt: number;
  readonly stoppedAt: number | null;
  readonly pausedAt: number | null;
  /** Time spent in pauses, µs. */
  readonly pausedUs: number;
  readonly pauseCount: number;
  /** As it was started, defaults filled in. */
  readonly options: Readonly<Record<string, Json>>;
}

const SHAPE = {
  id: isText,
  name: isText,
  hypothesis: orNull(isText),
  condition: isText,
  tags: [isText],
  metadata: isObject,
  sampleSize: orNull(isNumber),
  status: oneOf('running', 'paused', 'stopped', 'archived'),
  startedAt: isNumber,
  stoppedAt: orNull(isNumber),
  pausedAt: orNull(isNumber),
  pausedUs: isNumber,
  pauseCount: isNumber,
  // The others are checked by whoever starts an experiment with them.
  options: { columns: [{ name: isText, type: oneOf(...COLUMN_TYPES) }] },
} as const satisfies Readonly<Record<keyof StoredFields, Shape>>;

/** @throws StorageError ERR_SEGMENT_VERSION where the document tells something else than this version writes */
export function storedFields(folder: string, { experiment }: ExperimentDocument): StoredFields {
  requireShape({ experiment }, { experiment: SHAPE }, join(folder, DOCUMENT));
  return experiment as unknown as StoredFields;
}
