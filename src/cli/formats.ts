/** The formats of files: what they are called, what names such files have, and what each can be asked for. */

import type { ExportFormat, ExportOptions } from '../index.js';

export const FORMATS = ['csv', 'jsonl', 'msgpack', 'parquet', 'arrow'] as const;

export const COMPRESSIONS = ['none', 'gzip', 'zstd', 'snappy'] as const;
export const LAYOUTS = ['file', 'stream', 'rows', 'columns'] as const;
type Compression = (typeof COMPRESSIONS)[number];
type Layout = (typeof LAYOUTS)[number];

/** Options that not every format has, as the command line writes them. */
export type FormatOption = 'flatten' | 'no-flatten' | 'pretty' | 'csv-safe' | 'row-group-rows';

interface FormatAbilities {
  readonly options: readonly FormatOption[];
  readonly compressions: readonly Compression[];
  readonly layouts: readonly Layout[];
}

const WHOLE_FILE = ['none', 'gzip', 'zstd'] as const;

export const ABILITIES: Readonly<Record<ExportFormat, FormatAbilities>> = {
  csv: { options: ['flatten', 'no-flatten', 'csv-safe'], compressions: WHOLE_FILE, layouts: [] },
  jsonl: { options: ['pretty'], compressions: WHOLE_FILE, layouts: [] },
  msgpack: { options: [], compressions: WHOLE_FILE, layouts: ['rows', 'columns'] },
  parquet: {
    options: ['flatten', 'no-flatten', 'row-group-rows'],
    compressions: COMPRESSIONS,
    layouts: [],
  },
  arrow: { options: ['flatten', 'no-flatten'], compressions: ['none'], layouts: ['file', 'stream'] },
};

/** What the name of a file says of how it is written. */
export interface NamedFormat extends Pick<ExportOptions, 'compression' | 'layout'> {
  readonly format: ExportFormat;
}

const WHOLE_FILE_SUFFIXES: ReadonlyMap<string, 'gzip' | 'zstd'> = new Map([
  ['gz', 'gzip'],
  ['zst', 'zstd'],
]);
const BY_EXTENSION: ReadonlyMap<string, NamedFormat> = new Map<string, NamedFormat>([
  ...FORMATS.map((format) => [format, { format }] as const),
  ['ndjson', { format: 'jsonl' }],
  ['feather', { format: 'arrow', layout: 'file' }],
  ['arrows', { format: 'arrow', layout: 'stream' }],
]);

/** Null for a name that says nothing: of `x.csv.gz` it is CSV compressed by gzip, of `x.txt` nothing. */
export function formatNamedBy(path: string): NamedFormat | null {
  const extensions = path.toLowerCase().split(/[/\\]/).at(-1)!.split('.').slice(1);
  const compression = WHOLE_FILE_SUFFIXES.get(extensions.at(-1) ?? '');
  if (compression === undefined) return BY_EXTENSION.get(extensions.at(-1) ?? '') ?? null;
  const named = BY_EXTENSION.get(extensions.at(-2) ?? '');
  // A whole file of Parquet or Arrow is not compressed: its readers begin at its end.
  if (named === undefined || ABILITIES[named.format].compressions !== WHOLE_FILE) return null;
  return { ...named, compression };
}
