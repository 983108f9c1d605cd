import { describe, expect, it } from 'vitest';
import { answerSum, makeQuestions, readAnswer } from '../../src/demo/questions.js';
import { Random } from '../../src/demo/random.js';

describe('makeQuestions', () => {
  it('depends on the seed, and a shorter list is the head of a longer one', () => {
    const ten = makeQuestions(1, 10);
    expect(makeQuestions(1, 4)).toEqual(ten.slice(0, 4));
    expect(makeQuestions(2, 10)).not.toEqual(ten);
    expect(new Set(ten.map(({ sampleId }) => sampleId)).size).toBe(10);
  });

  it('expects what a knowing model answers, and nothing an unknowing one does', () => {
    for (const { text, expected } of makeQuestions(3, 50)) {
      const random = new Random(1, text);
      expect(answerSum(text, true, random)).toBe(expected);
      expect(answerSum(text, false, random)).not.toBe(expected);
    }
  });
});

describe('readAnswer', () => {
  it('reads the number, and null where there is none', () => {
    expect(readAnswer('Answer: 42 because')).toBe('42');
    expect(readAnswer('I would rather not')).toBeNull();
    expect(answerSum('Hello', true, new Random(1))).toBeNull();
  });
});
