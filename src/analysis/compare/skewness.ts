/** What skewness does to differences of arms that are not of one size, and from where on nothing can be said of them. */
import { correctedForSkewness, type StudentTest } from '../../stats/skewed.js';

/** Of the difference: below the first it hardly matters, and above the second nothing can be said. */
const CORRECTED_FROM = 0.1;
export const CORRECTED_TO = 0.7;

/** A test of a difference, corrected for its skewness where that matters. */
export function correctedWhereSkewed<T extends StudentTest>(
  test: T,
  skewness: number | null,
  alpha: number,
): T {
  const matters = Math.abs(skewness ?? 0) >= CORRECTED_FROM;
  return matters ? correctedForSkewness(test, skewness, { alpha }) : test;
}

/**
 * How many values (or units) the smaller arm would need for its estimate to be near enough to normal; null where it is.
 * @param skewness - of the difference
 * @param fewest - that it has
 * @param most - skewness that is near enough
 */
export function neededWhereSkewed(skewness: number | null, fewest: number, most: number): number | null {
  const size = Math.abs(skewness ?? 0);
  return size <= most ? null : Math.ceil(fewest * (size / most) ** 2);
}
