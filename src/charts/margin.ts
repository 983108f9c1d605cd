/** Where a treatment would be worse by as much as its margin. */
import type { Mark } from './histogram.js';

interface WithMargin {
  readonly better: 'higher' | 'lower' | 'neutral';
  readonly noninferiority?: { readonly margin: number } | undefined;
}

/** On the side where worse is; none where the outcome has no margin. @param factor - of its unit to the drawing's */
export function marginMarks({ better, noninferiority }: WithMargin, factor: number): Mark[] {
  if (noninferiority === undefined) return [];
  const margin = Math.abs(noninferiority.margin) * factor;
  return [{ label: 'margin', value: better === 'lower' ? margin : -margin }];
}
