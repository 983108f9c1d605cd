import { METRIC_NAMES } from '../../analysis/compare/outcomes.js';
import type { CompareOptions, Comparison, Filter } from '../../index.js';
import type { OptionTable, OptionValues } from '../args.js';
import { defineCommand } from '../command.js';
import { CommandError, UsageError } from '../errors.js';
import { FILTER_DETAIL, FILTER_OPTIONS, readFilter, readTests } from '../filters.js';
import { readQuestion, rethrowUsage } from '../outcomes.js';
import { filterLines, lossLines } from '../report/analysed.js';
import { comparisonLines } from '../report/comparison.js';
import { withExperiments } from '../stored-experiments.js';
import { visible } from '../terminal/text.js';
import { waitFor } from '../waiting.js';

const ADJUSTMENTS = ['holm', 'bh', 'by', 'bonferroni', 'hochberg', 'none'] as const;
const PAIRED = { auto: 'auto', yes: true, no: false } as const;

const OPTIONS = {
  metrics: {
    type: 'list',
    value: 'METRIC',
    default: METRIC_NAMES,
    commas: true,
    description: `what to compare: ${METRIC_NAMES.join(', ')}; a measure or a declared column, as score; its quantile, as ttftMs.p95; or a ratio of sums, as costUsd/success. Behind a measure may stand its role, which direction is better, a margin, a covariate and a name, as latencyMs:guardrail:margin=5% or score:primary:higher:covariate=before:as=quality. Each one more is a question more, and makes each harder to answer`,
  },
  alpha: {
    type: 'number',
    default: 0.05,
    above: 0,
    below: 1,
    description: 'accepted chance of a false alarm; intervals are of 1 - alpha',
  },
  adjust: {
    type: 'choice',
    choices: ADJUSTMENTS,
    value: 'METHOD',
    default: 'holm',
    description: `how p-values are adjusted for the number of questions: ${ADJUSTMENTS.join(', ')}`,
  },
  paired: {
    type: 'choice',
    choices: ['auto', 'yes', 'no'],
    default: 'auto',
    description: 'compare sample by sample, by sampleId; auto: where the arms share 80 % of their samples',
  },
  unit: {
    type: 'string',
    value: 'KEY',
    description:
      'what was randomised: userId, sessionId, sampleId or a path into the metadata; standard errors are by unit then. Events if not given',
  },
  strata: {
    type: 'string',
    value: 'KEY',
    description:
      'model, provider, eventName or a declared column of type dict or bool, which the treatment cannot change: means and rates are compared as if both arms were of one mix of it',
  },
  sequential: {
    type: 'flag',
    description: 'results that hold at every look, for an experiment that is watched while it runs',
  },
  tuning: {
    type: 'integer',
    min: 1,
    description:
      'with --sequential: observations of both arms at which intervals are tightest; 5,000 if not given',
  },
  segment: {
    type: 'list',
    value: 'NAME:TEST',
    description:
      'a part of the events, declared beforehand, to be compared on its own, as "paying:user.tier=pro": a test as of --where; tests of one name add up',
  },
  ratio: {
    type: 'list',
    value: 'N',
    commas: true,
    description: 'events planned for each experiment, as 9,1; equal if not given',
  },
  seed: { type: 'integer', default: 1, description: 'of the bootstrap; equal seeds give equal results' },
} as const satisfies OptionTable;

