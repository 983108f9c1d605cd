/** Votes of an ensemble. */

export interface Vote {
  /** By what was said. */
  readonly votes: Readonly<Record<string, number>>;
  /** What most have said; of equals, what was said first. Null where nobody has said anything. */
  readonly winner: string | null;
  /** Its share of the votes that were cast. */
  readonly agreement: number | null;
}

/** @param answers - in the order of the members; null for one without an answer */
export function plurality(answers: readonly (string | null)[]): Vote {
  const votes = new Map<string, number>();
  let cast = 0;
  for (const answer of answers) {
    if (answer === null) continue;
    votes.set(answer, (votes.get(answer) ?? 0) + 1);
    cast++;
  }
  // A Map keeps the order of the first vote, and `>` the earlier of two equals.
  let winner: string | null = null;
  let most = 0;
  for (const [answer, count] of votes) if (count > most) [winner, most] = [answer, count];
  return { votes: Object.fromEntries(votes), winner, agreement: winner === null ? null : most / cast };
}
