/**
 * From a file's records to what an experiment captures.
 *
 * A map names targets and gives each an expression (`expression.ts`). The targets `timestamp`, `latencyMs`,
 * `costUsd`, `promptTokens`, `completionTokens`, `success`, `event`, `model` and `provider` are the record's own
 * fields; any other name becomes a metadata key. Columns that no target takes as they are go to the metadata
 * under their own names: `latencyMs: 'latency_s * 1000'` keeps `latency_s`, `model: 'model'` does not repeat it.
 */

import { ConfigError } from '../errors.js';
import { type ImportReason, setOwn } from '../formats/reader.js';
import { booleanOf, isMissing, numberHint, parseDecimal, recognise, textOf } from '../formats/text-values.js';
import {
  type DateOrder,
  parseOrigin,
  parseTimestamp,
  type TimestampUnit,
  unitOfName,
} from '../formats/timestamps.js';
import type { Json } from '../schema/event.js';
import { compileExpression, EvaluationError, type Evaluator, shown } from './evaluate.js';
import { columnsOf, type Expression, parseExpression, readsTime } from './expression.js';
import type { RestoredParts } from './own.js';

/** What an import hands to its sink, one per record. */
export interface ImportedRecord {
  /** Integer microseconds since the Unix epoch; null when the record has no time that could be read. */
  timestampUs: number | null;
  event: string;
  latencyMs: number | null;
  costUsd: number | null;
  promptTokens: number | null;
  completionTokens: number | null;
  success: boolean | null;
  model: string | null;
  provider: string | null;
  metadata: Record<string, Json>;
  /** Given for an event of one of our own exports. */
  restored: RestoredParts | null;
}

export function emptyRecord(event = DEFAULT_EVENT): ImportedRecord {
  return {
    timestampUs: null,
    event,
    latencyMs: null,
    costUsd: null,
    promptTokens: null,
    completionTokens: null,
    success: null,
    model: null,
    provider: null,
    metadata: {},
    restored: null,
  };
}

/** Target name to expression. */
export type ImportMap = Readonly<Record<string, string>>;

export interface MappingOptions {
  /** What happens to columns no target takes; default `metadata`. */
  rest?: 'metadata' | 'drop';
  /** Event name of records for which the map gives none; default `import.row`. */
  event?: string;
  /** Unit of the `timestamp` target; default: from the column's name, else decided per value. */
  timestampUnit?: TimestampUnit;
  /** What `1/3/2024` means; without it, such a date is no time. */
  dateOrder?: DateOrder;
  /** Records without a time that can be understood are left out; `now` gives them the time of the import. */
  time?: 'now';
  /** For relative times: their zero, in µs since the Unix epoch or as ISO text. Needs a numeric unit. */
  timestampOrigin?: number | string;
}

/** What is known of a file when its mapping is bound to it. */
export interface SourceShape {
  readonly columns: readonly string[];
  /** Values are text, as in CSV: numbers are recognised in metadata, and empty fields are left out of it. */
  readonly textual: boolean;
  /** Records of the file have times: one that has none cannot be placed. */
  readonly isTimed: boolean;
}

/**
 * Maps one record. `report` is told of each value that could not be understood; that target is then null. A record
 * whose time is not understood is null itself.
 */
export type RecordMapper = (
  record: Readonly<Record<string, Json>>,
  report: (message: string, reason?: ImportReason) => void,
) => ImportedRecord | null;

export interface BoundMapping {
  readonly map: RecordMapper;
  /** Targets that no record has given anything, in the map's order. */
  readonly unfilled: () => string[];
}

export interface CompiledMapping {
  /** @throws ConfigError when an expression names a column the source does not have */
  bind(source: SourceShape): BoundMapping;
}

export const DEFAULT_EVENT = 'import.row';

type Report = (message: string, reason?: ImportReason) => void;
type Setter = (value: Json, into: ImportedRecord, report: Report) => void;

/** Columns listed in an error message; a wide file would drown the message otherwise. */
const MAX_COLUMNS_SHOWN = 50;

/**
 * Checks and compiles a map once; binding it to a file checks the column names.
 *
 * @throws ConfigError for a map that is not an object of texts, an expression that does not parse (naming it
 *   and the position), or options that contradict each other
 */
