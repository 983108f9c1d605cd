/** Any experiments against the first of them. */
import type { Bin } from '../../charts/histogram.js';
import type { CurvePoint } from '../../charts/quantile-differences.js';
import { go, hrefOf } from './address.js';
import { ARMS } from './colours.js';
import { h, replace } from './dom.js';
import { figure, tableElement } from './figure.js';
import { count, number, percent, pText, signed } from './format.js';
import { ask } from './live.js';
import { trouble } from './parts.js';
import { histogram, intervalPlot, legend, quantileDifferencePlot } from './svg-charts.js';
import type { Comparison, Descriptor, MetricComparison, View } from './types.js';

interface Compared {
  readonly comparison: Comparison;
  readonly quantiles: readonly {
    id: string;
    points: readonly {
      p: number;
      difference: number | null;
      confidenceInterval: readonly [number, number] | null;
    }[];
  }[];
  readonly distributions: readonly { id: string; bins: readonly Bin[] }[];
}

const LABELS: Readonly<Record<string, string>> = {
  latencyMean: 'mean latency',
  latencyP95: 'p95 latency',
  costMean: 'mean cost',
  successRate: 'success rate',
  tokensMean: 'mean tokens',
};

export function compareView(params: URLSearchParams): View {
  const ids = params.getAll('id');
  const event = params.get('event') ?? '';
  const unit = params.get('unit') ?? '';
  const warn = trouble();
  const ended = new AbortController();
  const body = h('div', {});
  const fail = (error: Error) => {
    if (ended.signal.aborted) return;
    warn.say(error.message);
    replace(body);
  };
  const picker = h('div', {});
  ask<{ experiments: Descriptor[] }>('/api/experiments', ended.signal).then(
    ({ experiments }) => replace(picker, pickerForm(ids, event, unit, experiments)),
    fail,
  );
  if (ids.length >= 2) {
    replace(body, h('p', { class: 'note', role: 'status' }, 'Comparing…'));
    const search = new URLSearchParams([...ids.map((id) => ['id', id]), ['event', event], ['unit', unit]]);
    ask<Compared>(`/api/compare?${search}`, ended.signal).then(
      (found) => replace(body, ...drawn(found)),
      fail,
    );
  }
  return {
    title: 'Compare',
    element: h(
      'div',
      {},
      h('p', { class: 'crumbs' }, h('a', { href: '/' }, 'Experiments'), ' / Compare'),
      h('h1', {}, 'Compare'),
      warn.element,
      picker,
      body,
    ),
    close: () => ended.abort(),
  };
}

function pickerForm(
  ids: readonly string[],
  event: string,
  unit: string,
  experiments: readonly Descriptor[],
): HTMLElement {
  const known = experiments
    .filter(({ status }) => status !== 'unreadable')
    .sort((a, b) => b.startedAt - a.startedAt);
  const options = (chosen: string) => [
    h('option', { value: '' }, 'choose…'),
    ...known
      .slice(0, 2000)
      .map(({ id, name, condition }) =>
        h('option', { value: id, selected: id === chosen }, `${name} (${condition}) ${id.slice(0, 8)}`),
      ),
  ];
  const wanted = [
    ...ids,
    ...(ids.length < 2 ? Array.from({ length: 2 - ids.length }, () => '') : ['']).slice(0, 6 - ids.length),
  ];
  const selects = wanted.map((chosen, i) => h('select', { id: `arm-${i}` }, ...options(chosen)));
  const eventInput = h('input', {
    id: 'c-event',
    type: 'text',
    value: event,
    placeholder: 'the kind that all have',
  });
  const unitInput = h('input', {
    id: 'c-unit',
    type: 'text',
    value: unit,
    placeholder: 'event',
    list: 'units',
  });
  return h(
    'form',
    {
      class: 'controls',
      onsubmit: (submitted: Event) => {
        submitted.preventDefault();
        go({
          view: 'compare',
          id: [...new Set(selects.map((select) => select.value).filter((value) => value !== ''))],
          event: eventInput.value,
          unit: unitInput.value,
        });
      },
    },
    ...selects.map((select, i) =>
      h('label', { for: `arm-${i}` }, i === 0 ? 'Baseline ' : `Against it ${i} `, select),
    ),
    h('label', { for: 'c-event' }, 'Events ', eventInput),
    h('label', { for: 'c-unit' }, 'Unit ', unitInput),
    h(
      'datalist',
      { id: 'units' },
      ...['userId', 'sessionId', 'sampleId'].map((value) => h('option', { value })),
    ),
    h('button', { type: 'submit' }, 'Compare'),
  );
}

