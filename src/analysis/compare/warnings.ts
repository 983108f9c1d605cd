/** What a reader should know before believing the numbers. */
import { type Assignment, assignedArm } from '../../schema/assignment.js';
import { type ClusterTotals, clusterEstimate, clusteredTest } from '../../stats/clustered.js';
import type { CovariateSums } from '../../stats/covariates.js';
import { chiSquareSurvival } from '../../stats/distributions.js';
import { twoProportionZ } from '../../stats/proportions.js';
import { welchTTest } from '../../stats/t-tests.js';
import { type ComparedKind, countByKind, kindOf } from '../kinds.js';
import { cutOf, isTime } from './censoring.js';
import { largestShare, longestRun, type Observed } from './observed.js';
import { type ArmSamples, flagOf, type Mix, type RepeatedId } from './samples.js';
import type { ArmEstimate, ComparisonWarning, MetricComparison, Pairing, WarningCode } from './types.js';
import type { Names } from './verdict.js';
import { counted, list, valuesText } from './words.js';

/** Below this many observations an arm's mean need not be close to normal, whatever the data. */
const FEW = 30;
const RATIO_ALPHA = 0.001;
/** Share of events that would have to be of another model for the arms to be alike. */
const MIX_DISTANCE = 0.1;
/** Share of an arm's values that are one value. */
const TIES_MAX = 0.5;
const EVENTS_PER_SAMPLE_MAX = 1.1;
const REQUESTS_RATIO_MAX = 1.1;

/** Correlation of consecutive values that widens an interval by a fifth; and in its standard errors. */
const SERIAL_MAX = 0.2;
const SERIAL_ERRORS = 4;
/** Mean latency of failures to that of successes, or the other way round. */
const FAILURES_FACTOR = 1.5;

/** The values of one measure of both arms, and the metrics made of them. */
export interface MeasurePair {
  readonly of: string;
  readonly baseline: Observed;
  readonly treatment: Observed;
  /** Why means of arms so unequal tell nothing; null where they do. */
  readonly tooSkewed: string | null;
  /** In a paired comparison, what the mean is taken of. */
  readonly differences: Observed | null;
}

export interface Reviewed {
  readonly baseline: ArmSamples;
  readonly treatment: ArmSamples;
  readonly names: Names;
  readonly kind: ComparedKind;
  readonly pairing: Pairing;
  /** Planned events of the treatment to each of the baseline. */
  readonly expectedRatio: number;
  /** As the option; and the treatment's place among the arms, of which the baseline is the first. */
  readonly assigned: Assignment | null;
  readonly place: number;
  readonly measures: readonly MeasurePair[];
  readonly metrics: readonly MetricComparison[];
  /** Whether means are those of one mix for both arms. */
  readonly isStratified: boolean;
}

export function warningsOf(reviewed: Reviewed): ComparisonWarning[] {
  const { pairing, measures, names } = reviewed;
  const empty = emptyArms(reviewed);
  const lost = lossWarning(reviewed);
  if (empty.length > 0) return [...empty, ...lost];
  return [
    ...lost,
    ...kindWarnings(reviewed),
    ...metricWarnings(reviewed),
    ...measures.flatMap((pair) => measureWarnings(pair, names)),
    ...samplingWarning(reviewed),
    ...(pairing.used ? [] : ratioWarning(reviewed)),
    ...mixWarnings(reviewed),
    ...strataWarning(reviewed),
    ...covariateWarnings(reviewed),
    ...shareWarnings(reviewed),
    ...costWarnings(reviewed),
    ...failureWarnings(reviewed),
    ...unitWarnings(reviewed),
    ...serialWarnings(reviewed),
    ...timeWarnings(reviewed),
    ...sampleWarnings(reviewed),
    ...requestWarnings(reviewed),
  ];
}

