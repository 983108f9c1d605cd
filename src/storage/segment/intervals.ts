/** Sequences that have been seen; ranges are added in the order of their beginnings. */
export class Intervals {
  readonly #starts: number[] = [];
  readonly #ends: number[] = [];

  /** @returns how many of them are new; they are the last ones */
  add(start: number, end: number): number {
    const last = this.#ends.length - 1;
    if (last >= 0 && start <= this.#ends[last]) {
      const fresh = end - this.#ends[last];
      if (fresh > 0) this.#ends[last] = end;
      return Math.max(0, fresh);
    }
    this.#starts.push(start);
    this.#ends.push(end);
    return end - start;
  }

  /** How many of [start, end) have been seen. */
  within(start: number, end: number): number {
    let seen = 0;
    this.#starts.forEach((from, i) => {
      seen += Math.max(0, Math.min(end, this.#ends[i]) - Math.max(start, from));
    });
    return seen;
  }
}
