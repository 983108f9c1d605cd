/** Several models are asked at once, and what most of them say is the answer. */
import { execute } from '../capture/channels.js';
import { systemClock } from '../clock.js';
import { ConfigError } from '../errors.js';
import type { Metadata } from '../schema/event.js';
import { durationSince, failed, msSince } from './hedge.js';
import { plurality, type Vote } from './vote.js';

export interface EnsembleOptions<T> {
  /** What a member's answer says, as text that is equal where they agree; null for an answer that says nothing. */
  readonly vote: (value: T) => string | null;
  readonly signal?: AbortSignal | undefined;
  /** Of all events. */
  readonly metadata?: Metadata | undefined;
  /** What an answer has cost, USD; null where that is not known. */
  readonly cost?: ((value: T) => number | null) | undefined;
  /** Ends the calls of members whose votes could not change the winner any more. Default: all are waited for. */
  readonly stopWhenDecided?: boolean | undefined;
}

export interface EnsembleMember<T> {
  readonly name: string;
  readonly latencyMs: number;
  readonly value?: T;
  /** Of a member that has failed, or was ended. */
  readonly error?: unknown;
}

export interface Ensembled<T> extends Vote {
  /** The answer of the first member that has voted for the winner; of a vote without one, the first answer. */
  readonly value: T;
  readonly members: readonly EnsembleMember<T>[];
  /** USD, over the answers; null where the cost of one is not known. */
  readonly totalCostUsd: number | null;
}

/**
 * Asks all members and counts their votes. Emits `ensemble.prediction.start`, `ensemble.vote.completed` and
 * `ensemble.prediction.stop`, or `.exception` where no member has answered: then it rejects with what the first member
 * has failed with, or with the signal's reason.
 * @param members - by name; each heeds the signal that it is given
 * @throws ConfigError where there are none
 */
export async function ensemble<T>(
  members: Readonly<Record<string, (signal: AbortSignal) => Promise<T>>>,
  options: EnsembleOptions<T>,
): Promise<Ensembled<T>> {
  const { vote, signal, cost, stopWhenDecided = false } = options;
  const names = Object.keys(members);
  if (names.length === 0) throw new ConfigError('members', 'one member or more', members);
  signal?.throwIfAborted();
  const metadata: Metadata = { members: names, ...options.metadata };
  execute('ensemble.prediction.start', {}, metadata);
  const startNs = systemClock.monotonicNs();
  const controller = new AbortController();
  const either = signal === undefined ? controller.signal : AbortSignal.any([controller.signal, signal]);
  const said: (string | null)[] = names.map(() => null);
  let open = names.length;
  const ask = async (name: string, place: number): Promise<EnsembleMember<T>> => {
    try {
      const value = await members[name](either);
      said[place] = vote(value);
      return { name, latencyMs: msSince(startNs), value };
    } catch (error) {
      return { name, latencyMs: msSince(startNs), error };
    } finally {
      open--;
      if (stopWhenDecided && isDecided(said, open)) controller.abort();
    }
  };
  try {
    const asked = await Promise.all(names.map(ask));
    signal?.throwIfAborted();
    const answered = asked.filter((member) => 'value' in member);
    if (answered.length === 0) throw asked[0].error;
    const result = resultOf(asked, said, cost);
    const { votes, winner, agreement, totalCostUsd } = result;
    const total = totalCostUsd === null ? null : { totalCost: totalCostUsd };
    execute('ensemble.vote.completed', {}, { ...metadata, votes, winner, agreement, ...total });
    const told = asked.map(({ name, latencyMs, error }) => ({ name, latencyMs, error: error !== undefined }));
    execute('ensemble.prediction.stop', durationSince(startNs), {
      ...metadata,
      winner,
      members: told,
      success: true,
    });
    return result;
  } catch (error) {
    failed('ensemble.prediction', startNs, metadata, error, signal);
    throw error;
  }
}

/** Whether those that are still asked could not change the winner. */
function isDecided(said: readonly (string | null)[], open: number): boolean {
  const counts = Object.values(plurality(said).votes).sort((a, b) => b - a);
  const [most = 0, next = 0] = counts;
  return open > 0 && most > next + open;
}

function resultOf<T>(
  members: readonly EnsembleMember<T>[],
  said: readonly (string | null)[],
  cost: EnsembleOptions<T>['cost'],
): Ensembled<T> {
  const vote = plurality(said);
  const place =
    vote.winner === null ? members.findIndex((member) => 'value' in member) : said.indexOf(vote.winner);
  let totalCostUsd: number | null = cost === undefined ? null : 0;
  for (const member of members) {
    if (!('value' in member) || totalCostUsd === null) continue;
    const costUsd = cost?.(member.value as T) ?? null;
    totalCostUsd = costUsd === null ? null : totalCostUsd + costUsd;
  }
  return { ...vote, value: members[place].value as T, members, totalCostUsd };
}
