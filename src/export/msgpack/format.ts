/** MessagePack as a format of exports: a stream of maps, or the columnar snapshot. */

import type { ExportFormatDefinition } from '../encoder.js';
import { MsgpackColumns } from './columns.js';
import { MsgpackRows } from './rows.js';

export const msgpackFormat: ExportFormatDefinition = {
  format: 'msgpack',
  extension: 'msgpack',
  needsPlan: () => 'none',
  open: (_plan, about, { layout }) => (layout === 'columns' ? new MsgpackColumns(about) : new MsgpackRows()),
};