/** Arms without events, or without any of the kind that is compared. */
function emptyArms({ baseline, treatment, names, kind }: Reviewed): ComparisonWarning[] {
  const arms = (
    [
      [baseline, names.baseline],
      [treatment, names.treatment],
    ] as const
  ).filter(([{ events }]) => events === 0);
  if (arms.length === 0) return [];
  const others = arms.flatMap(([{ allMetrics }, name]) => {
    const total = allMetrics?.summary.totalEvents ?? 0;
    return total === 0 ? [] : [`${name} has ${counted(total)} others`];
  });
  const what = others.length === 0 || kind.event === 'none' ? 'events' : `events of ${kind.event}`;
  const message = `no ${what} in ${list(arms.map(([, name]) => name))}`;
  return [
    warning(
      'noEvents',
      others.length === 0 ? message : `${message}: ${list(others)}, and beginnings are no observations`,
    ),
  ];
}

/** What is compared is what is left: of a ring the latest events, and of damaged files those of other times. */
function lossWarning({ baseline, treatment, names }: Reviewed): ComparisonWarning[] {
  const told = (['baseline', 'treatment'] as const).flatMap((side) => {
    const { lost, allMetrics, metrics } = { baseline, treatment }[side];
    if (lost === undefined || lost.dropped === 0) return [];
    const { totalEvents } = (allMetrics ?? metrics).summary;
    const files = lost.damaged > 0 ? ` (${counted(lost.damaged)} in files that are damaged or missing)` : '';
    return [
      `${names[side]} has lost ${counted(lost.dropped)} events${files}, and has ${counted(totalEvents)} to compare`,
    ];
  });
  if (told.length === 0) return [];
  return [warning('lostEvents', `${told.join('; ')}: what is lost may have been of another kind or time`)];
}

function warning(code: WarningCode, message: string): ComparisonWarning {
  return { code, message };
}

function metricWarnings({ metrics, names }: Reviewed): ComparisonWarning[] {
  const nounsWhere = (test: (metric: MetricComparison) => boolean) =>
    metrics.filter(test).map(({ label }) => label);
  const lacking = (side: 'baseline' | 'treatment', other: 'baseline' | 'treatment') => {
    const nouns = nounsWhere((found) => found[side].n === 0 && found[other].n > 0);
    return nouns.length === 0
      ? []
      : [
          warning(
            'missingMetric',
            `${names[side]} has nothing to tell ${list(nouns)} from, ${names[other]} has`,
          ),
        ];
  };
  const few = metrics.filter(({ baseline, treatment }) => {
    const fewest = fewestOf(baseline, treatment);
    return fewest > 0 && fewest < FEW;
  });
  const fewest = few.map(({ label, baseline, treatment }) => `${label} ${fewestOf(baseline, treatment)}`);
  const blunt = metrics.filter(
    ({ noninferiority, detectable }) =>
      noninferiority !== undefined &&
      !noninferiority.shown &&
      detectable !== null &&
      detectable > noninferiority.margin,
  );
  return [
    ...lacking('baseline', 'treatment'),
    ...lacking('treatment', 'baseline'),
    ...(few.length === 0
      ? []
      : [warning('tooFewSamples', `fewer than ${FEW} observations in an arm: ${list(fewest)}`)]),
    ...(blunt.length === 0
      ? []
      : [
          warning(
            'insensitive',
            `too few observations to find, with 80 % power, a difference as large as the margin: ${list(blunt.map(({ label }) => label))}`,
          ),
        ]),
  ];
}

/** Independent observations of the arm that has fewer: units, where there are such. */
function fewestOf(baseline: ArmEstimate, treatment: ArmEstimate): number {
  return Math.min(baseline.units ?? baseline.n, treatment.units ?? treatment.n);
}

/** As warnings call the values of a measure. */
function called(of: string): string {
  return of === 'tokensTotal' ? 'tokens' : valuesText(of);
}

function measureWarnings(
  { of: measure, baseline, treatment, differences, tooSkewed }: MeasurePair,
  names: Names,
): ComparisonWarning[] {
  if (baseline.n === 0 || treatment.n === 0) return [];
  const arms = [
    [baseline, `${called(measure)} of ${names.baseline}`],
    [treatment, `${called(measure)} of ${names.treatment}`],
  ] as const;
  const ofMeans =
    differences === null
      ? arms
      : ([[differences, `differences of the pairs in ${called(measure)}`]] as const);
  return [
    ...arms.flatMap(([observed, what]) => [
      ...constant(observed, what),
      ...(isTime(measure) ? cut(observed, what) : []),
      ...ties(observed, what),
    ]),
    ...ofMeans.flatMap(([observed, what]) => tail(observed, what)),
    ...(tooSkewed === null ? [] : [warning('unequalSkew', `${called(measure)}: ${tooSkewed}`)]),
  ];
}

