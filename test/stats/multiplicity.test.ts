import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type AdjustmentMethod, adjustPValues } from '../../src/stats/multiplicity.js';
import { describeWithFixture } from '../support/fixtures.js';
import { expectRelative } from '../support/numeric.js';

const METHODS: AdjustmentMethod[] = ['holm', 'bh', 'by', 'bonferroni', 'hochberg'];

describeWithFixture<{ p: number[]; adjusted: Record<AdjustmentMethod, number[]> }[]>(
  'stats/multiplicity.json',
  (cases) => {
    for (const [i, { p, adjusted }] of cases.entries()) {
      it(`set ${i} of ${p.length}: all five methods agree to 1e-12`, () => {
        for (const method of METHODS) {
          for (const [k, value] of adjustPValues(p, method).entries()) {
            expectRelative(value, adjusted[method][k]!, 1e-12, `${method}[${k}]`);
          }
        }
      });
    }
  },
);

describe('adjustPValues', () => {
  const anyPs = fc.array(fc.double({ min: 0, max: 1, noNaN: true }), { maxLength: 30 });

  it('never lowers a p-value, never exceeds 1, and keeps their order', () => {
    fc.assert(
      fc.property(anyPs, fc.constantFrom(...METHODS), (p, method) => {
        const adjusted = adjustPValues(p, method);
        for (let i = 0; i < p.length; i++) {
          expect(adjusted[i]).toBeGreaterThanOrEqual(p[i]! * (1 - 1e-15));
          expect(adjusted[i]).toBeLessThanOrEqual(1);
          for (let j = 0; j < p.length; j++) {
            if (p[i]! < p[j]!) expect(adjusted[i]).toBeLessThanOrEqual(adjusted[j]!);
          }
        }
      }),
    );
  });

  it('orders the methods by how much they ask for: bh, hochberg, holm, bonferroni', () => {
    fc.assert(
      fc.property(anyPs, (p) => {
        const [bh, hochberg, holm, bonferroni] = (['bh', 'hochberg', 'holm', 'bonferroni'] as const).map(
          (method) => adjustPValues(p, method),
        );
        for (let i = 0; i < p.length; i++) {
          expect(bh![i]).toBeLessThanOrEqual(hochberg![i]! * (1 + 1e-14));
          expect(hochberg![i]).toBeLessThanOrEqual(holm![i]! * (1 + 1e-14));
          expect(holm![i]).toBeLessThanOrEqual(bonferroni![i]! * (1 + 1e-14));
        }
      }),
    );
  });

  it('leaves one p-value alone, and its input as it was', () => {
    for (const method of METHODS) expect(adjustPValues([0.03], method)).toEqual([0.03]);
    const p = [0.5, 0.01];
    adjustPValues(p, 'holm');
    expect(p).toEqual([0.5, 0.01]);
    expect(adjustPValues([], 'bh')).toEqual([]);
  });

  it('refuses what is not a probability and methods it does not know', () => {
    for (const call of [
      () => adjustPValues([0.1, 1.1], 'holm'),
      () => adjustPValues([-0.1], 'bh'),
      () => adjustPValues([Number.NaN], 'bh'),
      () => adjustPValues([0.1], 'fdr' as 'bh'),
      () => adjustPValues(0.1 as unknown as number[], 'bh'),
    ]) {
      expect(call).toThrow(expect.objectContaining({ code: 'ERR_CONFIG_INVALID' }));
    }
  });
});
