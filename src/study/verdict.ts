/** The verdict of a study: what the plan and the comparison say together. Pure: no clock, no I/O. */
import { createHash } from 'node:crypto';
import type { Question } from '../analysis/compare/outcomes.js';
import { change, decimalsFor, interval, list } from '../analysis/compare/words.js';
import type {
  Comparison,
  MetricComparison,
  SegmentComparison,
  TreatmentComparison,
} from '../analysis/types.js';
import { chiSquareSurvival } from '../stats/distributions.js';
import type { Look } from './book.js';
import type { StudyPlan } from './plan.js';

export type Decision = 'better' | 'worse' | 'noninferior' | 'undecided' | 'invalid';

export type DeviationCode =
  | 'noPlan'
  | 'lookedEarly'
  | 'lookedAgain'
  | 'addedOutcomes'
  | 'changedFilter'
  | 'changedEvent'
  | 'changedAlpha'
  | 'belowPlannedUnits';

export interface Deviation {
  readonly code: DeviationCode;
  readonly message: string;
}

export interface StudyArmCounts {
  /** Of all kinds, as far as the filter lets them pass. */
  readonly events: number;
  /** Units with events that are compared. */
  readonly units: number;
  /** Processes that have captured the arm. */
  readonly processes: number;
}

export interface StudyOutcome extends MetricComparison {
  /** Whether it is in the plan. */
  readonly planned: boolean;
  /** The same of every treatment, by arm. */
  readonly treatments: Readonly<Record<string, MetricComparison>>;
}

export interface StudyDecision {
  readonly decision: Decision;
  readonly reasons: readonly string[];
}

export interface StudyVerdict {
  readonly study: string;
  readonly hypothesis: string | null;
  /** SHA-256 of the plan. */
  readonly plan: string;
  /** When the plan was written down, and when this was asked for; µs since the Unix epoch. */
  readonly plannedAt: number;
  readonly at: number;
  readonly baseline: string;
  readonly arms: Readonly<Record<string, StudyArmCounts>>;
  /** By name; figures are those of the treatment that decides. */
  readonly outcomes: Readonly<Record<string, StudyOutcome>>;
  readonly decision: Decision;
  /** The treatment that decides; null where there was nothing to compare. */
  readonly treatment: string | null;
  readonly reasons: readonly string[];
  readonly treatments: Readonly<Record<string, StudyDecision>>;
  readonly planFollowed: boolean;
  readonly deviations: readonly Deviation[];
  /** Whether the planned end has come: units, time, or nobody captures any more. */
  readonly ended: boolean;
  /** The primary outcome's test. */
  readonly method: string | null;
  readonly unit: string;
  readonly event: string | null;
  readonly alpha: number;
  readonly sequential: { readonly tuning: number } | null;
  readonly assumptions: readonly string[];
  /** What further data could show that would make the decision another one. */
  readonly wouldChange: readonly string[];
  /** Of the treatment that decides, the segments that were planned, by name. They decide nothing. */
  readonly segments: Readonly<Record<string, SegmentComparison>>;
  readonly warnings: readonly { readonly arm: string; readonly code: string; readonly message: string }[];
  /** Looks before this one. */
  readonly looks: readonly Look[];
}

/** What is known besides the comparison. */
export interface StudyState {
  readonly plan: StudyPlan;
  readonly hash: string;
  readonly plannedAt: number;
  readonly nowUs: number;
  /** Whether somebody captures events of it. */
  readonly running: boolean;
  readonly looks: readonly Look[];
  readonly processes: Readonly<Record<string, number>>;
  /** Experiments that cannot be read: what they hold may be what differs. In sentences. */
  readonly unreadable: readonly string[];
  /** Events that were counted and lost, in sentences. */
  readonly losses: readonly string[];
  /** Deviations of this look that its options make. */
  readonly deviations: readonly Deviation[];
  /** What was asked for, the planned ones first. */
  readonly questions: readonly (Question & { readonly planned: boolean })[];
  readonly alpha: number;
  /** Null where an arm has nothing that could be compared. */
  readonly comparison: Comparison | null;
}

