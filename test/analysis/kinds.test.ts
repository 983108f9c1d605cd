/** Which events are compared with each other. */
import { describe, expect, it } from 'vitest';
import { chooseKind, kindOf } from '../../src/analysis/kinds.js';

describe('kinds of events', () => {
  it('are what a span was, however it ended; its beginning is none', () => {
    expect(kindOf('req_llm.request.stop')).toBe('req_llm.request');
    expect(kindOf('req_llm.request.exception')).toBe('req_llm.request');
    expect(kindOf('req_llm.request.start')).toBeNull();
    expect(kindOf('llm')).toBe('llm');
    expect(kindOf('.stop')).toBe('.stop');
  });

  const chosen = (arms: Record<string, number>[], asked?: string) => {
    const { event, names, isMixture } = chooseKind(arms, asked);
    return { event, names: names && [...names], isMixture };
  };

  it('are compared of which the arm that has fewest has most', () => {
    expect(chosen([{ llm: 100 }, { llm: 100, tool: 500 }])).toEqual({
      event: 'llm',
      names: ['llm'],
      isMixture: false,
    });
    expect(
      chosen([
        { a: 5, b: 5 },
        { b: 5, a: 5 },
      ]).event,
    ).toBe('a');
  });

  it('hold successes and failures, and no beginnings', () => {
    const arm = { 'r.start': 900, 'r.stop': 80, 'r.exception': 20, other: 99 };
    expect(chosen([arm, arm])).toEqual({ event: 'r', names: ['r.exception', 'r.stop'], isMixture: false });
    expect(chosen([{ 'r.start': 5, 'r.stop': 5 }, { 'r.stop': 9 }])).toMatchObject({
      event: 'r.stop',
      names: ['r.stop'],
    });
    expect(chosen([{ 'r.start': 5 }, { 'r.start': 5 }]).names).toEqual([]);
  });

  it('are all of them, and called a mixture, where the arms share none', () => {
    expect(chosen([{ a: 5, 'a.start': 5 }, { b: 5 }])).toEqual({
      event: 'all',
      names: ['a', 'b'],
      isMixture: true,
    });
    expect(chosen([{ a: 5 }, {}])).toEqual({ event: 'a', names: ['a'], isMixture: false });
  });

  it('are what was asked for', () => {
    const arms: Record<string, number>[] = [{ 'r.stop': 5, 'r.exception': 5, r: 1 }, { 'r.stop': 5 }];
    expect(chosen(arms, 'all').names).toBeNull();
    expect(chosen(arms, 'r.stop').names).toEqual(['r.stop']);
    expect(chosen(arms, 'r').names).toEqual(['r']);
    expect(chosen([{ 'r.stop': 5, 'r.exception': 5 }], 'r').names).toEqual(['r.exception', 'r.stop']);
    expect(chosen(arms, 'other').names).toEqual(['other']);
  });
});
