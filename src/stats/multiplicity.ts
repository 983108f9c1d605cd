/** Adjusting p-values for having asked several questions. */

import { ConfigError } from '../errors.js';
import { checkUnit } from './sample.js';

/** holm, hochberg and bonferroni control the family-wise error rate; bh and by the false discovery rate. */
export type AdjustmentMethod = 'holm' | 'bh' | 'by' | 'bonferroni' | 'hochberg';

/**
 * p-values to be compared with alpha as if each were alone, in the order given. holm and bonferroni hold
 * for any dependence, by too; hochberg and bh for independent or positively dependent tests.
 *
 * Source: Holm 1979; Hochberg 1988; Benjamini & Hochberg 1995; Benjamini & Yekutieli 2001.
 */
export function adjustPValues(p: ArrayLike<number>, method: AdjustmentMethod): number[] {
  if (p === null || typeof p !== 'object' || typeof p.length !== 'number') {
    throw new ConfigError('p', 'an array of p-values', p);
  }
  for (let i = 0; i < p.length; i++) checkUnit(p[i]!, `p[${i}]`);
  const m = p.length;
  // Ascending, as indices into p.
  const order = Array.from(p, (_, i) => i).sort((i, j) => p[i]! - p[j]!);
  const adjusted = new Array<number>(m);
  const stepDown = (factor: (rank: number) => number) => {
    let largest = 0;
    for (const [rank, i] of order.entries()) {
      largest = Math.max(largest, Math.min(1, factor(rank) * p[i]!));
      adjusted[i] = largest;
    }
  };
  const stepUp = (factor: (rank: number) => number) => {
    let smallest = 1;
    for (let rank = m - 1; rank >= 0; rank--) {
      const i = order[rank]!;
      smallest = Math.min(smallest, factor(rank) * p[i]!);
      adjusted[i] = smallest;
    }
  };
  switch (method) {
    case 'bonferroni':
      for (let i = 0; i < m; i++) adjusted[i] = Math.min(1, m * p[i]!);
      break;
    case 'holm':
      stepDown((rank) => m - rank);
      break;
    case 'hochberg':
      stepUp((rank) => m - rank);
      break;
    case 'bh':
      stepUp((rank) => m / (rank + 1));
      break;
    case 'by': {
      let harmonic = 0;
      for (let i = m; i >= 1; i--) harmonic += 1 / i;
      stepUp((rank) => (harmonic * m) / (rank + 1));
      break;
    }
    default:
      throw new ConfigError('method', "'holm', 'bh', 'by', 'bonferroni' or 'hochberg'", method);
  }
  return adjusted;
}
