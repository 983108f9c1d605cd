/**
 * Findings in sentences. They tell what was observed and never that the treatment caused it: that rests on how events
 * came to their arms, which the data do not show. A difference that is not significant is 'not shown', never absent.
 */
import { marginsSentence } from './decision.js';
import type { Settings } from './options.js';
import type { ComparisonWarning, MetricComparison, WarningCode } from './types.js';
import {
  amount,
  capital,
  change,
  decimalsOf,
  interval,
  list,
  percentOf,
  pText,
  signedPercent,
} from './words.js';

export interface Names {
  readonly baseline: string;
  readonly treatment: string;
}

type Unworded = Omit<MetricComparison, 'verdict'>;

/** One metric, in one or two sentences. */
export function metricVerdict(found: Unworded, names: Names, settings: Settings, questions: number): string {
  const { label: noun, baseline, treatment, difference, unit, pValue, reason } = found;
  if (difference === null) return `No comparison of ${noun}: ${reason}.`;
  const decimals = decimalsOf(found);
  const arms =
    `${amount(treatment.estimate!, unit, decimals)} with ${names.treatment} ` +
    `against ${amount(baseline.estimate!, unit, decimals)} with ${names.baseline}`;
  if (pValue === null) return `${capital(noun)} was ${arms}. No test: ${reason}.`;
  const measured = `${arms} (${[...size(found, settings), probability(found, settings, questions)].join('; ')})`;
  const contradicted = contradiction(found, settings);
  const explained = contradicted === null ? '' : ` ${contradicted}`;
  if (found.significant) return `${capital(noun)} was ${higherOrLower(found)}: ${measured}.${explained}`;
  const nearly =
    pValue <= settings.alpha
      ? ` Asked alone, this would have been significant; as one of ${questions} questions it is not.`
      : '';
  return `No difference in ${noun} is shown: ${measured}.${nearly}${explained}`;
}

/** Where a test and an interval of another method do not say the same; null where they do. */
function contradiction(found: Unworded, { alpha }: Settings): string | null {
  const { label, pValue, confidenceInterval, tests, intervalMethod } = found;
  if (pValue === null || confidenceInterval === null) return null;
  const [low, high] = confidenceInterval;
  const excludes = low > 0 || high < 0;
  const rejects = pValue <= alpha;
  if (excludes === rejects) return null;
  const side = excludes ? 'excludes 0 while its test does not reject' : 'holds 0 while its test rejects';
  return `The interval of ${label} ${side}: they are of different methods (${intervalMethod}; ${tests[0]!.method}), and the test decides.`;
}

/** The difference with its percentage, and its interval. */
function size(found: Unworded, { confidenceLevel, sequential }: Settings): string[] {
  const { difference, relativePct, confidenceInterval, unit } = found;
  const decimals = decimalsOf(found);
  // The relative change of a share is too easily taken for percentage points.
  const relative = relativePct === null || unit === 'share' ? '' : `, ${signedPercent(relativePct)}`;
  const parts = [`${change(difference!, unit, decimals)}${relative}`];
  if (confidenceInterval !== null) {
    const text = interval(confidenceInterval, unit, decimals, confidenceLevel);
    parts.push(sequential === null ? text : `always-valid ${text}`);
  }
  return parts;
}

function probability({ adjustedPValue }: Unworded, settings: Settings, questions: number): string {
  const kind = settings.sequential === null ? '' : 'always-valid ';
  const adjusted = settings.adjust !== 'none' && questions > 1 ? 'adjusted ' : '';
  return `${kind}${adjusted}${pText(adjustedPValue!)}`;
}

function higherOrLower({ difference }: Unworded): 'higher' | 'lower' {
  return difference! > 0 ? 'higher' : 'lower';
}

