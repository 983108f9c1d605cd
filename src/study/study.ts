/** Study: units assigned to arms, the arms' experiments in this process, and the verdict over those of all processes. */

import { randomBytes } from 'node:crypto';
import type { CompareOptions, Comparison, MetricName, Outcome } from '../analysis/types.js';
import { checkOptions } from '../check-options.js';
import type { Clock } from '../clock.js';
import { ConfigError, StateError } from '../errors.js';
import { assignedArm } from '../schema/assignment.js';
import type { Context, Fields, Filter, Json } from '../schema/event.js';
import type { Contribution, Look, StudyBook } from './book.js';
import { isSame, jsonOf, questionsOf, type StudyPlan, UNPLANNED_OUTCOMES } from './plan.js';
import { type Deviation, type StudyState, type StudyVerdict, studyVerdict, testFigures } from './verdict.js';

/** An arm's experiment, as far as a study needs it. */
export interface StudyExperiment {
  readonly id: string;
  run<T>(fn: () => T, context?: Fields): T;
  stop(): Promise<unknown>;
}

/** An arm as its experiments are to be read: together, under the arm's name. */
export interface StudyArmRows {
  readonly arm: string;
  /** By their ids, of this process and of others; what was only announced may not be there. */
  readonly experiments: readonly Pick<Contribution, 'experiment' | 'started'>[];
}

export interface StudyComparison {
  /** Null where there is no experiment at all. */
  readonly comparison: Comparison | null;
  /** Whether somebody captures any of the experiments. */
  readonly running: boolean;
  /** Experiments that cannot be read, in sentences. */
  readonly unreadable: readonly string[];
  /** Events that were lost, in sentences. */
  readonly losses: readonly string[];
}

/** What a study needs of the Crucible that it belongs to. */
export interface StudyHost<E extends StudyExperiment> {
  readonly clock: Clock;
  start(about: {
    id: string;
    name: string;
    condition: string;
    hypothesis?: string;
    metadata: Record<string, Json>;
  }): E;
  /** Wherever the experiments are: the study knows them by their ids alone. */
  compare(arms: readonly StudyArmRows[], options: CompareOptions): Promise<StudyComparison>;
}

/** What is looked at, where that is other than planned: then it is said to be. */
export interface StudyVerdictOptions {
  /** Besides those of the plan. */
  readonly outcomes?: readonly (MetricName | Outcome)[];
  readonly filter?: Filter;
  readonly event?: string;
  readonly alpha?: number;
}

const OPTIONS: readonly string[] = ['outcomes', 'filter', 'event', 'alpha'];

export class Study<E extends StudyExperiment = StudyExperiment> {
  readonly name: string;
  readonly hypothesis: string | null;
  /** Names, the baseline's first. */
  readonly arms: readonly string[];
  readonly unit: string;
  readonly plan: StudyPlan;
  /** SHA-256 of the plan as canonical JSON. */
  readonly planHash: string;
  /** Where it is written down; null in memory. */
  readonly folder: string | null;
  readonly #book: StudyBook;
  readonly #host: StudyHost<E>;
  readonly #weighted: StudyPlan['arms'];
  readonly #experiments = new Map<string, E>();
  #stopped = false;

  /** @internal Use `Crucible.study`. */
  constructor(book: StudyBook, host: StudyHost<E>) {
    const { plan } = book;
    this.#book = book;
    this.#host = host;
    this.#weighted = plan.arms;
    this.name = plan.study;
    this.hypothesis = plan.hypothesis;
    this.arms = plan.arms.map(({ name }) => name);
    this.unit = plan.unit;
    this.plan = plan;
    this.planHash = book.hash;
    this.folder = book.folder;
  }

  /** @internal */
  get book(): StudyBook {
    return this.#book;
  }

  get stopped(): boolean {
    return this.#stopped;
  }

  /** Looks at the verdict so far, by whichever process. */
  looks(): readonly Look[] {
    return this.#book.looks();
  }

  /** Experiments that have captured events of it, by whichever process. */
  contributions(): readonly Contribution[] {
    return this.#book.contributions();
  }

