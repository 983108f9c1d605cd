import { basename, extname } from 'node:path';
import type { Metrics } from '../../analysis/types.js';
import { ConfigError } from '../../errors.js';
import type { ExportResult, ImportFilesOptions } from '../../index.js';
import { defineCommand } from '../command.js';
import { addFacts, UsageError } from '../errors.js';
import { dirOf } from '../folder.js';
import { FORMATS, formatNamedBy, type NamedFormat } from '../formats.js';
import type { LibraryExperiment } from '../library.js';
import { cutLines } from '../report/analysed.js';
import { filesLines } from '../report/files.js';
import { leftOutLines } from '../report/imported.js';
import { metricsLines } from '../report/metrics.js';
import { keptLines } from '../report/stored.js';
import { formatBytes, formatCount, formatDuration, formatNumber } from '../terminal/numbers.js';
import { Progress } from '../terminal/progress.js';
import { printable } from '../terminal/text.js';

const TIME_UNITS = ['iso', 's', 'ms', 'us', 'ns', 'excel'] as const;

/** The command's options as far as the library takes them. */
interface CommandOptions {
  readonly map: readonly string[];
  readonly format?: (typeof FORMATS)[number] | undefined;
  readonly event?: string | undefined;
  readonly name?: string | undefined;
  readonly id?: string | undefined;
  readonly condition?: string | undefined;
  readonly 'condition-from'?: string | undefined;
  readonly tag: string[];
  readonly 'timestamp-unit'?: (typeof TIME_UNITS)[number] | undefined;
  readonly 'time-unit'?: (typeof TIME_UNITS)[number] | undefined;
  readonly 'timestamp-origin'?: string | undefined;
  readonly 'date-order'?: 'dmy' | 'mdy' | undefined;
  readonly time?: 'now' | undefined;
  readonly delimiter?: string | undefined;
  readonly decimal?: '.' | ',' | undefined;
  readonly encoding?: string | undefined;
  readonly null: readonly string[];
  readonly comment?: string | undefined;
  readonly escape?: '"' | '\\' | undefined;
  readonly columns?: string | undefined;
  readonly header: boolean;
  readonly ragged?: 'skip' | 'keep' | undefined;
  readonly 'max-ratio'?: number | undefined;
  readonly 'max-output-bytes'?: number | undefined;
  readonly manifest?: 'check' | 'ignore' | undefined;
}