export function compileMapping(map: ImportMap, options: MappingOptions = {}): CompiledMapping {
  if (typeof map !== 'object' || map === null || Array.isArray(map)) {
    throw new ConfigError('map', 'an object of target names and expressions', map);
  }
  const event = options.event ?? DEFAULT_EVENT;
  if (typeof event !== 'string' || event === '') throw new ConfigError('event', 'an event name', event);
  if (options.rest !== undefined && options.rest !== 'metadata' && options.rest !== 'drop') {
    throw new ConfigError('rest', "'metadata' or 'drop'", options.rest);
  }
  const unit: unknown = options.timestampUnit;
  if (unit !== undefined && !(['s', 'ms', 'us', 'ns', 'iso', 'excel'] as unknown[]).includes(unit)) {
    throw new ConfigError('timestampUnit', "one of 's', 'ms', 'us', 'ns', 'iso', 'excel'", unit);
  }
  if (options.dateOrder !== undefined && !(['dmy', 'mdy'] as unknown[]).includes(options.dateOrder)) {
    throw new ConfigError('dateOrder', "'dmy' or 'mdy'", options.dateOrder);
  }
  if (options.time !== undefined && options.time !== 'now') {
    throw new ConfigError('time', "'now', or nothing", options.time);
  }
  const targets = Object.entries(map).map(([name, source]) => {
    const path = `map.${name}`;
    if (name === '') throw new ConfigError('map', 'target names that are not empty', name);
    if (typeof source !== 'string') throw new ConfigError(path, 'an expression', source);
    const node = parseExpression(source, path);
    return { name, path, source, node, read: compileExpression(node, path) };
  });
  const setters = targets.map(({ name, node }) => setterOf(name, node, options));

  return {
    bind({ columns, textual, isTimed }) {
      const known = new Set(columns);
      const taken = new Set<string>();
      for (const { path, source, node } of targets) {
        for (const column of columnsOf(node)) {
          if (!known.has(column.name) && !(column.path.length > 0 && known.has(column.path[0]!))) {
            throw unknownColumn(path, source, column.name, column.position, columns);
          }
        }
        if (node.kind === 'column') taken.add(node.name);
      }
      const rest = restOf(options, taken, textual);
      const assignments = targets.map(({ name, node, read }, index) => ({
        name,
        read: textual && node.kind === 'column' && setters[index] === null ? recognising(read) : read,
        set: setters[index] ?? metadataSetter(name),
      }));

      const filled = new Set<string>();
      const needsTime = isTimed && options.time !== 'now';
      const givesTime = targets.some(({ name }) => name === 'timestamp');
      const map: RecordMapper = (record, report) => {
        const result = emptyRecord(event);
        rest?.(record, result.metadata);
        for (const { name, read, set } of assignments) {
          try {
            const value = read(record);
            if (!isMissing(value)) filled.add(name);
            set(value, result, report);
          } catch (cause) {
            if (!(cause instanceof EvaluationError)) throw cause;
            report(`${name}: ${cause.message}`, name === 'timestamp' && needsTime ? 'time' : 'value');
          }
        }
        if (!needsTime || result.timestampUs !== null) return result;
        if (!givesTime) report('timestamp: there is none', 'time');
        return null;
      };
      return {
        map,
        unfilled: () => assignments.map(({ name }) => name).filter((name) => !filled.has(name)),
      };
    },
  };
}

function unknownColumn(
  path: string,
  source: string,
  name: string,
  position: number,
  columns: readonly string[],
): ConfigError {
  const listed = columns.slice(0, MAX_COLUMNS_SHOWN).join(', ');
  const more = columns.length > MAX_COLUMNS_SHOWN ? ` and ${columns.length - MAX_COLUMNS_SHOWN} more` : '';
  return new ConfigError(
    path,
    `a column at position ${position + 1} of ${source} (there are: ${listed}${more})`,
    name,
  );
}

