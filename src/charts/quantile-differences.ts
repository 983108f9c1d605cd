/** By how much each quantile differs: whether the fast got faster, or the slow. */
import { BOTTOM, LEFT, linearTicks, number, RIGHT } from './scale.js';
import { type Shape, shape } from './shape.js';

export interface CurvePoint {
  readonly p: number;
  readonly difference: number | null;
  readonly interval: readonly [number, number] | null;
}

export interface Curve {
  readonly label: string;
  readonly colour: string;
  readonly points: readonly CurvePoint[];
}

/** Null where there are too few values for quantiles. */
export function quantileDifferencesShape(
  title: string,
  unit: string,
  curves: readonly Curve[],
  width: number,
): Shape | null {
  const height = 240;
  const values = curves
    .flatMap(({ points }) => points.flatMap(({ difference, interval }) => [difference, ...(interval ?? [])]))
    .filter((value): value is number => value !== null && Number.isFinite(value));
  if (values.length === 0) {
    return null;
  }
  const low = Math.min(0, ...values);
  const high = Math.max(0, ...values);
  const pad = (high - low || 1) * 0.06;
  const y = (value: number) => 10 + ((high + pad - value) / (high - low + 2 * pad)) * (height - BOTTOM - 14);
  const x = (p: number) => LEFT + 8 + p * (width - LEFT - RIGHT - 16);
  return shape(
    'svg',
    {
      viewBox: `0 0 ${width} ${height}`,
      role: 'img',
      'aria-label': `${title}, in ${unit}. The button Table has the numbers.`,
    },
    ...linearTicks(low - pad, high + pad).flatMap((tick) => [
      shape('line', {
        class: tick === 0 ? 'reference' : 'grid',
        x1: LEFT,
        x2: width - RIGHT,
        y1: y(tick),
        y2: y(tick),
      }),
      shape('text', { class: 'tick end', x: LEFT - 6, y: y(tick) + 4 }, number(tick, 3)),
    ]),
    ...[0.05, 0.25, 0.5, 0.75, 0.95].map((p) =>
      shape('text', { class: 'tick middle', x: x(p), y: height - BOTTOM + 16 }, `p${p * 100}`),
    ),
    ...curves.flatMap(({ colour, points }) => {
      const known = points.filter(
        (point): point is CurvePoint & { difference: number } => point.difference !== null,
      );
      const path = known
        .map(({ p, difference }, i) => `${i === 0 ? 'M' : 'L'}${x(p)} ${y(difference)}`)
        .join('');
      return [
        shape('path', { class: `curve stroke-${colour}`, d: path }),
        ...known.flatMap(({ p, difference, interval }) =>
          [
            interval === null
              ? null
              : shape('line', {
                  class: `whisker stroke-${colour}`,
                  x1: x(p),
                  x2: x(p),
                  y1: y(interval[0]),
                  y2: y(interval[1]),
                }),
            shape(
              'circle',
              { class: `fill-${colour}`, cx: x(p), cy: y(difference), r: 4 },
              shape('title', {}, `p${p * 100}: ${number(difference)} ${unit}`),
            ),
          ].filter((each) => each !== null),
        ),
      ];
    }),
    shape(
      'text',
      { class: 'tick end', x: width - RIGHT, y: height - 3 },
      `quantile; difference in ${unit}, below 0 is less`,
    ),
  );
}
