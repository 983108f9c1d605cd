/**
 * Callbacks for all that LangChain.js runs, without a line of the program: as if it had registered a configure hook at its
 * very start (`registerConfigureHook` of `@langchain/core/context`), in each copy of LangChain and each async context.
 *
 * LangChain keeps its hooks as context variables in an AsyncLocalStorage that all copies of it share by a global symbol. What
 * that gives is what it would give, with our variable and our hook among the others. Nothing of LangChain is imported.
 */
import { AsyncLocalStorage } from 'node:async_hooks';
import type { ActiveRun } from '../capture/context.js';
import type { Content } from './content.js';
import { LangChainCallbacks } from './langchain.js';

const STORAGE = Symbol.for('ls:tracing_async_local_storage');
const VARIABLES = Symbol.for('lc:context_variables');
/** The hooks stand under a symbol that each copy has of its own, with this name. */
const HOOKS = 'lc:configure_hooks';
const OURS = 'crucible-telemetry';
const HOOK = Object.freeze({ contextVar: OURS, inheritable: true });

type Variables = Record<string | symbol, unknown>;
type Store = { [VARIABLES]?: Variables };

/** Programs that send traces to LangSmith: it takes what the storage gives for one of its own. */
const TRACING: readonly string[] = [
  ...['LANGSMITH_TRACING_V2', 'LANGCHAIN_TRACING_V2', 'LANGSMITH_TRACING', 'LANGCHAIN_TRACING'],
];

/** @returns what takes it out again; it is put in once */
export function registerHook(run: ActiveRun | undefined, content: Content | null): () => void {
  const global = globalThis as { [STORAGE]?: AsyncLocalStorage<Store> };
  if (TRACING.some((name) => process.env[name] === 'true')) return () => {};
  global[STORAGE] ??= new AsyncLocalStorage<Store>();
  const storage = global[STORAGE];
  if (Object.hasOwn(storage, 'getStore')) return () => {};
  const hooked = new HookedVariables(new LangChainCallbacks(run, content));
  const outside: Store = { [VARIABLES]: hooked.over({}) };
  Object.defineProperty(storage, 'getStore', {
    configurable: true,
    writable: true,
    value(this: AsyncLocalStorage<Store>) {
      const store = AsyncLocalStorage.prototype.getStore.call(this) as Store | undefined;
      if (store === undefined) return outside;
      if (Object.isExtensible(store)) store[VARIABLES] = hooked.over(store[VARIABLES] ?? {});
      return store;
    },
  });
  return () => {
    Reflect.deleteProperty(storage, 'getStore');
  };
}

/** Context variables with ours among them. */
class HookedVariables implements ProxyHandler<Variables> {
  readonly #callbacks: LangChainCallbacks;
  readonly #known = new WeakMap<Variables, Variables>();
  readonly #ours = new WeakSet<Variables>();

  constructor(callbacks: LangChainCallbacks) {
    this.#callbacks = callbacks;
  }

  over(variables: Variables): Variables {
    if (this.#ours.has(variables)) return variables;
    let hooked = this.#known.get(variables);
    if (hooked === undefined) {
      hooked = new Proxy(variables, this);
      this.#known.set(variables, hooked);
      this.#ours.add(hooked);
    }
    return hooked;
  }

  get(variables: Variables, key: string | symbol): unknown {
    if (key === OURS) return this.#callbacks;
    const value = variables[key];
    if (typeof key !== 'symbol' || key.description !== HOOKS) return value;
    // A copy of them may have ours already.
    const hooks = Array.isArray(value) ? (value as readonly unknown[]) : [];
    return hooks.includes(HOOK) ? hooks : [...hooks, HOOK];
  }
}
