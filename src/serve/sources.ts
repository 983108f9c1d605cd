/** What the page's feeds tell: the list of experiments, and one experiment. */
import { NotFoundError } from '../errors.js';
import type { FeedSource } from './feed.js';
import { Follower } from './follower.js';
import type { Descriptor } from './protocol.js';
import type { Shelf } from './shelf.js';
import { openSubject } from './subject.js';

/** How long a message waits for rows that are being read, ms. */
const READ_MS = 120;

export interface ListState {
  readonly dir: string | null;
  readonly error: string | null;
  readonly experiments: readonly Descriptor[];
  /** Of a change: those that are no more. */
  readonly gone: readonly string[];
}

export class ListSource implements FeedSource {
  readonly #shelf: Shelf;
  #told = 0;
  #error: string | null = null;

  constructor(shelf: Shelf) {
    this.#shelf = shelf;
  }

  async state(): Promise<ListState> {
    if (this.#shelf.version === 0) await this.#shelf.look();
    const { changed } = this.#shelf.since(0);
    return { dir: this.#shelf.dir, error: this.#shelf.error, experiments: changed, gone: [] };
  }

  delta(): ListState | null {
    void this.#shelf.look();
    const { version, dir, error } = this.#shelf;
    if (version === this.#told && error === this.#error) return null;
    const { changed, gone } = this.#shelf.since(this.#told);
    this.#told = version;
    this.#error = error;
    return { dir, error, experiments: changed, gone };
  }

  close(): void {}
}

/** Followers that are in use: several feeds may show one experiment. */
export class Followers {
  readonly #shelf: Shelf;
  readonly #open = new Map<string, { follower: Follower; users: number }>();

  constructor(shelf: Shelf) {
    this.#shelf = shelf;
  }

  /** @throws NotFoundError, and what opening it throws */
  take(id: string): Follower {
    const known = this.#open.get(id);
    if (known !== undefined) {
      known.users++;
      return known.follower;
    }
    const found = this.#shelf.get(id);
    if (found === null) throw new NotFoundError('experiment', id);
    const follower = new Follower(openSubject(found.descriptor, found.access));
    this.#open.set(id, { follower, users: 1 });
    return follower;
  }

  leave(id: string): void {
    const known = this.#open.get(id);
    if (known === undefined || --known.users > 0) return;
    this.#open.delete(id);
    known.follower.subject.close();
  }
}

export class ExperimentSource implements FeedSource {
  readonly #shelf: Shelf;
  readonly #followers: Followers;
  readonly #id: string;
  readonly #asked: string | null;
  readonly #follower: Follower;
  #kind: string | null = null;
  #told = 0;
  #descriptor: Descriptor | null = null;
  #countsText = '';

  /** @param asked - the kind of events; null for the usual one. @throws NotFoundError, and what opening it throws */
  constructor(shelf: Shelf, followers: Followers, id: string, asked: string | null) {
    this.#shelf = shelf;
    this.#followers = followers;
    this.#id = id;
    this.#asked = asked;
    this.#follower = followers.take(id);
  }

  #describe(): Descriptor {
    const found = this.#shelf.get(this.#id);
    if (found === null) throw new NotFoundError('experiment', this.#id);
    return found.descriptor;
  }

  async state() {
    await this.#read();
    const figures = this.#follower.figures(this.#asked);
    const series = this.#follower.series(figures.kind, 0);
    return { descriptor: this.#describe(), figures, series };
  }

  async delta() {
    void this.#shelf.look();
    await this.#read();
    const descriptor = this.#describe();
    const figures = this.#follower.figures(this.#asked);
    const { version } = this.#follower;
    const { group, rowsRead, kind } = figures;
    const text = `${group.count} ${rowsRead} ${figures.rowsMissed} ${figures.damagedPlaces}`;
    if (text === this.#countsText && descriptor === this.#descriptor && version === this.#told) return null;
    // Another kind has most events now: its series is new.
    const since = kind === this.#kind ? this.#told : 0;
    const series = this.#follower.series(kind, since);
    const isNew = descriptor !== this.#descriptor;
    this.#countsText = text;
    this.#descriptor = descriptor;
    this.#kind = kind;
    this.#told = version;
    return { ...(isNew && { descriptor }), figures, series };
  }

  /** Reads on, as far as it comes for now. */
  async #read(): Promise<void> {
    let timer: NodeJS.Timeout | undefined;
    const enough = new Promise<void>((resolve) => {
      timer = setTimeout(resolve, READ_MS);
    });
    try {
      await Promise.race([this.#follower.advance(), enough]);
    } finally {
      clearTimeout(timer);
    }
  }

  close(): void {
    this.#followers.leave(this.#id);
  }
}
