/** Lines over time, for files. */
import { BOTTOM, LEFT, linearTicks, number, RIGHT } from './scale.js';
import { type Shape, shape } from './shape.js';

export interface TimeLine {
  readonly label: string;
  readonly colour: string;
  /** One for each time; null leaves a gap. */
  readonly values: readonly (number | null)[];
}

/** Null where there is no value. @param timesUs - µs since 1970, ascending */
export function timeLinesShape(
  title: string,
  unit: string,
  timesUs: readonly number[],
  lines: readonly TimeLine[],
  width: number,
): Shape | null {
  const values = lines.flatMap((line) => line.values.filter((value) => value !== null));
  const [first, last] = [timesUs[0], timesUs.at(-1)];
  if (values.length === 0 || first === undefined || last === undefined) return null;
  const height = 220;
  const top = Math.max(...values) * 1.05 || 1;
  const x = (us: number) => LEFT + ((us - first) / Math.max(1, last - first)) * (width - LEFT - RIGHT);
  const y = (value: number) => 10 + (1 - value / top) * (height - BOTTOM - 10);
  return shape(
    'svg',
    { viewBox: `0 0 ${width} ${height}`, role: 'img', 'aria-label': `${title} over time, in ${unit}` },
    ...linearTicks(0, top).flatMap((tick) => [
      shape('line', { class: 'grid', x1: LEFT, x2: width - RIGHT, y1: y(tick), y2: y(tick) }),
      shape('text', { class: 'tick end', x: LEFT - 6, y: y(tick) + 4 }, number(tick, 3)),
    ]),
    ...[first, (first + last) / 2, last].map((us, i) =>
      shape(
        'text',
        { class: `tick ${['', 'middle', 'end'][i]}`, x: x(us), y: height - BOTTOM + 16 },
        new Date(us / 1000).toISOString().slice(0, 19).replace('T', ' '),
      ),
    ),
    ...lines.map(({ colour, values: own }) => {
      let pen = 'M';
      const path = own.map((value, i) => {
        if (value === null) {
          pen = 'M';
          return '';
        }
        const step = `${pen}${x(timesUs[i] as number).toFixed(1)} ${y(value).toFixed(1)}`;
        pen = 'L';
        return step;
      });
      return shape('path', { class: `curve stroke-${colour}`, d: path.join('') });
    }),
    ...lines.map(({ label, colour }, i) =>
      shape(
        'g',
        {},
        shape('rect', { class: `fill-${colour}`, x: LEFT + i * 90, y: height - 14, width: 10, height: 10 }),
        shape('text', { class: 'tick', x: LEFT + 14 + i * 90, y: height - 5 }, label),
      ),
    ),
    shape('text', { class: 'tick end', x: width - RIGHT, y: height - 4 }, `${unit}, UTC`),
  );
}
