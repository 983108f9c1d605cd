import { ConfigError } from '../../errors.js';
import type { Filter, MetricsGroup } from '../../index.js';
import { defineCommand } from '../command.js';
import { UsageError } from '../errors.js';
import { FILTER_DETAIL, FILTER_OPTIONS, readFilter } from '../filters.js';
import type { LibraryExperiment } from '../library.js';
import { emptyLines, lossLines, spanText, titleLines } from '../report/analysed.js';
import type { ReportOptions } from '../report/measures.js';
import { eventNameLines, groupLines, metricsLines } from '../report/metrics.js';
import { type OpenedExperiment, withExperiment } from '../stored-experiments.js';
import { wrap } from '../terminal/width.js';
import { waitFor } from '../waiting.js';

export const metrics = defineCommand({
  name: 'metrics',
  summary: 'exact metrics of one experiment, in all or by group',
  usage: 'ID --dir DIR [--by KEY] [options]',
  details: [
    'Reads every event, so that quantiles are exact, and changes nothing: the experiment may be being captured meanwhile. The beginning of an ID will do, or a name, where only one experiment has it. Without --dir, the folder that CRUCIBLE_DIR names.',
    `${FILTER_DETAIL} For instance`,
    '  crucible metrics 295d --dir data --by model --success --from 2026-11-25',
    'Rates are over events whose success is known (decided), intervals are Wilson\'s. "a request" is all cost over decided events, the other means of costs are over events that have one.',
  ],
  json: [
    '{ id, name, condition, counts: { captured, retained, dropped, malformed, cut }, filter or null,',
    '  metrics }',
    'With --by: { id, name, condition, counts, filter, by, groups: [{ key or null, metrics }] }',
    'metrics: { summary: { totalEvents, timeRange: { start, end }, durationSeconds, … },',
    '  latency: { count, mean, median, stdDev, min, max, p50, p90, p95, p99, p999 }, cost, reliability,',
    '  tokens, events: { NAME: { count } } }',
    'Latencies in ms, costs in USD, times in microseconds since 1970.',
  ],
  positionals: { min: 1, max: 1 },
  options: {
    by: {
      type: 'string',
      value: 'KEY',
      description:
        'a line for each eventName, model, provider, condition, or value of a declared column of type dict or bool',
    },
    ...FILTER_OPTIONS,
  },
  run(context) {
    const { options, print, style, width } = context;
    const { by } = options;
    const filter = readFilter(options, 'metrics');
    return withExperiment(context, 'metrics', async (opened) => {
      const { experiment } = opened;
      const { id, name, condition, counts } = experiment;
      const found = await waitFor(
        context,
        'reading',
        by === undefined
          ? inAll(experiment, filter, { style, width })
          : byGroup(opened, by, filter, { style, width }),
      );
      if (options.json) {
        print(JSON.stringify({ id, name, condition, counts, filter, ...found.document }, null, 2));
        return;
      }
      print(
        ...titleLines(opened, filter, { style, width }),
        ...(found.isEmpty
          ? emptyLines(opened, filter, await experiment.metrics(), { style, width })
          : found.lines),
        ...lossLines([opened], { style, width }),
      );
    });
  },
});

interface Found {
  document: object;
  lines: string[];
  isEmpty: boolean;
}

async function inAll(
  experiment: LibraryExperiment,
  filter: Filter | null,
  options: ReportOptions,
): Promise<Found> {
  const metrics = await experiment.metrics(filter ?? {});
  const hasNames = Object.keys(metrics.events).length > 1;
  return {
    document: { metrics },
    lines: [
      ...wrap(spanText(metrics), options.width, '  ', '    ').map(options.style.dim),
      ...metricsLines([{ name: '', metrics }], options, true),
      ...(hasNames ? ['', ...eventNameLines(metrics, options)] : []),
    ],
    isEmpty: metrics.summary.totalEvents === 0,
  };
}

async function byGroup(
  opened: OpenedExperiment,
  by: string,
  filter: Filter | null,
  options: ReportOptions,
): Promise<Found> {
  const groups = await groupsOf(opened, by, filter);
  return {
    document: { by, groups },
    lines: groupLines(by, groups, options),
    isEmpty: groups.length === 0,
  };
}

async function groupsOf(
  { experiment, stored }: OpenedExperiment,
  by: string,
  filter: Filter | null,
): Promise<MetricsGroup[]> {
  try {
    return await experiment.metricsBy(by, filter ?? {});
  } catch (error) {
    if (!(error instanceof ConfigError) || error.context.path !== 'by') throw error;
    const columns = stored.experiment?.options.columns as { name: string; type: string }[] | undefined;
    const names = (columns ?? []).flatMap(({ name, type }) =>
      type === 'dict' || type === 'bool' ? [name] : [],
    );
    const declared = names.length === 0 ? 'it declared no such column' : names.join(', ');
    throw new UsageError(
      `--by expects eventName, model, provider, condition or a declared column (${declared}), got ${JSON.stringify(by)}`,
      'metrics',
    );
  }
}
