/**
 * The map that an event becomes: what a line of JSON Lines holds, with its keys in the same order.
 *
 * Which keys there are depends only on the names of the event's category fields, so the order is worked out once for
 * each set of them. Where a value goes is a step: the bytes of its key, and how it is read.
 */

import { writtenKey } from '../../formats/msgpack/keys.js';
import { type ByteWriter, encodedText } from '../../formats/msgpack/writer.js';
import type { EventRow } from '../../schema/event.js';
import { snakeCase } from '../../schema/fields.js';
import { MAP_COLUMNS } from '../columns.js';

type WriteValue = (out: ByteWriter, event: EventRow) => void;

export interface Step {
  readonly name: string;
  /** The key as MessagePack. */
  readonly key: Uint8Array;
  readonly write: WriteValue;
}

/** Values whose type says more than their JSON does. */
const TYPED: Readonly<Record<string, WriteValue>> = {
  timestamp: (out, event) => out.integer(event.timestamp),
  latency_ms: (out, event) => double(out, event.latencyMs),
  cost_usd: (out, event) => double(out, event.costUsd),
  measurements: (out, event) => out.map(event.measurements),
  metadata: (out, event) => out.map(event.metadata),
};

const BASE: ReadonlyMap<string, WriteValue> = new Map(
  MAP_COLUMNS.map(({ name, read }) => [name, TYPED[name] ?? ((out, event) => out.value(read(event)))]),
);

const plans = new Map<string, readonly Step[]>();
/** Sets of fields remembered; the library's own categories have five. */
const PLANS_MAX = 64;

/** The steps of an event, in the order of its keys. */
export function stepsOf(event: EventRow): readonly Step[] {
  const fields = Object.keys(event.fields);
  const id = fields.length === 0 ? '' : JSON.stringify(fields);
  let steps = plans.get(id);
  if (steps === undefined) {
    steps = plan(fields);
    if (plans.size < PLANS_MAX) plans.set(id, steps);
  }
  return steps;
}

export function writeEvent(out: ByteWriter, event: EventRow): void {
  const steps = stepsOf(event);
  out.mapHead(steps.length);
  for (const { key, write } of steps) {
    out.copy(key);
    write(out, event);
  }
}

function plan(fields: readonly string[]): Step[] {
  const writers = new Map(BASE);
  for (const field of fields) {
    const name = snakeCase(field);
    let unique = name;
    for (let n = 2; writers.has(unique); n++) unique = `${name}_${n}`;
    writers.set(unique, (out, event) => out.value(event.fields[field]));
  }
  return [...writers]
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([name, write]) => ({ name, key: encodedText(writtenKey(name)), write }));
}

function double(out: ByteWriter, value: number | null): void {
  out.double(value ?? Number.NaN);
}
