/**
 * Feeds: server-sent events. Who looks at the same thing shares a feed, which makes each message once. A message is
 * numbered, and the last ones are kept for whoever comes back; who was away for longer gets everything anew. Whoever
 * reads too slowly gets nothing until they have read, and then everything anew.
 */
import type { ServerResponse } from 'node:http';

/** What a feed is of. */
export interface FeedSource {
  /** Everything, for somebody who knows nothing yet. */
  state(): Promise<unknown> | unknown;
  /** What is new since the last call of either; null for nothing. */
  delta(): Promise<unknown | null> | unknown | null;
  close(): void;
}

/** Messages that are kept for those who come back: some 30 seconds. */
const KEPT_MAX = 128;
/** What a viewer may have unread before it counts as slow, bytes. */
const UNREAD_BYTES_MAX = 1 << 20;
/** Between two signs of life, ms. */
const BEAT_MS = 15_000;
/** A feed that nobody looks at goes on for so long, for those who come back, ms. */
const LINGER_MS = 20_000;

interface Viewer {
  readonly response: ServerResponse;
  isSlow: boolean;
}

class Feed {
  readonly viewers = new Set<Viewer>();
  readonly source: FeedSource;
  leftMs = performance.now();
  readonly #epoch: string;
  #number = 0;
  /** Texts of the last messages, the newest last. */
  #kept: string[] = [];
  #stateText: string | undefined;
  #busy = false;

  constructor(source: FeedSource, epoch: string) {
    this.source = source;
    this.#epoch = epoch;
  }

  async join(response: ServerResponse, lastId: string | undefined): Promise<void> {
    const viewer: Viewer = { response, isSlow: false };
    const missed = this.#missedSince(lastId);
    if (missed !== undefined) for (const text of missed) response.write(text);
    else await this.#writeState(viewer);
    if (response.destroyed) return;
    this.viewers.add(viewer);
    response.once('close', () => {
      this.viewers.delete(viewer);
      this.leftMs = performance.now();
    });
  }

  #missedSince(id: string | undefined): string[] | undefined {
    const [epoch, number] = id?.split('.') ?? [];
    if (epoch !== this.#epoch) return undefined;
    const missing = this.#number - Number(number);
    if (!(missing >= 0 && missing <= this.#kept.length)) return undefined;
    return missing === 0 ? [] : this.#kept.slice(-missing);
  }

  /** Writes everything, as of the last message that was sent. */
  async #writeState({ response }: Viewer): Promise<void> {
    let text: string;
    let asOf: number;
    do {
      asOf = this.#number;
      text = await this.#state();
    } while (asOf !== this.#number);
    response.write(text);
  }

  async #state(): Promise<string> {
    const id = `${this.#epoch}.${this.#number}`;
    try {
      this.#stateText ??= messageText('state', id, await this.source.state());
      return this.#stateText;
    } catch (error) {
      return messageText('trouble', id, troubleOf(error));
    }
  }

  /** Tells everybody what is new. */
  async turn(): Promise<void> {
    if (this.#busy) return;
    this.#busy = true;
    try {
      const delta = await this.source.delta();
      if (delta !== null) this.#send(messageText('delta', `${this.#epoch}.${++this.#number}`, delta));
      for (const viewer of this.viewers) {
        if (!viewer.isSlow || viewer.response.writableLength > 0) continue;
        viewer.isSlow = false;
        await this.#writeState(viewer);
      }
    } catch (error) {
      this.#send(messageText('trouble', `${this.#epoch}.${++this.#number}`, troubleOf(error)));
    } finally {
      this.#busy = false;
    }
  }

  #send(text: string): void {
    this.#stateText = undefined;
    this.#kept.push(text);
    if (this.#kept.length > KEPT_MAX) this.#kept.shift();
    for (const viewer of this.viewers) {
      if (viewer.response.writableLength > UNREAD_BYTES_MAX) viewer.isSlow = true;
      if (!viewer.isSlow) viewer.response.write(text);
    }
  }

  beat(): void {
    for (const { response } of this.viewers) if (response.writableLength === 0) response.write(': \n\n');
  }
}

function troubleOf(error: unknown): { code: string; message: string } {
  const { code, message } = error as { code?: unknown; message?: unknown };
  return { code: typeof code === 'string' ? code : 'ERR_INTERNAL', message: String(message ?? error) };
}

/** JSON has no line breaks of its own. */
function messageText(event: string, id: string, data: unknown): string {
  return `event: ${event}\nid: ${id}\ndata: ${JSON.stringify(data)}\n\n`;
}

export class Feeds {
  readonly #feeds = new Map<string, Feed>();
  readonly #epoch = Math.random().toString(36).slice(2, 10);
  readonly #onWatched: (watched: boolean) => void;
  readonly #timers: NodeJS.Timeout[];
  #watched = false;

  /** @param everyMs - between two messages of a feed */
  constructor(everyMs: number, onWatched: (watched: boolean) => void) {
    this.#onWatched = onWatched;
    this.#timers = [setInterval(() => this.#turn(), everyMs), setInterval(() => this.#beat(), BEAT_MS)];
  }

  /** @param open - called where nobody looks at it yet */
  async join(key: string, open: () => FeedSource, response: ServerResponse, lastId?: string): Promise<void> {
    let feed = this.#feeds.get(key);
    if (feed === undefined) {
      feed = new Feed(open(), this.#epoch);
      this.#feeds.set(key, feed);
    }
    feed.leftMs = performance.now();
    this.#watch(true);
    response.writeHead(200, { 'Content-Type': 'text/event-stream', 'Cache-Control': 'no-store' });
    // How long a page waits before it comes back.
    response.write('retry: 1000\n\n');
    await feed.join(response, lastId);
  }

  #turn(): void {
    let anybody = false;
    for (const [key, feed] of this.#feeds) {
      if (feed.viewers.size > 0) {
        anybody = true;
        void feed.turn();
      } else if (performance.now() - feed.leftMs > LINGER_MS) {
        this.#feeds.delete(key);
        feed.source.close();
      } else {
        anybody = true;
      }
    }
    this.#watch(anybody);
  }

  #watch(watched: boolean): void {
    if (watched === this.#watched) return;
    this.#watched = watched;
    this.#onWatched(watched);
  }

  #beat(): void {
    for (const feed of this.#feeds.values()) feed.beat();
  }

  close(): void {
    for (const timer of this.#timers) clearInterval(timer);
    for (const feed of this.#feeds.values()) feed.source.close();
    this.#feeds.clear();
  }
}
