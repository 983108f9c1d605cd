/** What primary outcomes and guardrails come to together. */
import type { ComparisonDecision, MetricComparison } from './types.js';
import { list, size } from './words.js';

/** Null where no outcome is a primary or a guardrail. */
export function decide(metrics: readonly MetricComparison[]): ComparisonDecision | null {
  const primaries = metrics.filter(({ role }) => role === 'primary');
  const guardrails = metrics.filter(({ role }) => role === 'guardrail');
  if (primaries.length === 0 && guardrails.length === 0) return null;
  const better = primaries.filter(({ direction }) => direction === 'better');
  const worse = primaries.filter(({ direction }) => direction === 'worse');
  const exceeded = guardrails.filter(({ noninferiority }) => noninferiority?.exceeded === true);
  const open = guardrails.filter(({ noninferiority }) => noninferiority?.shown !== true);
  const areNoninferior = primaries.every(({ noninferiority }) => noninferiority?.shown === true);
  const outcome =
    worse.length > 0 || exceeded.length > 0
      ? 'worse'
      : open.length > 0
        ? 'undecided'
        : better.length > 0
          ? 'better'
          : areNoninferior
            ? 'noninferior'
            : 'undecided';
  return {
    outcome,
    reasons: [
      ...primaries.map(primaryReason),
      ...guardrails.map((found) => `As a guardrail: ${marginText(found)}.`),
    ],
    guardrails: guardrails.map(({ metric, noninferiority }) => ({
      metric,
      margin: noninferiority?.margin ?? null,
      holds: noninferiority?.shown === true,
      exceeded: noninferiority?.exceeded === true,
    })),
  };
}

function primaryReason(found: MetricComparison): string {
  const { label, direction, noninferiority } = found;
  const what = { better: 'is better', worse: 'is worse', neutral: 'differs', unclear: 'shows no difference' }[
    direction
  ];
  return `The primary outcome, ${label}, ${what}${noninferiority === undefined ? '' : `; ${marginText(found)}`}.`;
}

/** 'that mean latency is worse by 50 ms or more is ruled out' */
export function marginText({ label, unit, noninferiority, reason }: MetricComparison): string {
  if (noninferiority === undefined)
    return `${label} cannot be held against its margin (${reason ?? 'no estimate'})`;
  const { margin, relative, shown, exceeded } = noninferiority;
  const absolute = size(margin, unit);
  const by = relative === undefined ? absolute : `${Number((100 * relative).toPrecision(3))} % (${absolute})`;
  const state = shown ? 'is ruled out' : exceeded ? 'is shown' : 'is not ruled out';
  return `that ${label} is worse by ${by} or more ${state}`;
}

/** What is said of margins in the treatment's verdict; null where there are none. */
export function marginsSentence(metrics: readonly MetricComparison[]): string | null {
  const told = metrics.filter(({ noninferiority }) => noninferiority !== undefined).map(marginText);
  if (told.length === 0) return null;
  const text = list(told);
  return `${text[0].toUpperCase()}${text.slice(1)}.`;
}
