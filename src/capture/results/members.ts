/**
 * Members of somebody else's object, called by way of us.
 *
 * They are shadowed on the object itself, out of sight of enumeration: it stays the object that it is, an instance of
 * its class, known to native code, with its private fields in reach. Only an object that can no longer be extended is
 * stood in for by a proxy, whose methods run on the object.
 */
import { privateField } from './private-field.js';

type Method = (this: unknown, ...args: unknown[]) => unknown;
export type Key = string | symbol;

/** One call of a member, or one use of a getter. */
export interface MemberCall {
  readonly key: Key;
  /** What it is a member of. */
  readonly self: object;
  readonly args: readonly unknown[];
  /** Calls it as it was. @param args - default: those given */
  proceed(args?: readonly unknown[]): unknown;
}

interface Member {
  readonly key: Key;
  readonly descriptor: PropertyDescriptor;
}

/**
 * Puts `around` in front of an object's methods and getters.
 * @param keys - which of them; null for all that it and its classes define
 * @returns the object; a proxy for one that is frozen
 */
export function surround<T extends object>(
  object: T,
  keys: ReadonlySet<Key> | null,
  around: (call: MemberCall) => unknown,
): T {
  const members = membersOf(object).filter(({ key }) => keys === null || keys.has(key));
  const isInPlace = Object.isExtensible(object) && members.every(({ key }) => isReplaceable(object, key));
  if (!isInPlace) return standIn(object, members, around);
  for (const member of members) Object.defineProperty(object, member.key, shadowOf(member, around));
  return object;
}

/** By the prototype and the keys: a class over it, whose members ask each object what is around its own. */
const classes = new WeakMap<object, Map<ReadonlySet<Key>, object>>();
const arounds = privateField<(call: MemberCall) => unknown>();

/**
 * The same for objects of which there are many of one class, and that have no such members of their own: a class in
 * between has the shadows, once for all of them, so that each takes no more than a field.
 */
export function surroundByClass<T extends object>(
  object: T,
  keys: ReadonlySet<Key>,
  around: (call: MemberCall) => unknown,
): T {
  const isPlain =
    Object.isExtensible(object) &&
    arounds.get(object) === undefined &&
    !Reflect.ownKeys(object).some((key) => keys.has(key));
  const prototype: object | null = Object.getPrototypeOf(object);
  if (!isPlain || prototype === null || !Reflect.setPrototypeOf(object, classOver(prototype, keys))) {
    return surround(object, keys, around);
  }
  arounds.set(object, around);
  return object;
}

function classOver(prototype: object, keys: ReadonlySet<Key>): object {
  let known = classes.get(prototype);
  if (known === undefined) {
    known = new Map();
    classes.set(prototype, known);
  }
  let shadows = known.get(keys);
  if (shadows === undefined) {
    shadows = Object.create(prototype) as object;
    const aroundIt = (call: MemberCall) => {
      const around = arounds.get(call.self);
      return around === undefined ? call.proceed() : around(call);
    };
    for (const member of inheritedBy(shadows)) {
      if (keys.has(member.key)) Object.defineProperty(shadows, member.key, shadowOf(member, aroundIt));
    }
    known.set(keys, shadows);
  }
  return shadows;
}

function isReplaceable(object: object, key: Key): boolean {
  const own = Object.getOwnPropertyDescriptor(object, key);
  return own === undefined || own.configurable === true || own.writable === true;
}

/**
 * The member's descriptor with `around` in front. The function is a proxy for what it was: its length, its name and
 * whatever it carries stay, and what is called with `new` is let through.
 * @param selfOf - what it is called on, where that is a proxy
 */
