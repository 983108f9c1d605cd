/** From columns back to events: the inverse of capture/event-writer.ts. */

import {
  FLAG_BLOB,
  FLAG_CORRECTED,
  FLAG_COST_COMPUTED,
  FLAG_DECLARED,
  FLAG_FAILED,
  FLAG_MALFORMED,
  FLAG_METADATA_MODEL,
  FLAG_METADATA_PROVIDER,
  FLAG_METADATA_TOKENS,
  FLAG_SUCCEEDED,
  TAG_BINDING_MASK,
  UNPRICED_MASK,
  UNPRICED_SHIFT,
} from '../../assembly/layout.js';
import { StoredValueReader, setOwn } from '../formats/msgpack/stored-value.js';
import { type Batch, type Columns, recordedKeys, timeUsOf, valueOrNull } from '../ring/batch.js';
import type { Binding } from '../ring/bindings.js';
import { declaredValue, isAbsent } from '../row/declared.js';
import { eventIdText } from '../row/event-id.js';
import type { ColumnType } from '../schema/columns.js';
import { tokensOf, toldName, UNPRICED } from '../schema/enrich.js';
import type { EventRow, Json } from '../schema/event.js';
import { categoryFields, lifted } from '../schema/fields.js';
import { events } from '../schema/registry.js';

/** What is the same for all rows of an experiment. */
export interface RowSource {
  readonly experimentId: string;
  readonly experimentName: string;
  readonly condition: string;
  readonly tags: readonly string[];
  readonly priceVersion: string;
  readonly columns: readonly { name: string; type: ColumnType }[];
  binding(id: number): Binding;
  /** A value of a dictionary column. */
  text(id: number): string;
}

const NO_KEYS: readonly string[] = Object.freeze([]);

/** Decodes row `index` of a batch. */
export function decodeRow(source: RowSource, batch: Batch, index: number): EventRow {
  return decode(source, batch, index, batch.producer, batch.firstSequence + index);
}

/** What every row says for itself; the rest may be its binding's. */
export type OwnParts = Pick<
  EventRow,
  'timestamp' | 'latencyMs' | 'costUsd' | 'costSource' | 'success' | 'tokens' | 'malformed'
>;

export function ownParts(source: RowSource, batch: Columns, index: number): OwnParts {
  const tag = batch.tags[index];
  const costUsd = valueOrNull(batch.costUsd[index]);
  return {
    timestamp: timeUsOf(batch, index),
    latencyMs: valueOrNull(batch.latencyMs[index]),
    costUsd,
    costSource: costSourceOf(tag, costUsd !== null, source.priceVersion),
    success: successOf(tag),
    tokens: tokensOf(batch.promptTokens[index], batch.completionTokens[index]),
    malformed: (tag & FLAG_MALFORMED) !== 0,
  };
}

/** Where a row's cost comes from, or why it has none; null where there is nothing to say. */
function costSourceOf(tag: number, hasCost: boolean, priceVersion: string): string | null {
  if ((tag & UNPRICED_MASK) !== 0) return UNPRICED[(tag & UNPRICED_MASK) >> UNPRICED_SHIFT];
  if (!hasCost) return null;
  return (tag & FLAG_COST_COMPUTED) !== 0 ? `table:${priceVersion}` : 'event';
}