function constant({ n, summary }: Observed, what: string): ComparisonWarning[] {
  return n > 1 && summary.variance === 0 ? [warning('zeroVariance', `all ${n} ${what} are equal`)] : [];
}

/** Values that pile up at the greatest were cut there, as by a client's timeout. */
function cut(observed: Observed, what: string): ComparisonWarning[] {
  const pile = cutOf(observed);
  if (pile === null) return [];
  const { at, share } = pile;
  const message =
    `${percent(share)} of the ${what} are at the greatest, about ${Number(at.toPrecision(3))} ms, as if they had been cut ` +
    'there: their mean is a lower bound, and so is every quantile that lies there';
  return [warning('censored', message)];
}

function ties({ summary, sorted, sampled }: Observed, what: string): ComparisonWarning[] {
  if (sorted === null || !summary.variance) return [];
  const run = longestRun(sorted);
  const { length } = sorted;
  if (run <= TIES_MAX * length) return [];
  const of = sampled === null ? what : `${what} in the random sample`;
  return [warning('manyTies', `${run} of the ${length} ${of} are one value`)];
}

/** Source: Cochran 1977, Sampling techniques, section 2.15: the mean is near normal from n = 25 g₁² on. */
function tail(observed: Observed, what: string): ComparisonWarning[] {
  const { n, skewness } = observed;
  if (skewness === null || n < FEW) return [];
  const needed = Math.ceil(25 * skewness * skewness);
  if (n >= needed) return [];
  const message =
    `the ${what} have a long tail (skewness ${skewness.toFixed(1)}): their mean is near normal from ` +
    `about ${needed} values on, and there are ${n}`;
  const share = Math.round(largestShare(observed)! * 100);
  return [warning('heavyTail', `${message}; the largest is ${share} % of their sum`)];
}

/** Once, however many tests looked at a sample. */
function samplingWarning({ metrics, measures, names }: Reviewed): ComparisonWarning[] {
  const concerned = new Set(
    metrics.filter(({ tests }) => tests.some(({ sampled }) => sampled !== undefined)).map(({ of }) => of),
  );
  const parts = measures
    .filter(({ of }) => concerned.has(of))
    .map(({ of: measure, baseline, treatment }) => {
      const arms = [
        { ...baseline, name: names.baseline },
        { ...treatment, name: names.treatment },
      ].filter(({ sampled }) => sampled !== null);
      const of = arms.map(({ n, sorted, name }) => `${counted(sorted!.length)} of ${counted(n)} of ${name}`);
      return `${called(measure)} (${list(of)})`;
    });
  if (parts.length === 0) return [];
  const message =
    `Mann-Whitney tests and the spread of 95th percentiles are of a random sample of ${list(parts)}; ` +
    'means, rates and the 95th percentiles themselves are of all values';
  return [warning('sampledValues', message)];
}

/** Of what was randomised: by events, users who are fairly split would hardly ever seem so. */
function ratioWarning({ baseline, treatment, names, expectedRatio }: Reviewed): ComparisonWarning[] {
  const [old, now, what] = randomised(baseline, treatment);
  const total = old + now;
  // Where no event belongs to a unit, nothing was assigned.
  if (total === 0) return [];
  const expected = total / (1 + expectedRatio);
  const chiSquare = (old - expected) ** 2 * (1 / expected + 1 / (total - expected));
  const pValue = chiSquareSurvival(chiSquare, 1);
  if (pValue >= RATIO_ALPHA) return [];
  return [
    warning(
      'sampleRatioMismatch',
      `${old} ${what} in ${names.baseline} and ${now} in ${names.treatment} do not fit ` +
        `1 : ${Number(expectedRatio.toPrecision(3))} (chi-square ${chiSquare.toFixed(1)}, p < 0.001)`,
    ),
  ];
}

