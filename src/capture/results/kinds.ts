/**
 * What somebody may consume later, told by its protocol and not by its class: streams of SDKs, polyfills and other
 * realms are no instances of ours.
 */
import { isPlainPromise } from './promises.js';

export type Kind =
  /** A promise of the language itself. */
  | 'promise'
  /** Whatever else has a `then`: subclasses of Promise, query builders that begin their work in it. */
  | 'thenable'
  /** A ReadableStream, WritableStream or TransformStream, or a reader or writer. */
  | 'webStream'
  /** An EventEmitter, and with it every stream of Node. */
  | 'emitter'
  | 'asyncIterable'
  /** A generator, or what has its `next`. */
  | 'iterator'
  /** It makes iterators, and is none of the collections that run nobody's code. */
  | 'iterable'
  /** A Response or Request: its body is a stream. */
  | 'message'
  /** Its class has getters of streams, as results of the AI SDK have. */
  | 'carrier'
  /** A plain object or an array: it may hold any of these. */
  | 'container';

/** The members of iterators, and of what makes them. */
export const ITERATION: readonly (string | symbol)[] = [
  ...['next', 'return', 'throw'],
  ...[Symbol.iterator, Symbol.asyncIterator],
];

/** The members of responses and requests that read their bodies. */
export const BODY_READERS: readonly string[] = ['text', 'json', 'arrayBuffer', 'blob', 'bytes', 'formData'];

/** Collections, and their iterators, which run no code of anybody. */
const COLLECTIONS: ReadonlySet<string> = new Set(
  [
    ...['Map', 'Set', 'String', 'Arguments', 'Headers', 'FormData', 'URLSearchParams'],
    ...['Array Iterator', 'Map Iterator', 'Set Iterator', 'String Iterator', 'RegExp String Iterator'],
    ...['Headers Iterator', 'FormData Iterator', 'URLSearchParams Iterator', 'Segmenter String Iterator'],
  ].map((tag) => `[object ${tag}]`),
);

/** Streams, readers and writers of the web have one of these. */
const WEB_STREAM = ['getReader', 'getWriter', 'releaseLock'] as const;

/** Never throws, not even for a proxy whose traps do. */
export function kindOf(value: unknown): Kind | null {
  if (typeof value !== 'object' || value === null) return null;
  try {
    return kindOfObject(value);
  } catch {
    return null;
  }
}

function kindOfObject(object: object): Kind | null {
  if (Array.isArray(object)) return 'container';
  if (isPlainPromise(object)) return 'promise';
  if (hasMethod(object, 'then')) return 'thenable';
  if (isWebStream(object)) return 'webStream';
  if (hasMethod(object, 'emit') && hasMethod(object, 'on')) return isOfTheProcess(object) ? null : 'emitter';
  if (hasMethod(object, Symbol.asyncIterator)) return 'asyncIterable';
  if (isCollection(object)) return null;
  if (hasMethod(object, 'next')) return 'iterator';
  if (hasMethod(object, Symbol.iterator)) return 'iterable';
  if (hasMethod(object, 'arrayBuffer') && 'body' in object) return 'message';
  const prototype: object | null = Object.getPrototypeOf(object);
  if (prototype === null || Object.getPrototypeOf(prototype) === null) return 'container';
  return hasStreamGetter(prototype) ? 'carrier' : null;
}

/** Calls no getter: one of an entity may ask a database. */
export function hasMethod(object: object, key: PropertyKey): boolean {
  if (!(key in object)) return false;
  for (let at: object | null = object; at !== null; at = Object.getPrototypeOf(at) as object | null) {
    const found = Object.getOwnPropertyDescriptor(at, key);
    if (found !== undefined) return typeof found.value === 'function';
  }
  return false;
}

function isWebStream(object: object): boolean {
  return WEB_STREAM.some((key) => hasMethod(object, key)) || tagOf(object) === '[object TransformStream]';
}

function tagOf(object: object): string {
  return Object.prototype.toString.call(object);
}

/** The process and its standard streams belong to nobody who returns them. */
function isOfTheProcess(emitter: object): boolean {
  return emitter === process || '_isStdio' in emitter;
}

function isCollection(object: object): boolean {
  return ArrayBuffer.isView(object) || COLLECTIONS.has(tagOf(object));
}

const streamGetters = new WeakMap<object, boolean>();

/** Whether a class, or one that it extends, has a getter named after a stream. */
function hasStreamGetter(prototype: object): boolean {
  let known = streamGetters.get(prototype);
  if (known === undefined) {
    known = false;
    for (
      let at: object | null = prototype;
      at !== null && !known;
      at = Object.getPrototypeOf(at) as object | null
    ) {
      known = Object.entries(Object.getOwnPropertyDescriptors(at)).some(
        ([key, { get }]) => get !== undefined && /stream$/i.test(key),
      );
    }
    streamGetters.set(prototype, known);
  }
  return known;
}

/** So many parts of a container are looked at where none of them is of any kind: it may be the data of a whole file. */
const PARTS_MAX = 32;

/**
 * Calls back for what a plain object or an array holds, though not for what is deeper inside.
 * @param replace - gives what is to stand in the place of a part
 */
export function eachPart(container: object, replace: (part: object, kind: Kind) => object): void {
  let found = false;
  let seen = 0;
  for (const key of keysOf(container)) {
    if (++seen > PARTS_MAX && !found) return;
    const { value, writable } = Object.getOwnPropertyDescriptor(container, key) ?? {};
    const kind = kindOf(value);
    if (kind === null || kind === 'container') continue;
    found = true;
    const replaced = replace(value as object, kind);
    if (replaced !== value && writable === true) (container as Record<string, unknown>)[key] = replaced;
  }
}

/** In order, one after the other: the names of all are not made where a few will do. */
function* keysOf(container: object): Iterable<string> {
  if (Array.isArray(container)) for (let i = 0; i < container.length; i++) yield String(i);
  else for (const key in container) yield key;
}
