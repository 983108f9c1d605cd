/**
 * Token counts in the shapes in which providers and SDKs tell them.
 *
 * What comes out has one meaning: the prompt includes what was read from a cache and written to one, the completion
 * includes reasoning. Where a shape counts these apart, they are added.
 */

import { VALUE_MAX } from '../../assembly/layout.js';
import { type Malformed, noteMalformed } from './malformed.js';

/** What a number among token counts says. */
export type Count =
  | 'input'
  | 'output'
  | 'total'
  /** Among the input. */
  | 'cached'
  | 'cacheWrite'
  /** Beside an input that does not include them. */
  | 'cachedBeside'
  | 'cacheWriteBeside'
  /** Among what was written to the cache. */
  | 'cacheWrite1h'
  /** Beside the input, and beside the output. */
  | 'toolInput'
  | 'thoughts'
  /** Among the output; beside it, where only so the total is right. */
  | 'reasoning'
  | 'costUsd';

export interface CountRule {
  readonly count: Count;
  /** Keys of a usage object, in order of precedence; `[a, b]` is b in the object a. */
  readonly keys: readonly (string | readonly [outer: string, inner: string])[];
  /** Keys of an event that stand for themselves. */
  readonly attributes: readonly string[];
}

export const COUNT_RULES: readonly CountRule[] = [
  {
    count: 'input',
    keys: [
      ...['prompt', 'input', 'prompt_tokens', 'input_tokens', 'promptTokens', 'inputTokens'],
      ...['promptTokenCount', 'prompt_token_count', ['inputTokens', 'total'] as const, 'tokens'],
    ],
    attributes: [
      ...['gen_ai.usage.input_tokens', 'gen_ai.usage.prompt_tokens', 'llm.usage.prompt_tokens'],
      ...['llm.token_count.prompt', 'ai.usage.inputTokens', 'ai.usage.promptTokens', 'ai.usage.tokens'],
    ],
  },
  {
    count: 'output',
    keys: [
      ...['completion', 'output', 'completion_tokens', 'output_tokens', 'completionTokens', 'outputTokens'],
      ...['candidatesTokenCount', 'candidates_token_count', ['outputTokens', 'total'] as const],
    ],
    attributes: [
      ...['gen_ai.usage.output_tokens', 'gen_ai.usage.completion_tokens', 'llm.usage.completion_tokens'],
      ...['llm.token_count.completion', 'ai.usage.outputTokens', 'ai.usage.completionTokens'],
    ],
  },
  {
    count: 'total',
    keys: ['total', 'total_tokens', 'totalTokens', 'totalTokenCount', 'total_token_count'],
    attributes: [
      ...[
        'gen_ai.usage.total_tokens',
        'llm.usage.total_tokens',
        'llm.token_count.total',
        'ai.usage.totalTokens',
      ],
    ],
  },
  {
    count: 'cached',
    keys: [
      ...['cached_tokens', 'cachedTokens', 'cachedInputTokens', 'cachedContentTokenCount'],
      ...['cached_content_token_count', 'prompt_cache_hit_tokens'],
      ['prompt_tokens_details', 'cached_tokens'],
      ['input_tokens_details', 'cached_tokens'],
      ['inputTokenDetails', 'cacheReadTokens'],
      ['inputTokens', 'cacheRead'],
      ['input_token_details', 'cache_read'],
    ],
    attributes: [
      ...['gen_ai.usage.cache_read.input_tokens', 'gen_ai.usage.cache_read_input_tokens'],
      ...['gen_ai.usage.cached_tokens', 'llm.token_count.prompt_details.cache_read'],
      ...['ai.usage.cachedInputTokens', 'ai.usage.inputTokenDetails.cacheReadTokens'],
    ],
  },
  {
    count: 'cacheWrite',
    keys: [
      ...['cache_write_tokens', 'cacheWriteTokens'],
      ['prompt_tokens_details', 'cache_write_tokens'],
      ['input_tokens_details', 'cache_write_tokens'],
      ['inputTokenDetails', 'cacheWriteTokens'],
      ['inputTokens', 'cacheWrite'],
      ['input_token_details', 'cache_creation'],
    ],
    attributes: [
      ...['gen_ai.usage.cache_creation.input_tokens', 'gen_ai.usage.cache_creation_input_tokens'],
      ...['llm.token_count.prompt_details.cache_write', 'ai.usage.inputTokenDetails.cacheWriteTokens'],
    ],
  },
  { count: 'cachedBeside', keys: ['cache_read_input_tokens', 'cacheReadInputTokens'], attributes: [] },
  {
    count: 'cacheWriteBeside',
    keys: ['cache_creation_input_tokens', 'cacheCreationInputTokens', 'cacheWriteInputTokens'],
    attributes: [],
  },
  { count: 'cacheWrite1h', keys: [['cache_creation', 'ephemeral_1h_input_tokens']], attributes: [] },
  { count: 'toolInput', keys: ['toolUsePromptTokenCount', 'tool_use_prompt_token_count'], attributes: [] },
  { count: 'thoughts', keys: ['thoughtsTokenCount', 'thoughts_token_count'], attributes: [] },
  {
    count: 'reasoning',
    keys: [
      ...['reasoning_tokens', 'reasoningTokens'],
      ['completion_tokens_details', 'reasoning_tokens'],
      ['output_tokens_details', 'reasoning_tokens'],
      ['outputTokenDetails', 'reasoningTokens'],
      ['outputTokens', 'reasoning'],
      ['output_token_details', 'reasoning'],
    ],
    attributes: [
      ...['gen_ai.usage.reasoning.output_tokens', 'gen_ai.usage.reasoning_tokens'],
      ...['llm.token_count.completion_details.reasoning', 'ai.usage.reasoningTokens'],
      'ai.usage.outputTokenDetails.reasoningTokens',
    ],
  },
  { count: 'costUsd', keys: ['cost'], attributes: [] },
];

