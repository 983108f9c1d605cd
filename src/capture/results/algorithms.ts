/**
 * The algorithms of a stream of the web: the functions that its maker has written, where Node keeps them.
 *
 * Node's pipes and adapters read streams past their methods, so that whoever stands in front of those does not see all
 * that happens. Behind them it is one place for every way to read. Where Node keeps them is nobody's contract; other
 * runtimes have them elsewhere, and there the methods have to do.
 */
type Algorithm = (this: unknown, ...args: unknown[]) => unknown;
type Members = Record<PropertyKey, unknown>;

/**
 * Replaces what a stream, a reader or a writer calls to read, write, transform, cancel, close or abort.
 * @returns whether they were found
 */
export function replaceAlgorithms(object: object, replace: (algorithm: Algorithm) => Algorithm): boolean {
  const state = stateOf(object);
  const controller = state?.controller ?? stateOf(state?.stream)?.controller;
  const algorithms = stateOf(controller);
  if (algorithms === undefined) return false;
  let found = false;
  for (const [name, algorithm] of Object.entries(algorithms)) {
    // Its size is asked of a chunk by whoever writes it.
    if (!name.endsWith('Algorithm') || name === 'sizeAlgorithm' || typeof algorithm !== 'function') continue;
    algorithms[name] = replace(algorithm as Algorithm);
    found = true;
  }
  return found;
}

function stateOf(object: unknown): Members | undefined {
  if (typeof object !== 'object' || object === null) return undefined;
  const key = Object.getOwnPropertySymbols(object).find(({ description }) => description === 'kState');
  const state = key && (object as Members)[key];
  return typeof state === 'object' && state !== null ? (state as Members) : undefined;
}