  /**
   * The unit's arm: the same in every process, on every machine, after every restart. 1 and '1' are one unit.
   * @throws ConfigError for what is no id
   */
  assign(unitId: string | number): string {
    return assignedArm(this.name, unitText(unitId), this.#weighted);
  }

  /**
   * Runs `fn` in the experiment of the unit's arm, as `Experiment.run` does, with the unit in the context. Once the
   * study was stopped, what `fn` emits is counted as late where its arm has an experiment here.
   * @throws ConfigError for what is no id; what starting an experiment throws
   */
  run<T>(unitId: string | number, fn: () => T, context?: Fields): T {
    const id = unitText(unitId);
    const arm = assignedArm(this.name, id, this.#weighted);
    const experiment = this.#stopped ? this.#experiments.get(arm) : this.experiment(arm);
    if (experiment === undefined) return fn();
    return experiment.run(fn, withUnit(context, this.unit, id));
  }

  /**
   * This process's own experiment of the arm, started when it is first asked for.
   * @throws ConfigError for what is no arm; StateError ERR_NOT_RUNNING where the study was stopped before; what
   *   starting an experiment throws
   */
  experiment(arm: string): E {
    const known = this.#experiments.get(arm);
    if (known !== undefined) return known;
    const planned = this.#weighted.find(({ name }) => name === arm);
    if (planned === undefined) throw new ConfigError('arm', `one of ${this.arms.join(', ')}`, arm);
    if (this.#stopped) {
      throw new StateError('ERR_NOT_RUNNING', `the study ${this.name} was stopped`, { study: this.name });
    }
    const id = randomBytes(8).toString('hex');
    this.#book.noteContribution(arm, id, false);
    const experiment = this.#host.start({
      id,
      name: `${this.name} / ${arm}`,
      condition: arm,
      ...(this.hypothesis !== null && { hypothesis: this.hypothesis }),
      metadata: {
        ...(planned.metadata as Record<string, Json>),
        study: { name: this.name, arm, plan: this.planHash },
      },
    });
    this.#experiments.set(arm, experiment);
    this.#book.noteContribution(arm, id, true);
    return experiment;
  }

  /**
   * What the study shows, over the experiments of all processes. That somebody has looked is written down.
   * @param options - what is other than planned
   * @throws ConfigError naming the option; StorageError
   */
  async verdict(options: StudyVerdictOptions = {}): Promise<StudyVerdict> {
    const { plan } = this;
    const asked = this.#ask(options);
    const contributions = this.#book.contributions();
    const looks = this.#book.looks();
    const rows = plan.arms.map(({ name }) => {
      return { arm: name, experiments: contributions.filter(({ arm }) => arm === name) };
    });
    const isEmpty = contributions.length === 0;
    const compared = isEmpty ? null : await this.#host.compare(rows, asked.options);
    const state: StudyState = {
      plan,
      hash: this.planHash,
      plannedAt: this.#book.plannedAt,
      nowUs: this.#host.clock.nowUs(),
      running: compared?.running ?? !this.#stopped,
      looks,
      processes: processesOf(plan, contributions),
      unreadable: compared?.unreadable ?? [],
      losses: compared?.losses ?? [],
      deviations: asked.deviations,
      questions: asked.questions,
      alpha: asked.alpha,
      comparison: compared?.comparison ?? null,
    };
    const verdict = studyVerdict(state);
    this.#noteLook(verdict, verdict.ended ? testFigures(state) : null);
    return verdict;
  }

