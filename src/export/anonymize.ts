/**
 * Removing who it was from an export, keeping which events belong together.
 *
 * `userId`, `sessionId` and the named fields are replaced by a keyed hash, or dropped, wherever they stand: on
 * the event, among its category fields, and at any depth of its metadata and measurements, in any spelling
 * (userId, user_id, UserID). One value gives one hash under one key, in every field and every export, so data
 * sets can still be joined; without the key nobody can test a guess. Free text that mentions a person (an error
 * message, a prompt) is not searched: name such fields as well.
 */

import { createHmac } from 'node:crypto';
import { ConfigError } from '../errors.js';
import type { EventRow, Json } from '../schema/event.js';

export interface AnonymizeOptions {
  /** Secret of the hash; not empty. */
  key: string;
  /** Fields besides userId and sessionId. */
  fields?: readonly string[];
  /** `hash` (default): HMAC-SHA256, first 16 hex digits. `drop`: null, and gone from metadata. */
  mode?: 'hash' | 'drop';
}

/** Fields of the event itself that can hold a hash. */
const TEXT_FIELDS = [
  'userId',
  'sessionId',
  'sampleId',
  'cohort',
  'correlationId',
  'traceId',
  'spanId',
  'model',
  'provider',
] as const;
/** Fields whose type leaves nothing but null. */
const VALUE_FIELDS = ['latencyMs', 'costUsd', 'costSource', 'success', 'tokens'] as const;
/** Fields an event cannot be without. */
const FIXED_FIELDS = [
  'eventId',
  'eventName',
  'timestamp',
  'sequence',
  'experimentId',
  'experimentName',
  'condition',
  'tags',
  'measurements',
  'metadata',
  'malformed',
  'malformedKeys',
  'fields',
];

/** Hashes remembered; ids repeat, and an HMAC costs microseconds. */
const MAX_CACHED_HASHES = 10_000;

/**
 * A function that anonymises one event, leaving the given one as it is.
 *
 * @throws ConfigError for an empty key, an unknown mode, or a field no event can be without
 */
export function anonymizer(options: AnonymizeOptions): (event: EventRow) => EventRow {
  const { key, fields = [], mode = 'hash' } = options;
  if (typeof key !== 'string' || key === '') throw new ConfigError('anonymize.key', 'a secret text', key);
  if (mode !== 'hash' && mode !== 'drop') throw new ConfigError('anonymize.mode', "'hash' or 'drop'", mode);
  if (!Array.isArray(fields) || fields.some((field) => typeof field !== 'string')) {
    throw new ConfigError('anonymize.fields', 'a list of field names', fields);
  }
  const named = new Set(['userId', 'sessionId', ...fields].map(spelling));
  const fixed = FIXED_FIELDS.find((field) => named.has(spelling(field)));
  if (fixed !== undefined) {
    throw new ConfigError('anonymize.fields', 'fields that an event can be without', fixed);
  }
  const textFields = TEXT_FIELDS.filter((field) => named.has(spelling(field)));
  const valueFields = VALUE_FIELDS.filter((field) => named.has(spelling(field)));

  const cache = new Map<string, string>();
  function hidden(value: Json): string | null {
    if (value === null || value === undefined || mode === 'drop') return null;
    const text = typeof value === 'string' ? value : JSON.stringify(value);
    let hash = cache.get(text);
    if (hash === undefined) {
      hash = createHmac('sha256', key).update(text).digest('hex').slice(0, 16);
      if (cache.size >= MAX_CACHED_HASHES) cache.clear();
      cache.set(text, hash);
    }
    return hash;
  }

  function cleaned(value: Json): Json {
    if (Array.isArray(value)) return value.map(cleaned);
    return typeof value === 'object' && value !== null ? cleanedObject(value) : value;
  }

  function cleanedObject(object: Readonly<Record<string, Json>>): Record<string, Json> {
    const entries: [string, Json][] = [];
    for (const [name, value] of Object.entries(object)) {
      if (!named.has(spelling(name))) entries.push([name, cleaned(value)]);
      else if (mode === 'hash') entries.push([name, hidden(value)]);
    }
    return Object.fromEntries(entries);
  }

  return (event) => {
    const result: EventRow = {
      ...event,
      measurements: cleanedObject(event.measurements),
      metadata: cleanedObject(event.metadata),
      fields: cleanedObject(event.fields),
    };
    for (const field of textFields) result[field] = hidden(event[field]);
    for (const field of valueFields) result[field] = null;
    return result;
  };
}

/** One form for all spellings of a name: userId, user_id, user-id and UserID are `userid`. */
function spelling(name: string): string {
  return name.replace(/[-_\s]/g, '').toLowerCase();
}
