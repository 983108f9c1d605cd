/** A span: the time between `start` and `stop`, recorded once. */
import type { Clock } from '../clock.js';

/** What a span's end may add. */
export interface SpanResult {
  costUsd?: number | undefined;
  promptTokens?: number | undefined;
  completionTokens?: number | undefined;
  /** Default true. */
  success?: boolean | null | undefined;
}

const RESULT_KEYS: ReadonlySet<string> = new Set(['costUsd', 'promptTokens', 'completionTokens', 'success']);

/** Takes ends that say what has no columns. */
export interface SpanSink {
  /** Records a failure with its error. */
  readonly fail: (latencyMs: number, error: unknown) => void;
  /** Records an end with what else it is given, whatever that is. */
  readonly stop: (latencyMs: number, result: unknown) => void;
}

interface SpanTarget {
  record(
    latencyMs: number,
    costUsd?: number,
    promptTokens?: number,
    completionTokens?: number,
    success?: boolean | null,
  ): void;
}

type RestOf<T extends unknown[]> = T extends [unknown, ...infer Rest] ? Rest : never;

export class Span {
  readonly #target: SpanTarget;
  readonly #clock: Clock;
  readonly #sink: SpanSink;
  readonly #startNs: bigint;
  #ended = false;

  /** @internal */
  constructor(target: SpanTarget, clock: Clock, sink: SpanSink) {
    this.#target = target;
    this.#clock = clock;
    this.#sink = sink;
    this.#startNs = clock.monotonicNs();
  }

  /**
   * Records the event with the time since the start, as a success unless told otherwise. Only the first end counts.
   * @param result - other fields than these are kept, as those of an event that is captured: read by the names that
   *   enrichment knows, else malformed
   */
  stop(result: SpanResult = {}): void {
    if (this.#ended) return;
    this.#ended = true;
    const latencyMs = this.#elapsedMs();
    const known = valuesOf(result);
    if (known === null) this.#sink.stop(latencyMs, result);
    else this.#target.record(latencyMs, ...known);
  }

  /** Records the event as failed, with what is known of the error. Only the first end counts. */
  fail(error?: unknown): void {
    if (this.#ended) return;
    this.#ended = true;
    this.#sink.fail(this.#elapsedMs(), error);
  }

  /** Never negative, even on a clock that runs backwards. */
  #elapsedMs(): number {
    return Math.max(0, Number(this.#clock.monotonicNs() - this.#startNs) / 1e6);
  }
}

/** What a result says if it is one that a recorder has columns for; else null. Never throws. */
function valuesOf(result: unknown): RestOf<Parameters<SpanTarget['record']>> | null {
  if (result === null) return [undefined, undefined, undefined, true];
  if (typeof result !== 'object') return null;
  try {
    for (const key in result) if (!RESULT_KEYS.has(key)) return null;
    const { costUsd, promptTokens, completionTokens, success = true } = result as SpanResult;
    return [costUsd, promptTokens, completionTokens, success];
  } catch {
    return null;
  }
}
