/** Durability: an experiment's place on disk, and the thread that fills it. */
import { ConfigError, type TelemetryError } from '../errors.js';
import type { Geometry } from '../ring/memory.js';
import { SpoolWords } from '../ring/spool.js';
import type { SharedMemory } from '../ring/wasm.js';
import type { Json } from '../schema/event.js';
import { listCompacted } from '../storage/compaction/segment-to-parquet.js';
import { type CompactionReport, Compactor } from '../storage/compaction/thread.js';
import { type DamagedBatch, DamageLedger } from '../storage/damage.js';
import { atExit, sayAtExit } from '../storage/disk/at-exit.js';
import {
  type ExperimentDocument,
  FORMAT,
  FORMAT_VERSION,
  readDocument,
  writeDocument,
} from '../storage/disk/document.js';
import { clearUp } from '../storage/disk/errors.js';
import { ensureFolder, type FileSystem, nodeFileSystem } from '../storage/disk/file-system.js';
import { acquireLock, LOCK_REFRESH_MS, type Lock } from '../storage/disk/lock.js';
import { DOCUMENT, experimentFolder } from '../storage/disk/paths.js';
import { NO_LOSSES, type RingLosses } from '../storage/segment/format.js';
import { Segments } from '../storage/segment/segments.js';
import type { FlushOutcome } from '../storage/spooler/thread.js';
import { SpoolerThread } from '../storage/spooler/thread.js';
import { guarded } from '../system-errors.js';
import { VERSION } from '../version.js';
import type { DurableOptions, ResolvedOptions } from './options.js';

/** How the storage of an experiment is doing. */
export interface StorageStatus {
  /** The experiment's folder. */
  readonly folder: string;
  /** Rows in segments, and of those, rows that are safe from a power cut. */
  readonly written: number;
  readonly durable: number;
  /** Rows in segments that were deleted on purpose. */
  readonly expired: number;
  /** Why rows are not becoming durable; null while they are. */
  readonly error: TelemetryError | null;
  /** Threads that had to take the place of one that died or hung. */
  readonly restarts: number;
  /** What has been found lost of the files: parts that are not as they were written, or missing. */
  readonly damaged: readonly DamagedBatch[];
}

/** What an experiment had before this process opened it. */
export interface Past {
  /** Rows that can be read. */
  readonly rows: number;
  readonly expired: number;
  /** Rows that the document lists, deleted ones included, whether they can be read or not. */
  readonly listed: number;
  /** Rows that cannot be read although they were written, and what is to blame. */
  readonly damaged: number;
  readonly damages: readonly DamagedBatch[];
  readonly losses: RingLosses;
}

export const NO_PAST: Past = {
  rows: 0,
  expired: 0,
  listed: 0,
  damaged: 0,
  damages: [],
  losses: NO_LOSSES,
};

type Fields = Readonly<Record<string, Json>>;

export class Durability {
  readonly folder: string;
  readonly segments: Segments;
  readonly past: Past;
  readonly #options: ResolvedOptions;
  readonly #words: SpoolWords;
  #writing: Writing | undefined;
  /** Of the last thread, once there is none. */
  #restarts = 0;
  readonly #ledger: DamageLedger;
  /** What is done to the folder while nobody captures, one thing after the other. */
  #amendments: Promise<unknown> = Promise.resolve();

