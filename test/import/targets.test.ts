import { describe, expect, it } from 'vitest';
import { compileMapping } from '../../src/import/mapping.js';
import { canonicalMap, FIELDS } from '../../src/import/targets.js';

describe('targets of a map', () => {
  it.each([
    ['latency_ms', { latencyMs: 'x' }],
    ['latency_s', { latencyMs: '(x) * 1000' }],
    ['durationNs', { latencyMs: '(x) / 1000000' }],
    ['cost', { costUsd: 'x' }],
    ['costUSD', { costUsd: 'x' }],
    ['prompt_tokens', { promptTokens: 'x' }],
    ['tokensPrompt', { promptTokens: 'x' }],
    ['gen_ai.usage.output_tokens', { completionTokens: 'x' }],
    ['event_name', { event: 'x' }],
    ['time', { timestamp: 'x' }],
    ['is_success', { success: 'x' }],
    ['vendor', { provider: 'x' }],
    ['modelName', { model: 'x' }],
  ])('%s is the field that it is a spelling of', (target, map) => {
    expect(canonicalMap({ [target]: 'x' })).toEqual(map);
  });

  it.each(['latncyMs', 'prompTokens', 'timestmp', 'models', 'latency', 'duration'])(
    '%s is refused, and says what to write',
    (target) => {
      expect(() => canonicalMap({ [target]: 'x' })).toThrow(`metadata.${target}`);
      expect(canonicalMap({ [`metadata.${target}`]: 'x' })).toEqual({ [`metadata.${target}`]: 'x' });
    },
  );

  it.each([
    'status',
    'error',
    'usage',
    'total_tokens',
    'cached_tokens',
    'region',
    'userId',
    'mode',
    'ttftMs',
  ])('%s is a key of the metadata', (target) => {
    expect(canonicalMap({ [target]: 'x' })).toEqual({ [target]: 'x' });
  });

  it('refuses two for one field', () => {
    expect(() => canonicalMap({ latencyMs: 'a', latency_s: 'b' })).toThrow(
      'map.latency_s: expected one target for latencyMs',
    );
  });

  it('puts what is said to be metadata there, whatever its name', () => {
    const { map } = compileMapping({ 'metadata.latency': 'x' }).bind({
      columns: ['x'],
      textual: true,
      isTimed: false,
    });
    expect(map({ x: '5' }, () => {})).toMatchObject({ latencyMs: null, metadata: { latency: 5 } });
  });

  it('are all told in the docs and the help', async () => {
    const { readFile } = await import('node:fs/promises');
    for (const file of ['docs/import.md', 'src/cli/commands/import.ts']) {
      const text = await readFile(file, 'utf8');
      for (const field of FIELDS) expect(text).toContain(field);
    }
  });
});
