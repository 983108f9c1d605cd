import { describe, expect, it } from 'vitest';
import { UsageError } from '../../src/cli/errors.js';
import { readOutcome, readQuestion } from '../../src/cli/outcomes.js';

describe('readOutcome', () => {
  it.each([
    ['latencyMean', 'latencyMean'],
    ['score', { of: 'score' }],
    ['ttftMs.p95', { of: 'ttftMs', summary: { quantile: 0.95 } }],
    ['ttftMs.p99.9', { of: 'ttftMs', summary: { quantile: 0.9990000000000001 } }],
    ['costUsd/success', { of: 'costUsd', per: 'success' }],
  ])('reads %s', (text, outcome) => {
    const read = readOutcome(text, '--of', 'metrics');
    if (typeof outcome !== 'object' || !('summary' in outcome)) expect(read).toEqual(outcome);
    else
      expect(read).toEqual({ ...outcome, summary: { quantile: expect.closeTo(outcome.summary!.quantile) } });
  });

  it.each(['', '/success', 'costUsd/', 'a/b/c'])('refuses %j', (text) => {
    expect(() => readOutcome(text, '--of', 'metrics')).toThrow(UsageError);
  });
});

describe('readQuestion', () => {
  it.each([
    ['successRate', 'successRate'],
    ['score:primary', { of: 'score', role: 'primary' }],
    ['latencyMs:guardrail:margin=5%', { of: 'latencyMs', role: 'guardrail', margin: { relative: 0.05 } }],
    ['latencyMs:guardrail:margin=20', { of: 'latencyMs', role: 'guardrail', margin: 20 }],
    ['score.p10:higher', { of: 'score', summary: { quantile: 0.1 }, direction: 'higher' }],
    ['costUsd/success:lower:as=price', { of: 'costUsd', per: 'success', direction: 'lower', name: 'price' }],
    ['tokensTotal:covariate=tokensBefore', { of: 'tokensTotal', covariate: 'tokensBefore' }],
  ])('reads %s', (text, question) => {
    expect(readQuestion(text, '--metrics', 'compare')).toEqual(question);
  });

  it.each([
    'score:best',
    'score:margin=',
    'score:margin=-1',
    'score:margin=5%%',
    'score:',
    'successRate:primary',
  ])('refuses %j, and says what may stand there', (text) => {
    expect(() => readQuestion(text, '--metrics', 'compare')).toThrow(UsageError);
    expect(() => readQuestion(text, '--metrics', 'compare')).toThrow(
      /--metrics expects .*(margin=5%|measure)/,
    );
  });
});
