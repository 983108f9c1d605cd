/** Scores from a file: a score a line (`name`, `value`), or a line for each thing and a column for each score. */
import { ConfigError } from '../errors.js';
import { type ImportFileOptions, ImportSource } from '../import/index.js';
import { SCORE_KEYS, type ScoreKey } from '../readers/scored.js';
import type { Json } from '../schema/event.js';
import { snakeCase } from '../schema/fields.js';
import type { CheckedScore, ScoreOptions, ScoreTarget } from './scores.js';

export interface ScoreFileOptions
  extends Pick<ImportFileOptions, 'format' | 'encoding' | 'delimiter' | 'decimal'> {
  /** What the scores are of: the column of that name, in either spelling, has its ids. */
  readonly key: ScoreKey;
  /** Which columns are scores; default: all that hold numbers, or yes and no. Not in a file of a score a line. */
  readonly columns?: readonly string[] | undefined;
  /** Who says so, where the file has no column `by`. */
  readonly by?: string | undefined;
  readonly signal?: AbortSignal | undefined;
}

export interface ScoreFileResult {
  /** Lines of the file that were understood. */
  readonly rows: number;
  readonly scores: number;
  /** By name. */
  readonly names: Readonly<Record<string, number>>;
  /** Lines without an id, and values that are no score. */
  readonly skipped: number;
  /** The first 20 of those. */
  readonly errors: readonly { readonly row: number; readonly message: string }[];
}

/** Checks a score as `Experiment.score` does. */
type Check = (
  target: ScoreTarget,
  name: string,
  value: number | boolean,
  options: ScoreOptions,
) => CheckedScore;

const ERRORS_KEPT = 20;
const BATCH = 1000;
/** Columns that say something of a score. */
const OF_SCORES: readonly string[] = ['by', 'at', 'comment'];

/**
 * Hands the scores of a file on, some at a time.
 * @throws ConfigError where the file has no column for the ids, or none of scores; StorageError, ImportError where it
 *   cannot be read further, and what came before has been handed on
 */
export async function readScoreFile(
  path: string,
  options: ScoreFileOptions,
  check: Check,
  take: (scores: readonly CheckedScore[]) => void,
): Promise<ScoreFileResult> {
  const { key, columns: _, by: __, signal, ...how } = options;
  if (!SCORE_KEYS.includes(key)) throw new ConfigError('key', SCORE_KEYS.join(', '), key);
  const source = await ImportSource.open(path, { ...how, time: 'now', manifest: 'ignore' }, signal);
  try {
    return await readScores(source, path, options, check, take);
  } finally {
    await source.close();
  }
}

async function readScores(
  source: ImportSource,
  path: string,
  { key, columns, by }: ScoreFileOptions,
  check: Check,
  take: (scores: readonly CheckedScore[]) => void,
): Promise<ScoreFileResult> {
  const ids = [key, snakeCase(key)].find((name) => source.columns.includes(name));
  if (ids === undefined)
    throw new ConfigError('key', `a column of ${path} (${source.columns.join(', ')})`, key);
  const isLong = columns === undefined && ['name', 'value'].every((name) => source.columns.includes(name));
  const wanted = columns ?? source.columns.filter((name) => !isOther(name));
  const missing = wanted.find((name) => !source.columns.includes(name));
  if (missing !== undefined)
    throw new ConfigError('columns', `columns of ${path} (${source.columns.join(', ')})`, missing);
  const names = new Map<string, number>();
  const errors: { row: number; message: string }[] = [];
  let skipped = 0;
  let scores = 0;
  let row = 0;
  let batch: CheckedScore[] = [];
  const skip = (message: string) => {
    skipped++;
    if (errors.length < ERRORS_KEPT) errors.push({ row, message });
  };
  const summary = await source.run((_, raw) => {
    row++;
    const id = raw[ids];
    if ((typeof id !== 'string' && typeof id !== 'number') || id === '') {
      skip(`there is no ${ids}`);
      return;
    }
    const about = aboutOf(raw, by);
    const given: readonly (readonly [Json | undefined, Json | undefined])[] = isLong
      ? [[raw.name, raw.value]]
      : wanted.map((name) => [name, raw[name]]);
    for (const [name, value] of given) {
      if (value === undefined || value === null || value === '') continue;
      const score = scoreOf(value);
      if (score === null || typeof name !== 'string' || name === '') {
        // A column that was not asked for need not be one of scores.
        if (isLong || columns !== undefined) skip(`${name ?? 'name'}: ${JSON.stringify(value)} is no score`);
        continue;
      }
      try {
        batch.push(check({ [key]: id } as unknown as ScoreTarget, name, score, about));
      } catch (error) {
        if (!(error instanceof ConfigError)) throw error;
        skip(error.message);
        continue;
      }
      names.set(name, (names.get(name) ?? 0) + 1);
      scores++;
    }
    if (batch.length < BATCH) return;
    take(batch);
    batch = [];
  });
  take(batch);
  if (scores === 0 && skipped === 0 && summary.rows > 0) {
    throw new ConfigError('columns', `scores in ${path}: numbers, or yes and no`, wanted.join(', '));
  }
  return {
    rows: summary.rows,
    scores,
    names: Object.fromEntries(names),
    skipped: skipped + summary.skipped,
    errors: [...errors, ...summary.errors.map(({ line, message }) => ({ row: line, message }))].slice(
      0,
      ERRORS_KEPT,
    ),
  };
}

function isOther(name: string): boolean {
  return OF_SCORES.includes(name) || SCORE_KEYS.some((key) => name === key || name === snakeCase(key));
}

function aboutOf(
  { by: own, at, comment }: Readonly<Record<string, Json>>,
  by: string | undefined,
): ScoreOptions {
  const judge = typeof own === 'string' && own !== '' ? own : by;
  const atUs = timeOf(at);
  return {
    ...(judge !== undefined && { by: judge }),
    ...(atUs !== null && { at: atUs }),
    ...(typeof comment === 'string' && comment !== '' && { comment }),
  };
}

/** Microseconds, or a date and time. */
function timeOf(at: Json | undefined): number | null {
  if (at === undefined || at === null || at === '') return null;
  const number = Number(at);
  if (Number.isFinite(number)) return number;
  const ms = typeof at === 'string' ? Date.parse(at) : Number.NaN;
  return Number.isFinite(ms) ? ms * 1000 : null;
}

const WORDS: Readonly<Record<string, boolean>> = { true: true, false: false, yes: true, no: false };
const DECIMAL = /^[+-]?(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d+)?$/;

function scoreOf(value: Json): number | boolean | null {
  if (typeof value === 'boolean') return value;
  if (typeof value === 'number') return Number.isFinite(value) ? value : null;
  if (typeof value !== 'string') return null;
  const text = value.trim();
  const word = text.toLowerCase();
  if (Object.hasOwn(WORDS, word)) return WORDS[word]!;
  return DECIMAL.test(text) && Number.isFinite(Number(text)) ? Number(text) : null;
}
