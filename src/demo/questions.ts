/** The demo's questions: sums, because right and wrong can be told without a judge. */

import { Random } from './random.js';

export interface Question {
  sampleId: string;
  text: string;
  expected: string;
}

/** `count` questions for a seed; the first n of a longer list are the list of n. */
export function makeQuestions(seed: number, count: number): Question[] {
  const random = new Random(seed, 'questions');
  return Array.from({ length: count }, (_, index) => {
    const a = random.integer(100, 999);
    const b = random.integer(100, 999);
    return {
      sampleId: `q${String(index + 1).padStart(4, '0')}`,
      text: `What is ${a} + ${b}?`,
      expected: String(a + b),
    };
  });
}

/** What a model that knows, or does not know, replies to the last sum in `text`; null if there is none. */
export function answerSum(text: string, correct: boolean, random: Random): string | null {
  const sum = /(\d+) \+ (\d+)\?/.exec(text);
  if (sum === null) return null;
  const right = Number(sum[1]) + Number(sum[2]);
  return String(correct ? right : right + random.integer(1, 20) * 10);
}

/** The number a reply commits to, null if it commits to none. */
export function readAnswer(reply: string): string | null {
  return /Answer: (\d+)/.exec(reply)?.[1] ?? null;
}
