/** What of a result can be watched: what somebody will consume, and has not begun to. */
import { hasMethod, ITERATION, type Kind } from './kinds.js';
import type { Key } from './members.js';

/** What is watched of an object; members null: all. */
export interface Watchable {
  readonly object: object;
  readonly members: ReadonlySet<Key> | null;
}

const ITERATOR_MEMBERS: ReadonlySet<Key> = new Set(ITERATION);
export const WEB_STREAM_MEMBERS: ReadonlySet<Key> = new Set([
  ...ITERATION,
  ...['getReader', 'read', 'releaseLock', 'cancel', 'tee', 'values', 'pipeTo', 'pipeThrough'],
]);
const EMITTER_MEMBERS: ReadonlySet<Key> = new Set(['emit']);

/** @param isOpen - somebody is about to consume it, whatever it looks like */
export function watchableOf(value: unknown, kind: Kind | null, isOpen = false): Watchable | null {
  const object = value as object;
  switch (kind) {
    case 'thenable':
    case 'asyncIterable':
    case 'carrier':
      return { object, members: null };
    case 'webStream':
      return isUnread(object) ? { object, members: WEB_STREAM_MEMBERS } : null;
    case 'iterator':
      return isOpen || isIteration(object) ? { object, members: ITERATOR_MEMBERS } : null;
    case 'emitter':
      if (isNodeStream(object)) return isOver(object) ? null : { object, members: EMITTER_MEMBERS };
      return hasMethod(object, Symbol.asyncIterator) ? { object, members: null } : null;
    default:
      return null;
  }
}

/** A reader, or a stream that nobody else reads. */
function isUnread(stream: object): boolean {
  if (hasMethod(stream, 'read')) return true;
  return hasMethod(stream, 'getReader') && (stream as { readonly locked?: unknown }).locked !== true;
}

/** Other things have a `next` as well. */
export function isIteration(object: object): boolean {
  return hasMethod(object, Symbol.iterator) || hasMethod(object, 'return');
}

export function isNodeStream(emitter: object): boolean {
  return hasMethod(emitter, 'pipe') && (hasMethod(emitter, 'read') || hasMethod(emitter, 'write'));
}

function isOver(stream: object): boolean {
  const { destroyed, readableEnded, writableFinished } = stream as Record<string, unknown>;
  return (
    destroyed === true || (hasMethod(stream, 'read') ? readableEnded === true : writableFinished === true)
  );
}

/** What a stream breaks with because its consumer, or another part of its pipeline, has left. */
export function isAbort(error: unknown): boolean {
  const { name, code, constructor: type } = (error ?? {}) as Partial<NodeJS.ErrnoException>;
  // Errors of the SDKs all have the name Error.
  const isOfSdk = type?.name === 'APIUserAbortError';
  return name === 'AbortError' || code === 'ERR_STREAM_PREMATURE_CLOSE' || isOfSdk;
}

/** Streams of the SDKs end as if complete when their consumer aborts them. */
export function wasAborted(result: unknown): boolean {
  const { controller } = (result ?? {}) as { readonly controller?: Partial<AbortController> };
  return controller?.signal?.aborted === true;
}
