/** The formats an export knows, by name. */

import { ExportError } from '../errors.js';
import { arrowFormat } from './arrow/encoder.js';
import { csvFormat } from './csv.js';
import type { ExportFormatDefinition } from './encoder.js';
import { jsonlFormat } from './jsonl.js';
import { parquetFormat } from './parquet/encoder.js';

const FORMATS: readonly ExportFormatDefinition[] = [csvFormat, jsonlFormat, arrowFormat, parquetFormat];

/** @throws ExportError ERR_UNSUPPORTED_FORMAT naming the formats there are */
export function formatNamed(format: string): ExportFormatDefinition {
  const found = FORMATS.find((candidate) => candidate.format === format);
  if (found !== undefined) return found;
  const names = FORMATS.map((candidate) => candidate.format);
  const message = `unsupported export format ${JSON.stringify(format)}: expected one of ${names.join(', ')}`;
  throw new ExportError('ERR_UNSUPPORTED_FORMAT', message, { format, supported: names });
}
