/** The report of a study: its verdict, its plan with the hash, who took part, and the method. */
import { capital } from '../../analysis/compare/words.js';
import { intervalsShape } from '../../charts/intervals.js';
import { marginMarks } from '../../charts/margin.js';
import { ARM_COLOURS } from '../../charts/style.js';
import type { StoredStudy, StudyOutcome, StudyVerdict } from '../../index.js';
import {
  ARM_COLUMNS,
  armRows,
  headline,
  lookText,
  OUTCOME_COLUMNS,
  outcomeRows,
  outcomeText,
  planText,
  SEGMENT_COLUMNS,
  segmentRows,
  timeText,
} from '../report/study.js';
import { formatCount } from '../terminal/numbers.js';
import type { TableColumn } from '../terminal/table.js';
import type { PaperFigure, PaperTable, Section } from './document.js';

/** Pixels of a drawing; in print it is as wide as the page. */
const WIDTH = 860;

/** What is known before anybody looks at an outcome. */
export type PlannedStudy = Pick<StoredStudy, 'hash' | 'plannedAt' | 'contributions' | 'looks'> & {
  readonly plan: NonNullable<StoredStudy['plan']>;
};

export function studySections(verdict: StudyVerdict, study: PlannedStudy): Section[] {
  const { reasons, deviations, warnings, wouldChange, planFollowed } = verdict;
  return [
    {
      heading: 'Verdict',
      lead: `${headline(verdict)}. ${reasons.map(sentence).join(' ')}`,
      paragraphs: [planFollowed ? 'The plan was followed.' : 'The plan was not followed.'],
      list: [
        ...deviations.map(({ message }) => message),
        ...warnings.map(({ message }) => message),
        ...wouldChange.map((text) => `What would change this: ${text}.`),
      ],
      figures: Object.entries(verdict.outcomes).flatMap(([name, outcome]) =>
        figureOf(name, outcome, verdict),
      ),
      tables: [
        tableOf(
          'Arms: units with events that are compared, and processes that took part.',
          ARM_COLUMNS,
          armRows(verdict),
        ),
        tableOf(
          `Outcomes of ${verdict.treatment ?? 'the treatment'} against ${verdict.baseline}. What is not planned decides nothing.`,
          OUTCOME_COLUMNS,
          outcomeRows(verdict),
        ),
        tableOf('Segments that were planned. They decide nothing.', SEGMENT_COLUMNS, segmentRows(verdict)),
      ].filter(({ rows }) => rows.length > 0),
    },
    planSection(study),
    studyMethod(verdict),
  ];
}

function figureOf(name: string, outcome: StudyOutcome, { baseline, alpha }: StudyVerdict): PaperFigure[] {
  const factor = outcome.unit === 'share' ? 100 : 1;
  const unit = outcome.unit === 'share' ? 'percentage points' : outcome.unit;
  const shape = intervalsShape(
    `Difference of ${outcome.label}`,
    unit,
    Object.entries(outcome.treatments).map(([arm, found], i) => ({
      label: arm,
      colour: ARM_COLOURS[(i + 1) % ARM_COLOURS.length] as string,
      estimate: found.difference === null ? null : found.difference * factor,
      interval: found.confidenceInterval && [
        found.confidenceInterval[0] * factor,
        found.confidenceInterval[1] * factor,
      ],
      text: found.verdict,
    })),
    [{ label: 'no difference', value: 0 }, ...marginMarks(outcome, factor)],
    WIDTH,
  );
  if (shape === null) return [];
  const level = Math.round((1 - alpha) * 1000) / 10;
  const caption = `Difference of ${outcome.label}, ${unit}, against ${baseline}, with ${level} % intervals.`;
  return [{ name: `outcome-${name.replaceAll(/\W+/g, '-')}`, shape, caption }];
}

function planSection({ plan, hash, plannedAt, looks, contributions }: PlannedStudy): Section {
  const { analysis } = plan;
  const weights = plan.arms.map(({ name, weight }) => `${name} (weight ${weight})`).join(', ');
  const processes = new Set(contributions.map(({ process }) => process)).size;
  return {
    heading: 'Plan',
    paragraphs: [
      ...(plan.hypothesis === null ? [] : [`Hypothesis: ${sentence(plan.hypothesis)}`]),
      `Written down ${timeText(plannedAt!)}, before the first event. SHA-256 of the plan: ${hash}.`,
      `Arms: ${weights}, the first of which is the baseline; assigned by ${plan.unit}. Experiments that took part: ${contributions.length}, of ${formatCount(processes, 'process', 'processes')}.`,
      analysis === null ? 'Nothing was planned: the study decides nothing.' : capital(planText(analysis)),
    ],
    list: analysis === null ? [] : analysis.outcomes.map(outcomeText),
    tables:
      looks.length === 0
        ? []
        : [
            {
              caption: 'Looks before this one, which is written down as well.',
              columns: ['look'],
              rows: looks.map((look) => [lookText(look)]),
            },
          ],
  };
}

/** The method in words fit for a paper. */
function studyMethod({
  method,
  unit,
  event,
  alpha,
  sequential,
  assumptions,
  outcomes,
}: StudyVerdict): Section {
  const tests = Object.values(outcomes).map(({ label, tests: [first], intervalMethod, reason }) =>
    first === undefined
      ? `${capital(label)} could not be compared${reason === undefined ? '' : `: ${reason}`}.`
      : `${capital(label)}: ${first.method}${intervalMethod === null || intervalMethod === first.method ? '' : `; interval: ${intervalMethod}`}.`,
  );
  const looks =
    sequential === null
      ? 'The analysis is for one look, at the planned end.'
      : `Intervals and p-values are valid at every look (confidence sequences, tightest at ${sequential.tuning} observations).`;
  return {
    heading: 'Method',
    paragraphs: [
      `${event === null ? 'Nothing could be compared' : `Events of ${event} were compared`}, with the ${unit} as the unit, over all processes that took part. ${tests.join(' ')}`,
      `Decided at alpha ${alpha}${method === null ? '' : `, by the primary outcome (${method})`}. ${looks}`,
      ...(assumptions.length === 0 ? [] : [`Assumptions: ${assumptions.join('; ')}.`]),
    ],
  };
}

function tableOf(caption: string, columns: readonly TableColumn[], rows: readonly string[][]): PaperTable {
  return { caption, columns: columns.map(({ header }) => header), rows };
}

function sentence(text: string): string {
  return /[.!?]$/.test(text) ? text : `${text}.`;
}