/** Of a sample ratio: chance of an alarm where there is nothing wrong. */
const RATIO_ALPHA = 0.001;
/** Of an analysis that is not the planned one there is no decision. */
const CHANGES_ANALYSIS: readonly DeviationCode[] = [
  'noPlan',
  'changedFilter',
  'changedEvent',
  'changedAlpha',
];

export function studyVerdict(state: StudyState): StudyVerdict {
  const { plan, comparison, questions } = state;
  const arms = countsOf(state);
  const ended = hasEnded(state, arms);
  const tested = testedBefore(state);
  const deviations = [...state.deviations, ...deviationsOf(state, arms, ended, tested)];
  const withheld = withheldBecause(state, arms, ended, deviations, tested);
  const compared = comparison?.treatments ?? [];
  const decisions = decide(state, arms, withheld);
  const deciding = decidingOf(decisions);
  const treatment = deciding === null ? null : (compared.find(({ name }) => name === deciding) ?? null);
  const overall = deciding === null ? (withheld ?? NOTHING_DECIDED) : decisions.get(deciding)!;
  const primary = questions.find(({ role, planned }) => planned && role === 'primary');
  const found = primary && treatment?.metrics[primary.name];
  return {
    study: plan.study,
    hypothesis: plan.hypothesis,
    plan: state.hash,
    plannedAt: state.plannedAt,
    at: state.nowUs,
    baseline: plan.arms[0]!.name,
    arms: Object.fromEntries(arms),
    outcomes: treatment === null ? {} : outcomesOf(state, treatment),
    decision: overall.decision,
    treatment: treatment?.name ?? null,
    reasons: [...overall.reasons, ...state.losses],
    treatments: Object.fromEntries(decisions),
    planFollowed: deviations.length === 0,
    deviations,
    ended,
    method: found?.tests[0]?.method ?? found?.intervalMethod ?? null,
    unit: plan.unit,
    event: comparison?.event ?? null,
    alpha: state.alpha,
    sequential: plan.analysis?.sequential ?? null,
    assumptions: found === undefined ? [] : assumptionsOf(found, plan),
    wouldChange: wouldChange(state, arms, overall.decision, found, primary, ended),
    segments: treatment?.segments ?? {},
    warnings: compared.flatMap(({ name, warnings }) => warnings.map((each) => ({ arm: name, ...each }))),
    looks: state.looks,
  };
}

function countsOf({ plan, comparison, processes }: StudyState): Map<string, StudyArmCounts> {
  return new Map(
    plan.arms.map(({ name }, i) => {
      const arm = comparison?.experiments[i];
      return [
        name,
        {
          events: arm?.metrics.summary.totalEvents ?? 0,
          units: arm?.units ?? 0,
          processes: processes[name] ?? 0,
        },
      ];
    }),
  );
}

/** At its planned time; else with its planned units; and in any case when nobody captures any more. */
function hasEnded(state: StudyState, arms: ReadonlyMap<string, StudyArmCounts>): boolean {
  const { plan, nowUs, running } = state;
  const { until = null, unitsPerArm = null } = plan.analysis ?? {};
  if (!running) return true;
  if (until !== null) return nowUs >= Date.parse(until) * 1000;
  return unitsPerArm !== null && unitsWithOutcome(state, arms) >= unitsPerArm;
}

/** Units of the smallest arm that the planned primary outcomes tell of: those whose outcome is unknown are not counted. */
function unitsWithOutcome(
  { comparison, questions }: Pick<StudyState, 'comparison' | 'questions'>,
  arms: ReadonlyMap<string, StudyArmCounts>,
): number {
  const primaries = questions.filter(({ planned, role }) => planned && role === 'primary');
  const told = (comparison?.treatments ?? []).flatMap(({ metrics }) =>
    primaries.flatMap(({ name }) => {
      const found = metrics[name];
      return found === undefined ? [] : [found.baseline, found.treatment].map(({ units, n }) => units ?? n);
    }),
  );
  return Math.min(fewestUnits(arms), ...told);
}

