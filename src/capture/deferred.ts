/**
 * Events that are told some time after they happened, as those of a call that another layer may know more of. Before an
 * experiment ends they are told at once: it would refuse them afterwards.
 */

const tellers = new Set<() => void>();

/** @param tell - tells what waits; never throws @returns what ends it */
export function defersEvents(tell: () => void): () => void {
  tellers.add(tell);
  return () => tellers.delete(tell);
}

export function tellDeferred(): void {
  for (const tell of tellers) tell();
}
