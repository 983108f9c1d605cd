/**
 * Budgets: what calls of models may cost, as they are told on the bus of this thread. All sums change synchronously with
 * the events, so no two calls see the same last cent; what is not known to cost anything is counted as not priced.
 */
import { attach, detach } from '../capture/channels.js';
import { type ActiveRun, activeRun } from '../capture/context.js';
import { watch } from '../capture/results/watch.js';
import { BudgetError, ConfigError } from '../errors.js';
import { type EventKind, emptyEnriched, enrich, kindOfEvent, newKnownParts } from '../schema/enrich.js';
import type { Measurements, Metadata } from '../schema/event.js';
import type { PriceBook } from '../schema/prices.js';

export interface BudgetLimits {
  /** USD. */
  readonly costUsd?: number | undefined;
  /** Of prompts and completions together. */
  readonly tokens?: number | undefined;
  readonly calls?: number | undefined;
}

export interface BudgetOptions extends BudgetLimits {
  /** Each value of this key of the events' metadata or context, such as `sessionId`, has a budget of its own. */
  readonly per?: string | undefined;
  /** Share of a limit at which it warns; default 0.8. */
  readonly warnAt?: number | undefined;
  /** Instead of a warning of the process. */
  readonly onWarn?: ((spending: Spending) => void) | undefined;
  /** When a limit is reached, beside the signal. */
  readonly onExceeded?: ((spending: Spending) => void) | undefined;
}

/** What has been spent. */
export interface Spending {
  /** Whose it is; null without `per`, and for calls without the key. */
  readonly key: string | null;
  readonly costUsd: number;
  readonly tokens: number;
  /** Those under way included. */
  readonly calls: number;
  /** Calls that have ended without a known cost. */
  readonly unpriced: number;
}

const START = 'req_llm.request.start';
const ENDS: readonly string[] = ['req_llm.request.stop', 'req_llm.request.exception'];
const LIMITS = ['costUsd', 'tokens', 'calls'] as const satisfies (keyof BudgetLimits)[];
/** Of keys; those that were heard of least recently are forgotten, with what they have spent, unless a call is under way. */
const KEYS_MAX = 65_536;

class Account {
  readonly controller = new AbortController();
  costUsd = 0;
  tokens = 0;
  started = 0;
  ended = 0;
  unpriced = 0;
  hasWarned = false;
  /** Calls that something is held back for. */
  held = 0;
  /** Held back for calls under way. */
  readonly reserved = { costUsd: 0, tokens: 0, calls: 0 };

  spending(key: string | null): Spending {
    const { costUsd, tokens, unpriced } = this;
    // Some emitters tell of ends only.
    return { key, costUsd, tokens, calls: Math.max(this.started, this.ended), unpriced };
  }
}

let budgets = 0;

/** What calls of models may spend, and what they have spent. */
export class Budget implements Disposable {
  readonly #limits: BudgetLimits;
  readonly #options: BudgetOptions;
  readonly #prices: PriceBook;
  readonly #run: ActiveRun;
  readonly #handler = `budget:${++budgets}`;
  readonly #accounts = new Map<string | null, Account>();
  readonly #enriched = emptyEnriched();
  readonly #parts = newKnownParts();
  readonly #kinds = new Map<string, EventKind>();

  /** @internal Use `Experiment.budget`. */
  constructor(options: BudgetOptions, run: ActiveRun, prices: PriceBook) {
    const { warnAt = 0.8 } = options;
    const limits = LIMITS.filter((name) => options[name] !== undefined);
    if (limits.length === 0) throw new ConfigError('budget', `one of ${LIMITS.join(', ')}`, options);
    for (const name of limits) {
      const limit = options[name];
      if (!(typeof limit === 'number' && limit >= 0))
        throw new ConfigError(`budget.${name}`, 'a limit ≥ 0', limit);
    }
    if (!(warnAt > 0 && warnAt <= 1)) throw new ConfigError('budget.warnAt', 'a share from 0 to 1', warnAt);
    this.#limits = options;
    this.#options = options;
    this.#run = run;
    this.#prices = prices;
    attach(this.#handler, [START, ...ENDS], (event, measurements, metadata) =>
      this.#heard(event, measurements, metadata),
    );
  }

  /** What has been spent, of a key or of all that has none. */
  spent(key: string | null = null): Spending {
    return this.#accountOf(key).spending(key);
  }

  /**
   * Aborts, with a BudgetError, when a limit is reached: give it to each call, and further ones are refused. Those under
   * way that have it end as well; `run` lets them finish.
   */
  signal(key: string | null = null): AbortSignal {
    return this.#accountOf(key).controller.signal;
  }

