/** Real traces: every one loads whole, and the statistics their authors published come out again. */

import { readFile } from 'node:fs/promises';
import { beforeEach, describe, expect, it } from 'vitest';
import type { ImportedRecord, ImportFileOptions } from '../../src/import/index.js';
import { needsTraces, tracePath } from '../support/fixtures.js';
import { importAll } from './support.js';

describe('real traces', () => {
  beforeEach(needsTraces);

  const LOADS: [string, number, ImportFileOptions, Partial<ImportedRecord>][] = [
    [
      'azure_llm_2023_conv.csv',
      19_366,
      {},
      {
        timestampUs: Date.UTC(2023, 10, 16, 18, 15, 46) * 1000 + 680_590,
        promptTokens: 374,
        completionTokens: 44,
      },
    ],
    [
      'azure_llm_2023_code.csv',
      8_819,
      {},
      {
        timestampUs: Date.UTC(2023, 10, 16, 18, 17, 3) * 1000 + 979_960,
        promptTokens: 4808,
        completionTokens: 10,
      },
    ],
    [
      'azure_vm_noise.csv',
      115_414,
      { map: { timestamp: 'starttime', latencyMs: "unit == 'ms' ? value : value / 1e6", cohort: 'sku' } },
      {
        timestampUs: Date.UTC(2023, 5, 23, 15, 44, 6, 120) * 1000,
        latencyMs: 91 / 1e6,
        metadata: {
          test: 'mem_idle_latency',
          lifespan: 'long',
          region: 'eastus',
          unit: 'ns',
          value: 91,
          runtime_s: 8.2,
          vm_id: 0,
          cohort: 'D8s_v5',
        },
      },
    ],
    [
      'mooncake_conversation.csv',
      12_031,
      { timestampOrigin: '2025-01-01T00:00:00Z' },
      {
        timestampUs: Date.UTC(2025, 0, 1) * 1000,
        promptTokens: 6758,
        completionTokens: 500,
        metadata: { n_hash_ids: 14 },
      },
    ],
    [
      'mooncake_conversation_trace.jsonl',
      12_031,
      { timestampUnit: 'ms' },
      {
        timestampUs: 0,
        promptTokens: 6758,
        metadata: { hash_ids: [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13] },
      },
    ],
    [
      'nab_ec2_request_latency_system_failure.csv',
      4_032,
      { map: { timestamp: 'timestamp', latencyMs: 'value' } },
      { timestampUs: Date.UTC(2014, 2, 7, 3, 41) * 1000, latencyMs: 45.868, metadata: {} },
    ],
    ['nab_elb_request_count_8c0756.csv', 4_032, {}, { metadata: { value: 94 } }],
    ['nab_machine_temperature_system_failure.csv', 22_695, {}, { metadata: { value: 73.96732207 } }],
    [
      'llmperf_requests.csv',
      2_845,
      {},
      { provider: 'anyscale', model: 'llama2-13b', latencyMs: 1528.1514210000182 },
    ],
  ];

  it.each(LOADS)('%s: %i rows', async (name, rows, options, first) => {
    const result = await importAll(tracePath(name), options);
    expect(result).toMatchObject({ rows, skipped: 0, problems: 0 });
    expect(result.records[0]).toMatchObject(first);
    const timed = result.records.filter((record) => record.timestampUs !== null).length;
    expect(timed).toBe(first.timestampUs === undefined && name.startsWith('llmperf') ? 0 : rows);
  });

  it('reproduces every published statistic of the LLMPerf leaderboard', async () => {
    const published = JSON.parse(
      await readFile(tracePath('llmperf_published_summaries.json'), 'utf8'),
    ) as Record<string, Record<string, number | string>>;
    const { records } = await importAll(tracePath('llmperf_requests.csv'), {
      map: {
        latencyMs: 'end_to_end_latency_s * 1000',
        model: 'model',
        provider: 'provider',
        success: "error_code == ''",
        promptTokens: 'input_tokens',
        completionTokens: 'output_tokens',
      },
    });
    const columns: Record<string, (record: ImportedRecord) => number> = {
      ttft_s: (record) => record.metadata.ttft_s as number,
      inter_token_latency_s: (record) => record.metadata.inter_token_latency_s as number,
      end_to_end_latency_s: (record) => record.latencyMs! / 1000,
      request_output_throughput_token_per_s: (record) => record.metadata.output_tokens_per_s as number,
      number_input_tokens: (record) => record.promptTokens!,
      number_output_tokens: (record) => record.completionTokens!,
    };

    let compared = 0;
    for (const [key, summary] of Object.entries(published)) {
      const [provider, size] = key.split('_');
      const group = records.filter(
        (record) => record.provider === provider && record.model === `llama2-${size}`,
      );
      const successful = group.filter((record) => record.success === true);
      expect(group.length - successful.length).toBe(summary.results_number_errors);
      for (const [column, read] of Object.entries(columns)) {
        for (const [statistic, value] of Object.entries(describeSample(successful.map(read)))) {
          const expected = Number(summary[`results_${column}_${statistic}`]);
          const scale = Math.max(Math.abs(expected), Number.MIN_VALUE);
          expect(Math.abs(value - expected) / scale, `${key} ${column} ${statistic}`).toBeLessThanOrEqual(
            1e-12,
          );
          compared += 1;
        }
      }
    }
    expect(compared).toBe(19 * 6 * 10);
  });
});

/** The statistics LLMPerf publishes: type-7 quantiles, and the standard deviation over n − 1. */
function describeSample(values: number[]): Record<string, number> {
  const sorted = values.toSorted((a, b) => a - b);
  const quantile = (p: number) => {
    const at = p * (sorted.length - 1);
    const below = sorted[Math.floor(at)]!;
    return below + (at - Math.floor(at)) * (sorted[Math.ceil(at)]! - below);
  };
  const mean = sorted.reduce((sum, value) => sum + value, 0) / sorted.length;
  const squares = sorted.reduce((sum, value) => sum + (value - mean) ** 2, 0);
  return {
    quantiles_p25: quantile(0.25),
    quantiles_p50: quantile(0.5),
    quantiles_p75: quantile(0.75),
    quantiles_p90: quantile(0.9),
    quantiles_p95: quantile(0.95),
    quantiles_p99: quantile(0.99),
    mean,
    min: sorted[0]!,
    max: sorted.at(-1)!,
    stddev: Math.sqrt(squares / (sorted.length - 1)),
  };
}
