/**
 * Losses: counts what an experiment was offered and did not take, and warns once of each kind of loss.
 *
 * The counts are in a small shared memory of their own, so that every thread that captures counts into the same words,
 * and still does when the ring has been let go: whoever keeps a recorder of a closed experiment keeps these 64 bytes.
 * Rows that a full ring refuses are counted in the ring, where the spooler sees them.
 */
import type { LossListener, Refusal } from '../ring/losses.js';

/** Events that an experiment was offered and did not take, by reason. */
export type RefusedCounts = {
  /** All of them but those of pauses. */
  total: number;
  /** The ring was full, and nothing was written to disk in time, or the experiment is not to wait for that. */
  full: number;
  /** After the experiment was stopped, as far as this process knows. */
  stopped: number;
  /** After its `cleanup`, or after the writer of the capturing thread was closed. */
  closed: number;
  /** The experiment is only read here. */
  readOnly: number;
  /** During pauses: not wanted, and so neither lost nor part of `total`. */
  paused: number;
};

/** What was lost since the experiment began. */
export type Loss = 'refused' | 'overwritten' | 'malformed' | 'cut' | 'damaged';

/** Warnings by what they warn of. A kind's bit says that the experiment has warned of it. */
const WARNINGS: Readonly<
  Record<Loss, { readonly code: string; readonly count: string; readonly bit: number }>
> = {
  refused: { code: 'CRUCIBLE_REFUSED', count: 'refused', bit: 1 },
  overwritten: { code: 'CRUCIBLE_OVERWRITTEN', count: 'dropped', bit: 2 },
  malformed: { code: 'CRUCIBLE_MALFORMED', count: 'malformed', bit: 4 },
  cut: { code: 'CRUCIBLE_CUT', count: 'cut', bit: 8 },
  damaged: { code: 'CRUCIBLE_DAMAGED', count: 'damaged', bit: 16 },
};

/** Why an experiment takes no more events, as its owner has said. */
export type End = 'stopped' | 'readOnly' | 'closed';
const ENDS: readonly End[] = ['stopped', 'readOnly', 'closed'];

const COUNTED = ['stopped', 'readOnly', 'closed', 'paused'] as const;

// Places in the shared memory: words of 32 bits, and behind them counts of 64.
const WARNED_AT = 0;
const END_AT = 1;
const COUNTS_AT = 1;
const SHARED_BYTES = 64;

const REFUSED: Readonly<
  Record<Exclude<Refusal | End, 'paused'>, { readonly why: string; readonly help: string }>
> = {
  full: { why: 'its ring is full', help: 'Give it a larger capacity, or a faster disk' },
  stopped: { why: 'it was stopped', help: 'Await what still captures before stop()' },
  closed: {
    why: 'it, or the writer of this thread, was closed',
    help: 'Await what still captures before cleanup() or close()',
  },
  readOnly: { why: 'it is only read here', help: 'Capture in the process that writes it' },
};

export interface LossSubject {
  readonly id: string;
  readonly name: string;
  /** Whether its events are meant to be on disk; a ring in memory overwrites by design. */
  readonly durable: boolean;
}

/** How a stopped experiment that is on disk can go on. */
export function howToReopen(id: string): string {
  return `crucible.recover(dir, { reopen: ['${id}'] }) lets it go on`;
}

let lastKey = 0;

export class Losses implements LossListener {
  /** No two of this thread have the same. */
  readonly key = ++lastKey;
  readonly subject: LossSubject;
  /** For other threads that capture for the experiment. */
  readonly shared: SharedArrayBuffer;
  readonly #words: Int32Array;
  readonly #counts: BigInt64Array;

  constructor(subject: LossSubject, shared = new SharedArrayBuffer(SHARED_BYTES)) {
    this.subject = subject;
    this.shared = shared;
    this.#words = new Int32Array(shared);
    this.#counts = new BigInt64Array(shared);
  }

  /** Why the experiment takes no more events, once it does not. */
  set end(end: End) {
    Atomics.store(this.#words, END_AT, ENDS.indexOf(end));
  }

  /** @param full - rows refused by the ring */
  refusedCounts(full: number): RefusedCounts {
    const [stopped, readOnly, closed, paused] = COUNTED.map((_, i) =>
      Number(Atomics.load(this.#counts, COUNTS_AT + i)),
    );
    return { total: full + stopped + closed + readOnly, full, stopped, closed, readOnly, paused };
  }

  /** Counts an event that was not taken, unless the ring has, and warns of the first. */
  refused(reason: Refusal): void {
    const why = reason === 'stopped' ? ENDS[Atomics.load(this.#words, END_AT)] : reason;
    if (why !== 'full') Atomics.add(this.#counts, COUNTS_AT + COUNTED.indexOf(why), 1n);
    if (why === 'paused') return;
    const { id, durable } = this.subject;
    const more = why === 'stopped' && durable ? `; ${howToReopen(id)}` : '';
    this.warn('refused', `refuses events: ${REFUSED[why].why}`, REFUSED[why].help + more);
  }

  overwritten(): void {
    if (!this.subject.durable) return;
    const help = "Give it a larger capacity, or overflow: 'block', which waits for the disk";
    this.warn('overwritten', 'has overwritten events before they were on disk', help);
  }

  malformed(event: string | undefined, key?: string): void {
    const what = key === undefined ? '' : `${JSON.stringify(key)} `;
    const first = firstIn(event, what);
    const help = 'Their rows say malformed: true with malformedKeys, and hold what could be read';
    this.warn('malformed', `was given values that it does not understand${first}`, help);
  }

  cut(event: string | undefined): void {
    const what = `cuts texts of more than 16 MiB, and all of an event of more than 32 MiB${firstIn(event)}`;
    const help = 'malformedKeys of their rows say which. Keep what is larger in files of your own';
    this.warn('cut', what, help);
  }

  /** Events that were on disk are not any more. @param where - and why */
  damaged(where: string): void {
    const help = 'storage.damaged says where, and how many events each place has cost';
    this.warn('damaged', `has lost events that were on disk: ${where}`, help);
  }

  /**
   * Warns of the first loss of a kind, once for all threads of the experiment.
   * @param what - what the experiment has lost and why, to follow its name
   * @param help - what can be done
   */
  warn(kind: Loss, what: string, help: string): void {
    const { code, count, bit } = WARNINGS[kind];
    if ((Atomics.load(this.#words, WARNED_AT) & bit) !== 0) return;
    if ((Atomics.or(this.#words, WARNED_AT, bit) & bit) !== 0) return;
    const { name, id } = this.subject;
    const message = `experiment ${JSON.stringify(name)} (${id}) ${what}. ${help}. counts.${count} has how many; this is said once.`;
    process.emitWarning(message, { type: 'CrucibleWarning', code });
  }
}

function firstIn(event: string | undefined, what = ''): string {
  return event === undefined ? '' : `; the first is ${what}in ${JSON.stringify(event.slice(0, 200))}`;
}