/** Decodes row `index` of columns that do not say themselves where the row comes from. */
export function decode(
  source: RowSource,
  batch: Columns,
  index: number,
  producer: number,
  sequence: number,
): EventRow {
  const tag = batch.tags[index];
  const binding = source.binding(tag & TAG_BINDING_MASK);
  const prompt = batch.promptTokens[index];
  const completion = batch.completionTokens[index];
  const captured = (tag & FLAG_BLOB) !== 0;

  const metadata: Record<string, Json> = captured ? {} : { ...binding.bound };
  if (binding.model !== null && (!captured || (tag & FLAG_METADATA_MODEL) !== 0))
    metadata.model = binding.model;
  if (binding.provider !== null && (!captured || (tag & FLAG_METADATA_PROVIDER) !== 0)) {
    metadata.provider = binding.provider;
  }
  if ((tag & FLAG_METADATA_TOKENS) !== 0) {
    metadata.tokens = { prompt, completion, total: prompt + completion };
  }
  if ((tag & FLAG_DECLARED) !== 0) readDeclared(source, batch, index, metadata);

  let measurements: Record<string, Json> = {};
  let eventName = binding.event;
  let corrections: Json | undefined;
  let isReadable = true;
  if (captured) {
    const reader = new StoredValueReader(batch.blob, batch.blobOffsets[index]);
    try {
      for (const [key, value] of Object.entries(reader.value() as Record<string, Json>))
        setOwn(metadata, key, value);
      measurements = reader.value() as Record<string, Json>;
      // An entry of either.
      corrections = reader.aside;
      if ((tag & TAG_BINDING_MASK) === 0) eventName = reader.value() as string;
    } catch {
      // Its checksum is right: somebody other than this library wrote it.
      isReadable = false;
    }
  }

  const own = ownParts(source, batch, index);
  // Without a binding, the names are where the event had them.
  const nameOf = (of: 'model' | 'provider') =>
    (tag & TAG_BINDING_MASK) === 0 ? toldName(of, eventName, metadata) : textOrNull(metadata[of]);
  const category = events.info(eventName)?.category ?? null;
  const who = captured || (tag & FLAG_DECLARED) !== 0 ? identitiesIn(metadata) : identitiesOf(binding);
  const event: EventRow = {
    eventId: eventIdText(source.experimentId, producer, sequence),
    eventName,
    timestamp: own.timestamp,
    sequence,
    experimentId: source.experimentId,
    experimentName: source.experimentName,
    condition: source.condition,
    tags: source.tags,
    measurements,
    metadata,
    latencyMs: own.latencyMs,
    costUsd: own.costUsd,
    costSource: own.costSource,
    success: own.success,
    tokens: own.tokens,
    model: binding.model ?? nameOf('model'),
    provider: binding.provider ?? nameOf('provider'),
    sessionId: who.sessionId,
    userId: who.userId,
    sampleId: who.sampleId,
    cohort: who.cohort,
    correlationId: who.correlationId,
    traceId: who.traceId,
    spanId: who.spanId,
    malformed: own.malformed || !isReadable,
    malformedKeys:
      own.malformed && !captured ? recordedKeys(batch.latencyMs[index], batch.costUsd[index]) : NO_KEYS,
    fields: categoryFields(category, measurements, metadata),
  };
  // What cannot be seen from here, such as what was malformed, or the id that an imported event had before.
  return corrections === undefined ? event : Object.assign(event, corrections);
}

/** None where somebody other than this library wrote what is stored there. */
function malformedKeysAt(stored: Buffer, offset: number): string[] {
  const reader = new StoredValueReader(stored, offset);
  try {
    reader.value();
    reader.value();
    const { malformedKeys } = reader.aside as Record<string, Json>;
    return (malformedKeys as Json[]).filter((key) => typeof key === 'string');
  } catch {
    return [];
  }
}

function malformedKeysOf({ tags, latencyMs, costUsd, blob, blobOffsets }: Columns, row: number): string[] {
  if ((tags[row] & FLAG_BLOB) === 0) return recordedKeys(latencyMs[row], costUsd[row]);
  return (tags[row] & FLAG_CORRECTED) === 0 ? [] : malformedKeysAt(blob, blobOffsets[row]);
}

/** Adds the batch's events to those that had what could not be understood, by what that was. */
export function countMalformedKeys(batch: Columns, into: Map<string, number>): void {
  for (let row = 0; row < batch.rows; row++) {
    if ((batch.tags[row] & FLAG_MALFORMED) === 0) continue;
    for (const key of malformedKeysOf(batch, row)) into.set(key, (into.get(key) ?? 0) + 1);
  }
}

/** Whom and what the event is about, as its metadata says. */
function identitiesIn(metadata: Record<string, Json>) {
  return {
    sessionId: lifted(metadata, 'sessionId'),
    userId: lifted(metadata, 'userId'),
    sampleId: lifted(metadata, 'sampleId'),
    cohort: lifted(metadata, 'cohort'),
    correlationId: lifted(metadata, 'correlationId'),
    traceId: lifted(metadata, 'traceId'),
    spanId: lifted(metadata, 'spanId'),
  };
}

const identities = new WeakMap<Binding['bound'], ReturnType<typeof identitiesIn>>();

/** The same where all that is known is bound: looked for once. */
function identitiesOf({ bound }: Binding): ReturnType<typeof identitiesIn> {
  let found = identities.get(bound);
  if (found === undefined) {
    found = identitiesIn(bound);
    identities.set(bound, found);
  }
  return found;
}

function readDeclared(
  source: RowSource,
  batch: Columns,
  index: number,
  metadata: Record<string, Json>,
): void {
  source.columns.forEach(({ name, type }, column) => {
    const code = batch.declared[column][index];
    if (!isAbsent(type, code)) setOwn(metadata, name, declaredValue(type, code, source.text));
  });
}

function textOrNull(value: Json | undefined): string | null {
  return typeof value === 'string' ? value : null;
}

/** Whether the row's event succeeded; null where it did not say. */
export function successOf(tag: number): boolean | null {
  return (tag & FLAG_SUCCEEDED) !== 0 ? true : (tag & FLAG_FAILED) !== 0 ? false : null;
}