/** Keys that mean something else where they do not stand in a usage object. */
export const ONLY_INSIDE: ReadonlySet<string> = new Set([
  ...['prompt', 'input', 'completion', 'output', 'total', 'tokens', 'cost'],
]);

/** What a number under this key of an event is, or one in its object; the first of them where there are several. */
export function countOfKey(key: string): Count | undefined {
  return COUNT_RULES.find(({ keys, attributes }) =>
    [...keys, ...attributes].some((known) => (typeof known === 'string' ? known : known[0]) === key),
  )?.count;
}

/** Places of the counts among the values of a call. */
const PLACE = Object.freeze(
  Object.fromEntries(COUNT_RULES.map(({ count }, place) => [count, place])),
) as Readonly<Record<Count, number>>;
const { input: INPUT, output: OUTPUT, total: TOTAL, thoughts: THOUGHTS, costUsd: COST } = PLACE;

interface CountKey {
  /** Of the count. */
  readonly place: number;
  /** Its place in the order of precedence. */
  readonly rank: number;
  /** Of an input: whether what stands beside it is in it all the same. */
  readonly isWhole: boolean;
}

/** What a key's value says if it is a number, and what the keys of its value say if that is an object. */
interface UsageKey {
  itself: CountKey | undefined;
  inside: Map<string, CountKey> | undefined;
}

const USAGE_KEYS: ReadonlyMap<string, UsageKey> = usageKeys();

function usageKeys(): ReadonlyMap<string, UsageKey> {
  const keys = new Map<string, UsageKey>();
  const keyAt = (name: string) => {
    const known = keys.get(name) ?? { itself: undefined, inside: undefined };
    keys.set(name, known);
    return known;
  };
  for (const rule of COUNT_RULES) {
    for (const [rank, key] of [...rule.keys, ...rule.attributes].entries()) {
      const isNested = typeof key !== 'string';
      const outer = keyAt(isNested ? key[0] : key);
      const found = { place: PLACE[rule.count], rank, isWhole: !isNested && key.startsWith('prompt') };
      if (!isNested) outer.itself = found;
      else {
        outer.inside ??= new Map();
        outer.inside.set(key[1], found);
      }
    }
  }
  return keys;
}

/** Keys under which an event itself may have counts, without a usage object. */
export const COUNT_KEYS: readonly string[] = [...USAGE_KEYS.keys()].filter((key) => !ONLY_INSIDE.has(key));

/** Counts that tell of a kind of tokens. */
const KINDS: Readonly<Record<'cached' | 'cacheWrite' | 'reasoning', readonly Count[]>> = {
  cached: ['cached', 'cachedBeside'],
  cacheWrite: ['cacheWrite', 'cacheWriteBeside', 'cacheWrite1h'],
  reasoning: ['reasoning', 'thoughts'],
};

export const TOKENS_MAX = 2 ** 31 - 1;
/** Bits of the counts that need no more than to be taken over. */
const SIMPLE = (1 << INPUT) | (1 << OUTPUT) | (1 << TOTAL);

type Parts = Readonly<Record<string, unknown>>;

/** Token counts of one call as they are found, and what they come to. */
export class Usage {
  /** Tokens; meaningless unless `settle` says that they are known. */
  prompt = 0;
  completion = 0;
  /** What the event told as the total where that is not the sum of both; else -1. */
  total = -1;
  /** Of the prompt. */
  cached = 0;
  cacheWrite = 0;
  cacheWrite1h = 0;
  /** Of the completion. */
  reasoning = 0;
  /** Whether the prompt or the completion was to be told, and is not known. */
  isPartial = false;
  /** What the counts came with as their cost; NaN for none. */
  costUsd = Number.NaN;

  /** A bit per count that was told. */
  private told = 0;
  private readonly values = new Float64Array(COUNT_RULES.length);
  private readonly ranks = new Int32Array(COUNT_RULES.length);
  private isWhole = false;
  /** Bits of counts that were to be told. */
  private lacking = 0;

  /** The two counts, and nothing besides. */
  set(prompt: number, completion: number): void {
    this.prompt = prompt;
    this.completion = completion;
    this.total = -1;
    this.cached = 0;
    this.cacheWrite = 0;
    this.cacheWrite1h = 0;
    this.reasoning = 0;
    this.isPartial = false;
    this.costUsd = Number.NaN;
  }

