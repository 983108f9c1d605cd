/** Outcomes as options of commands write them. */
import { METRIC_NAMES } from '../analysis/compare/outcomes.js';
import { ConfigError } from '../errors.js';
import type { MetricName, Outcome } from '../index.js';
import { UsageError } from './errors.js';

/** A name of ours, a measure, its quantile or a ratio. @throws UsageError naming the option */
export function readOutcome(text: string, option: string, command: string): MetricName | Outcome {
  if (METRIC_NAMES.includes(text as MetricName)) return text as MetricName;
  const [of, per, ...more] = text.split('/');
  if (of === '' || per === '' || more.length > 0) {
    throw new UsageError(
      `${option} expects a measure, or two as costUsd/success, got ${JSON.stringify(text)}`,
      command,
    );
  }
  if (per !== undefined) return { of: of!, per };
  const quantile = /^(.+)\.p(\d+(?:\.\d+)?)$/.exec(text);
  return quantile === null
    ? { of: text }
    : { of: quantile[1]!, summary: { quantile: Number(quantile[2]) / 100 } };
}

const ROLES: readonly string[] = ['primary', 'secondary', 'guardrail'];
const DIRECTIONS: readonly string[] = ['higher', 'lower', 'neutral'];

/**
 * An outcome and what is asked of it, as `latencyMs:guardrail:margin=5%` or `score:primary:higher:covariate=before`.
 * @throws UsageError naming the option
 */
export function readQuestion(text: string, option: string, command: string): MetricName | Outcome {
  const [what, ...words] = text.split(':');
  const outcome = readOutcome(what!, option, command);
  if (words.length === 0) return outcome;
  if (typeof outcome === 'string') {
    throw new UsageError(
      `${option} expects a measure before ":", as latencyMs or success, got ${what}`,
      command,
    );
  }
  return Object.assign(outcome, ...words.map((word) => readWord(word, text, option, command)));
}

function readWord(word: string, text: string, option: string, command: string): Partial<Outcome> {
  if (ROLES.includes(word)) return { role: word as Outcome['role'] & string };
  if (DIRECTIONS.includes(word)) return { direction: word as Outcome['direction'] & string };
  const [, name, value] = /^(margin|covariate|as)=(.+)$/.exec(word) ?? [];
  if (name === 'covariate') return { covariate: value! };
  if (name === 'as') return { name: value! };
  const margin = /^(\d+(?:\.\d+)?)(%?)$/.exec(value ?? '');
  if (name === 'margin' && margin !== null) {
    const size = Number(margin[1]);
    return { margin: margin[2] === '%' ? { relative: size / 100 } : size };
  }
  throw new UsageError(
    `${option} expects ${[...ROLES, ...DIRECTIONS].join(', ')}, margin=5%, margin=20, covariate=COLUMN or as=NAME ` +
      `behind ":", got ${JSON.stringify(word)} in ${JSON.stringify(text)}`,
    command,
  );
}

/** What is wrong with an outcome is only known once the experiment's columns are. @param option - that named it */
export function rethrowUsage(option: string, command: string): (error: unknown) => never {
  return (error) => {
    if (!(error instanceof ConfigError) || !String(error.context.path).startsWith('metrics.')) throw error;
    throw new UsageError(`${option} expects ${error.context.expected}`, command);
  };
}