function fewestUnits(arms: ReadonlyMap<string, StudyArmCounts>): number {
  return Math.min(...[...arms.values()].map(({ units }) => units));
}

function totalEvents(arms: ReadonlyMap<string, StudyArmCounts>): number {
  return [...arms.values()].reduce((sum, { events }) => sum + events, 0);
}

function deviationsOf(
  state: StudyState,
  arms: ReadonlyMap<string, StudyArmCounts>,
  ended: boolean,
  tested: Look | null,
): Deviation[] {
  const { plan, looks } = state;
  const { analysis } = plan;
  if (analysis === null) {
    return [{ code: 'noPlan', message: 'nothing was planned: no outcome, and no time at which to look' }];
  }
  // Whoever may look at any time may stop at any time.
  if (analysis.sequential !== null) return [];
  const found: Deviation[] = [];
  if (tested !== null) found.push({ code: 'lookedAgain', message: standing(tested) });
  const early = earlyLooks(looks, arms).filter((look) => typeof look.figures !== 'string');
  if (early.length > 0 || !ended) {
    const looked = [
      ...(early.length > 0 ? [`${counted(early.length, 'look')} before now, at fewer events`] : []),
      ...(ended ? [] : ['this look is before the planned end']),
    ];
    const message = `looked early (${looked.join('; ')}), and the plan is not sequential: its test holds for one look, at the end`;
    found.push({ code: 'lookedEarly', message });
  }
  const { unitsPerArm } = analysis;
  const units = unitsWithOutcome(state, arms);
  if (ended && unitsPerArm !== null && units < unitsPerArm) {
    const message = `it ended with ${units} units in the smallest arm, and ${unitsPerArm} were planned`;
    found.push({ code: 'belowPlannedUnits', message });
  }
  return found;
}

function standing({ at, events, decision }: Look): string {
  return `the test was made at the planned end (${new Date(at / 1000).toISOString()}, ${events} events: ${decision}), and the data have changed since: its decision stands`;
}

/** Those that saw less than there is now: whoever looked could go on, or stop, by what was seen. */
function earlyLooks(looks: readonly Look[], arms: ReadonlyMap<string, StudyArmCounts>): Look[] {
  const now = totalEvents(arms);
  return looks.filter(({ events }) => events < now);
}

/**
 * The first look at or after the planned end of a plan for one look, where the figures have changed since: that was the
 * test, and another one of other data is not.
 */
function testedBefore(state: StudyState): Look | null {
  const figures = testFigures(state);
  const test = state.looks.find((look) => typeof look.figures === 'string');
  return figures === null || test === undefined || test.figures === figures ? null : test;
}

/**
 * The planned outcomes, condensed; null where they are not those of the planned test: another analysis, or a part of the
 * data. A plan that may be looked at any time has no one test.
 */
export function testFigures({
  plan,
  comparison,
  questions,
  deviations,
  unreadable,
}: StudyState): string | null {
  if (plan.analysis === null || plan.analysis.sequential !== null || comparison === null) return null;
  if (unreadable.length > 0 || deviations.some(({ code }) => CHANGES_ANALYSIS.includes(code))) return null;
  const names = questions.filter(({ planned }) => planned).map(({ name }) => name);
  const figures = comparison.treatments.flatMap(({ name: arm, metrics }) =>
    names.map((name) => {
      const { baseline, treatment } = metrics[name]!;
      // Nine digits: sums of parts differ in the last ones by their order.
      const digits = [baseline, treatment].map(({ n, estimate }) => `${n} ${estimate?.toPrecision(9)}`);
      return [arm, name, ...digits].join(' ');
    }),
  );
  return createHash('sha256').update(figures.toSorted().join()).digest('hex').slice(0, 16);
}

