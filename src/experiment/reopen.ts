/** Reopening experiments that are on disk. */

import { basename, dirname, join } from 'node:path';
import { CHUNK_ROWS } from '../../assembly/layout.js';
import { checkOptions, type OptionNames } from '../check-options.js';
import type { Clock } from '../clock.js';
import {
  ConfigError,
  StateError,
  StorageError,
  serializeError,
  type TelemetryError,
  type WireError,
} from '../errors.js';
import { countMalformedKeys } from '../readers/rows.js';
import { Replay } from '../ring/replay.js';
import type { PriceTable } from '../schema/prices.js';
import { readDocument, writeDocument } from '../storage/disk/document.js';
import { clearUp } from '../storage/disk/errors.js';
import { nodeFileSystem as files } from '../storage/disk/file-system.js';
import { acquireLock, holderOf, type Lock, type LockHolder, stealLocks } from '../storage/disk/lock.js';
import { type CutTail, type Damage, type FolderContents, openFolder } from '../storage/recovery.js';
import { type StoredFields, storedFields } from '../storage/stored-fields.js';
import { ofSystem, systemCodeOf } from '../system-errors.js';
import { checkThreadSpace } from '../thread.js';
import type { ExperimentStatus, Reopened } from './experiment.js';
import { type ResolvedOptions, restoreOptions } from './options.js';
import { Stores } from './stores.js';

export interface RecoverOptions {
  /** Changes nothing on disk and captures nothing; default false. */
  readOnly?: boolean | undefined;
  /**
   * Whether experiments that were running when their process ended go on, here and now; default true. With false they
   * are repaired and can be read, and can go on another time.
   */
  resume?: boolean | undefined;
  /**
   * Ends experiments that were running when their process ended, as of their last sign of life: what to do with them
   * when nothing more will be captured. Default false.
   */
  stop?: boolean | undefined;
  /**
   * Lets stopped experiments go on as well: all of them, or those whose ids are given, which may be archived, too. The
   * time since they were stopped counts as paused. One that this Crucible has open is opened anew; who holds it can
   * read it on. Default false.
   */
  reopen?: boolean | readonly string[] | undefined;
  /**
   * Takes experiments over whose locks are held by a process that cannot be seen from here and gives no sign of life
   * for 25 seconds, although by the time on its lock it lives: a clock was wrong. Default false.
   */
  stealLocks?: boolean | undefined;
  /**
   * Called every now and then: experiments looked at and how many there are, rows of those, and bytes read so far.
   * What it throws ends the recovery.
   */
  onProgress?: (progress: { done: number; total: number; rows: number; bytes: number }) => void;
}

/** What was found under a folder. */
export interface RecoveryReport {
  readonly dir: string;
  readonly experiments: readonly RecoveredExperiment[];
  /** Over all experiments: rows that can be read, and bytes of their segments. */
  readonly rows: number;
  readonly bytes: number;
}

export interface RecoveredExperiment {
  readonly id: string;
  readonly name: string | null;
  readonly folder: string;
  /**
   * 'write': it goes on where it ended, if it was running. 'read': it can be read; `heldBy` says who writes it, if
   * somebody does. 'none': it could not be opened; `error` says why.
   */
  readonly access: 'write' | 'read' | 'none';
  readonly heldBy: { readonly pid: number; readonly host: string | null } | null;
  readonly status: ExperimentStatus | null;
  /** Whether it was running or paused when its process ended, or the machine. */
  readonly interrupted: boolean;
  /** Whether it was interrupted and can go on: `recover` lets it do so. */
  readonly resumable: boolean;
  /** Whether anything on disk was changed. */
  readonly changed: boolean;
  readonly rows: number;
  readonly bytes: number;
  readonly segments: number;
  /** Times of the first and last event, µs since the Unix epoch. */
  readonly timeRange: readonly [number, number] | null;
  /** Rows being written when the process ended, whose bytes were cut off: they had not been acknowledged. */
  readonly cut: readonly CutTail[];
  /** What is not as it was written, and what is missing because of it. */
  readonly damage: readonly Damage[];
  /** Rows that had not been kept in the first place, as counted when the last rows, or the document, were written. */
  readonly dropped: number;
  /** Why it was only read where it was to be repaired, or to go on: a disk that is read-only or full. */
  readonly notice: WireError | null;
  readonly error: WireError | null;
}

export interface Recovered {
  readonly options: ResolvedOptions;
  readonly reopened: Reopened;
  readonly report: RecoveredExperiment;
}

export interface ReopenOptions extends Required<Omit<RecoverOptions, 'onProgress'>> {
  readonly onBytes: (bytes: number) => void;
}