/** Units; without any named the ids that most events share, which may well be what was randomised; else events. */
function randomised(baseline: ArmSamples, treatment: ArmSamples): [old: number, now: number, what: string] {
  if (baseline.byUnit !== undefined && treatment.byUnit !== undefined) {
    return [baseline.byUnit.ids.length, treatment.byUnit.ids.length, `units (${baseline.byUnit.unit})`];
  }
  for (const key of ['userId', 'sessionId'] as const) {
    const [old, now] = [baseline, treatment].map(({ repeats = [] }) =>
      repeats.find((found) => found.key === key),
    );
    if (old?.isComplete && now?.isComplete && (isRepeated(old) || isRepeated(now))) {
      return [old.ids, now.ids, ID_NOUNS[key]];
    }
  }
  return [baseline.events, treatment.events, 'events'];
}

const ID_NOUNS = { userId: 'users', sessionId: 'sessions', sampleId: 'samples' } as const;

function isRepeated({ ids, events }: RepeatedId): boolean {
  return events > EVENTS_PER_SAMPLE_MAX * ids;
}

/** What the arms are made of: where one model answers 80 % in one arm and 20 % in the other, means compare models. */
function mixWarnings({ baseline, treatment, names, kind, isStratified }: Reviewed): ComparisonWarning[] {
  if (isStratified) return [];
  const [old, now] = [baseline.mix, treatment.mix];
  if (old === undefined || now === undefined) return [];
  // One kind of event has several names where spans fail, which is an outcome of theirs.
  const bound =
    kind.names === null ? (['model', 'provider', 'event'] as const) : (['model', 'provider'] as const);
  const declared = Object.keys(old.columns).filter((name) => Object.hasOwn(now.columns, name));
  const parts = [
    ...bound.map((key) => ({ what: `${key}s`, by: key as string, old: old[key], now: now[key] })),
    ...declared.map((name) => ({
      what: `values of ${name}`,
      by: name,
      old: old.columns[name],
      now: now.columns[name],
    })),
  ];
  return parts.flatMap(({ what, by, old, now }) => {
    const all = [...new Set([...Object.keys(old), ...Object.keys(now)])];
    const total = (mix: Mix) => all.reduce((sum, name) => sum + rowsIn(mix, name), 0);
    const [before, after] = [total(old), total(now)];
    const shares = all.map((name) => ({
      name,
      old: rowsIn(old, name) / before,
      now: rowsIn(now, name) / after,
      rows: rowsIn(old, name) + rowsIn(now, name),
    }));
    const distance = shares.reduce((sum, share) => sum + Math.abs(share.old - share.now), 0) / 2;
    // Arms that have nothing in common are what is compared: one model against another.
    if (!(distance > MIX_DISTANCE && distance < 1)) return [];
    // Of homogeneity, from shares: rows of each name split as all rows are.
    const scale = (before * after) / (before + after);
    const chiSquare = shares.reduce(
      (sum, share) => sum + (share.old - share.now) ** 2 / (share.rows / (before + after)),
      0,
    );
    if (chiSquareSurvival(scale * chiSquare, all.length - 1) >= RATIO_ALPHA) return [];
    const most = shares.toSorted((a, b) => Math.abs(b.old - b.now) - Math.abs(a.old - a.now)).slice(0, 3);
    const told = most.map(({ name, old, now }) => `${name} ${percent(old)} and ${percent(now)}`);
    const message =
      `${names.baseline} and ${names.treatment} are made of different ${what} (${list(told)}): differences between those ` +
      `are part of what is found; filter by ${by}, or compare within each`;
    return [warning('unequalMix', message)];
  });
}

/** A name may be one that every object has, such as 'constructor'. */
function rowsIn(mix: Mix, name: string): number {
  return Object.hasOwn(mix, name) ? mix[name] : 0;
}

function strataWarning({ metrics }: Reviewed): ComparisonWarning[] {
  const leftOut = Math.max(0, ...metrics.map(({ strata }) => strata?.leftOut ?? 0));
  if (leftOut === 0) return [];
  return [
    warning(
      'strataLeftOut',
      `${counted(leftOut)} events are of strata that one arm has fewer than two of: they are left out`,
    ),
  ];
}

