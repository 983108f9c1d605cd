/**
 * Seeded random numbers for the demo. A stream is addressed by a seed and a list of keys, so what is drawn
 * for one request does not depend on which requests came before it or ran beside it.
 */

/** Mulberry32 (T. Ettinger, public domain): 32 bits of state, enough for a few draws a stream. */
export class Random {
  private state: number;

  constructor(seed: number, ...keys: readonly (string | number)[]) {
    this.state = hash32(`${seed}\u0000${keys.join('\u0000')}`);
  }

  /** Uniform in [0, 1). */
  uniform(): number {
    this.state = (this.state + 0x6d2b79f5) | 0;
    let t = Math.imul(this.state ^ (this.state >>> 15), this.state | 1);
    t = (t + Math.imul(t ^ (t >>> 7), t | 61)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 4_294_967_296;
  }

  /** Standard normal (Box–Muller; the second of the pair is not kept, so a draw has no hidden state). */
  normal(): number {
    const radius = Math.sqrt(-2 * Math.log(1 - this.uniform()));
    return radius * Math.cos(2 * Math.PI * this.uniform());
  }

  /** Log-normal by its median and the standard deviation of its logarithm. */
  logNormal(median: number, sigma: number): number {
    return median * Math.exp(sigma * this.normal());
  }

  /** Integer in [low, high]. */
  integer(low: number, high: number): number {
    return low + Math.floor(this.uniform() * (high - low + 1));
  }
}

/** FNV-1a over UTF-16 code units, finished with Murmur3's mixer so that near keys give far seeds. */
export function hash32(text: string): number {
  let h = 0x811c9dc5;
  for (let i = 0; i < text.length; i++) {
    h = Math.imul(h ^ text.charCodeAt(i), 0x01000193);
  }
  h = Math.imul(h ^ (h >>> 16), 0x85ebca6b);
  h = Math.imul(h ^ (h >>> 13), 0xc2b2ae35);
  return (h ^ (h >>> 16)) >>> 0;
}
