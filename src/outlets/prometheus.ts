/**
 * `crucible-telemetry/prometheus`: what experiments sum up, as Prometheus reads it: OpenMetrics 1.0, or the older text
 * format for those that do not ask for it. No exemplars.
 */
import type { IncomingMessage, ServerResponse } from 'node:http';
import { type Distribution, type HasExperiments, type Series, seriesOf } from './series.js';

export type PrometheusFormat = 'openmetrics' | 'text';

interface Family {
  /** Without the suffix of counters. */
  readonly name: string;
  readonly type: 'counter' | 'summary';
  readonly help: string;
  readonly unit?: 'seconds';
  samples(series: Series): Sample[];
}

type Sample = readonly [suffix: string, labels: Readonly<Record<string, string>>, value: number];

const FAMILIES: readonly Family[] = [
  {
    name: 'crucible_events',
    type: 'counter',
    help: 'Events captured.',
    samples: ({ count }) => [['_total', {}, count]],
  },
  {
    name: 'crucible_outcomes',
    type: 'counter',
    help: 'Events whose success is known.',
    samples: ({ succeeded, failed }) =>
      succeeded + failed === 0
        ? []
        : [
            ['_total', { outcome: 'success' }, succeeded],
            ['_total', { outcome: 'failure' }, failed],
          ],
  },
  {
    name: 'crucible_latency_seconds',
    type: 'summary',
    unit: 'seconds',
    help: 'Latency; quantiles within 1 %, since the experiment began.',
    samples: ({ latency }) => summaryOf(latency, 1e-3),
  },
  {
    name: 'crucible_cost_usd',
    type: 'counter',
    help: 'Cost in USD of events whose cost is known.',
    samples: ({ cost }) => (cost.count === 0 ? [] : [['_total', {}, cost.sum]]),
  },
  {
    name: 'crucible_tokens',
    type: 'counter',
    help: 'Tokens; input includes cached, output includes reasoning.',
    samples: ({ promptTokens, completionTokens }) =>
      promptTokens + completionTokens === 0
        ? []
        : [
            ['_total', { kind: 'input' }, promptTokens],
            ['_total', { kind: 'output' }, completionTokens],
          ],
  },
];

function summaryOf({ count, sum, quantiles }: Distribution, factor: number): Sample[] {
  if (count === 0) return [];
  const points = Object.entries(quantiles ?? {}).map(
    ([quantile, value]): Sample => ['', { quantile }, value * factor],
  );
  return [...points, ['_sum', {}, sum * factor], ['_count', {}, count]];
}

/**
 * The metrics of all experiments of a Crucible, with the labels experiment, experiment_id, condition, event, model and
 * provider.
 */
export function prometheusText(
  crucible: HasExperiments,
  { format = 'openmetrics' }: { readonly format?: PrometheusFormat } = {},
): string {
  const series = [...seriesOf(crucible)];
  const isOpen = format === 'openmetrics';
  const lines: string[] = [];
  const begin = (name: string, type: string, help: string, unit?: string) => {
    const family = !isOpen && type === 'counter' ? `${name}_total` : name;
    lines.push(`# TYPE ${family} ${type}`);
    if (isOpen && unit !== undefined) lines.push(`# UNIT ${family} ${unit}`);
    lines.push(`# HELP ${family} ${help}`);
  };
  for (const { name, type, help, unit, samples } of FAMILIES) {
    begin(name, type, help, unit);
    for (const one of series) {
      for (const [suffix, labels, value] of samples(one)) {
        lines.push(`${name}${suffix}${labelsOf({ ...aboutOf(one), ...labels })} ${numeral(value)}`);
      }
    }
  }
  begin('crucible_dropped_events', 'counter', 'Events lost: refused, overwritten or damaged.');
  for (const experiment of crucible.experiments()) {
    const labels = labelsOf(aboutOf({ experiment }));
    lines.push(`crucible_dropped_events_total${labels} ${numeral(experiment.counts.dropped)}`);
  }
  if (isOpen) lines.push('# EOF');
  return `${lines.join('\n')}\n`;
}

function aboutOf({
  experiment,
  ...series
}: Pick<Series, 'experiment'> & Partial<Pick<Series, 'event' | 'model' | 'provider'>>): Record<
  string,
  string
> {
  const { name, id, condition } = experiment;
  const { event, model, provider } = series;
  const told = { event, model, provider };
  return {
    ...{ experiment: name, experiment_id: id, condition },
    // A label that is empty is none.
    ...Object.fromEntries(Object.entries(told).filter((entry): entry is [string, string] => !!entry[1])),
  };
}

function labelsOf(labels: Readonly<Record<string, string>>): string {
  const parts = Object.entries(labels).map(([name, value]) => `${name}="${escaped(value)}"`);
  return `{${parts.join(',')}}`;
}

function escaped(value: string): string {
  return value.replace(/[\\"\n]/g, (mark) => (mark === '\n' ? '\\n' : `\\${mark}`));
}

function numeral(value: number): string {
  if (Number.isNaN(value)) return 'NaN';
  if (!Number.isFinite(value)) return value > 0 ? '+Inf' : '-Inf';
  return String(value);
}

const TYPES: Readonly<Record<PrometheusFormat, string>> = {
  openmetrics: 'application/openmetrics-text; version=1.0.0; charset=utf-8',
  text: 'text/plain; version=0.0.4; charset=utf-8',
};

/** Fastify's reply, as far as it is used. */
interface Reply {
  readonly raw: ServerResponse;
  header(name: string, value: string): unknown;
  send(text: string): unknown;
}

/**
 * A handler of `GET /metrics` for `node:http`, Express and Fastify: `createServer(prometheusHandler(crucible))`,
 * `app.get('/metrics', prometheusHandler(crucible))`. It answers in the format that is asked for.
 */
export function prometheusHandler(
  crucible: HasExperiments,
): (request: Pick<IncomingMessage, 'headers'>, response: ServerResponse | Reply) => void {
  return ({ headers }, response) => {
    const format = headers.accept?.includes('application/openmetrics-text') === true ? 'openmetrics' : 'text';
    const text = prometheusText(crucible, { format });
    if ('raw' in response) {
      response.header('content-type', TYPES[format]);
      response.send(text);
      return;
    }
    response.writeHead(200, { 'content-type': TYPES[format] });
    response.end(text);
  };
}