/** What warnings of these kinds say of the differences, in a few words. */
const CAUTIONS: readonly (readonly [WarningCode, string])[] = [
  ['lostEvents', 'events of an arm are lost, so that what is compared is only what is left'],
  [
    'sampleRatioMismatch',
    'the arms’ sizes do not fit the planned ratio, so the arms may differ in more than the treatment',
  ],
  [
    'littleTimeOverlap',
    'the arms ran at different times, so what changed over time is part of the differences',
  ],
  ['repeatedSamples', 'events of one sample were counted as independent, so intervals may be too narrow'],
  [
    'repeatedUnits',
    'events of one user or session were counted as independent, so intervals may be too narrow',
  ],
  ['serialCorrelation', 'values that follow each other are alike, so intervals may be too narrow'],
  ['sharedUnits', 'some units were in both arms'],
  ['misassignedUnits', 'some units were in another arm than the one they were assigned to'],
  ['covariateDiffers', 'a covariate differs between the arms, as one that the treatment moves would'],
  ['strataLeftOut', 'some strata are in one arm only and are left out'],
  ['unknownCosts', 'what some events cost is not known, and in no figure of cost'],
  [
    'unequalShares',
    'events lack an outcome in one arm more often than in the other, and those may be the worst',
  ],
  ['unlikeFailures', 'latency is of failures too, which take another time and are not as many in both arms'],
  ['censored', 'latencies were cut at a greatest value, so that means and high quantiles are lower bounds'],
  ['tooFewSamples', 'there are few observations'],
  [
    'unequalMix',
    'the arms are made of different models, providers, kinds of events or values of a declared column',
  ],
  ['unequalSkew', 'means of arms so unequal in size do not tell, with values so skewed'],
  ['heavyTail', 'some means rest on a few large values'],
];

/** All metrics of a treatment: what differs, what is not shown, and what to read it with. */
export function treatmentVerdict(
  metrics: readonly MetricComparison[],
  warnings: readonly ComparisonWarning[],
  names: Names,
  settings: Settings,
  families: ReadonlyMap<string, number>,
): string {
  const sentences: string[] = [];
  const shown = metrics.filter(({ significant }) => significant);
  const tested = metrics.filter(({ pValue, significant }) => pValue !== null && !significant);
  const untested = metrics.filter(({ pValue, treatment, baseline }) => {
    return pValue === null && (treatment.n > 0 || baseline.n > 0);
  });
  const differences = shown.map((found) => `a ${higherOrLower(found)} ${measured(found)}`);
  const open = tested.map(measured);
  if (shown.length > 0) {
    sentences.push(`Compared with ${names.baseline}, ${names.treatment} had ${list(differences)}.`);
    if (open.length > 0) sentences.push(`No difference is shown in ${list(open, 'or')}.`);
  } else if (open.length > 0) {
    const level = percentOf(settings.alpha);
    sentences.push(
      `At the ${level} level no difference between ${names.treatment} and ${names.baseline} is shown in ${list(open, 'or')}.`,
    );
  }
  const alone = tested.filter(({ pValue }) => pValue! <= settings.alpha);
  if (alone.length > 0) {
    const labels = list(alone.map(({ label }) => label));
    const sizes = new Set(alone.map(({ metric }) => families.get(metric)));
    sentences.push(
      `Asked alone, a difference in ${labels} would have been significant, which is why its interval excludes 0; as one of ${list([...sizes].map(String))} questions it is not.`,
    );
  }
  for (const found of [...shown, ...tested]) {
    const explained = contradiction(found, settings);
    if (explained !== null) sentences.push(explained);
  }
  if (untested.length > 0) {
    const told = untested.map((found) => (found.confidenceInterval === null ? found.label : measured(found)));
    sentences.push(`Not tested: ${list(told)}.`);
  }
  if (sentences.length === 0) {
    return `There is nothing to compare ${names.treatment} with ${names.baseline} by.`;
  }
  const margins = marginsSentence(metrics);
  if (margins !== null) sentences.push(margins);
  const adjusted = metrics.flatMap(({ covariate, label }) =>
    covariate === undefined ? [] : [`${label} by ${covariate.name}`],
  );
  if (adjusted.length > 0) {
    sentences.push(`Adjusted for what was known before: ${list(adjusted)}.`);
  }
  if (settings.strata !== null && metrics.some(({ strata }) => strata !== undefined)) {
    sentences.push(`Means and rates are those of one mix of ${settings.strata} for both arms.`);
  }
  if (settings.unit !== 'event') {
    sentences.push(
      `What was randomised is taken to be the ${settings.unit}: events of one are not taken as independent.`,
    );
  }
  const codes = new Set(warnings.map(({ code }) => code));
  const cautions = CAUTIONS.filter(([code]) => codes.has(code)).map(([, words]) => words);
  if (cautions.length > 0) sentences.push(`To be read with care: ${cautions.join('; ')}.`);
  return sentences.join(' ');

  function measured(found: MetricComparison): string {
    return `${found.label} (${size(found, settings).join('; ')})`;
  }
}