/** What was known before the treatment cannot be moved by it: arms that differ in it differ in more, or it was not. */
function covariateWarnings({ baseline, treatment, names, metrics }: Reviewed): ComparisonWarning[] {
  const told = new Map<string, string>();
  for (const { of, covariate } of metrics) {
    if (covariate === undefined || told.has(covariate.name)) continue;
    const found = covariateGap(baseline, treatment, of, covariate.name);
    if (found === null || found.pValue >= RATIO_ALPHA) continue;
    const mean = (value: number) => String(Number(value.toPrecision(3)));
    told.set(
      covariate.name,
      `${covariate.name} is ${mean(found.old)} in ${names.baseline} and ${mean(found.now)} in ${names.treatment} on average: ` +
        'a covariate must have been known before the treatment, and not be moved by it',
    );
  }
  return [...told.values()].map((message) => warning('covariateDiffers', message));
}

function covariateGap(baseline: ArmSamples, treatment: ArmSamples, of: string, name: string) {
  if (baseline.byUnit !== undefined && treatment.byUnit !== undefined) {
    const [old, now] = [baseline.byUnit, treatment.byUnit].map(({ measures }) => measures[name]);
    const { pValue } = clusteredTest(now, old);
    const mean = (totals: ClusterTotals) => clusterEstimate(totals).estimate ?? Number.NaN;
    return pValue === null ? null : { pValue, old: mean(old), now: mean(now) };
  }
  const [old, now] = [baseline, treatment].map(({ covariates }) => covariates?.[`${of}~${name}`]);
  if (old === undefined || now === undefined || old.n < 2 || now.n < 2) return null;
  // Of means over all events, in which those without one are 0: only told where nearly all have one.
  if (Math.min(old.means[2], now.means[2]) < 0.99) return null;
  const summary = ({ n, means, products }: CovariateSums) => ({
    n,
    mean: means[1],
    variance: products[4] / (n - 1),
  });
  const { pValue } = welchTTest(summary(now), summary(old));
  return pValue === null ? null : { pValue, old: old.means[1], now: now.means[1] };
}

/** Where events lack an outcome in one arm more often than in the other, what is compared are those that are left. */
function shareWarnings({ baseline, treatment, names, metrics, measures }: Reviewed): ComparisonWarning[] {
  const isRate = (of: string) => !measures.some((pair) => pair.of === of);
  const concerned = new Set([
    ...metrics.filter(({ baseline: arm }) => arm.n > 0).map(({ of }) => of),
    ...Object.keys(baseline.ratios ?? {}),
  ]);
  return [...concerned].flatMap((of) => {
    const pair = measures.find((measure) => measure.of === of);
    const [old, now] = [
      [baseline, pair?.baseline.n ?? eventsWith(baseline, of)],
      [treatment, pair?.treatment.n ?? eventsWith(treatment, of)],
    ].map(([arm, n]) => ({ n: (n as number | undefined) ?? 0, events: (arm as ArmSamples).events }));
    if (old.n === 0 || now.n === 0 || !sharesDiffer(old, now)) return [];
    const lacking = ({ n, events }: typeof old) => `${percent(1 - n / events)} of the events of`;
    const what = of.includes('/')
      ? of.replace('/', ' with ')
      : of === 'success'
        ? 'outcome that is known'
        : isRate(of)
          ? of
          : (SINGULAR[of] ?? of);
    const message =
      `${lacking(old)} ${names.baseline} and ${lacking(now)} ${names.treatment} have no ${what}: only those that have ` +
      'one are compared, and those that have none may be the worst';
    return [warning('unequalShares', message)];
  });
}

/** Events of models without a price: what they cost is in no figure, also where both arms have as many of them. */
function costWarnings({ baseline, treatment, names, metrics }: Reviewed): ComparisonWarning[] {
  if (!metrics.some(({ unit, of }) => unit === 'USD' || of === 'costUsd')) return [];
  const told = (['baseline', 'treatment'] as const).flatMap((side) => {
    const { cost, tokens } = { baseline, treatment }[side].metrics;
    const unknown = tokens.count - cost.count;
    return unknown > 0 ? [`${counted(unknown)} of ${counted(tokens.count)} of ${names[side]}`] : [];
  });
  if (told.length === 0) return [];
  const message = `events with tokens have no cost, mostly since their model has no price: ${told.join(', ')}; they are in no figure of cost`;
  return [warning('unknownCosts', message)];
}

