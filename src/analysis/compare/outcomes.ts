/** Outcomes: what a comparison asks of its arms, by one of five names or as the caller describes it. */
import { ConfigError } from '../../errors.js';
import { suggest } from '../../suggest.js';
import { USUAL_MEASURES } from './samples.js';
import type { MetricName, Outcome } from './types.js';

export type Summary = 'mean' | 'rate' | 'ratio' | { readonly quantile: number };
export type Unit = 'ms' | 'USD' | 'share' | 'tokens' | 'number';

/** An outcome with everything filled in. */
export interface Question {
  /** Under which the result has it. */
  readonly name: string;
  readonly of: string;
  /** Of a ratio: what is below. */
  readonly per: string | null;
  /** 'mean' is a rate where the arms turn out to have it as yes or no. */
  readonly summary: Summary;
  readonly better: 'higher' | 'lower' | 'neutral';
  readonly role: 'primary' | 'secondary' | 'guardrail';
  readonly margin: number | { readonly relative: number } | null;
  readonly covariate: string | null;
  readonly unit: Unit;
  /** As after 'a difference in …'. */
  readonly noun: string;
}

export const METRIC_NAMES: readonly MetricName[] = [
  'latencyMean',
  'latencyP95',
  'costMean',
  'successRate',
  'tokensMean',
];

const NAMED: Readonly<Record<MetricName, { outcome: Outcome; noun: string }>> = {
  latencyMean: { outcome: { of: 'latencyMs' }, noun: 'mean latency' },
  latencyP95: { outcome: { of: 'latencyMs', summary: { quantile: 0.95 } }, noun: 'p95 latency' },
  costMean: { outcome: { of: 'costUsd' }, noun: 'mean cost' },
  successRate: { outcome: { of: 'success' }, noun: 'success rate' },
  tokensMean: { outcome: { of: 'tokensTotal' }, noun: 'mean token count' },
};

interface Measure {
  readonly unit: Unit;
  readonly noun: string;
  readonly better: Question['better'];
}

/** What every event has or lacks. */
const MEASURES: Readonly<Record<string, Measure>> = {
  latencyMs: { unit: 'ms', noun: 'latency', better: 'lower' },
  ttftMs: { unit: 'ms', noun: 'time to first token', better: 'lower' },
  costUsd: { unit: 'USD', noun: 'cost', better: 'lower' },
  success: { unit: 'share', noun: 'success', better: 'higher' },
  tokensTotal: { unit: 'tokens', noun: 'token count', better: 'neutral' },
  tokensPrompt: { unit: 'tokens', noun: 'prompt token count', better: 'neutral' },
  tokensCompletion: { unit: 'tokens', noun: 'completion token count', better: 'neutral' },
};

/** Measures that every experiment may have, declared or not. */
export const KNOWN_MEASURES: readonly string[] = Object.keys(MEASURES);

const OUTCOME_KEYS: readonly string[] = [
  'name',
  'of',
  'summary',
  'per',
  'direction',
  'role',
  'margin',
  'covariate',
];

/**
 * In the order in which they were asked for; the five names first, in an order of their own.
 * @throws ConfigError naming the part
 */
export function resolveQuestions(metrics: readonly (MetricName | Outcome)[]): Question[] {
  if (!Array.isArray(metrics) || metrics.length === 0) {
    throw new ConfigError('metrics', 'an array of metric names or outcomes', metrics);
  }
  const asked = metrics as readonly unknown[];
  for (const [i, metric] of asked.entries()) {
    if (typeof metric === 'object' && metric !== null) continue;
    if (!METRIC_NAMES.includes(metric as MetricName)) {
      const names = METRIC_NAMES.map((name) => `'${name}'`).join(', ');
      throw new ConfigError(`metrics[${i}]`, `${names} or an outcome { of, … }`, metric);
    }
  }
  const named = METRIC_NAMES.filter((name) => asked.includes(name)).map(namedQuestion);
  const described = asked.flatMap((metric, i) =>
    typeof metric === 'string' ? [] : [questionOf(metric as Outcome, `metrics[${i}]`)],
  );
  const questions = [...named, ...described];
  const names = new Set<string>();
  for (const { name } of questions) {
    if (names.has(name)) throw new ConfigError('metrics', 'outcomes of different names', name);
    names.add(name);
  }
  return questions;
}

function namedQuestion(name: MetricName): Question {
  const { outcome, noun } = NAMED[name];
  return { ...questionOf(outcome, name), name, noun };
}

function questionOf(outcome: Outcome, path: string): Question {
  for (const [key, value] of Object.entries(outcome)) {
    if (value !== undefined && !OUTCOME_KEYS.includes(key)) {
      throw new ConfigError(`${path}.${key}`, OUTCOME_KEYS.join(', '), value);
    }
  }
  const { of, per, direction, role = 'secondary', margin } = outcome;
  checkText(of, `${path}.of`);
  if (per !== undefined) checkText(per, `${path}.per`);
  if (outcome.name !== undefined) checkText(outcome.name, `${path}.name`);
  if (!['primary', 'secondary', 'guardrail'].includes(role)) {
    throw new ConfigError(`${path}.role`, "'primary', 'secondary' or 'guardrail'", role);
  }
  if (direction !== undefined && !['higher', 'lower', 'neutral'].includes(direction)) {
    throw new ConfigError(`${path}.direction`, "'higher', 'lower' or 'neutral'", direction);
  }
  const summary = summaryOf(outcome, path);
  const measure = Object.hasOwn(MEASURES, of)
    ? MEASURES[of]
    : ({ unit: 'number', noun: of, better: 'neutral' } as const);
  const better = direction ?? measure.better;
  checkMargin(margin, role, better, path);
  checkCovariate(outcome, summary, path);
  return {
    name: outcome.name ?? nameOf(of, per, summary),
    of,
    per: per ?? null,
    summary,
    better,
    role,
    margin: margin ?? null,
    covariate: outcome.covariate ?? null,
    unit: measure.unit,
    noun: nameNoun(outcome.name) ?? nounOf(measure, summary, per),
  };
}

