/** The options of a comparison, checked and filled in. */
import { checkOptions } from '../../check-options.js';
import { AnalysisError, ConfigError } from '../../errors.js';
import type { Assignment } from '../../schema/assignment.js';
import type { AdjustmentMethod } from '../../stats/multiplicity.js';
import { resolveOptions } from '../../stats/options.js';
import { METRIC_NAMES, type Question, resolveQuestions } from './outcomes.js';
import type { CompareOptions, SequentialOptions } from './types.js';

export interface Settings {
  readonly alpha: number;
  readonly confidenceLevel: number;
  readonly adjust: AdjustmentMethod | 'none';
  readonly questions: readonly Question[];
  /** Undefined: to be chosen. */
  readonly event: string | undefined;
  readonly seed: number;
  readonly resamples: number;
  readonly paired: boolean | 'auto';
  readonly unit: string;
  readonly assigned: Assignment | null;
  readonly strata: string | null;
  /** Names of those that were declared. */
  readonly segments: readonly string[];
  /** One per arm. */
  readonly expectedRatio: readonly number[];
  readonly sequential: { readonly tuning: number } | null;
}

const ADJUSTMENTS: readonly string[] = ['holm', 'bh', 'by', 'bonferroni', 'hochberg', 'none'];
const KNOWN: readonly string[] = [
  'filter',
  'confidenceLevel',
  'alpha',
  'adjust',
  'metrics',
  'event',
  'seed',
  'resamples',
  'paired',
  'unit',
  'assigned',
  'strata',
  'segments',
  'expectedRatio',
  'sequential',
];
const TUNING_DEFAULT = 5000;

/** @throws AnalysisError ERR_TOO_FEW_EXPERIMENTS below two arms, ConfigError naming the option */
export function resolveCompareOptions(options: CompareOptions, arms: number): Settings {
  if (arms < 2) {
    throw new AnalysisError('ERR_TOO_FEW_EXPERIMENTS', `a comparison needs two experiments, got ${arms}`, {
      expected: 2,
      actual: arms,
    });
  }
  checkOptions(options, KNOWN);
  const {
    adjust = 'holm',
    metrics = METRIC_NAMES,
    event,
    seed = 1,
    resamples = 10_000,
    paired = 'auto',
    unit = 'event',
    expectedRatio = new Array<number>(arms).fill(1),
  } = options;
  const sequential = resolveSequential(options.sequential);
  const alpha = resolveAlpha(options.alpha, sequential?.alpha);
  const level = resolveOptions({ alpha, confidenceLevel: options.confidenceLevel });
  if (!ADJUSTMENTS.includes(adjust)) throw new ConfigError('adjust', oneOf(ADJUSTMENTS), adjust);
  const questions = resolveQuestions(metrics);
  if (event !== undefined && (typeof event !== 'string' || event === '')) {
    throw new ConfigError('event', "the name of an event, or 'all'", event);
  }
  if (!Number.isSafeInteger(seed)) throw new ConfigError('seed', 'a whole number', seed);
  if (!(Number.isSafeInteger(resamples) && resamples >= 100 && resamples <= 1e6)) {
    throw new ConfigError('resamples', 'a whole number from 100 to 1000000', resamples);
  }
  if (paired !== 'auto' && typeof paired !== 'boolean') {
    throw new ConfigError('paired', "true, false or 'auto'", paired);
  }
  if (paired === true && sequential !== null) {
    throw new ConfigError('paired', "false or 'auto' beside sequential", paired);
  }
  checkUnit(unit, paired);
  checkStrata(options, questions, sequential !== null);
  checkSegments(options.segments);
  checkRatio(expectedRatio, arms);
  return {
    alpha: level.alpha,
    confidenceLevel: level.confidenceLevel,
    adjust,
    questions,
    event,
    seed,
    resamples,
    // Samples that are units of their own may be pairs; those of other units are not independent of each other.
    paired:
      sequential === null && options.strata === undefined && (unit === 'event' || unit === 'sampleId')
        ? paired
        : false,
    unit,
    assigned: resolveAssigned(options, unit),
    strata: options.strata ?? null,
    segments: Object.keys(options.segments ?? {}),
    expectedRatio,
    sequential: sequential && { tuning: sequential.tuning ?? TUNING_DEFAULT },
  };
}