  /**
   * Stops this process's experiments. The study goes on elsewhere, and here once `Crucible.study` is asked for it again.
   * @throws StorageError as `Experiment.stop`
   */
  async stop(): Promise<void> {
    this.#stopped = true;
    const stopping = [...this.#experiments.values()].map((experiment) => experiment.stop());
    for (const outcome of await Promise.allSettled(stopping)) {
      if (outcome.status === 'rejected') throw outcome.reason;
    }
  }

  #ask(options: StudyVerdictOptions) {
    checkOptions(options, OPTIONS);
    const { analysis } = this.plan;
    const planned: readonly (MetricName | Outcome)[] = analysis?.outcomes ?? [];
    const added = options.outcomes ?? [];
    const unplanned = analysis === null && added.length === 0 ? UNPLANNED_OUTCOMES : added;
    const metrics = [...planned, ...unplanned];
    const questions = questionsOf(metrics).map((question, i) => ({
      ...question,
      planned: i < planned.length,
    }));
    const alpha = options.alpha ?? analysis?.alpha ?? 0.05;
    const event = options.event ?? analysis?.event ?? undefined;
    const filter = options.filter ?? (analysis?.filter as Filter | null | undefined) ?? undefined;
    const sequential = analysis?.sequential ?? null;
    const segments = analysis?.segments as CompareOptions['segments'] | null | undefined;
    const compare: CompareOptions = {
      metrics,
      unit: this.plan.unit,
      alpha,
      paired: false,
      expectedRatio: this.plan.arms.map(({ weight }) => weight),
      assigned: { study: this.name, arms: this.#weighted },
      ...(event !== undefined && { event }),
      ...(filter !== undefined && { filter }),
      ...(segments && { segments }),
      ...(sequential !== null && { sequential: { tuning: sequential.tuning } }),
    };
    return { options: compare, questions, alpha, deviations: deviationsOf(this.plan, options) };
  }

  #noteLook(
    { at, arms, decision, deviations, outcomes, treatment }: StudyVerdict,
    figures: string | null,
  ): void {
    const counts = Object.values(arms);
    const [name, primary] = Object.entries(outcomes).find(([, { role }]) => role === 'primary') ?? [];
    this.#book.noteLook({
      at,
      events: counts.reduce((sum, { events }) => sum + events, 0),
      units: counts.reduce((sum, { units }) => sum + units, 0),
      decision,
      figures,
      primary:
        name === undefined || primary === undefined || treatment === null
          ? null
          : {
              name,
              treatment,
              unit: primary.unit,
              difference: primary.difference,
              confidenceInterval: primary.confidenceInterval,
              pValue: primary.adjustedPValue ?? primary.pValue,
            },
      deviations: deviations.map(({ code }) => code),
    });
  }
}

/** What of the options is not as planned. */
function deviationsOf(
  { analysis }: StudyPlan,
  { outcomes, filter, event, alpha }: StudyVerdictOptions,
): Deviation[] {
  if (analysis === null) return [];
  const found: Deviation[] = [];
  if (outcomes !== undefined && outcomes.length > 0) {
    const names = questionsOf(outcomes).map(({ name }) => name);
    found.push({ code: 'addedOutcomes', message: `outcomes that were not planned: ${names.join(', ')}` });
  }
  if (filter !== undefined && !isSameFilter(filter, analysis.filter)) {
    found.push({ code: 'changedFilter', message: 'the filter is not the planned one' });
  }
  if (event !== undefined && event !== analysis.event) {
    found.push({ code: 'changedEvent', message: `events of ${event} are compared, which was not planned` });
  }
  if (alpha !== undefined && alpha !== analysis.alpha) {
    found.push({ code: 'changedAlpha', message: `alpha is ${alpha}, and ${analysis.alpha} was planned` });
  }
  return found;
}

/** A predicate cannot have been planned. */
function isSameFilter(filter: Filter, planned: Json): boolean {
  if (typeof filter.predicate === 'function') return false;
  return isSame(jsonOf(filter, 'filter'), planned ?? {});
}

function processesOf(plan: StudyPlan, contributions: readonly Contribution[]): Record<string, number> {
  return Object.fromEntries(
    plan.arms.map(({ name }) => {
      const own = contributions.filter(({ arm, started }) => arm === name && started);
      return [name, new Set(own.map(({ process }) => process)).size];
    }),
  );
}

function unitText(unitId: unknown): string {
  if (typeof unitId === 'string' && unitId !== '') return unitId;
  if (typeof unitId === 'number' && Number.isFinite(unitId)) return String(unitId);
  throw new ConfigError('unitId', 'the id of a unit: a text, or a number', unitId);
}

/** The context with the unit at its path, whatever else it says there. */
function withUnit(context: Fields | undefined, unit: string, id: string): Context {
  const keys = unit.split('.');
  const set = (into: unknown, at: number): unknown => {
    if (at === keys.length) return id;
    const parent = typeof into === 'object' && into !== null && !Array.isArray(into) ? into : {};
    const key = keys[at]!;
    const inner = Object.hasOwn(parent, key) ? (parent as Record<string, unknown>)[key] : undefined;
    return Object.fromEntries([...Object.entries(parent), [key, set(inner, at + 1)]]);
  };
  return set(context, 0) as Context;
}
