/** Attempts that have failed, until the next one of the same call comes, or none does. */
import { defersEvents } from '../capture/deferred.js';
import type { ModelCall } from './model-call.js';
import type { Sent } from './request.js';

/** The SDKs wait 8 s at most, unless the provider names a time, of which they accept a minute. */
const PATIENCE_MS = 10_000;
const RETRY_AFTER_MAX_S = 60;
/** Calls that may wait at a time; an older one ends then. */
const HELD_MAX = 1024;

interface Held {
  readonly call: ModelCall;
  /** Null where it is not counted. */
  readonly retry: number | null;
  readonly url: string;
  readonly body: string | null;
  readonly error: string;
  readonly timer: NodeJS.Timeout;
}

class Retries {
  /** By age. */
  readonly #held = new Set<Held>();
  #isListening = false;

  /** Keeps a call open, whose attempt has failed. */
  hold({ url, body, retry, isRepeated }: Sent, call: ModelCall, error: string, retryAfterS: number): void {
    if (retry === null && !isRepeated) {
      call.end('error', error);
      return;
    }
    if (this.#held.size >= HELD_MAX) this.#end(this.#held.values().next().value as Held);
    const waitMs = retryAfterS > 0 && retryAfterS <= RETRY_AFTER_MAX_S ? retryAfterS * 1000 : 0;
    const timer = setTimeout(() => this.#end(held), waitMs + PATIENCE_MS);
    timer.unref();
    const held: Held = { call, retry, url, body, error, timer };
    this.#held.add(held);
    if (this.#isListening) return;
    this.#isListening = true;
    const endAll = () => this.#endAll();
    process.on('beforeExit', endAll);
    defersEvents(endAll);
  }

  /** The call that a request is another attempt of; null for a first one. */
  resume({ url, body, retry, isRepeated }: Sent): ModelCall | null {
    if (retry === 0 || (retry === null && !isRepeated)) return null;
    const before = retry === null ? null : retry - 1;
    for (const held of this.#held) {
      if (held.retry !== before || held.url !== url || held.body !== body) continue;
      this.#forget(held);
      held.call.retry();
      return held.call;
    }
    return null;
  }

  /** What waits when the process, or an experiment, ends has ended. */
  #endAll(): void {
    for (const held of this.#held) this.#end(held);
  }

  #end(held: Held): void {
    this.#forget(held);
    held.call.end('error', held.error);
  }

  #forget(held: Held): void {
    clearTimeout(held.timer);
    this.#held.delete(held);
  }
}

/** Those of this thread, whichever tap has seen them. */
export const retries = new Retries();
