/** Histograms and intervals, in figures that draw them again where there is another width for them. */
import { type Distribution, histogramShape, type Mark } from '../../charts/histogram.js';
import { type Estimate, intervalsShape } from '../../charts/intervals.js';
import { type Curve, quantileDifferencesShape } from '../../charts/quantile-differences.js';
import type { Shape } from '../../charts/shape.js';
import { h, replace, svg } from './dom.js';
import { type Figure, figure, type Table } from './figure.js';

export interface Drawing<Args extends readonly unknown[]> {
  readonly figure: Figure;
  draw(...args: Args): void;
}

const WIDTH_MIN = 260;
const WIDTH_MAX = 1300;

function elementOf({ tag, attributes, children }: Shape): SVGElement {
  return svg(
    tag as 'g',
    attributes,
    ...children.map((child) => (child === null || typeof child === 'string' ? child : elementOf(child))),
  );
}

/** @param otherwise - what is said where there is nothing to draw */
function drawing<Args extends readonly unknown[]>(
  title: string,
  table: (args: Args) => Table,
  shapeOf: (args: Args, width: number) => Shape | null,
  otherwise: string,
  beside: (args: Args) => Node | null = () => null,
): Drawing<Args> {
  let last: Args | null = null;
  let drawnFor = 0;
  const shown = figure(title, () => (last === null ? { columns: [], rows: [] } : table(last)));
  const now = () => {
    if (last === null) return;
    const width = shown.body.clientWidth || 640;
    drawnFor = width;
    const found = shapeOf(last, Math.max(WIDTH_MIN, Math.min(WIDTH_MAX, width)));
    replace(
      shown.body,
      found === null ? h('p', { class: 'nothing' }, otherwise) : elementOf(found),
      beside(last),
    );
  };
  new ResizeObserver(() => {
    if (Math.abs(shown.body.clientWidth - drawnFor) > 4) now();
  }).observe(shown.body);
  return {
    figure: shown,
    draw(...args) {
      last = args;
      now();
      shown.changed();
    },
  };
}

export function histogram(
  title: string,
  unit: string,
): Drawing<[distributions: readonly Distribution[], marks: readonly Mark[]]> {
  return drawing(
    title,
    ([distributions]) => ({
      columns: [
        `from, ${unit}`,
        `to, ${unit}`,
        ...distributions.map(({ label }) => (distributions.length === 1 ? 'events' : `${label}, events`)),
      ],
      rows: tableRows(distributions),
    }),
    ([distributions, marks], width) => histogramShape(title, unit, distributions, marks, width),
    'No values yet.',
    ([distributions]) => (distributions.length > 1 ? legend(distributions) : null),
  );
}

function tableRows(distributions: readonly Distribution[]): (number | null)[][] {
  const rows = new Map<string, (number | null)[]>();
  distributions.forEach(({ bins }, d) => {
    for (const [low, high, count] of bins) {
      const row = rows.get(`${low} ${high}`) ?? [low, high, ...distributions.map(() => 0)];
      row[2 + d] = count;
      rows.set(`${low} ${high}`, row);
    }
  });
  return [...rows.values()].sort((a, b) => (a[0] as number) - (b[0] as number));
}

export function legend(items: readonly { label: string; colour: string }[]): HTMLElement {
  return h(
    'ul',
    { class: 'legend' },
    ...items.map(({ label, colour }) => h('li', {}, h('span', { class: `swatch fill-${colour}` }), label)),
  );
}

/** @param references - lines to be told from: no difference, or a margin */
export function intervalPlot(
  title: string,
  unit: string,
): Drawing<[estimates: readonly Estimate[], references: readonly Mark[]]> {
  return drawing(
    `${title}, ${unit}`,
    ([estimates]) => ({
      columns: ['', `estimate, ${unit}`, 'from', 'to', ''],
      rows: estimates.map(({ label, estimate, interval, text }) => [
        label,
        estimate,
        interval?.[0] ?? null,
        interval?.[1] ?? null,
        text,
      ]),
    }),
    ([estimates, references], width) => intervalsShape(title, unit, estimates, references, width),
    'Nothing that could be estimated.',
  );
}

export function quantileDifferencePlot(title: string, unit: string): Drawing<[curves: readonly Curve[]]> {
  return drawing(
    title,
    ([curves]) => ({
      columns: ['treatment', 'quantile', `difference, ${unit}`, 'from', 'to'],
      rows: curves.flatMap(({ label, points }) =>
        points.map(({ p, difference, interval }) => [
          label,
          p,
          difference,
          interval?.[0] ?? null,
          interval?.[1] ?? null,
        ]),
      ),
    }),
    ([curves], width) => quantileDifferencesShape(title, unit, curves, width),
    'Too few values for quantiles.',
    ([curves]) => (curves.length > 1 ? legend(curves) : null),
  );
}
