/** Lines over time, by uPlot. */
import uPlot from 'uplot';
import { colour, onTheme } from './colours.js';
import { type Figure, figure } from './figure.js';
import { iso, number, time } from './format.js';

export interface Line {
  readonly label: string;
  /** Of the style sheet. */
  readonly colour: string;
  readonly dash?: readonly number[];
  /** Filled down to another line, by its place. */
  readonly bandTo?: number;
  /** Drawn as steps, filled to 0. */
  readonly area?: boolean;
  /** Only the edge of a band: no line of its own. */
  readonly edge?: boolean;
}

export interface TimeChartOptions {
  readonly title: string;
  readonly unit: string;
  readonly lines: readonly Line[];
  /** The most that can be: the axis ends there, and begins below the least that there is. */
  readonly top?: number;
  /** Values may be below 0: the axis goes from the least to the most, and always past 0. */
  readonly isSigned?: boolean;
}

export type Values = readonly (number | null)[];

export interface TimeChart {
  readonly figure: Figure;
  /** @param xs - seconds since 1970, ascending */
  draw(xs: readonly number[], values: readonly Values[]): void;
  destroy(): void;
}

const HEIGHT = 190;

export function timeChart({ title, unit, lines, top: most, isSigned = false }: TimeChartOptions): TimeChart {
  let xs: readonly number[] = [];
  let data: readonly Values[] = [];
  const shown = figure(title, () => ({
    columns: ['time (UTC)', ...lines.map(({ label }) => `${label}, ${unit}`)],
    rows: xs
      .map((x, i) => [iso(x * 1e6), ...data.map((values) => values[i] ?? null)])
      .filter((row) => row.slice(1).some((value) => value !== null)),
  }));
  let plot: uPlot | null = null;
  let top = 0;
  const width = () => Math.max(200, shown.body.clientWidth);

  const yRange = (_: uPlot, min: number | null, max: number | null): [number, number] => {
    if (most !== undefined) return [Math.max(0, Math.floor(((min ?? 0) - 5) / 20) * 20), most];
    if (isSigned) {
      const reach = Math.max(0, max ?? 0) - Math.min(0, min ?? 0) || 1;
      return [Math.min(0, min ?? 0) - reach * 0.05, Math.max(0, max ?? 0) + reach * 0.05];
    }
    // Grows by steps, and shrinks only when most of it is empty: nothing jumps.
    const wanted = niceAbove((max ?? 0) * 1.05 || 1);
    if (wanted > top || wanted < top / 4) top = wanted;
    return [0, top];
  };

  const build = () => {
    plot?.destroy();
    const ink = colour('ink-2');
    const grid = colour('line');
    const axis = {
      stroke: ink,
      grid: { stroke: grid, width: 1 },
      ticks: { stroke: grid, width: 1 },
      font: '12px system-ui, sans-serif',
    };
    plot = new uPlot(
      {
        width: width(),
        height: HEIGHT,
        cursor: { points: { size: 7 }, drag: { x: true, y: false } },
        legend: { live: true },
        scales: { x: { time: true }, y: { range: yRange } },
        axes: [
          { ...axis, size: 32, values: (_, ticks, __, ___, step) => ticks.map((tick) => clock(tick, step)) },
          { ...axis, size: 62, values: (_, ticks) => ticks.map((tick) => number(tick, 3)) },
        ],
        series: [
          { label: 'time', value: (u, x) => time((x ?? u.data[0].at(-1) ?? 0) * 1e6) },
          ...lines.map((line): uPlot.Series => {
            const stroke = colour(line.colour);
            return {
              label: `${line.label}, ${unit}`,
              stroke,
              width: line.edge ? 0 : 2,
              ...(line.dash && { dash: [...line.dash] }),
              ...(line.area && { fill: `${stroke}33`, paths: uPlot.paths.stepped?.({ align: 1 }) }),
              points: { show: false, size: 5, ...(!line.edge && { filter: alone }) },
              // Without a cursor, the newest.
              value: (u, value, s, i) => number(i === null ? u.data[s]?.at(-1) : value),
            } as uPlot.Series;
          }),
        ],
        bands: lines.flatMap(({ bandTo, colour: name }, i) =>
          bandTo === undefined
            ? []
            : [{ series: [i + 1, bandTo + 1] as [number, number], fill: `${colour(name)}2e` }],
        ),
      },
      aligned(),
      shown.body,
    );
    plot.root.setAttribute('role', 'img');
    plot.root.setAttribute('aria-label', `${title} over time, in ${unit}. The button Table has the numbers.`);
  };
  const aligned = () => [xs, ...data] as unknown as uPlot.AlignedData;

  const resized = new ResizeObserver(() => {
    if (plot !== null && Math.abs(plot.width - width()) > 1) plot.setSize({ width: width(), height: HEIGHT });
  });
  resized.observe(shown.body);
  const offTheme = onTheme(() => plot !== null && build());
  return {
    figure: shown,
    draw(nextXs, values) {
      const wasShort = xs.length < 3;
      xs = nextXs;
      data = values;
      if (plot === null || wasShort) build();
      else plot.setData(aligned());
      shown.changed();
    },
    destroy() {
      resized.disconnect();
      offTheme();
      plot?.destroy();
    },
  };
}

/** Places of values between gaps, which no line shows: a service that is asked now and then has no others. */
function alone(u: uPlot, series: number): number[] {
  const values = u.data[series] ?? [];
  return [...values.keys()].filter(
    (i) => values[i] != null && values[i - 1] == null && values[i + 1] == null,
  );
}

/** As much of a time as tells ticks apart that are so many seconds from each other. */
function clock(seconds: number, step: number): string {
  const text = time(seconds * 1e6);
  if (step >= 86_400) return text.slice(5, 10);
  return step >= 60 ? text.slice(11, 16) : text.slice(11);
}

/** 1, 2 or 5 times a power of ten. */
function niceAbove(value: number): number {
  const power = 10 ** Math.floor(Math.log10(value));
  return ([1, 1.5, 2, 3, 5, 7, 10].find((step) => step * power >= value) ?? 10) * power;
}
