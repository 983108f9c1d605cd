/** What an experiment can be asked for, and the check that it makes sense. */

import { randomBytes } from 'node:crypto';
import { CHUNK_ROWS, LIVE_COLUMNS_MAX, MEMORY_BYTES_MAX, PRODUCER_MAX } from '../../assembly/layout.js';
import { checkOptions, type OptionNames } from '../check-options.js';
import { ConfigError } from '../errors.js';
import { type Modes, PRIVATE_FILE, PRIVATE_FOLDER } from '../make-folder.js';
import { chunkBytesOf, type OverflowPolicy } from '../ring/memory.js';
import {
  type ColumnDeclaration,
  type ColumnType,
  checkColumns,
  type DeclaredColumn,
} from '../schema/columns.js';
import type { Fields, Json } from '../schema/event.js';
import { events as registry } from '../schema/registry.js';
import type { FileSystemModule } from '../storage/disk/file-system-module.js';
import type { FsyncPolicy, Retention } from '../storage/spooler/spooler.js';
import { absolutePath } from '../system-errors.js';
import { memoryLimitBytes } from './memory-limit.js';

/** Where an experiment is kept, and who may look there. */
export interface PlaceOptions {
  readonly dir?: string | undefined;
  readonly folderMode?: number | undefined;
  readonly fileMode?: number | undefined;
}

export interface ExperimentOptions {
  name: string;
  hypothesis?: string | undefined;
  /** Default 'default'. */
  condition?: string | undefined;
  tags?: string[] | undefined;
  metadata?: Fields | undefined;
  /** Events wanted; drives `progress`. */
  sampleSize?: number | undefined;
  /** Default: 16 random hex digits. */
  id?: string | undefined;
  /**
   * Rows kept in memory, rounded up to whole chunks of 1,024; default 1,048,576, or fewer where these could take more
   * than a sixteenth of the memory that the process may use (the container's limit, or the machine's memory).
   */
  capacity?: number | undefined;
  /** The same as the bytes that these rows may take, with all the metadata there is room for. One of the two. */
  capacityBytes?: number | undefined;
  /**
   * What a full ring does; every lost row is counted. Default 'overwrite', and 'block' with `dir`. 'block' waits, at
   * most `blockMs`, for rows to become durable; in memory, where that never happens, it is 'reject'.
   */
  overflow?: OverflowPolicy | undefined;
  /** Folder in which the experiment gets a folder of its own; absent, it lives in memory only. */
  dir?: string | undefined;
  /**
   * Who may use the folders and files that are created, as in chmod: 0o750 and 0o640 let the group read. Default: 0o700
   * and 0o600, the process's user alone.
   */
  folderMode?: number | undefined;
  fileMode?: number | undefined;
  /** Upper bound on what the death of the process may lose, ms; default 200. */
  flushIntervalMs?: number | undefined;
  /**
   * When rows are synced to the disk, so that they survive a power cut too: every `flushIntervalMs` (default), as
   * soon as they are written, or never. `flush` and `stop` always sync.
   */
  fsync?: FsyncPolicy | undefined;
  /**
   * How long 'block' makes a thread wait for room at most, ms; default 10,000. It waits that long only for storage that
   * gets on: one that has kept nothing for 5 seconds is given up, until it releases something.
   */
  blockMs?: number | undefined;
  /** A segment file that is larger is finished and the next one begun; default 64 MiB. */
  segmentBytes?: number | undefined;
  /** Which finished segments are deleted, if any; deleted rows are counted. Default none. */
  retention?: Retention | undefined;
  /**
   * 'parquet': finished segments are turned into Parquet files by a thread of its own, about a third as large and as
   * readable. Default: they stay as they are, until `compact` is called.
   */
  compact?: 'parquet' | undefined;
  /** For storage other than a local disk, and for tests: a module whose default export makes a `FileSystem`. */
  fileSystem?: FileSystemModule | undefined;
  /**
   * Metadata keys stored as typed columns instead of being encoded. Of those that are live, at most 16, streaming metrics
   * are kept: `{ score: { type: 'f64', live: true } }`.
   */
  columns?: Record<string, ColumnDeclaration> | undefined;
  /** Which events of the bus are captured: the registry's (default), later ones included; all; or those named. */
  events?: 'standard' | 'all' | readonly string[] | undefined;
  /**
   * Of the bus, only what is emitted in one of its runs. Default false: what is emitted in no run at all is everybody's.
   * Experiments of studies have true.
   */
  onlyRuns?: boolean | undefined;
  /** Default true. */
  streamingMetrics?: boolean | undefined;
  /** Threads that may write at the same time, this one included; default 8, at most 32. */
  producers?: number | undefined;
  /** Touches the ring's memory at the start, so that the first lap pays no page faults; default false. */
  prefault?: boolean | undefined;
}