function drawn({ comparison, quantiles, distributions }: Compared): Element[] {
  const { treatments, baseline, settings, experiments } = comparison;
  const nameOf = (id: string) => experiments.find((each) => each.id === id)?.name ?? id;
  const conditionOf = (id: string) => experiments.find((each) => each.id === id)?.condition ?? '';
  const label = (id: string) =>
    new Set(experiments.map(({ name }) => name)).size === experiments.length
      ? nameOf(id)
      : `${nameOf(id)} (${conditionOf(id)})`;
  const colourOf = (id: string) =>
    ARMS[experiments.findIndex((each) => each.id === id) % ARMS.length] as string;
  const verdicts = treatments.map(({ id, verdict, warnings }) =>
    h(
      'section',
      { class: 'card verdict' },
      h('h2', {}, `${label(id)} against ${label(baseline.id)}`),
      h('p', { class: 'decision' }, verdict),
      warnings.length === 0
        ? null
        : h('ul', { class: 'warnings' }, ...warnings.map(({ message }) => h('li', {}, message))),
    ),
  );
  const byMetric = new Map<string, { id: string; found: MetricComparison }[]>();
  for (const { id, metrics } of treatments) {
    for (const [name, found] of Object.entries(metrics))
      byMetric.set(name, [...(byMetric.get(name) ?? []), { id, found: found as MetricComparison }]);
  }
  const intervals = [...byMetric].map(([name, list]) => {
    const first = list[0]?.found as MetricComparison;
    const factor = first.unit === 'share' ? 100 : 1;
    const unit = first.unit === 'share' ? 'percentage points' : first.unit;
    const plot = intervalPlot(`Difference of ${LABELS[name] ?? first.label}`, unit);
    plot.draw(
      list.map(({ id, found }) => ({
        label: label(id),
        colour: colourOf(id),
        estimate: found.difference === null ? null : found.difference * factor,
        interval:
          found.confidenceInterval === null
            ? null
            : [found.confidenceInterval[0] * factor, found.confidenceInterval[1] * factor],
        text: found.verdict,
      })),
      [{ label: 'no difference', value: 0 }],
    );
    plot.figure.setNote(
      list
        .map(
          ({ found }) =>
            found.reason ??
            `p ${pText(found.adjustedPValue)}, ${found.tests[0]?.method.split(', ')[0] ?? ''}`,
        )
        .join(' · '),
    );
    return plot.figure.element;
  });
  const overlaid = histogram('Latency distributions', 'ms');
  overlaid.draw(
    distributions.map(({ id, bins }) => ({ label: label(id), colour: colourOf(id), bins })),
    [],
  );
  overlaid.figure.setNote('Shares of each arm; bins of about 9 %.');
  const curve = quantileDifferencePlot('Difference by quantile of latency', 'ms');
  curve.draw(
    quantiles.map(({ id, points }) => ({
      label: label(id),
      colour: colourOf(id),
      points: points.map(
        ({ p, difference, confidenceInterval }): CurvePoint => ({
          p,
          difference,
          interval: confidenceInterval,
        }),
      ),
    })),
  );
  curve.figure.setNote(
    `Treatment minus baseline at each quantile, with intervals of ${percent(settings.confidenceLevel, 0)} each, not adjusted for their number.`,
  );
  const numbers = figure('All numbers', () => numbersTable(comparison, label), 'plain wide');
  replace(numbers.body, tableElement(numbersTable(comparison, label), 'All numbers'));
  const { sequential } = settings;
  return [
    ...verdicts,
    legend(
      experiments.map(({ id }) => ({
        label: `${label(id)}${id === baseline.id ? ' (baseline)' : ''}`,
        colour: colourOf(id),
      })),
    ),
    h('div', { class: 'grid thirds' }, ...intervals),
    h('div', { class: 'grid' }, overlaid.figure.element, curve.figure.element, numbers.element),
    h(
      'p',
      { class: 'note' },
      `Events: ${comparison.event === 'all' ? 'of all kinds' : comparison.event}. Unit: ${settings.unit}. Intervals of ${percent(settings.confidenceLevel, 0)}, for each metric alone; ${settings.adjust === 'none' ? 'p-values not adjusted' : `${settings.questions} p-values adjusted together by ${settings.adjust}`}. ${sequential === null ? 'These hold for one look at a time fixed beforehand: watching them and stopping when one suits is not valid.' : 'Valid at every look.'} `,
      h('a', { href: hrefOf({ view: 'experiment', id: baseline.id }) }, 'Open the baseline'),
    ),
  ];
}

function numbersTable({ treatments }: Comparison, label: (id: string) => string) {
  return {
    columns: [
      'treatment',
      'metric',
      'unit',
      'baseline',
      'n',
      'treatment value',
      'n ',
      'difference',
      'from',
      'to',
      'p adjusted',
      'effect',
    ],
    rows: treatments.flatMap(({ id, metrics }) =>
      Object.entries(metrics).map(([name, found]) => {
        const each = found as MetricComparison;
        return [
          label(id),
          LABELS[name] ?? each.label,
          each.unit,
          number(each.baseline.estimate),
          count(each.baseline.n),
          number(each.treatment.estimate),
          count(each.treatment.n),
          signed(each.difference),
          signed(each.confidenceInterval?.[0]),
          signed(each.confidenceInterval?.[1]),
          pText(each.adjustedPValue),
          each.effectSize === null ? null : `${each.effectSize.name} ${signed(each.effectSize.value, 2)}`,
        ];
      }),
    ),
  };
}
