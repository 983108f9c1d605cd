/** The options of an export, and what they come to. */

import { readFile } from 'node:fs/promises';
import type { ExportFormat, ExportOptions } from '../index.js';
import type { OptionTable, OptionValues } from './args.js';
import type { CommandContext } from './command.js';
import { UsageError } from './errors.js';
import { FILTER_OPTIONS, readFilter } from './filters.js';
import {
  ABILITIES,
  COMPRESSIONS,
  FORMATS,
  type FormatOption,
  formatNamedBy,
  LAYOUTS,
  type NamedFormat,
} from './formats.js';

export const EXPORT_OPTIONS = {
  format: {
    type: 'choice',
    choices: FORMATS,
    value: 'FORMAT',
    description: `${FORMATS.join(', ')}; what --out ends with if not given`,
  },
  out: {
    type: 'string',
    value: 'FILE',
    description:
      'file to write, which is replaced, or - for standard output; if not given, exports/NAME.FORMAT, with the name of the experiment, or "experiments" for several, and a number where there is such a file',
  },
  flatten: {
    type: 'flag',
    description: 'csv, parquet, arrow: metadata and measurements as columns of their own; so by default',
  },
  'no-flatten': {
    type: 'flag',
    description:
      'csv: only the base columns; parquet, arrow: these, and metadata and measurements as JSON text',
  },
  pretty: { type: 'flag', description: 'jsonl: indented, over several lines' },
  'csv-safe': {
    type: 'flag',
    description: "csv: text that a spreadsheet would run as a formula gets an apostrophe (') in front of it",
  },
  compression: {
    type: 'choice',
    choices: COMPRESSIONS,
    value: 'CODEC',
    description:
      'csv, jsonl, msgpack: of the whole file, none, gzip or zstd; parquet: of its pages, or snappy; what --out ends with (.gz, .zst) if not given',
  },
  layout: {
    type: 'choice',
    choices: LAYOUTS,
    value: 'LAYOUT',
    description: 'arrow: file (default) or stream; msgpack: rows (default) or columns',
  },
  'row-group-rows': {
    type: 'integer',
    min: 1,
    description: 'parquet: rows of a row group, at most; 131,072 if not given',
  },
  'anonymize-key-file': {
    type: 'string',
    value: 'FILE',
    description:
      'replace user and session ids by hashes that cannot be undone or guessed without this key, of at least 16 bytes; or else the key in CRUCIBLE_ANONYMIZE_KEY',
  },
  'anonymize-fields': {
    type: 'list',
    value: 'NAME',
    commas: true,
    description:
      'other fields to be replaced, of the event, its metadata and its measurements: customer.id is also customerId and { customer: { id } }',
  },
  'anonymize-mode': {
    type: 'choice',
    choices: ['hash', 'drop'],
    description: 'hash (default), or drop, which leaves nothing and needs no key',
  },
  ...FILTER_OPTIONS,
} as const satisfies OptionTable;

type Values = OptionValues<typeof EXPORT_OPTIONS>;
type Anonymize = NonNullable<ExportOptions['anonymize']>;

export interface ExportPlan {
  format: ExportFormat;
  /** Without what belongs to a single run: progress and signal. */
  options: ExportOptions;
  toStdout: boolean;
}

