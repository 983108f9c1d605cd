/**
 * From a file's records to what an experiment captures.
 *
 * A map names targets and gives each an expression (`expression.ts`). The targets `timestamp`, `latencyMs`,
 * `costUsd`, `promptTokens`, `completionTokens`, `success`, `event`, `model` and `provider` are the record's own
 * fields; any other name becomes a metadata key. Columns that no target takes as they are go to the metadata
 * under their own names: `latencyMs: 'latency_s * 1000'` keeps `latency_s`, `model: 'model'` does not repeat it. What
 * cannot be understood stays there as well. What the metadata tell is read by enrichment, as of any event.
 */

import { ConfigError } from '../errors.js';
import { type ImportReason, setOwn } from '../formats/reader.js';
import {
  booleanOf,
  isAmbiguousNumber,
  isMissing,
  numberHint,
  parseDecimal,
  recognise,
  textOf,
} from '../formats/text-values.js';
import {
  type DateOrder,
  parseOrigin,
  parseTimestamp,
  type TimestampUnit,
  unitOfName,
} from '../formats/timestamps.js';
import { parsedJson } from '../formats/values.js';
import { MAGNITUDE_MAX } from '../schema/enrich.js';
import type { Json } from '../schema/event.js';
import { type Reading, spellingOf } from '../schema/spellings.js';
import { TOKENS_MAX } from '../schema/usage.js';
import { compileExpression, EvaluationError, shown } from './evaluate.js';
import { columnsOf, type Expression, parseExpression, readsTime } from './expression.js';
import type { RestoredParts } from './own.js';
import { metadataKeyOf } from './targets.js';

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
  /** A count of tokens was to be told, and is not known. */
  isPartial: boolean;
  metadata: Record<string, Json>;
  /** What was not understood, as events tell it: `metadata.latency_ms`. */
  malformedKeys: readonly string[];
  /** Given for an event of one of our own exports. */
  restored: RestoredParts | null;
}

const NO_KEYS: readonly string[] = [];

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
    isPartial: false,
    metadata: {},
    malformedKeys: NO_KEYS,
    restored: null,
  };
}

/** Target name to expression. */
export type ImportMap = Readonly<Record<string, string>>;

export interface MappingOptions {
  /** What happens to columns no target takes; default `metadata`. */
  rest?: 'metadata' | 'drop' | undefined;
  /** Event name of records for which the map gives none; default `import.row`. */
  event?: string | undefined;
  /** Unit of the `timestamp` target; default: from the column's name, else decided per value. */
  timestampUnit?: TimestampUnit | undefined;
  /** What `1/3/2024` means; without it, such a date is no time. */
  dateOrder?: DateOrder | undefined;
  /** Records without a time that can be understood are left out; `now` gives them the time of the import. */
  time?: 'now' | undefined;
  /** For relative times: their zero, in µs since the Unix epoch or as ISO text. Needs a numeric unit. */
  timestampOrigin?: number | string | undefined;
}

/** What is known of a file when its mapping is bound to it. */
export interface SourceShape {
  /** Null where there may be others than are known. */
  readonly columns: readonly string[] | null;
  /** Values are text, as in CSV: numbers are recognised in metadata, and empty fields are left out of it. */
  readonly textual: boolean;
  /** Of text: whether fractions have a comma, so that 1.234 may be a thousand. */
  readonly hasDecimalCommas?: boolean | undefined;
  /** Records of the file have times: one that has none cannot be placed. */
  readonly isTimed: boolean;
}

/**
 * Maps one record. `report` is told of each value that could not be understood; that target is then null. A record
 * whose time is not understood is null itself.
 */
export type RecordMapper = (
  record: Readonly<Record<string, Json>>,
  report: ReportProblem,
) => ImportedRecord | null;

/** Counts what is wrong with a record, by its reason; default 'value'. */
export type ReportProblem = (message: string, reason?: ImportReason) => void;

export interface BoundMapping {
  readonly map: RecordMapper;
  /** Targets that no record has given anything, in the map's order. */
  readonly unfilled: () => string[];
}

export interface CompiledMapping {
  /** Columns that expressions name and that are none of these, each with its target. */
  unknown(columns: readonly string[]): readonly UnknownColumn[];
  /** @throws ConfigError when an expression names a column the source does not have */
  bind(source: SourceShape): BoundMapping;
}

