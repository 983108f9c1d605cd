/**
 * Recorder: the hot path. Bound to one event name and its dictionary values, it stores a row's columns and
 * nothing else; what the rows add up to is worked out once every 256 of them.
 *
 * A class and not closures: closures made from one source share their feedback and go megamorphic. Kept small,
 * so that V8 inlines it: a call that is not inlined boxes its doubles, 48 bytes an event.
 */
import { FLAG_FAILED, FLAG_SUCCEEDED, FLAG_TIME_NS } from '../../assembly/layout.js';
import type { Clock } from '../clock.js';
import {
  BATCH_MASK,
  COMPLETION_DISTANCE,
  COST_DISTANCE,
  LATENCY_DISTANCE,
  PROMPT_DISTANCE,
  type RingWriter,
  TAG_DISTANCE,
} from '../ring/writer.js';
import { type FailureSink, Span } from './span.js';

const hrtime = process.hrtime.bigint;

export class Recorder {
  readonly event: string;
  readonly #writer: RingWriter;
  readonly #clock: Clock;
  readonly #failures: FailureSink;
  // One tag for each success, so that the hot path chooses instead of computing.
  readonly #unknown: number;
  readonly #succeeded: number;
  readonly #failed: number;

  /** @internal */
  constructor(event: string, binding: number, writer: RingWriter, clock: Clock, failures: FailureSink) {
    this.event = event;
    this.#writer = writer;
    this.#clock = clock;
    this.#failures = failures;
    this.#unknown = binding;
    this.#succeeded = binding | FLAG_SUCCEEDED;
    this.#failed = binding | FLAG_FAILED;
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
    const writer = this.#writer;
    let position = writer.position;
    if ((position & BATCH_MASK) === 0) {
      position = writer.refill();
      if (position < 0) return;
    }
    writer.i64[position] = hrtime();
    const f64 = writer.f64;
    f64[(position + LATENCY_DISTANCE) | 0] = latencyMs;
    f64[(position + COST_DISTANCE) | 0] = costUsd;
    const i32 = writer.i32;
    const pair = position << 1;
    i32[(pair + PROMPT_DISTANCE) | 0] = promptTokens;
    i32[(pair + COMPLETION_DISTANCE) | 0] = completionTokens;
    i32[(pair + TAG_DISTANCE) | 0] =
      (success === true ? this.#succeeded : success === false ? this.#failed : this.#unknown) | FLAG_TIME_NS;
    writer.position = (position + 1) | 0;
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
    const writer = this.#writer;
    let position = writer.position;
    if ((position & BATCH_MASK) === 0) {
      position = writer.refill();
      if (position < 0) return;
    }
    const f64 = writer.f64;
    f64[position] = timestampUs;
    f64[(position + LATENCY_DISTANCE) | 0] = latencyMs;
    f64[(position + COST_DISTANCE) | 0] = costUsd;
    const i32 = writer.i32;
    const pair = position << 1;
    i32[(pair + PROMPT_DISTANCE) | 0] = promptTokens;
    i32[(pair + COMPLETION_DISTANCE) | 0] = completionTokens;
    i32[(pair + TAG_DISTANCE) | 0] =
      success === true ? this.#succeeded : success === false ? this.#failed : this.#unknown;
    writer.position = (position + 1) | 0;
  }

  /** Begins timing an event; it is recorded when the span is stopped. */
  start(): Span {
    return new Span(this, this.#clock, this.#failures);
  }
}

/** A recorder on a clock other than the system's. */
export class ClockedRecorder extends Recorder {
  readonly #now: Clock;

  /** @internal */
  constructor(event: string, binding: number, writer: RingWriter, clock: Clock, failures: FailureSink) {
    super(event, binding, writer, clock, failures);
    this.#now = clock;
  }

  override record(
    latencyMs: number,
    costUsd?: number,
    promptTokens?: number,
    completionTokens?: number,
    success?: boolean | null,
  ): void {
    this.recordAt(this.#now.nowUs(), latencyMs, costUsd, promptTokens, completionTokens, success);
  }
}
