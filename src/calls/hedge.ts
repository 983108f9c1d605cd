/**
 * Hedged requests (Dean & Barroso, The Tail at Scale, CACM 2013): a second call leaves when the first has shown nothing
 * for some time, or has failed; the first to show something wins, and the other is aborted.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { execute } from '../capture/channels.js';
import { isAbort } from '../capture/results/watchable.js';
import { systemClock } from '../clock.js';
import { ConfigError } from '../errors.js';
import type { Metadata } from '../schema/event.js';

/** One of the two calls, as it is made. */
export interface HedgeLeg {
  readonly name: 'primary' | 'backup';
  /** Aborts when the other has won, or the caller's own signal does. */
  readonly signal: AbortSignal;
  /** Says that the answer has begun, which wins: for streams, at the first token. Otherwise the whole answer does. */
  started(): void;
}

export interface HedgeOptions<T> {
  /** Until the second call leaves, ms; a high quantile of the latency, or of the time to first token. */
  readonly delayMs: number;
  readonly signal?: AbortSignal | undefined;
  /** Of all events: model, provider, sampleId and whatever else is known. */
  readonly metadata?: Metadata | undefined;
  /** What the call that lost has cost, USD; null where that is not known, and for one that was not billed. */
  readonly duplicationCost?: (
    winner: T,
    loser: { readonly latencyMs: number; readonly hasFailed: boolean },
  ) => number | null;
}

export interface Hedged<T> {
  readonly value: T;
  readonly winner: 'primary' | 'backup';
  /** Whether there was a second call. */
  readonly isDuplicated: boolean;
  /** Of whole answers; null for a call that was not made, or has not come to its end. */
  readonly primaryLatencyMs: number | null;
  readonly backupLatencyMs: number | null;
  /** USD; null where there was no second call, or it is not known. */
  readonly duplicationCostUsd: number | null;
}

/**
 * Makes a call, and another one like it when the first is slow or has failed. Emits `hedging.request.start`,
 * `.duplicated` where there is a second call, and `.stop` or `.exception`. Rejects with what the last call has failed
 * with, or the signal's reason; what has lost may fail as it likes.
 * @param call - makes one call, and heeds the signal of its leg
 * @throws ConfigError for an invalid delay
 */
export async function hedge<T>(
  call: (leg: HedgeLeg) => Promise<T>,
  options: HedgeOptions<T>,
): Promise<Hedged<T>> {
  const { delayMs, signal, metadata = {}, duplicationCost } = options;
  if (!(delayMs >= 0)) throw new ConfigError('delayMs', 'milliseconds ≥ 0', delayMs);
  signal?.throwIfAborted();
  execute('hedging.request.start', { delayMs }, metadata);
  const startNs = systemClock.monotonicNs();
  const primary = new Leg('primary', call, signal);
  let backup: Leg<T> | null = null;
  try {
    const shown = await firstSign(primary, delayMs, signal);
    if (shown !== 'begun') {
      signal?.throwIfAborted();
      backup = new Leg('backup', call, signal);
      execute('hedging.request.duplicated', { afterMs: msSince(startNs) }, { ...metadata, reason: shown });
    }
    const winner: Leg<T> = backup === null ? primary : await firstToBegin(primary, backup);
    const loser = winner === primary ? backup : primary;
    // A call that has already failed was not stopped by us.
    const lost = loser && { latencyMs: loser.elapsedMs(), hasFailed: loser.hasFailed };
    loser?.abort();
    const value = await winner.answer;
    const duplicationCostUsd =
      lost === null || duplicationCost === undefined ? null : duplicationCost(value, lost);
    const result: Hedged<T> = {
      value,
      winner: winner.name,
      isDuplicated: backup !== null,
      primaryLatencyMs: primary.latencyMs,
      backupLatencyMs: backup?.latencyMs ?? null,
      duplicationCostUsd,
    };
    execute('hedging.request.stop', durationSince(startNs), {
      ...metadata,
      winner: winner.name,
      primaryLatency: result.primaryLatencyMs,
      backupLatency: result.backupLatencyMs,
      ...(duplicationCostUsd === null ? null : { duplicationCost: duplicationCostUsd }),
      success: true,
    });
    return result;
  } catch (error) {
    primary.abort();
    backup?.abort();
    failed('hedging.request', startNs, { ...metadata, winner: null }, error, signal);
    throw error;
  }
}

class Leg<T> {
  readonly name: HedgeLeg['name'];
  readonly answer: Promise<T>;
  /** Resolves when the answer begins, and rejects if it fails before. */
  readonly begun: Promise<void>;
  latencyMs: number | null = null;
  hasFailed = false;
  readonly #controller = new AbortController();
  readonly #startNs = systemClock.monotonicNs();

  constructor(name: HedgeLeg['name'], call: (leg: HedgeLeg) => Promise<T>, signal: AbortSignal | undefined) {
    this.name = name;
    const own = this.#controller.signal;
    const both = signal === undefined ? own : AbortSignal.any([own, signal]);
    let begin = () => {};
    let fail = (_error: unknown) => {};
    this.begun = new Promise<void>((resolve, reject) => {
      begin = resolve;
      fail = reject;
    });
    this.answer = (async () => call({ name, signal: both, started: () => begin() }))();
    this.answer.then(
      () => {
        this.latencyMs = this.elapsedMs();
        begin();
      },
      (error) => {
        this.hasFailed = true;
        fail(error);
      },
    );
    // Nobody waits for the one that loses.
    this.begun.catch(() => {});
    this.answer.catch(() => {});
  }

  elapsedMs(): number {
    return msSince(this.#startNs);
  }

  abort(): void {
    this.#controller.abort();
  }
}

/** What the first call shows before the delay is over. */
async function firstSign<T>(
  { begun }: Leg<T>,
  delayMs: number,
  signal: AbortSignal | undefined,
): Promise<'begun' | 'failed' | 'slow'> {
  const timer = new AbortController();
  const either = signal === undefined ? timer.signal : AbortSignal.any([timer.signal, signal]);
  try {
    return await Promise.race([
      begun.then(
        () => 'begun' as const,
        () => 'failed' as const,
      ),
      sleep(delayMs, 'slow' as const, { signal: either }).catch(() => 'failed' as const),
    ]);
  } finally {
    timer.abort();
  }
}

/** Of two that have failed, the second has the last word. */
function firstToBegin<T>(primary: Leg<T>, backup: Leg<T>): Promise<Leg<T>> {
  const begins = async (leg: Leg<T>) => {
    await leg.begun;
    return leg;
  };
  return Promise.any([begins(primary), begins(backup)]).catch(() => backup);
}

/** Emits the end of what has not succeeded: an abort of its caller's is no failure. */
export function failed(
  prefix: string,
  startNs: bigint,
  metadata: Metadata,
  error: unknown,
  signal: AbortSignal | undefined,
): void {
  const measured = durationSince(startNs);
  if (signal?.aborted === true) {
    execute(`${prefix}.stop`, measured, { ...metadata, outcome: 'aborted', success: false });
  } else {
    const { name } = (error ?? {}) as { readonly name?: unknown };
    execute(`${prefix}.exception`, measured, {
      ...metadata,
      error: isAbort(error) ? 'AbortError' : typeof name === 'string' ? name : 'error',
    });
  }
}

export function durationSince(startNs: bigint): { readonly duration: bigint } {
  return { duration: systemClock.monotonicNs() - startNs };
}

export function msSince(startNs: bigint): number {
  return Number(systemClock.monotonicNs() - startNs) / 1e6;
}
