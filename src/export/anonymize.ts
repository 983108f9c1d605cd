/**
 * Removing who it was from an export, keeping which events belong together.
 *
 * `userId`, `sessionId` and their kin (IDENTITIES), and the named fields, are replaced by a keyed hash, or dropped,
 * wherever they stand: on the event, among its category fields, at any depth of its metadata and measurements, and in
 * the metadata of its experiment; in any spelling: userId, user_id, UserID, `user.id`, `{ user: { id } }`,
 * `attributes['enduser.id']`. One value gives one hash under one key, in every field and every export, so data sets can
 * still be joined; without the key nobody can test a guess. Whoever has the key can: the hash of a name that is easy to
 * guess hides nothing from them. Free text that mentions a person (an error message, a prompt) is not searched: name
 * such fields as well.
 */

import { createHmac } from 'node:crypto';
import { ConfigError } from '../errors.js';
import type { EventRow, Json } from '../schema/event.js';
import type { ExperimentAbout } from './encoder.js';

export interface AnonymizeOptions {
  /** Secret of the hash, at least 16 bytes in UTF-8; not needed to drop. */
  key?: string | undefined;
  /** Fields besides those that tell users and sessions; `customer.id` is also customerId and { customer: { id } }. */
  fields?: readonly string[] | undefined;
  /** `hash` (default): HMAC-SHA256, first 16 hex digits. `drop`: null, and gone from metadata. */
  mode?: 'hash' | 'drop' | undefined;
}

/** With fewer, trying all keys on one known id may be worth somebody's while. */
const KEY_BYTES_MIN = 16;

/**
 * What tells a user or a session, as words: a path that ends with these is one of them, such as `langfuse.user.id`.
 * Among them what OpenTelemetry calls so (user.*, enduser.*, session.*, gen_ai.conversation.id).
 */
const IDENTITIES: ReadonlySet<string> = new Set([
  'userid',
  'username',
  'useremail',
  'userfullname',
  'userhash',
  'enduserid',
  'enduserpseudoid',
  'sessionid',
  'sessionpreviousid',
  'conversationid',
]);
/** The same, where the key is this alone, at the top of the metadata, and its value is a text. */
const IDENTITY_TEXTS: ReadonlySet<string> = new Set(['user', 'enduser', 'session', 'conversation']);
/** Words of the longest of them. */
const IDENTITY_WORDS_MAX = 4;

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

/** Hashes, and paths, remembered; they repeat, and an HMAC costs microseconds. */
const REMEMBERED_MAX = 10_000;

export interface Anonymizer {
  /** The event anonymised; the given one stays as it is. */
  event(event: EventRow): EventRow;
  /** What is told of an experiment. */
  about(about: ExperimentAbout): ExperimentAbout;
}

/** @throws ConfigError for a key that is too short, an unknown mode, or a field no event can be without */
export function anonymizer(options: AnonymizeOptions): Anonymizer {
  const { key = '', fields = [], mode = 'hash' } = options;
  if (mode !== 'hash' && mode !== 'drop') throw new ConfigError('anonymize.mode', "'hash' or 'drop'", mode);
  checkKey(key, mode);
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

  const isHidden = remembered((path: string) => {
    const parts = path.split('.');
    // `customer.id.raw` is inside of `customer.id`.
    return parts.some((_, last) => {
      const outer = parts.slice(0, last + 1);
      return endsNamed(outer, named) || tellsIdentity(outer.join(' '));
    });
  });
  const hashOf = remembered((text: string) =>
    createHmac('sha256', key).update(text).digest('hex').slice(0, 16),
  );
  function hidden(value: Json): string | null {
    if (value === null || value === undefined || mode === 'drop') return null;
    return hashOf(typeof value === 'string' ? value : JSON.stringify(value));
  }

  function cleaned(value: Json, path: string): Json {
    if (Array.isArray(value)) return value.map((item) => cleaned(item, path));
    return typeof value === 'object' && value !== null ? cleanedObject(value, path) : value;
  }

  /** @param path - of the object, with a dot behind each key; '' at the top */
  function cleanedObject(object: Readonly<Record<string, Json>>, path: string): Record<string, Json> {
    const entries: [string, Json][] = [];
    for (const [name, value] of Object.entries(object)) {
      const isText = path === '' && typeof value === 'string' && IDENTITY_TEXTS.has(spelling(name));
      if (!isText && !isHidden(path + name)) entries.push([name, cleaned(value, `${path}${name}.`)]);
      else if (mode === 'hash') entries.push([name, hidden(value)]);
    }
    return Object.fromEntries(entries);
  }

  return {
    event(event) {
      const result: EventRow = {
        ...event,
        measurements: cleanedObject(event.measurements, ''),
        metadata: cleanedObject(event.metadata, ''),
        fields: cleanedObject(event.fields, ''),
      };
      for (const field of textFields) result[field] = hidden(event[field]);
      for (const field of valueFields) result[field] = null;
      return result;
    },
    about: (about) =>
      about.metadata === undefined ? about : { ...about, metadata: cleanedObject(about.metadata, '') },
  };
}

function checkKey(key: unknown, mode: 'hash' | 'drop'): void {
  if (typeof key !== 'string') throw new ConfigError('anonymize.key', 'a secret text', key);
  if (mode === 'drop' || Buffer.byteLength(key) >= KEY_BYTES_MIN) return;
  // Not the key itself, which an error's message would carry into logs.
  const given = key === '' ? undefined : `${Buffer.byteLength(key)} bytes`;
  const expected = `a secret of at least ${KEY_BYTES_MIN} bytes, such as openssl rand -hex 32 makes`;
  throw new ConfigError('anonymize.key', expected, given);
}

/** Whether the last parts of a path together have one of the names. */
function endsNamed(parts: readonly string[], named: ReadonlySet<string>): boolean {
  return parts.some((_, first) => named.has(spelling(parts.slice(first).join(''))));
}

/** Whether the last words of the path tell a user or a session. */
function tellsIdentity(path: string): boolean {
  const words = path
    .replace(/([a-z0-9])([A-Z])/g, '$1 $2')
    .toLowerCase()
    .split(/[^a-z0-9]+/)
    .filter((word) => word !== '');
  for (let count = 1; count <= IDENTITY_WORDS_MAX && count <= words.length; count++) {
    if (IDENTITIES.has(words.slice(-count).join(''))) return true;
  }
  return false;
}

/** One form for all spellings of a name: userId, user_id, user.id and UserID are `userid`. */
function spelling(name: string): string {
  return name.replace(/[-_.\s]/g, '').toLowerCase();
}

function remembered<T>(of: (text: string) => T): (text: string) => T {
  const known = new Map<string, T>();
  return (text) => {
    let value = known.get(text);
    if (value === undefined) {
      value = of(text);
      if (known.size >= REMEMBERED_MAX) known.clear();
      known.set(text, value);
    }
    return value;
  };
}
