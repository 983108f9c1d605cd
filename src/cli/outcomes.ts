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

/** What is wrong with an outcome is only known once the experiment's columns are. @param option - that named it */
export function rethrowUsage(option: string, command: string): (error: unknown) => never {
  return (error) => {
    if (!(error instanceof ConfigError) || !String(error.context.path).startsWith('metrics.')) throw error;
    throw new UsageError(`${option} expects ${error.context.expected}`, command);
  };
}
