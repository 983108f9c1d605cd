/** Scores: what judges, tests and people find out about an experiment's events, while it runs or after. */

import { join } from 'node:path';
import { checkOptions, type OptionNames } from '../check-options.js';
import type { Clock } from '../clock.js';
import { ConfigError } from '../errors.js';
import { type Score, ScoreTable } from '../readers/score-table.js';
import { SCORE_KEYS, type ScoreColumn, type ScoreKey } from '../readers/scored.js';
import { nodeFileSystem } from '../storage/disk/file-system.js';
import { SCORES_FOLDER } from '../storage/disk/paths.js';
import { type JournalRecord, JournalWriter } from '../storage/journal.js';
import type { DurableOptions } from './options.js';

/** What a score is of: one of these. */
export type ScoreTarget =
  | { readonly eventId: string }
  | { readonly responseId: string }
  | { readonly sampleId: string | number }
  | { readonly sessionId: string | number };

export type { Score };

export interface ScoreOptions {
  /** Who says so: a model, a test, a person. Of one judge the last score counts, of several their mean. */
  readonly by?: string | undefined;
  /** When that was found, µs since the Unix epoch; now by default. */
  readonly at?: number | undefined;
  readonly comment?: string | undefined;
}

const OPTIONS: OptionNames<ScoreOptions> = { by: true, at: true, comment: true };
const NAME_MAX = 256;
const ID_MAX = 1024;
const COMMENT_MAX = 65_536;

/** A score that can be written. */
export type CheckedScore = Omit<Score, 'writtenAt' | 'at'> & { readonly at: number | null };

/** @throws ConfigError naming the part */
export function checkScore(
  target: unknown,
  name: unknown,
  value: unknown,
  options: ScoreOptions = {},
): CheckedScore {
  const [key, id] = targetOf(target);
  requireText('name', name, NAME_MAX);
  if (typeof value !== 'boolean' && !(typeof value === 'number' && Number.isFinite(value))) {
    throw new ConfigError('value', 'a finite number, true or false', value);
  }
  checkOptions(options, OPTIONS);
  const { by, at, comment } = options;
  if (by !== undefined) requireText('by', by, NAME_MAX);
  if (comment !== undefined && (typeof comment !== 'string' || comment.length > COMMENT_MAX)) {
    throw new ConfigError('comment', `a text of at most ${COMMENT_MAX} characters`, comment);
  }
  if (at !== undefined && !(typeof at === 'number' && Number.isFinite(at))) {
    throw new ConfigError('at', 'microseconds since the Unix epoch', at);
  }
  return { key, id, name, value, by: by ?? null, at: at ?? null, comment: comment ?? null };
}

function targetOf(target: unknown): [ScoreKey, string] {
  const given = typeof target === 'object' && target !== null ? Object.entries(target) : [];
  const [[key, id] = []] = given;
  if (given.length !== 1 || !SCORE_KEYS.includes(key as ScoreKey)) {
    throw new ConfigError('target', `one of ${SCORE_KEYS.map((each) => `{ ${each} }`).join(', ')}`, target);
  }
  if (typeof id === 'number' && Number.isFinite(id)) return [key as ScoreKey, String(id)];
  requireText(`target.${key}`, id, ID_MAX);
  return [key as ScoreKey, id];
}

function requireText(path: string, value: unknown, max: number): asserts value is string {
  if (typeof value !== 'string' || value === '' || value.length > max) {
    throw new ConfigError(path, `a text of 1 to ${max} characters`, value);
  }
}

/** All scores of an experiment: of this process, and where it has a folder of all others. */
export class ScoreBook {
  readonly #clock: Clock;
  readonly #options: DurableOptions | null;
  readonly #writer: JournalWriter | null;
  readonly #table: ScoreTable;
  #lastWrittenAt = 0;
  #columns: { readonly version: number; readonly columns: readonly ScoreColumn[] } | undefined;

  /** @param place - the experiment's folder, and how it is written; null in memory */
  constructor(place: { folder: string; options: DurableOptions } | null, clock: Clock) {
    this.#clock = clock;
    this.#options = place?.options ?? null;
    const folder = place && join(place.folder, SCORES_FOLDER);
    const modes = { folder: place?.options.folderMode, file: place?.options.fileMode };
    this.#table = new ScoreTable(place?.folder ?? null);
    this.#writer = folder === null ? null : new JournalWriter(nodeFileSystem, folder, modes);
  }

  /** Appended when this returns; see `synced`. @throws StorageError */
  add(score: CheckedScore): void {
    this.addAll([score]);
  }

  addAll(scores: readonly CheckedScore[]): void {
    const written = scores.map((score): Score => {
      const nowUs = this.#clock.nowUs();
      this.#lastWrittenAt = Math.max(this.#lastWrittenAt + 1, nowUs);
      return { ...score, at: score.at ?? nowUs, writtenAt: this.#lastWrittenAt };
    });
    if (this.#writer === null) {
      for (const score of written) this.#table.note(score);
      return;
    }
    this.#writer.appendAll(written as unknown as JournalRecord[]);
    const { fsync, flushIntervalMs } = this.#options as DurableOptions;
    if (fsync === 'always') this.#writer.sync();
    if (fsync === 'interval') this.#writer.syncWithin(flushIntervalMs);
  }

  /** Those that count. */
  all(): Score[] {
    return this.#table.all();
  }

  /** As they are joined to rows; of a name, ascending. */
  columns(): readonly ScoreColumn[] {
    const scores = this.#table.all();
    const { version } = this.#table;
    if (this.#columns?.version !== version) this.#columns = { version, columns: columnsOf(scores) };
    return this.#columns.columns;
  }

  /** Resolves when all scores of this process are safe from a power cut. @throws StorageError */
  async synced(): Promise<void> {
    await this.#writer?.synced();
  }

  async close(): Promise<void> {
    await this.#writer?.close();
  }
}

function columnsOf(scores: readonly Score[]): ScoreColumn[] {
  const names = [...new Set(scores.map(({ name }) => name))].sort();
  return names.map((name) =>
    columnOf(
      name,
      scores.filter((score) => score.name === name),
    ),
  );
}

function columnOf(name: string, scores: readonly Score[]): ScoreColumn {
  const of: Partial<Record<ScoreKey, Map<string, number>>> = {};
  const sums: number[] = [];
  const judges: number[] = [];
  for (const { key, id, value } of scores) {
    of[key] ??= new Map();
    let place = of[key].get(id);
    if (place === undefined) {
      place = sums.push(0) - 1;
      judges.push(0);
      of[key].set(id, place);
    }
    sums[place] += Number(value);
    judges[place]++;
  }
  const isFlag =
    scores.every(({ value }) => typeof value === 'boolean') && judges.every((count) => count === 1);
  return {
    name: `score.${name}`,
    type: isFlag ? 'bool' : 'f64',
    of,
    values: Float64Array.from(sums, (sum, place) => sum / judges[place]),
  };
}
