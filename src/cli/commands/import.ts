import { basename, extname } from 'node:path';
import { ConfigError } from '../../errors.js';
import type { ExportResult, ImportFileOptions } from '../../index.js';
import { defineCommand } from '../command.js';
import { UsageError } from '../errors.js';
import { dirOf } from '../folder.js';
import { EXPORT_FORMATS, formatNamedBy, IMPORT_FORMATS, type NamedFormat } from '../formats.js';
import type { LibraryExperiment } from '../library.js';
import { cutLines } from '../report/analysed.js';
import { filesLines } from '../report/files.js';
import { leftOutLines } from '../report/imported.js';
import { metricsLines } from '../report/metrics.js';
import { keptLines } from '../report/stored.js';
import { formatBytes, formatCount, formatDuration, formatNumber } from '../terminal/numbers.js';
import { Progress } from '../terminal/progress.js';

const TIME_UNITS = ['iso', 's', 'ms', 'us', 'ns', 'excel'] as const;

/** Those of the command's options that say how the file is to be read. */
interface ReadingOptions {
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
  readonly ragged?: 'skip' | 'keep' | undefined;
}

export const importCommand = defineCommand({
  name: 'import',
  summary: "read a file, another tool's or an exported one, into an experiment and analyse it",
  usage: 'FILE [--map TARGET=EXPRESSION ...] [options]',
  details: [
    'Reads CSV, JSON Lines, MessagePack, Parquet, Arrow and YAML. Exported files need no --map, and give the events that were exported; with the --id, --name, --condition and --tag of their experiment, these can be exported again as they were.',
    'Of other files, each --map fills one field of the event from the columns of the file; without any, columns with usual names (timestamp, latency_ms, model, …) are recognised. For instance',
    "  crucible import requests.csv --map 'latencyMs=end_to_end_latency_s * 1000' --map model=model",
    'With --dir, or CRUCIBLE_DIR, the experiment stays in that folder, for list and show; without, it is analysed, and written to the files that --out names.',
    'A file that cannot be read up to its first record, or has none, leaves nothing in that folder. Of one that ends badly later, what came before is kept, and said.',
  ],
  json: [
    '{ id, name, dir or null, rows, skipped, malformed, cut, reasons: { REASON: number }, untimed,',
    '  unfilled: [TARGET], errors: [{ line, message }], bytes, elapsedMs,',
    '  counts: { captured, retained, dropped, malformed, cut }, metrics,',
    '  files: [{ path, rows, bytes }] }',
  ],
  positionals: { min: 1, max: 1 },
  options: {
    map: { type: 'list', value: 'TARGET=EXPR', description: 'field of the event = expression over columns' },
    format: {
      type: 'choice',
      choices: IMPORT_FORMATS,
      value: 'FORMAT',
      description: `of the file, ${IMPORT_FORMATS.join(', ')}; by its name or first bytes if not given`,
    },
    event: { type: 'string', value: 'NAME', description: 'event name of the rows' },
    name: { type: 'string', value: 'NAME', description: 'name of the experiment; the file name by default' },
    id: { type: 'string', value: 'ID', description: 'id of the experiment; a new one by default' },
    condition: { type: 'string', value: 'NAME', description: 'condition of the experiment' },
    tag: { type: 'list', value: 'TAG', default: ['import'], description: 'of the experiment' },
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
    ragged: {
      type: 'choice',
      choices: ['skip', 'keep'],
      description: 'what becomes of CSV rows with too few or too many fields; skip if not given',
    },
    out: {
      type: 'list',
      value: 'FILE',
      description: `also write the events to this file, which ends in .${EXPORT_FORMATS.join(', .')}`,
    },
  },
  async run(context) {
    const { options, positionals, signal, style, width, live, nowMs, stderr, print, loadLibrary } = context;
    const dir = dirOf(context);
    const path = positionals[0]!;
    const map = readMappings(options.map);
    const targets = options.out.map(readTarget);

    const library = await loadLibrary();
    const startedMs = nowMs();
    // Nothing is started for a file that gives nothing.
    const source = await library
      .openImport(path, {
        ...(Object.keys(map).length > 0 ? { map } : {}),
        ...(options.format === undefined ? {} : { format: options.format }),
        ...(options.event === undefined ? {} : { event: options.event }),
        ...readingOptions(options),
      })
      .catch((error: unknown) => Promise.reject(told(error, path)));
    const crucible = library.open(dir);
    const progress = new Progress(stderr, style, live, nowMs);
    try {
      if (source.emptiness !== null) throw source.emptiness;
      signal.throwIfAborted();
      const experiment = crucible.startExperiment({
        name: options.name ?? nameOf(path),
        ...(options.id !== undefined && { id: options.id }),
        ...(options.condition !== undefined && { condition: options.condition }),
        tags: options.tag,
        metadata: { source: basename(path) },
      });
      try {
        const imported = await experiment
          .importFile(source, {
            signal,
            onProgress: ({ bytes, totalBytes }) =>
              progress.update({ label: basename(path), done: bytes, total: totalBytes, format: formatBytes }),
          })
          .finally(() => progress.close());
        await experiment.stop();
        const metrics = await experiment.metrics();
        const files: ExportResult[] = [];
        for (const { path, format, ...named } of targets) {
          files.push(await experiment.export(format, { path, ...named, signal }));
        }
        const elapsedMs = nowMs() - startedMs;

        if (options.json) {
          print(
            JSON.stringify(
              {
                id: experiment.id,
                name: experiment.name,
                dir: dir ?? null,
                ...imported,
                counts: experiment.counts,
                elapsedMs,
                metrics,
                files,
              },
              null,
              2,
            ),
          );
          return;
        }
        const rate = formatNumber(imported.rows / Math.max(elapsedMs / 1000, 1e-3));
        print(
          `${style.green('✓')} ${formatCount(imported.rows, 'row')} of ${path} (${formatBytes(imported.bytes)}) in ${formatDuration(elapsedMs)}, ${rate} rows/s`,
          ...leftOutLines(imported).map(style.yellow),
          ...warnings(experiment.counts.dropped).map(style.yellow),
          ...cutLines(imported.cut ?? 0, { style, width }),
          ...(dir === undefined ? [] : keptLines(dir, [experiment])),
          ...(files.length > 0 ? filesLines(files, { style, width }) : []),
          '',
          ...metricsLines([{ name: experiment.name, metrics }], { style, width }),
        );
      } catch (error) {
        stderr.write(await keptText(experiment, path, dir));
        throw error;
      }
    } finally {
      await source.close();
      await crucible.close();
    }
  },
});