/** Events with what is no measure of values: a rate, or both sides of a ratio. */
function eventsWith(arm: ArmSamples, of: string): number | undefined {
  return arm.ratios?.[of]?.n ?? flagOf(arm, of)?.n;
}

const SINGULAR: Readonly<Record<string, string>> = {
  latencyMs: 'latency',
  costUsd: 'cost',
  tokensTotal: 'tokens',
};

function percent(share: number): string {
  return `${Number((100 * share).toPrecision(2))} %`;
}

/** By a hundredth at least, and not by chance. */
function sharesDiffer(a: { n: number; events: number }, b: { n: number; events: number }): boolean {
  if (a.n > a.events || b.n > b.events || a.events === 0 || b.events === 0) return false;
  if (Math.abs(a.n / a.events - b.n / b.events) < 0.01) return false;
  const { pValue } = twoProportionZ({ successes: a.n, n: a.events }, { successes: b.n, n: b.events });
  return pValue !== null && pValue < RATIO_ALPHA;
}

/** Failures that take another time than successes, in arms that fail differently often: latency tells of failures then. */
function failureWarnings({ baseline, treatment, names, measures }: Reviewed): ComparisonWarning[] {
  const [old, now] = [baseline.latencyOf, treatment.latencyOf];
  if (!old || !now || !measures.some(({ of }) => of === 'latencyMs')) return [];
  const share = ({ succeeded, failed }: NonNullable<typeof old>) => ({
    n: failed.n,
    events: failed.n + succeeded.n,
  });
  if (!sharesDiffer(share(old), share(now))) return [];
  const mean = (key: 'succeeded' | 'failed') =>
    (old[key].n * (old[key].mean ?? 0) + now[key].n * (now[key].mean ?? 0)) / (old[key].n + now[key].n);
  const [ofFailures, ofSuccesses] = [mean('failed'), mean('succeeded')];
  const factor = ofFailures / ofSuccesses;
  if (!(factor < 1 / FAILURES_FACTOR || factor > FAILURES_FACTOR)) return [];
  const failing = (arm: typeof old) => percent(share(arm).n / share(arm).events);
  const ms = (value: number) => `${Number(value.toPrecision(3))} ms`;
  const ofSuccessesAlone = () => {
    const [before, after] = [old.succeeded.mean, now.succeeded.mean];
    if (before === null || after === null) {
      return `${before === null ? names.baseline : names.treatment} has no success to compare`;
    }
    return `Of successes alone its mean was ${ms(before)} in ${names.baseline} and ${ms(after)} in ${names.treatment}`;
  };
  const message =
    `failures take ${ms(ofFailures)}, successes ${ms(ofSuccesses)}, and ${failing(old)} fail in ${names.baseline}, ` +
    `${failing(now)} in ${names.treatment}: latency is of both. ${ofSuccessesAlone()}`;
  return [warning('unlikeFailures', message)];
}

/** Values that follow each other are alike: as many are worth fewer, as if they were of few units. */
function serialWarnings({ baseline, measures, names, pairing }: Reviewed): ComparisonWarning[] {
  if (pairing.used || baseline.byUnit !== undefined) return [];
  return measures.flatMap(({ of, ...arms }) =>
    (['baseline', 'treatment'] as const).flatMap((side) => {
      const { serial, n } = arms[side];
      if (serial === null || serial < SERIAL_MAX || serial * Math.sqrt(n) < SERIAL_ERRORS) return [];
      const worth = Math.max(1, Math.round((n * (1 - serial)) / (1 + serial)));
      const message =
        `consecutive ${called(of)} of ${names[side]} are alike (correlation ${serial.toFixed(2)}): ` +
        `${counted(n)} are worth about ${counted(worth)} independent ones`;
      return [warning('serialCorrelation', message)];
    }),
  );
}

/** Of an arm, so that a look does not hold up its program: an assignment takes about a microsecond. */
const ASSIGNED_CHECKED_MAX = 100_000;

