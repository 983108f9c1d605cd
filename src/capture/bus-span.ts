/** Spans on the bus: a start, and a stop or an exception when what was returned has come to its end. */
import { systemClock } from '../clock.js';
import { toldSuccess } from '../schema/enrich.js';
import type { Fields, Measurements, Metadata } from '../schema/event.js';
import { spellingOf } from '../schema/spellings.js';
import { additionsOf } from './additions.js';
import { execute, executeMalformed, HANDLER_FAILURE, isHeard } from './channels.js';
import { activeRun } from './context.js';
import { noteLateSet } from './late-sets.js';
import { merged } from './merge.js';
import { kindOf } from './results/kinds.js';
import { isThenable } from './results/promises.js';
import { type ResultObserver, watch } from './results/watch.js';

/**
 * What a span's end says beside what its start said: halves of an event, or fields of it that have one meaning (`usage`,
 * `costUsd`, `status`, `userId`, …: what enrichment reads). Of others the event says that they are malformed.
 */
export type SpanAdditions =
  | { readonly measurements?: Fields | undefined; readonly metadata?: Fields | undefined }
  | Fields;

/** Is handed to the function that a span is around. */
export interface SpanHandle {
  /** Adds to the span's end; later additions win. Once the span has ended it is counted as malformed, and warned of. */
  set(additions: SpanAdditions): void;
}

/** What is known of a stream when a span around it ends. */
export interface SpanStream<Chunk = unknown> {
  /** Chunks that its consumer has seen. */
  readonly chunks: number;
  /** Time to the first of them, ms; null where there was none. */
  readonly ttftMs: number | null;
  /** The last of them: where models tell what was used. */
  readonly last: Chunk | undefined;
  /** Whether its consumer has left before the end. */
  readonly abandoned: boolean;
}

type ChunkOf<T> = T extends AsyncIterable<infer Chunk> | Iterable<infer Chunk> ? Chunk : unknown;

/**
 * What a span's end says beside what its start said.
 * @param result - what was returned or resolved to
 * @param stream - of a result that was consumed as a stream
 */
export type SpanEnd<T> = (
  result: Awaited<T>,
  stream: SpanStream<ChunkOf<Awaited<T>>> | undefined,
) => SpanAdditions | null | undefined | Promise<SpanAdditions | null | undefined>;

const NOTHING: Measurements = Object.freeze({});
const NO_KEYS: readonly string[] = Object.freeze([]);
const NO_CHUNKS = Object.freeze({ chunks: 0, ttftMs: null, last: undefined });
const SILENT: SpanHandle = Object.freeze({ set() {} });

/**
 * Runs `fn` between `<prefix>.start` and `<prefix>.stop`, or `<prefix>.exception` when it throws or rejects. Around a
 * stream (an iterator, an async iterable, a stream of the web or of Node, a Response, or what holds or resolves to one)
 * the span ends when its consumer has come to the end, and has `ttftMs` and `chunks`; a stream that breaks is an
 * exception, and one whose consumer leaves early stops with the outcome 'abandoned', which is no success.
 *
 * A stop is a success unless what is known of it says otherwise, under the names that enrichment reads. Cost and tokens
 * given at the start count once, at the end. What fn returns or throws is passed on, promises as the promises
 * that they are. Who listens when the span begins hears of its end.
 * @param fn - is handed a handle to add to the end
 * @param end - adds to the stop, by what fn has returned; a promise is waited for
 */
export function span<T>(prefix: string, metadata: Fields, fn: (span: SpanHandle) => T, end?: SpanEnd<T>): T {
  const names = namesOf(prefix);
  if (!isHeard(names.start) && !isHeard(names.stop) && !isHeard(names.exception)) return fn(SILENT);
  const open = new OpenSpan(names, metadata as Metadata, end as SpanEnd<unknown> | undefined);
  let result: T;
  try {
    result = fn({ set: (additions) => open.set(additions) });
  } catch (error) {
    open.failed(error);
    throw error;
  }
  if (result instanceof Response) open.arrived(result);
  return watch(result, open, fn);
}

interface Names {
  readonly start: string;
  readonly stop: string;
  readonly exception: string;
}

// Most calls in a row are for the same span.
let lastPrefix: string | undefined;
let lastNames: Names;

function namesOf(prefix: string): Names {
  if (prefix !== lastPrefix) {
    lastNames = { start: `${prefix}.start`, stop: `${prefix}.stop`, exception: `${prefix}.exception` };
    lastPrefix = prefix;
  }
  return lastNames;
}

class OpenSpan implements ResultObserver {
  readonly #names: Names;
  readonly #ask: SpanEnd<unknown> | undefined;
  /** Where the span began, wherever its result is consumed. */
  readonly #run = activeRun.getStore();
  readonly #startNs = systemClock.monotonicNs();
  #measurements: Measurements = NOTHING;
  #metadata: Metadata;
  #unread: readonly string[] = NO_KEYS;
  #stream: Omit<SpanStream, 'abandoned'> | undefined;
  #isOver = false;

