import type { Filter, WindowedOptions } from '../../index.js';
import { defineCommand } from '../command.js';
import { UsageError } from '../errors.js';
import { FILTER_DETAIL, FILTER_OPTIONS, readFilter } from '../filters.js';
import { readOutcome, rethrowUsage } from '../outcomes.js';
import { emptyLines, lossLines, titleLines } from '../report/analysed.js';
import { windowLines } from '../report/windows.js';
import { type OpenedExperiment, withExperiment } from '../stored-experiments.js';
import { formatCount } from '../terminal/numbers.js';
import { readDurationUs } from '../times.js';
import { waitFor } from '../waiting.js';

/** More are no answer to a question, and their JSON outgrows what a string can hold. */
const WINDOWS_MAX = 250_000;

export const windows = defineCommand({
  name: 'windows',
  summary: 'metrics of one experiment over time, window by window',
  usage: 'ID --size DURATION --dir DIR [options]',
  details: [
    'A line for each window that holds an event: tumbling windows, or with a --step below --size hopping ones, which share events. A window holds the events from its start, included, to its end, not included. Times are UTC, durations like 500ms, 60s, 5m, 1h or 1d. For instance',
    '  crucible windows 295d --dir data --size 60s --step 10s --event req_llm.request.stop',
    `Changes nothing: the experiment may be being captured meanwhile. ${FILTER_DETAIL} Without --dir, the folder that CRUCIBLE_DIR names.`,
  ],
  json: [
    '{ id, name, condition, counts, filter or null, sizeUs, stepUs, align,',
    '  windows: [{ windowStart, windowEnd, eventCount, meanLatency, stdDevLatency,',
    '    latencyQuantiles: { p50, p95, p99 }, totalCost, successCount, failureCount,',
    '    promptTokens, completionTokens, outcomes (with --of): { NAME: { of, kind, n, estimate,',
    '    confidenceInterval, mean, stdDev, min, max, p50, … } } }] }',
    'All windows, whatever --limit. Latencies in ms, costs in USD, times in microseconds since 1970.',
  ],
  positionals: { min: 1, max: 1 },
  options: {
    size: { type: 'string', value: 'DURATION', description: 'how long a window is' },
    step: {
      type: 'string',
      value: 'DURATION',
      description: 'from the start of one window to that of the next; as long as a window by default',
    },
    align: {
      type: 'choice',
      choices: ['first', 'epoch'],
      default: 'first',
      description: 'where windows are counted from: the first event, or 1970, which makes them round',
    },
    quantiles: {
      type: 'list',
      value: 'P',
      default: ['0.5', '0.95', '0.99'],
      commas: true,
      description: 'of the latencies, and of outcomes that are means or quantiles, from 0 to 1',
    },
    of: {
      type: 'list',
      value: 'OUTCOME',
      commas: true,
      description:
        'a column for each outcome: a measure or a declared column, as score; its quantile, as ttftMs.p95; a ratio of sums, as costUsd/success',
    },
    limit: {
      type: 'integer',
      default: 40,
      min: 1,
      max: 10_000,
      description: 'show the last N windows',
    },
    ...FILTER_OPTIONS,
  },
  run(context) {
    const { options, print, printJson, style, report, stdout } = context;
    const { align } = options;
    if (options.size === undefined)
      throw new UsageError('windows needs --size, such as --size 60s', 'windows');
    const sizeUs = readDurationUs('size', options.size, 'windows');
    const stepUs = options.step === undefined ? sizeUs : readDurationUs('step', options.step, 'windows');
    const of = options.of.map((text) => readOutcome(text, '--of', 'windows'));
    const quantiles = readQuantiles(options.quantiles);
    const windowed = { sizeUs, stepUs, align, quantiles, ...(of.length > 0 && { of }) };
    const filter = readFilter(options, 'windows');
    return withExperiment(context, 'windows', async (opened) => {
      const { id, name, condition, counts } = opened.experiment;
      const most = windowsAtMost(opened, filter, windowed);
      if (most > WINDOWS_MAX) {
        throw new UsageError(
          `--step ${options.step ?? options.size} would make up to ${formatCount(most, 'window')}: take a longer one, or less time with --from and --to`,
          'windows',
        );
      }
      const rows = await waitFor(
        context,
        'reading',
        opened.experiment
          .windowedMetrics({ ...windowed, ...(filter !== null && { filter }) })
          .catch(rethrowUsage('--of', 'windows')),
      );
      if (options.json) {
        const experiment = { id, name, condition, counts };
        printJson({ ...experiment, filter, sizeUs, stepUs, align, windows: rows });
        return;
      }
      const every = stepUs === sizeUs ? '' : `, one every ${options.step}`;
      const drawn = stdout.isTTY === true;
      print(
        ...titleLines(opened, filter, report),
        ...(rows.length === 0
          ? emptyLines(opened, filter, await opened.experiment.metrics(), report)
          : [
              style.dim(`  ${formatCount(rows.length, 'window')} of ${options.size}${every}`),
              ...windowLines(rows, { ...report, stepUs, limit: options.limit, drawn }),
            ]),
        ...lossLines([opened], report),
      );
    });
  },
});

/** Windows that hold an event: no more than begin in the time that is read, nor than the events lie in. */
function windowsAtMost(
  { report: { timeRange, rows } }: OpenedExperiment,
  filter: Filter | null,
  { sizeUs, stepUs, align }: WindowedOptions,
): number {
  if (timeRange === null) return 0;
  const [from, to] = filter?.timeRange ?? timeRange;
  const spanUs = Math.min(to, timeRange[1]) - Math.max(from, timeRange[0]);
  // Counted from the first event, the last window ends soon after the last; counted from 1970, windows begin before the first.
  const startsUs = Math.max(0, align === 'first' ? spanUs - sizeUs : spanUs);
  return Math.min(Math.ceil(startsUs / stepUs) + 2, rows * Math.ceil(sizeUs / stepUs));
}

function readQuantiles(texts: readonly string[]): number[] {
  return texts.map((text) => {
    const p = text.trim() === '' ? Number.NaN : Number(text);
    if (p >= 0 && p <= 1) return p;
    throw new UsageError(
      `--quantiles expects numbers from 0 to 1, such as 0.5,0.95, got ${JSON.stringify(text)}`,
      'windows',
    );
  });
}
