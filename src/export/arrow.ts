/** Arrow as a format of exports; the texts of dictionary columns are known from the plan. */

import { ConfigError } from '../errors.js';
import { ArrowFile } from '../formats/arrow/writer.js';
import { columnarEncoder } from './columnar/encoder.js';
import { fileMetadata, typedColumns } from './columnar/schema.js';
import type { EncodeOptions, ExperimentAbout, ExportEncoder, ExportFormatDefinition } from './encoder.js';
import type { ColumnPlan } from './plan.js';

/** Rows of a record batch, at most: what is gathered of four times as many no longer fits the cache (a third slower). */
const BATCH_ROWS = 16_384;

export const arrowFormat: ExportFormatDefinition = {
  format: 'arrow',
  extension: 'arrow',
  needsPlan: () => 'texts',
  open: (plan, about, options) => openArrow(plan!, about, options),
};

/** @throws ConfigError for an unknown layout, or compression: readers open the file in place */
export function openArrow(
  plan: ColumnPlan,
  about: readonly ExperimentAbout[],
  options: EncodeOptions,
): ExportEncoder {
  const { layout = 'file', compression = 'none' } = options;
  if (layout !== 'file' && layout !== 'stream') {
    throw new ConfigError('layout', "'file' or 'stream'", layout);
  }
  if (compression !== 'none') throw new ConfigError('compression', "'none' for arrow", compression);
  const columns = typedColumns(plan, options);
  const metadata = fileMetadata(columns, about);
  return columnarEncoder(columns, plan, BATCH_ROWS, () => new ArrowFile(columns, metadata, layout));
}
