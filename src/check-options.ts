/** Options by their names: what a call does not know is refused, and not passed over in silence. */
import { ConfigError } from './errors.js';
import { suggest } from './suggest.js';

/** The names of a call's options, each of them. */
export type OptionNames<Options> = { readonly [Name in keyof Required<Options>]: true };

/**
 * @param path - where the options stand, for those inside of others: 'anonymize'
 * @throws ConfigError for what is no object, and for an option that there is not, with the nearest one that there is
 */
export function checkOptions<Options extends object>(
  options: Options,
  names: OptionNames<Options> | readonly string[],
  path?: string,
): void {
  if (typeof options !== 'object' || options === null || Array.isArray(options)) {
    throw new ConfigError(path ?? 'options', 'an object', options);
  }
  const known = Array.isArray(names) ? (names as readonly string[]) : Object.keys(names);
  for (const [name, value] of Object.entries(options)) {
    if (value === undefined || known.includes(name)) continue;
    const nearest = suggest(name, known);
    const hint = nearest === null ? '' : ` (did you mean ${nearest}?)`;
    throw new ConfigError(path === undefined ? name : `${path}.${name}`, `no such option${hint}`, value);
  }
}