  /**
   * @param past - what was there before
   * @param onDamaged - told of what is found lost from now on
   */
  constructor(
    folder: string,
    options: ResolvedOptions,
    memory: SharedMemory,
    past: Past,
    onDamaged: (damage: DamagedBatch) => void,
  ) {
    this.folder = folder;
    this.past = past;
    this.#options = options;
    const known = new Set(past.damages);
    this.#ledger = new DamageLedger(folder, (damage) => {
      if (!known.has(damage)) onDamaged(damage);
    });
    this.noteDamaged(past.damages);
    this.segments = new Segments(nodeFileSystem, folder, options.columns, options.id, this.#ledger);
    this.#words = new SpoolWords(memory);
  }

  /** Rows in segments, of this process and of those before. */
  get written(): number {
    return this.#kept(this.#words.written);
  }

  get durable(): number {
    return this.#kept(this.#words.durable);
  }

  #kept(rows: number): number {
    const { past, damaged } = this;
    return past.rows + past.expired + rows - (damaged - past.damaged);
  }

  /** Rows that have expired. What was lost before is not among them. */
  get expired(): number {
    const { expired, expiredThrough } = this.#words;
    return this.past.expired + expired - this.#ledger.rowsThrough(expiredThrough);
  }

  /** Rows that were written and cannot be read. */
  get damaged(): number {
    return this.#ledger.rows;
  }

  /** What was found elsewhere: by other threads, or by whoever opened the folder. */
  noteDamaged(damaged: readonly DamagedBatch[]): void {
    for (const damage of damaged) this.#ledger.add(damage);
  }

  get status(): StorageStatus {
    const { folder, written, durable, expired } = this;
    const thread = this.#writing?.thread;
    return {
      folder,
      written,
      durable,
      expired,
      error: thread?.error ?? null,
      restarts: thread?.restarts ?? this.#restarts,
      damaged: this.segments.damaged,
    };
  }

  /**
   * Starts the thread that writes.
   * @param lock - of the folder; this object's from now on
   * @param publish - makes the calling thread's rows readable
   * @param fields - what the document is to say of the experiment
   */
  start(
    lock: Lock,
    memory: SharedMemory,
    geometry: Geometry,
    priceVersion: string,
    publish: () => void,
    fields: () => Fields,
  ): void {
    const options = this.#options;
    const { fsync, flushIntervalMs, segmentBytes, retention, compact, fileSystem } =
      options.durable as DurableOptions;
    const { losses, listed } = this.past;
    const thread = new SpoolerThread(
      {
        memory,
        geometry,
        folder: this.folder,
        lock: lock.place,
        identity: {
          formatVersion: FORMAT_VERSION,
          libraryVersion: VERSION,
          experimentId: options.id,
          columns: options.columns,
          priceVersion,
        },
        overflow: options.overflow,
        fsync,
        flushIntervalMs,
        segmentBytes,
        retention,
        losses,
        rowsBefore: listed,
        expiredBefore: this.past.expired,
      },
      fields(),
      fileSystem,
      (error) => warn(options.name, error),
      () => {
        if (compact !== null && !compactor.isDue) {
          compactor.run({ background: true }).catch((error) => warn(options.name, error));
        }
      },
      (damaged) => this.noteDamaged(damaged),
    );
    const compactor = new Compactor({ folder: this.folder, fileSystem }, (segment, bytes) =>
      thread.compacted(segment, bytes),
    );
    const refresh = setInterval(() => refreshed(lock), LOCK_REFRESH_MS).unref();
    const forget = atExit({
      run: (deadlineMs) => {
        publish();
        if (!thread.finishNow(fields(), deadlineMs)) {
          sayAtExit(`${options.name}: not everything could be written to ${this.folder}`);
        }
      },
      release: () => lock.release(),
    });
    this.#writing = { lock, thread, compactor, refresh, forget };
  }

  /** Replaces what the document says of the experiment. */
  describe(fields: Fields): void {
    if (this.#writing !== undefined) this.#writing.thread.experiment = fields;
  }

  async flush(deadlineMs: number): Promise<FlushOutcome> {
    return (await this.#writing?.thread.flush(deadlineMs)) ?? { completed: true, error: null };
  }

  /** Makes everything durable and stops writing. @throws StorageError; it may be called again */
  async finish(fields: Fields, deadlineMs: number): Promise<void> {
    const writing = this.#writing;
    if (writing === undefined) return;
    await writing.compactor.stop();
    await writing.thread.finish(fields, deadlineMs);
    this.#release();
  }

  /** Turns finished segments into Parquet. @throws StorageError; StateError ERR_LOCKED when somebody else writes */
  compact(signal?: AbortSignal): Promise<CompactionReport> {
    if (this.#writing !== undefined) return this.#writing.compactor.run({ signal });
    const fileSystem = this.#options.durable?.fileSystem ?? null;
    return this.exclusively(() => {
      const list = async (segment: number, bytes: number) =>
        listCompacted(nodeFileSystem, this.folder, segment, bytes);
      return new Compactor({ folder: this.folder, fileSystem }, list).run({ signal });
    });
  }

  /** Replaces what the document says of an experiment that nobody captures any more; within `exclusively`. */
  redescribe(fields: Fields): void {
    const document = readDocument(nodeFileSystem, this.folder);
    writeDocument(nodeFileSystem, this.folder, { ...document, experiment: fields });
  }

  /**
   * Holds the folder's lock while something is done to an experiment that nobody captures any more.
   * @throws StateError ERR_LOCKED when somebody else writes; and what `work` throws
   */
  exclusively<T>(work: () => Promise<T>): Promise<T> {
    const amendment = this.#amendments.then(async () => {
      const lock = acquireLock(nodeFileSystem, this.folder);
      const refresh = setInterval(() => refreshed(lock), LOCK_REFRESH_MS).unref();
      try {
        return await work();
      } finally {
        clearInterval(refresh);
        lock.release();
      }
    });
    this.#amendments = amendment.catch(() => {});
    return amendment;
  }

  /** Stops writing, whatever is left to be written. */
  abandon(): void {
    void this.#writing?.compactor.stop();
    this.#writing?.thread.abandon();
    // What led here is told already.
    clearUp(() => this.#release());
  }

  /** Lets go of the files that reading has opened. */
  close(): void {
    this.segments.close();
  }

  #release(): void {
    const writing = this.#writing;
    if (writing === undefined) return;
    this.#writing = undefined;
    this.#restarts = writing.thread.restarts;
    clearInterval(writing.refresh);
    writing.forget();
    letGoOf(writing.lock);
  }
}

