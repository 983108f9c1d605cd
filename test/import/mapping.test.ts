import { describe, expect, it } from 'vitest';
import { recognise } from '../../src/formats/text-values.js';
import { detectMapping } from '../../src/import/defaults.js';
import { compileMapping, type ImportMap, type MappingOptions } from '../../src/import/mapping.js';
import type { Json } from '../../src/schema/event.js';

function apply(map: ImportMap, record: Record<string, Json>, options: MappingOptions = {}, textual = true) {
  const problems: string[] = [];
  const source = { columns: Object.keys(record), textual, isTimed: false };
  const { map: mapper } = compileMapping(map, options).bind(source);
  return { record: mapper(record, (message) => problems.push(message))!, problems };
}

describe('compileMapping', () => {
  const row = {
    provider: 'anyscale',
    model: 'llama2-7b',
    request_index: '007',
    input_tokens: '550',
    ttft_s: '0.25',
    end_to_end_latency_s: '1.5',
    error_code: '',
    starttime: '2023-06-23 15:44:06.120',
  };
  const map = {
    latencyMs: 'end_to_end_latency_s * 1000',
    model: 'model',
    provider: 'provider',
    success: "error_code == ''",
    promptTokens: 'input_tokens',
    timestamp: 'starttime',
    event: "'req_llm.request.stop'",
  };

  it('maps the targets and keeps the rest as metadata', () => {
    expect(apply(map, row)).toEqual({
      problems: [],
      record: {
        timestampUs: Date.UTC(2023, 5, 23, 15, 44, 6, 120) * 1000,
        event: 'req_llm.request.stop',
        latencyMs: 1500,
        costUsd: null,
        promptTokens: 550,
        completionTokens: null,
        success: true,
        model: 'llama2-7b',
        provider: 'anyscale',
        isPartial: false,
        malformedKeys: [],
        // The empty error_code is left out; end_to_end_latency_s was not taken as it is.
        metadata: { request_index: '007', ttft_s: 0.25, end_to_end_latency_s: 1.5 },
        restored: null,
      },
    });
  });

  it('drops the rest when asked, and makes metadata of any other target', () => {
    const { record } = apply({ ttftMs: 'ttft_s * 1000', err: 'error_code', index: 'request_index' }, row, {
      rest: 'drop',
      event: 'bench.request',
    });
    expect(record.metadata).toEqual({ ttftMs: 250, err: null, index: '007' });
    expect(record.event).toBe('bench.request');
  });

  it('keeps typed values as they are', () => {
    const { record } = apply(
      { promptTokens: 'n', event: 'name' },
      { n: 3, name: ['a', 'b'], id: '5', none: null, list: [1, { a: 2 }], '': 'x' },
      {},
      false,
    );
    expect(record.event).toBe('a.b');
    expect(record.metadata).toEqual({ id: '5', none: null, list: [1, { a: 2 }], '': 'x' });
  });

  it('reports what cannot be understood and goes on with null', () => {
    const { record, problems } = apply(
      {
        latencyMs: 'a',
        costUsd: '1 / zero',
        promptTokens: 'half',
        completionTokens: 'a * 2',
        success: 'a',
        timestamp: 'a',
      },
      { a: 'n/a', zero: '0', half: '1.5' },
      { rest: 'drop' },
    );
    expect(record).toMatchObject({
      timestampUs: null,
      latencyMs: null,
      costUsd: null,
      promptTokens: null,
      completionTokens: null,
      success: null,
    });
    expect(problems).toEqual([
      'latencyMs: "n/a" is not a finite number',
      'costUsd: Infinity is not a finite number',
      'promptTokens: "1.5" is not a whole number of tokens up to 2147483647',
      'completionTokens: "n/a" is not a number',
      'success: "n/a" is neither true nor false',
      'timestamp: "n/a" is not a time',
    ]);
  });

  it('names an unknown column, its place and the columns there are', () => {
    expect(() => apply({ latencyMs: '1000 * latncy' }, { latency: '1', model: 'm' })).toThrow(
      'map.latencyMs: expected a column at position 8 of 1000 * latncy (there are: latency, model), got "latncy"',
    );
  });

  it.each<[unknown, MappingOptions]>([
    [null, {}],
    [{ model: 5 }, {}],
    [{ '': '1' }, {}],
    [{ timestamp: 'a' }, { timestampOrigin: 0 }],
    [{ timestamp: 'a' }, { timestampOrigin: 'x', timestampUnit: 's' }],
    [{}, { timestampUnit: 'weeks' as 's' }],
    [{}, { rest: 'some' as 'drop' }],
    [{}, { event: '' }],
  ])('refuses %j with %j', (bad, options) => {
    expect(() => compileMapping(bad as ImportMap, options)).toThrow(
      expect.objectContaining({ code: 'ERR_CONFIG_INVALID' }),
    );
  });

  it('reads times by option, by column name, relative to an origin, or by epoch()', () => {
    const at = (expression: string, value: string, options: MappingOptions = {}, column = 't') =>
      apply({ timestamp: expression }, { [column]: value }, options).record.timestampUs;
    expect(at('t', '1500', { timestampUnit: 'ms' })).toBe(1_500_000);
    expect(at('timestamp_ms', '1700000000500', {}, 'timestamp_ms')).toBe(1_700_000_000_500_000);
    // By its name alone it would be a time in 1970.
    expect(at('timestamp_ms', '1500', {}, 'timestamp_ms')).toBeNull();
    expect(at('timestamp_ms', '1500', { timestampOrigin: 1e15 }, 'timestamp_ms')).toBe(1e15 + 1_500_000);
    expect(at("epoch(t, 's') + 1", '2')).toBe(2_000_001);
    expect(at('t', '')).toBeNull();
  });
});

