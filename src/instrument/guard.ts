/** What goes wrong in capture stays here. */

let failures = 0;

/** How often instrumentation has failed in this process. */
export function instrumentationFailures(): number {
  return failures;
}

/** @returns what `fn` does, or `otherwise` where it throws, which is counted and warned of once */
export function guarded<T>(fn: () => T, otherwise: T): T {
  try {
    return fn();
  } catch (error) {
    if (failures++ === 0) {
      process.emitWarning(`a call of a model could not be captured: ${String(error)}`, {
        type: 'CrucibleWarning',
        code: 'CRUCIBLE_INSTRUMENTATION',
      });
    }
    return otherwise;
  }
}