export const importCommand = defineCommand({
  name: 'import',
  summary: "read files, another tool's or exported ones, into an experiment and analyse it",
  usage: 'FILE... [--map TARGET=EXPRESSION ...] [options]',
  details: [
    'Reads CSV, JSON Lines, MessagePack, Parquet and Arrow. Exported files need no --map, and give the events that were exported; with the --id, --name, --condition and --tag of their experiment, these can be exported again as they were.',
    'Of other files, columns with usual names (timestamp, latency_ms, model, …) are recognised, and status, error, usage and other names are read as of any event (docs/events.md). Each --map fills one field of the event from the columns of the file, before what is recognised: timestamp, latencyMs, costUsd, promptTokens, completionTokens, success, event, model or provider, under these or other usual names (latency_ms, latency_s, prompt_tokens). Any other name, and metadata.NAME, is a key of the metadata. For instance',
    "  crucible import requests.csv --map 'latencyMs=end_to_end_latency_s * 1000' --map model=model",
    'Several files, and all files of a folder, become one experiment. - is standard input. With --condition-from, each value of a column becomes the condition of an experiment of its own, so that both arms of one file can be compared:',
    '  crucible import requests.csv --condition-from variant --dir data',
    "  crucible compare 'requests a' 'requests b' --dir data",
    'With --dir, or CRUCIBLE_DIR, the experiment stays in that folder, for list and show; without, it is analysed, and written to the files that --out names.',
    'A file that cannot be read up to its first record, or has none, leaves nothing in that folder. Of one that ends badly later, what came before is kept, and said. An exported file that is not what the manifest beside it says is refused.',
  ],
  json: [
    '{ experiments: [{ id, name, condition, counts: { captured, retained, dropped, malformed, cut,',
    '    refused, malformedKeys }, metrics }], dir or null, rows, skipped, malformed, cut, refused,',
    '  reasons: { REASON: number }, untimed, unfilled: [TARGET], errors: [{ path, line, message }],',
    '  bytes, elapsedMs, files: [{ path, rows, bytes }] }; of one experiment, what is said of it stands',
    '  beside rows as well',
  ],
  positionals: { min: 1, max: Number.POSITIVE_INFINITY },
  options: {
    map: { type: 'list', value: 'TARGET=EXPR', description: 'field of the event = expression over columns' },
    format: {
      type: 'choice',
      choices: FORMATS,
      value: 'FORMAT',
      description: `of the file, ${FORMATS.join(', ')}; by its name or first bytes if not given`,
    },
    event: { type: 'string', value: 'NAME', description: 'event name of the rows' },
    name: { type: 'string', value: 'NAME', description: 'name of the experiment; the file name by default' },
    id: { type: 'string', value: 'ID', description: 'id of the experiment; a new one by default' },
    condition: { type: 'string', value: 'NAME', description: 'condition of the experiment' },
    'condition-from': {
      type: 'string',
      value: 'COLUMN',
      description: 'an experiment for each value of this column, which is its condition',
    },
    tag: { type: 'list', value: 'TAG', description: 'of the experiment' },
    'timestamp-unit': {
      type: 'choice',
      choices: TIME_UNITS,
      description: 'what numbers in the time column count; by their size if not given',
    },
    'time-unit': { type: 'choice', choices: TIME_UNITS, description: 'the same' },
    'timestamp-origin': {
      type: 'string',
      value: 'TIME',
      description: 'what relative times count from, ISO 8601 or microseconds',
    },
    'date-order': {
      type: 'choice',
      choices: ['dmy', 'mdy'],
      description: 'whether 1/3/2024 begins with the day or the month; refused if not given',
    },
    time: {
      type: 'choice',
      choices: ['now'],
      description: 'now: rows whose time is not understood get the time of the import, and are not left out',
    },
    delimiter: {
      type: 'string',
      value: 'CHAR',
      description: "of CSV: , ; | or another character, or 'tab'; found out if not given",
    },
    decimal: { type: 'choice', choices: ['.', ','], description: 'of CSV, the mark before fractions' },
    encoding: {
      type: 'string',
      value: 'NAME',
      description: 'of text, such as windows-1252; UTF-8 or UTF-16 if not given',
    },
    null: {
      type: 'list',
      value: 'WORD',
      description: 'of CSV, a field that means that there is no value; NA, None, null and kin if not given',
    },
    comment: { type: 'string', value: 'CHAR', description: 'of CSV, leaves out lines that begin with it' },
    escape: {
      type: 'choice',
      choices: ['"', '\\'],
      description: 'of CSV, what stands before a quote in quotes',
    },
    columns: {
      type: 'string',
      value: 'A,B,...',
      description: 'names of the columns of a CSV file without a header',
    },
    header: {
      type: 'flag',
      description: 'of CSV, the first row names the columns though it looks like data',
    },
    ragged: {
      type: 'choice',
      choices: ['skip', 'keep'],
      description: 'what becomes of CSV rows with too few or too many fields; skip if not given',
    },
    manifest: {
      type: 'choice',
      choices: ['check', 'ignore'],
      description: 'ignore: read a file that is not what the manifest beside it says; refused if not given',
    },
    'max-ratio': {
      type: 'number',
      above: 0,
      below: Number.POSITIVE_INFINITY,
      description: 'bytes that may come out of each byte of a file; 250 if not given',
    },
    'max-output-bytes': {
      type: 'integer',
      min: 1,
      description: 'bytes that may come out of a compressed file; any number if not given',
    },
    out: {
      type: 'list',
      value: 'FILE',
      description: `also write the events to this file, which ends in .${FORMATS.join(', .')}`,
    },
  },
  async run(context) {
    const { options, positionals, signal, style, live, nowMs, stderr } = context;
    const { print, printJson, loadLibrary, report } = context;
    const dir = dirOf(context);
    const targets = options.out.map(readTarget);
    const what = positionals.length === 1 ? nameShown(positionals[0]!) : `${positionals.length} files`;
    const importing = importOptions(options, positionals);

    const library = await loadLibrary();
    const startedMs = nowMs();
    const crucible = library.open(dir);
    const progress = new Progress(stderr, style, live, nowMs);
    try {
      signal.throwIfAborted();
      const { experiments, result } = await crucible
        .importFiles(
          positionals.map((path) => (path === STDIN ? context.stdin() : path)),
          {
            ...importing,
            signal,
            onProgress: ({ path, bytes, totalBytes, rows }) =>
              progress.update({
                label: basename(path),
                done: bytes,
                total: totalBytes,
                format: formatBytes,
                detail: formatCount(rows, 'row'),
              }),
          },
        )
        .catch((error: unknown) => Promise.reject(told(error, positionals)))
        .finally(() => progress.close());
      const analysed: { experiment: LibraryExperiment; metrics: Metrics }[] = [];
      for (const experiment of experiments) {
        await experiment.stop();
        analysed.push({ experiment, metrics: await experiment.metrics() });
      }
      const files: ExportResult[] = [];
      for (const { path, format, ...named } of targets) {
        const ids = experiments.map(({ id }) => id);
        const exporting = { path, ...named, signal };
        files.push(
          await (experiments.length === 1
            ? experiments[0]!.export(format, exporting)
            : crucible.exportMultiple(ids, format, exporting)),
        );
      }
      const elapsedMs = nowMs() - startedMs;

      if (options.json) {
        const all = analysed.map(({ experiment: { id, name, condition, counts }, metrics }) => {
          return { id, name, condition, counts, metrics };
        });
        const only = all.length === 1 ? all[0] : {};
        printJson({ ...only, experiments: all, dir: dir ?? null, ...result, elapsedMs, files });
        return;
      }
      const rate = formatNumber(result.rows / Math.max(elapsedMs / 1000, 1e-3));
      const dropped = experiments.reduce((sum, { counts }) => sum + counts.dropped, 0);
      print(
        `${style.green('✓')} ${formatCount(result.rows, 'row')} of ${what} (${formatBytes(result.bytes)}) in ${formatDuration(elapsedMs)}, ${rate} rows/s`,
        ...(files.length > 0 ? filesLines(files, report) : []),
        '',
        ...metricsLines(
          analysed.map(({ experiment: { name }, metrics }) => ({ name, metrics })),
          report,
        ),
        '',
        ...(dir === undefined ? [] : keptLines(dir, experiments)),
        // Last, where they are seen.
        ...leftOutLines(result).map(style.yellow),
        ...warnings(dropped).map(style.yellow),
        ...cutLines(result.cut ?? 0, report),
      );
    } catch (error) {
      const kept = dir === undefined ? [] : await keptOf(crucible.experiments());
      addFacts(error, { kept: keptFacts(kept, dir) });
      if (dir !== undefined && kept.length > 0 && !options.json) stderr.write(keptText(kept, what, dir));
      throw error;
    } finally {
      await crucible.close();
    }
  },
});

