/** What an experiment can be asked for, and the check that it makes sense. */
import { randomBytes } from 'node:crypto';
import { PRODUCER_MAX } from '../../assembly/layout.js';
import { ConfigError } from '../errors.js';
import type { OverflowPolicy } from '../ring/memory.js';
import { type ColumnType, checkColumns } from '../schema/columns.js';
import type { Json } from '../schema/event.js';
import { events as registry } from '../schema/registry.js';

export interface ExperimentOptions {
  name: string;
  hypothesis?: string;
  /** Default 'default'. */
  condition?: string;
  tags?: string[];
  metadata?: Record<string, Json>;
  /** Events wanted; drives `progress`. */
  sampleSize?: number;
  /** Default: 16 random hex digits. */
  id?: string;
  /** Rows kept in memory, rounded up to whole chunks of 1,024; default 1,048,576. */
  capacity?: number;
  /**
   * What a full ring does; every lost row is counted. Default 'overwrite'. 'block' waits for rows to become
   * durable; in memory, where that never happens, it is 'reject'.
   */
  overflow?: OverflowPolicy;
  /** Metadata keys stored as typed columns instead of being encoded. */
  columns?: Record<string, ColumnType>;
  /** Which events of the bus are captured: the registry's (default), all, or those named. */
  events?: 'standard' | 'all' | readonly string[];
  /** Default true. */
  streamingMetrics?: boolean;
  /** Threads that may write at the same time, this one included; default 8, at most 32. */
  producers?: number;
  /** Touches the ring's memory at the start, so that the first lap pays no page faults; default false. */
  prefault?: boolean;
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
  readonly columns: readonly { name: string; type: ColumnType }[];
  readonly events: 'all' | readonly string[];
  readonly streamingMetrics: boolean;
  readonly producers: number;
  readonly prefault: boolean;
}

const CAPACITY_DEFAULT = 1_048_576;
const PRODUCERS_DEFAULT = 8;
const PRODUCERS_MAX = PRODUCER_MAX;
const COLUMNS_MAX = 64;
/** Options announced by the contract whose part is not built yet. */
const NOT_YET: readonly string[] = ['dir', 'flushIntervalMs', 'fsync', 'sampling'];
const KNOWN = new Set([
  'name',
  'hypothesis',
  'condition',
  'tags',
  'metadata',
  'sampleSize',
  'id',
  'capacity',
  'overflow',
  'columns',
  'events',
  'streamingMetrics',
  'producers',
  'prefault',
]);

/** @throws ConfigError naming the option, what was expected and what was given */
export function resolveOptions(options: ExperimentOptions): ResolvedOptions {
  if (typeof options !== 'object' || options === null) throw new ConfigError('options', 'an object', options);
  for (const key of Object.keys(options)) {
    if (KNOWN.has(key) || (options as unknown as Record<string, unknown>)[key] === undefined) continue;
    throw new ConfigError(
      key,
      NOT_YET.includes(key) ? 'nothing: this version keeps experiments in memory only' : 'no such option',
      (options as unknown as Record<string, unknown>)[key],
    );
  }
  const {
    name,
    hypothesis,
    condition = 'default',
    tags = [],
    metadata = {},
    sampleSize,
    id = randomBytes(8).toString('hex'),
    capacity = CAPACITY_DEFAULT,
    overflow = 'overwrite',
    events = 'standard',
    streamingMetrics = true,
    producers = PRODUCERS_DEFAULT,
    prefault = false,
  } = options;
  requireText('name', name);
  requireText('condition', condition);
  if (hypothesis !== undefined && typeof hypothesis !== 'string')
    throw new ConfigError('hypothesis', 'a string', hypothesis);
  if (!Array.isArray(tags) || !tags.every((tag) => typeof tag === 'string')) {
    throw new ConfigError('tags', 'an array of strings', tags);
  }
  if (typeof metadata !== 'object' || metadata === null || Array.isArray(metadata)) {
    throw new ConfigError('metadata', 'an object', metadata);
  }
  if (sampleSize !== undefined) requireCount('sampleSize', sampleSize, Number.MAX_SAFE_INTEGER);
  if (typeof id !== 'string' || !/^[\w-]{1,64}$/.test(id)) {
    throw new ConfigError('id', '1 to 64 letters, digits, _ or -', id);
  }
  requireCount('capacity', capacity, Number.MAX_SAFE_INTEGER);
  requireOneOf('overflow', overflow, ['overwrite', 'block', 'reject']);
  requireCount('producers', producers, PRODUCERS_MAX);
  for (const [path, value] of [
    ['streamingMetrics', streamingMetrics],
    ['prefault', prefault],
  ] as const) {
    if (typeof value !== 'boolean') throw new ConfigError(path, 'a boolean', value);
  }
  const names = resolveEvents(events);
  return {
    id,
    name,
    hypothesis: hypothesis ?? null,
    condition,
    tags: Object.freeze([...tags]),
    metadata: Object.freeze({ ...metadata }),
    sampleSize: sampleSize ?? null,
    capacity,
    overflow,
    columns: resolveColumns(options.columns, names),
    events: names,
    streamingMetrics,
    producers,
    prefault,
  };
}

function resolveEvents(events: unknown): 'all' | readonly string[] {
  if (events === 'all') return 'all';
  if (events === 'standard') return registry.all();
  if (Array.isArray(events) && events.every((event) => typeof event === 'string' && event !== ''))
    return [...events];
  throw new ConfigError('events', "'standard', 'all' or an array of event names", events);
}

/** The experiment's own columns, and those that its registered events declare. */
function resolveColumns(
  columns: unknown,
  events: 'all' | readonly string[],
): { name: string; type: ColumnType }[] {
  const types = new Map<string, ColumnType>();
  for (const event of events === 'all' ? registry.all() : events) {
    for (const [name, type] of Object.entries(registry.definition(event)?.columns ?? {}))
      types.set(name, type);
  }
  for (const [name, type] of Object.entries(checkColumns('columns', columns))) types.set(name, type);
  if (types.size > COLUMNS_MAX)
    throw new ConfigError('columns', `at most ${COLUMNS_MAX} columns`, types.size);
  return [...types].map(([name, type]) => ({ name, type }));
}

function requireText(path: string, value: unknown): void {
  if (typeof value !== 'string' || value === '') throw new ConfigError(path, 'a non-empty string', value);
}

function requireCount(path: string, value: unknown, max: number): void {
  if (!(Number.isSafeInteger(value) && (value as number) >= 1 && (value as number) <= max)) {
    throw new ConfigError(path, `a whole number from 1 to ${max}`, value);
  }
}

function requireOneOf(path: string, value: unknown, allowed: readonly string[]): void {
  if (typeof value !== 'string' || !allowed.includes(value)) {
    throw new ConfigError(path, `one of ${allowed.join(', ')}`, value);
  }
}
