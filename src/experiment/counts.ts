/** What has become of an experiment's events, as its memory, its folder and its threads tell it together. */
import { shownRefused } from '../capture/inspection.js';
import type { Losses, RefusedCounts } from '../capture/losses.js';
import { type Durability, NO_PAST } from './durability.js';
import type { Stores } from './stores.js';

export interface ExperimentCounts {
  /** Events taken in. */
  captured: number;
  /** Of those, still readable. */
  retained: number;
  /** Lost: refused, overwritten by newer ones, or damaged on disk. */
  dropped: number;
  /** Of those, damaged: they were on disk, in files that are missing or not as they were written. */
  damaged: number;
  /** Taken in with only what could be read of them. */
  malformed: number;
  /** Of those, too large to be kept whole: a text of more than 16 MiB, or more than 32 MiB in all. */
  cut: number;
  /** Offered and not taken, by reason. */
  refused: RefusedCounts;
  /**
   * Events by what could not be understood of them (`measurements.duration`), the most frequent first: 64 keys, and
   * what is more as `(other)`. An event may have several.
   */
  malformedKeys: Record<string, number>;
}

/** What the memory and the disk tell of an experiment's events. */
export interface Tally {
  readonly captured: number;
  readonly retained: number;
  readonly overwritten: number;
  readonly damaged: number;
  readonly malformed: number;
  readonly malformedKeys: Record<string, number>;
  readonly cut: number;
  /** Refused by a full ring. */
  readonly full: number;
}

/** What an experiment has lost since it began. */
export type LostEvents = {
  /** As `counts.dropped`: the sum of the next three. */
  total: number;
  refused: RefusedCounts;
  overwritten: number;
  damaged: number;
  /** Taken in with only what could be read of them. */
  malformed: number;
  /** Of those, too large to be kept whole. */
  cut: number;
};

export function tallyOf({ control, malformedKeys }: Stores, durability: Durability | null): Tally {
  const ring = control.counts();
  const past = durability?.past ?? NO_PAST;
  const overwritten = past.losses.overwritten + ring.overwritten;
  const captured = past.rows + past.expired + past.damaged + past.losses.overwritten + ring.published;
  const expired = durability?.expired ?? 0;
  const damaged = durability?.damaged ?? 0;
  return {
    captured,
    retained: captured - overwritten - expired - damaged,
    overwritten,
    damaged,
    malformed: past.losses.malformed + ring.malformed,
    malformedKeys: malformedKeys.all(),
    cut: past.losses.cut + ring.cut,
    full: past.losses.refused + ring.refused,
  };
}

/** As it is once the memory is gone: what of a durable experiment no file has taken is lost with it. */
export function withUnwritten(tally: Tally, durability: Durability | null): Tally {
  if (durability === null) return tally;
  const unwritten = Math.max(0, tally.retained - (durability.written - durability.expired));
  return { ...tally, retained: tally.retained - unwritten, overwritten: tally.overwritten + unwritten };
}

/** @param losses - tells what was refused by others than a full ring */
export function lostOf({ overwritten, damaged, malformed, cut, full }: Tally, losses: Losses): LostEvents {
  const refused = losses.refusedCounts(full);
  return { total: refused.total + overwritten + damaged, refused, overwritten, damaged, malformed, cut };
}

export function countsOf(tally: Tally, losses: Losses): ExperimentCounts {
  const { captured, retained, malformedKeys } = tally;
  const { total, damaged, malformed, cut, refused } = lostOf(tally, losses);
  const keys = { malformedKeys: { ...malformedKeys } };
  return { captured, retained, dropped: total, damaged, malformed, cut, ...keys, refused };
}

/** For `console.log`: those of refusals only where there are any. */
export function shownCounts(counts: ExperimentCounts): Record<string, unknown> {
  const { captured, retained, dropped, malformed, refused } = counts;
  return { captured, retained, dropped, malformed, refused: shownRefused(refused) };
}