const STDIN = '-';
const nameShown = (path: string) => (path === STDIN ? 'standard input' : path);

/** How the files are to be read, and what becomes of them, as the library has it. */
function importOptions(options: CommandOptions, [first]: readonly string[]): ImportFilesOptions {
  const { delimiter, decimal, encoding, comment, columns, ragged, time, manifest } = options;
  const timestampUnit = options['time-unit'] ?? options['timestamp-unit'];
  const origin = options['timestamp-origin'];
  const splitBy = options['condition-from'];
  const map = readMappings(options.map);
  return {
    name: options.name ?? nameOf(first!),
    ...(options.id !== undefined && { id: options.id }),
    ...(options.condition !== undefined && { condition: options.condition }),
    ...(splitBy !== undefined && { splitBy }),
    tags: options.tag,
    metadata: { source: basename(nameShown(first!)) },
    ...(Object.keys(map).length > 0 && { map }),
    ...(options.format !== undefined && { format: options.format }),
    ...(options.event !== undefined && { event: options.event }),
    ...(timestampUnit !== undefined && { timestampUnit }),
    ...(origin !== undefined && { timestampOrigin: /^-?\d+$/.test(origin) ? Number(origin) : origin }),
    ...(options['date-order'] !== undefined && { dateOrder: options['date-order'] }),
    ...(time !== undefined && { time }),
    ...(delimiter !== undefined && { delimiter }),
    ...(decimal !== undefined && { decimal }),
    ...(encoding !== undefined && { encoding }),
    ...(options.null.length > 0 && { nulls: options.null }),
    ...(comment !== undefined && { comment }),
    ...(options.escape !== undefined && { escape: options.escape }),
    ...(columns !== undefined && { columns: columns.split(',').map((name) => name.trim()) }),
    ...(options.header && { header: true as const }),
    ...(ragged !== undefined && { ragged }),
    ...(options['max-ratio'] !== undefined && { maxRatio: options['max-ratio'] }),
    ...(options['max-output-bytes'] !== undefined && { maxOutputBytes: options['max-output-bytes'] }),
    ...(manifest !== undefined && { manifest }),
  };
}