  /**
   * Runs a call if there is budget for it. What it may need at most is held back until it has ended, a stream that it gives
   * included, so that calls side by side never exceed a limit together.
   * @param reserve - default: one call
   * @throws BudgetError, or rejects with it, where that is more than is left
   */
  async run<T>(
    fn: () => Promise<T> | T,
    { key = null, reserve = {} }: { readonly key?: string | null; readonly reserve?: BudgetLimits } = {},
  ): Promise<T> {
    const account = this.#accountOf(key);
    const { reserved } = account;
    const needed = { costUsd: reserve.costUsd ?? 0, tokens: reserve.tokens ?? 0, calls: reserve.calls ?? 1 };
    const { costUsd, tokens, calls } = account.spending(key);
    const taken = { costUsd, tokens, calls: Math.max(calls, account.ended + reserved.calls) };
    for (const name of LIMITS) {
      const limit = this.#limits[name];
      if (limit === undefined) continue;
      const held = name === 'calls' ? 0 : reserved[name];
      const isOver =
        taken[name] + held + needed[name] > limit || (needed[name] === 0 && taken[name] >= limit);
      if (isOver) throw new BudgetError(name, limit, taken[name] + held, key);
    }
    for (const name of LIMITS) reserved[name] += needed[name];
    account.held++;
    let isHeld = true;
    const release = () => {
      if (!isHeld) return;
      isHeld = false;
      account.held--;
      for (const name of LIMITS) reserved[name] -= needed[name];
    };
    let result: T;
    try {
      result = await fn();
    } catch (error) {
      release();
      throw error;
    }
    // What a stream costs is known at its end.
    const ends = { completed: release, abandoned: release, forgotten: release, failed: release };
    return watch(result, { chunk() {}, ...ends });
  }

  /** Ends it: nothing is counted any more. */
  [Symbol.dispose](): void {
    detach(this.#handler);
  }

  #heard(event: string, measurements: Measurements, own: Metadata): void {
    const run = activeRun.getStore();
    if (run !== undefined && run.experimentId !== this.#run.experimentId) return;
    const metadata = run?.context === undefined ? own : { ...run.context, ...own };
    const { per } = this.#options;
    const told = per === undefined ? null : metadata[per];
    const key = told === null || told === undefined ? null : String(told);
    const account = this.#accountOf(key);
    if (event === START) account.started++;
    else this.#add(account, event, measurements, metadata);
    this.#judge(account, key);
  }

  #add(account: Account, event: string, measurements: Measurements, metadata: Metadata): void {
    let kind = this.#kinds.get(event);
    if (kind === undefined) {
      kind = kindOfEvent(event);
      this.#kinds.set(event, kind);
    }
    const enriched = this.#enriched;
    enriched.timestampUs = Number.NaN;
    enrich(enriched, kind, this.#parts, measurements, metadata, this.#prices);
    account.ended++;
    account.tokens += Math.max(enriched.prompt, 0) + Math.max(enriched.completion, 0);
    if (Number.isNaN(enriched.costUsd)) account.unpriced++;
    else account.costUsd += enriched.costUsd;
  }

  #judge(account: Account, key: string | null): void {
    const { warnAt = 0.8, onWarn = warn, onExceeded } = this.#options;
    const spending = account.spending(key);
    for (const name of LIMITS) {
      const limit = this.#limits[name];
      if (limit === undefined) continue;
      const spent = spending[name];
      // The call that begins is the one too many; a cost is known when a call is over.
      const isExceeded = name === 'calls' ? spent > limit : spent >= limit;
      if (spent >= limit * warnAt && !account.hasWarned) {
        account.hasWarned = true;
        onWarn(spending);
      }
      if (!isExceeded || account.controller.signal.aborted) continue;
      account.controller.abort(new BudgetError(name, limit, spent, key));
      onExceeded?.(spending);
    }
  }

  #accountOf(key: string | null): Account {
    let account = this.#accounts.get(key);
    if (account !== undefined && key === null) return account;
    account ??= new Account();
    // The last ones are those that were heard of last.
    this.#accounts.delete(key);
    this.#accounts.set(key, account);
    if (this.#accounts.size > KEYS_MAX) this.#forgetOldest(account);
    return account;
  }

  #forgetOldest(newest: Account): void {
    for (const [key, account] of this.#accounts) {
      if (account.held > 0 || account === newest) continue;
      this.#accounts.delete(key);
      return;
    }
  }
}

function warn({ key, costUsd, tokens, calls }: Spending): void {
  const whose = key === null ? '' : ` of ${key}`;
  process.emitWarning(
    `the budget${whose} is nearly spent: ${costUsd} USD, ${tokens} tokens, ${calls} calls`,
    {
      type: 'CrucibleWarning',
      code: 'CRUCIBLE_BUDGET',
    },
  );
}
