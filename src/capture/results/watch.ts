/**
 * Watching: what becomes of a result after it was returned, seen from its consumption.
 *
 * A value is complete at once, a promise when it settles, a stream when its consumer has come to its end. Nothing is
 * read, copied or kept back for it: the calls that consume a result are seen as they pass.
 */
import { BODY_READERS, eachPart, hasMethod, type Kind, kindOf } from './kinds.js';
import { type Key, type MemberCall, surround, surroundByClass } from './members.js';
import { pipe, pipeThrough } from './pipe.js';
import { isThenable, observePromise, observeThen, throughThen } from './promises.js';
import {
  isAbort,
  isIteration,
  isNodeStream,
  type Watchable,
  WEB_STREAM_MEMBERS,
  wasAborted,
  watchableOf,
} from './watchable.js';

/** Is told how a result ends, and of the chunks until then. Of several ends the first counts. */
export interface ResultObserver {
  /** A promise has given what it stood for. */
  arrived?(result: unknown): void;
  /** Whether it is enough to be told what a method gives that reads a whole body, and not of its chunks. */
  wantsWhole?(): boolean;
  /** A method that reads a whole body has given this. */
  read?(value: unknown): void;
  /** Once for each, whatever branches of a stream see of it. */
  chunk(value: unknown): void;
  /**
   * @param result - what was returned or resolved to, or what a method of it has given in its place
   * @param asStream - whether its consumer has come to the end of a stream
   */
  completed(result: unknown, asStream: boolean): void;
  /** Its consumer has left before the end. @param result - as of `completed` */
  abandoned(result: unknown): void;
  /** It has not ended, and nobody holds it any more. */
  forgotten(): void;
  failed(error: unknown): void;
}

/**
 * @param by - the function that has returned it
 * @returns the value itself; a proxy for a stream that is frozen
 */
export function watch<T>(value: T, observer: ResultObserver, by?: unknown): T {
  const kind = kindOf(value);
  if (kind === 'promise') {
    const seen = {
      fulfilled: <V>(settled: V) => {
        observer.arrived?.(settled);
        return watch(settled, observer);
      },
      rejected: (error: unknown) => observer.failed(error),
    };
    return observePromise(value as Promise<unknown>, seen, by) as T;
  }
  const watched = kind === null ? null : new Watch(observer).begin(value, kind);
  if (watched !== null) return watched as T;
  observer.completed(value, false);
  return value;
}

/** One of the streams that a result consists of, or a thenable that stands for the whole. */
class Source {
  chunks = 0;
  isDone = false;
  #result: unknown;
  #message: WeakRef<object> | undefined;

  constructor(result: unknown) {
    this.#result = result;
  }

  /** What is told at the end. */
  get result(): unknown {
    return this.#message === undefined ? this.#result : this.#message.deref();
  }

  set result(result: unknown) {
    this.#message = undefined;
    this.#result = result;
  }