/** What is decided whatever the figures are: nothing, and why; or what the test at the planned end has decided. */
function withheldBecause(
  state: StudyState,
  arms: ReadonlyMap<string, StudyArmCounts>,
  ended: boolean,
  deviations: readonly Deviation[],
  tested: Look | null,
): StudyDecision | null {
  const { plan, unreadable, comparison, looks, alpha } = state;
  // What cannot be read may be what is missing from the sample ratio.
  if (unreadable.length > 0) return { decision: 'undecided', reasons: unreadable };
  const invalid = comparison === null ? [] : [...ratioMismatch(plan, arms), ...strayUnits(comparison)];
  if (invalid.length > 0) return { decision: 'invalid', reasons: invalid };
  const reasons: string[] = [];
  const empty = [...arms].filter(([, { events }]) => events === 0).map(([name]) => name);
  if (empty.length > 0) reasons.push(`no events yet in ${list(empty)}`);
  for (const { code, message } of deviations) {
    if (CHANGES_ANALYSIS.includes(code)) reasons.push(`this is not the planned analysis: ${message}`);
  }
  const { analysis } = plan;
  if (analysis !== null && analysis.sequential === null) {
    if (!ended) reasons.push(tooEarly(analysis, unitsWithOutcome(state, arms)));
    const stoppedShort = deviations.some(({ code }) => code === 'belowPlannedUnits');
    if (stoppedShort && earlyLooks(looks, arms).length > 0) {
      reasons.push(
        `it was looked at before and stopped below the planned units: a test at level ${alpha} for one look does not hold`,
      );
    }
  }
  if (reasons.length > 0) return { decision: 'undecided', reasons };
  return tested === null ? null : { decision: tested.decision as Decision, reasons: [standing(tested)] };
}

function tooEarly({ unitsPerArm, until }: NonNullable<StudyPlan['analysis']>, units: number): string {
  if (until !== null) return `it runs until ${until}, and the plan is not sequential`;
  if (unitsPerArm === null) return 'it is still running, and the plan is not sequential';
  return `${units} of ${unitsPerArm} planned units are in the smallest arm, and the plan is not sequential`;
}

/** Of units, which is what was assigned. */
function ratioMismatch(plan: StudyPlan, arms: ReadonlyMap<string, StudyArmCounts>): string[] {
  const units = plan.arms.map(({ name }) => arms.get(name)!.units);
  const total = units.reduce((sum, count) => sum + count, 0);
  if (total === 0) return [];
  const weights = plan.arms.reduce((sum, { weight }) => sum + weight, 0);
  const chiSquare = plan.arms.reduce((sum, { weight }, i) => {
    const expected = (total * weight) / weights;
    return sum + (units[i]! - expected) ** 2 / expected;
  }, 0);
  if (chiSquareSurvival(chiSquare, plan.arms.length - 1) >= RATIO_ALPHA) return [];
  const planned = plan.arms.map(({ weight }) => weight).join(' : ');
  return [
    `sample ratio mismatch: ${units.join(' and ')} units (${plan.unit}) do not fit ${planned} ` +
      `(chi-square ${chiSquare.toFixed(1)}, p < ${RATIO_ALPHA}): something besides the assignment decides which units are seen`,
  ];
}

function strayUnits({ treatments }: Comparison): string[] {
  const found = treatments.flatMap(({ warnings }) =>
    warnings.filter(({ code }) => code === 'misassignedUnits' || code === 'sharedUnits'),
  );
  return found.length === 0 ? [] : [`the assignment was not kept: ${found[0]!.message}`];
}

/** What each treatment amounts to by its primary outcome and its guardrails, as the comparison has decided. */
function decide(
  { comparison, questions }: StudyState,
  arms: ReadonlyMap<string, StudyArmCounts>,
  withheld: StudyDecision | null,
): Map<string, StudyDecision> {
  if (comparison === null || totalEvents(arms) === 0) return new Map();
  const planned = questions.filter((question) => question.planned && question.role !== 'secondary');
  return new Map(
    comparison.treatments.map(({ name, metrics, decision }) => {
      if (withheld !== null || decision === undefined) return [name, withheld ?? NOTHING_DECIDED];
      const figures = planned.map((question) => metrics[question.name]!.verdict);
      return [name, { decision: decision.outcome, reasons: [...decision.reasons, ...figures] }];
    }),
  );
}

