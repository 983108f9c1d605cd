/** Latencies that were cut at a greatest value, as by a client's timeout: what is said of them holds up to there only. */
import { type Finding, noFinding } from './finding.js';
import { type Observed, PILE_WIDTH, pileAtGreatest } from './observed.js';
import type { Question } from './outcomes.js';
import type { ArmEstimate } from './types.js';

/** Share of latencies at the greatest that is no accident. */
const PILE_MIN = 0.02;
/** Below this many a few equal values are one. */
const FEW = 30;

/** What a client may cut. */
export function isTime(of: string): boolean {
  return of === 'latencyMs' || of === 'ttftMs';
}

/** Null where nothing piles up at the greatest. */
export function cutOf({ sorted, n }: Observed): { readonly at: number; readonly share: number } | null {
  if (sorted === null || n < FEW) return null;
  const pile = pileAtGreatest(sorted);
  return pile.share < PILE_MIN ? null : pile;
}

/**
 * The finding as it is where nothing was cut. A mean is one of what was waited for up to the cut: comparable where neither
 * arm goes beyond it. A quantile has no upper bound where it may lie in what was cut.
 */
export function withCensoring(question: Question, finding: Finding, old: Observed, now: Observed): Finding {
  const { of, per, summary, noun } = question;
  if (!isTime(of) || per !== null) return finding;
  const cuts = [cutOf(old), cutOf(now)];
  if (cuts.every((cut) => cut === null)) return finding;
  const { baseline, treatment } = finding;
  const censored = { baseline: cuts[0]?.share ?? 0, treatment: cuts[1]?.share ?? 0 };
  const at = Math.min(...cuts.map((cut) => cut?.at ?? Number.POSITIVE_INFINITY));
  const shown = `${Number(at.toPrecision(3))} ms`;
  if (typeof summary === 'object') {
    const reaches = [baseline, treatment].some((arm, i) => cuts[i] !== null && mayLieIn(arm, cuts[i]!.at));
    if (!reaches) return { ...finding, censored };
    const reason = `the ${noun} of an arm lies, or may lie, where latencies were cut, at about ${shown}: nothing bounds it from above`;
    return { ...noFinding(baseline, treatment, reason), difference: null, censored };
  }
  const furthest = Math.max(...[old, now].map(({ sorted }) => sorted?.[sorted.length - 1] ?? 0));
  if (furthest > at * (1 + PILE_WIDTH)) {
    const reason = `latencies of one arm were cut at about ${shown}, and those of the other go beyond: their means are not of the same`;
    return { ...noFinding(baseline, treatment, reason), censored };
  }
  return {
    ...finding,
    censored,
    assumptions: [...finding.assumptions, `a mean of what was waited for, up to the cut at about ${shown}`],
  };
}

function mayLieIn({ estimate, confidenceInterval }: ArmEstimate, at: number): boolean {
  const start = at * (1 - PILE_WIDTH);
  return (estimate ?? 0) >= start || (confidenceInterval === null ? true : confidenceInterval[1] >= start);
}