  /** A response that nobody reads or holds is collected, and its connection with it: its body may not keep it. */
  loosen(): void {
    if (kindOf(this.#result) !== 'message') return;
    this.#message = new WeakRef(this.#result as object);
    this.#result = undefined;
  }

  /** Somebody reads it. */
  keep(): void {
    this.#result ??= this.#message?.deref();
    this.#message = undefined;
  }
}

/** How many chunks have come to those who share a place in a source. */
interface Place {
  chunks: number;
}

/** A way to a source: the stream itself, an iterator, a reader, a branch. */
interface Tap {
  readonly source: Source;
  readonly place: Place;
  /** Somebody consumes it, or is about to. */
  isOpen: boolean;
  /** Its end is its consumer's doing. */
  hasLeft: boolean;
  /** Calls that have not told yet what they give. */
  waiting: number;
  /** The source is over, and only those may still tell of chunks. */
  isClosed: boolean;
}

/** As far as it matters here. */
interface Message {
  readonly status?: unknown;
  readonly body?: object | null;
  readonly bodyUsed?: unknown;
}

const MESSAGE_MEMBERS: ReadonlySet<Key> = new Set(['body', 'clone', ...BODY_READERS]);
/** What these give has all that was in the body. */
const WHOLE_READERS: ReadonlySet<Key> = new Set(['text', 'json', 'arrayBuffer', 'bytes']);
/** What a container is searched for first. */
const STREAMS: ReadonlySet<Kind> = new Set(['webStream', 'emitter', 'asyncIterable', 'iterator']);
/** Whoever calls these is going to consume what they give. */
const OPENING: ReadonlySet<Key> = new Set([
  ...['getReader', 'values', 'tee'],
  ...[Symbol.iterator, Symbol.asyncIterator],
]);

/** The members that these call are seen themselves. */
const SEEN_THROUGH: ReadonlySet<Key> = new Set([Symbol.dispose, Symbol.asyncDispose]);

/** What nobody holds any more will not come to its end. */
const collected = new FinalizationRegistry<Watch>((watch) => watch.forget());

class Watch {
  readonly #observer: ResultObserver;
  /** What is watched, with what stands in for it. */
  #watched: WeakMap<object, object> | undefined;
  // Counts, and no taps: what those lead to could not be collected.
  #held = 0;
  /** Taps that are open. */
  #open = 0;
  /** Sources that are not done. */
  #pending = 0;
  #hasLeft = false;
  #isInside = false;

  constructor(observer: ResultObserver) {
    this.#observer = observer;
  }

  /** Watches a whole result. @returns what its consumer is given; null where there is nothing to wait for */
  begin(value: unknown, kind: Kind): object | null {
    return this.#streamsIn(value, () => this.#newTap(value), false, kind);
  }

  /** A tap was collected. */
  forget(): void {
    if (--this.#held === 0) this.#observer.forgotten();
  }

  #newTap(result: unknown): Tap {
    this.#pending++;
    return tapOf(new Source(result), { chunks: 0 });
  }

  /** Watches the streams in a value. @returns what stands in for it; null where there are none */
  #streamsIn(value: unknown, newTap: () => Tap, isOpen = false, kind = kindOf(value)): object | null {
    if (kind === 'message') return this.#bodyOf(value as Message, newTap, isOpen);
    if (kind !== 'container') {
      const watchable = watchableOf(value, kind, isOpen);
      return watchable && this.#watch(watchable, newTap, isOpen);
    }
    let found = false;
    const among = (isWanted: (kind: Kind, part: object) => boolean) =>
      eachPart(value as object, (part, partKind) => {
        const watched = isWanted(partKind, part) ? this.#streamsIn(part, newTap, true) : null;
        found ||= watched !== null;
        return watched ?? part;
      });
    among((partKind, part) => STREAMS.has(partKind) && (partKind !== 'iterator' || isIteration(part)));
    // The body of a response beside a stream is what the stream reads.
    if (!found) among((partKind) => partKind === 'message');
    return found ? (value as object) : null;
  }

  /** A body is watched when somebody asks for it: most are read by a method of their message. */
  #bodyOf(message: Message, newTap: () => Tap, isOpen: boolean): object | null {
    const { status, body, bodyUsed } = message;
    if (typeof status !== 'number' || bodyUsed === true || !isUnlocked(body)) return null;
    const tap = newTap();
    // Where it is a plain property, nobody tells when that is.
    if (Object.hasOwn(message, 'body')) {
      if (this.#watchBody(tap, body) === body && this.#watched?.has(body) !== true) return null;
    }
    if (isOpen) this.#enter(tap);
    this.#hold(message);
    return surroundByClass(message, MESSAGE_MEMBERS, (call) => this.#callMessage(tap, call));
  }

  #watchBody(tap: Tap, body: object): object {
    const known = this.#watched?.get(body);
    if (known !== undefined) return known;
    const watchable = watchableOf(body, kindOf(body));
    if (watchable === null) return body;
    if (!tap.isOpen) tap.source.loosen();
    return this.#watch(watchable, () => tap, false);
  }

  #callMessage(tap: Tap, call: MemberCall): unknown {
    const { key, self, proceed } = call;
    if (key === 'body') return this.#callBody(tap, proceed());
    if (this.#isInside || !this.#isUnread(self as Message)) return proceed();
    if (key === 'clone') {
      const result = proceed();
      // Both have streams of their own from then on.
      this.#enter(tap);
      this.#bodyOf(result as Message, () => branchOf(tap), true);
      return result;
    }
    const isWhole = WHOLE_READERS.has(key) && this.#observer.wantsWhole?.() === true;
    if (isWhole) this.#enter(tap);
    // Its chunks are seen as the method reads them.
    else this.#watchBody(tap, (self as { readonly body: object }).body);
    const result = isWhole ? this.#inside(call) : proceed();
    // Whoever reads need not hold the message any more.
    this.#held++;
    // Some runtimes read a body past its stream.
    return this.#later(tap, result, (value) => {
      this.#observer.read?.(value);
      this.#done(tap);
    });
  }

  #callBody(tap: Tap, body: unknown): unknown {
    return this.#isInside || !isBody(body) ? body : this.#watchBody(tap, body);
  }

  #isUnread(message: Message): boolean {
    this.#isInside = true;
    try {
      return isUnlocked(message.body);
    } finally {
      this.#isInside = false;
    }
  }

  #watch({ object, members }: Watchable, newTap: () => Tap, isOpen: boolean): object {
    const known = this.#watched?.get(object);
    if (known !== undefined) return known;
    const tap = newTap();
    if (isOpen) this.#enter(tap);
    const around = (call: MemberCall) => this.#call(tap, call);
    const watched =
      members === WEB_STREAM_MEMBERS
        ? surroundByClass(object, members, around)
        : surround(object, members, around);
    this.#watched ??= new WeakMap();
    this.#watched.set(object, watched).set(watched, watched);
    this.#hold(object);
    if (hasMethod(object, 'releaseLock')) this.#hearReader(tap, object as ReadableStreamDefaultReader);
    return watched;
  }

  #hold(object: object): void {
    this.#held++;
    collected.register(object, this);
  }

  /** A stream may end or break while nobody waits for a chunk. */
  #hearReader(tap: Tap, { closed }: ReadableStreamDefaultReader): void {
    closed.then(
      () => {
        tap.isClosed = true;
        this.#settle(tap);
      },
      (error) => {
        if (!tap.hasLeft) this.#broke(tap, error);
      },
    );
  }

  // ── Calls ──────────────────────────────────────────────────────────────────────────────────────

  #call(tap: Tap, call: MemberCall): unknown {
    // What an object's own members call is part of their call.
    if (this.#isInside || SEEN_THROUGH.has(call.key)) return call.proceed();
    switch (call.key) {
      case 'next':
      case 'throw':
      case 'read':
        if (tap.hasLeft) return call.proceed();
        this.#enter(tap);
        return this.#outcome(tap, call, (result) => this.#saw(tap, result));
      case 'return':
        tap.hasLeft = true;
        return this.#outcome(tap, call, (result) => this.#returned(tap, result));
      case 'cancel':
        return this.#cancel(tap, call);
      case 'releaseLock':
        // Reads that were waiting fail now, which is no failure of the stream.
        tap.hasLeft = true;
        this.#exit(tap);
        return call.proceed();
      case 'emit':
        if (isNodeStream(call.self)) this.#heard(tap, call);
        return call.proceed();
      case 'then':
        return observeThen((...callbacks) => this.#inside(call, callbacks), {
          fulfilled: <T>(value: T) => this.#arrived(tap, value) as T,
          rejected: (error) => this.#observer.failed(error),
        }).then(...call.args);
      case 'catch':
      case 'finally':
        return throughThen(call.self, call.key, call.args) ?? call.proceed();
      case 'pipeTo':
        if (call.self instanceof ReadableStream) return pipe(call.self, call.args);
        return this.#outcome(tap, call, () => this.#done(tap));
      case 'pipeThrough':
        return pipeThrough(call.self, call.args) ?? call.proceed();
      default:
        return this.#given(tap, call);
    }
  }

  /** Calls a member, and sees nothing of what it calls of its own object. */
  #inside({ proceed }: MemberCall, args?: readonly unknown[]): unknown {
    this.#isInside = true;
    try {
      return proceed(args);
    } finally {
      this.#isInside = false;
    }
  }

  /** Sees what a call returns, or resolves to; what it throws is the stream's failure. */
  #outcome(tap: Tap, call: MemberCall, saw: (result: unknown) => void): unknown {
    try {
      const result = this.#inside(call);
      if (isThenable(result)) return this.#later(tap, result, saw);
      saw(result);
      return result;
    } catch (error) {
      this.#broke(tap, error);
      throw error;
    }
  }

  /** As an async function would, with fewer promises: there is one for each chunk. */
  #later(tap: Tap, pending: unknown, saw: (result: unknown) => void): Promise<unknown> {
    const hadLeft = tap.hasLeft;
    tap.waiting++;
    return Promise.resolve(pending).then(
      (result) => {
        tap.waiting--;
        saw(result);
        this.#settle(tap);
        return result;
      },
      (error: unknown) => {
        tap.waiting--;
        if (hadLeft === tap.hasLeft) this.#broke(tap, error);
        throw error;
      },
    );
  }

  #settle(tap: Tap): void {
    if (tap.isClosed && tap.waiting === 0 && !tap.hasLeft) this.#done(tap);
  }

  #saw(tap: Tap, result: unknown): void {
    if (typeof result !== 'object' || result === null) return;
    const { done, value } = result as IteratorResult<unknown>;
    if (done !== true) this.#chunk(tap, value);
    else if (!tap.hasLeft) this.#done(tap);
  }

  #chunk(tap: Tap, value: unknown): void {
    const { source, place } = tap;
    // Branches of a stream see the same chunks, one after the other.
    if (++place.chunks <= source.chunks) return;
    source.chunks = place.chunks;
    this.#observer.chunk(value);
  }

  #returned(tap: Tap, result: unknown): void {
    // A generator may go on yielding on its way out.
    tap.hasLeft = (result as Partial<IteratorResult<unknown>> | undefined)?.done !== false;
    if (tap.hasLeft) this.#leave(tap);
    else this.#saw(tap, result);
  }

  #cancel(tap: Tap, call: MemberCall): unknown {
    // It is refused then.
    if ((call.self as { readonly locked?: unknown }).locked === true) return call.proceed();
    // Before, since reads that wait end with it.
    tap.hasLeft = true;
    const result = this.#inside(call);
    this.#leave(tap);
    return result;
  }

  #heard(tap: Tap, { self, args: [event, argument] }: MemberCall): void {
    const { destroyed, errored } = self as { readonly destroyed?: unknown; readonly errored?: unknown };
    if (event === 'data') this.#chunk(tap, argument);
    else if (event === 'error') this.#broke(tap, argument);
    else if (event === 'end' || (event === 'finish' && !hasMethod(self, 'read'))) {
      // Some end as they are destroyed.
      if (destroyed !== true) this.#done(tap);
    } else if (event === 'close') {
      if (errored) this.#broke(tap, errored);
      else this.#leave(tap);
    }
  }

  /** What a thenable has come to. */
  #arrived(tap: Tap, value: unknown): unknown {
    const watched = this.#streamsFrom(tap, value);
    if (watched === null) this.#observer.completed(value, false);
    return watched ?? value;
  }

  /** What another member gives: streams, or a promise of the whole. */
  #given(tap: Tap, call: MemberCall): unknown {
    const { key, self } = call;
    const value = this.#inside(call);
    if (value === self) return value;
    if (kindOf(value) === 'promise') {
      return observePromise(value as Promise<unknown>, {
        fulfilled: <T>(settled: T) => this.#promised(tap, self, settled) as T,
        rejected: (error) => this.#observer.failed(error),
      });
    }
    const isOpening = OPENING.has(key);
    const watched = this.#streamsIn(value, () => wayFrom(tap, call), isOpening);
    // From here on it is consumed by way of that.
    if (isOpening && watched !== null) this.#exit(tap);
    return watched ?? value;
  }

  #promised(tap: Tap, self: object, value: unknown): unknown {
    const watched = this.#streamsFrom(tap, value);
    if (watched !== null) return watched;
    // A cursor's hasNext() and close() are not what it was made for; of a query everything is.
    const isWhole = hasMethod(self, 'then') || (value !== undefined && typeof value !== 'boolean');
    if (isWhole && this.#open === 0) this.#observer.completed(value, false);
    return value;
  }

  #streamsFrom({ source }: Tap, value: unknown): object | null {
    const watched = this.#streamsIn(value, () => tapOf(source, { chunks: 0 }));
    if (watched !== null) source.result = value;
    return watched;
  }

  // ── Ends ───────────────────────────────────────────────────────────────────────────────────────

  #enter(tap: Tap): void {
    if (tap.isOpen) return;
    tap.isOpen = true;
    tap.source.keep();
    this.#open++;
  }

  #exit(tap: Tap): void {
    if (!tap.isOpen) return;
    tap.isOpen = false;
    this.#open--;
  }

  #done(tap: Tap): void {
    const { source } = tap;
    if (wasAborted(source.result)) {
      this.#leave(tap);
      return;
    }
    this.#exit(tap);
    if (!source.isDone) this.#pending--;
    source.isDone = true;
    if (this.#pending === 0) this.#observer.completed(source.result, true);
    else if (this.#open === 0 && this.#hasLeft) this.#observer.abandoned(source.result);
  }

  #broke(tap: Tap, error: unknown): void {
    if (isAbort(error)) this.#leave(tap);
    else this.#observer.failed(error);
  }

  #leave(tap: Tap): void {
    tap.hasLeft = true;
    this.#hasLeft = true;
    this.#exit(tap);
    if (this.#open === 0) this.#observer.abandoned(tap.source.result);
  }
}

/** Whether there is a body, and nobody has begun to read it. */
function isUnlocked(body: unknown): body is object {
  return isBody(body) && body.locked !== true;
}

function isBody(body: unknown): body is { readonly locked?: unknown } {
  return typeof body === 'object' && body !== null;
}

function tapOf(source: Source, place: Place): Tap {
  return { source, place, isOpen: false, hasLeft: false, waiting: 0, isClosed: false };
}

/** Of a branch, which is where the stream is. */
function branchOf({ source, place }: Tap): Tap {
  return tapOf(source, { ...place });
}

/** Of what a member of a tapped object gives. */
function wayFrom(tap: Tap, { key, self }: MemberCall): Tap {
  if (key === 'tee') return branchOf(tap);
  // Readers of a stream follow each other; whatever else there is begins at the beginning.
  return tapOf(tap.source, hasMethod(self, 'getReader') ? tap.place : { chunks: 0 });
}
