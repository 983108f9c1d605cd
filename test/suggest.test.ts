import { describe, expect, it } from 'vitest';
import { editDistance, suggest } from '../src/suggest.js';

describe('editDistance', () => {
  it.each([
    ['', 'abc', 3],
    ['demo', 'demo', 0],
    ['dmeo', 'demo', 1],
    ['imprt', 'import', 1],
    ['kitten', 'sitting', 3],
  ])('of %s and %s is %i', (a, b, distance) => {
    expect(editDistance(a, b)).toBe(distance);
    expect(editDistance(b, a)).toBe(distance);
  });
});

describe('suggest', () => {
  it('finds a slip, and leaves another word alone', () => {
    expect(suggest('mertics', ['metrics', 'demo'])).toBe('metrics');
    expect(suggest('serve', ['metrics', 'demo'])).toBeNull();
    expect(suggest('x', ['demo'])).toBeNull();
  });
});
