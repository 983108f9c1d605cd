/**
 * The names under which enrichment looks for what it reads: the one place for all of them, and what docs/events.md
 * lists.
 *
 * Rules stand in order of precedence; in a rule, the parts in the order of `in`, and in a part the keys in theirs.
 */

import { COUNT_KEYS } from './usage.js';

/** The half of an event that a key stands in. */
export type Part = 'measurements' | 'metadata';

export type Quantity = 'model' | 'provider' | 'tokens' | 'latencyMs' | 'costUsd' | 'success';

/** How a value is understood. */
export type Reading =
  /** Text. */
  | 'name'
  /** An object of token counts (usage.ts); */
  | 'usage'
  /** as well, where there are any: an object of this name may be about something else; */
  | 'any usage'
  /** one such count. */
  | 'count'
  /** Numbers of a unit. */
  | 'nanoseconds'
  | 'microseconds'
  | 'milliseconds'
  | 'seconds'
  /** The two ends of a span in nanoseconds. */
  | 'span'
  | 'USD'
  /** The same, where a price table does not tell. */
  | 'USD after the table'
  /** Truthy is a failure. */
  | 'failure'
  /** A boolean, 0 or 1, or a word (outcomes.ts). */
  | 'flag'
  /** A word or an HTTP status; others say nothing. */
  | 'status'
  /** An HTTP status. */
  | 'HTTP status'
  /** Anything but null is a success. */
  | 'response';

export interface Rule {
  readonly quantity: Quantity;
  readonly reading: Reading;
  readonly in: readonly Part[];
  readonly keys: readonly string[];
}

const MEASURED = ['measurements'] as const;
const DESCRIBED = ['metadata'] as const;
const EITHER = ['measurements', 'metadata'] as const;

export const RULES: readonly Rule[] = [
  {
    quantity: 'model',
    reading: 'name',
    in: DESCRIBED,
    keys: [
      ...[
        'model',
        'gen_ai.request.model',
        'gen_ai.response.model',
        'llm.model_name',
        'llm.request.model_name',
      ],
      ...[
        'llm.response.model_name',
        'llm.request.model',
        'llm.response.model',
        'ai.model.id',
        'ai.response.model',
      ],
      ...['modelId', 'model_id', 'modelName', 'model_name'],
    ],
  },
  {
    quantity: 'provider',
    reading: 'name',
    in: DESCRIBED,
    keys: [
      ...['provider', 'gen_ai.provider.name', 'gen_ai.system', 'llm.provider', 'llm.system', 'llm.vendor'],
      ...['ai.model.provider', 'providerName', 'provider_name', 'vendor'],
    ],
  },
  {
    quantity: 'tokens',
    reading: 'usage',
    in: ['metadata', 'measurements'],
    keys: ['tokens', 'usageMetadata', 'usage_metadata', 'tokenUsage', 'token_usage'],
  },
  { quantity: 'tokens', reading: 'any usage', in: ['metadata', 'measurements'], keys: ['usage'] },
  { quantity: 'tokens', reading: 'count', in: ['metadata', 'measurements'], keys: COUNT_KEYS },
  { quantity: 'latencyMs', reading: 'nanoseconds', in: MEASURED, keys: ['duration'] },
  { quantity: 'latencyMs', reading: 'span', in: MEASURED, keys: ['start', 'stop'] },
  {
    quantity: 'latencyMs',
    reading: 'milliseconds',
    in: MEASURED,
    keys: ['durationMs', 'latencyMs', 'latency_ms', 'duration_ms', 'latency'],
  },
  {
    quantity: 'latencyMs',
    reading: 'milliseconds',
    in: EITHER,
    keys: ['elapsedMs', 'elapsed_ms', 'responseTimeMs', 'response_time_ms', 'ai.response.msToFinish'],
  },
  {
    quantity: 'latencyMs',
    reading: 'seconds',
    in: EITHER,
    keys: [
      ...[
        'durationS',
        'duration_s',
        'durationSeconds',
        'duration_seconds',
        'latencyS',
        'latency_s',
        'latencySeconds',
      ],
      ...['latency_seconds', 'elapsedS', 'elapsed_s', 'elapsedSeconds', 'elapsed_seconds'],
    ],
  },
  {
    quantity: 'latencyMs',
    reading: 'microseconds',
    in: EITHER,
    keys: ['durationUs', 'duration_us', 'latencyUs', 'latency_us'],
  },
  {
    quantity: 'latencyMs',
    reading: 'nanoseconds',
    in: EITHER,
    keys: ['durationNs', 'duration_ns', 'latencyNs', 'latency_ns'],
  },
  {
    quantity: 'latencyMs',
    reading: 'milliseconds',
    in: DESCRIBED,
    keys: ['durationMs', 'latencyMs', 'latency_ms', 'duration_ms'],
  },
  {
    quantity: 'costUsd',
    reading: 'USD',
    in: DESCRIBED,
    keys: ['cost', 'costUsd', 'cost_usd', 'gen_ai.usage.cost', 'llm.cost.total'],
  },
  {
    quantity: 'costUsd',
    reading: 'USD after the table',
    in: MEASURED,
    keys: ['cost', 'costUsd', 'cost_usd'],
  },
  {
    quantity: 'costUsd',
    reading: 'USD after the table',
    in: EITHER,
    keys: [
      ...['totalCost', 'total_cost', 'totalCostUsd', 'total_cost_usd'],
      ...['duplicationCost', 'duplication_cost', 'duplicationCostUsd', 'duplication_cost_usd'],
    ],
  },
  {
    quantity: 'success',
    reading: 'failure',
    in: DESCRIBED,
    keys: ['error', 'exception', 'error.type', 'exception.type'],
  },
  {
    quantity: 'success',
    reading: 'flag',
    in: EITHER,
    keys: ['success', 'succeeded', 'isSuccess', 'is_success'],
  },
  ...EITHER.flatMap((part): Rule[] => [
    {
      quantity: 'success',
      reading: 'status',
      in: [part],
      keys: ['status', 'outcome', 'event.outcome', 'otel.status_code'],
    },
    {
      quantity: 'success',
      reading: 'HTTP status',
      in: [part],
      keys: [
        ...['statusCode', 'status_code', 'http.response.status_code', 'http.status_code'],
        ...['httpStatus', 'http_status', 'httpStatusCode', 'http_status_code'],
      ],
    },
  ]),
  { quantity: 'success', reading: 'response', in: DESCRIBED, keys: ['response'] },
];

