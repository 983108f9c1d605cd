/** What could not be understood of an event. */

export interface Malformed {
  /** Whether anything. */
  malformed: boolean;
  /** Which, as far as that is known: `measurements.duration`, `metadata.tokens.prompt`. */
  readonly malformedKeys: string[];
}

/** Keys of one event, and characters of one key, that are told. */
const KEYS_MAX = 16;
const CHARACTERS_MAX = 128;

export function noteMalformed(into: Malformed, key: string): void {
  into.malformed = true;
  const { malformedKeys } = into;
  const short = key.slice(0, CHARACTERS_MAX);
  if (malformedKeys.length < KEYS_MAX && !malformedKeys.includes(short)) malformedKeys.push(short);
}

/** Forgets what there was about the event before. */
export function clearMalformed(into: Malformed): void {
  if (!into.malformed) return;
  into.malformed = false;
  into.malformedKeys.length = 0;
}
