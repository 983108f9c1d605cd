/** The code of what Node reports, else the class of the error. Never its text, which may have parts of the request. */
export function errorName(error: unknown): string {
  const { code, name, cause, constructor: type } = (error ?? {}) as Record<string, unknown>;
  const inner = (cause ?? {}) as { code?: unknown };
  for (const found of [inner.code, code]) if (typeof found === 'string' && found !== '') return found;
  // Errors of some SDKs all have the name Error.
  const named = name === 'Error' ? (type as { name?: unknown } | undefined)?.name : name;
  return typeof named === 'string' && named !== '' ? named : 'error';
}
