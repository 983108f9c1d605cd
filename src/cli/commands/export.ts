import { ConfigError, ExportError } from '../../errors.js';
import type { ExportResult } from '../../index.js';
import { type CommandContext, defineCommand } from '../command.js';
import { CommandError, UsageError } from '../errors.js';
import { EXPORT_OPTIONS, type ExportPlan, readExportPlan } from '../export-options.js';
import { FILTER_DETAIL, filterText, slipText } from '../filters.js';
import type { LibraryCrucible } from '../library.js';
import { exportedLines } from '../report/exported.js';
import { type OpenedExperiment, withExperiments } from '../stored-experiments.js';
import { formatBytes, formatNumber } from '../terminal/numbers.js';
import { Progress } from '../terminal/progress.js';
import { writeAll } from '../terminal/stream.js';
import { visible } from '../terminal/text.js';

export const exportCommand = defineCommand({
  name: 'export',
  summary: 'write the events of experiments to a file: csv, jsonl, msgpack, parquet or arrow',
  usage: 'ID... --dir DIR (--format FORMAT | --out FILE) [options]',
  details: [
    'Events ascend by time; those of several experiments become one file. It appears whole or not at all, with a manifest beside it (FILE.manifest.json) that tells counts, times, columns and SHA-256. The experiments may be being captured meanwhile. The beginning of an ID will do, or a name, where only one experiment has it. Without --dir, the folder that CRUCIBLE_DIR names. For instance',
    '  crucible export 295d --dir data --out requests.parquet',
    '  crucible export 295d --dir data --format jsonl --out - --failed | jq .latency_ms',
    `${FILTER_DETAIL} With a key, user and session ids are hashed; one key gives one id the same hash in all exports. docs/exports.md tells how to read the files in pandas, polars, DuckDB, R and jq.`,
  ],
  json: [
    '{ path, rows, cut, damaged, bytes, sha256, manifest, format, elapsedMs, filter or null,',
    '  anonymized: { mode, fields } or null, experiments: [{ id, name, condition, counts }] }',
  ],
  positionals: { min: 1, max: 100 },
  options: EXPORT_OPTIONS,
  async run(context) {
    const { options, positionals, stdout } = context;
    const plan = await readExportPlan(context);
    if (plan.toStdout) {
      const isText =
        ['csv', 'jsonl'].includes(plan.format) && (plan.options.compression ?? 'none') === 'none';
      if (options.json) throw new UsageError('--json and --out - exclude each other', 'export');
      if (positionals.length > 1) throw new UsageError('--out - takes one experiment', 'export');
      if (stdout.isTTY === true && !isText) {
        throw new UsageError('--out - would write binary data to the terminal; send it elsewhere', 'export');
      }
    }
    return withExperiments(context, 'export', positionals, async (crucible, opened) => {
      try {
        if (plan.toStdout) await toStdout(context, opened[0]!, plan);
        else await toFile(context, crucible, opened, plan);
      } catch (error) {
        throw told(error, opened, plan);
      }
    });
  },
});

type Context = CommandContext<typeof EXPORT_OPTIONS>;

function toStdout(
  { stdout, signal }: Context,
  { experiment }: OpenedExperiment,
  { format, options }: ExportPlan,
): Promise<void> {
  // A pager may be left open for as long as its reader likes.
  return writeAll(stdout, experiment.exportStream(format, { ...options, signal, idleTimeoutMs: 0 }));
}

async function toFile(
  context: Context,
  crucible: LibraryCrucible,
  opened: readonly OpenedExperiment[],
  plan: ExportPlan,
): Promise<void> {
  const { options, print, printJson, report, nowMs } = context;
  const startedMs = nowMs();
  const result = await written(context, crucible, opened, plan);
  const elapsedMs = nowMs() - startedMs;
  if (!options.json) {
    print(...exportedLines(result, opened, plan.options, elapsedMs, report));
    return;
  }
  const { filter = null, anonymize } = plan.options;
  const document = {
    ...result,
    format: plan.format,
    elapsedMs,
    filter,
    anonymized: anonymize ? { mode: anonymize.mode ?? 'hash', fields: anonymize.fields ?? [] } : null,
    experiments: opened.map(({ experiment: { id, name, condition, counts } }) => ({
      id,
      name,
      condition,
      counts,
    })),
  };
  printJson(document);
}

async function written(
  { stderr, style, live, nowMs, signal }: Context,
  crucible: LibraryCrucible,
  opened: readonly OpenedExperiment[],
  { format, options }: ExportPlan,
): Promise<ExportResult> {
  const progress = new Progress(stderr, style, live, nowMs);
  const retained = opened.reduce((sum, { experiment }) => sum + experiment.counts.retained, 0);
  // How many pass a filter is known at the end.
  const total = options.filter === undefined ? retained : null;
  const show = ({ rows, bytes }: { rows: number; bytes: number }) =>
    progress.update({ label: 'export', done: rows, total, detail: formatBytes(bytes) });
  show({ rows: 0, bytes: 0 });
  const all = { ...options, signal, onProgress: show };
  try {
    return opened.length === 1
      ? await opened[0]!.experiment.export(format, all)
      : await crucible.exportMultiple(
          opened.map(({ experiment }) => experiment.id),
          format,
          all,
        );
  } finally {
    progress.close();
  }
}

/** What the library calls its options, and what they are called here. */
const OPTION_NAMES: ReadonlyMap<unknown, string> = new Map([
  ['compression', '--compression'],
  ['layout', '--layout'],
  ['rowGroupRows', '--row-group-rows'],
  ['anonymize.fields', '--anonymize-fields'],
  ['anonymize.key', 'the key of --anonymize-key-file or CRUCIBLE_ANONYMIZE_KEY'],
]);

/** The error in the terms of the command line. */
function told(
  error: unknown,
  opened: readonly OpenedExperiment[],
  { options: { filter } }: ExportPlan,
): unknown {
  if (error instanceof ConfigError) {
    const { path } = error.context;
    const option = OPTION_NAMES.get(path);
    return option === undefined
      ? error
      : new UsageError(error.message.replace(String(path), option), 'export');
  }
  if (!(error instanceof ExportError) || error.code !== 'ERR_NO_DATA') return error;
  const names = opened.map(({ experiment }) => visible(experiment.name)).join(', ');
  return filter === undefined
    ? new CommandError('ERR_NO_DATA', `there are no events in ${names}${lossText(error.context.damaged)}`)
    : new CommandError(
        'ERR_NO_DATA',
        `no events of ${names} pass: ${filterText(filter)}`,
        slipText(filter) ?? 'crucible metrics ID --dir DIR shows what an experiment has',
      );
}

function lossText(damaged: unknown): string {
  return typeof damaged === 'number' && damaged > 0 ? `: ${formatNumber(damaged)} are lost on disk` : '';
}
