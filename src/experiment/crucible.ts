/** Crucible: the experiments of a process, and what is done with several of them at once. */

import { availableParallelism } from 'node:os';
import { basename, join, parse } from 'node:path';
import { resolveCompareOptions } from '../analysis/compare/options.js';
import { checkMeasured, measuresOf } from '../analysis/compare/outcomes.js';
import type { ExperimentTimes } from '../analysis/metrics.js';
import type { ArmLosses, CompareOptions, Comparison } from '../analysis/types.js';
import { INSPECT, type Inspect, inspected, type StylizedOptions } from '../capture/inspection.js';
import { checkOptions, type OptionNames } from '../check-options.js';
import { type Clock, systemClock } from '../clock.js';
import { ConfigError, NotFoundError, StateError } from '../errors.js';
import type { ExportResult } from '../export/index.js';
import type { UnitedAbout } from '../readers/united.js';
import { checkPrices, type PriceTable, REFERENCE_PRICES } from '../schema/prices.js';
import type { ServeHandle, ServeOptions } from '../serve/start.js';
import { removeAbandoned } from '../staging.js';
import { experimentFolder } from '../storage/disk/paths.js';
import { experimentFolders } from '../storage/folders.js';
import {
  FolderBook,
  MemoryBook,
  requireSamePlan,
  type StudyBook,
  studyFolderName,
  studyFolders,
} from '../study/book.js';
import { isDesignKey, resolvePlan, type StudyDesign } from '../study/plan.js';
import { Study, type StudyArmRows, type StudyComparison, type StudyHost } from '../study/study.js';
import { absolutePath } from '../system-errors.js';
import { VERSION } from '../version.js';
import { AnalysisPool } from '../workers/pool.js';
import { StreamPool } from '../workers/stream-pool.js';
import { Experiment, type ExperimentOwner, type ExportFormat } from './experiment.js';
import { ExportStreams } from './export-stream.js';
import { checkExportOptions, type ExportOptions, writeExport } from './exporting.js';
import {
  checkImportFilesOptions,
  filesOf,
  type ImportedFiles,
  type ImportFilesOptions,
  importInto,
} from './importing.js';
import { memoryLimitBytes } from './memory-limit.js';
import {
  checkModes,
  checkPlace,
  type ExperimentOptions,
  type PlaceOptions,
  resolveOptions,
} from './options.js';
import { performWhere, sourceOf } from './reads.js';
import {
  checkRecoverOptions,
  isToReopen,
  type RecoveredExperiment,
  type RecoverOptions,
  type RecoveryReport,
  type ReopenOptions,
  reopen,
  unopened,
} from './reopen.js';
import { servedExperiment, servedStudy } from './serving.js';

/** What a Crucible and, unless they say otherwise, its experiments are given. */
export interface CrucibleOptions {
  /**
   * Threads for analysis, at most, and as many for export streams; 0: the calling thread does it. Default: one less than
   * the machine has, and 0 where the process may use less than 256 MiB, since a thread takes 30 to 50.
   */
  workers?: number | undefined;
  /** Folder in which experiments live on, each in a folder of its own; absent, they live in memory only. */
  dir?: string | undefined;
  /** Who may use the folders and files that are created there; see ExperimentOptions. */
  folderMode?: number | undefined;
  fileMode?: number | undefined;
  /** Default: the system's clocks. */
  clock?: Clock | undefined;
  /** Default: the reference implementation's prices. */
  prices?: PriceTable | undefined;
}

const OPTIONS: OptionNames<CrucibleOptions> = {
  workers: true,
  dir: true,
  folderMode: true,
  fileMode: true,
  clock: true,
  prices: true,
};

/** With less memory, threads for analysis are started only when they are asked for. */
const WORKERS_MEMORY_BYTES = 256 * 2 ** 20;
/** Where experiments and studies begin: their folder, their prices and the threads that analyse them. */
export class Crucible implements AsyncDisposable {
  readonly #clock: Clock;
  readonly #prices: PriceTable;
  readonly #place: PlaceOptions;
  readonly #pool: AnalysisPool | null;
  readonly #streams: ExportStreams;
  readonly #experiments = new Map<string, Experiment>();
  readonly #studies = new Map<string, Study<Experiment>>();
  /** Those that are only read here, and could go on. */
  readonly #resumable = new WeakSet<Experiment>();
  readonly #servings = new Set<ServeHandle>();
  #closed = false;