export const compare = defineCommand({
  name: 'compare',
  summary: 'compare experiments with a baseline, and say what the differences amount to',
  usage: 'BASELINE TREATMENT... --dir DIR [options]',
  details: [
    'Each treatment is compared with the baseline, an ID, or the beginning of one or a name where only one experiment has it: what differs and by how much, with intervals; how each metric was tested; and a verdict. "unclear" means that the data do not tell the arms apart, not that they are equal. docs/comparison.md works through an example.',
    `Reads every event, and changes nothing: the experiments may be being captured meanwhile. ${FILTER_DETAIL} Without --dir, the folder that CRUCIBLE_DIR names. For instance`,
    '  crucible compare 295d 8f01 --dir data --event req_llm.request.stop',
    'The exit status is 1 when there was nothing to compare.',
  ],
  json: [
    '{ baseline: { id, name, condition }, event, experiments: [{ id, name, condition, metrics }],',
    '  treatments: [{ id, name, condition, latencyImprovementPct, costDifferenceUsd,',
    '    successRateImprovementPct, eventCountDifference, metrics: { latencyMean: {',
    '      baseline and treatment: { estimate, n, confidenceInterval }, difference, relativePct,',
    '      confidenceInterval, effectSize, tests, pValue, adjustedPValue, significant, direction,',
    '      requiredN, verdict, reason, … }, … },',
    '    pairing, warnings: [{ code, message }], verdict }],',
    '  settings: { confidenceLevel, alpha, adjust, questions, seed, resamples, sequential or null } }',
  ],
  positionals: { min: 2, max: 100 },
  options: { ...OPTIONS, ...FILTER_OPTIONS },
  run(context) {
    const { options, positionals, print, printJson, report } = context;
    const { eventName: event, ...rest } = readFilter(options, 'compare') ?? {};
    const filter: Filter | null = Object.keys(rest).length === 0 ? null : rest;
    const settings = { ...readSettings(options, positionals.length), ...(event !== undefined && { event }) };
    return withExperiments(context, 'compare', positionals, async (crucible, opened) => {
      const ids = opened.map(({ experiment }) => experiment.id);
      const comparison = await waitFor(
        context,
        'comparing',
        crucible
          .compare(ids, { ...settings, ...(filter !== null && { filter }) })
          .catch(rethrowUsage('--metrics', 'compare')),
      );
      if (options.json) printJson(comparison);
      else
        print(
          ...filterLines(filter, report),
          ...comparisonLines(comparison, report),
          ...lossLines(opened, report),
        );
      if (!hasDifference(comparison)) throw nothingCompared(comparison);
    });
  },
});

function readSettings(options: OptionValues<typeof OPTIONS>, arms: number): CompareOptions {
  const { metrics, alpha, adjust, seed, sequential, tuning, unit, strata } = options;
  const paired = PAIRED[options.paired];
  if (sequential && paired === true) {
    throw new UsageError('--paired yes and --sequential exclude each other', 'compare');
  }
  if (strata !== undefined && (sequential || paired === true || unit !== undefined)) {
    throw new UsageError('--strata excludes --sequential, --paired yes and --unit', 'compare');
  }
  if (tuning !== undefined && !sequential) {
    throw new UsageError('--tuning is for --sequential only', 'compare');
  }
  return {
    metrics: metrics.map((text) => readQuestion(text, '--metrics', 'compare')),
    alpha,
    adjust,
    seed,
    paired,
    ...(unit !== undefined && { unit }),
    ...(strata !== undefined && { strata }),
    ...(options.segment.length > 0 && { segments: readSegments(options.segment) }),
    ...(sequential && { sequential: tuning === undefined ? true : { tuning } }),
    ...(options.ratio.length > 0 && { expectedRatio: readRatio(options.ratio, arms) }),
  };
}

function readSegments(texts: readonly string[]): Record<string, Filter> {
  const tests = new Map<string, string[]>();
  for (const text of texts) {
    const [, name, test] = /^([^:]+):(.+)$/s.exec(text) ?? [];
    if (name === undefined) {
      throw new UsageError(`--segment expects NAME:TEST, got ${JSON.stringify(text)}`, 'compare');
    }
    tests.set(name, [...(tests.get(name) ?? []), test!]);
  }
  return Object.fromEntries(
    [...tests].map(([name, each]) => [name, { where: readTests(each, '--segment', 'compare') }]),
  );
}

function readRatio(texts: readonly string[], arms: number): number[] {
  const parts = texts.map(Number);
  if (parts.length === arms && parts.every((part) => part > 0 && Number.isFinite(part))) return parts;
  throw new UsageError(
    `--ratio expects a number above 0 for each of the ${arms} experiments, got ${JSON.stringify(texts.join(','))}`,
    'compare',
  );
}

function hasDifference({ treatments }: Comparison): boolean {
  return treatments.some(({ metrics }) =>
    Object.values(metrics).some(({ difference }) => difference !== null),
  );
}

function nothingCompared({ experiments }: Comparison): CommandError {
  const empty = experiments.filter(({ metrics }) => metrics.summary.totalEvents === 0);
  return new CommandError(
    'ERR_TOO_FEW_SAMPLES',
    empty.length === 0
      ? 'there is nothing to compare: no metric has values in both experiments'
      : `there is nothing to compare: no such events in ${empty.map(({ name }) => visible(name)).join(', ')}`,
    'crucible metrics ID --dir DIR shows what an experiment has',
  );
}
