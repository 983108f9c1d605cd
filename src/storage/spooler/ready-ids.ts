/**
 * Which ids of a dictionary have their text. A thread hands an id out before it writes the text, and may be
 * interrupted in between, or end there; rows refer to an id only once its text is whole.
 */

/** How long a thread may take to write a text before its id is given up, ms. */
const PATIENCE_MS = 1000;

export interface TextSource {
  firstUnready(id: number): number;
  isReady(id: number): boolean;
}

export class ReadyIds {
  readonly #source: TextSource;
  readonly #nowMs: () => number;
  readonly #givenUp = new Set<number>();
  #end = 1;
  #stalledSinceMs = Number.POSITIVE_INFINITY;

  constructor(source: TextSource, clock: { nowMs(): number }) {
    this.#source = source;
    this.#nowMs = () => clock.nowMs();
  }

  /** Ids below this one can be written; those given up have no text. */
  get count(): number {
    return this.#end;
  }

  /** Whether `id` can be written now. One that makes others wait too long is given up. */
  covers(id: number): boolean {
    while (id >= this.#end) {
      const end = this.#source.firstUnready(this.#end);
      if (end > this.#end) {
        this.#end = end;
        this.#stalledSinceMs = Number.POSITIVE_INFINITY;
        continue;
      }
      const nowMs = this.#nowMs();
      this.#stalledSinceMs = Math.min(this.#stalledSinceMs, nowMs);
      if (nowMs - this.#stalledSinceMs < PATIENCE_MS) return false;
      this.#givenUp.add(this.#end++);
      this.#stalledSinceMs = Number.POSITIVE_INFINITY;
    }
    return true;
  }

  /** Whether the text of an id that was given up has come after all since the last call. */
  takeLate(): boolean {
    let late = false;
    for (const id of this.#givenUp) {
      if (!this.#source.isReady(id)) continue;
      this.#givenUp.delete(id);
      late = true;
    }
    return late;
  }
}
