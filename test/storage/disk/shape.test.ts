import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { StorageError } from '../../../src/errors.js';
import { isNumber, isObject, isText, oneOf, orNull, requireShape } from '../../../src/storage/disk/shape.js';

const SHAPE = {
  name: isText,
  kind: oneOf('a', 'b', null),
  at: orNull(isNumber),
  inner: { free: isObject },
  list: [{ rows: isNumber }],
} as const;
const whole = (): Record<string, unknown> => ({
  name: 'n',
  kind: 'a',
  at: null,
  inner: { free: {} },
  list: [{ rows: 1 }, { rows: 2 }],
});

describe('requireShape', () => {
  it('takes what fits, and what there is beside', () => {
    requireShape(whole(), SHAPE, 'p');
    requireShape({ ...whole(), kind: null, at: 5, list: [], later: 1 }, SHAPE, 'p');
  });

  it.each<[object, string]>([
    [{ name: 5 }, 'name'],
    [{ kind: 'c' }, 'kind'],
    [{ at: 'soon' }, 'at'],
    [{ at: undefined }, 'at'],
    [{ inner: null }, 'inner'],
    [{ inner: [] }, 'inner'],
    [{ inner: { free: [] } }, 'inner.free'],
    [{ list: { rows: 1 } }, 'list'],
    [{ list: [{ rows: 1 }, { rows: '2' }] }, 'list.1.rows'],
    [{ list: [null] }, 'list.0'],
  ])('says where %j does not', (change, where) => {
    const error = expect.objectContaining({ code: 'ERR_SEGMENT_VERSION', context: { path: 'p', where } });
    const require = () => requireShape({ ...whole(), ...change }, SHAPE, 'p');
    expect(require).toThrow(StorageError);
    expect(require).toThrow(error);
  });

  it('throws nothing else, whatever there is', () => {
    const outcomeOf = (value: unknown) => {
      try {
        requireShape(value, SHAPE, 'p');
        return 'fits';
      } catch (error) {
        return (error as StorageError).code;
      }
    };
    fc.assert(
      fc.property(fc.anything({ withNullPrototype: true }), (value) => {
        expect(outcomeOf(value)).toBe('ERR_SEGMENT_VERSION');
        expect(outcomeOf({ ...whole(), inner: value, list: [value] })).toBe('ERR_SEGMENT_VERSION');
      }),
    );
    expect(outcomeOf(whole())).toBe('fits');
  });
});
