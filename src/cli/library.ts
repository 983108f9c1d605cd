/**
 * The library as the command line uses it: the only place that names its modules. The shapes are those of the
 * public API, cut down to what the commands need, so that tests can bring a library of their own.
 */

import type {
  CompareOptions,
  Comparison,
  MetricName,
  Metrics,
  MetricsGroup,
  Outcome,
  StreamingMetrics,
  WindowRow,
} from '../analysis/types.js';
import type { Emit } from '../demo/clients.js';
import type {
  ArchiveOptions,
  ArchiveResult,
  AttemptsOptions,
  AttemptsReport,
  CompactionReport,
  EventRow,
  ExperimentCounts,
  ExportFormat,
  ExportOptions,
  ExportResult,
  Filter,
  ImportFilesOptions,
  JudgesReport,
  Pilot,
  PilotOptions,
  PriceTable,
  RecoverOptions,
  RecoveryReport,
  RepriceReport,
  Score,
  ScoreFileOptions,
  ScoreFileResult,
  ServeOptions,
  StorageStatus,
  StoredExperiment,
  StoredStudy,
  StreamExportOptions,
  StudySize,
  StudySizeOptions,
  StudyVerdict,
  WindowedOptions,
} from '../index.js';
import type { FollowedFolder } from '../serve/follow.js';

export interface ImportResult {
  /** Rows of the file that became events. */
  rows: number;
  /** Rows left out. */
  skipped?: number;
  /** Rows, or parts of them, that could not be understood. */
  malformed?: number;
  /** Events that were too large to be kept whole. */
  cut?: number;
  /** Those by reason. */
  reasons?: Readonly<Record<string, number>>;
  errors?: readonly { readonly line: number; readonly message: string; readonly path?: string }[];
  /** Rows that got the time of the import. */
  untimed?: number;
  /** Targets of the map that nothing was found for. */
  unfilled?: readonly string[];
  bytes: number;
}

export interface LibraryExperiment {
  readonly id: string;
  readonly name: string;
  readonly condition: string;
  readonly counts: ExperimentCounts;
  /** Null for an experiment in memory. */
  readonly storage: Pick<StorageStatus, 'folder' | 'durable' | 'error'> | null;
  run<T>(fn: () => T): T;
  streamingMetrics(): StreamingMetrics;
  export(format: ExportFormat, options: ExportOptions): Promise<ExportResult>;
  exportStream(format: ExportFormat, options: StreamExportOptions): AsyncIterable<Uint8Array>;
  metrics(filter?: Filter, options?: { of?: readonly (MetricName | Outcome)[] }): Promise<Metrics>;
  /** Most events first. @throws ConfigError for a key that nothing can be grouped by */
  metricsBy(
    key: string,
    filter?: Filter,
    options?: { of?: readonly (MetricName | Outcome)[] },
  ): Promise<MetricsGroup[]>;
  windowedMetrics(options: WindowedOptions & { filter?: Filter }): Promise<WindowRow[]>;
  events(filter?: Filter): AsyncIterable<EventRow>;
  scores(): readonly Score[];
  scoreFile(path: string, options: ScoreFileOptions): Promise<ScoreFileResult>;
  judges(name: string, options: { reference?: string }): JudgesReport;
  attempts(options: AttemptsOptions): Promise<AttemptsReport>;
  stop(): Promise<unknown>;
  archive(options: ArchiveOptions): Promise<ArchiveResult>;
  reprice(prices: PriceTable): Promise<RepriceReport>;
  compact(options: { signal: AbortSignal }): Promise<CompactionReport>;
  cleanup(): Promise<void>;
  /** The fields of SEMANTICS. */
  toJSON(): Record<string, unknown>;
}

export interface ImportedFiles {
  readonly experiments: readonly LibraryExperiment[];
  readonly result: ImportResult;
}

export interface LibraryCrucible {
  startExperiment(options: {
    name: string;
    id?: string;
    condition?: string;
    hypothesis?: string;
    tags?: string[];
    metadata?: Record<string, string | number | null>;
  }): LibraryExperiment;
  experiment(id: string): LibraryExperiment;
  experiments(): readonly LibraryExperiment[];
  /** Starts nothing before a first record is there. */
  importFiles(
    sources: readonly (string | AsyncIterable<Uint8Array>)[],
    options: ImportFilesOptions,
  ): Promise<ImportedFiles>;
  recover(dir: string, options: RecoverOptions): Promise<RecoveryReport>;
  compare(ids: readonly string[], options?: CompareOptions): Promise<Comparison>;
  exportMultiple(ids: readonly string[], format: ExportFormat, options: ExportOptions): Promise<ExportResult>;
  serve(options: ServeOptions): Promise<{ readonly url: string }>;
  /** @throws NotFoundError for an unknown name */
  study(name: string): { verdict(): Promise<StudyVerdict> };
  close(): Promise<void>;
}

export interface Library {
  /** @param dir - where experiments live on; absent, they live in memory only */
  open(dir?: string): LibraryCrucible;
  listExperiments(dir: string): Promise<StoredExperiment[]>;
  deleteExperiment(folder: string): Promise<void>;
  listStudies(dir: string): readonly StoredStudy[];
  studySize(options: StudySizeOptions): StudySize;
  pilotOf(events: AsyncIterable<EventRow>, options: PilotOptions): Promise<Pilot>;
  emit: Emit;
  /** Follows the experiments of a folder, or the one that it is. */
  follow(dir: string): Promise<FollowedFolder>;
}

/** Loads the library itself, which compiles WebAssembly: not needed for help and usage errors. */
export async function loadLibrary(): Promise<Library> {
  const { Crucible, deleteExperiment, listExperiments, listStudies, pilotOf, studySize, telemetry } =
    await import('../index.js');
  return {
    open: (dir) => new Crucible(dir === undefined ? {} : { dir }),
    listExperiments,
    deleteExperiment,
    listStudies,
    studySize,
    pilotOf,
    follow: async (dir) => (await import('../serve/follow.js')).followFolder(dir),
    emit: (event, measurements, metadata) => telemetry.execute(event, measurements, metadata),
  };
}