const NOTHING_DECIDED: StudyDecision = { decision: 'undecided', reasons: ['there is nothing to compare'] };

/** Which treatment the study's decision is about: the best that there is; of several the first. */
const BEST_FIRST: readonly Decision[] = ['invalid', 'better', 'noninferior', 'undecided', 'worse'];

function decidingOf(decisions: ReadonlyMap<string, StudyDecision>): string | null {
  for (const wanted of BEST_FIRST) {
    for (const [name, { decision }] of decisions) if (decision === wanted) return name;
  }
  return null;
}

function outcomesOf(
  { questions, comparison }: StudyState,
  treatment: TreatmentComparison,
): Record<string, StudyOutcome> {
  return Object.fromEntries(
    questions.map(({ name, planned }) => [
      name,
      {
        ...treatment.metrics[name]!,
        planned,
        treatments: Object.fromEntries(
          comparison!.treatments.map((each) => [each.name, each.metrics[name]!]),
        ),
      },
    ]),
  );
}

function assumptionsOf({ assumptions, tests }: MetricComparison, { unit, analysis }: StudyPlan): string[] {
  return [
    ...new Set([
      `each ${unit} was assigned by the study alone, and one does not affect another`,
      ...assumptions,
      ...(tests[0]?.assumptions ?? []),
      ...(analysis?.sequential === null ? ['one look, at the planned end'] : ['valid at every look']),
    ]),
  ];
}

function wouldChange(
  { plan, comparison }: StudyState,
  arms: ReadonlyMap<string, StudyArmCounts>,
  decision: Decision,
  found: MetricComparison | undefined,
  primary: Question | undefined,
  ended: boolean,
): string[] {
  if (decision === 'invalid') {
    return [
      'the reason for the mismatch, found and put right, in a new study: more data of this one do not help',
    ];
  }
  if (plan.analysis === null) return ['a plan: which outcome decides, and when it is looked at'];
  if (comparison === null || found === undefined || primary === undefined) return ['events in every arm'];
  const told: string[] = [];
  if (!ended && plan.analysis.sequential === null) told.push('the planned end of the study');
  const { confidenceInterval, difference: seen, detectable, label, unit } = found;
  if (confidenceInterval !== null) {
    const decimals = decimalsFor([...confidenceInterval], unit);
    const range = interval(confidenceInterval, unit, decimals, comparison.settings.confidenceLevel);
    if (decision === 'undecided') {
      told.push(
        `an interval of ${label} without 0 (now the ${range}), with every guardrail's within its margin`,
      );
    } else if (decision === 'noninferior') {
      told.push(
        `an interval of ${label} without 0 on the better side, or one that reaches the margin (now the ${range})`,
      );
    } else {
      told.push(
        `an interval of ${label} with 0 in it (now the ${range}), or a guardrail on the other side of its margin`,
      );
    }
  }
  if (decision === 'undecided' && detectable !== null && seen !== null && seen !== 0) {
    const fewest = fewestUnits(arms);
    const needed = Math.ceil(fewest * (detectable / Math.abs(seen)) ** 2);
    const decimals = decimalsFor([detectable], unit);
    const amount = change(detectable, unit, decimals).replace(/^\+/, '');
    told.push(
      `a true difference of ${amount} is found by a study of this size with 80 % power` +
        (needed > fewest && Number.isSafeInteger(needed)
          ? `; one as large as that seen would take about ${needed.toLocaleString('en-US')} units in the smallest arm`
          : ''),
    );
  }
  return told;
}

function counted(count: number, noun: string): string {
  return `${count} ${noun}${count === 1 ? '' : 's'}`;
}
