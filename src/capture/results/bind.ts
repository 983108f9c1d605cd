/**
 * Binding: what is consumed later goes on in the run that it was made in.
 *
 * A generator's body runs in the async context of whoever calls its `next`, a stream's `pull` in that of whoever reads,
 * a query builder's query in that of whoever awaits it. Bound, they run in their run, whoever consumes them; the code
 * that consumes them stays where it is. What is bound once stays so: the innermost run has it.
 */
import { ConfigError } from '../../errors.js';
import { type ActiveRun, activeRun } from '../context.js';
import { replaceAlgorithms } from './algorithms.js';
import { BODY_READERS, eachPart, hasMethod, ITERATION, type Kind, kindOf } from './kinds.js';
import { type Key, type MemberCall, surround } from './members.js';
import { privateField } from './private-field.js';
import { observePromise, observeThen, throughThen } from './promises.js';

const WEB_STREAM = names('getReader getWriter tee values pipeTo pipeThrough read write cancel abort close');
/** What the streams of Node call of their own accord: what somebody has written to make them. */
const UNDERLYING = names('_read _write _writev _final _destroy _transform _flush');

/** The members that run in the run; null: all of them. */
const MEMBERS: Readonly<Record<Exclude<Kind, 'promise' | 'container'>, ReadonlySet<Key> | null>> = {
  thenable: null,
  asyncIterable: null,
  carrier: null,
  webStream: new Set([...ITERATION, ...WEB_STREAM]),
  iterator: new Set(ITERATION),
  iterable: new Set(ITERATION),
  // Listeners run in the context of who emits, as with Node's EventEmitterAsyncResource.
  emitter: new Set(['emit', ...ITERATION, ...UNDERLYING]),
  message: new Set(['clone', ...BODY_READERS]),
};

/** Members whose results are data, or the consumer's own. */
const GIVES_DATA: ReadonlySet<Key> = new Set([
  ...names('next return throw pipeTo pipeThrough read write cancel abort close emit'),
  ...UNDERLYING,
  ...BODY_READERS,
]);

/** A Transform that has another `_final` than its class gave it calls both. */
const TRANSFORM_MEMBERS: ReadonlySet<Key> = new Set(
  [...(MEMBERS.emitter ?? [])].filter((key) => key !== '_final'),
);

/** The runs of what is bound in place. */
const runs = privateField<ActiveRun>();
/** Proxies for what is frozen. */
const standIns = new WeakMap<object, object>();

/** Calls `fn` in a run, and binds what it returns. */
export function runIn<T>(run: ActiveRun, fn: () => T): T {
  if (typeof fn !== 'function') throw new ConfigError('fn', 'a function', fn);
  return bindResult(activeRun.run(run, fn), run, fn);
}

/**
 * Binds what exists already. A function becomes another one, alike in all but where it runs; everything else is bound
 * in place.
 * @throws ConfigError for what has nothing to be bound
 */
export function bindTo<T extends object>(target: T, run: ActiveRun): T {
  if (typeof target === 'function') return boundFunction(target, run) as T;
  const kind = kindOf(target);
  if (kind === null || (kind === 'container' && !bindParts(target, run))) {
    throw new ConfigError(
      'target',
      'a function, iterator, iterable, stream, emitter, promise or thenable',
      target,
    );
  }
  return bindKind(target, kind, run) as T;
}

function boundFunction<F extends object>(fn: F, run: ActiveRun): F {
  return new Proxy(fn, {
    apply: (target, self, args: unknown[]) =>
      bindResult(
        activeRun.run(run, () => Reflect.apply(target as () => unknown, self, args)),
        run,
        target,
      ),
    construct: (target, args: unknown[], newTarget) =>
      runIn(run, () => Reflect.construct(target as new () => object, args, newTarget)),
  });
}

function bindResult<T>(value: T, run: ActiveRun, by?: unknown): T {
  const kind = kindOf(value);
  return kind === null ? value : (bindKind(value as object, kind, run, by) as T);
}

/** @param by - the function that has returned it */
function bindKind(object: object, kind: Kind, run: ActiveRun, by?: unknown): object {
  if (runs.get(object) !== undefined) return object;
  const known = standIns.get(object);
  if (known !== undefined) return known;
  if (kind === 'container') {
    bindParts(object, run);
    return object;
  }
  if (kind === 'message') bindBody(object, run);
  // A frozen stream has all that it needs then. Others may have members of their own.
  if (kind === 'webStream' && bindAlgorithms(object, run) && !Object.isExtensible(object)) return object;
  if (kind === 'promise') {
    const observed = observePromise(object as Promise<unknown>, observerOf(run), by);
    if (observed === object) runs.set(object, run);
    return observed;
  }
  const as = surround(object, membersIn(object, kind), (call) => callIn(run, call, kind));
  if (as !== object) standIns.set(object, as);
  runs.set(as, run);
  return as;
}

function bindAlgorithms(stream: object, run: ActiveRun): boolean {
  return replaceAlgorithms(
    stream,
    (algorithm) =>
      function (this: unknown, ...args) {
        return activeRun.run(run, () => Reflect.apply(algorithm, this, args));
      },
  );
}

function membersIn(object: object, kind: keyof typeof MEMBERS): ReadonlySet<Key> | null {
  const { _final: final } = object as { readonly _final?: unknown };
  const isTransform = kind === 'emitter' && hasMethod(object, '_transform');
  return isTransform &&
    typeof final === 'function' &&
    final.name === 'final' &&
    !Object.hasOwn(object, '_final')
    ? TRANSFORM_MEMBERS
    : MEMBERS[kind];
}

function callIn(run: ActiveRun, { key, self, args, proceed }: MemberCall, kind: Kind): unknown {
  if (key === 'then') {
    const observed = observeThen((...callbacks) => activeRun.run(run, proceed, callbacks), observerOf(run));
    // Out of the run: what waits belongs to its own.
    return observed.then(...args);
  }
  if (key === 'catch' || key === 'finally')
    return throughThen(self, key, args) ?? activeRun.run(run, proceed);
  const result = activeRun.run(run, proceed);
  // It has another stream once it has been cloned.
  if (kind === 'message' && key === 'clone') bindBody(self, run);
  return GIVES_DATA.has(key) ? result : bindResult(result, run);
}

function bindBody(message: object, run: ActiveRun): void {
  bindResult((message as { readonly body?: unknown }).body, run);
}

function observerOf(run: ActiveRun) {
  return { fulfilled: <T>(value: T) => bindResult(value, run) };
}

/** @returns whether a plain object or an array held anything to be bound */
function bindParts(container: object, run: ActiveRun): boolean {
  let found = false;
  eachPart(container, (part, kind) => {
    found = true;
    return bindKind(part, kind, run);
  });
  return found;
}

function names(spaced: string): string[] {
  return spaced.split(' ');
}
