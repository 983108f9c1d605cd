/** Options that nobody reads: most likely slips, whose effect would be missed without a word. */
import { ConfigError } from './errors.js';
import { suggest } from './suggest.js';

/**
 * @param path - of the object, before the key in what is said; null where the key alone says it
 * @throws ConfigError for a key that is not among the known ones, unless it is undefined
 */
export function checkKeys(path: string | null, given: unknown, known: readonly string[]): void {
  if (typeof given !== 'object' || given === null || Array.isArray(given)) {
    throw new ConfigError(path ?? 'options', 'an object', given);
  }
  for (const [key, value] of Object.entries(given)) {
    if (value === undefined || known.includes(key)) continue;
    const meant = suggest(key, known);
    const hint = meant === null ? '' : ` (did you mean ${meant}?)`;
    throw new ConfigError(path === null ? key : `${path}.${key}`, `no such option${hint}`, value);
  }
}