/** A column that an expression names and nothing has. */
export interface UnknownColumn {
  readonly target: string;
  readonly column: string;
  readonly error: ConfigError;
}

export const DEFAULT_EVENT = 'import.row';

type RawRecord = Readonly<Record<string, Json>>;
/** @returns what is wrong with the value, if anything is */
type Setter = (value: Json, into: ImportedRecord) => string | null;

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
  const unknown = (columns: readonly string[]): UnknownColumn[] => {
    const known = new Set(columns);
    const isKnown = ({ name, path }: { readonly name: string; readonly path: readonly string[] }) =>
      known.has(name) || (path.length > 0 && known.has(path[0]!));
    return targets.flatMap(({ name: target, path, source, node }) =>
      columnsOf(node)
        .filter((column) => !isKnown(column))
        .map(({ name: column, position }) => ({
          target,
          column,
          error: unknownColumn(path, source, column, position, columns),
        })),
    );
  };

  return {
    unknown,
    bind({ columns, textual, hasDecimalCommas = false, isTimed }) {
      if (columns !== null) for (const { error } of unknown(columns)) throw error;
      const taken = new Set<string>();
      for (const { node } of targets) if (node.kind === 'column') taken.add(node.name);
      const recognised = recognising(textual, hasDecimalCommas);
      const rest = options.rest === 'drop' ? null : restOf(taken, textual, recognised);
      const assignments = targets.map(({ name, node, read }, index) => {
        const isColumn = node.kind === 'column';
        const isMetadata = setters[index] === null;
        return {
          name,
          read:
            textual && isColumn && isMetadata
              ? (record: RawRecord) => recognised(node.name, read(record))
              : read,
          set: setters[index] ?? metadataSetter(metadataKeyOf(name) ?? name),
          /** What is not understood, as the event tells it; and where it stays. */
          key: isColumn ? `metadata.${node.name}` : name,
          column: isColumn && rest !== null ? node.name : null,
          numbers: hasDecimalCommas && isNumeric(name, node) ? columnsOf(node) : [],
        };
      });

      const filled = new Set<string>();
      const needsTime = isTimed && options.time !== 'now';
      const givesTime = targets.some(({ name }) => name === 'timestamp');
      const map: RecordMapper = (record, report) => {
        const result = emptyRecord(event);
        rest?.(record, result.metadata);
        for (const { name, read, set, key, column, numbers } of assignments) {
          let problem: string | null = null;
          for (const { name: number } of numbers) problem ??= ambiguity(record[number]);
          try {
            if (problem === null) {
              const value = read(record);
              if (!isMissing(value)) filled.add(name);
              problem = set(value, result);
            }
          } catch (cause) {
            if (!(cause instanceof EvaluationError)) throw cause;
            problem = cause.message;
          }
          if (problem === null) continue;
          report(`${name}: ${problem}`, name === 'timestamp' && needsTime ? 'time' : 'value');
          result.malformedKeys = [...result.malformedKeys, key];
          if (column !== null) setOwn(result.metadata, column, record[column] ?? null);
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
      return (value, into) => {
        if (isMissing(value)) return null;
        const number = numberFrom(value);
        if (typeof number === 'string') return number;
        if (Math.abs(number) > MAGNITUDE_MAX) return `${shown(value)} is beyond ±${MAGNITUDE_MAX}`;
        into[name] = number;
        return null;
      };
    case 'promptTokens':
    case 'completionTokens':
      return (value, into) => {
        if (isMissing(value)) {
          into.isPartial = true;
          return null;
        }
        const count = numberFrom(value);
        if (typeof count === 'number' && Number.isInteger(count) && count >= 0 && count <= TOKENS_MAX) {
          into[name] = count;
          return null;
        }
        into.isPartial = true;
        if (typeof count === 'string') return count;
        return `${shown(value)} is not a whole number of tokens up to ${TOKENS_MAX}`;
      };
    case 'success':
      return (value, into) => {
        if (isMissing(value)) return null;
        into.success = booleanOf(value);
        return into.success === null ? `${shown(value)} is neither true nor false` : null;
      };
    case 'event':
      return (value, into) => {
        if (Array.isArray(value)) into.event = value.map(textOf).join('.');
        else if (!isMissing(value)) into.event = textOf(value);
        return null;
      };
    case 'model':
    case 'provider':
      return (value, into) => {
        if (!isMissing(value)) into[name] = textOf(value);
        return null;
      };
    default:
      return null;
  }
}

function metadataSetter(name: string): Setter {
  return (value, into) => {
    setOwn(into.metadata, name, value);
    return null;
  };
}

/** The finite number that a value is, or what is wrong with it. */
function numberFrom(value: Json): number | string {
  const number = typeof value === 'string' ? parseDecimal(value) : value;
  if (typeof number === 'number' && Number.isFinite(number)) return number;
  const hint = typeof value === 'string' ? numberHint(value) : '';
  return `${typeof value === 'number' ? value : shown(value)} is not a finite number${hint}`;
}

/** Whether the target wants numbers of its columns. */
function isNumeric(name: string, node: Expression): boolean {
  if (node.kind !== 'column') return true;
  return ['latencyMs', 'costUsd', 'promptTokens', 'completionTokens'].includes(name);
}

/** What is wrong with a value that is one number to some and another to others. */
function ambiguity(value: Json | undefined): string | null {
  if (typeof value !== 'string' || !isAmbiguousNumber(value)) return null;
  return `${shown(value)} may mean ${value.replaceAll('.', '')} or a fraction: write it without thousands separators`;
}

function timestampSetter(node: Expression, options: MappingOptions): Setter {
  const { timestampUnit: unit, dateOrder } = options;
  const problemOf = (value: Json, what: string) =>
    isMissing(value) ? 'there is none' : `${shown(value)} is ${what}`;
  if (readsTime(node)) {
    return (value, into) => {
      const micros = typeof value === 'number' ? Math.round(value) : Number.NaN;
      if (!Number.isSafeInteger(micros)) return problemOf(value, 'not a time in microseconds');
      into.timestampUs = micros;
      return null;
    };
  }
  const namedUnit = node.kind === 'column' ? unitOfName(node.name) : undefined;
  const originUs = options.timestampOrigin === undefined ? undefined : parseOrigin(options.timestampOrigin);
  const hasNumericUnit = unit !== 'iso' && unit !== 'excel' && (unit ?? namedUnit) !== undefined;
  if (originUs !== undefined && !hasNumericUnit) {
    throw new ConfigError('timestampUnit', "'s', 'ms', 'us' or 'ns' with timestampOrigin", unit);
  }
  return (value, into) => {
    into.timestampUs = parseTimestamp(value, { unit, namedUnit, originUs, dateOrder });
    return into.timestampUs === null ? problemOf(value, `not a time${timeHint(value, options)}`) : null;
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

type RestWriter = (record: RawRecord, metadata: Record<string, Json>) => void;
type Recognise = (column: string, value: Json) => Json;

/** Writes the columns that no target takes. */
function restOf(taken: ReadonlySet<string>, textual: boolean, recognised: Recognise): RestWriter {
  return (record, metadata) => {
    for (const column of Object.keys(record)) {
      const value = record[column]!;
      if (taken.has(column) || (textual && isMissing(value))) continue;
      setOwn(metadata, column, recognised(column, value));
    }
  };
}

/**
 * A value as metadata has it. Of text a number is a number, unless it is read as a name; what is read as a flag is a
 * boolean in any file, and an object of counts that text has as JSON is one.
 */
function recognising(textual: boolean, hasDecimalCommas: boolean): Recognise {
  const readings = new Map<string, Reading | null>();
  return (column, value) => {
    let reading = readings.get(column);
    if (reading === undefined) {
      reading = spellingOf('metadata', column)?.rule.reading ?? null;
      readings.set(column, reading);
    }
    if (reading === 'flag') return booleanOf(value) ?? value;
    if (!textual || typeof value !== 'string') return value;
    if (value === '') return null;
    switch (reading) {
      case 'name':
        return value;
      case 'failure':
        return /^(?:true|false)$/i.test(value) ? value.toLowerCase() === 'true' : recognise(value);
      case 'usage':
      case 'any usage':
        return value.startsWith('{') ? parsedJson(value) : recognise(value);
      default:
        return hasDecimalCommas && isAmbiguousNumber(value) ? value : recognise(value);
    }
  };
}
