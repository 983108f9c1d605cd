/** What a writer tells of events that it cannot keep, or not whole. Nothing of it is called for a row kept whole. */

/**
 * Why an event is not taken. 'full': the ring has no room, and counts it. 'paused', 'stopped': so is the experiment.
 * 'closed': so is the writer.
 */
export type Refusal = 'full' | 'paused' | 'stopped' | 'closed';

export interface LossListener {
  refused(reason: Refusal): void;
  /** The ring has reused chunks whose rows may be nowhere else. */
  overwritten(): void;
  /** @param event - its name, where that is at hand. @param key - what could not be understood of it */
  malformed(event: string | undefined, key?: string): void;
  /** The same of an event that was too large to be kept whole. */
  cut(event: string | undefined): void;
}

/** For a ring that stands alone. */
export const NOBODY: LossListener = { refused() {}, overwritten() {}, malformed() {}, cut() {} };