  constructor(names: Names, metadata: Metadata, end: SpanEnd<unknown> | undefined) {
    this.#names = names;
    this.#metadata = metadata;
    this.#ask = end;
    execute(names.start, { systemTime: systemClock.nowUs() }, withoutCharges(metadata));
  }

  set(given: unknown): void {
    if (this.#isOver) activeRun.run(this.#run, noteLateSet, this.#names.stop);
    else this.#add(given);
  }

  #add(given: unknown): void {
    const { measurements, metadata, unread } = additionsOf(given);
    this.#measurements = merged(this.#measurements, measurements);
    this.#metadata = merged(this.#metadata, metadata);
    if (unread.length > 0) this.#unread = [...this.#unread, ...unread];
  }

  /** An answer that is a refusal has failed, whether anybody reads it or not. */
  arrived(result: unknown): void {
    if (statusOf(result) === 'error') this.#stop(result, false);
  }

  chunk(value: unknown): void {
    const { chunks, ttftMs } = this.#stream ?? NO_CHUNKS;
    this.#stream = { chunks: chunks + 1, ttftMs: ttftMs ?? Number(this.#elapsedNs()) / 1e6, last: value };
  }

  completed(result: unknown, asStream: boolean): void {
    if (asStream) this.#stream ??= NO_CHUNKS;
    this.#stop(result, false);
  }

  abandoned(result: unknown): void {
    this.#stream ??= NO_CHUNKS;
    this.#stop(result, true);
  }

  forgotten(): void {
    if (!this.#isOver) this.#emitStop(this.#end(), undefined, true);
  }

  failed(error: unknown): void {
    if (this.#isOver) return;
    const measurements = this.#measured(this.#end(), null);
    this.#emit(this.#names.exception, measurements, merged(this.#metadata, { error: error ?? true }));
  }

  #stop(result: unknown, abandoned: boolean): void {
    if (this.#isOver) return;
    const duration = this.#end();
    if (this.#ask === undefined) {
      this.#emitStop(duration, result, abandoned);
      return;
    }
    const emit = (additions?: unknown) => {
      this.#add(additions);
      this.#emitStop(duration, result, abandoned);
    };
    const report = (error: unknown) => {
      const failure = { handlerId: 'span', event: this.#names.stop, error };
      activeRun.run(this.#run, execute, HANDLER_FAILURE, NOTHING, failure);
      emit();
    };
    try {
      const additions = activeRun.run(this.#run, this.#ask, result, this.#streamAt(abandoned));
      if (isThenable(additions)) additions.then(emit, report);
      else emit(additions);
    } catch (error) {
      report(error);
    }
  }

  #emitStop(duration: bigint, result: unknown, abandoned: boolean): void {
    const isTold = abandoned || tells(this.#measurements, this.#metadata);
    const measurements = this.#measured(duration, isTold ? null : statusOf(result));
    const metadata = abandoned ? merged(this.#metadata, { outcome: 'abandoned' }) : this.#metadata;
    this.#emit(this.#names.stop, measurements, metadata);
  }

  #emit(event: string, measurements: Measurements, metadata: Metadata): void {
    activeRun.run(this.#run, executeMalformed, event, measurements, metadata, this.#unread);
  }

  /** @returns the span's duration, ns */
  #end(): bigint {
    this.#isOver = true;
    return this.#elapsedNs();
  }

  /** Few shapes of objects, since whoever reads them is quick with those. */
  #measured(duration: bigint, status: 'ok' | 'error' | null): Measurements {
    const own = status === null ? { duration } : { duration, status };
    if (this.#stream === undefined && this.#measurements === NOTHING) return own;
    if (this.#stream === undefined) return merged(own, this.#measurements);
    const { chunks, ttftMs } = this.#stream;
    return merged({ ...own, ...(ttftMs === null ? null : { ttftMs }), chunks }, this.#measurements);
  }

  #streamAt(abandoned: boolean): SpanStream | undefined {
    return this.#stream && { ...this.#stream, abandoned };
  }

  #elapsedNs(): bigint {
    return systemClock.monotonicNs() - this.#startNs;
  }
}

function tells(measurements: Measurements, metadata: Metadata): boolean {
  try {
    return toldSuccess(measurements, metadata) !== null;
  } catch {
    // Whoever stores the event finds out.
    return true;
  }
}

function statusOf(result: unknown): 'ok' | 'error' {
  return kindOf(result) === 'message' && (result as { readonly ok?: unknown }).ok === false ? 'error' : 'ok';
}

/** Metadata for a start: what is paid is known, and counted, at the end. */
function withoutCharges(metadata: Metadata): Metadata {
  try {
    for (const key in metadata) {
      if (isCharge(key))
        return Object.fromEntries(Object.entries(metadata).filter(([name]) => !isCharge(name)));
    }
  } catch {
    // Whoever stores the event finds out.
  }
  return metadata;
}

/** Whether enrichment reads a cost or a count of tokens there. */
function isCharge(key: string): boolean {
  const quantity = spellingOf('metadata', key)?.rule.quantity;
  return quantity === 'costUsd' || quantity === 'tokens';
}
