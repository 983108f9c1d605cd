import { describe, expect, it } from 'vitest';
import { type AnswerPlan, firstTokenQuantileMs, MODEL_PROFILES, planAnswer } from '../../src/demo/traffic.js';

const large = MODEL_PROFILES[0]!;
const N = 8000;
const plans = Array.from({ length: N }, (_, i) =>
  planAnswer(large, { seed: 5, conversation: `question ${i}`, attempt: 0 }),
);

function quantile(pick: (plan: AnswerPlan) => number, p: number, of = plans): number {
  const sorted = Float64Array.from(of, pick).sort();
  return sorted[Math.round(p * (sorted.length - 1))]!;
}

describe('planAnswer', () => {
  it('is a pure function of model and key', () => {
    const key = { seed: 1, conversation: 'What is 1 + 1?', attempt: 0 };
    expect(planAnswer(large, key)).toEqual(planAnswer(large, key));
  });

  it('draws times anew for another attempt, but neither tokens nor knowledge', () => {
    const key = { seed: 1, conversation: 'What is 1 + 1?', attempt: 0 };
    const first = planAnswer(large, key);
    const second = planAnswer(large, { ...key, attempt: 1 });
    expect(second.firstTokenMs).not.toBe(first.firstTokenMs);
    expect(second.promptTokens).toBe(first.promptTokens);
    expect(second.completionTokens).toBe(first.completionTokens);
    expect(second.correct).toBe(first.correct);
  });

  it('gives all models the same question, and each its own knowledge', () => {
    const of = (index: number) =>
      Array.from({ length: 200 }, (_, i) =>
        planAnswer(MODEL_PROFILES[index]!, { seed: 1, conversation: `q ${i}`, attempt: 0 }),
      );
    const [a, b] = [of(0), of(1)];
    expect(a.map((p) => p.promptTokens)).toEqual(b.map((p) => p.promptTokens));
    expect(a.map((p) => p.correct)).not.toEqual(b.map((p) => p.correct));
  });

  it('keeps the shape of the trace: token quantiles, time to first token, slow starts', () => {
    expect(quantile((p) => p.promptTokens, 0.5)).toBeGreaterThan(950);
    expect(quantile((p) => p.promptTokens, 0.5)).toBeLessThan(1090);
    expect(quantile((p) => p.completionTokens, 0.9)).toBeGreaterThan(415);
    expect(quantile((p) => p.completionTokens, 0.9)).toBeLessThan(435);

    const served = plans.filter(({ outcome }) => outcome === 'ok');
    expect(quantile((p) => p.firstTokenMs, 0.5, served)).toBeGreaterThan(1188);
    expect(quantile((p) => p.firstTokenMs, 0.5, served)).toBeLessThan(1500);
    expect(quantile((p) => p.firstTokenMs, 0.99, served)).toBeGreaterThan(45_000);
    expect(Math.max(...plans.map((p) => p.firstTokenMs))).toBeLessThanOrEqual(large.firstToken.maxMs);
  });

  it('fails as often as the profile says, and a dropped answer is cut short', () => {
    const share = (outcome: string) => plans.filter((p) => p.outcome === outcome).length / N;
    expect(share('rate_limited')).toBeCloseTo(large.failures.rateLimited, 1);
    expect(share('ok')).toBeGreaterThan(0.93);
    expect(share('ok')).toBeLessThan(0.96);
    const dropped = plans.filter((p) => p.outcome === 'dropped');
    expect(dropped.length).toBeGreaterThan(0);
    expect(dropped.every((p) => p.tokensSent < p.completionTokens)).toBe(true);
  });
});

describe('firstTokenQuantileMs', () => {
  it('rises with the probability and separates the body from the slow starts', () => {
    const [body, slow] = [firstTokenQuantileMs(large, 0.8), firstTokenQuantileMs(large, 0.95)];
    expect(body).toBeLessThan(2500);
    expect(slow).toBeGreaterThan(10_000);
  });
});
