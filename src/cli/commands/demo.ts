import type { Comparison, MetricName } from '../../analysis/types.js';
import {
  type ArmCounts,
  type DemoOptions,
  type DemoResult,
  estimateDemoMs,
  HEDGE_QUANTILE,
  runDemo,
  type Treatment,
} from '../../demo/run.js';
import type { ExportFormat, ExportResult } from '../../index.js';
import { type CommandContext, defineCommand } from '../command.js';
import { dirOf } from '../folder.js';
import { FORMATS } from '../formats.js';
import type { Library, LibraryCrucible, LibraryExperiment } from '../library.js';
import { comparisonLines } from '../report/comparison.js';
import { filesLines } from '../report/files.js';
import type { ReportOptions } from '../report/measures.js';
import { metricsLines } from '../report/metrics.js';
import { keptLines } from '../report/stored.js';
import { formatCount, formatDuration, formatNumber, formatShare } from '../terminal/numbers.js';
import { shellArgument } from '../terminal/text.js';
import { wrap } from '../terminal/width.js';
import { DemoDisplay } from './demo-display.js';

const WHAT_TREATMENT_DOES: Record<Treatment, string> = {
  hedged: 'a second request when the first is slow or fails',
  ensemble: 'three models at once and a vote',
};

const HYPOTHESES: Record<Treatment, string> = {
  hedged: 'A second request, sent when the first is slow or fails, lowers the mean latency.',
  ensemble: 'A vote of three models answers more often, and more often correctly, than one.',
};

/** What the demo asks, fixed before it runs. Arms answer the same questions, so that costs are those of a question. */
const COMPARED: readonly MetricName[] = ['latencyMean', 'latencyP95', 'costMean', 'successRate'];

export const demo = defineCommand({
  name: 'demo',
  summary: 'run an A/B experiment against a local chat server and analyse it',
  usage: '[options]',
  details: [
    'Asks every question once in each of two arms: one request to one model, and the treatment. The server is part of this program; its latencies, failures and token counts follow public traces of LLM services.',
    'With --dir, or CRUCIBLE_DIR, both experiments are kept in that folder while they run: kill the demo, even with kill -9, and get them back with crucible recover. Without, they live in memory, and what is left is the exported files.',
  ],
  json: [
    '{ strategy, seed, requests, timeScale, interrupted, elapsedMs, hedgeDelayMs,',
    '  control and treatment: { finished, answered, failed, correct, extraRequests },',
    '  kept: { dir, experiments: [{ id, name, folder, captured, durable }] } or null,',
    '  comparison, verdicts, files: [{ path, rows, bytes }] }',
  ],
  positionals: { min: 0, max: 0 },
  options: {
    requests: {
      type: 'integer',
      default: 300,
      min: 1,
      max: 100_000,
      description: 'questions, asked once in each arm',
    },
    seed: { type: 'integer', default: 1, description: 'decides questions, latencies and failures' },
    treatment: {
      type: 'choice',
      choices: ['hedged', 'ensemble'],
      default: 'hedged',
      description: 'what the second arm does',
    },
    speed: {
      type: 'integer',
      default: 20,
      min: 1,
      max: 1_000_000,
      description: 'times as fast as the traced services',
    },
    out: {
      type: 'string',
      value: 'DIR',
      default: 'exports',
      description: 'where exported files go; files that are there already stay',
    },
    format: {
      type: 'list',
      choices: FORMATS,
      value: 'FORMAT',
      default: ['csv', 'jsonl'],
      description: `of the exported files, one of ${FORMATS.join(', ')}`,
    },
  },
  async run(context) {
    const { options, print, printJson, report } = context;
    const { treatment: strategy, seed, requests } = options;
    const plan = { strategy, seed, requests, timeScale: 1 / options.speed };
    if (!options.json) print(...bannerLines(plan, options.speed, report), '');

    const library = await context.loadLibrary();
    const dir = dirOf(context);
    const crucible = library.open(dir);
    try {
      const { arms, result } = await runArms(context, library, crucible, plan, dir);
      const ids = arms.map(({ id }) => id);
      // Stopped before each arm had an answer, there is nothing to compare and may be nothing to export.
      const complete = Math.min(result.control.finished, result.treatment.finished) > 0;
      const comparison = complete ? await crucible.compare(ids, { metrics: COMPARED }) : null;
      const files = complete
        ? await exportAll(crucible, ids, [...new Set(options.format)], options.out, plan)
        : [];
      const kept = dir === undefined ? null : { dir, arms };
      const outcome: Outcome = { plan, result, comparison, files, kept };
      if (options.json) printJson(demoDocument(outcome));
      else print(...resultLines(outcome, report));
    } finally {
      await crucible.close();
    }
  },
});

type Plan = Pick<DemoOptions, 'strategy' | 'seed' | 'requests'> & { timeScale: number };