interface Kept {
  readonly experiment: LibraryExperiment;
  readonly rows: number;
  /** Of these, on disk. */
  readonly durable: number;
}

/** What is kept of an import that has failed: rows that were read before are on disk all the same. */
async function keptOf(experiments: readonly LibraryExperiment[]): Promise<Kept[]> {
  const kept: Kept[] = [];
  for (const experiment of experiments) {
    const { captured: rows } = experiment.counts;
    if (rows === 0) continue;
    // Closing the experiment tries again, and is not what has failed first.
    await experiment.stop().catch(() => {});
    kept.push({ experiment, rows, durable: Math.min(rows, experiment.storage?.durable ?? 0) });
  }
  return kept;
}

const sumOf = (kept: readonly Kept[], of: 'rows' | 'durable') =>
  kept.reduce((sum, each) => sum + each[of], 0);

function keptFacts(kept: readonly Kept[], dir: string | undefined): object | null {
  const experiments = kept.map(({ experiment: { id }, rows, durable }) => ({ id, rows, durable }));
  return experiments.length === 0
    ? null
    : { dir, ...(experiments.length === 1 && experiments[0]), experiments };
}

function keptText(kept: readonly Kept[], what: string, dir: string): string {
  const [rows, durable] = [sumOf(kept, 'rows'), sumOf(kept, 'durable')];
  const missing = durable === rows ? '' : `, ${formatNumber(durable)} of them kept`;
  const experiments = kept.map(({ experiment }) => experiment);
  const lines = [`${formatCount(rows, 'row')} of ${what} read${missing}`, ...keptLines(dir, experiments)];
  return lines.map((line) => `${printable(line)}\n`).join('');
}

/** The file's, without what its extensions say. */
function nameOf(path: string): string {
  if (path === STDIN) return 'import';
  const name = basename(path).replace(/\.(?:gz|zst)$/i, '');
  return basename(name, extname(name));
}

/** A file to write, and how its name says that it is written. */
function readTarget(path: string): NamedFormat & { path: string } {
  const named = formatNamedBy(path);
  if (named !== null) return { path, ...named };
  throw new UsageError(`--out expects a file ending in .${FORMATS.join(', .')}, got ${path}`, 'import');
}

/** The error in the terms of the command line. */
function told(error: unknown, paths: readonly string[]): unknown {
  if (!(error instanceof ConfigError)) return error;
  const { path } = error.context;
  if (path === 'splitBy')
    return new UsageError(error.message.replace(/^splitBy/, '--condition-from'), 'import');
  if (path !== 'format') return error;
  const what = paths.length === 1 ? `what ${nameShown(paths[0]!)} is` : 'what one of these files is';
  return new UsageError(
    `${what} cannot be told by its name: say it with --format (${FORMATS.join(', ')})`,
    'import',
  );
}

/** `target=expression`, split at the first `=`: an expression may hold more of them. */
function readMappings(mappings: readonly string[]): Record<string, string> {
  return Object.fromEntries(
    mappings.map((mapping) => {
      const at = mapping.indexOf('=');
      const [target, expression] = [mapping.slice(0, at).trim(), mapping.slice(at + 1).trim()];
      if (at < 0 || target === '' || expression === '') {
        throw new UsageError(`--map expects TARGET=EXPRESSION, got ${JSON.stringify(mapping)}`, 'import');
      }
      return [target, expression];
    }),
  );
}

function warnings(dropped: number): string[] {
  return dropped === 0
    ? []
    : [`! ${formatCount(dropped, 'row')} dropped: the disk was too slow, or memory full`];
}