describe('recognise', () => {
  it.each([
    ['91.0', 91],
    ['-5', -5],
    ['0.0008010000000000001', 0.0008010000000000001],
    ['45.751999999999995', 45.751999999999995],
    ['8.0e-4', 0.0008],
    ['1e-7', 1e-7],
  ])('%s is a number', (text, value) => {
    expect(recognise(text)).toBe(value);
  });

  it.each([
    '007',
    '+1',
    '12345678901234567890',
    '12e4567',
    '1e5',
    'NaN',
    'Infinity',
    '-',
    '0x10',
    ' 1',
    '',
    '2023-01-01',
  ])('%j stays text', (text) => {
    expect(recognise(text)).toBe(text);
  });
});

describe('detectMapping', () => {
  it.each<[string[], ImportMap]>([
    [
      ['TIMESTAMP', 'ContextTokens', 'GeneratedTokens'],
      { timestamp: '"TIMESTAMP"', promptTokens: '"ContextTokens"', completionTokens: '"GeneratedTokens"' },
    ],
    [
      ['time', 'duration_s', 'cost', 'Model', 'vendor', 'success', 'event'],
      {
        timestamp: '"time"',
        latencyMs: '"duration_s" * 1000',
        costUsd: '"cost"',
        success: '"success"',
        event: '"event"',
        model: '"Model"',
        provider: '"vendor"',
      },
    ],
    [['latencyMs', 'latency_s', 'duration'], { latencyMs: '"latencyMs"' }],
    // Which of several counts, enrichment knows, record by record.
    [['completionTokens', 'output_tokens', 'provider_name', 'providerName', 'model'], { model: '"model"' }],
    [['value'], {}],
  ])('%j', (columns, map) => {
    expect(detectMapping(columns)).toEqual(map);
  });
});

describe('values beyond what an event may have', () => {
  it.each<[string, Json, RegExp]>([
    ['promptTokens', 3_000_000_000, /not a whole number of tokens up to 2147483647/],
    ['completionTokens', 1.5, /not a whole number/],
    ['promptTokens', -3, /not a whole number/],
    ['costUsd', 1e200, /beyond ±1e\+140/],
    ['latencyMs', -1e200, /beyond ±1e\+140/],
    ['success', 0.37, /neither true nor false/],
    ['success', 200, /neither true nor false/],
  ])('%s: %s is told, and stays where it was', (target, value, problem) => {
    const { record, problems } = apply({ [target]: 'x' }, { x: value }, {}, false);
    expect(record).toMatchObject({ [target]: null, metadata: { x: value }, malformedKeys: ['metadata.x'] });
    expect(problems).toEqual([expect.stringMatching(problem)]);
  });
});