function shadowOf(
  { key, descriptor }: Member,
  around: (call: MemberCall) => unknown,
  selfOf: (self: unknown) => unknown = (self) => self,
): PropertyDescriptor {
  const surrounded = (method: Method): Method =>
    new Proxy(method, {
      apply(_, receiver, args: unknown[]) {
        const self = selfOf(receiver) as object;
        return around({ key, self, args, proceed: (given = args) => Reflect.apply(method, self, given) });
      },
    });
  const { value, get } = descriptor;
  return get === undefined
    ? { ...descriptor, value: surrounded(value as Method) }
    : { ...descriptor, get: surrounded(get) };
}

/** A proxy's own target is an empty object, since what is frozen may not be reported otherwise. */
function standIn<T extends object>(
  object: T,
  members: readonly Member[],
  around: (call: MemberCall) => unknown,
): T {
  const shape: object = Object.create(Object.getPrototypeOf(object));
  const selfOf = (self: unknown) => (self === proxy ? object : self);
  for (const member of members) {
    Object.defineProperty(shape, member.key, { ...shadowOf(member, around, selfOf), configurable: true });
  }
  const onObject = (method: Method) =>
    new Proxy(method, { apply: (_, self, args: unknown[]) => Reflect.apply(method, selfOf(self), args) });
  const proxy = new Proxy(shape, {
    get(own, key, receiver) {
      if (Object.hasOwn(own, key)) return Reflect.get(own, key, receiver);
      const value: unknown = Reflect.get(object, key, object);
      // A private field is found on the object alone.
      return typeof value === 'function' && key !== 'constructor' ? onObject(value as Method) : value;
    },
    set: (_, key, value) => Reflect.set(object, key, value, object),
    has: (_, key) => Reflect.has(object, key),
    deleteProperty: (_, key) => Reflect.deleteProperty(object, key),
    ownKeys: (own) => [...new Set([...Reflect.ownKeys(object), ...Reflect.ownKeys(own)])],
    getOwnPropertyDescriptor(own, key) {
      const descriptor =
        Reflect.getOwnPropertyDescriptor(own, key) ?? Reflect.getOwnPropertyDescriptor(object, key);
      return descriptor === undefined ? undefined : { ...descriptor, configurable: true };
    },
  });
  return proxy as T;
}

// ── Which members there are ──────────────────────────────────────────────────────────────────────

/** By the prototype that has them, its own first. */
const inherited = new WeakMap<object, readonly Member[]>();

function membersOf(object: object): Member[] {
  const own = ownMembers(object);
  return [...own, ...inheritedBy(object).filter(({ key }) => !Object.hasOwn(object, key))];
}

function inheritedBy(object: object): readonly Member[] {
  const prototype: object | null = Object.getPrototypeOf(object);
  if (prototype === null || isRoot(prototype)) return [];
  // Each generator function has an empty prototype of its own for what it makes.
  if (Reflect.ownKeys(prototype).length === 0) return inheritedBy(prototype);
  let members = inherited.get(prototype);
  if (members === undefined) {
    members = membersOf(prototype).map(({ key, descriptor }) => ({ key, descriptor: asShadow(descriptor) }));
    inherited.set(prototype, members);
  }
  return members;
}

function ownMembers(object: object): Member[] {
  return Reflect.ownKeys(object)
    .map((key) => ({ key, descriptor: Object.getOwnPropertyDescriptor(object, key) as PropertyDescriptor }))
    .filter(
      ({ key, descriptor }) =>
        key !== 'constructor' && (typeof descriptor.value === 'function' || descriptor.get),
    );
}

/** An inherited member's descriptor for an object of its own: whoever lists its keys does not see it. */
function asShadow(descriptor: PropertyDescriptor): PropertyDescriptor {
  const { value, get, set } = descriptor;
  return get === undefined
    ? { value, writable: true, enumerable: false, configurable: true }
    : { get, set, enumerable: false, configurable: true };
}

/** Object.prototype, of this realm or another. */
function isRoot(prototype: object): boolean {
  return (
    prototype === Object.prototype ||
    (Object.getPrototypeOf(prototype) === null && Object.hasOwn(prototype, 'hasOwnProperty'))
  );
}