/** @throws UsageError for options that are not for the format, or contradict each other; what reading the key throws */
export async function readExportPlan({
  options: values,
  env,
}: Pick<CommandContext<typeof EXPORT_OPTIONS>, 'options' | 'env'>): Promise<ExportPlan> {
  const { out } = values;
  const toStdout = out === '-';
  const named = out === undefined || toStdout ? null : formatNamedBy(out);
  const format = values.format ?? named?.format;
  if (format === undefined) {
    const names = FORMATS.join(', ');
    throw usage(
      out === undefined || toStdout
        ? `export needs --format: ${names}`
        : `export needs --format, or a file ending in .${FORMATS.join(', .')}; got ${out}`,
    );
  }
  checkName(values, named);
  const { compression = named?.compression, layout = named?.layout } = values;
  checkAbilities(format, values, { compression, layout });
  const filter = readFilter(values, 'export');
  const anonymize = await readAnonymize(values, env);
  const rowGroupRows = values['row-group-rows'];
  return {
    format,
    toStdout,
    options: {
      ...(out !== undefined && !toStdout && { path: out }),
      ...(filter !== null && { filter }),
      ...((values.flatten || values['no-flatten']) && { flatten: values.flatten }),
      ...(values.pretty && { pretty: true }),
      ...(values['csv-safe'] && { csvSafe: true }),
      ...(compression !== undefined && { compression }),
      ...(layout !== undefined && { layout }),
      ...(rowGroupRows !== undefined && { rowGroupRows }),
      ...(anonymize !== null && { anonymize }),
    },
  };
}

/** A name that says something else than the options would mislead whoever opens the file. */
function checkName(values: Values, named: NamedFormat | null): void {
  for (const option of ['format', 'compression', 'layout'] as const) {
    const [said, meant] = [values[option], named?.[option]];
    if (said !== undefined && meant !== undefined && said !== meant) {
      throw usage(`--${option} ${said} contradicts --out ${values.out}`);
    }
  }
}

function checkAbilities(
  format: ExportFormat,
  values: Values,
  { compression, layout }: Pick<ExportOptions, 'compression' | 'layout'>,
): void {
  const { options, compressions, layouts } = ABILITIES[format];
  if (values.flatten && values['no-flatten']) {
    throw usage('--flatten and --no-flatten exclude each other');
  }
  for (const option of ['flatten', 'no-flatten', 'pretty', 'csv-safe', 'row-group-rows'] as const) {
    const isGiven = values[option] !== undefined && values[option] !== false;
    if (isGiven && !options.includes(option)) throw usage(`--${option} is for ${formatsWith(option)} only`);
  }
  if (compression !== undefined && !compressions.includes(compression)) {
    throw usage(`--compression of ${format} is ${compressions.join(' or ')}, not ${compression}`);
  }
  if (layout !== undefined && !layouts.includes(layout)) {
    const known = layouts.length === 0 ? 'is not to be chosen' : `is ${layouts.join(' or ')}, not ${layout}`;
    throw usage(`--layout of ${format} ${known}`);
  }
}

function formatsWith(option: FormatOption): string {
  return FORMATS.filter((format) => ABILITIES[format].options.includes(option)).join(', ');
}

/** Null for events as they are. That a key is at hand is enough: who set one does not expect to see ids. */
async function readAnonymize(values: Values, env: CommandContext['env']): Promise<Anonymize | null> {
  const file = values['anonymize-key-file'];
  const fields = values['anonymize-fields'];
  const mode = values['anonymize-mode'];
  const key = file === undefined ? env.CRUCIBLE_ANONYMIZE_KEY || undefined : await readKey(file);
  if (key === undefined && mode !== 'drop') {
    if (mode === undefined && fields.length === 0) return null;
    throw usage(
      `${mode === undefined ? '--anonymize-fields' : '--anonymize-mode hash'} needs a key: name its file with --anonymize-key-file, or set CRUCIBLE_ANONYMIZE_KEY`,
    );
  }
  return {
    ...(key !== undefined && { key }),
    ...(fields.length > 0 && { fields }),
    ...(mode !== undefined && { mode }),
  };
}

/** The text of the file, without the end of its last line. */
async function readKey(file: string): Promise<string> {
  const bytes = await readFile(file);
  const key = decoded(bytes)?.replace(/\r?\n$/, '');
  if (key !== undefined && key !== '') return key;
  throw usage(`--anonymize-key-file expects a file with a key as text, such as openssl rand -hex 32 makes`);
}

/** Undefined for what is no UTF-8: replacement characters would make a key that is easier to guess. */
function decoded(bytes: Uint8Array): string | undefined {
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes);
  } catch {
    return undefined;
  }
}

function usage(message: string): UsageError {
  return new UsageError(message, 'export');
}
