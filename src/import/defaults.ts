/**
 * What a file means when no map is given.
 *
 * Column names are compared in snake_case (`latencyMs`, `Latency_MS` and `latency_ms` are one). For each target
 * the first name in its row that the file has is taken; every other column becomes metadata.
 *
 * | target           | columns, first match wins                                                            |
 * |------------------|--------------------------------------------------------------------------------------|
 * | timestamp        | timestamp, timestamp_{us,ms,ns,s}, time, ts, starttime, start_time, started_at,       |
 * |                  | created_at, datetime, date; the unit from the name's ending, else from the value      |
 * | latencyMs        | latency_ms, duration_ms, elapsed_ms, response_time_ms; in seconds latency_s,          |
 * |                  | latency_seconds, duration_s, duration_seconds, end_to_end_latency_s, elapsed_s;       |
 * |                  | latency_us, duration_us; latency_ns, duration_ns                                      |
 * | costUsd          | cost_usd, total_cost_usd, cost, total_cost                                            |
 * | promptTokens     | prompt_tokens, input_tokens, tokens_prompt, context_tokens, input_length              |
 * | completionTokens | completion_tokens, output_tokens, tokens_completion, generated_tokens, output_length  |
 * | success          | success, succeeded, is_success                                                        |
 * | event            | event_name, event                                                                     |
 * | model            | model, model_name, model_id                                                           |
 * | provider         | provider, vendor                                                                      |
 *
 * A bare `duration` or `latency` has no unit that could be known and stays metadata.
 */

import type { ImportMap } from './mapping.js';

/** Column name in snake_case to what is done with it to reach the target's unit. */
const RULES: Readonly<Record<string, Readonly<Record<string, string>>>> = {
  timestamp: unscaled(
    'timestamp timestamp_us timestamp_ms timestamp_ns timestamp_s time ts starttime start_time started_at',
    'created_at datetime date',
  ),
  latencyMs: {
    ...unscaled('latency_ms duration_ms elapsed_ms response_time_ms'),
    latency_s: ' * 1000',
    latency_seconds: ' * 1000',
    duration_s: ' * 1000',
    duration_seconds: ' * 1000',
    end_to_end_latency_s: ' * 1000',
    elapsed_s: ' * 1000',
    latency_us: ' / 1000',
    duration_us: ' / 1000',
    latency_ns: ' / 1000000',
    duration_ns: ' / 1000000',
  },
  costUsd: unscaled('cost_usd total_cost_usd cost total_cost'),
  promptTokens: unscaled('prompt_tokens input_tokens tokens_prompt context_tokens input_length'),
  completionTokens: unscaled(
    'completion_tokens output_tokens tokens_completion generated_tokens output_length',
  ),
  success: unscaled('success succeeded is_success'),
  event: unscaled('event_name event'),
  model: unscaled('model model_name model_id'),
  provider: unscaled('provider vendor'),
};

/** The map a file with these columns gets when the caller gives none. */
export function detectMapping(columns: readonly string[]): ImportMap {
  const byName = new Map<string, string>();
  for (const column of columns) {
    const name = snakeCase(column);
    if (!byName.has(name)) byName.set(name, column);
  }
  const map: Record<string, string> = {};
  for (const [target, names] of Object.entries(RULES)) {
    const found = Object.keys(names).find((name) => byName.has(name));
    if (found !== undefined) map[target] = `${quoted(byName.get(found)!)}${names[found]}`;
  }
  return map;
}

function unscaled(...lines: string[]): Record<string, string> {
  return Object.fromEntries(lines.flatMap((line) => line.split(' ')).map((name) => [name, '']));
}

function snakeCase(name: string): string {
  return name
    .replace(/([a-z0-9])([A-Z])/g, '$1_$2')
    .replace(/[^\p{L}\p{N}]+/gu, '_')
    .toLowerCase();
}

function quoted(column: string): string {
  return `"${column.replaceAll('"', '""')}"`;
}
