import type { Decision } from '../../index.js';
import { defineCommand } from '../command.js';
import { CommandError, UsageError } from '../errors.js';
import { EXIT_FAILED, EXIT_OK, EXIT_UNDECIDED } from '../exit-status.js';
import { verdictLines, verdictMarkdown } from '../report/study.js';
import { findStudy } from '../studies.js';
import { visible } from '../terminal/text.js';
import { waitFor } from '../waiting.js';

const STATUS: Readonly<Record<Decision, number>> = {
  better: EXIT_OK,
  noninferior: EXIT_OK,
  worse: EXIT_FAILED,
  invalid: EXIT_FAILED,
  undecided: EXIT_UNDECIDED,
};

export const gate = defineCommand({
  name: 'gate',
  summary: 'decide by a study, with an exit status for CI',
  usage: 'STUDY --dir DIR [options]',
  details: [
    'Reads the experiments of all processes that took part, and says what the study shows by its plan: better, noninferior, worse, undecided, or invalid where its assignment does not hold. The exit status is 0 when it is passed (better, or noninferior), 1 when it failed (worse, or invalid), 3 when it is undecided, 2 when there is no such study or the command was called wrongly.',
    'That somebody has looked is written down with the study: where the plan is not sequential, a look before its end is a deviation. For instance',
    '  crucible gate "shorter prompt" --dir data --markdown >> "$GITHUB_STEP_SUMMARY"',
  ],
  json: [
    '{ study, hypothesis, plan, plannedAt, at, baseline,',
    '  arms: { NAME: { events, units, processes } },',
    '  outcomes: { NAME: { role, planned, difference, confidenceInterval, pValue, … } }, decision,',
    '  treatment, reasons, treatments: { ARM: { decision, reasons } }, planFollowed,',
    '  deviations: [{ code, message }], ended, method, unit, event, alpha, sequential, assumptions,',
    '  wouldChange, warnings, looks }',
  ],
  positionals: { min: 1, max: 1 },
  options: {
    markdown: { type: 'flag', description: 'print Markdown, for a summary or a comment' },
  },
  async run(context) {
    const { options, positionals, print, printJson, report } = context;
    if (options.markdown && options.json)
      throw new UsageError('--markdown and --json exclude each other', 'gate');
    const { found, dir } = await findStudy(context, 'gate', positionals[0]!);
    if (found.error !== null) {
      throw new CommandError(
        found.error.code,
        `${visible(found.name ?? found.folder)} cannot be opened: ${found.error.message}`,
      );
    }
    const crucible = (await context.loadLibrary()).open(dir);
    try {
      const verdict = await waitFor(context, 'reading', crucible.study(found.name!).verdict());
      if (options.json) printJson(verdict);
      else print(...(options.markdown ? verdictMarkdown(verdict) : verdictLines(verdict, report)));
      return STATUS[verdict.decision];
    } finally {
      await crucible.close();
    }
  },
});