function resolveAssigned({ assigned }: CompareOptions, unit: string): Settings['assigned'] {
  if (assigned === undefined) return null;
  if (typeof assigned?.study !== 'string' || !Array.isArray(assigned.arms)) {
    throw new ConfigError('assigned', '{ study, arms: [{ name, weight }, …] }', assigned);
  }
  if (unit === 'event')
    throw new ConfigError('assigned', 'beside unit: events are assigned to no arm', assigned);
  return assigned;
}

function resolveSequential(sequential: unknown): SequentialOptions | null {
  if (sequential === undefined || sequential === false) return null;
  if (sequential === true) return {};
  if (typeof sequential !== 'object' || sequential === null) {
    throw new ConfigError('sequential', 'true, false or { tuning, alpha }', sequential);
  }
  checkOptions(sequential, ['tuning', 'alpha'], 'sequential');
  const { tuning } = sequential as SequentialOptions;
  if (tuning !== undefined && !(Number.isFinite(tuning) && tuning > 0)) {
    throw new ConfigError('sequential.tuning', 'a finite number above 0', tuning);
  }
  return sequential;
}

function resolveAlpha(own: number | undefined, sequential: number | undefined): number | undefined {
  if (own !== undefined && sequential !== undefined && own !== sequential) {
    throw new ConfigError('sequential.alpha', `alpha = ${own}, or none`, sequential);
  }
  return own ?? sequential;
}

function checkUnit(unit: unknown, paired: unknown): void {
  if (typeof unit !== 'string' || unit === '') {
    throw new ConfigError(
      'unit',
      "'event', 'userId', 'sessionId', 'sampleId' or a path into the metadata",
      unit,
    );
  }
  if (paired === true && unit !== 'event' && unit !== 'sampleId') {
    throw new ConfigError('paired', `false or 'auto' beside unit '${unit}'`, paired);
  }
}

function checkStrata(
  { strata, unit = 'event', paired }: CompareOptions,
  questions: readonly Question[],
  isSequential: boolean,
): void {
  if (strata === undefined) return;
  if (typeof strata !== 'string' || strata === '') {
    throw new ConfigError(
      'strata',
      "'model', 'provider', 'eventName' or a column of type dict or bool",
      strata,
    );
  }
  if (isSequential) throw new ConfigError('strata', 'none beside sequential', strata);
  if (unit !== 'event') throw new ConfigError('strata', `none beside unit '${unit}'`, strata);
  if (paired === true) throw new ConfigError('strata', 'none beside paired', strata);
  if (questions.some(({ covariate }) => covariate !== null)) {
    throw new ConfigError('strata', 'none beside a covariate', strata);
  }
}

function checkSegments(segments: unknown): void {
  if (segments === undefined) return;
  const isFilters =
    typeof segments === 'object' &&
    segments !== null &&
    Object.values(segments).every((filter) => typeof filter === 'object' && filter !== null);
  if (!isFilters) throw new ConfigError('segments', 'an object of filters by name', segments);
}

function checkRatio(ratio: readonly number[], arms: number): void {
  const positive = (part: unknown) => Number.isFinite(part) && (part as number) > 0;
  if (!(Array.isArray(ratio) && ratio.length === arms && ratio.every(positive))) {
    throw new ConfigError('expectedRatio', `${arms} numbers above 0, one per experiment`, ratio);
  }
}

function oneOf(names: readonly string[]): string {
  return names.map((name) => `'${name}'`).join(', ');
}