/** The setter of one of the record's own fields; null for a name that is a metadata key. */
function setterOf(name: string, node: Expression, options: MappingOptions): Setter | null {
  switch (name) {
    case 'timestamp':
      return timestampSetter(node, options);
    case 'latencyMs':
    case 'costUsd':
      return (value, into, report) => {
        into[name] = finite(value, name, report);
      };
    case 'promptTokens':
    case 'completionTokens':
      return (value, into, report) => {
        const count = finite(value, name, report);
        if (count !== null && !(Number.isSafeInteger(count) && count >= 0)) {
          report(`${name}: ${shown(value)} is not a whole number of tokens`);
        } else {
          into[name] = count;
        }
      };
    case 'success':
      return (value, into, report) => {
        if (isMissing(value)) return;
        into.success = booleanOf(value);
        if (into.success === null) report(`success: ${shown(value)} is neither true nor false`);
      };
    case 'event':
      return (value, into) => {
        if (Array.isArray(value)) into.event = value.map(textOf).join('.');
        else if (!isMissing(value)) into.event = textOf(value);
      };
    case 'model':
    case 'provider':
      return (value, into) => {
        if (!isMissing(value)) into[name] = textOf(value);
      };
    default:
      return null;
  }
}

function metadataSetter(name: string): Setter {
  return (value, into) => setOwn(into.metadata, name, value);
}

/** A metadata target that is a bare CSV column: an empty field is null, a number is a number. */
function recognising(read: Evaluator): Evaluator {
  return (record) => {
    const value = read(record);
    if (value === '') return null;
    return typeof value === 'string' ? recognise(value) : value;
  };
}

function finite(value: Json, name: string, report: Report): number | null {
  if (isMissing(value)) return null;
  const number = typeof value === 'string' ? parseDecimal(value) : value;
  if (typeof number === 'number' && Number.isFinite(number)) return number;
  const hint = typeof value === 'string' ? numberHint(value) : '';
  report(`${name}: ${typeof value === 'number' ? value : shown(value)} is not a finite number${hint}`);
  return null;
}

function timestampSetter(node: Expression, options: MappingOptions): Setter {
  const { timestampUnit: unit, dateOrder } = options;
  const reason: ImportReason = options.time === 'now' ? 'value' : 'time';
  const isNone = (value: Json, report: Report, what: string) =>
    report(isMissing(value) ? 'timestamp: there is none' : `timestamp: ${shown(value)} is ${what}`, reason);
  if (readsTime(node)) {
    return (value, into, report) => {
      const micros = typeof value === 'number' ? Math.round(value) : Number.NaN;
      if (Number.isSafeInteger(micros)) into.timestampUs = micros;
      else isNone(value, report, 'not a time in microseconds');
    };
  }
  const namedUnit = node.kind === 'column' ? unitOfName(node.name) : undefined;
  const originUs = options.timestampOrigin === undefined ? undefined : parseOrigin(options.timestampOrigin);
  const hasNumericUnit = unit !== 'iso' && unit !== 'excel' && (unit ?? namedUnit) !== undefined;
  if (originUs !== undefined && !hasNumericUnit) {
    throw new ConfigError('timestampUnit', "'s', 'ms', 'us' or 'ns' with timestampOrigin", unit);
  }
  return (value, into, report) => {
    into.timestampUs = parseTimestamp(value, { unit, namedUnit, originUs, dateOrder });
    if (into.timestampUs === null) isNone(value, report, `not a time${timeHint(value, options)}`);
  };
}

/** What may help with a value that should be a time and is none. */
function timeHint(value: Json, { timestampUnit, dateOrder }: MappingOptions): string {
  if (
    dateOrder === undefined &&
    typeof value === 'string' &&
    /^\s*\d{1,2}[/.-]\d{1,2}[/.-]\d{4}\b/.test(value)
  ) {
    return ": pass dateOrder: 'dmy' or 'mdy'";
  }
  const isNumber = typeof value === 'number' || (typeof value === 'string' && parseDecimal(value) !== null);
  return timestampUnit === undefined && isNumber
    ? ' since 1990: pass timestampUnit, and timestampOrigin for a relative one'
    : '';
}

type RestWriter = (record: Readonly<Record<string, Json>>, metadata: Record<string, Json>) => void;

function restOf(options: MappingOptions, taken: ReadonlySet<string>, textual: boolean): RestWriter | null {
  if (options.rest === 'drop') return null;
  return (record, metadata) => {
    for (const column of Object.keys(record)) {
      const value = record[column]!;
      if (taken.has(column) || (textual && isMissing(value))) continue;
      setOwn(metadata, column, textual && typeof value === 'string' ? recognise(value) : value);
    }
  };
}
