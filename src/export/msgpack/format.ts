/** MessagePack as a format of exports: a stream of maps, or the columnar snapshot. */

import type { ExportFormatDefinition } from '../encoder.js';
import { openMsgpackColumns } from './columns.js';
import { openMsgpackRows } from './rows.js';

export const msgpackFormat: ExportFormatDefinition = {
  format: 'msgpack',
  extension: 'msgpack',
  needsPlan: () => 'none',
  open: (_plan, about, { layout, batchRows }) =>
    layout === 'columns' ? openMsgpackColumns(about, batchRows) : openMsgpackRows(),
};
