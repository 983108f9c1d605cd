/** The formats an export knows, by name. Each is loaded when it is first wanted: most programs want few of them. */

import { ExportError } from '../errors.js';
import type { ExportFormatDefinition } from './encoder.js';

const LOADERS: ReadonlyMap<string, () => Promise<ExportFormatDefinition>> = new Map([
  ['csv', async () => (await import('./csv.js')).csvFormat],
  ['jsonl', async () => (await import('./jsonl.js')).jsonlFormat],
  ['msgpack', async () => (await import('./msgpack/format.js')).msgpackFormat],
  ['parquet', async () => (await import('./parquet.js')).parquetFormat],
  ['arrow', async () => (await import('./arrow.js')).arrowFormat],
]);

/** @throws ExportError ERR_UNSUPPORTED_FORMAT naming the formats there are */
export async function formatNamed(format: string): Promise<ExportFormatDefinition> {
  const load = LOADERS.get(format);
  if (load !== undefined) return load();
  const names = [...LOADERS.keys()];
  const message = `unsupported export format ${JSON.stringify(format)}: expected one of ${names.join(', ')}`;
  throw new ExportError('ERR_UNSUPPORTED_FORMAT', message, { format, supported: names });
}