interface Writing {
  readonly lock: Lock;
  readonly thread: SpoolerThread;
  readonly compactor: Compactor;
  readonly refresh: NodeJS.Timeout;
  readonly forget: () => void;
}

/** Removes a lock; where the disk does not let itself be written, as soon as it does. @throws StorageError the first time */
function letGoOf(lock: Lock): void {
  try {
    lock.release();
  } catch (error) {
    const again = setInterval(() => {
      clearUp(() => {
        lock.release();
        clearInterval(again);
      });
    }, LOCK_REFRESH_MS).unref();
    throw error;
  }
}

/** Whoever writes finds out for itself that it may not any more. */
function refreshed(lock: Lock): void {
  clearUp(() => lock.refresh());
}

/** Makes the folder of a new experiment and its document. @throws StorageError, StateError ERR_LOCKED, ConfigError */
export function createFolder(
  { dir, folderMode, fileMode }: DurableOptions,
  id: string,
  fields: Fields,
  nowUs: number,
): { folder: string; lock: Lock } {
  const files: FileSystem = nodeFileSystem;
  const folder = experimentFolder(dir, id);
  guarded('create an experiment at', folder, () => ensureFolder(files, folder, folderMode));
  const lock = acquireLock(files, folder, undefined, fileMode);
  try {
    const names = guarded('create an experiment at', folder, () => files.list(folder));
    if (names.includes(DOCUMENT)) throw new ConfigError('id', `an id that is not in ${dir} yet`, id);
    const document: ExperimentDocument = {
      format: FORMAT,
      formatVersion: FORMAT_VERSION,
      libraryVersion: VERSION,
      experiment: fields,
      segments: [],
      current: null,
      expired: { throughSegment: 0, lastChunk: null, segments: 0, rows: 0, bytes: 0 },
      losses: NO_LOSSES,
      updatedAtUs: nowUs,
    };
    writeDocument(files, folder, document, fileMode);
  } catch (error) {
    lock.release();
    throw error;
  }
  return { folder, lock };
}

function warn(name: string, error: TelemetryError | null): void {
  if (error === null) return;
  process.emitWarning(`${name}: ${error.message}`, { type: 'CrucibleWarning', code: error.code });
}
