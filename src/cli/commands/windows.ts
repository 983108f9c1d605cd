import { defineCommand } from '../command.js';
import { UsageError } from '../errors.js';
import { FILTER_DETAIL, FILTER_OPTIONS, readFilter } from '../filters.js';
import { emptyLines, lossLines, titleLines } from '../report/analysed.js';
import { windowLines } from '../report/windows.js';
import { withExperiment } from '../stored-experiments.js';
import { formatCount } from '../terminal/numbers.js';
import { readDurationUs } from '../times.js';

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
    '    promptTokens, completionTokens }] }',
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
      description: 'of the latencies, from 0 to 1',
    },
    limit: { type: 'integer', default: 40, min: 1, description: 'show the last N windows' },
    ...FILTER_OPTIONS,
  },
  run(context) {
    const { options, print, style, width, stdout } = context;
    const { align } = options;
    if (options.size === undefined)
      throw new UsageError('windows needs --size, such as --size 60s', 'windows');
    const sizeUs = readDurationUs('size', options.size, 'windows');
    const stepUs = options.step === undefined ? sizeUs : readDurationUs('step', options.step, 'windows');
    const quantiles = readQuantiles(options.quantiles);
    const filter = readFilter(options, 'windows');
    return withExperiment(context, 'windows', async (opened) => {
      const { id, name, condition, counts } = opened.experiment;
      const rows = await opened.experiment.windowedMetrics({
        sizeUs,
        stepUs,
        align,
        quantiles,
        ...(filter !== null && { filter }),
      });
      if (options.json) {
        const experiment = { id, name, condition, counts };
        print(JSON.stringify({ ...experiment, filter, sizeUs, stepUs, align, windows: rows }, null, 2));
        return;
      }
      const every = stepUs === sizeUs ? '' : `, one every ${options.step}`;
      const drawn = stdout.isTTY === true;
      print(
        ...titleLines(opened, filter, { style, width }),
        ...(rows.length === 0
          ? emptyLines(opened, filter, await opened.experiment.metrics(), { style, width })
          : [
              style.dim(`  ${formatCount(rows.length, 'window')} of ${options.size}${every}`),
              ...windowLines(rows, { style, width, stepUs, limit: options.limit, drawn }),
            ]),
        ...lossLines([opened], { style, width }),
      );
    });
  },
});

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
