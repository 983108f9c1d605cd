/** Histograms of one or several distributions. */
import { BOTTOM, LEFT, logScale, logTicks, number, plain, RIGHT } from './scale.js';
import { type Shape, shape } from './shape.js';

/** From, to (excluded) and how many. */
export type Bin = readonly [low: number, high: number, count: number];

export interface Distribution {
  readonly label: string;
  /** By its name in the style sheet. */
  readonly colour: string;
  readonly bins: readonly Bin[];
}

export interface Mark {
  readonly label: string;
  readonly value: number | null;
}

/** Values on a scale that grows by factors; null where there are none above 0. */
export function histogramShape(
  title: string,
  unit: string,
  distributions: readonly Distribution[],
  marks: readonly Mark[],
  width: number,
): Shape | null {
  const height = 220;
  const positive = distributions.map(({ bins }) => bins.filter(([low]) => low > 0));
  const all = positive.flat();
  if (all.length === 0) return null;
  const low = Math.min(...all.map(([from]) => from));
  const high = Math.max(...all.map(([, to]) => to));
  const x = logScale(low, high, width);
  const totals = positive.map((bins) => bins.reduce((sum, [, , n]) => sum + n, 0));
  const heights = positive.map(
    (
      bins,
      d, // Bins differ in width: an area is a share.
    ) => bins.map(([from, to, n]) => n / Math.max(1, totals[d] as number) / Math.log2(to / from)),
  );
  const top = Math.max(...heights.flat(), 0.001);
  const y = (share: number) => height - BOTTOM - (share / top) * (height - BOTTOM - 16);
  const bars = positive.flatMap((bins, d) => {
    const { colour, label } = distributions[d] as Distribution;
    return bins.map(([from, to, n], i) => {
      const share = heights[d]?.[i] ?? 0;
      return shape(
        'rect',
        {
          class: `bar fill-${colour}`,
          x: x(from),
          y: y(share),
          width: Math.max(1, x(to) - x(from) - (distributions.length > 1 ? 0 : 0.8)),
          height: Math.max(0, height - BOTTOM - y(share)),
        },
        shape(
          'title',
          {},
          `${label}: ${number(from)} to ${number(to)} ${unit}: ${n.toLocaleString('en-US')} (${((100 * n) / Math.max(1, totals[d] as number)).toFixed(2)} %)`,
        ),
      );
    });
  });
  const lines = marks
    .filter(
      (mark): mark is { label: string; value: number } =>
        mark.value !== null && mark.value >= low && mark.value <= high,
    )
    .map(({ label, value }, i) =>
      shape(
        'g',
        { class: 'mark' },
        shape('line', { x1: x(value), x2: x(value), y1: 12 + (i % 3) * 13, y2: height - BOTTOM }),
        shape('text', { x: x(value) + 3, y: 20 + (i % 3) * 13 }, label),
      ),
    );
  const shares = [0, top / 2, top];
  return shape(
    'svg',
    {
      viewBox: `0 0 ${width} ${height}`,
      role: 'img',
      'aria-label': `${title}, histogram in ${unit}. The button Table has the numbers.`,
    },
    ...shares.flatMap((share) => [
      shape('line', { class: 'grid', x1: LEFT, x2: width - RIGHT, y1: y(share), y2: y(share) }),
      shape('text', { class: 'tick end', x: LEFT - 6, y: y(share) + 4 }, `${number(share * 100, 2)} %`),
    ]),
    ...bars,
    ...lines,
    ...logTicks(low, high).flatMap((tick) => [
      shape('line', {
        class: 'grid',
        x1: x(tick),
        x2: x(tick),
        y1: height - BOTTOM,
        y2: height - BOTTOM + 4,
      }),
      shape('text', { class: 'tick middle', x: x(tick), y: height - BOTTOM + 17 }, plain(tick)),
    ]),
    shape(
      'text',
      { class: 'tick end', x: width - RIGHT, y: height - 3 },
      `${unit}, logarithmic; height: share per doubling`,
    ),
  );
}
