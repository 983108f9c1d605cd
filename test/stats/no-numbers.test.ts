/** Special functions of what is no number are NaN, and end. */
import { describe, expect, it } from 'vitest';
import {
  betaQuantile,
  chiSquareSurvival,
  erfc,
  fSurvival,
  incompleteBeta,
  incompleteGamma,
  kolmogorovSurvival,
  logBeta,
  logGamma,
  noncentralStudentSurvival,
  normalCdf,
  normalQuantile,
  normalSurvival,
  studentSurvival,
  studentUpperQuantile,
} from '../../src/stats/index.js';

type Call = (...args: number[]) => number | { lower: number; upper: number };

/** Each with arguments that it has a value for. */
const FUNCTIONS: readonly [name: string, call: Call, args: readonly number[]][] = [
  ['betaQuantile', betaQuantile, [0.3, 2, 3]],
  ['chiSquareSurvival', chiSquareSurvival, [3, 2]],
  ['erfc', erfc, [1]],
  ['fSurvival', fSurvival, [2, 3, 4]],
  ['incompleteBeta', incompleteBeta, [2, 3, 0.25, 0.75]],
  ['incompleteGamma', incompleteGamma, [2, 3]],
  ['kolmogorovSurvival', kolmogorovSurvival, [1]],
  ['logBeta', logBeta, [2, 3]],
  ['logGamma', logGamma, [3]],
  ['noncentralStudentSurvival', noncentralStudentSurvival, [1, 5, 2]],
  ['normalCdf', normalCdf, [1]],
  ['normalQuantile', normalQuantile, [0.4]],
  ['normalSurvival', normalSurvival, [1]],
  ['studentSurvival', studentSurvival, [2, 10]],
  ['studentUpperQuantile', studentUpperQuantile, [0.1, 5]],
];

function valuesOf(result: ReturnType<Call>): number[] {
  return typeof result === 'number' ? [result] : [result.lower, result.upper];
}

describe.each(FUNCTIONS)('%s', (_, call, args) => {
  it('has a value where all are numbers', () => {
    for (const value of valuesOf(call(...args))) expect(value).toBeTypeOf('number');
    for (const value of valuesOf(call(...args))) expect(value).not.toBeNaN();
  });

  it('is NaN where one is NaN or missing', () => {
    for (let i = 0; i < args.length; i++) {
      for (const value of valuesOf(call(...args.with(i, Number.NaN)))) expect(value).toBeNaN();
      for (const value of valuesOf(call(...args.slice(0, i)))) expect(value).toBeNaN();
    }
  });

  it('ends where one is infinite, 0 or negative', () => {
    for (const odd of [Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY, 0, -1e9, -1.5]) {
      for (let i = 0; i < args.length; i++) expect(valuesOf(call(...args.with(i, odd)))).toBeDefined();
    }
  });
});

describe('limits', () => {
  it('are those of the normal distribution', () => {
    expect([normalSurvival(Number.POSITIVE_INFINITY), normalCdf(Number.POSITIVE_INFINITY)]).toEqual([0, 1]);
    expect(studentSurvival(1.5, Number.POSITIVE_INFINITY)).toBe(normalSurvival(1.5));
    expect([betaQuantile(0, 1, 2), betaQuantile(1, 1, 2)]).toEqual([0, 1]);
    expect([logGamma(0), logGamma(-0.5)]).toEqual([Number.POSITIVE_INFINITY, Number.NaN]);
  });
});