function unitWarnings({ baseline, treatment, names, assigned, place }: Reviewed): ComparisonWarning[] {
  const [old, now] = [baseline.byUnit, treatment.byUnit];
  if (old === undefined || now === undefined) return [];
  const { unit } = old;
  const found: ComparisonWarning[] = [];
  if (old.without + now.without > 0) {
    const told = `${counted(old.without)} events of ${names.baseline} and ${counted(now.without)} of ${names.treatment}`;
    found.push(warning('withoutUnit', `${told} have no ${unit}, and are left out`));
  }
  const ids = new Set(old.ids);
  const shared = now.ids.filter((id) => ids.has(id)).length;
  // Samples in both arms are what a comparison of prompts is made of.
  if (shared > 0 && unit !== 'sampleId') {
    const message = `${counted(shared)} units (${unit}) are in both arms, and counted as if they were two: assign each unit to one arm`;
    found.push(warning('sharedUnits', message));
  }
  if (assigned !== null) {
    const told = (
      [
        [names.baseline, old.ids, 0],
        [names.treatment, now.ids, place],
      ] as const
    ).flatMap(([name, units, arm]) => {
      const elsewhere = units
        .slice(0, ASSIGNED_CHECKED_MAX)
        .filter((id) => assignedArm(assigned.study, id, assigned.arms) !== assigned.arms[arm]!.name);
      return elsewhere.length === 0
        ? []
        : `${counted(elsewhere.length)} of ${counted(units.length)} in ${name}`;
    });
    if (told.length > 0) {
      const message = `units (${unit}) are in another arm than the one they were assigned to: ${told.join('; ')}`;
      found.push(warning('misassignedUnits', message));
    }
  }
  return found;
}

function timeWarnings({ baseline, treatment, names }: Reviewed): ComparisonWarning[] {
  if (baseline.timeRange === null || treatment.timeRange === null) return [];
  const [oldStart, oldEnd] = baseline.timeRange;
  const [start, end] = treatment.timeRange;
  const spans = [oldEnd - oldStart, end - start];
  const [shorter, longer] = [Math.min(...spans), Math.max(...spans)];
  const overlap = Math.max(0, Math.min(oldEnd, end) - Math.max(oldStart, start));
  const found: ComparisonWarning[] = [];
  if (shorter > 0 && overlap < 0.5 * shorter) {
    const share = Math.round((overlap / shorter) * 100);
    found.push(
      warning(
        'littleTimeOverlap',
        `${names.baseline} and ${names.treatment} share ${share} % of the shorter one’s time`,
      ),
    );
  }
  if (longer > 2 * shorter) {
    found.push(
      warning(
        'unequalTimeSpans',
        `${names.baseline} spans ${seconds(spans[0])} s, ${names.treatment} ${seconds(spans[1])} s`,
      ),
    );
  }
  return found;
}

function seconds(us: number): string {
  return `${Number((us / 1e6).toPrecision(3))}`;
}

function sampleWarnings({ baseline, treatment, names, pairing }: Reviewed): ComparisonWarning[] {
  if (pairing.used) {
    const { unpaired } = pairing;
    if (unpaired.baseline + unpaired.treatment === 0) return [];
    const message = `${unpaired.baseline} samples of ${names.baseline} and ${unpaired.treatment} of ${names.treatment} are in no pair, and left out`;
    return [warning('unpairedSamples', message)];
  }
  if (baseline.byUnit !== undefined) return [];
  return (
    [
      [baseline, names.baseline],
      [treatment, names.treatment],
    ] as const
  ).flatMap(([{ bySampleId, repeats }, name]) => {
    if (repeats !== undefined) return repeats.filter(isRepeated).map((found) => repeatedWarning(found, name));
    if (bySampleId === undefined) return [];
    const ids = bySampleId.ids === null ? bySampleId.idsMax : bySampleId.ids.length;
    const perSample = bySampleId.events / ids;
    if (!(perSample > EVENTS_PER_SAMPLE_MAX)) return [];
    const of = bySampleId.ids === null ? ` among its first ${counted(ids)}` : '';
    const message = `${name} has ${perSample.toFixed(1)} events per sample${of}, counted as if they were independent`;
    return [warning('repeatedSamples', message)];
  });
}