const OPTIONS: OptionNames<RecoverOptions> = {
  readOnly: true,
  resume: true,
  stop: true,
  reopen: true,
  stealLocks: true,
  onProgress: true,
};

/** @throws ConfigError for what is no option, or for options that contradict each other */
export function checkRecoverOptions(options: RecoverOptions): Omit<ReopenOptions, 'onBytes'> {
  checkOptions(options, OPTIONS);
  const { readOnly = false, resume = true, stop = false, reopen = false, stealLocks = false } = options;
  for (const [key, value] of Object.entries({ readOnly, resume, stop, stealLocks })) {
    if (typeof value !== 'boolean') throw new ConfigError(key, 'a boolean', value);
  }
  const isIds = Array.isArray(reopen) && reopen.every((id) => typeof id === 'string');
  if (typeof reopen !== 'boolean' && !isIds)
    throw new ConfigError('reopen', 'a boolean or a list of ids', reopen);
  if (readOnly && (stop || stealLocks))
    throw new ConfigError(stop ? 'stop' : 'stealLocks', 'nothing, with readOnly', true);
  const goesOn = reopen !== false && (readOnly || stop || !resume);
  if (goesOn) throw new ConfigError('reopen', 'nothing, where no experiment is to go on', reopen);
  return { readOnly, resume, stop, reopen, stealLocks };
}

/**
 * Reads an experiment's folder. Unless `readOnly`, or somebody else writes it, it is repaired, and captured on if it
 * was running and is to `resume`, or is to `reopen`. Where the disk cannot be written it is read all the same.
 * @throws TelemetryError when it cannot be opened
 */
export async function reopen(
  folder: string,
  owner: { clock: Clock; prices: PriceTable },
  options: ReopenOptions,
): Promise<Recovered> {
  let notice: TelemetryError | null = null;
  for (let attempt = 1; ; attempt++) {
    const holder = holderOf(files, folder);
    if (holder !== undefined && options.stealLocks && attempt === 1) {
      try {
        await stealLocks(files, folder);
      } catch (error) {
        if (!isLocked(error)) throw error;
        notice = error;
      }
      continue;
    }
    const mayWrite = !options.readOnly && holder === undefined && notice === null;
    let lock: Lock | null = null;
    try {
      lock = mayWrite ? acquireLock(files, folder) : null;
      return await reopenLocked(folder, owner, options, holder, lock, notice);
    } catch (thrown) {
      clearUp(() => lock?.release());
      const error = ofSystem(thrown, 'read an experiment at', folder);
      if (attempt === ATTEMPTS) throw error;
      // Whoever writes it may delete a file that was just listed: what has expired or was compacted.
      const isGone = !mayWrite && systemCodeOf(thrown) === 'ENOENT';
      // Somebody else was quicker.
      if (isGone || isLocked(error)) continue;
      if (!(mayWrite && isOfDisk(error))) throw error;
      notice = error;
    }
  }
}

/** At reading a folder whose files are being deleted, or which others want. */
const ATTEMPTS = 5;

function isLocked(error: unknown): error is StateError {
  return error instanceof StateError && error.code === 'ERR_LOCKED';
}

/** Whether the disk does not let itself be written, or read: the next attempt tells which. */
function isOfDisk(error: unknown): error is StorageError {
  return error instanceof StorageError && ['ERR_STORAGE_IO', 'ERR_STORAGE_FULL'].includes(error.code);
}

