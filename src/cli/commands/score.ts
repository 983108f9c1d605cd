import type { AttemptsReport, JudgesReport, ScoreFileResult, ScoreKey } from '../../index.js';
import { defineCommand } from '../command.js';
import { CommandError, UsageError } from '../errors.js';
import { attemptsLines, judgesLines, scoredLines } from '../report/scores.js';
import { withExperiment } from '../stored-experiments.js';
import { waitFor } from '../waiting.js';

const SCORE_KEYS = ['eventId', 'responseId', 'sampleId', 'sessionId'] as const satisfies readonly ScoreKey[];

export const score = defineCommand({
  name: 'score',
  summary: 'score what was captured, from a file; show scores, and how far judges agree',
  usage: 'ID --dir DIR [--file FILE --key KEY] [options]',
  details: [
    'With --file, a CSV, JSON Lines, Parquet or Arrow file: either a score a line (columns name and value) or a line for each thing that is scored and a column for each score. The column of the name that --key says has the ids; columns by, at (a time, or microseconds since 1970) and comment are of the scores of their line. Nothing is overwritten: of one judge the last score counts. The experiment may be being captured meanwhile, and by another process.',
    "Without --file: the scores that there are, how far judges agree (Krippendorff's alpha, Cohen's kappa), how they differ from --reference, and with --tries how often one of k tries at a sample, or all of k, succeeds. For instance",
    '  crucible score 295d --dir data --file scores.csv --key sampleId --by judge-1',
    '  crucible score 295d --dir data --reference human --tries score.right --k 1,5',
  ],
  json: [
    'With --file: { id, rows, scores, names: { NAME: count }, matched: { NAME: events }, skipped,',
    '  errors: [{ row, message }] }',
    'Without: { id, scores: [{ name, level, items, judges: [{ by, scores, mean }], alpha,',
    '  pairs: [{ a, b, items, agreement, kappa, bias, correlation, sensitivity, specificity }] }],',
    '  tries: null or { of, tasks, tries, withoutSample,',
    '    results: [{ k, leftOut, passAtK, passHatK }] } }',
  ],
  positionals: { min: 1, max: 1 },
  options: {
    file: { type: 'string', value: 'FILE', description: 'scores to be added' },
    key: {
      type: 'choice',
      choices: SCORE_KEYS,
      value: 'KEY',
      description: `with --file: what they are of, ${SCORE_KEYS.join(', ')}`,
    },
    by: { type: 'string', value: 'JUDGE', description: 'with --file: who says so, where the file does not' },
    column: {
      type: 'list',
      value: 'NAME',
      commas: true,
      description: 'with --file: which columns are scores; all that hold numbers, true or false if not given',
    },
    reference: { type: 'string', value: 'JUDGE', description: 'the judge that the others are compared with' },
    tries: {
      type: 'string',
      value: 'OUTCOME',
      description: 'success, or a score of yes or no as score.right: pass@k and pass^k by sampleId',
    },
    k: { type: 'list', value: 'K', commas: true, description: 'with --tries: 1,2,5,10 if not given' },
  },
  run(context) {
    const { options, print, printJson, report } = context;
    const { file, key } = options;
    const only = file === undefined ? (['key', 'by'] as const) : (['reference', 'tries'] as const);
    const useless = only.find((name) => options[name] !== undefined);
    if (useless !== undefined) {
      throw new UsageError(
        `--${useless} is for ${file === undefined ? 'use with --file' : 'use without --file'}`,
        'score',
      );
    }
    if (file !== undefined && key === undefined) throw new UsageError('--file needs --key', 'score');
    const k = options.k.map(Number);
    if (!k.every((each) => Number.isSafeInteger(each) && each >= 1)) {
      throw new UsageError(`--k expects whole numbers, got ${JSON.stringify(options.k.join(','))}`, 'score');
    }
    return withExperiment(context, 'score', async ({ experiment }) => {
      const { id } = experiment;
      if (file !== undefined) {
        const { by, column } = options;
        const told = await waitFor(
          context,
          'scoring',
          experiment.scoreFile(file, {
            key: key!,
            signal: context.signal,
            ...(by !== undefined && { by }),
            ...(column.length > 0 && { columns: column }),
          }),
        );
        const matched = await matchedBy(told, (name) =>
          experiment.metrics({ where: { [`score.${name}`]: { ne: null } } }),
        );
        if (options.json) printJson({ id, ...told, matched });
        else print(...scoredLines(told, matched, report));
        if (told.scores === 0) throw new CommandError('ERR_NO_DATA', `${file} holds no scores`);
        return;
      }
      const names = [...new Set(experiment.scores().map(({ name }) => name))].sort();
      const reference = options.reference;
      const scores: JudgesReport[] = names.map((name) =>
        experiment.judges(name, reference === undefined ? {} : { reference }),
      );
      const tries: AttemptsReport | null =
        options.tries === undefined
          ? null
          : await waitFor(
              context,
              'reading',
              experiment.attempts({ of: options.tries, ...(k.length > 0 && { k }) }),
            );
      if (options.json) printJson({ id, scores, tries });
      else {
        if (scores.length === 0) print('There are no scores.');
        print(
          ...scores.flatMap((each) => judgesLines(each, report)),
          ...(tries === null ? [] : attemptsLines(tries, report)),
        );
      }
    });
  },
});

/** Events that have each score by now: none, where the ids are others than the experiment's. */
async function matchedBy(
  { names }: ScoreFileResult,
  metricsOf: (name: string) => Promise<{ summary: { totalEvents: number } }>,
): Promise<Record<string, number>> {
  const counts: [string, number][] = [];
  for (const name of Object.keys(names)) counts.push([name, (await metricsOf(name)).summary.totalEvents]);
  return Object.fromEntries(counts);
}
