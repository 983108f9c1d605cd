import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { intervalPlot } from '../../../src/cli/terminal/interval-plot.js';

describe('a drawn interval', () => {
  it.each<[string, number, [number, number], string]>([
    ['below no difference', -3, [-4, -2], '├─●─┤    │        '],
    ['above it', 3, [2, 4], '         │    ├─●─┤'],
    ['around it', 1, [-2, 4], '    ├────┼─●──────┤'],
    ['at it', 0, [-4, 4], '├────────●────────┤'],
    ['without width', 4, [4, 4], '         │        ●'],
  ])('%s', (_, estimate, interval, drawn) => {
    expect(intervalPlot(estimate, interval, 19).trimEnd()).toBe(drawn.trimEnd());
  });

  it.each<[number | null, [number, number] | null]>([
    [null, null],
    [1, null],
    [0, [0, 0]],
    [1, [Number.NEGATIVE_INFINITY, 1]],
  ])('is blank where there is nothing to draw: %o %o', (estimate, interval) => {
    expect(intervalPlot(estimate, interval, 9)).toBe(' '.repeat(9));
  });

  it('is as wide as it is to be, whatever the figures', () => {
    const figure = fc.double({ noNaN: true, noDefaultInfinity: true, min: -1e12, max: 1e12 });
    fc.assert(
      fc.property(fc.tuple(figure, figure, figure), fc.integer({ min: 2, max: 40 }), (figures, half) => {
        const [low, estimate, high] = figures.toSorted((a, b) => a - b) as [number, number, number];
        expect(intervalPlot(estimate, [low, high], 2 * half + 1)).toHaveLength(2 * half + 1);
      }),
    );
  });
});