async function reopenLocked(
  folder: string,
  owner: { clock: Clock; prices: PriceTable },
  options: ReopenOptions,
  holder: LockHolder | undefined,
  lock: Lock | null,
  notice: TelemetryError | null,
): Promise<Recovered> {
  const found = readDocument(files, folder);
  const fields = storedFields(folder, found);
  const wasOpen = fields.status === 'running' || fields.status === 'paused';
  const isReopened = !wasOpen && isToReopen(options.reopen, folder, fields);
  const isWanted = wasOpen ? options.resume && !options.stop : isReopened;
  const goesOn = lock !== null && isWanted;
  const asStored = restoreOptions(found.experiment, dirname(folder));
  // A ring is only needed where rows will be captured. What the document says of it stays.
  const ring = goesOn ? asStored : { ...asStored, capacity: CHUNK_ROWS, producers: 1 };
  const stores = new Stores(ring, owner);
  if (goesOn) checkThreadSpace();
  const replay = asStored.streamingMetrics ? new Replay(stores.memory, stores.geometry) : undefined;
  const malformedKeys = new Map<string, number>();
  const contents = await openFolder(files, folder, asStored.columns, {
    repair: lock !== null,
    onBatch(batch, texts) {
      stores.learn(texts);
      countMalformedKeys(batch, malformedKeys);
      replay?.add(batch);
    },
    onBytes: options.onBytes,
  });
  stores.learn(contents);
  // Only now that all texts have the ids that they had.
  for (const [key, events] of malformedKeys) stores.malformedKeys.count(key, events);
  stores.control.nextSequence = contents.nextChunk;
  const interrupted = wasOpen && holder === undefined;
  const state = stateOf(fields, contents, owner.clock.nowUs(), holder !== undefined, goesOn);
  const ends = lock !== null && interrupted && options.stop;
  if (ends)
    writeDocument(files, folder, { ...contents.document, experiment: { ...found.experiment, ...state } });
  if (!goesOn) lock?.release();
  const { rows, losses, damage, document } = contents;
  const damaged = damage.reduce((sum, { rowsLost }) => sum + (rowsLost ?? 0), 0);
  const expired = document.expired.rows;
  const listed = document.segments.reduce((sum, segment) => sum + segment.rows, expired);
  const damages = damage.map(({ file, offset, bytes, rowsLost, reason }) => ({
    path: join(folder, file),
    offset: offset ?? 0,
    bytes,
    rows: rowsLost,
    reason,
  }));
  const past = { rows, expired, listed, damaged, damages, losses };
  return {
    options: asStored,
    reopened: {
      stores,
      folder,
      lock: goesOn ? lock : null,
      isOver: ends || !(wasOpen || goesOn),
      past,
      state,
    },
    report: {
      id: asStored.id,
      name: asStored.name,
      folder,
      access: goesOn ? 'write' : 'read',
      heldBy: holder === undefined ? null : { pid: holder.pid, host: holder.host },
      status: state.status,
      interrupted,
      resumable: interrupted && !goesOn && !ends,
      changed: contents.changed || ends,
      rows,
      bytes: contents.bytes,
      segments: contents.segments,
      timeRange:
        contents.timeMinUs === null || contents.timeMaxUs === null
          ? null
          : [contents.timeMinUs, contents.timeMaxUs],
      cut: contents.cut,
      damage,
      dropped: losses.overwritten + losses.refused,
      notice: notice && serializeError(notice),
      error: null,
    },
  };
}

/** The report of a folder that could not be opened, for whatever reason: the others must not suffer from it. */
export function unopened(folder: string, error: unknown): RecoveredExperiment {
  return {
    id: folder.split(/[\\/]/).at(-1) as string,
    name: null,
    folder,
    access: 'none',
    heldBy: null,
    status: null,
    interrupted: false,
    resumable: false,
    changed: false,
    rows: 0,
    bytes: 0,
    segments: 0,
    timeRange: null,
    cut: [],
    damage: [],
    dropped: 0,
    notice: null,
    error: serializeError(error),
  };
}

/** Whether one that has ended is to go on: by its id, or its folder's name, which somebody may have changed. */
export function isToReopen(
  reopen: boolean | readonly string[],
  folder: string,
  { id, status }: { readonly id: string; readonly status: ExperimentStatus },
): boolean {
  if (typeof reopen === 'boolean') return reopen && status === 'stopped';
  const hasEnded = status === 'stopped' || status === 'archived';
  return hasEnded && (reopen.includes(id) || reopen.includes(basename(folder)));
}

/** Where the experiment stands. The time in which no process had it counts as paused. */
function stateOf(
  { status, startedAt, stoppedAt, pausedAt, pausedUs, pauseCount }: StoredFields,
  contents: FolderContents,
  nowUs: number,
  isHeld: boolean,
  goesOn: boolean,
): Reopened['state'] {
  const wasOpen = status === 'running' || status === 'paused';
  const lastSeenUs = Math.max(contents.timeMaxUs ?? startedAt, contents.document.updatedAtUs);
  if (goesOn && status !== 'paused') {
    const absentUs = Math.max(0, nowUs - (stoppedAt ?? lastSeenUs));
    return {
      status: 'running',
      startedAt,
      stoppedAt: null,
      pausedAt: null,
      pausedUs: pausedUs + absentUs,
      pauseCount,
    };
  }
  if (wasOpen && !goesOn && !isHeld) {
    // Nobody captures it any more, and nobody has said when it ended.
    return { status: 'stopped', startedAt, stoppedAt: lastSeenUs, pausedAt: null, pausedUs, pauseCount };
  }
  return { status, startedAt, stoppedAt, pausedAt, pausedUs, pauseCount };
}
