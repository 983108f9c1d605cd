/** What goes wrong in capture stays here. */

let failures = 0;

/** How often instrumentation has failed in this process. */
export function instrumentationFailures(): number {
  return failures;
}

/**
 * @param what - has gone wrong then
 * @returns what `fn` does, or `otherwise` where it throws, which is counted and warned of once
 */
export function guarded<T>(fn: () => T, otherwise: T, what = 'a call of a model could not be captured'): T {
  try {
    return fn();
  } catch (error) {
    if (failures++ === 0) {
      process.emitWarning(`${what}: ${String(error)}`, {
        type: 'CrucibleWarning',
        code: 'CRUCIBLE_INSTRUMENTATION',
      });
    }
    return otherwise;
  }
}
