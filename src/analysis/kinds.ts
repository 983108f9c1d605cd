/**
 * Kinds of events. A span's end is one kind, whether it succeeded (`.stop`) or failed (`.exception`): to leave out
 * one of them would be to look at survivors. Its beginning (`.start`) is no observation of anything.
 */

/** 'req_llm.request' of 'req_llm.request.stop' and 'req_llm.request.exception'; null of a beginning. */
export function kindOf(eventName: string): string | null {
  if (eventName.endsWith('.start')) return null;
  return eventName.replace(/(?<=.)\.(?:stop|exception)$/, '');
}

/** The events that are compared with each other. */
export interface ComparedKind {
  /** The name of the events, of their kind where they have several; 'all' where all are. */
  readonly event: string;
  /** Null: all of them. */
  readonly names: ReadonlySet<string> | null;
  /** Whether there was no kind that all arms have, so that there was nothing to choose. */
  readonly isMixture: boolean;
}

export const ALL_EVENTS: ComparedKind = { event: 'all', names: null, isMixture: false };

/**
 * The kind that is compared: the one that was asked for, or the one of which every arm has most, judged by the arm
 * that has least of it.
 * @param arms - events by name, per arm
 * @param asked - an event's name, a kind or 'all'; undefined to choose
 */
export function chooseKind(
  arms: readonly Readonly<Record<string, number>>[],
  asked: string | undefined,
): ComparedKind {
  if (asked === 'all') return ALL_EVENTS;
  const all = [...new Set(arms.flatMap((counts) => Object.keys(counts)))].sort();
  if (asked !== undefined) {
    const names = all.includes(asked) ? [asked] : all.filter((name) => kindOf(name) === asked);
    return { event: asked, names: new Set(names.length === 0 ? [asked] : names), isMixture: false };
  }
  const filled = arms.map(countByKind).filter((counts) => counts.size > 0);
  const kinds = [...new Set(filled.flatMap((counts) => [...counts.keys()]))].sort();
  const fewest = (kind: string) => Math.min(...filled.map((counts) => counts.get(kind) ?? 0));
  const [chosen] = kinds.toSorted((a, b) => fewest(b) - fewest(a));
  if (chosen === undefined)
    return { event: all.length === 1 ? all[0] : 'none', names: new Set(), isMixture: false };
  const observed = all.filter((name) => kindOf(name) !== null);
  const shared = fewest(chosen) > 0;
  const names = shared ? observed.filter((name) => kindOf(name) === chosen) : observed;
  const event = !shared ? 'all' : names.length === 1 ? names[0] : chosen;
  return { event, names: new Set(names), isMixture: !shared };
}

/** Events by kind; those that begin something are of none. */
export function countByKind(counts: Readonly<Record<string, number>>): Map<string, number> {
  const byKind = new Map<string, number>();
  for (const [name, count] of Object.entries(counts)) {
    const kind = kindOf(name);
    if (kind !== null && count > 0) byKind.set(kind, (byKind.get(kind) ?? 0) + count);
  }
  return byKind;
}