/** Options with every default filled in. */
export interface ResolvedOptions {
  readonly id: string;
  readonly name: string;
  readonly hypothesis: string | null;
  readonly condition: string;
  readonly tags: readonly string[];
  readonly metadata: Readonly<Record<string, Json>>;
  readonly sampleSize: number | null;
  readonly capacity: number;
  readonly overflow: OverflowPolicy;
  readonly columns: readonly DeclaredColumn[];
  readonly events: 'standard' | 'all' | readonly string[];
  readonly streamingMetrics: boolean;
  readonly producers: number;
  readonly prefault: boolean;
  readonly onlyRuns: boolean;
  /** Null: in memory only. */
  readonly durable: DurableOptions | null;
}

export interface DurableOptions {
  readonly dir: string;
  readonly folderMode: number;
  readonly fileMode: number;
  readonly flushIntervalMs: number;
  readonly fsync: FsyncPolicy;
  readonly blockMs: number;
  readonly segmentBytes: number;
  readonly retention: Retention;
  readonly compact: 'parquet' | null;
  readonly fileSystem: FileSystemModule | null;
}

const CAPACITY_DEFAULT = 1_048_576;
/** Of the memory that the process may use, what the rows of an experiment may take unless it is told otherwise. */
const CAPACITY_SHARE = 1 / 16;
const PRODUCERS_DEFAULT = 8;
const PRODUCERS_MAX = PRODUCER_MAX;
const COLUMNS_MAX = 64;
const FLUSH_INTERVAL_MS_DEFAULT = 200;
const FLUSH_INTERVAL_MS_MAX = 3_600_000;
const BLOCK_MS_DEFAULT = 10_000;
const BLOCK_MS_MAX = 60_000;
const SEGMENT_BYTES_DEFAULT = 64 * 2 ** 20;
const SEGMENT_BYTES_MIN = 64 * 2 ** 10;
const SEGMENT_BYTES_MAX = 2 ** 40;
/** Metadata is part of the experiment's document, and of the beginning of each segment. */
const METADATA_BYTES_MAX = 1 << 20;
const METADATA_DEPTH_MAX = 64;
/** Options announced by the contract whose part is not built yet. */
const NOT_YET: readonly string[] = ['sampling'];
/** Options that mean nothing without a folder. */
const DURABLE = [
  'folderMode',
  'fileMode',
  'flushIntervalMs',
  'fsync',
  'blockMs',
  'segmentBytes',
  'retention',
  'compact',
  'fileSystem',
] as const;
const RETENTION: OptionNames<Retention> = { maxBytes: true, maxAgeMs: true };
const OPTIONS: OptionNames<ExperimentOptions> = {
  name: true,
  hypothesis: true,
  condition: true,
  tags: true,
  metadata: true,
  sampleSize: true,
  id: true,
  capacity: true,
  capacityBytes: true,
  overflow: true,
  dir: true,
  folderMode: true,
  fileMode: true,
  flushIntervalMs: true,
  fsync: true,
  blockMs: true,
  segmentBytes: true,
  retention: true,
  compact: true,
  fileSystem: true,
  columns: true,
  events: true,
  streamingMetrics: true,
  producers: true,
  prefault: true,
  onlyRuns: true,
};

