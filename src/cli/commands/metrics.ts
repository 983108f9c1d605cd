import { ConfigError } from '../../errors.js';
import type { Filter, MetricName, MetricsGroup, Outcome } from '../../index.js';
import { defineCommand } from '../command.js';
import { UsageError } from '../errors.js';
import { FILTER_DETAIL, FILTER_OPTIONS, readFilter } from '../filters.js';
import type { LibraryExperiment } from '../library.js';
import { readOutcome, rethrowUsage } from '../outcomes.js';
import { emptyLines, lossLines, spanText, titleLines } from '../report/analysed.js';
import type { ReportOptions } from '../report/measures.js';
import { groupLines, metricsLines, outcomeLines } from '../report/metrics.js';
import { shapeLines, shapeOf } from '../report/shape.js';
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
    '{ id, name, condition, filter or null, metrics, byEvent: [{ key, metrics }],',
    '  counts: { captured, retained, dropped, malformed, cut, refused, malformedKeys } }',
    'With --by: { id, name, condition, counts, filter, by, groups: [{ key or null, metrics }] }',
    'metrics: { summary: { totalEvents, timeRange: { start, end }, durationSeconds, … },',
    '  latency: { count, mean, median, stdDev, min, max, p50, p90, p95, p99, p999 }, cost, reliability,',
    '  tokens, events: { NAME: { count } } }; with --of, outcomes: { NAME: { of, kind, n, estimate,',
    '  confidenceInterval, mean, stdDev, min, max, p50, … } }',
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
    of: {
      type: 'list',
      value: 'OUTCOME',
      commas: true,
      description:
        'outcomes besides: a measure or a declared column, as score; its quantile, as ttftMs.p95; a ratio of sums, as costUsd/success; each with its interval',
    },
    ...FILTER_OPTIONS,
  },
  run(context) {
    const { options, print, printJson, report, stdout } = context;
    const { by } = options;
    const of = options.of.map((text) => readOutcome(text, '--of', 'metrics'));
    const wanted = of.length === 0 ? {} : { of };
    const filter = readFilter(options, 'metrics');
    return withExperiment(context, 'metrics', async (opened) => {
      const { experiment } = opened;
      const { id, name, condition, counts } = experiment;
      const found = await waitFor(
        context,
        'reading',
        (by === undefined
          ? inAll(experiment, filter, wanted, report, !options.json && stdout.isTTY === true)
          : byGroup(opened, by, filter, wanted, report)
        ).catch(rethrowUsage('--of', 'metrics')),
      );
      if (options.json) {
        printJson({ id, name, condition, counts, filter, ...found.document });
        return;
      }
      print(
        ...titleLines(opened, filter, report),
        ...(found.isEmpty ? emptyLines(opened, filter, await experiment.metrics(), report) : found.lines),
        ...lossLines([opened], report),
      );
    });
  },
});

/** Outcomes that are wanted besides. */
interface Wanted {
  readonly of?: readonly (MetricName | Outcome)[];
}

interface Found {
  document: object;
  lines: string[];
  isEmpty: boolean;
}

async function inAll(
  experiment: LibraryExperiment,
  filter: Filter | null,
  wanted: Wanted,
  options: ReportOptions,
  drawn: boolean,
): Promise<Found> {
  const metrics = await experiment.metrics(filter ?? {}, wanted);
  const shape = drawn ? await shapeOf(experiment, metrics, filter) : null;
  // Figures of events of several kinds are of a mixture, which is what nobody wants to read unknowingly.
  const isMixture = Object.keys(metrics.events).length > 1;
  const byEvent = isMixture ? await experiment.metricsBy('eventName', filter ?? {}, wanted) : [];
  return {
    document: { metrics, byEvent },
    lines: [
      ...wrap(spanText(metrics), options.width, '  ', '    ').map(options.style.dim),
      ...(isMixture ? [...groupLines('event', byEvent, options), '', 'all events together'] : []),
      ...metricsLines([{ name: '', metrics }], options, true),
      ...outcomeLines([{ key: null, metrics }], null, options),
      ...(shape === null ? [] : shapeLines(shape, options)),
    ],
    isEmpty: metrics.summary.totalEvents === 0,
  };
}

async function byGroup(
  opened: OpenedExperiment,
  by: string,
  filter: Filter | null,
  wanted: Wanted,
  options: ReportOptions,
): Promise<Found> {
  const groups = await groupsOf(opened, by, filter, wanted);
  return {
    document: { by, groups },
    lines: [...groupLines(by, groups, options), ...outcomeLines(groups, by, options)],
    isEmpty: groups.length === 0,
  };
}

async function groupsOf(
  { experiment, stored }: OpenedExperiment,
  by: string,
  filter: Filter | null,
  wanted: Wanted,
): Promise<MetricsGroup[]> {
  try {
    return await experiment.metricsBy(by, filter ?? {}, wanted);
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