function bannerLines(plan: Plan, speed: number, { style }: ReportOptions): string[] {
  const { bold, dim } = style;
  const seconds = Math.max(1, Math.round(estimateDemoMs(plan) / 1000));
  const expected = seconds < 60 ? `${seconds} s` : formatDuration(seconds * 1000);
  return [
    `${bold('crucible demo')}  ${formatCount(plan.requests, 'question')} to each of two arms`,
    `  control   one request to one model`,
    `  ${plan.strategy.padEnd(8)}  ${WHAT_TREATMENT_DOES[plan.strategy]}`,
    dim(`  seed ${plan.seed} · about ${expected} · Ctrl-C stops early and reports what there is`),
    dim(
      `  A local server follows public traces of LLM services, at ${formatNumber(speed)} times their speed.`,
    ),
  ];
}

/** What makes the folder worth while: that nothing can happen to it. */
function durableLines(dir: string, { style, pid }: CommandContext): string[] {
  return [
    `  Kept in ${style.bold(dir)} as it goes. Try to lose it:`,
    `    kill -9 ${pid}`,
    `    crucible recover ${shellArgument(dir)}`,
  ];
}

/** Runs both arms under the live display and stops their experiments. */
async function runArms(
  context: CommandContext,
  library: Library,
  crucible: LibraryCrucible,
  plan: Plan,
  dir: string | undefined,
): Promise<{ arms: LibraryExperiment[]; result: DemoResult }> {
  const start = (name: string) =>
    crucible.startExperiment({
      name,
      condition: name,
      hypothesis: HYPOTHESES[plan.strategy],
      tags: ['demo'],
      metadata: { ...plan },
    });
  const control = start('control');
  const treatment = start(plan.strategy);
  if (dir !== undefined && !context.options.json) context.print(...durableLines(dir, context), '');
  const display = new DemoDisplay(context, { control, treatment }, plan.requests);
  // A program that wants one document wants silence besides.
  if (!context.options.json) display.start();
  try {
    const result = await runDemo({
      ...plan,
      control,
      treatment,
      emit: library.emit,
      signal: context.signal,
      onProgress: (counts) => display.update(counts),
    });
    return { arms: [control, treatment], result };
  } finally {
    display.close();
    await Promise.all([control.stop(), treatment.stop()]);
  }
}

async function exportAll(
  crucible: LibraryCrucible,
  ids: readonly string[],
  formats: readonly ExportFormat[],
  out: string,
  { strategy, seed }: Plan,
): Promise<ExportResult[]> {
  const files: ExportResult[] = [];
  for (const format of formats) {
    files.push(await crucible.exportMultiple(ids, format, { dir: out, name: `demo-${strategy}-${seed}` }));
  }
  return files;
}

interface Outcome {
  plan: Plan;
  result: DemoResult;
  /** Null, with no files, when the run was stopped before each arm had finished a question. */
  comparison: Comparison | null;
  files: readonly ExportResult[];
  /** Null in memory. */
  kept: { dir: string; arms: readonly LibraryExperiment[] } | null;
}

function resultLines({ plan, result, comparison, files, kept }: Outcome, options: ReportOptions): string[] {
  const { bold, dim, yellow } = options.style;
  const { control, treatment } = result;
  const stopped = `stopped early: ${formatNumber(control.finished)} and ${formatNumber(treatment.finished)} of ${formatCount(plan.requests, 'question')} finished; those under way are left out`;
  const lines = result.interrupted ? wrap(stopped, options.width).map(yellow) : [];
  const keptWhere = kept === null ? [] : keptLines(kept.dir, kept.arms);
  if (comparison === null) return [...lines, ...keptWhere];
  return [
    ...lines,
    `${bold('Metrics')}${dim(`  ${formatDuration(result.elapsedMs)}; latencies as measured here, failures among them`)}`,
    ...metricsLines(comparison.experiments, options),
    ...wrap(answersLine(plan.strategy, result), options.width, '  '),
    '',
    ...comparisonLines(comparison, options, false),
    '',
    bold('Files'),
    ...filesLines(files, options),
    ...(kept === null ? [] : ['', ...keptWhere]),
  ];
}

/** What telemetry alone does not tell: whether the answers were right, and what the treatment sent for them. */
function answersLine(strategy: Treatment, { control, treatment, hedgeDelayMs }: DemoResult): string {
  const correct = (counts: ArmCounts) => formatShare(counts.correct / Math.max(1, counts.finished), 1);
  const when =
    hedgeDelayMs === null
      ? ''
      : `; backup after ${formatNumber(hedgeDelayMs)} ms, the p${HEDGE_QUANTILE * 100} of the time to first token`;
  return `Correct answers: control ${correct(control)} %, ${strategy} ${correct(treatment)} %. Extra requests: ${formatNumber(treatment.extraRequests)}${when}.`;
}

function demoDocument({ plan, result, comparison, files, kept }: Outcome) {
  const describe = ({ id, name, counts, storage }: LibraryExperiment) => ({
    id,
    name,
    folder: storage?.folder ?? null,
    captured: counts.captured,
    durable: storage?.durable ?? 0,
  });
  return {
    ...plan,
    ...result,
    kept: kept && { dir: kept.dir, experiments: kept.arms.map(describe) },
    comparison,
    verdicts: comparison?.treatments.map(({ verdict }) => verdict) ?? [],
    files,
  };
}
