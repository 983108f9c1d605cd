/** What was probably meant. */

/** Shorter words are part of too many others. */
const PART_LENGTH_MIN = 3;

/**
 * The candidate nearest to `word`, if it is near enough to be a slip rather than another word: a few letters off, or
 * the same letters in another spelling (latency_ms, latencyMs); else the first that begins with it, else null.
 */
export function suggest(word: string, candidates: Iterable<string>): string | null {
  const all = [...candidates];
  const spelled = letters(word);
  let best: string | null = null;
  let bestDistance = Math.max(1, Math.floor(word.length / 3)) + 1;
  for (const candidate of all) {
    const distance = editDistance(spelled, letters(candidate));
    if (distance < bestDistance) {
      best = candidate;
      bestDistance = distance;
    }
  }
  if (best !== null || spelled.length < PART_LENGTH_MIN) return best;
  return all.find((candidate) => letters(candidate).startsWith(spelled)) ?? null;
}

function letters(word: string): string {
  return word.replace(/[-_\s]/g, '').toLowerCase();
}

/** Insertions, deletions, replacements and swaps of neighbours (optimal string alignment). */
export function editDistance(a: string, b: string): number {
  let beforeLast: number[] = [];
  let last = Array.from({ length: b.length + 1 }, (_, j) => j);
  for (let i = 1; i <= a.length; i++) {
    const row = [i];
    for (let j = 1; j <= b.length; j++) {
      const replaced = last[j - 1]! + Number(a[i - 1] !== b[j - 1]);
      let distance = Math.min(last[j]! + 1, row[j - 1]! + 1, replaced);
      if (i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1]) {
        distance = Math.min(distance, beforeLast[j - 2]! + 1);
      }
      row.push(distance);
    }
    beforeLast = last;
    last = row;
  }
  return last[b.length]!;
}
