/** Estimates with their intervals. */
import type { Mark } from './histogram.js';
import { BOTTOM, linearTicks, number, RIGHT, shortened } from './scale.js';
import { type Shape, shape } from './shape.js';

export interface Estimate {
  readonly label: string;
  readonly colour: string;
  readonly estimate: number | null;
  readonly interval: readonly [number, number] | null;
  /** Beside it, in words. */
  readonly text: string;
}

/** Estimates with their intervals, one under the other, on one scale; null where nothing is estimated. */
export function intervalsShape(
  title: string,
  unit: string,
  estimates: readonly Estimate[],
  references: readonly Mark[],
  width: number,
): Shape | null {
  const values = [
    ...estimates.flatMap(({ estimate, interval }) => [estimate, ...(interval ?? [])]),
    ...references.map(({ value }) => value),
  ].filter((value): value is number => value !== null && Number.isFinite(value));
  if (values.length === 0) return null;
  const pad = (Math.max(...values) - Math.min(...values) || Math.abs(values[0] as number) || 1) * 0.08;
  const low = Math.min(...values) - pad;
  const high = Math.max(...values) + pad;
  const left = width < 420 ? 96 : 150;
  const row = 34;
  const height = estimates.length * row + BOTTOM + 12;
  const x = (value: number) => left + ((value - low) / (high - low)) * (width - left - RIGHT);
  return shape(
    'svg',
    {
      viewBox: `0 0 ${width} ${height}`,
      role: 'img',
      'aria-label': `${title}: estimates with intervals, in ${unit}. The button Table has the numbers.`,
    },
    ...linearTicks(low, high).flatMap((tick) => [
      shape('line', { class: 'grid', x1: x(tick), x2: x(tick), y1: 6, y2: height - BOTTOM }),
      shape('text', { class: 'tick middle', x: x(tick), y: height - BOTTOM + 16 }, number(tick, 3)),
    ]),
    ...references.flatMap(({ label, value }) =>
      value === null
        ? []
        : [
            shape('line', { class: 'reference', x1: x(value), x2: x(value), y1: 4, y2: height - BOTTOM }),
            shape(
              'text',
              {
                class: `tick strong ${x(value) > width - 60 ? 'end' : 'middle'}`,
                x: Math.min(x(value), width - 2),
                y: height - 4,
              },
              label,
            ),
          ],
    ),
    ...estimates.flatMap(({ label, colour, estimate, interval, text }, i) => {
      const y = 6 + i * row + row / 2;
      return [
        shape(
          'text',
          { class: 'name', x: 4, y: y + 4 },
          shortened(label, width < 420 ? 14 : 22),
          shape('title', {}, label),
        ),
        ...(interval === null
          ? []
          : [
              shape('line', {
                class: `whisker stroke-${colour}`,
                x1: x(interval[0]),
                x2: x(interval[1]),
                y1: y,
                y2: y,
              }),
              ...interval.map((end) =>
                shape('line', {
                  class: `whisker stroke-${colour}`,
                  x1: x(end),
                  x2: x(end),
                  y1: y - 5,
                  y2: y + 5,
                }),
              ),
            ]),
        ...(estimate === null
          ? []
          : [
              shape(
                'circle',
                { class: `fill-${colour}`, cx: x(estimate), cy: y, r: 5 },
                shape('title', {}, text),
              ),
            ]),
      ];
    }),
  );
}
