/** What conditions accept, and the bounds by which rows are skipped. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { anyCondition, comparesBy, numberCondition, sameValue } from '../../src/schema/condition.js';
import { numberConditions } from '../support/filters.js';

const VALUES = [-1, 0, 1.5, 2, 3];

describe('a condition', () => {
  it('accepts no number outside of its bounds', () => {
    fc.assert(
      fc.property(numberConditions(VALUES), fc.constantFrom(...VALUES, 1, 2.5, -0), (wanted, value) => {
        const { accepts, least, greatest } = numberCondition('n', wanted);
        if (accepts(value)) {
          expect(value).toBeGreaterThanOrEqual(least);
          expect(value).toBeLessThanOrEqual(greatest);
        }
      }),
    );
  });

  it('holds with ne exactly where it does not with eq, and with in where it does with one of them', () => {
    const value = fc.oneof(fc.jsonValue(), fc.constantFrom(null, 1, 'a', { a: 1 }));
    fc.assert(
      fc.property(value, value, fc.array(value), (a, b, list) => {
        const eq = anyCondition('k', { eq: b }).accepts(a);
        expect(anyCondition('k', { ne: b }).accepts(a)).toBe(!eq);
        expect(eq).toBe(sameValue(a, b));
        expect(anyCondition('k', { in: [...list, b] }).accepts(a)).toBe(
          eq || anyCondition('k', { in: list }).accepts(a),
        );
      }),
    );
  });

  it.each(['gt', 'gte', 'lt', 'lte'])('of order, %s, accepts numbers only', (operator) => {
    const { accepts } = anyCondition('k', { [operator]: 5 });
    for (const value of [null, undefined, '4', '6', true, [4], [6], Number.NaN])
      expect(accepts(value)).toBe(false);
    expect(accepts(4)).toBe(operator.startsWith('l'));
    expect(accepts(5)).toBe(operator.endsWith('e'));
    expect(accepts(6)).toBe(operator.startsWith('g'));
  });

  it('on any key takes an object without operators for a value to be equal to', () => {
    expect(comparesBy({ a: 1 })).toBe(false);
    expect(comparesBy(['gt'])).toBe(false);
    expect(comparesBy({ gt: 1, a: 1 })).toBe(true);
    expect(anyCondition('k', { a: [1] }).accepts({ a: [1] })).toBe(true);
    expect(anyCondition('k', { eq: { gt: 1 } }).accepts({ gt: 1 })).toBe(true);
    expect(anyCondition('k', {}).accepts({})).toBe(true);
    expect(() => anyCondition('k', { gt: 1, a: 1 })).toThrow('k.a: expected one of the operators');
    expect(() => anyCondition('k', { in: 'ab' })).toThrow('k.in: expected an array, got "ab"');
  });

  it('leaves out operators that are undefined', () => {
    expect(numberCondition('n', { gt: 1, lt: undefined }).accepts(9)).toBe(true);
    expect(() => numberCondition('n', { gt: undefined })).toThrow('n: expected at least one of gt');
  });
});
