/**
 * Recorder: the hot path. Bound to one event name and its dictionary values, it stores a row's columns and
 * nothing else; what the rows add up to is worked out once every 256 of them.
 *
 * A class and not closures: closures made from one source share their feedback and go megamorphic. Kept small,
 * so that V8 inlines it: a call that is not inlined boxes its doubles, 48 bytes an event.
 */
import {
  BATCH_ROWS,
  COLUMN_COST_OFFSET,
  COLUMN_LATENCY_OFFSET,
  COLUMN_TAG_OFFSET,
  COLUMN_TOKENS_OFFSET,
  FLAG_FAILED,
  FLAG_SUCCEEDED,
  FLAG_TIME_NS,
  FLAG_WRITTEN,
} from '../../assembly/layout.js';
import type { Clock } from '../clock.js';
import type { RingWriter } from '../ring/writer.js';
import { INSPECT, type Inspect, inspected, type StylizedOptions } from './inspection.js';
import { Span, type SpanSink } from './span.js';

// An imported binding is a cell that V8 reads and checks at every use, an own constant is a literal in the code.
const hrtime = process.hrtime.bigint;
const BATCH_MASK = BATCH_ROWS - 1;
const TIME_NS = FLAG_TIME_NS;
// Distances from a row's position, in elements of the view that stores the column; the i32 pair columns are
// indexed by 2 · position.
const LATENCY = COLUMN_LATENCY_OFFSET / 8;
const COST = COLUMN_COST_OFFSET / 8;
const PROMPT = COLUMN_TOKENS_OFFSET / 4;
const COMPLETION = PROMPT + 1;
const TAG = COLUMN_TAG_OFFSET / 4;

/** Takes what has no columns. */
export interface RecorderSink extends SpanSink {
  /**
   * Stores an event whose values are not all of the kind that the columns hold, as an event that was captured.
   * @param timestampUs - undefined for now
   */
  readonly recordOdd: (timestampUs: unknown, values: RecordedValues) => void;
}

/** What a recorder was given, whatever it is; undefined for what is absent. */
export interface RecordedValues {
  readonly latencyMs: unknown;
  readonly costUsd: unknown;
  readonly promptTokens: unknown;
  readonly completionTokens: unknown;
  readonly success: unknown;
}

export class Recorder {
  readonly event: string;
  // Not #private: V8 keeps no representation of those fields, and every use would test for a small integer.
  private readonly writer: RingWriter;
  protected readonly clock: Clock;
  private readonly sink: RecorderSink;
  // One tag for each success, so that the hot path chooses instead of computing.
  private readonly unknown: number;
  private readonly succeeded: number;
  private readonly failed: number;

  /**
   * @internal
   * @param tag - binding, and flags that all rows have until they are published
   */
  constructor(event: string, tag: number, writer: RingWriter, clock: Clock, sink: RecorderSink) {
    this.event = event;
    this.writer = writer;
    this.clock = clock;
    this.sink = sink;
    this.unknown = tag | FLAG_WRITTEN;
    this.succeeded = tag | FLAG_WRITTEN | FLAG_SUCCEEDED;
    this.failed = tag | FLAG_WRITTEN | FLAG_FAILED;
  }

  /**
   * Records an event now. Never throws: what is of no use is absent, and the event malformed.
   *
   * @param latencyMs - milliseconds; NaN = absent. Any finite number is taken as it is, negative ones too;
   *   ±Infinity counts as malformed and enters no statistic
   * @param costUsd - USD; NaN = absent: computed from tokens and the bound model, where the price table has it
   * @param promptTokens - a whole number in [0, 2^31); -1 or NaN = absent
   * @param completionTokens - as promptTokens
   * @param success - null or undefined = not known
   */
  record(
    latencyMs: number,
    costUsd = Number.NaN,
    promptTokens = -1,
    completionTokens = -1,
    success: boolean | null | undefined = null,
  ): void {
    if (
      typeof latencyMs !== 'number' ||
      typeof costUsd !== 'number' ||
      typeof promptTokens !== 'number' ||
      typeof completionTokens !== 'number' ||
      (promptTokens | 0) !== promptTokens ||
      (completionTokens | 0) !== completionTokens ||
      promptTokens < -1 ||
      completionTokens < -1 ||
      (success !== true && success !== false && success !== null && success !== undefined)
    ) {
      this.recordOdd(undefined, latencyMs, costUsd, promptTokens, completionTokens, success);
      return;
    }
    const writer = this.writer;
    const position = writer.position;
    const f64 = writer.f64;
    f64[(position + LATENCY) | 0] = latencyMs;
    f64[(position + COST) | 0] = costUsd;
    const i32 = writer.i32;
    const pair = position << 1;
    i32[(pair + PROMPT) | 0] = promptTokens;
    i32[(pair + COMPLETION) | 0] = completionTokens;
    writer.i64[position] = hrtime();
    i32[(pair + TAG) | 0] =
      (success === true ? this.succeeded : success === false ? this.failed : this.unknown) | TIME_NS;
    writer.position = (position + 1) | 0;
    if ((position & BATCH_MASK) === BATCH_MASK) writer.turn();
  }

