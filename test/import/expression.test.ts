import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { ConfigError } from '../../src/errors.js';
import { compileExpression, EvaluationError } from '../../src/import/evaluate.js';
import { parseExpression } from '../../src/import/expression.js';
import type { Json } from '../../src/schema/event.js';

const evaluate = (source: string, record: Record<string, Json> = {}) =>
  compileExpression(parseExpression(source, 'map.x'), 'map.x')(record);

const row = {
  n: '2.5',
  empty: '',
  word: 'abc',
  flag: 'False',
  id: '007',
  nested: { a: { b: 3 } },
  zero: 0,
  'a.b': 9,
};

describe('expressions', () => {
  it.each<[string, Json]>([
    ['n * 1000', 2500],
    ['1 + 2 * 3 - -4 % 3', 8],
    ['(1 + 2) * 3', 9],
    ['10 - 4 - 3', 3],
    ['empty + 1', null],
    ['-n', -2.5],
    ["error_code == ''", true],
    ["empty == ''", true],
    ['empty == null', true],
    ["null == ''", true],
    ['zero == null', false],
    ["word != ''", true],
    ["id == '7'", false],
    ['id == 7', true],
    ['n == 2.5', true],
    ['flag == false', true],
    ['!flag', true],
    ['n < 10', true],
    ["'10' < '9'", false],
    ["word < 'b'", true],
    ['empty < 1', false],
    ['zero || word', true],
    ['word && empty', false],
    ['1 ? 2 ? 3 : 4 : 5', 3],
    ['0 ? 1 : 0 ? 2 : 3', 3],
    ["'it''s'", "it's"],
    ['nested.a.b', 3],
    ['a.b', 9],
    ['`a.b` + "n"', 11.5],
    ['nested.a.missing', null],
    ['toString', null],
    ["number('x')", null],
    ["number(' 91.0 ')", 91],
    ["number('0x10')", null],
    ['string(n)', '2.5'],
    ['upper(trim(concat(word, 1)))', 'ABC1'],
    ["lower('ÀB')", 'àb'],
    ['round(1.005, 2)', 1.01],
    ['round(-2.5)', -3],
    ['round(0.49999999999999994)', 0],
    ['floor(-n)', -3],
    ['abs(-n)', 2.5],
    ["coalesce(empty, null, 'x')", 'x'],
    ["if(n > 2, 'big', 'small')", 'big'],
    ['if(false, 1)', null],
    ["epoch('1970-01-01 00:00:01')", 1_000_000],
    ["parseTime(5, 'ms')", 5000],
    ['nested == nested', true],
    ['true', true],
  ])('%s is %j', (source, expected) => {
    expect(evaluate(source, row)).toEqual(expected);
  });

  it('has no value where arithmetic meets a word', () => {
    expect(() => evaluate('word * 2', row)).toThrow(EvaluationError);
    expect(() => evaluate("epoch('soon')", row)).toThrow(EvaluationError);
  });

  it.each([
    ['', 'position 1'],
    ['1 +', 'position 4'],
    ['a = 1', 'position 3'],
    ['(a', 'position 3'],
    ['a b', 'position 3'],
    ["'open", 'position 1'],
    ['a ? b', 'position 6'],
    ['eval(1)', 'position 1'],
    ['constructor(1)', 'position 1'],
    ['lower()', '1 arguments for lower at position 1'],
    ["epoch(a, 'weeks')", 'a unit'],
    [`${'('.repeat(200)}1${')'.repeat(200)}`, 'levels of nesting'],
    [`${'-'.repeat(200)}1`, 'levels of nesting'],
  ])('refuses %j, naming the place', (source, message) => {
    try {
      evaluate(source);
      expect.unreachable();
    } catch (error) {
      expect(error).toMatchObject({ code: 'ERR_CONFIG_INVALID', context: { path: 'map.x' } });
      expect((error as ConfigError).message).toContain(message);
    }
  });

  it('agrees with a reference evaluation, with only the parentheses that precedence needs', () => {
    fc.assert(
      fc.property(tree, ({ text, value }) => {
        expect(evaluate(text)).toEqual(value);
      }),
      { numRuns: 1000 },
    );
  });
});

/** A random expression: its text, its binding strength and what it must evaluate to. */
interface Sample {
  text: string;
  strength: number;
  value: number | boolean;
}

type Apply = (a: number, b: number) => number | boolean;

const STRENGTH = { ternary: 0, or: 1, and: 2, equal: 3, order: 4, sum: 5, product: 6, unary: 7, primary: 8 };

const OPERATORS: readonly (readonly [string, number, Apply])[] = [
  ['||', STRENGTH.or, (a, b) => truthy(a) || truthy(b)],
  ['&&', STRENGTH.and, (a, b) => truthy(a) && truthy(b)],
  ['==', STRENGTH.equal, (a, b) => a === b],
  ['!=', STRENGTH.equal, (a, b) => a !== b],
  ['<', STRENGTH.order, (a, b) => a < b],
  ['<=', STRENGTH.order, (a, b) => a <= b],
  ['>', STRENGTH.order, (a, b) => a > b],
  ['>=', STRENGTH.order, (a, b) => a >= b],
  ['+', STRENGTH.sum, (a, b) => a + b],
  ['-', STRENGTH.sum, (a, b) => a - b],
  ['*', STRENGTH.product, (a, b) => a * b],
  ['/', STRENGTH.product, (a, b) => a / b],
  ['%', STRENGTH.product, (a, b) => a % b],
];

function truthy(value: number | boolean): boolean {
  return Boolean(value);
}

const wrap = (sample: Sample, least: number) => (sample.strength < least ? `(${sample.text})` : sample.text);

const leaf: fc.Arbitrary<Sample> = fc
  .oneof(
    fc.double({ min: 0, max: 1e6, noNaN: true }).map((value) => ({ text: String(value), value })),
    fc.nat(9).map((value) => ({ text: String(value), value })),
    fc.boolean().map((value) => ({ text: String(value), value })),
  )
  .map((sample) => ({ ...sample, strength: STRENGTH.primary }));

const { tree } = fc.letrec<{ tree: Sample }>((tie) => ({
  tree: fc.oneof(
    { depthSize: 'small', withCrossShrink: true },
    leaf,
    fc
      .tuple(fc.constantFrom(...OPERATORS), tie('tree'), tie('tree'))
      .map(([[operator, strength, apply], left, right]) => ({
        text: `${wrap(left, strength)} ${operator} ${wrap(right, strength + 1)}`,
        strength,
        value: apply(Number(left.value), Number(right.value)),
      })),
    fc.tuple(fc.constantFrom('-', '!'), tie('tree')).map(([operator, operand]) => ({
      text: `${operator}${wrap(operand, STRENGTH.unary)}`,
      strength: STRENGTH.unary,
      value: operator === '-' ? -Number(operand.value) : !truthy(operand.value),
    })),
    fc.tuple(tie('tree'), tie('tree'), tie('tree')).map(([test, then, otherwise]) => ({
      text: `${wrap(test, STRENGTH.or)} ? ${then.text} : ${otherwise.text}`,
      strength: STRENGTH.ternary,
      value: truthy(test.value) ? then.value : otherwise.value,
    })),
  ),
}));
