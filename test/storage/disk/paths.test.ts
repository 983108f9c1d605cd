import { join } from 'node:path';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { NotFoundError } from '../../../src/errors.js';
import {
  compactedName,
  DOCUMENT,
  experimentFolder,
  lockName,
  parseCompactedName,
  parseLockName,
  parseSegmentName,
  parseTemporaryName,
  randomToken,
  segmentName,
  temporaryName,
} from '../../../src/storage/disk/paths.js';

describe('experimentFolder', () => {
  it('is the id within the directory', () => {
    expect(experimentFolder('data', 'a-B_9')).toBe(join('data', 'a-B_9'));
  });

  it.each(['', '.', '..', '../x', 'a/b', 'a\\b', 'a\0', 'x'.repeat(65)])('refuses the id %j', (id) => {
    expect(() => experimentFolder('data', id)).toThrow(NotFoundError);
  });
});

describe('segment names', () => {
  it('have six digits, and more when needed', () => {
    expect(segmentName(1)).toBe('000001.arrows');
    expect(compactedName(42)).toBe('000042.parquet');
    expect(segmentName(1_234_567)).toBe('1234567.arrows');
  });

  it('give their number back, and sort by it up to six digits', () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 2 ** 40 }), (segment) => {
        expect(parseSegmentName(segmentName(segment))).toBe(segment);
        expect(parseCompactedName(compactedName(segment))).toBe(segment);
        expect(parseSegmentName(compactedName(segment))).toBeUndefined();
        expect(parseCompactedName(segmentName(segment))).toBeUndefined();
      }),
    );
  });

  it.each([
    '',
    '.arrows',
    '1.arrows',
    '000000.arrows',
    '0000001.arrows',
    '-00001.arrows',
    '+00001.arrows',
    '00001e.arrows',
    ' 000001.arrows',
    '000001.arrows ',
    '000001.ARROWS',
    '000001.arrows.bak',
    '99999999999999999999.arrows',
    DOCUMENT,
  ])('are not %j', (name) => {
    expect(parseSegmentName(name)).toBeUndefined();
  });
});

describe('temporary names', () => {
  it('give back what they stand for', () => {
    const name = temporaryName(DOCUMENT);
    expect(name).toMatch(/^\.tmp-/);
    expect(parseTemporaryName(name)).toBe(DOCUMENT);
    expect(parseTemporaryName(temporaryName('a-b', '0123456789abcdef'))).toBe('a-b');
  });

  it.each([
    DOCUMENT,
    '.tmp-',
    '.tmp-0123456789abcdef-',
    '.tmp-0123456789ABCDEF-a',
    'x.tmp-0123456789abcdef-a',
  ])('are not %j', (name) => {
    expect(parseTemporaryName(name)).toBeUndefined();
  });

  it('differ', () => {
    expect(temporaryName(DOCUMENT)).not.toBe(temporaryName(DOCUMENT));
  });

  it('are no segments', () => {
    expect(parseSegmentName(temporaryName(segmentName(1)))).toBeUndefined();
  });
});

describe('lock names', () => {
  it('give their process back', () => {
    expect(lockName(42, '0123456789abcdef')).toBe('writer-42-0123456789abcdef.lock');
    expect(parseLockName(lockName(4_194_304, randomToken()))).toBe(4_194_304);
  });

  it.each(['writer-1.lock', 'writer-0-0123456789abcdef.lock', 'writer-1-0123456789abcde.lock', DOCUMENT])(
    'are not %j',
    (name) => {
      expect(parseLockName(name)).toBeUndefined();
    },
  );
});