/** One of the five names means what it says, also where its outcome was described. */
function nameNoun(name: string | undefined): string | undefined {
  return METRIC_NAMES.includes(name as MetricName) ? NAMED[name as MetricName].noun : name;
}

function checkText(value: unknown, path: string): void {
  if (typeof value !== 'string' || value === '') throw new ConfigError(path, 'the name of a measure', value);
}

function summaryOf({ of, summary, per }: Outcome, path: string): Summary {
  if (per !== undefined) {
    if (summary === undefined) return 'ratio';
    throw new ConfigError(`${path}.summary`, 'none beside per: a ratio is one of sums', summary);
  }
  if (summary === undefined) return of === 'success' ? 'rate' : 'mean';
  if (summary === 'mean' || summary === 'rate') return summary;
  const p = typeof summary === 'object' && summary !== null ? summary.quantile : undefined;
  if (typeof p === 'number' && p > 0 && p < 1) return { quantile: p };
  throw new ConfigError(`${path}.summary`, "'mean', 'rate' or { quantile: above 0 and below 1 }", summary);
}

function checkMargin(
  margin: unknown,
  role: Question['role'],
  better: Question['better'],
  path: string,
): void {
  if (margin === undefined) {
    if (role === 'guardrail') {
      throw new ConfigError(`${path}.margin`, 'how much worse is still acceptable, for a guardrail', margin);
    }
    return;
  }
  const size =
    typeof margin === 'object' && margin !== null ? (margin as { relative?: unknown }).relative : margin;
  if (!(typeof size === 'number' && Number.isFinite(size) && size > 0)) {
    throw new ConfigError(`${path}.margin`, 'a number above 0, or { relative: a share above 0 }', margin);
  }
  if (better === 'neutral') {
    throw new ConfigError(`${path}.direction`, "'higher' or 'lower' beside a margin", better);
  }
}

function checkCovariate({ of, covariate }: Outcome, summary: Summary, path: string): void {
  if (covariate === undefined) return;
  checkText(covariate, `${path}.covariate`);
  if (covariate === of)
    throw new ConfigError(`${path}.covariate`, 'another measure than the outcome', covariate);
  if (summary !== 'mean' && summary !== 'rate') {
    throw new ConfigError(`${path}.covariate`, 'none beside a quantile or a ratio', covariate);
  }
}

function nameOf(of: string, per: string | undefined, summary: Summary): string {
  if (per !== undefined) return `${of}/${per}`;
  return typeof summary === 'object' ? `${of}.${quantileName(summary.quantile)}` : of;
}

function nounOf({ noun, unit }: Measure, summary: Summary, per: string | undefined): string {
  if (per !== undefined) {
    const below = Object.hasOwn(MEASURES, per) ? MEASURES[per].noun : per;
    return `${noun} per ${below}`;
  }
  if (typeof summary === 'object') return `${quantileName(summary.quantile)} ${noun}`;
  return summary === 'rate' || unit === 'share' ? `${noun} rate` : `mean ${noun}`;
}

/** 'p95', 'p99.9'. */
export function quantileName(p: number): string {
  return `p${Number((100 * p).toPrecision(10))}`;
}

/**
 * Whether somebody has what is asked for.
 * @param columns - declared, of all arms
 * @throws ConfigError naming the outcome
 */
export function checkMeasured(
  questions: readonly Question[],
  columns: readonly { readonly name: string; readonly type: string }[],
): void {
  const numeric = columns.filter(({ type }) => type !== 'dict').map(({ name }) => name);
  const known = [...new Set([...KNOWN_MEASURES, ...numeric])];
  for (const { name, of, per, covariate } of questions) {
    for (const [part, measure] of [
      ['of', of],
      ['per', per],
      ['covariate', covariate],
    ] as const) {
      // Scores may still come.
      if (measure === null || known.includes(measure) || /^score\../.test(measure)) continue;
      const nearest = suggest(measure, known);
      const expected = nearest === null ? known.join(', ') : `did you mean ${nearest}?`;
      throw new ConfigError(
        `metrics.${name}.${part}`,
        `a measure or a declared column of numbers or bool (${expected})`,
        measure,
      );
    }
  }
}

/** A named outcome as it would be described. */
export function describedOutcome(metric: MetricName | Outcome): Outcome {
  return typeof metric === 'string' ? { name: metric, ...NAMED[metric].outcome } : metric;
}

/** What must be gathered for the questions, besides what always is. */
export function measuresOf(questions: readonly Question[]): {
  measures: string[];
  ratios: [of: string, per: string][];
  quantilesOf: string[];
  covariates: [of: string, covariate: string][];
} {
  const single = questions
    .filter(({ per }) => per === null)
    .flatMap(({ of, covariate }) => (covariate === null ? [of] : [of, covariate]));
  return {
    measures: [...new Set(single)].filter((of) => !(USUAL_MEASURES as readonly string[]).includes(of)),
    ratios: questions.flatMap(({ of, per }) => (per === null ? [] : [[of, per]])),
    covariates: questions.flatMap(({ of, covariate }) => (covariate === null ? [] : [[of, covariate]])),
    quantilesOf: [
      ...new Set(questions.filter(({ summary }) => typeof summary === 'object').map(({ of }) => of)),
    ],
  };
}