  /** Records an event that happened at `timestampUs`, microseconds since the Unix epoch. @see record */
  recordAt(
    timestampUs: number,
    latencyMs: number,
    costUsd = Number.NaN,
    promptTokens = -1,
    completionTokens = -1,
    success: boolean | null | undefined = null,
  ): void {
    if (
      typeof timestampUs !== 'number' ||
      typeof latencyMs !== 'number' ||
      typeof costUsd !== 'number' ||
      typeof promptTokens !== 'number' ||
      typeof completionTokens !== 'number' ||
      (promptTokens | 0) !== promptTokens ||
      (completionTokens | 0) !== completionTokens ||
      promptTokens < -1 ||
      completionTokens < -1 ||
      (success !== true && success !== false && success !== null && success !== undefined)
    ) {
      this.recordOdd(timestampUs, latencyMs, costUsd, promptTokens, completionTokens, success);
      return;
    }
    const writer = this.writer;
    const position = writer.position;
    const f64 = writer.f64;
    f64[position] = timestampUs;
    f64[(position + LATENCY) | 0] = latencyMs;
    f64[(position + COST) | 0] = costUsd;
    const i32 = writer.i32;
    const pair = position << 1;
    i32[(pair + PROMPT) | 0] = promptTokens;
    i32[(pair + COMPLETION) | 0] = completionTokens;
    i32[(pair + TAG) | 0] =
      success === true ? this.succeeded : success === false ? this.failed : this.unknown;
    writer.position = (position + 1) | 0;
    if ((position & BATCH_MASK) === BATCH_MASK) writer.turn();
  }

  /** As `record` and `recordAt`, of values that the columns do not hold as they are. */
  private recordOdd(
    timestampUs: unknown,
    latencyMs: unknown,
    costUsd: unknown,
    promptTokens: unknown,
    completionTokens: unknown,
    success: unknown,
  ): void {
    const latency = given(latencyMs);
    const cost = given(costUsd);
    const tokens = tokensGiven(promptTokens, completionTokens);
    const isPlain =
      isNumber(timestampUs) && isNumber(latency) && isNumber(cost) && tokens !== null && isOutcome(success);
    if (!isPlain) {
      const [prompt, completion] = [oddCount(promptTokens), oddCount(completionTokens)];
      this.sink.recordOdd(timestampUs, {
        latencyMs: latency,
        costUsd: cost,
        promptTokens: prompt,
        completionTokens: completion,
        success,
      });
    } else if (timestampUs === undefined) this.record(latency ?? Number.NaN, cost, ...tokens, success);
    else this.recordAt(timestampUs, latency ?? Number.NaN, cost, ...tokens, success);
  }

  /** Its memory is not to be walked through by whoever writes it as JSON. */
  toJSON(): { event: string } {
    return { event: this.event };
  }

  /** What `console.log` shows. */
  [INSPECT](depth: number, options: StylizedOptions, inspect: Inspect): string {
    return inspected('Recorder', this.toJSON(), depth, options, inspect);
  }

  /** Begins timing an event; it is recorded when the span is stopped. */
  start(): Span {
    return new Span(this, this.clock, this.sink);
  }
}

/** The value; undefined where it stands for none. */
function given(value: unknown): unknown {
  return value === null || Number.isNaN(value) ? undefined : value;
}

/** Both as their columns have them; null where those cannot say what they are, such as known and unknown. */
function tokensGiven(prompt: unknown, completion: unknown): [number, number] | null {
  if (isColumnCount(prompt) && isColumnCount(completion)) return [prompt, completion];
  const isKnown = (count: unknown) => count !== -1 && given(count) !== undefined;
  return isKnown(prompt) || isKnown(completion) ? null : [-1, -1];
}

/** Undefined for a count that is absent, null for one that was to be told and is not known. */
function oddCount(value: unknown): unknown {
  return value === -1 ? undefined : (given(value) ?? null);
}

function isColumnCount(value: unknown): value is number {
  return typeof value === 'number' && (value | 0) === value && value >= -1;
}

function isNumber(value: unknown): value is number | undefined {
  return value === undefined || typeof value === 'number';
}

function isOutcome(value: unknown): value is boolean | null | undefined {
  return value === null || value === undefined || typeof value === 'boolean';
}

/** A recorder on a clock other than the system's. */
export class ClockedRecorder extends Recorder {
  override record(
    latencyMs: number,
    costUsd?: number,
    promptTokens?: number,
    completionTokens?: number,
    success?: boolean | null,
  ): void {
    this.recordAt(this.clock.nowUs(), latencyMs, costUsd, promptTokens, completionTokens, success);
  }
}
