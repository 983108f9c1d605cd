import { describe, expect, it } from 'vitest';
import { bar } from '../../../src/cli/terminal/bar.js';

describe('bar', () => {
  it.each([
    [0, ''],
    [1, '████'],
    [0.5, '██'],
    [1 / 32, '▏'],
    [0.3, '█▎'],
    [2, '████'],
    [-1, ''],
    [null, ''],
    [Number.NaN, ''],
  ])('draws %s of four columns', (share, drawn) => expect(bar(share, 4)).toBe(drawn));
});
