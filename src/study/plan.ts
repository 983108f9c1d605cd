/** The plan of a study: what is compared, how, and until when, as it is written down before the first event. */

import {
  describedOutcome,
  METRIC_NAMES,
  type Question,
  resolveQuestions,
} from '../analysis/compare/outcomes.js';
import type { MetricName, Outcome } from '../analysis/types.js';
import { checkOptions } from '../check-options.js';
import { ConfigError } from '../errors.js';
import type { Filter, Json } from '../schema/event.js';
import { canonicalJson } from './canonical.js';

export interface StudyArm {
  /** Of units, as a share of all weights; 1 by default. */
  readonly weight?: number;
  /** What the arm is: of each of its experiments. JSON. */
  readonly metadata?: Readonly<Record<string, Json>>;
}

export interface PlannedAnalysis {
  /**
   * One is primary, and decides: the one that says so, or else the first that is no guardrail. All guardrails, which
   * have margins, must hold beside it. What is secondary decides nothing.
   */
  readonly outcomes: readonly (MetricName | Outcome)[];
  /** Accepted chance of a false alarm; 0.05 by default. */
  readonly alpha?: number;
  /** Whether the study may be looked at, and stopped, at any time. False by default: it is looked at once, at its end. */
  readonly sequential?: boolean | { readonly tuning?: number };
  /** Units wanted in every arm: when as many are there, a study that is not sequential may be looked at. */
  readonly unitsPerArm?: number;
  /** When it ends, as an ISO 8601 date or time. */
  readonly until?: string;
  /** Which events are compared; see CompareOptions. */
  readonly event?: string;
  /** Which of them; JSON, so without a predicate. */
  readonly filter?: Filter;
  /** Parts of them, by name, each compared on its own as well; they decide nothing. */
  readonly segments?: Readonly<Record<string, Filter>>;
}

export interface StudyDesign {
  /** One study in a folder has it. Who is in which arm depends on it. */
  readonly name: string;
  readonly hypothesis?: string;
  /** In order: the first is the baseline. */
  readonly arms: Readonly<Record<string, StudyArm>>;
  /** What is assigned: 'userId' by default; 'sessionId', 'sampleId' or a path into the metadata, as 'tenant.id'. */
  readonly unit?: string;
  /** Without one the study decides nothing. */
  readonly plan?: PlannedAnalysis;
}

/** As it is written down and hashed. */
export interface StudyPlan {
  readonly version: 1;
  readonly study: string;
  readonly hypothesis: string | null;
  readonly arms: readonly { readonly name: string; readonly weight: number; readonly metadata: Json }[];
  readonly unit: string;
  readonly analysis: {
    /** With roles: exactly one is primary. */
    readonly outcomes: readonly Outcome[];
    readonly alpha: number;
    readonly sequential: { readonly tuning: number } | null;
    readonly unitsPerArm: number | null;
    /** ISO 8601, UTC. */
    readonly until: string | null;
    readonly event: string | null;
    readonly filter: Json;
    readonly segments: Json;
  } | null;
}

export const PLAN_VERSION = 1;
const ALPHA_DEFAULT = 0.05;
const TUNING_DEFAULT = 5000;
const NAME_LENGTH_MAX = 256;
const ARMS_MAX = 64;
const WEIGHT_MAX = 1e9;
const DESIGN_KEYS: readonly string[] = ['name', 'hypothesis', 'arms', 'unit', 'plan'];
const PLAN_KEYS: readonly string[] = [
  'outcomes',
  'alpha',
  'sequential',
  'unitsPerArm',
  'until',
  'event',
  'filter',
  'segments',
];
export const isDesignKey = (key: string): boolean => DESIGN_KEYS.includes(key);