/**
 * @param defaults - of experiments that do not say so themselves
 * @throws ConfigError naming the option, what was expected and what was given
 */
export function resolveOptions(options: ExperimentOptions, defaults: PlaceOptions = {}): ResolvedOptions {
  const notYet = Object.keys(options ?? {}).find((key) => NOT_YET.includes(key));
  if (notYet !== undefined) {
    const given = (options as unknown as Record<string, unknown>)[notYet];
    throw new ConfigError(notYet, 'nothing: this version captures every event', given);
  }
  checkOptions(options, OPTIONS);
  const {
    name,
    hypothesis,
    condition = 'default',
    tags = [],
    metadata = {},
    sampleSize,
    id = randomBytes(8).toString('hex'),
    events = 'standard',
    streamingMetrics = true,
    producers = PRODUCERS_DEFAULT,
    prefault = false,
    onlyRuns = false,
  } = options;
  requireText('name', name);
  requireText('condition', condition);
  if (hypothesis !== undefined && typeof hypothesis !== 'string')
    throw new ConfigError('hypothesis', 'a string', hypothesis);
  if (!Array.isArray(tags) || !tags.every((tag) => typeof tag === 'string')) {
    throw new ConfigError('tags', 'an array of strings', tags);
  }
  requireMetadata(metadata);
  if (sampleSize !== undefined) requireCount('sampleSize', sampleSize, Number.MAX_SAFE_INTEGER);
  if (typeof id !== 'string' || !/^[\w-]{1,64}$/.test(id)) {
    throw new ConfigError('id', '1 to 64 letters, digits, _ or -', id);
  }
  const durable = resolveDurable(options, defaults);
  const { overflow = durable === null ? 'overwrite' : 'block' } = options;
  requireOneOf('overflow', overflow, ['overwrite', 'block', 'reject']);
  requireCount('producers', producers, PRODUCERS_MAX);
  for (const [path, value] of [
    ['streamingMetrics', streamingMetrics],
    ['prefault', prefault],
    ['onlyRuns', onlyRuns],
  ] as const) {
    if (typeof value !== 'boolean') throw new ConfigError(path, 'a boolean', value);
  }
  const names = resolveEvents(events);
  const columns = resolveColumns(options.columns, names);
  return {
    id,
    name,
    hypothesis: hypothesis ?? null,
    condition,
    tags: Object.freeze([...tags]),
    // It is JSON: see requireMetadata.
    metadata: Object.freeze({ ...metadata }) as Readonly<Record<string, Json>>,
    sampleSize: sampleSize ?? null,
    capacity: resolveCapacity(options, columns),
    overflow,
    columns,
    events: names,
    streamingMetrics,
    producers,
    prefault,
    onlyRuns,
    durable,
  };
}

/** Options as the experiment's document keeps them, for `restoreOptions`. */
export function storedOptions(options: ResolvedOptions): Record<string, Json> {
  const { capacity, overflow, columns, events, streamingMetrics, producers, prefault, onlyRuns, durable } =
    options;
  const { flushIntervalMs, fsync, blockMs, segmentBytes, retention, compact } = durable as DurableOptions;
  return {
    capacity,
    overflow,
    columns: columns.map((column) => ({ ...column })),
    events: typeof events === 'string' ? events : [...events],
    streamingMetrics,
    producers,
    prefault,
    ...(onlyRuns && { onlyRuns }),
    flushIntervalMs,
    fsync,
    blockMs,
    segmentBytes,
    retention: { ...retention },
    ...(compact === null ? {} : { compact }),
  };
}

/**
 * Options of an experiment that was stored.
 * @param fields - what its document says of it
 * @throws ConfigError when another version of the library has written something there that this one does not know
 */