/** A key in its place. */
export interface Spelling {
  readonly key: string;
  /** With its part. */
  readonly path: string;
  readonly rule: Rule;
  /** Its place in the order of precedence, over all rules. */
  readonly rank: number;
  /** One of those that most events have no others than; @see enrich */
  readonly isPlain: boolean;
}

const PLAIN: Readonly<Record<Part, readonly string[]>> = {
  measurements: ['duration', 'durationMs', 'latencyMs', 'latency_ms', 'cost', 'status'],
  metadata: ['model', 'provider', 'tokens', 'cost', 'error', 'exception', 'status', 'response'],
};

const SPELLINGS: Readonly<Record<Part, ReadonlyMap<string, Spelling>>> = {
  measurements: new Map(),
  metadata: new Map(),
};
let rank = 0;
for (const rule of RULES) {
  for (const part of rule.in) {
    for (const key of rule.keys) {
      const isPlain = PLAIN[part].includes(key);
      (SPELLINGS[part] as Map<string, Spelling>).set(key, {
        key,
        path: `${part}.${key}`,
        rule,
        rank,
        isPlain,
      });
      rank++;
    }
  }
}

/** What is read under the key, if anything is. */
export function spellingOf(part: Part, key: string): Spelling | undefined {
  return SPELLINGS[part].get(key);
}

/** Whether an event with this key is to be looked up in the table: the key is in it, and no plain one. */
export function isSpelled(part: Part, key: string): boolean {
  const spelling = spellingOf(part, key);
  return spelling !== undefined && !spelling.isPlain;
}

/** Keys of the rule for a name, in order of precedence. */
export function keysOfName(quantity: 'model' | 'provider'): readonly string[] {
  return RULES.find((rule) => rule.quantity === quantity)?.keys ?? [];
}