/** @throws ConfigError naming the part */
export function resolvePlan(design: StudyDesign): StudyPlan {
  const { name, hypothesis, unit = 'userId' } = design;
  requireName('name', name);
  if (hypothesis !== undefined && typeof hypothesis !== 'string') {
    throw new ConfigError('hypothesis', 'a string', hypothesis);
  }
  if (typeof unit !== 'string' || unit === '' || unit === 'event') {
    throw new ConfigError('unit', "'userId', 'sessionId', 'sampleId' or a path into the metadata", unit);
  }
  return {
    version: PLAN_VERSION,
    study: name,
    hypothesis: hypothesis ?? null,
    arms: resolveArms(design.arms),
    unit,
    analysis: design.plan === undefined ? null : resolveAnalysis(design.plan),
  };
}

function resolveArms(arms: unknown): StudyPlan['arms'] {
  if (typeof arms !== 'object' || arms === null || Array.isArray(arms)) {
    throw new ConfigError('arms', 'an object of arms by their names', arms);
  }
  const entries = Object.entries(arms as StudyDesign['arms']);
  if (entries.length < 2 || entries.length > ARMS_MAX) {
    throw new ConfigError('arms', `2 to ${ARMS_MAX} arms, the baseline first`, entries.length);
  }
  return entries.map(([name, arm]) => {
    requireName('arms', name);
    // JavaScript puts these first, whatever the order in which they are written: the baseline would be another.
    if (/^(?:0|[1-9]\d*)$/.test(name)) throw new ConfigError('arms', 'names that are no whole numbers', name);
    if (typeof arm !== 'object' || arm === null) throw new ConfigError(`arms.${name}`, 'an object', arm);
    checkOptions(arm, ['weight', 'metadata'], `arms.${name}`);
    const { weight = 1, metadata = {} } = arm;
    if (!(typeof weight === 'number' && weight > 0 && weight <= WEIGHT_MAX)) {
      throw new ConfigError(`arms.${name}.weight`, `a number above 0, at most ${WEIGHT_MAX}`, weight);
    }
    return { name, weight, metadata: jsonOf(metadata, `arms.${name}.metadata`) };
  });
}

function resolveAnalysis(plan: PlannedAnalysis): NonNullable<StudyPlan['analysis']> {
  if (typeof plan !== 'object' || plan === null) throw new ConfigError('plan', 'an object', plan);
  checkOptions(plan, PLAN_KEYS, 'plan');
  const { alpha = ALPHA_DEFAULT, sequential = false, unitsPerArm, until, event, filter, segments } = plan;
  if (!(typeof alpha === 'number' && alpha > 0 && alpha < 1)) {
    throw new ConfigError('plan.alpha', 'a number above 0 and below 1', alpha);
  }
  if (unitsPerArm !== undefined && !(Number.isSafeInteger(unitsPerArm) && unitsPerArm > 0)) {
    throw new ConfigError('plan.unitsPerArm', 'a whole number of units', unitsPerArm);
  }
  if (event !== undefined && (typeof event !== 'string' || event === '')) {
    throw new ConfigError('plan.event', "the name of an event, or 'all'", event);
  }
  return {
    outcomes: resolveOutcomes(plan.outcomes),
    alpha,
    sequential: resolveSequential(sequential),
    unitsPerArm: unitsPerArm ?? null,
    until: until === undefined ? null : timeText(until),
    event: event ?? null,
    filter: filter === undefined ? null : jsonOf(filter, 'plan.filter'),
    segments: segments === undefined ? null : jsonOf(segments, 'plan.segments'),
  };
}

