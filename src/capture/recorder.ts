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
import { type FailureSink, Span } from './span.js';

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

export class Recorder {
  readonly event: string;
  // Not #private: V8 keeps no representation of those fields, and every use would test for a small integer.
  private readonly writer: RingWriter;
  protected readonly clock: Clock;
  private readonly failures: FailureSink;
  // One tag for each success, so that the hot path chooses instead of computing.
  private readonly unknown: number;
  private readonly succeeded: number;
  private readonly failed: number;

  /** @internal */
  constructor(event: string, binding: number, writer: RingWriter, clock: Clock, failures: FailureSink) {
    this.event = event;
    this.writer = writer;
    this.clock = clock;
    this.failures = failures;
    this.unknown = binding | FLAG_WRITTEN;
    this.succeeded = binding | FLAG_WRITTEN | FLAG_SUCCEEDED;
    this.failed = binding | FLAG_WRITTEN | FLAG_FAILED;
  }

  /**
   * Records an event now.
   *
   * @param latencyMs - milliseconds; NaN = absent. Any finite number is taken as it is, negative ones too;
   *   ±Infinity counts as malformed and enters no statistic
   * @param costUsd - USD; NaN = absent
   * @param promptTokens - a whole number in [0, 2^31); -1 = absent
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

  /** Begins timing an event; it is recorded when the span is stopped. */
  start(): Span {
    return new Span(this, this.clock, this.failures);
  }
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
