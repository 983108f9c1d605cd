/// <reference types="node" preserve="true" />
/// <reference lib="esnext.disposable" preserve="true" />
/** Crucible Telemetry: every event of an experiment, kept, isolated, analysed and exported. */

export type { AttemptsOptions, AttemptsReport } from './analysis/attempts.js';
export type { JudgePair, JudgeReport, JudgesReport, RateOfJudge } from './analysis/judges.js';
export * from './analysis/types.js';
export type { WindowedOptions, WindowSpec } from './analysis/windows.js';
export { type TelemetryHandler, telemetry } from './capture/bus.js';
export type { SpanAdditions, SpanEnd, SpanHandle, SpanStream } from './capture/bus-span.js';
export { Recorder } from './capture/recorder.js';
export { attachExperiment, type ExperimentHandle, ExperimentWriter } from './capture/share.js';
export { Span, type SpanResult } from './capture/span.js';
export { type Clock, systemClock } from './clock.js';
export * from './errors.js';
export type { ArchiveOptions, ArchiveResult } from './experiment/archive.js';
export { Budget, type BudgetLimits, type BudgetOptions, type Spending } from './experiment/budget.js';
export type { ExperimentCounts } from './experiment/counts.js';
export {
  Crucible,
  type CrucibleOptions,
  type StudyExperimentOptions,
  type StudyOptions,
} from './experiment/crucible.js';
export type { StorageStatus } from './experiment/durability.js';
export {
  Experiment,
  type ExperimentStatus,
  type ExportFormat,
} from './experiment/experiment.js';
export type { StreamExportOptions } from './experiment/export-stream.js';
export type { ExportOptions } from './experiment/exporting.js';
export type { FlushReport } from './experiment/flush.js';
export type {
  ImportedFiles,
  ImportFilesOptions,
  ImportOptions,
  ImportResult,
} from './experiment/importing.js';
export type { ExperimentOptions } from './experiment/options.js';
export type { RecoveredExperiment, RecoverOptions, RecoveryReport } from './experiment/reopen.js';
export type { RepriceReport } from './experiment/reprice.js';
export type { ScoreFileOptions, ScoreFileResult } from './experiment/score-file.js';
export type { Score, ScoreOptions, ScoreTarget } from './experiment/scores.js';
export type { ExportResult } from './export/index.js';
export {
  type ImportFileOptions,
  type ImportFormat,
  type ImportProgress,
  ImportSource,
} from './import/index.js';
export type { ContentOptions, ContentSubject } from './instrument/content.js';
export { type InstrumentOptions, instrument, type Source } from './instrument/instrument.js';
export { traceContext } from './instrument/trace-context.js';
export type { ScoreKey } from './readers/scored.js';
export type { ColumnType } from './schema/columns.js';
export type { NumberCondition, Operators } from './schema/condition.js';
export type {
  Context,
  EventRow,
  Fields,
  Filter,
  Json,
  Measurements,
  Metadata,
  Tokens,
} from './schema/event.js';
export { type GenaiPrices, genaiPrices } from './schema/genai-prices.js';
export { LLM_COLUMNS } from './schema/llm-columns.js';
export {
  type DatedRates,
  type ModelMatch,
  type ModelPrice,
  type ModelRates,
  type PriceTable,
  type PriceTier,
  REFERENCE_PRICES,
} from './schema/prices.js';
export { type EventDefinition, type EventInfo, EventRegistry, events } from './schema/registry.js';
export type { ServeHandle, ServeOptions } from './serve/start.js';
export {
  deleteExperiment,
  listExperiments,
  type StoredExperiment,
  type StoredFields,
} from './storage/catalogue.js';
export type { CompactionReport } from './storage/compaction/thread.js';
export type { DamagedBatch } from './storage/damage.js';
export type { CutTail, Damage } from './storage/recovery.js';
export type { FsyncPolicy, Retention } from './storage/spooler/spooler.js';
export type { Contribution, Look } from './study/book.js';
export type { Difference } from './study/canonical.js';
export { type Pilot, type PilotOptions, pilotOf } from './study/pilot.js';
export type { PlannedAnalysis, StudyArm, StudyDesign, StudyPlan } from './study/plan.js';
export { type StudySize, type StudySizeOptions, studySize } from './study/size.js';
export { listStudies, type StoredStudy } from './study/stored-studies.js';
export { Study, type StudyVerdictOptions } from './study/study.js';
export type {
  Decision,
  Deviation,
  DeviationCode,
  StudyArmCounts,
  StudyDecision,
  StudyOutcome,
  StudyVerdict,
} from './study/verdict.js';
export { VERSION } from './version.js';