function repeatedWarning({ key, ids, events, isComplete }: RepeatedId, name: string): ComparisonWarning {
  const noun = ID_NOUNS[key].slice(0, -1);
  const among = isComplete ? '' : ` among the ${counted(events)} looked at`;
  const message =
    `${name} has ${(events / ids).toFixed(1)} events per ${noun}${among}, counted as if they were independent: ` +
    `unit: '${key}' takes them as they are`;
  return warning(key === 'sampleId' ? 'repeatedSamples' : 'repeatedUnits', message);
}

/**
 * Whether what is compared of costs and tokens is the same thing in both arms: per event it is not where one arm pays
 * for a request in several events, per sample it is not where one arm runs a sample more often.
 */
function requestWarnings({ baseline, treatment, names, pairing, measures }: Reviewed): ComparisonWarning[] {
  const differs = (a: number, b: number) => Math.max(a, b) > REQUESTS_RATIO_MAX * Math.min(a, b);
  if (pairing.used) {
    const [old, now] = [baseline, treatment].map(
      ({ decided, bySampleId }) => decided / (bySampleId?.ids?.length ?? 0),
    );
    const concerned = measures.some(
      ({ of, baseline: { n }, treatment: { n: m } }) => isSummed(of) && n > 0 && m > 0,
    );
    if (!concerned || !differs(old, now)) return [];
    const message =
      `costs and tokens are added up by sample, and a sample has ${old.toFixed(2)} requests in ${names.baseline} ` +
      `and ${now.toFixed(2)} in ${names.treatment}`;
    return [warning('unequalRequests', message)];
  }
  return measures.flatMap(({ of: measure, baseline: old, treatment: now }) => {
    // Within one kind of event, an event is a request: where outcomes are unknown, that is another matter.
    if (!isSummed(measure) || isOneKind(baseline, treatment) || old.n === 0 || now.n === 0) return [];
    const [before, after] = [old.n / baseline.decided, now.n / treatment.decided];
    if (!differs(before, after)) return [];
    const message =
      `mean ${measure === 'costUsd' ? 'cost' : 'token count'} is that of an event, and a request has ` +
      `${before.toFixed(2)} events with ${called(measure)} in ${names.baseline} and ${after.toFixed(2)} in ` +
      `${names.treatment}: compare totals, or pairs by sampleId`;
    return [warning('unequalRequests', message)];
  });
}

function isOneKind(...arms: ArmSamples[]): boolean {
  return arms.every(({ metrics }) => countByKind(metrics.summary.eventTypes).size === 1);
}

/** What a request may have in several of its events, so that only the sum over them is its own. */
function isSummed(of: string): boolean {
  return of === 'costUsd' || of === 'tokensTotal';
}

/** Kinds of events that are not compared, where one arm has more of them than the other. */
function kindWarnings({ baseline, treatment, names, kind }: Reviewed): ComparisonWarning[] {
  const [old, now] = [baseline, treatment].map(({ metrics, allMetrics = metrics }) =>
    countByKind(allMetrics.summary.eventTypes),
  );
  if (kind.isMixture) {
    const told = (counts: ReadonlyMap<string, number>) => list([...counts.keys()].sort());
    const message = `the arms have no kind of event in common (${told(old)} in ${names.baseline}, ${told(now)} in ${names.treatment}): all were compared`;
    return [warning('noCommonEvent', message)];
  }
  if (kind.names === null) return [];
  const compared = new Set([...kind.names].map(kindOf));
  const others = [...new Set([...old.keys(), ...now.keys()])].filter((name) => !compared.has(name)).sort();
  const perEvent = (counts: ReadonlyMap<string, number>, name: string, { events }: ArmSamples) =>
    (counts.get(name) ?? 0) / events;
  const unequal = others.filter((name) => {
    const [before, after] = [perEvent(old, name, baseline), perEvent(now, name, treatment)];
    return Math.max(before, after) > REQUESTS_RATIO_MAX * Math.min(before, after);
  });
  if (unequal.length === 0) return [];
  const told = unequal.map(
    (name) => `${name} (${counted(old.get(name) ?? 0)} and ${counted(now.get(name) ?? 0)})`,
  );
  const message =
    `compared are events of ${kind.event}; of others ${names.baseline} and ${names.treatment} have different numbers: ` +
    `${list(told)}. What those cost or take is not in the figures: name one with event, or pool them with event: 'all'`;
  return [warning('otherEvents', message)];
}
