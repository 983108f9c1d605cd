/**
 * A field of our own on objects of others. Nobody sees it, not even a proxy, and unlike an entry of a WeakMap it costs
 * the collector nothing: there may be one on every promise that a service makes.
 */
export interface PrivateField<T> {
  /** What was set; undefined where nothing was. */
  get(of: object): T | undefined;
  /** @param of - an extensible object */
  set(of: object, value: T): void;
}

/** A constructor that returns what it is given: a subclass puts its private fields there. */
class Given {
  constructor(object: object) {
    // biome-ignore lint/correctness/noConstructorReturn: it is what this class is for.
    return object;
  }
}

export function privateField<T>(): PrivateField<T> {
  class Field extends Given {
    #value: T;

    constructor(of: object, value: T) {
      super(of);
      this.#value = value;
    }

    static get(of: object): T | undefined {
      return #value in of ? of.#value : undefined;
    }

    static set(of: object, value: T): void {
      if (#value in of) of.#value = value;
      else new Field(of, value);
    }
  }
  return Field;
}
