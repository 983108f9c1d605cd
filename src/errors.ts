/** Errors a caller can act on: a class per kind, a stable `code`, and the facts in `context`. */

export class TelemetryError extends Error {
  readonly code: string;
  readonly context: Readonly<Record<string, unknown>>;

  constructor(code: string, message: string, context: Record<string, unknown> = {}, options?: ErrorOptions) {
    super(message, options);
    this.code = code;
    this.context = context;
  }

  /** Where the package says what the code means and what helps; `crucible help CODE` prints it. */
  get docs(): string {
    return `crucible-telemetry/docs/troubleshooting.md#${this.code.toLowerCase()}`;
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

export type StateCode =
  | 'ERR_ALREADY_PAUSED'
  | 'ERR_NOT_PAUSED'
  | 'ERR_NOT_RUNNING'
  | 'ERR_CLOSED'
  | 'ERR_LOCKED';

/** The call does not fit the experiment's present status; ERR_LOCKED: another writer has it. */
export class StateError extends TelemetryError {
  constructor(code: StateCode, message: string, context: Record<string, unknown> = {}) {
    super(code, message, context);
  }
}

/** A limit of a budget is reached; the context has which, and what was spent. */
export class BudgetError extends TelemetryError {
  constructor(limit: string, allowed: number, spent: number, key: string | null) {
    const whose = key === null ? '' : ` of ${key}`;
    super('ERR_BUDGET_EXCEEDED', `the budget${whose} of ${allowed} ${limit} is spent: ${spent} until now`, {
      limit,
      allowed,
      spent,
      key,
    });
  }
}

/** ERR_STREAM_ABANDONED: nobody read an export's stream for a while. */
export type ExportCode =
  | 'ERR_NO_DATA'
  | 'ERR_UNSUPPORTED_FORMAT'
  | 'ERR_EXPORT_PATH'
  | 'ERR_STREAM_ABANDONED';

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

/**
 * ERR_WORKER_FAILED: the thread that did the work died, for instance of too little memory. ERR_OUT_OF_MEMORY: the work
 * needs more than a thread has for it.
 */
export type AnalysisCode =
  | 'ERR_TOO_FEW_EXPERIMENTS'
  | 'ERR_TOO_FEW_SAMPLES'
  | 'ERR_WORKER_FAILED'
  | 'ERR_OUT_OF_MEMORY';

export class AnalysisError extends TelemetryError {
  constructor(
    code: AnalysisCode,
    message: string,
    context: Record<string, unknown> = {},
    options?: ErrorOptions,
  ) {
    super(code, message, context, options);
  }
}

/**
 * ERR_FLUSH_DEADLINE: not everything was durable in time; what is left is still being written. ERR_FLUSH_INCOMPLETE: not
 * everything can be durable any more, however long one waits. `context.report` is the FlushReport.
 */
export type StorageCode =
  | 'ERR_STORAGE_FULL'
  | 'ERR_STORAGE_IO'
  | 'ERR_FLUSH_DEADLINE'
  | 'ERR_FLUSH_INCOMPLETE'
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

/**
 * ERR_NO_DATA: there is no record in it, and there should be. ERR_MANIFEST_MISMATCH: the file is not what the manifest
 * beside it says.
 */
export type ImportCode =
  | 'ERR_UNSUPPORTED_FORMAT'
  | 'ERR_FILE_CORRUPT'
  | 'ERR_FILE_CHANGED'
  | 'ERR_FILE_ENCODING'
  | 'ERR_FILE_TOO_LARGE'
  | 'ERR_MANIFEST_MISMATCH'
  | 'ERR_NO_DATA';

/** A file cannot be read further as what it is. What was imported before stays; `context` names path and format. */
export class ImportError extends TelemetryError {
  constructor(
    code: ImportCode,
    message: string,
    context: Record<string, unknown> = {},
    options?: ErrorOptions,
  ) {
    super(code, message, context, options);
  }
}

/**
 * ERR_SERVE_FAILED: the page's address cannot be listened on, or its thread has died. ERR_BUSY: it is asked too much. ERR_REFUSED: by whom
 * it does not answer; told over HTTP alone.
 */
export type ServeCode = 'ERR_SERVE_FAILED' | 'ERR_BUSY' | 'ERR_REFUSED';

export class ServeError extends TelemetryError {
  constructor(
    code: ServeCode,
    message: string,
    context: Record<string, unknown> = {},
    options?: ErrorOptions,
  ) {
    super(code, message, context, options);
  }
}

/** A shared memory or a file was laid out by another version, or is not one of ours. */
export class LayoutError extends TelemetryError {
  constructor(what: string, expected: number, actual: number, where = 'memory') {
    super('ERR_LAYOUT_VERSION', `${where} ${what}: expected ${expected}, got ${actual}`, {
      what,
      expected,
      actual,
    });
  }
}

/**
 * A memory cannot be reserved, since the process has too little address space, or the machine too little memory.
 * `context.bytes` says how much was asked for.
 */
export class MemoryError extends TelemetryError {
  constructor(purpose: string, bytes: number, cause: unknown) {
    const mebibytes = Math.ceil(bytes / 2 ** 20);
    const reason = cause instanceof Error ? cause.message : 'out of memory';
    super(
      'ERR_MEMORY_RESERVE',
      `${mebibytes} MiB of address space for ${purpose} cannot be reserved (${reason}). What helps: a higher limit ` +
        '(ulimit -v); a smaller capacity; fewer threads (workers: 0); with Node 20 and 22 node --disable-wasm-trap-handler, or the same in ' +
        'NODE_OPTIONS, without which V8 reserves 8 to 10 GiB of address space for each memory',
      { purpose, bytes },
      { cause },
    );
  }

  /** Where it is known beforehand that so little is left of a limit (`ulimit -v`) that it would end badly. */
  static of(purpose: string, bytes: number, leftBytes: number): MemoryError {
    return new MemoryError(purpose, bytes, new Error(`${Math.floor(leftBytes / 2 ** 20)} MiB are left`));
  }
}

/**
 * ERR_PLAN_CHANGED: a study of that name was planned otherwise, `context.differences` says where. ERR_PLAN_CORRUPT: the
 * plan on the disk is not as it was written.
 */
export type StudyCode = 'ERR_PLAN_CHANGED' | 'ERR_PLAN_CORRUPT';

export class StudyError extends TelemetryError {
  constructor(code: StudyCode, message: string, context: Record<string, unknown> = {}) {
    super(code, message, context);
  }
}

/** An error as plain data: what it takes to cross a thread, where structured cloning would lose class and code. */
export interface WireError {
  readonly name: string;
  readonly code: string;
  readonly message: string;
  readonly context: Record<string, unknown>;
  readonly stack: string;
  readonly cause: WireError | null;
}

const CLASSES = new Map<string, new (...args: never[]) => TelemetryError>(
  Object.entries({
    TelemetryError,
    ConfigError,
    NotFoundError,
    StateError,
    BudgetError,
    ExportError,
    ImportError,
    AnalysisError,
    StorageError,
    StudyError,
    LayoutError,
    MemoryError,
    ServeError,
  }),
);

// Not the classes' own names, which a bundler may shorten.
for (const [name, { prototype }] of CLASSES) prototype.name = name;

/** Causes of causes beyond this many are left out; a chain may even be a circle. */
const CAUSES_MAX = 8;

/** Anything that was thrown as plain data that can be posted. What is not ours has code ERR_INTERNAL or its own. */
export function serializeError(error: unknown): WireError {
  return toWire(error, CAUSES_MAX);
}

function toWire(error: unknown, causesLeft: number): WireError {
  if (!(error instanceof Error)) {
    const message = typeof error === 'string' ? error : `something thrown that is ${describeValue(error)}`;
    return { name: 'Error', code: 'ERR_INTERNAL', message, context: {}, stack: '', cause: null };
  }
  const code = 'code' in error && typeof error.code === 'string' ? error.code : 'ERR_INTERNAL';
  return {
    name: error.name,
    code,
    message: error.message,
    context: error instanceof TelemetryError ? cloneable(error.context) : {},
    stack: error.stack ?? '',
    cause: error.cause === undefined || causesLeft === 0 ? null : toWire(error.cause, causesLeft - 1),
  };
}

/** The error again, of the same class, with the stack of the thread it comes from. Others become TelemetryErrors. */
export function deserializeError(wire: WireError): TelemetryError {
  const { name, code, message, context } = wire;
  const known = CLASSES.get(name);
  const options = wire.cause === null ? undefined : { cause: deserializeCause(wire.cause) };
  // Not by their own constructors, which take something else.
  const error: TelemetryError = Reflect.construct(
    TelemetryError,
    [code, known === undefined ? `${name}: ${message}` : message, context, options],
    known ?? TelemetryError,
  );
  if (wire.stack !== '') error.stack = wire.stack;
  return error;
}

/** A cause may stay what it was: an Error of the system with its code. */
function deserializeCause(wire: WireError): Error {
  if (CLASSES.has(wire.name)) return deserializeError(wire);
  const options = wire.cause === null ? undefined : { cause: deserializeCause(wire.cause) };
  const error = Object.assign(new Error(wire.message, options), { code: wire.code, name: wire.name });
  if (wire.stack !== '') error.stack = wire.stack;
  return error;
}

/** A copy that can be posted: a value that cannot is described. */
function cloneable(context: Readonly<Record<string, unknown>>): Record<string, unknown> {
  const copy: Record<string, unknown> = {};
  for (const [key, value] of Object.entries(context)) {
    try {
      copy[key] = structuredClone(value);
    } catch {
      copy[key] = describeValue(value);
    }
  }
  return copy;
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
