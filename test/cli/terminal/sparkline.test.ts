import { describe, expect, it } from 'vitest';
import { sparkline } from '../../../src/cli/terminal/sparkline.js';

describe('sparkline', () => {
  it('spreads values over the bars, keeps gaps and the last values', () => {
    expect(sparkline([0, 1, 2, 3, 4, 5, 6, 7], 8)).toBe('▁▂▃▄▅▆▇█');
    expect(sparkline([1, null, 2], 8)).toBe('▁ █');
    expect(sparkline([9, 9, 1, 2], 2)).toBe('▁█');
    expect(sparkline([5, 5], 8)).toBe('▁▁');
    expect(sparkline([], 8)).toBe('');
    expect(sparkline([5, 20], 8, { low: 0, high: 10 })).toBe('▅█');
  });
});
