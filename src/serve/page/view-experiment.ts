/** One experiment, as it runs. */
import { note } from './address.js';
import { h, replace, setText } from './dom.js';
import { type Figure, figure, tableElement } from './figure.js';
import { compact, count, duration, iso, ms, number, percent, time, usd } from './format.js';
import { ask, follow } from './live.js';
import { statusElement, tabs, tile, trouble } from './parts.js';
import { histogram } from './svg-charts.js';
import { type TimeChart, timeChart } from './time-chart.js';
import type { Descriptor, ExperimentChange, Figures, Metrics, SeriesPoint, View } from './types.js';
import { wilson } from './wilson.js';

const ALL_KINDS = 'all';

export function experimentView(params: URLSearchParams): View {
  const id = params.get('id') ?? '';
  let asked = params.get('kind');
  let descriptor: Descriptor | null = null;
  let figures: Figures | null = null;
  let intervalUs = 0;
  const points = new Map<number, SeriesPoint>();

  const warn = trouble();
  const title = h('h1', {}, id);
  const about = h('div', { class: 'about' });
  const hypothesis = h('p', { class: 'hypothesis' });
  const kind = h('select', { id: 'kind' });
  const notices = h('div', { class: 'notices' });

  const events = tile('Events');
  const latency = tile('Latency p50');
  const tail = tile('Latency p95');
  const success = tile('Success');
  const cost = tile('Cost');
  const tokens = tile('Tokens');
  const rate = tile('Throughput');
  const losses = tile('Lost');

  const latencyChart = timeChart({
    title: 'Latency',
    unit: 'ms',
    lines: [
      { label: 'p50', colour: 'arm-1' },
      { label: 'p95', colour: 'arm-2', bandTo: 0 },
      { label: 'p99', colour: 'arm-4', dash: [5, 4] },
    ],
  });
  const rateChart = timeChart({
    title: 'Throughput',
    unit: 'events/s',
    lines: [{ label: 'events', colour: 'arm-1', area: true }],
  });
  const successChart = timeChart({
    title: 'Success',
    unit: '%',
    top: 100,
    lines: [
      { label: 'rate', colour: 'arm-3' },
      { label: '95 % from', colour: 'arm-3', edge: true },
      { label: '95 % to', colour: 'arm-3', edge: true, bandTo: 1 },
    ],
  });
  const costChart = timeChart({
    title: 'Cost so far',
    unit: 'USD',
    lines: [{ label: 'total', colour: 'arm-4', area: true }],
  });
  const tokenChart = timeChart({
    title: 'Tokens',
    unit: 'tokens/s',
    lines: [{ label: 'tokens', colour: 'arm-5', area: true }],
  });
  const ttftChart = timeChart({
    title: 'Time to first token',
    unit: 'ms',
    lines: [
      { label: 'p50', colour: 'arm-1' },
      { label: 'p95', colour: 'arm-2', bandTo: 0 },
    ],
  });
  const charts: readonly TimeChart[] = [
    latencyChart,
    rateChart,
    successChart,
    costChart,
    ttftChart,
    tokenChart,
  ];
  const latencies = histogram('Latency distribution', 'ms');
  const costs = histogram('Cost distribution', 'USD');
  const kinds = tableFigure('Events by name', '', () => ({
    columns: ['event', 'events', 'share'],
    rows: Object.entries(figures?.eventCounts ?? {})
      .sort(([, a], [, b]) => b - a)
      .map(([name, n]) => [
        name,
        n,
        percent(n / Math.max(1, sum(Object.values(figures?.eventCounts ?? {})))),
      ]),
  }));
  const models = tableFigure('By model', 'wide', () => ({
    columns: ['events', 'model', 'provider', 'count', 'mean, ms', 'p95, ms', 'cost, USD', 'success'],
    rows: (figures?.models ?? []).map(({ kind, model, provider, group }) => [
      kind,
      model,
      provider,
      group.count,
      number(group.latency.mean),
      number(group.latency.p95),
      number(group.cost.total),
      percent(group.reliability.successRate),
    ]),
  }));
  const exact = h('div', { class: 'exact' });
  const exactButton = h('button', { type: 'button', onclick: () => void readExact() }, 'Read exact figures');

  kind.addEventListener('change', () => {
    asked = kind.value;
    note({ kind: asked });
    restart();
  });

  function take(change: ExperimentChange): void {
    if (change.descriptor !== undefined) {
      descriptor = change.descriptor;
      drawAbout();
    }
    figures = change.figures;
    if (change.series.isWhole || change.series.intervalUs !== intervalUs) points.clear();
    intervalUs = change.series.intervalUs;
    for (const point of change.series.points) points.set(point[0], point);
    drawFigures(figures);
    drawSeries();
  }

  function drawAbout(): void {
    if (descriptor === null) return;
    const {
      name,
      condition,
      status,
      startedAt,
      stoppedAt,
      tags,
      hypothesis: said,
      folder,
      heldBy,
      metadata,
    } = descriptor;
    setText(title, name);
    document.title = `${name} · Crucible`;
    setText(hypothesis, said ?? '');
    hypothesis.hidden = said === null;
    const fact = (label: string, value: string, hint = '') =>
      h('span', { title: hint === '' ? null : hint }, h('b', {}, label), ' ', value);
    replace(
      about,
      statusElement(status),
      fact('condition', condition),
      fact('started', time(startedAt), iso(startedAt)),
      stoppedAt === null ? null : fact('ended', time(stoppedAt), iso(stoppedAt)),
      fact('kept', folder ?? 'in memory only'),
      heldBy === null
        ? null
        : fact('written by', `process ${heldBy.pid}${heldBy.host === null ? '' : ` on ${heldBy.host}`}`),
      fact('id', id),
      ...tags.map((text) => h('span', { class: 'tag' }, text)),
      ...Object.entries(metadata)
        .slice(0, 12)
        .map(([key, value]) => fact(key, typeof value === 'string' ? value : JSON.stringify(value))),
    );
  }

  function drawNotices({ rowsRead, rowsKnown, rowsMissed, damagedPlaces, group }: Figures): void {
    const texts: string[] = [];
    const status = descriptor?.status;
    if (status === 'paused') texts.push('Paused: events that are offered now are not taken, and counted.');
    if (status === 'interrupted')
      texts.push(
        'Interrupted: the process that captured it has ended without stopping it. crucible recover lets it go on.',
      );
    if (descriptor?.error) texts.push(`${descriptor.error.code}: ${descriptor.error.message}`);
    if (rowsRead < rowsKnown)
      texts.push(`Reading: ${percent(rowsRead / rowsKnown, 0)} of ${count(rowsKnown)} events.`);
    if (rowsMissed > 0)
      texts.push(
        `${count(rowsMissed)} events were overwritten in memory before this page was opened: they count in the figures, and are missing from the charts over time.`,
      );
    if (damagedPlaces > 0)
      texts.push(`${count(damagedPlaces)} places in its files are damaged or missing; see Files.`);
    if (group.count === 0 && rowsRead === rowsKnown)
      texts.push('No events yet. They appear here as they are captured.');
    if (notices.textContent !== texts.join(''))
      replace(notices, ...texts.map((text) => h('p', { class: 'notice' }, text)));
  }

  let kindsText = '';
  function drawKinds({ kinds: found, kind: current }: Figures): void {
    const text = `${Object.keys(found).join('\n')} ${current}`;
    if (text === kindsText) return;
    kindsText = text;
    const options = Object.entries(found).sort(([, a], [, b]) => b - a);
    replace(
      kind,
      ...options.map(([name]) => h('option', { value: name, selected: name === current }, name)),
      h('option', { value: ALL_KINDS, selected: current === ALL_KINDS }, 'all events, whatever their kind'),
    );
  }

  function drawFigures(shown: Figures): void {
    const { group, latencyBins, costBins } = shown;
    drawNotices(shown);
    drawKinds(shown);
    const { reliability } = group;
    const interval =
      reliability.decidedRequests > 0
        ? wilson(reliability.successful as number, reliability.decidedRequests)
        : null;
    events.set(compact(group.count), `${count(descriptor?.counts.captured)} of all kinds`);
    latency.set(ms(group.latency.p50), `mean ${ms(group.latency.mean)}`);
    tail.set(ms(group.latency.p95), `p99 ${ms(group.latency.p99)}`);
    success.set(
      percent(reliability.successRate),
      interval === null ? 'none decided' : `95 %: ${percent(interval[0], 1)} to ${percent(interval[1], 1)}`,
    );
    cost.set(usd(group.cost.count === 0 ? null : group.cost.total), `${usd(group.cost.meanPerRequest)} each`);
    tokens.set(
      compact(group.tokens.count === 0 ? null : group.tokens.total),
      group.tokens.count === 0 ? '' : `${number(group.tokens.meanTotal, 3)} each`,
    );
    const counts = descriptor?.counts;
    losses.set(count(counts?.dropped), `${count(counts?.malformed)} malformed, ${count(counts?.cut)} cut`);
    losses.element.classList.toggle('bad', (counts?.dropped ?? 0) > 0);
    const { p50, p95, p99 } = group.latency;
    latencies.draw(
      [{ label: 'events', colour: 'arm-1', bins: latencyBins }],
      [
        { label: 'p50', value: p50 },
        { label: 'p95', value: p95 },
        { label: 'p99', value: p99 },
      ],
    );
    costs.draw(
      [{ label: 'events', colour: 'arm-4', bins: costBins }],
      [{ label: 'mean', value: group.cost.mean }],
    );
    costs.figure.element.hidden = costBins.length === 0;
    kinds.draw();
    models.draw();
  }

  function drawSeries(): void {
    const keys = [...points.keys()].sort((a, b) => a - b);
    const seconds = intervalUs / 1e6;
    const xs: number[] = [];
    const rows: (SeriesPoint | null)[] = [];
    keys.forEach((key, i) => {
      // Where nothing happened a line must not pretend that something did.
      if (i > 0 && key > (keys[i - 1] as number) + 1) {
        xs.push(((keys[i - 1] as number) + 1) * seconds);
        rows.push(null);
        if (key - 1 > (keys[i - 1] as number) + 1) {
          xs.push((key - 1) * seconds);
          rows.push(null);
        }
      }
      xs.push(key * seconds);
      rows.push(points.get(key) as SeriesPoint);
    });
    const of = (pick: (point: SeriesPoint) => number | null, without: number | null = null) =>
      rows.map((row) => (row === null ? without : pick(row)));
    latencyChart.draw(xs, [of((p) => p[6]), of((p) => p[7]), of((p) => p[8])]);
    rateChart.draw(xs, [of((p) => p[1] / seconds, 0)]);
    const wilsonOf = (p: SeriesPoint, end: 0 | 1) =>
      p[2] + p[3] === 0 ? null : wilson(p[2], p[2] + p[3])[end] * 100;
    successChart.draw(xs, [
      of((p) => (p[2] + p[3] === 0 ? null : (100 * p[2]) / (p[2] + p[3]))),
      of((p) => wilsonOf(p, 0)),
      of((p) => wilsonOf(p, 1)),
    ]);
    let total = 0;
    costChart.draw(xs, [rows.map((row) => (total += row?.[4] ?? 0))]);
    tokenChart.draw(xs, [of((p) => p[5] / seconds, 0)]);
    ttftChart.draw(xs, [of((p) => p[9]), of((p) => p[10])]);
    const has = (place: number) =>
      rows.some((row) => row !== null && row[place] !== null && row[place] !== 0);
    costChart.figure.element.hidden = !has(4);
    tokenChart.figure.element.hidden = !has(5);
    ttftChart.figure.element.hidden = !has(9);
    const last = keys.at(-1);
    const whole = last === undefined ? undefined : points.get(keys.at(-2) ?? last);
    rate.set(whole === undefined ? '–' : `${number(whole[1] / seconds, 3)} /s`, 'in the last whole interval');
    const text = `Each point sums up ${duration(seconds)}; no event is left out. Quantiles within 2 %.`;
    for (const chart of charts) chart.figure.setNote(intervalUs === 0 ? '' : text);
    latencies.figure.setNote('All events so far; bins of about 9 %, quantiles within 1 %.');
  }

  async function readExact(): Promise<void> {
    exactButton.disabled = true;
    try {
      const event = figures?.kind === ALL_KINDS ? '' : (figures?.kind ?? '');
      const { metrics } = await ask<{ metrics: Metrics }>(
        `/api/experiments/${encodeURIComponent(id)}/metrics?kind=${encodeURIComponent(event)}`,
      );
      replace(
        exact,
        tableElement({ columns: ['measure', 'value'], rows: exactRows(metrics) }, 'Exact figures'),
      );
    } catch (error) {
      warn.say((error as Error).message);
    } finally {
      exactButton.disabled = false;
    }
  }

  let end = () => {};
  function restart(): void {
    end();
    points.clear();
    replace(exact);
    end = follow(
      `/api/feed?id=${encodeURIComponent(id)}${asked === null ? '' : `&kind=${encodeURIComponent(asked)}`}`,
      {
        onState: (change: ExperimentChange) => {
          points.clear();
          take(change);
        },
        onDelta: take,
        onTrouble: warn.say,
      },
    );
  }
  restart();

  const download = (format: string) =>
    h(
      'a',
      {
        class: 'button',
        download: true,
        href: `/api/experiments/${encodeURIComponent(id)}/export?format=${format}`,
      },
      format,
    );

  return {
    title: id,
    element: h(
      'div',
      {},
      h('p', { class: 'crumbs' }, h('a', { href: '/' }, 'Experiments'), ' / ', id),
      title,
      hypothesis,
      about,
      warn.element,
      tabs(id, 'experiment'),
      notices,
      h('div', { class: 'controls' }, h('label', { for: 'kind' }, 'Events ', kind)),
      h(
        'div',
        { class: 'tiles' },
        ...[events, latency, tail, success, cost, tokens, rate, losses].map((each) => each.element),
      ),
      h(
        'div',
        { class: 'grid' },
        ...[
          latencyChart.figure,
          latencies.figure,
          rateChart.figure,
          successChart.figure,
          ttftChart.figure,
          costChart.figure,
          tokenChart.figure,
          costs.figure,
        ].map((each) => each.element),
        models.figure.element,
        kinds.figure.element,
      ),
      h(
        'section',
        { class: 'card' },
        h('h3', {}, 'Exact figures'),
        h('p', { class: 'note' }, 'Read from every event that is there; quantiles are exact.'),
        exactButton,
        exact,
      ),
      h(
        'section',
        { class: 'card' },
        h('h3', {}, 'Take the events along'),
        h('p', { class: 'note' }, 'Every event that can be read, as the library exports it.'),
        h('p', { class: 'buttons' }, ...['csv', 'jsonl', 'parquet', 'arrow', 'msgpack'].map(download)),
      ),
    ),
    close() {
      end();
      for (const chart of charts) chart.destroy();
    },
  };
}

