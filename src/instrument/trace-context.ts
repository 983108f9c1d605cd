/** Whom and what a request is about, as its headers say by W3C Trace Context and Baggage. */
import type { Context } from '../schema/event.js';

type HeadersLike =
  | { get(name: string): string | null }
  | Readonly<Record<string, string | readonly string[] | undefined>>;

/** Baggage by our names. Other members are left where they are. */
const MEMBERS: Readonly<Record<string, string>> = {
  'session.id': 'sessionId',
  sessionId: 'sessionId',
  'user.id': 'userId',
  userId: 'userId',
  'enduser.id': 'userId',
  sampleId: 'sampleId',
  'sample.id': 'sampleId',
  cohort: 'cohort',
  'study.arm': 'arm',
};

const PARENT = /^(?!ff)[0-9a-f]{2}-([0-9a-f]{32})-([0-9a-f]{16})-[0-9a-f]{2}(?:-.*)?$/;
/** As the specification limits it. */
const BAGGAGE_MAX = 8192;

/**
 * For `experiment.run(fn, traceContext(request.headers))`: `traceId` and `spanId` by `traceparent`, and of `baggage` the
 * members session.id, user.id, sample.id, cohort and study.arm. What is not well formed is left out.
 */
export function traceContext(headers: HeadersLike): Context {
  const context: Record<string, string> = {};
  const [, traceId, spanId] = PARENT.exec(headerOf(headers, 'traceparent')?.trim() ?? '') ?? [];
  if (traceId !== undefined && !/^0+$/.test(traceId) && !/^0+$/.test(spanId)) {
    context.traceId = traceId;
    context.spanId = spanId;
  }
  const baggage = headerOf(headers, 'baggage');
  if (baggage === null || baggage.length > BAGGAGE_MAX) return context;
  for (const member of baggage.split(',')) {
    // Behind a semicolon there are properties of the member.
    const [name, value] = member.split(';', 1)[0].split(/=(.*)/s, 2);
    const ours = Object.hasOwn(MEMBERS, name.trim()) ? MEMBERS[name.trim()] : undefined;
    if (ours === undefined || value === undefined) continue;
    const text = decoded(value.trim());
    if (text !== null && text !== '') context[ours] ??= text;
  }
  return context;
}

function headerOf(headers: HeadersLike, name: string): string | null {
  if (typeof headers.get === 'function') return (headers as { get(name: string): string | null }).get(name);
  const value = (headers as Readonly<Record<string, string | readonly string[] | undefined>>)[name];
  return value === undefined ? null : typeof value === 'string' ? value : value.join(',');
}

function decoded(text: string): string | null {
  try {
    return decodeURIComponent(text);
  } catch {
    return null;
  }
}