export function restoreOptions(fields: Readonly<Record<string, Json>>, dir: string): ResolvedOptions {
  // Which code runs is said by the program, never by a folder.
  const { columns, fileSystem: _, ...stored } = fields.options as Record<string, Json>;
  const { id, name, hypothesis, condition, tags, metadata, sampleSize } = fields;
  const resolved = resolveOptions({
    ...stored,
    id,
    name,
    condition,
    tags,
    metadata,
    hypothesis: hypothesis ?? undefined,
    sampleSize: sampleSize ?? undefined,
    dir,
  } as ExperimentOptions);
  // As they were: events that are registered today may declare others.
  return { ...resolved, columns: columns as unknown as ResolvedOptions['columns'] };
}

/** @returns rows */
function resolveCapacity(
  { capacity, capacityBytes }: ExperimentOptions,
  columns: readonly { type: ColumnType }[],
): number {
  const chunkBytes = chunkBytesOf(columns);
  if (capacity !== undefined) {
    requireCount('capacity', capacity, Number.MAX_SAFE_INTEGER);
    if (capacityBytes === undefined) return capacity;
    throw new ConfigError('capacityBytes', 'nothing, since there is a capacity', capacityBytes);
  }
  if (capacityBytes !== undefined) {
    requireCount('capacityBytes', capacityBytes, MEMORY_BYTES_MAX, chunkBytes);
    return Math.floor(capacityBytes / chunkBytes) * CHUNK_ROWS;
  }
  const chunks = Math.floor((memoryLimitBytes() * CAPACITY_SHARE) / chunkBytes);
  return Math.min(CAPACITY_DEFAULT, Math.max(1, chunks) * CHUNK_ROWS);
}

function resolveDurable(options: ExperimentOptions, defaults: PlaceOptions): DurableOptions | null {
  const { dir = defaults.dir, folderMode = defaults.folderMode, fileMode = defaults.fileMode } = options;
  const place = checkPlace({ dir, folderMode, fileMode });
  if (place.dir === undefined) {
    const useless = DURABLE.find((key) => options[key] !== undefined);
    if (useless === undefined) return null;
    throw new ConfigError(useless, 'nothing, since the experiment has no dir', options[useless]);
  }
  const {
    flushIntervalMs = FLUSH_INTERVAL_MS_DEFAULT,
    fsync = 'interval',
    blockMs = BLOCK_MS_DEFAULT,
    segmentBytes = SEGMENT_BYTES_DEFAULT,
    retention = {},
    compact = null,
    fileSystem = null,
  } = options;
  requireCount('flushIntervalMs', flushIntervalMs, FLUSH_INTERVAL_MS_MAX);
  requireOneOf('fsync', fsync, ['interval', 'always', 'never']);
  if (blockMs !== 0) requireCount('blockMs', blockMs, BLOCK_MS_MAX);
  requireCount('segmentBytes', segmentBytes, SEGMENT_BYTES_MAX, SEGMENT_BYTES_MIN);
  checkOptions(retention, RETENTION, 'retention');
  for (const [key, value] of Object.entries(retention)) {
    if (value !== undefined) requireCount(`retention.${key}`, value, Number.MAX_SAFE_INTEGER);
  }
  if (compact !== null) requireOneOf('compact', compact, ['parquet']);
  if (fileSystem !== null && typeof fileSystem.url !== 'string') {
    throw new ConfigError('fileSystem', 'an object with the url of a module', fileSystem);
  }
  return {
    dir: place.dir as string,
    folderMode: place.folderMode ?? PRIVATE_FOLDER,
    fileMode: place.fileMode ?? PRIVATE_FILE,
    flushIntervalMs,
    fsync,
    blockMs,
    segmentBytes,
    retention: { ...retention },
    compact,
    fileSystem,
  };
}