function tableFigure(
  title: string,
  className: string,
  table: Parameters<typeof figure>[1],
): { figure: Figure; draw(): void } {
  const shown = figure(title, table, `plain ${className}`);
  let text = '';
  return {
    figure: shown,
    draw() {
      const next = table();
      const now = JSON.stringify(next);
      if (now === text) return;
      text = now;
      replace(shown.body, tableElement(next, title));
      shown.changed();
    },
  };
}

function exactRows({ summary, latency, cost, reliability, tokens }: Metrics): (string | number | null)[][] {
  const { timeRange } = summary;
  return [
    ['events', count(summary.totalEvents)],
    ['first (UTC)', iso(timeRange.start)],
    ['last (UTC)', iso(timeRange.end)],
    ...(latency.count === 0
      ? []
      : (['mean', 'stdDev', 'min', 'p50', 'p90', 'p95', 'p99', 'p999', 'max'] as const).map((key) => [
          `latency ${key}, ms`,
          number(latency[key], 6),
        ])),
    ...(cost.count === 0
      ? []
      : [
          ['cost total, USD', number(cost.total, 6)],
          ['cost median, USD', number(cost.medianPerRequest, 6)],
        ]),
    ['succeeded', count('successful' in reliability ? reliability.successful : null)],
    ['failed', count('failed' in reliability ? reliability.failed : null)],
    ...(tokens.count === 0
      ? []
      : [
          ['tokens, prompt', count(tokens.totalPrompt)],
          ['tokens, completion', count(tokens.totalCompletion)],
        ]),
  ];
}

function sum(values: readonly number[]): number {
  return values.reduce((total, value) => total + value, 0);
}
