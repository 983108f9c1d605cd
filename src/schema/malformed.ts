/** What could not be understood of an event, or was too large to be kept whole. */

export interface Malformed {
  /** Whether anything. */
  malformed: boolean;
  /** Whether something was too large. */
  cut: boolean;
  /** Which, as far as that is known: `measurements.duration`, `metadata.tokens.prompt`, `metadata.prompt (cut)`. */
  readonly malformedKeys: string[];
}

/** Keys of one event, and characters of one key, that are told. */
const KEYS_MAX = 16;
const CHARACTERS_MAX = 128;
/** Behind the key of what was too large. */
const CUT = ' (cut)';

export function noteMalformed(into: Malformed, key: string): void {
  into.malformed = true;
  const { malformedKeys } = into;
  const short = key.slice(0, CHARACTERS_MAX);
  if (malformedKeys.length < KEYS_MAX && !malformedKeys.includes(short)) malformedKeys.push(short);
}

/** Notes what was too large to be kept whole. */
export function noteCut(into: Malformed, key: string): void {
  into.cut = true;
  noteMalformed(into, key.slice(0, CHARACTERS_MAX - CUT.length) + CUT);
}

/** Notes what was noted when the event was captured first. */
export function noteAgain(into: Malformed, key: string): void {
  if (key.endsWith(CUT)) into.cut = true;
  noteMalformed(into, key);
}

/** Whether something of an event is among them that was too large to be kept whole. */
export function tellsCut(malformedKeys: readonly string[]): boolean {
  return malformedKeys.some((key) => key.endsWith(CUT));
}

/** Forgets what there was about the event before. */
export function clearMalformed(into: Malformed): void {
  if (!into.malformed) return;
  into.malformed = false;
  into.cut = false;
  into.malformedKeys.length = 0;
}
