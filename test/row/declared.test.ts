import { expect, it } from 'vitest';
import { absentCode, declaredValue, FALSE, isAbsent, isWordColumn, TRUE } from '../../src/row/declared.js';
import { COLUMN_TYPES } from '../../src/schema/columns.js';

it.each(COLUMN_TYPES)('%s: what stands for no value is none, and no value stands for it', (type) => {
  expect(isAbsent(type, absentCode(type))).toBe(true);
  for (const code of isWordColumn(type) ? [FALSE, TRUE] : [0, -1, 1.5])
    expect(isAbsent(type, code)).toBe(false);
});

it('a value is what was declared', () => {
  const text = (id: number) => `text ${id}`;
  expect(declaredValue('bool', TRUE, text)).toBe(true);
  expect(declaredValue('bool', FALSE, text)).toBe(false);
  expect(declaredValue('dict', 3, text)).toBe('text 3');
  expect(declaredValue('i32', -3, text)).toBe(-3);
});