  /** @throws ConfigError */
  constructor(options: CrucibleOptions = {}) {
    checkOptions(options, OPTIONS);
    const { workers = defaultWorkers(), clock = systemClock, prices = REFERENCE_PRICES } = options;
    if (!(Number.isSafeInteger(workers) && workers >= 0)) {
      throw new ConfigError('workers', 'a whole number of threads', workers);
    }
    if (typeof clock?.nowUs !== 'function' || typeof clock.monotonicNs !== 'function') {
      throw new ConfigError('clock', 'an object with nowUs() and monotonicNs()', clock);
    }
    this.#clock = clock;
    this.#prices = checkPrices(prices);
    this.#place = checkPlace(options);
    this.#pool = workers === 0 ? null : new AnalysisPool({ threads: workers });
    this.#streams = new ExportStreams(workers === 0 ? null : new StreamPool({ threads: workers }));
  }

  /** Starts capturing. @throws ConfigError naming the option, StateError ERR_CLOSED, MemoryError */
  startExperiment(options: ExperimentOptions): Experiment {
    if (this.#closed) throw new StateError('ERR_CLOSED', 'this Crucible is closed');
    const resolved = resolveOptions(options, this.#place);
    if (this.#experiments.has(resolved.id)) throw new ConfigError('id', 'an id not in use', resolved.id);
    return this.#add(new Experiment(resolved, this.#owner));
  }

  /**
   * Imports files into a new experiment, or with `splitBy` into one for each value of a column, so that the arms of a
   * study that are in one file can be compared. Of a folder all files with a known extension are read.
   * @param files - paths, or streams of bytes; one or several
   * @throws as `Experiment.importFile`; what came before has been captured
   */
  async importFiles(
    files: string | AsyncIterable<Uint8Array> | readonly (string | AsyncIterable<Uint8Array>)[],
    options: ImportFilesOptions = {},
  ): Promise<ImportedFiles> {
    checkImportFilesOptions(options);
    const { name, id, condition, hypothesis, tags, metadata, ...importing } = options;
    const listed = Array.isArray(files) ? files : [files];
    const found = await Promise.all(
      listed.map((file) => (typeof file === 'string' ? filesOf(file) : [file])),
    );
    const sources = found.flat();
    const [first] = sources;
    if (first === undefined) throw new ConfigError('files', 'at least one file', files);
    if (importing.splitBy !== undefined && condition !== undefined) {
      throw new ConfigError('condition', 'none where splitBy names the column of conditions', condition);
    }
    if (importing.splitBy !== undefined && id !== undefined) {
      throw new ConfigError('id', 'none where splitBy makes several experiments', id);
    }
    const base = name ?? (typeof first === 'string' ? parse(first).name : 'import');
    const about = {
      ...(id !== undefined && { id }),
      ...(hypothesis !== undefined && { hypothesis }),
      ...(tags && { tags }),
      ...(metadata && { metadata }),
    };
    return importInto(sources, importing, (value) =>
      this.startExperiment({
        name: value === undefined ? base : `${base} ${value}`,
        ...(value !== undefined ? { condition: value } : condition !== undefined && { condition }),
        ...about,
      }),
    );
  }

  /**
   * Reopens every experiment found under `dir`, after a crash or a stop: those that were running go on, from the next
   * event, and all can be read. What is whole is kept; the report says what is not, and where. Doing it again changes
   * nothing. `crucible recover` does the same, and leaves it to the program to go on.
   * @param dir - default: this Crucible's, also where options alone are given; a single experiment's folder will do, too
   * @throws ConfigError when there is no folder to look in, NotFoundError for an id of `reopen` that is not there,
   *   StateError ERR_CLOSED, StorageError when the folder cannot be read
   */
  recover(options: RecoverOptions): Promise<RecoveryReport>;
  recover(dir?: string, options?: RecoverOptions): Promise<RecoveryReport>;
  async recover(where?: string | RecoverOptions, more: RecoverOptions = {}): Promise<RecoveryReport> {
    const [dir, options] =
      typeof where === 'object' ? [this.#place.dir, where] : [where ?? this.#place.dir, more];
    if (this.#closed) throw new StateError('ERR_CLOSED', 'this Crucible is closed');
    const how = checkRecoverOptions(options);
    const top = absolutePath('dir', dir);
    const { onProgress } = options;
    const found: RecoveredExperiment[] = [];
    if (!how.readOnly) await removeAbandoned(top);
    const folders = experimentFolders(top);
    const { reopen } = how;
    const missing =
      Array.isArray(reopen) && reopen.find((id) => !folders.some((folder) => basename(folder) === id));
    if (typeof missing === 'string') throw new NotFoundError('experiment', missing);
    const total = (key: 'rows' | 'bytes') => found.reduce((sum, experiment) => sum + experiment[key], 0);
    let bytesRead = 0;
    const progress = () => {
      try {
        onProgress?.({ done: found.length, total: folders.length, rows: total('rows'), bytes: bytesRead });
      } catch (error) {
        throw new RecoveryEnded(error);
      }
    };
    const onBytes = (bytes: number) => {
      bytesRead += bytes;
      progress();
    };
    try {
      for (const folder of folders) {
        const open = this.experiments().find((experiment) => experiment.storage?.folder === folder);
        const isWanted = open === undefined || isToReopen(reopen, folder, open);
        const goesOn = open !== undefined && this.#resumable.has(open) && how.resume && !how.readOnly;
        if (!isWanted && !goesOn) continue;
        found.push(await this.#reopen(folder, { ...how, onBytes }, open));
        progress();
      }
    } catch (error) {
      throw error instanceof RecoveryEnded ? error.reason : error;
    }
    return { dir: top, experiments: found, rows: total('rows'), bytes: total('bytes') };
  }

  /** @param open - the experiment, if it is open here already */
  async #reopen(folder: string, how: ReopenOptions, open?: Experiment): Promise<RecoveredExperiment> {
    try {
      await open?.cleanup({ keepData: true });
      const { options, reopened, report } = await reopen(folder, this.#owner, how);
      if (this.#closed || this.#experiments.has(options.id)) {
        reopened.lock?.release();
        throw new ConfigError('id', 'an id not in use', options.id);
      }
      const experiment = this.#add(new Experiment(options, this.#owner, reopened));
      if (report.resumable) this.#resumable.add(experiment);
      return report;
    } catch (error) {
      if (error instanceof RecoveryEnded) throw error;
      return unopened(folder, error);
    }
  }

  get #owner(): ExperimentOwner {
    return {
      clock: this.#clock,
      prices: this.#prices,
      pool: this.#pool,
      streams: this.#streams,
      modes: this.#place,
      forget: ({ id }) => this.#experiments.delete(id),
    };
  }

  #add(experiment: Experiment): Experiment {
    this.#experiments.set(experiment.id, experiment);
    return experiment;
  }

  /** @throws NotFoundError */
  experiment(id: string): Experiment {
    const experiment = this.#experiments.get(id);
    if (experiment === undefined) throw new NotFoundError('experiment', id);
    return experiment;
  }

  /** In the order they were started. */
  experiments(): Experiment[] {
    return [...this.#experiments.values()];
  }

  /**
   * Compares experiments with the first of them, over their retained events: estimates, intervals, tests and a
   * verdict per treatment. What cannot be said is null, with a reason.
   * @throws AnalysisError ERR_TOO_FEW_EXPERIMENTS, NotFoundError, ConfigError naming the option
   */
  async compare(
    experiments: readonly (Experiment | string)[],
    options: CompareOptions = {},
  ): Promise<Comparison> {
    return this.#compareArms(
      this.#resolve(experiments).map((experiment) => ({ experiments: [experiment] })),
      options,
    );
  }

  async #compareArms(arms: readonly MergedArm[], options: CompareOptions): Promise<Comparison> {
    const { paired, seed, questions, unit, strata } = resolveCompareOptions(options, arms.length);
    const { filter, ...how } = options;
    const parts = arms.flatMap(({ experiments }) => experiments.map((each) => each.selected(filter)));
    checkMeasured(
      questions,
      parts.flatMap((part) => sourceOf(part).columns),
    );
    const gather = {
      withSampleIds: paired !== false,
      seed,
      unit,
      ...(strata !== null && { strata }),
      ...measuresOf(questions),
    };
    const compared = arms.map(({ experiments, united }, arm) => ({
      times: added(experiments.map(({ times }) => times)),
      gather: { ...gather, arm },
      lost: lossesOf(experiments),
      ...(united && { united: { ...united, experiments: experiments.length } }),
    }));
    const task = { kind: 'compare', arms: compared, options: how } as const;
    return performWhere(this.#pool, parts, task);
  }

  /**
   * A study: its plan is written down before anything is captured, and units are assigned to its arms, the same in every
   * process. Of a name that is known already it is the same study, which goes on; other processes take part by asking
   * for it likewise. By its name alone it is opened as it was planned.
   * @throws StudyError ERR_PLAN_CHANGED naming every difference from the plan that is written down, ERR_PLAN_CORRUPT;
   *   NotFoundError for an unknown name alone; ConfigError naming the option; StorageError; StateError ERR_CLOSED
   */
  study(options: StudyOptions | string): Study<Experiment> {
    if (this.#closed) throw new StateError('ERR_CLOSED', 'this Crucible is closed');
    if (typeof options === 'string') return this.#openStudy(options);
    if (typeof options !== 'object' || options === null)
      throw new ConfigError('options', 'an object', options);
    const given = Object.entries(options);
    const design = Object.fromEntries(given.filter(([key]) => isDesignKey(key))) as unknown as StudyDesign;
    const own = Object.fromEntries(given.filter(([key]) => !isDesignKey(key))) as StudyExperimentOptions;
    const plan = resolvePlan(design);
    for (const key of ['id', 'condition'] as const) {
      const value = (own as Record<string, unknown>)[key];
      if (value !== undefined)
        throw new ConfigError(key, 'none: the study gives its experiments theirs', value);
    }
    // What is wrong with them is told now, and not to the first request.
    const { durable } = resolveOptions({ ...own, name: plan.study }, this.#place);
    const dir = durable?.dir;
    const known = this.#studies.get(studyKey(dir, plan.study));
    if (known !== undefined) requireSamePlan(known.plan, plan);
    if (known?.stopped === false) return known;
    const modes = { folderMode: durable?.folderMode, fileMode: durable?.fileMode };
    const nowUs = this.#clock.nowUs();
    const book =
      known?.book ??
      (dir === undefined ? new MemoryBook(plan, nowUs) : FolderBook.begin(dir, plan, nowUs, modes));
    return this.#addStudy(book, dir, own);
  }

  #openStudy(name: string): Study<Experiment> {
    const { dir } = this.#place;
    const known = this.#studies.get(studyKey(dir, name));
    if (known !== undefined) return known;
    if (dir === undefined) throw new NotFoundError('study', name);
    return this.#addStudy(FolderBook.open(join(dir, studyFolderName(name)), this.#place), dir, {});
  }

  #addStudy(book: StudyBook, dir: string | undefined, own: StudyExperimentOptions): Study<Experiment> {
    const host: StudyHost<Experiment> = {
      clock: this.#clock,
      start: ({ metadata, ...about }) =>
        this.startExperiment({
          onlyRuns: true,
          ...own,
          ...about,
          metadata: { ...own.metadata, ...metadata },
        }),
      compare: (arms, options) => this.#compareStudy(dir, arms, options),
    };
    const study = new Study(book, host);
    this.#studies.set(studyKey(dir, study.name), study);
    return study;
  }

  /** Experiments of other processes are opened to be read, and closed again. */
  async #compareStudy(
    dir: string | undefined,
    arms: readonly StudyArmRows[],
    options: CompareOptions,
  ): Promise<StudyComparison> {
    const visited: Experiment[] = [];
    const unreadable: string[] = [];
    const losses: string[] = [];
    let running = false;
    try {
      const merged: MergedArm[] = [];
      for (const { arm, experiments } of arms) {
        const own: Experiment[] = [];
        for (const { experiment: id, started } of experiments) {
          try {
            const known = this.#experiments.get(id);
            const experiment = known ?? (await this.#visit(dir, id));
            if (known === undefined) visited.push(experiment);
            running ||= experiment.status === 'running' || experiment.status === 'paused';
            own.push(experiment);
          } catch (error) {
            // Its process died before it had captured anything.
            if (error instanceof NotFoundError && !started) continue;
            const reason = error instanceof Error ? error.message : String(error);
            unreadable.push(`experiment ${id} of ${arm} cannot be read: ${reason}`);
          }
        }
        const lost = own.reduce((sum, { counts }) => sum + counts.dropped, 0);
        if (lost > 0) losses.push(`${lost} events of ${arm} were lost (counts.dropped)`);
        merged.push({
          experiments: own,
          united: { experimentId: arm, experimentName: arm, condition: arm },
        });
      }
      const isEmpty = merged.every(({ experiments }) => experiments.length === 0);
      const comparison = isEmpty ? null : await this.#compareArms(merged, options);
      return { comparison, running, unreadable, losses };
    } finally {
      for (const experiment of visited) await experiment.cleanup();
    }
  }

  /** An experiment of another process, or of one before, to be read. @throws NotFoundError where there is none */
  async #visit(dir: string | undefined, id: string): Promise<Experiment> {
    if (dir === undefined) throw new NotFoundError('experiment', id);
    const how = { readOnly: true, resume: false, stop: false, reopen: false, stealLocks: false } as const;
    const { options, reopened } = await reopen(experimentFolder(dir, id), this.#owner, {
      ...how,
      onBytes: () => {},
    });
    // It is nobody's but the visitor's.
    return new Experiment(options, { ...this.#owner, forget: () => {} }, reopened);
  }

  /** Writes the events of several experiments to one file, ascending by time; ties keep the order given. @throws as Experiment.export */
  async exportMultiple(
    experiments: readonly (Experiment | string)[],
    format: ExportFormat,
    options: ExportOptions = {},
  ): Promise<ExportResult> {
    checkExportOptions(options);
    const arms = this.#resolve(experiments);
    const parts = arms.map((experiment) => experiment.selected(options.filter));
    return writeExport(this.#pool, parts, format, {
      name: 'experiments',
      ...options,
      ...checkModes({
        folderMode: options.folderMode ?? this.#place.folderMode,
        fileMode: options.fileMode ?? this.#place.fileMode,
      }),
      counts: Object.fromEntries(arms.map(({ id, counts }) => [id, { ...counts }])),
      about: arms.map((experiment) => experiment.about()),
      libraryVersion: VERSION,
    });
  }

  /**
   * Serves a page that shows the experiments of this process as they run, and those of a folder. A thread of its own
   * reads them. Only this machine reaches it unless `host` says otherwise, which takes a `token`. See docs/serve.md.
   * @returns where it is, and what ends it; it ends with this Crucible, too, and keeps no process alive
   * @throws ConfigError naming the option, ServeError ERR_SERVE_FAILED when the address cannot be listened on,
   *   StateError ERR_CLOSED, MemoryError
   */
  async serve(options: ServeOptions = {}): Promise<ServeHandle> {
    if (this.#closed) throw new StateError('ERR_CLOSED', 'this Crucible is closed');
    const served = {
      ids: () => [...this.#experiments.keys()],
      tell: (id: string, known: boolean) => servedExperiment(this.experiment(id), known),
      studies: () => this.#allStudies().map(servedStudy),
      verdict: (study: string) => this.#servedStudy(study).verdict(),
      scores: (id: string) => this.experiment(id).scores(),
    };
    // Only who serves a page loads what that takes.
    const { startServing } = await import('../serve/start.js');
    const handle = await startServing(served, options, this.#place.dir);
    const serving: ServeHandle = {
      url: handle.url,
      close: () => {
        this.#servings.delete(serving);
        return handle.close();
      },
    };
    this.#servings.add(serving);
    return serving;
  }

  /** Those that are in use, and those that are written down in the folder. */
  #allStudies(): Study<Experiment>[] {
    const { dir } = this.#place;
    if (dir !== undefined) {
      for (const folder of studyFolders(dir)) {
        const book = FolderBook.open(folder, this.#place);
        if (!this.#studies.has(studyKey(dir, book.plan.study))) this.#addStudy(book, dir, {});
      }
    }
    return [...this.#studies.values()];
  }

  /** @throws NotFoundError */
  #servedStudy(name: string): Study<Experiment> {
    const found = this.#allStudies().find((study) => study.name === name);
    if (found === undefined) throw new NotFoundError('study', name);
    return found;
  }

  /** Stops every experiment, ends every export stream with ERR_CLOSED and lets go of all memory. @throws StorageError when some rows could not be kept */
  async close(): Promise<void> {
    this.#closed = true;
    const streams = this.#streams.close();
    const servings = [...this.#servings].map((serving) => serving.close());
    const outcomes = await Promise.allSettled(this.experiments().map((experiment) => experiment.cleanup()));
    await this.#pool?.close();
    await streams;
    await Promise.all(servings);
    for (const outcome of outcomes) if (outcome.status === 'rejected') throw outcome.reason;
  }

  /** What `console.log` shows: a line for each experiment. */
  [INSPECT](depth: number, options: StylizedOptions, inspect: Inspect): string {
    const told = ({ name, status, counts: { captured, dropped } }: Experiment) =>
      `${name}, ${status}: ${captured} captured, ${dropped} dropped`;
    const experiments = Object.fromEntries(this.experiments().map((each) => [each.id, told(each)]));
    const fields = { dir: this.#place.dir, closed: this.#closed || undefined, experiments };
    return inspected('Crucible', fields, depth, options, inspect);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  #resolve(experiments: readonly (Experiment | string)[]): Experiment[] {
    if (!Array.isArray(experiments)) throw new ConfigError('experiments', 'an array', experiments);
    const found = (experiments as readonly unknown[]).map((item, i) => {
      if (typeof item === 'string') return this.experiment(item);
      if (item instanceof Experiment) return item;
      throw new ConfigError(`experiments[${i}]`, 'an experiment, or its id', item);
    });
    const twice = found.findIndex((experiment, i) => found.indexOf(experiment) < i);
    if (twice >= 0)
      throw new ConfigError(
        `experiments[${twice}]`,
        'an experiment that is not there already',
        found[twice]!.id,
      );
    return found;
  }
}

/** What the experiments of a study are started with, besides what the study gives them. */
export type StudyExperimentOptions = Omit<
  ExperimentOptions,
  'name' | 'id' | 'condition' | 'hypothesis' | 'sampleSize'
>;

export type StudyOptions = StudyDesign & StudyExperimentOptions;

/** Studies of one name in two folders are two. */
function studyKey(dir: string | undefined, name: string): string {
  return JSON.stringify([dir ?? null, name]);
}

/** An arm of a comparison: one experiment, or several under one name. */
interface MergedArm {
  readonly experiments: readonly Experiment[];
  readonly united?: UnitedAbout;
}

function added(times: readonly ExperimentTimes[]): ExperimentTimes {
  const sum = (key: keyof ExperimentTimes) => times.reduce((total, each) => total + each[key], 0);
  return {
    wallClockSeconds: sum('wallClockSeconds'),
    activeSeconds: sum('activeSeconds'),
    pausedSeconds: sum('pausedSeconds'),
  };
}

/** What cannot be compared, of all experiments of an arm. What came after an experiment's end is no loss of it. */
function lossesOf(experiments: readonly Experiment[]): ArmLosses {
  const sum = { dropped: 0, damaged: 0 };
  for (const { counts } of experiments) {
    const { dropped, damaged, refused } = counts;
    sum.dropped += dropped - (refused.total - refused.full);
    sum.damaged += damaged;
  }
  return sum;
}

/** Whoever is told of the progress wants no more of it. */
class RecoveryEnded extends Error {
  readonly reason: unknown;

  constructor(reason: unknown) {
    super('the recovery was ended');
    this.reason = reason;
  }
}

/** The capturing thread keeps a processor for itself. */
function defaultWorkers(): number {
  if (memoryLimitBytes() < WORKERS_MEMORY_BYTES) return 0;
  return Math.max(1, availableParallelism() - 1);
}