  /** Forgets all counts. */
  clear(): void {
    this.told = 0;
    this.lacking = 0;
    this.isWhole = false;
  }

  /**
   * Adds the counts of a usage object.
   * @param path - where the object stands in its event
   * @returns whether it has any key that counts have
   */
  addAll(usage: Parts, path: string, malformed: Malformed): boolean {
    let isKnown = false;
    for (const key in usage) if (this.add(key, usage[key], path, malformed)) isKnown = true;
    return isKnown;
  }

  /** Adds what stands under one key. @returns whether counts have such a key */
  add(key: string, value: unknown, path: string, malformed: Malformed): boolean {
    const known = USAGE_KEYS.get(key);
    if (known === undefined) return false;
    const { itself, inside } = known;
    if (inside !== undefined && typeof value === 'object' && value !== null) {
      const parts = value as Parts;
      for (const name in parts) {
        const found = inside.get(name);
        if (found !== undefined && !this.take(found, parts[name])) {
          noteMalformed(malformed, `${path}.${key}.${name}`);
        }
      }
    } else if (itself === undefined ? !isAbsent(value) : !this.take(itself, value)) {
      noteMalformed(malformed, `${path}.${key}`);
    }
    return true;
  }

  /** @returns false for a value that is no count */
  private take({ place, rank, isWhole }: CountKey, value: unknown): boolean {
    const number = typeof value === 'bigint' ? Number(value) : value;
    const isAny = place === TOTAL || place === COST;
    const bit = 1 << place;
    const isUsable = isAny || Number.isInteger(number);
    if (typeof number === 'number' && isUsable && number >= 0 && number <= (isAny ? VALUE_MAX : TOKENS_MAX)) {
      if ((this.told & bit) === 0 || rank < this.ranks[place]) {
        this.told |= bit;
        this.ranks[place] = rank;
        this.values[place] = number;
        if (place === INPUT) this.isWhole = isWhole;
      }
      return true;
    }
    this.lacking |= bit;
    return isAbsent(value);
  }

  /** Works out what the counts come to. @returns false where they say nothing of how many tokens there were */
  settle(): boolean {
    const { told } = this;
    const lacking = this.lacking & ~told;
    const knowsInput = (told & (1 << INPUT)) !== 0;
    const knowsOutput = (told & ((1 << OUTPUT) | (1 << THOUGHTS))) !== 0;
    let prompt = this.some(INPUT);
    let completion = this.some(OUTPUT) + this.some(THOUGHTS);
    let cached = 0;
    let cacheWrite = 0;
    if ((told & ~SIMPLE) !== 0) {
      const beside = this.some(PLACE.cachedBeside) + this.some(PLACE.cacheWriteBeside);
      cached = this.some(PLACE.cached) || this.some(PLACE.cachedBeside);
      cacheWrite = this.some(PLACE.cacheWrite) || this.some(PLACE.cacheWriteBeside);
      cacheWrite = Math.max(cacheWrite, this.some(PLACE.cacheWrite1h));
      // A shape may say that its input includes them, and its numbers that it does not.
      if ((beside > 0 && !this.isWhole) || cached + cacheWrite > prompt) prompt += cached + cacheWrite;
      prompt += this.some(PLACE.toolInput);
      const reasoning = this.some(PLACE.reasoning);
      if (this.some(TOTAL) === prompt + completion + reasoning) completion += reasoning;
    }
    this.set(Math.min(prompt, TOKENS_MAX), Math.min(completion, TOKENS_MAX));
    this.cached = cached;
    this.cacheWrite = cacheWrite;
    this.cacheWrite1h = this.some(PLACE.cacheWrite1h);
    this.reasoning = Math.min(this.some(PLACE.reasoning) || this.some(THOUGHTS), this.completion);
    this.isPartial =
      (!knowsInput && (!knowsOutput || (lacking & (1 << INPUT)) !== 0)) ||
      (!knowsOutput && (lacking & (1 << OUTPUT)) !== 0);
    if ((told & (1 << COST)) !== 0) this.costUsd = this.values[COST];
    if ((told & (1 << TOTAL)) !== 0 && this.values[TOTAL] !== this.prompt + this.completion) {
      this.total = this.values[TOTAL];
    }
    return knowsInput || knowsOutput || (told & (1 << TOTAL)) !== 0;
  }

  /** After `settle`, of a kind of tokens among the others: how many there were; null where that was not told. */
  reported(kind: 'cached' | 'cacheWrite' | 'reasoning'): number | null {
    const isTold = KINDS[kind].some((count) => (this.told & (1 << PLACE[count])) !== 0);
    if (!isTold) return null;
    return kind === 'reasoning' ? this.some(PLACE.reasoning) || this.some(THOUGHTS) : this[kind];
  }

  /** The count; 0 where it was not told. */
  private some(place: number): number {
    return (this.told & (1 << place)) === 0 ? 0 : this.values[place];
  }
}

function isAbsent(value: unknown): boolean {
  return value === undefined || value === null;
}
