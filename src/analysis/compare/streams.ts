/** Streams of random numbers that have nothing to do with each other, from the one seed of a comparison. */

/** Seeds side by side belong to other comparisons, so streams begin far apart. @param stream - a whole number, 0 or more */
export function streamSeed(seed: number, purpose: 'bootstrap' | 'sample', stream: number): number {
  return seed + Math.imul(purpose === 'bootstrap' ? stream : -1 - stream, 0x9e3779b9);
}
