/**
 * Late sets: what is added to a span that has ended. There is no event left to have it, so the experiments that have
 * captured the span's end count it, and the process is warned once.
 */
import { activeRun } from './context.js';
import { countUnread } from './listening.js';

const KEY = 'span.set (after the end)';
let hasWarned = false;

/** @param event - the span's end. To be called in the run that the span began in */
export function noteLateSet(event: string): void {
  countUnread(event, KEY, activeRun.getStore()?.experimentId);
  if (hasWarned) return;
  hasWarned = true;
  process.emitWarning(
    `set was called on a span after ${JSON.stringify(event)} was emitted, and adds nothing. Around a stream the span ends with it; what is known later belongs to an event of its own. counts.malformedKeys[${JSON.stringify(KEY)}] has how many; this is said once.`,
    { type: 'CrucibleWarning', code: 'CRUCIBLE_SPAN_ENDED' },
  );
}
