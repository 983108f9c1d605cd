/** What the page asks once: calls, exact metrics, comparisons, files. Everything is JSON, and only read. */
import { join } from 'node:path';
import { resolveCompareOptions } from '../analysis/compare/options.js';
import { measuresOf } from '../analysis/compare/outcomes.js';
import type { Outcome } from '../analysis/types.js';
import { ConfigError, NotFoundError } from '../errors.js';
import { eventsOfPacked } from '../readers/row-table.js';
import type { EventRow, Filter } from '../schema/event.js';
import { ifThere } from '../storage/disk/errors.js';
import { nodeFileSystem } from '../storage/disk/file-system.js';
import { perform } from '../workers/tasks.js';
import { ALL_KINDS } from './follower.js';
import type { Descriptor } from './protocol.js';
import type { Shelf } from './shelf.js';
import type { Followers } from './sources.js';
import { openSubject, rowsNow, type Subject, timesOf } from './subject.js';

/** Events that are shown at once, and that are gone through for one call or a roll-up. */
const CALLS_MAX = 500;
const RELATED_MAX = 2_000;
const SESSIONS_OF = 20_000;
/** Quantiles of the plot of their differences. */
const QUANTILES = [0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.99];

const nowUs = () => Math.floor((performance.timeOrigin + performance.now()) * 1000);

async function withSubject<T>(
  shelf: Shelf,
  id: string,
  use: (subject: Subject, descriptor: Descriptor) => Promise<T>,
): Promise<T> {
  const found = shelf.get(id);
  if (found === null) throw new NotFoundError('experiment', id);
  const subject = openSubject(found.descriptor, found.access);
  try {
    return await use(subject, found.descriptor);
  } finally {
    subject.close();
  }
}

/** The filter that an address asks for. @throws ConfigError */
export function filterOf(query: URLSearchParams): Filter {
  const text = (key: string) => query.get(key) || undefined;
  const success = { true: true, false: false, null: null }[query.get('success') ?? ''];
  const kind = query.get('kind');
  const least = query.get('minLatencyMs');
  const filter = {
    eventName: text('event'),
    model: text('model'),
    provider: text('provider'),
    success,
    sessionId: text('session'),
    latencyMs: least === null || least === '' ? undefined : { gte: numberOf('minLatencyMs', least) },
    timeRange: rangeOf(query),
    where: kind === null || kind === '' ? undefined : { eventName: { in: namesOf(kind) } },
  };
  return Object.fromEntries(Object.entries(filter).filter(([, value]) => value !== undefined)) as Filter;
}

/** The names that events of a kind can have. */
function namesOf(kind: string): string[] {
  return [kind, `${kind}.stop`, `${kind}.exception`];
}

function rangeOf(query: URLSearchParams): [number, number] | undefined {
  const [from, to] = [query.get('from'), query.get('to')];
  if (from === null || to === null) return undefined;
  return [numberOf('from', from), numberOf('to', to)];
}

function numberOf(name: string, text: string): number {
  const value = text.trim() === '' ? Number.NaN : Number(text);
  if (!Number.isFinite(value)) throw new ConfigError(name, 'a number', text);
  return value;
}

async function lastEvents(subject: Subject, count: number, filter: Filter): Promise<EventRow[]> {
  const { parts } = await perform([rowsNow(subject, filter)], { kind: 'last', count });
  return parts.flatMap((packed) => eventsOfPacked(subject.store.source, packed));
}

/** The last events that pass, the newest first. */
export function calls(shelf: Shelf, id: string, query: URLSearchParams) {
  const limit = Math.min(CALLS_MAX, Math.max(1, Math.floor(numberOf('limit', query.get('limit') ?? '100'))));
  const filter = filterOf(query);
  return withSubject(shelf, id, async (subject) => {
    const events = await lastEvents(subject, limit, filter);
    return { limit, filter, events: events.reverse() };
  });
}

/** Ids that events of one call, trace or session share, the closest first. */
const RELATIONS = ['correlationId', 'traceId', 'sessionId'] as const;

/** One event and those that belong to it, ascending by time. */
export function call(shelf: Shelf, id: string, eventId: string) {
  return withSubject(shelf, id, async (subject) => {
    const event = (await lastEvents(subject, 1, { where: { eventId } } as Filter)).at(0);
    if (event === undefined) throw new NotFoundError('event', eventId);
    const by = RELATIONS.find((key) => event[key] !== null);
    const related =
      by === undefined ? [event] : await lastEvents(subject, RELATED_MAX, { [by]: event[by] } as Filter);
    return { event, by: by ?? null, related, isCut: related.length === RELATED_MAX };
  });
}