function resolveEvents(events: unknown): ResolvedOptions['events'] {
  if (events === 'all' || events === 'standard') return events;
  if (Array.isArray(events) && events.every((event) => typeof event === 'string' && event !== '')) {
    const pattern = events.find((event) => event.includes('*'));
    if (pattern === undefined) return [...events];
    throw new ConfigError('events', "whole names of events, or 'all'; not a pattern", pattern);
  }
  throw new ConfigError('events', "'standard', 'all' or an array of event names", events);
}

/** The experiment's own columns, and those that its registered events declare. */
function resolveColumns(columns: unknown, events: ResolvedOptions['events']): DeclaredColumn[] {
  const declared = new Map<string, DeclaredColumn>();
  for (const event of typeof events === 'string' ? registry.all() : events) {
    for (const [name, type] of Object.entries(registry.definition(event)?.columns ?? {}))
      declared.set(name, { name, type });
  }
  for (const column of checkColumns('columns', columns)) declared.set(column.name, column);
  if (declared.size > COLUMNS_MAX)
    throw new ConfigError('columns', `at most ${COLUMNS_MAX} columns`, declared.size);
  const liveCount = [...declared.values()].filter(({ live }) => live).length;
  if (liveCount > LIVE_COLUMNS_MAX)
    throw new ConfigError('columns', `at most ${LIVE_COLUMNS_MAX} live ones`, liveCount);
  return [...declared.values()];
}

/** @throws ConfigError unless it is JSON that a document can hold */
function requireMetadata(metadata: unknown): void {
  const path = 'metadata';
  if (typeof metadata !== 'object' || metadata === null || Array.isArray(metadata)) {
    throw new ConfigError(path, 'an object', metadata);
  }
  if (isDeeper(metadata, METADATA_DEPTH_MAX)) {
    throw new ConfigError(path, `JSON, at most ${METADATA_DEPTH_MAX} levels deep`, metadata);
  }
  let text: string;
  try {
    text = JSON.stringify(metadata);
  } catch {
    throw new ConfigError(path, 'JSON', metadata);
  }
  const bytes = Buffer.byteLength(text);
  if (bytes > METADATA_BYTES_MAX) {
    throw new ConfigError(path, `at most ${METADATA_BYTES_MAX} bytes of JSON`, bytes);
  }
}

function isDeeper(value: unknown, levels: number): boolean {
  if (typeof value !== 'object' || value === null) return false;
  return levels === 0 || Object.values(value).some((inner) => isDeeper(inner, levels - 1));
}

/** The process must be able to use what it creates. */
function requireMode(path: string, mode: unknown, least: number): void {
  const isMode = typeof mode === 'number' && Number.isInteger(mode) && mode >= 0 && mode <= 0o777;
  if (!(isMode && (mode & least) === least)) {
    throw new ConfigError(path, `from 0o${least.toString(8)} to 0o777, those of its owner included`, mode);
  }
}

/** @throws ConfigError */
export function checkModes({ folderMode, fileMode }: Modes): Modes {
  if (folderMode !== undefined) requireMode('folderMode', folderMode, PRIVATE_FOLDER);
  if (fileMode !== undefined) requireMode('fileMode', fileMode, PRIVATE_FILE);
  return { folderMode, fileMode };
}

/** @throws ConfigError */
export function checkPlace({ dir, ...modes }: PlaceOptions): PlaceOptions {
  // Once: another working folder later changes nothing.
  return { dir: dir === undefined ? undefined : absolutePath('dir', dir), ...checkModes(modes) };
}

function requireText(path: string, value: unknown): void {
  if (typeof value !== 'string' || value === '') throw new ConfigError(path, 'a non-empty string', value);
}

function requireCount(path: string, value: unknown, max: number, min = 1): void {
  if (!(Number.isSafeInteger(value) && (value as number) >= min && (value as number) <= max)) {
    throw new ConfigError(path, `a whole number from ${min} to ${max}`, value);
  }
}

function requireOneOf(path: string, value: unknown, allowed: readonly string[]): void {
  if (typeof value !== 'string' || !allowed.includes(value)) {
    throw new ConfigError(path, `one of ${allowed.join(', ')}`, value);
  }
}
