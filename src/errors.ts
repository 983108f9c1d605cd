/** Errors a caller can act on: a class per kind, a stable `code`, and the facts in `context`. */

export class TelemetryError extends Error {
  readonly code: string;
  readonly context: Readonly<Record<string, unknown>>;

  constructor(code: string, message: string, context: Record<string, unknown> = {}, options?: ErrorOptions) {
    super(message, options);
    this.name = new.target.name;
    this.code = code;
    this.context = context;
  }
}

/** An option has a wrong type or value. `context.path` names it. */
export class ConfigError extends TelemetryError {
  constructor(path: string, expected: string, actual: unknown) {
    super('ERR_CONFIG_INVALID', `${path}: expected ${expected}, got ${describeValue(actual)}`, {
      path,
      expected,
    });
  }
}

export class NotFoundError extends TelemetryError {
  constructor(what: string, id: string) {
    super('ERR_NOT_FOUND', `no ${what} with id ${JSON.stringify(id)}`, { id });
  }
}

export type StateCode = 'ERR_ALREADY_PAUSED' | 'ERR_NOT_PAUSED' | 'ERR_NOT_RUNNING' | 'ERR_CLOSED';

/** The call does not fit the experiment's present status. */
export class StateError extends TelemetryError {
  constructor(code: StateCode, message: string, context: Record<string, unknown> = {}) {
    super(code, message, context);
  }
}

export type ExportCode = 'ERR_NO_DATA' | 'ERR_UNSUPPORTED_FORMAT' | 'ERR_EXPORT_PATH';

export class ExportError extends TelemetryError {
  constructor(
    code: ExportCode,
    message: string,
    context: Record<string, unknown> = {},
    options?: ErrorOptions,
  ) {
    super(code, message, context, options);
  }
}

export type AnalysisCode = 'ERR_TOO_FEW_EXPERIMENTS' | 'ERR_TOO_FEW_SAMPLES';

export class AnalysisError extends TelemetryError {
  constructor(code: AnalysisCode, message: string, context: Record<string, unknown> = {}) {
    super(code, message, context);
  }
}

export type StorageCode =
  | 'ERR_STORAGE_FULL'
  | 'ERR_STORAGE_IO'
  | 'ERR_SEGMENT_CORRUPT'
  | 'ERR_SEGMENT_VERSION';

export class StorageError extends TelemetryError {
  constructor(
    code: StorageCode,
    message: string,
    context: Record<string, unknown> = {},
    options?: ErrorOptions,
  ) {
    super(code, message, context, options);
  }
}

/** A shared memory was laid out by another version, or is not one of ours. */
export class LayoutError extends TelemetryError {
  constructor(what: string, expected: number, actual: number) {
    super('ERR_LAYOUT_VERSION', `memory ${what}: expected ${expected}, got ${actual}`, {
      what,
      expected,
      actual,
    });
  }
}

/** A short, safe description of any value for a message; never calls into the value. */
function describeValue(value: unknown): string {
  if (typeof value === 'string') {
    return value.length > 40 ? `a string of ${value.length} characters` : JSON.stringify(value);
  }
  if (typeof value === 'number' || typeof value === 'boolean' || value === null || value === undefined) {
    return String(value);
  }
  if (typeof value === 'bigint') return 'a bigint';
  return Array.isArray(value) ? 'an array' : `a ${typeof value}`;
}
