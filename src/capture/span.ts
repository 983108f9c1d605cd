/** A span: the time between `start` and `stop`, recorded once. */
import type { Clock } from '../clock.js';

/** What a span's end may add. */
export interface SpanResult {
  costUsd?: number;
  promptTokens?: number;
  completionTokens?: number;
  /** Default true. */
  success?: boolean | null;
}

/** Records a failure with its error, which has no column. */
export type FailureSink = (latencyMs: number, error: unknown) => void;

interface SpanTarget {
  record(
    latencyMs: number,
    costUsd?: number,
    promptTokens?: number,
    completionTokens?: number,
    success?: boolean | null,
  ): void;
}

export class Span {
  readonly #target: SpanTarget;
  readonly #clock: Clock;
  readonly #failures: FailureSink;
  readonly #startNs: bigint;
  #ended = false;

  /** @internal */
  constructor(target: SpanTarget, clock: Clock, failures: FailureSink) {
    this.#target = target;
    this.#clock = clock;
    this.#failures = failures;
    this.#startNs = clock.monotonicNs();
  }

  /** Records the event with the time since the start, as a success unless told otherwise. Only the first end counts. */
  stop(result: SpanResult = {}): void {
    if (this.#ended) return;
    this.#ended = true;
    const { costUsd, promptTokens, completionTokens, success = true } = result;
    this.#target.record(this.#elapsedMs(), costUsd, promptTokens, completionTokens, success);
  }

  /** Records the event as failed, with what is known of the error. Only the first end counts. */
  fail(error?: unknown): void {
    if (this.#ended) return;
    this.#ended = true;
    this.#failures(this.#elapsedMs(), error);
  }

  /** Never negative, even on a clock that runs backwards. */
  #elapsedMs(): number {
    return Math.max(0, Number(this.#clock.monotonicNs() - this.#startNs) / 1e6);
  }
}
