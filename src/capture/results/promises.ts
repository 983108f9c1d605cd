/** What promises and other thenables give, seen by us before it is seen by whoever waits for it. */
import { types } from 'node:util';
import { privateField } from './private-field.js';

/** What is seen of a promise's end. */
export interface PromiseObserver {
  /** @returns what the one who waits gets in its place */
  fulfilled<T>(value: T): T;
  rejected?(error: unknown): void;
}

const answers = privateField<Promise<unknown>>();

/**
 * The prototype of native promises that are observed. They stay the objects that their holders know, but another
 * promise answers for each, which has seen the value first. `await` asks for it too, since it calls the `then` of a
 * promise whose constructor is not Promise.
 *
 * Rejections are the answer's: one that nobody handles is reported as ever, one that is handled is not. And the answer is what
 * `then` gives: V8 follows it to whoever waits, and adds no frame to the stack traces of errors.
 */
class AnsweredPromise<T> extends Promise<T> {
  // What `then` gives is a plain promise.
  static override get [Symbol.species](): PromiseConstructor {
    return Promise;
  }

  // biome-ignore lint/suspicious/noThenProperty: a promise has one.
  override then<A = T, B = never>(
    onFulfilled?: ((value: T) => A | PromiseLike<A>) | null,
    onRejected?: ((reason: unknown) => B | PromiseLike<B>) | null,
  ): Promise<A | B> {
    return (answers.get(this) as Promise<T>).then(onFulfilled, onRejected);
  }
}

/** Whether it is a promise of the language itself, and no subclass with a `then` or methods of its own. */
export function isPlainPromise(value: unknown): value is Promise<unknown> {
  if (!types.isPromise(value)) return false;
  const prototype: unknown = Object.getPrototypeOf(value);
  return prototype === Promise.prototype || prototype === AnsweredPromise.prototype;
}

/**
 * Observes a plain promise.
 * @param by - the function that has returned it
 * @returns the same promise. Another one where it is frozen; and where it is an async function's, so that nobody has it
 *   yet and can tell one from the other, which is quicker
 */
export function observePromise<T>(promise: Promise<T>, observer: PromiseObserver, by?: unknown): Promise<T> {
  if (types.isAsyncFunction(by)) return answerOf(promise, observer);
  const before = answers.get(promise) as Promise<T> | undefined;
  // Before the promise has another prototype, or it would wait for itself.
  const answer = answerOf(before ?? promise, observer);
  if (before === undefined && !Reflect.setPrototypeOf(promise, AnsweredPromise.prototype)) return answer;
  answers.set(promise, answer);
  return promise;
}

function answerOf<T>(promise: Promise<T>, observer: PromiseObserver): Promise<T> {
  return promise.then(
    (value) => observer.fulfilled(value),
    (error: unknown) => {
      observer.rejected?.(error);
      throw error;
    },
  );
}

/** What there is to say of a thenable that is somebody else's. */
interface Thenable {
  then(...callbacks: readonly unknown[]): unknown;
}

/**
 * Calls `then` of a thenable, once, as its class has it: that is where a query builder begins its work, and what it
 * returns may have more methods than a promise has.
 * @returns a thenable that ends as the given one does, for callbacks to be handed to
 */
export function observeThen(
  callThen: (...callbacks: ((value: unknown) => unknown)[]) => unknown,
  observer: PromiseObserver,
): Thenable {
  const { promise, resolve, reject } = withResolvers();
  const derived = callThen(
    (value) => {
      const seen = observer.fulfilled(value);
      resolve(seen);
      return seen;
    },
    (error) => {
      observer.rejected?.(error);
      reject(error);
      // Never thrown: a `then` made by hand calls this where nobody would catch it.
      return promise;
    },
  );
  if (!isThenable(derived)) return promise as Thenable;
  promise.catch(() => {});
  return derived;
}

/**
 * `catch` and `finally` of a thenable by way of its `then`, as those of a promise go, so that they are seen there.
 * @returns undefined for other members, and where there is more to them
 */
export function throughThen(self: object, key: string | symbol, args: readonly unknown[]): unknown {
  const [callback] = args as [((error?: unknown) => unknown) | undefined];
  if (args.length > 1 || (callback !== undefined && typeof callback !== 'function')) return undefined;
  if (!isThenable(self)) return undefined;
  if (key === 'catch' || callback === undefined) return self.then(undefined, callback);
  return self.then(
    async (value: unknown) => {
      await callback();
      return value;
    },
    async (error: unknown) => {
      await callback();
      throw error;
    },
  );
}

function withResolvers() {
  let resolve!: (value: unknown) => void;
  let reject!: (error: unknown) => void;
  const promise = new Promise<unknown>((...settle) => {
    [resolve, reject] = settle;
  });
  return { promise, resolve, reject };
}

export function isThenable(value: unknown): value is Thenable {
  return typeof value === 'object' && value !== null && 'then' in value && typeof value.then === 'function';
}