function resolveOutcomes(outcomes: unknown): Outcome[] {
  if (!Array.isArray(outcomes) || outcomes.length === 0) {
    throw new ConfigError('plan.outcomes', 'an array of outcomes', outcomes);
  }
  const given = outcomes as readonly (MetricName | Outcome)[];
  const questions = questionsOf(given);
  const primaries = given.filter((outcome) => typeof outcome === 'object' && outcome.role === 'primary');
  if (primaries.length > 1) throw new ConfigError('plan.outcomes', 'one that is primary', primaries.length);
  const first = questions.findIndex(({ role }) => role === 'primary');
  const primary = first < 0 ? questions.findIndex(({ role }) => role !== 'guardrail') : first;
  if (primary < 0) throw new ConfigError('plan.outcomes', 'one that is no guardrail', outcomes.length);
  if (questions[primary]!.better === 'neutral') {
    throw new ConfigError(
      `plan.outcomes[${primary}].direction`,
      "'higher' or 'lower' for the primary outcome",
      questions[primary]!.better,
    );
  }
  return given.map((outcome, i) => {
    const role = i === primary ? ('primary' as const) : questions[i]!.role;
    const described = { ...describedOutcome(outcome), role };
    return jsonOf(described, `plan.outcomes[${i}]`) as unknown as Outcome;
  });
}

/** One by one, so that they stay in their order. @throws ConfigError */
export function questionsOf(outcomes: readonly (MetricName | Outcome)[]): Question[] {
  resolveQuestions(outcomes);
  return outcomes.map((outcome) => resolveQuestions([outcome])[0]!);
}

function resolveSequential(sequential: unknown): { tuning: number } | null {
  if (sequential === false) return null;
  if (sequential === true) return { tuning: TUNING_DEFAULT };
  if (typeof sequential !== 'object' || sequential === null) {
    throw new ConfigError('plan.sequential', 'true, false or { tuning }', sequential);
  }
  checkOptions(sequential, ['tuning'], 'plan.sequential');
  const { tuning = TUNING_DEFAULT } = sequential as { tuning?: number };
  if (!(Number.isFinite(tuning) && tuning > 0)) {
    throw new ConfigError('plan.sequential.tuning', 'a finite number above 0', tuning);
  }
  return { tuning };
}

function timeText(until: unknown): string {
  const ms = typeof until === 'string' ? Date.parse(until) : Number.NaN;
  if (!Number.isFinite(ms)) {
    throw new ConfigError('plan.until', 'a date or time, as 2026-03-31 or 2026-03-31T18:00:00Z', until);
  }
  return new Date(ms).toISOString();
}

/** A copy as JSON has it. @throws ConfigError for what JSON does not keep */
export function jsonOf(value: unknown, path: string): Json {
  let copy: Json | undefined;
  try {
    copy = JSON.parse(JSON.stringify(value)) as Json;
  } catch {
    throw new ConfigError(path, 'JSON', value);
  }
  if (!isKept(value, copy))
    throw new ConfigError(path, 'JSON: no functions, dates, NaN or infinities', value);
  return copy;
}

/** What is undefined may be left out of an object. */
function isKept(value: unknown, copy: Json | undefined): boolean {
  if (typeof value !== 'object' || value === null) return value === copy;
  if (typeof copy !== 'object' || copy === null || Array.isArray(copy) !== Array.isArray(value)) return false;
  const entries = Object.entries(value).filter(([, inner]) => inner !== undefined);
  const kept = copy as { [key: string]: Json };
  return (
    entries.length === Object.keys(copy).length &&
    entries.every(([key, inner]) => Object.hasOwn(kept, key) && isKept(inner, kept[key]))
  );
}

/** Whether two parts of an analysis are the same. */
export function isSame(a: Json, b: Json): boolean {
  return canonicalJson(a) === canonicalJson(b);
}

/** What is compared where nothing was planned. */
export const UNPLANNED_OUTCOMES: readonly MetricName[] = METRIC_NAMES;

function requireName(path: string, name: unknown): asserts name is string {
  if (typeof name !== 'string' || name === '' || name.length > NAME_LENGTH_MAX || !isText(name)) {
    throw new ConfigError(path, `a name of 1 to ${NAME_LENGTH_MAX} characters`, name);
  }
}

/** Whether it is the same once it has been written down: half of a pair of surrogates is not. */
function isText(name: string): boolean {
  return Buffer.from(name, 'utf8').toString('utf8') === name;
}
