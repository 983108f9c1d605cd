/** Writing events to files and streams. */

export { jsonText } from '../formats/text.js';
export { type AnonymizeOptions, anonymizer } from './anonymize.js';
export { archiveJsonl } from './archive.js';
export type { SchemaColumn } from './columns.js';
export { csvFormat, csvLine, openCsv } from './csv.js';
export type {
  Chunk,
  EncodeOptions,
  EventSource,
  ExperimentAbout,
  ExportEncoder,
  ExportFormatDefinition,
  ExportSource,
} from './encoder.js';
export {
  discardStaged,
  type ExportProgress,
  type ExportResult,
  exportBlocks,
  exportChunks,
  exportFile,
  type FileExportOptions,
  formatTarget,
  type StreamOptions,
} from './export.js';
export { nameFile, replaceFile, type StagedFile, stageFile, type WrittenFile } from './file.js';
export { formatNamed } from './formats.js';
export { jsonlFormat, jsonRecord, openJsonl } from './jsonl.js';
export {
  countsNow,
  type ExportManifest,
  type ManifestExperiment,
  type ManifestTimeRange,
  RowSummary,
} from './manifest.js';
export { explicitExportPath, MANIFEST_SUFFIX, resolveExportPath } from './path.js';
export { choices, type ExportTarget, exportTarget, isTaken, publish, type TargetOptions } from './target.js';
export { waysOf } from './ways.js';
