/** Reading experiment data from files. */

export { type CsvOptions, CsvReader, NULL_WORDS } from '../formats/csv/reader.js';
export { JsonReader } from '../formats/json/reader.js';
export type {
  BadRecord,
  ByteChunks,
  ImportReason,
  RawItem,
  RawRecord,
  RecordReader,
} from '../formats/reader.js';
export { TextDecoding } from '../formats/text-decoding.js';
export {
  type DateOrder,
  parseTimestamp,
  type TimestampOptions,
  type TimestampUnit,
} from '../formats/timestamps.js';
export { detectMapping } from './defaults.js';
export { type ImportFormat, isImportable } from './format.js';
export {
  checkSignal,
  IMPORT_OPTIONS,
  type ImportFileOptions,
  type ImportProblem,
  type ImportProgress,
  ImportSource,
  type ImportSummary,
  importRecords,
  mergeSummaries,
  type RecordSink,
} from './importFile.js';
export {
  type CompiledMapping,
  compileMapping,
  DEFAULT_EVENT,
  type ImportedRecord,
  type ImportMap,
  type MappingOptions,
  type RecordMapper,
  type ReportProblem,
  type SourceShape,
} from './mapping.js';
export type { Destination, RestoredParts } from './own.js';
