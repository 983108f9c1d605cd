/** A flush: which events are to be durable, how far that has come, and what it means where it did not. */
import { ConfigError, StateError, type StorageCode, StorageError, TelemetryError } from '../errors.js';
import type { LostEvents, Tally } from './counts.js';
import type { Durability } from './durability.js';

/** How long `flush` waits for the disk. */
const DEADLINE_MS = 30_000;

export interface FlushReport {
  /** Events captured when the flush began. */
  captured: number;
  /** Of those, kept by durable storage; 0 for an experiment in memory. */
  durable: number;
  /** Of those, still to be made durable, leaving out what has been lost. In memory that is all of them. */
  pending: number;
  /** Whether it was time that ended the flush. */
  deadlineExceeded: boolean;
  lost: LostEvents;
}

/** What a flush looks at. */
export interface FlushSubject {
  readonly name: string;
  readonly durability: Durability | null;
  tally(): Tally;
  lost(): LostEvents;
}

/** Counts when a flush begins. */
interface FlushAim {
  readonly captured: number;
  readonly overwritten: number;
  readonly damaged: number;
  readonly durable: number;
  /** Rows that are to be durable, those that were already included. */
  readonly toKeep: number;
}

/** @throws ConfigError */
export function flushDeadline(deadlineMs: number | undefined = DEADLINE_MS): number {
  if (typeof deadlineMs === 'number' && deadlineMs >= 0) return deadlineMs;
  throw new ConfigError('deadlineMs', 'a number of milliseconds', deadlineMs);
}

export class Flush {
  readonly #subject: FlushSubject;
  readonly #aim: FlushAim;

  /** Begins now: what is captured from here on is not its business. */
  constructor(subject: FlushSubject) {
    this.#subject = subject;
    const { captured, overwritten, damaged } = subject.tally();
    const durable = subject.durability?.durable ?? 0;
    // Rows that have expired are durable as well: they were, and are not wanted any more.
    this.#aim = { captured, overwritten, damaged, durable, toKeep: captured - overwritten - damaged };
  }

  report(deadlineExceeded = false): FlushReport {
    const { captured, toKeep, overwritten, damaged } = this.#aim;
    const durable = Math.min(captured, this.#subject.durability?.durable ?? 0);
    const lost = this.#subject.lost();
    // What was overwritten meanwhile were the oldest rows: there is nothing left of them to be made durable.
    const gone = lost.overwritten - overwritten + lost.damaged - damaged;
    const pending = Math.max(0, toKeep - gone - durable);
    return { captured, durable, pending, deadlineExceeded, lost };
  }

  /** Waits until all of it is durable. @throws StorageError with the report, where it is not */
  async untilDurable(durability: Durability, deadlineMs: number): Promise<FlushReport> {
    const { name } = this.#subject;
    const { completed, error } = await durability.flush(deadlineMs);
    const report = this.report(!completed && error === null);
    if (error !== null) throw withReport(error, report);
    if (report.deadlineExceeded) {
      const { pending, captured } = report;
      throw new StorageError(
        'ERR_FLUSH_DEADLINE',
        `${pending} of ${captured} events of ${name} were not durable within ${deadlineMs} ms. They are still being written: flush again, with a longer deadlineMs`,
        { path: durability.folder, deadlineMs, report },
        { cause: durability.status.error ?? undefined },
      );
    }
    const damaged = report.lost.damaged - this.#aim.damaged;
    if (damaged > 0) {
      throw new StorageError(
        'ERR_FLUSH_INCOMPLETE',
        `${damaged} of ${report.captured} events of ${name} are lost: their files in ${durability.folder} were deleted or changed; storage.damaged says which`,
        { path: durability.folder, report },
      );
    }
    // The oldest are overwritten first, but how many of the others were is not known.
    const overwritten = Math.min(
      report.lost.overwritten - this.#aim.overwritten,
      this.#aim.toKeep - this.#aim.durable,
    );
    if (report.pending > 0 || overwritten > 0) {
      const why =
        report.pending > 0
          ? `${report.pending} of ${report.captured} events of ${name} are in a file that could not be synced, or nobody writes them any more`
          : `up to ${overwritten} of ${report.captured} events of ${name} were overwritten before they were durable`;
      throw new StorageError('ERR_FLUSH_INCOMPLETE', why, { path: durability.folder, report });
    }
    return report;
  }
}

/** The storage's error, which says how far it has come. */
export function withReport(error: unknown, report: FlushReport): unknown {
  if (!(error instanceof TelemetryError) || error instanceof StateError) return error;
  const code = error instanceof StorageError ? (error.code as StorageCode) : 'ERR_STORAGE_IO';
  return new StorageError(code, error.message, { ...error.context, report }, { cause: error });
}
