/** Pilot: what the events of an experiment that there is tell of the size of a study. */
import { kindOf } from '../analysis/kinds.js';
import { ConfigError } from '../errors.js';
import { idText } from '../readers/unit-ids.js';
import { type EventRow, type Json, NUMBER_FIELDS } from '../schema/event.js';
import { LIFTED_FIELDS, lifted } from '../schema/fields.js';

export interface PilotOptions {
  /** As of an outcome: 'latencyMs', 'success', a column or score. */
  readonly of: string;
  readonly per?: string;
  /** As of a study. */
  readonly unit: string;
  /** The name of the events, or of their kind; default: all that are no beginnings. */
  readonly event?: string;
}

export interface Pilot {
  readonly units: number;
  readonly events: number;
  /** Of all events that have it, or the ratio of sums. */
  readonly mean: number;
  /** Between units, of what each adds to the mean: what `studySize` takes, with one event a unit. */
  readonly stdDev: number;
  readonly eventsPerUnit: number;
  /** Different units, by the days between the first event and the last; null where that is no time at all. */
  readonly unitsPerDay: number | null;
}

const UNITS_MIN = 2;
const DAY_US = 86_400e6;

/** @throws ConfigError where there are fewer than two units, or all are alike */
export async function pilotOf(
  events: AsyncIterable<EventRow>,
  { of, per, unit, event }: PilotOptions,
): Promise<Pilot> {
  const sums = new Map<string, { above: number; below: number }>();
  let count = 0;
  let [firstUs, lastUs] = [Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY];
  for await (const row of events) {
    const kind = kindOf(row.eventName);
    if (kind === null || (event !== undefined && event !== kind && event !== row.eventName)) continue;
    const id = idText(unitIn(row, unit));
    const above = numberIn(row, of);
    const below = per === undefined ? (above === null ? null : 1) : numberIn(row, per);
    if (id === null || (above === null && below === null)) continue;
    const own = sums.get(id) ?? { above: 0, below: 0 };
    own.above += above ?? 0;
    own.below += below ?? 0;
    sums.set(id, own);
    count++;
    firstUs = Math.min(firstUs, row.timestamp);
    lastUs = Math.max(lastUs, row.timestamp);
  }
  const units = sums.size;
  const all = [...sums.values()];
  const total = (key: 'above' | 'below') => all.reduce((sum, own) => sum + own[key], 0);
  if (units < UNITS_MIN || total('below') === 0) {
    throw new ConfigError(
      'of',
      `two units (${unit}) with ${of}${per === undefined ? '' : ` per ${per}`}, at least`,
      units,
    );
  }
  const mean = total('above') / total('below');
  const size = total('below') / units;
  const squares = all.reduce((sum, { above, below }) => sum + ((above - mean * below) / size) ** 2, 0);
  const stdDev = Math.sqrt(squares / (units - 1));
  if (!(stdDev > 0)) throw new ConfigError('of', `units that differ in ${of}`, mean);
  const days = (lastUs - firstUs) / DAY_US;
  return {
    units,
    events: count,
    mean,
    stdDev,
    eventsPerUnit: count / units,
    unitsPerDay: days > 0 ? units / days : null,
  };
}

function unitIn(row: EventRow, unit: string): Json {
  if ((LIFTED_FIELDS as readonly string[]).includes(unit)) return row[unit as (typeof LIFTED_FIELDS)[number]];
  let value: Json | undefined = row.metadata;
  for (const key of unit.split('.')) {
    if (typeof value !== 'object' || value === null || Array.isArray(value)) return null;
    value = Object.hasOwn(value, key) ? value[key] : undefined;
  }
  return value ?? null;
}

function numberIn(row: EventRow, of: string): number | null {
  if (of === 'success') return row.success === null ? null : Number(row.success);
  if (Object.hasOwn(NUMBER_FIELDS, of)) return NUMBER_FIELDS[of]!(row);
  const value = lifted(row.measurements, of) ?? lifted(row.metadata, of);
  if (typeof value === 'boolean') return Number(value);
  return typeof value === 'number' && Number.isFinite(value) ? value : null;
}
