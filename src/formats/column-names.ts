/** Names of columns made usable. */

/** Names of the columns, and what had to be done for them to be usable. */
export interface ColumnNames {
  readonly names: readonly string[];
  readonly problems: readonly string[];
}

/**
 * Header names made usable: an empty one becomes `column_<n>`, a repeated one gets `_2`, `_3`, …
 *
 * @param trims - whether blanks around a name belong to the file and not to the name
 */
export function uniqueNames(given: readonly string[], trims = true): ColumnNames {
  const bases = given.map((name, index) => {
    const trimmed = trims ? name.trim() : name;
    return trimmed === '' ? `column_${index + 1}` : trimmed;
  });
  const taken = new Set<string>();
  /** Of each repeated name the last number that was tried, so that repeating one often stays cheap. */
  const numbers = new Map<string, number>();
  const problems: string[] = [];
  const names = bases.map((base, index) => {
    let name = base;
    let n = numbers.get(base) ?? 1;
    while (taken.has(name)) name = `${base}_${++n}`;
    numbers.set(base, n);
    taken.add(name);
    if (name !== base)
      problems.push(`column ${index + 1} has the name ${JSON.stringify(base)} of another: it is ${name}`);
    else if (given[index]!.trim() === '') problems.push(`column ${index + 1} has no name: it is ${name}`);
    return name;
  });
  return { names, problems };
}

/** Names of what is in a struct, which may be empty; repeated ones are made different. */
export function memberNames(given: readonly string[]): readonly string[] {
  return new Set(given).size === given.length ? given : uniqueNames(given, false).names;
}
