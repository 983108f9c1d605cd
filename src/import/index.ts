/** Reading experiment data from files. */

export { type CsvOptions, CsvParser, CsvReader, type CsvRow } from './csv.js';
export { type DetectedMapping, detectMapping } from './defaults.js';
export {
  type ImportFileOptions,
  type ImportFormat,
  type ImportProblem,
  type ImportProgress,
  type ImportSummary,
  importRecords,
  readMapped,
} from './importFile.js';
export { readJsonl } from './jsonl.js';
export {
  type CompiledMapping,
  compileMapping,
  DEFAULT_EVENT,
  type ImportedRecord,
  type ImportMap,
  type MappingOptions,
  type RecordMapper,
  type SourceShape,
} from './mapping.js';
export type { BadRecord, ByteChunks, RawItem, RawRecord } from './reader.js';
export { parseTimestamp, type TimestampOptions, type TimestampUnit } from './timestamps.js';
export { readYaml } from './yaml.js';