/** Sums by session, of the last events. */
export function sessions(shelf: Shelf, id: string) {
  return withSubject(shelf, id, async (subject) => {
    const events = await lastEvents(subject, SESSIONS_OF, {});
    const found = new Map<string, SessionSum>();
    for (const event of events) {
      if (event.sessionId === null) continue;
      const key = typeof event.sessionId === 'string' ? event.sessionId : JSON.stringify(event.sessionId);
      const sum = found.get(key) ?? {
        session: key,
        events: 0,
        failed: 0,
        costUsd: 0,
        tokens: 0,
        latencyMs: 0,
        firstUs: event.timestamp,
        lastUs: event.timestamp,
      };
      sum.events++;
      if (event.success === false) sum.failed++;
      sum.costUsd += event.costUsd ?? 0;
      sum.tokens += event.tokens?.total ?? 0;
      sum.latencyMs += event.latencyMs ?? 0;
      sum.lastUs = event.timestamp;
      found.set(key, sum);
    }
    return {
      ofLast: events.length,
      isAll: events.length < SESSIONS_OF,
      sessions: [...found.values()].sort((a, b) => b.lastUs - a.lastUs).slice(0, CALLS_MAX),
    };
  });
}

interface SessionSum {
  session: string;
  events: number;
  failed: number;
  costUsd: number;
  tokens: number;
  latencyMs: number;
  firstUs: number;
  lastUs: number;
}

/** As `experiment.metrics(filter)`. */
export function metrics(shelf: Shelf, id: string, query: URLSearchParams) {
  const filter = filterOf(query);
  return withSubject(shelf, id, async (subject, descriptor) => ({
    filter,
    metrics: await perform([rowsNow(subject, filter)], {
      kind: 'metrics',
      times: timesOf(descriptor, nowUs()),
    }),
  }));
}

/** As `crucible.compare`, with the distributions of the arms' latencies, and the differences of their quantiles. */
export async function compare(shelf: Shelf, followers: Followers, query: URLSearchParams) {
  const ids = query.getAll('id');
  if (new Set(ids).size !== ids.length) throw new ConfigError('id', 'experiments, each once', ids);
  const event = query.get('event') || undefined;
  const unit = query.get('unit') || undefined;
  const common = { ...(event !== undefined && { event }), ...(unit !== undefined && { unit }) };
  const found = ids.map((id) => {
    const known = shelf.get(id);
    if (known === null) throw new NotFoundError('experiment', id);
    return known;
  });
  const subjects = found.map(({ descriptor, access }) => openSubject(descriptor, access));
  try {
    const parts = subjects.map((subject) => rowsNow(subject));
    const about = found.map(({ descriptor }) => ({
      times: timesOf(descriptor, nowUs()),
      lost: { dropped: descriptor.counts.dropped, damaged: descriptor.counts.damaged },
    }));
    const run = (options: Parameters<typeof resolveCompareOptions>[0]) => {
      const { paired, seed, questions, unit } = resolveCompareOptions(options, ids.length);
      const gather = { withSampleIds: paired !== false, seed, unit, ...measuresOf(questions) };
      const arms = about.map((each, arm) => ({ ...each, gather: { ...gather, arm } }));
      return perform(parts, { kind: 'compare', arms, options });
    };
    const comparison = await run(common);
    const outcomes: Outcome[] = QUANTILES.map((quantile) => ({
      name: `q${quantile}`,
      of: 'latencyMs',
      summary: { quantile },
    }));
    const curves = await run({ ...common, metrics: outcomes, resamples: 1_000, adjust: 'none' });
    const quantiles = curves.treatments.map(({ id, metrics }) => ({
      id,
      points: QUANTILES.map((p) => {
        const found = metrics[`q${p}`];
        return {
          p,
          baseline: found?.baseline.estimate ?? null,
          treatment: found?.treatment.estimate ?? null,
          difference: found?.difference ?? null,
          confidenceInterval: found?.confidenceInterval ?? null,
          n: [found?.baseline.n ?? 0, found?.treatment.n ?? 0],
        };
      }),
    }));
    const kind = comparison.event === 'all' ? ALL_KINDS : comparison.event;
    const distributions = await Promise.all(ids.map((id) => distributionOf(followers, id, kind)));
    return { comparison, quantiles, distributions };
  } finally {
    for (const subject of subjects) subject.close();
  }
}

async function distributionOf(followers: Followers, id: string, kind: string) {
  const follower = followers.take(id);
  try {
    await follower.advance();
    return { id, bins: follower.figures(kind).latencyBins };
  } finally {
    followers.leave(id);
  }
}

/** The segments of an experiment that is on disk, and what has been found lost of them. */
export function files(shelf: Shelf, id: string) {
  return withSubject(shelf, id, async (subject, { folder }) => {
    if (folder === null) return { folder, files: [], damage: [] };
    subject.store.snapshot(Number.NEGATIVE_INFINITY, Number.POSITIVE_INFINITY);
    const names = nodeFileSystem.list(folder).sort();
    const found = names.flatMap((name) => {
      const stat = ifThere(() => nodeFileSystem.stat(join(folder, name)));
      return stat === undefined ? [] : [{ name, bytes: stat.bytes, modifiedMs: stat.modifiedMs }];
    });
    return { folder, files: found, damage: subject.damaged };
  });
}
