/**
 * How many events had which part that could not be understood, counted by all threads of an experiment in its shared
 * memory: the first 64 keys each, and what comes after them together.
 */
import {
  HEADER_MALFORMED_COUNTS_OFFSET,
  HEADER_MALFORMED_KEYS_OFFSET,
  MALFORMED_KEYS_MAX,
} from '../../assembly/layout.js';
import type { Dictionary } from './dictionary.js';

/** What all keys are called that found no place. */
const OTHER = '(other)';

export class MalformedKeys {
  readonly #i32: Int32Array;
  readonly #i64: BigInt64Array;
  readonly #strings: Dictionary;

  constructor(buffer: SharedArrayBuffer, strings: Dictionary) {
    this.#i32 = new Int32Array(buffer);
    this.#i64 = new BigInt64Array(buffer);
    this.#strings = strings;
  }

  /** Counts an event that had this key. @param events - how many had it */
  count(key: string, events = 1): void {
    Atomics.add(this.#i64, (HEADER_MALFORMED_COUNTS_OFFSET >> 3) + this.#placeOf(key), BigInt(events));
  }

  /** Events by key, the most frequent first. */
  all(): Record<string, number> {
    const counts = new Map<string, number>();
    for (let place = 0; place < MALFORMED_KEYS_MAX; place++) {
      const id = Atomics.load(this.#i32, (HEADER_MALFORMED_KEYS_OFFSET >> 2) + place);
      if (id === 0) break;
      // Two threads may have given one text two ids.
      const key = this.#strings.text(id);
      counts.set(key, (counts.get(key) ?? 0) + this.#countAt(place));
    }
    const others = this.#countAt(MALFORMED_KEYS_MAX);
    if (others > 0) counts.set(OTHER, others);
    return Object.fromEntries([...counts].sort(([a, m], [b, n]) => n - m || (a < b ? -1 : 1)));
  }

  #placeOf(key: string): number {
    const id = this.#strings.intern(key);
    for (let place = 0; id !== 0 && place < MALFORMED_KEYS_MAX; place++) {
      const index = (HEADER_MALFORMED_KEYS_OFFSET >> 2) + place;
      const there = Atomics.compareExchange(this.#i32, index, 0, id);
      if (there === 0 || there === id) return place;
    }
    return MALFORMED_KEYS_MAX;
  }

  #countAt(place: number): number {
    return Number(Atomics.load(this.#i64, (HEADER_MALFORMED_COUNTS_OFFSET >> 3) + place));
  }
}
