/** Numbers and names as sentences have them. */
import type { Interval } from '../../stats/options.js';
import type { MetricComparison } from './types.js';

export type Unit = MetricComparison['unit'];

const VALUES: Readonly<Record<string, string>> = {
  latencyMs: 'latencies',
  costUsd: 'costs',
  tokensTotal: 'token counts',
};

/** Values of a measure: 'latencies', 'values of score'. */
export function valuesText(of: string): string {
  return Object.hasOwn(VALUES, of) ? VALUES[of] : `values of ${of}`;
}

/** What is shown is the value times `factor`. */
const UNITS: Readonly<Record<Unit, { before: string; after: string; factor: number }>> = {
  ms: { before: '', after: ' ms', factor: 1 },
  USD: { before: '$', after: '', factor: 1 },
  tokens: { before: '', after: ' tokens', factor: 1 },
  share: { before: '', after: ' %', factor: 100 },
  number: { before: '', after: '', factor: 1 },
};
const POINTS = ' percentage points';

/** '80.2 ms', '$0.00125', '98.6 %'. */
export function amount(value: number, unit: Unit, decimals: number): string {
  const { before, after, factor } = UNITS[unit];
  return `${value < 0 ? '-' : ''}${before}${digits(Math.abs(value * factor), decimals)}${after}`;
}

/** '-19.9 ms', '+$0.00125', '+2.1 percentage points'. */
export function change(value: number, unit: Unit, decimals: number): string {
  return `${signed(value, unit, decimals)}${afterChange(unit)}`;
}

/** '95 % interval -21.3 to -18.5 ms'. */
export function interval([low, high]: Interval, unit: Unit, decimals: number, level: number): string {
  const ends = `${signed(low, unit, decimals)} to ${signed(high, unit, decimals)}`;
  return `${percentOf(level)} interval ${ends}${afterChange(unit)}`;
}

/** A size of a difference, without a sign: '50 ms', '2 percentage points'. */
export function size(value: number, unit: Unit): string {
  const { before, factor } = UNITS[unit];
  const text = digits(Math.abs(value * factor), decimalsFor([value], unit));
  return `${before}${text.includes('e') ? text : Number(text)}${afterChange(unit)}`;
}

function signed(value: number, unit: Unit, decimals: number): string {
  const { before, factor } = UNITS[unit];
  const text = digits(Math.abs(value * factor), decimals);
  const sign = Number(text) === 0 ? '' : value < 0 ? '-' : '+';
  return `${sign}${before}${text}`;
}

function afterChange(unit: Unit): string {
  return unit === 'share' ? POINTS : UNITS[unit].after;
}

/** Decimals that leave the largest of some values three digits, as they are shown. */
export function decimalsFor(values: readonly number[], unit: Unit): number {
  const largest = Math.max(...values.map((value) => Math.abs(value * UNITS[unit].factor)));
  if (!(largest > 0)) return 0;
  return Math.min(12, Math.max(0, 2 - Math.floor(Math.log10(largest))));
}

/** Plain up to a billion and down to what the decimals show; beyond that in powers of ten. */
function digits(value: number, decimals: number): string {
  return value >= 1e9 || (value > 0 && value < 1e-12) ? value.toExponential(2) : value.toFixed(decimals);
}

/** 'p = 0.034', 'p < 0.001'. */
export function pText(p: number): string {
  return p < 0.001 ? 'p < 0.001' : `p = ${p.toFixed(p < 0.1 ? 3 : 2)}`;
}

/** '95 %', '99.9 %'. */
export function percentOf(share: number): string {
  return `${Number((share * 100).toPrecision(6))} %`;
}

/** '-19.8 %'. */
export function signedPercent(pct: number): string {
  const text = digits(Math.abs(pct), Math.abs(pct) < 10 ? 1 : 0);
  return `${Number(text) === 0 ? '' : pct < 0 ? '-' : '+'}${text} %`;
}

/** '1,048,576'. */
export function counted(count: number): string {
  return count.toLocaleString('en-US');
}

/** 'a', 'a and b', 'a, b and c'. */
export function list(items: readonly string[], word: 'and' | 'or' = 'and'): string {
  return items.length < 2 ? items.join('') : `${items.slice(0, -1).join(', ')} ${word} ${items.at(-1)}`;
}

/** Names to tell two arms apart, by condition or id where they have one name. */
export function namesOf(
  baseline: { id: string; name: string; condition: string },
  treatment: { id: string; name: string; condition: string },
): { baseline: string; treatment: string } {
  if (baseline.name !== treatment.name) return { baseline: baseline.name, treatment: treatment.name };
  const key = baseline.condition !== treatment.condition ? 'condition' : 'id';
  return {
    baseline: `${baseline.name} (${baseline[key]})`,
    treatment: `${treatment.name} (${treatment[key]})`,
  };
}

/** Decimals that show a difference and its interval. */
export function decimalsOf({
  difference,
  confidenceInterval,
  unit,
}: {
  readonly difference: number | null;
  readonly confidenceInterval: Interval | null;
  readonly unit: Unit;
}): number {
  return decimalsFor([difference ?? 0, ...(confidenceInterval ?? [])], unit);
}

export function capital(text: string): string {
  return text.charAt(0).toUpperCase() + text.slice(1);
}