/** How the file is to be read, as the library has it. */
function readingOptions(options: ReadingOptions): ImportFileOptions {
  const { delimiter, decimal, encoding, comment, columns, ragged, time } = options;
  const timestampUnit = options['time-unit'] ?? options['timestamp-unit'];
  const origin = options['timestamp-origin'];
  return {
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
    ...(ragged !== undefined && { ragged }),
  };
}

/** What is kept of an import that has failed: rows that were read before are on disk all the same. */
async function keptText(
  experiment: LibraryExperiment,
  path: string,
  dir: string | undefined,
): Promise<string> {
  const { captured } = experiment.counts;
  if (dir === undefined || captured === 0) return '';
  // Closing the experiment tries again, and is not what has failed first.
  await experiment.stop().catch(() => {});
  const durable = Math.min(captured, experiment.storage?.durable ?? 0);
  const kept = durable === captured ? '' : `, ${formatNumber(durable)} of them kept`;
  const lines = [`${formatCount(captured, 'row')} of ${path} read${kept}`, ...keptLines(dir, [experiment])];
  return `${lines.join('\n')}\n`;
}

/** The file's, without what its extensions say. */
function nameOf(path: string): string {
  const name = basename(path).replace(/\.(?:gz|zst)$/i, '');
  return basename(name, extname(name));
}

/** A file to write, and how its name says that it is written. */
function readTarget(path: string): NamedFormat & { path: string } {
  const named = formatNamedBy(path);
  if (named !== null) return { path, ...named };
  throw new UsageError(
    `--out expects a file ending in .${EXPORT_FORMATS.join(', .')}, got ${path}`,
    'import',
  );
}

/** The error in the terms of the command line. */
function told(error: unknown, path: string): unknown {
  if (!(error instanceof ConfigError) || error.context.path !== 'format') return error;
  return new UsageError(
    `what ${path} is cannot be told by its name: say it with --format (${IMPORT_FORMATS.join(', ')})`,
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
