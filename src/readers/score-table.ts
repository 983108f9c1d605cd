/** The scores of an experiment that count: of each judge the last, in memory and from the folder where there is one. */
import { join } from 'node:path';
import { nodeFileSystem } from '../storage/disk/file-system.js';
import { SCORES_FOLDER } from '../storage/disk/paths.js';
import { JournalReader, type JournalRecord } from '../storage/journal.js';
import { SCORE_KEYS, type ScoreKey } from './scored.js';

/** A score as it counts: the last of its judge. */
export interface Score {
  readonly key: ScoreKey;
  readonly id: string;
  readonly name: string;
  readonly value: number | boolean;
  readonly by: string | null;
  /** µs since the Unix epoch: when it was found, and when it was written. */
  readonly at: number;
  readonly writtenAt: number;
  readonly comment: string | null;
}

export class ScoreTable {
  readonly #reader: JournalReader | null;
  /** By what is scored, name and judge. */
  readonly #scores = new Map<string, Score>();
  /** Another number whenever a score has come. */
  version = 0;

  /** @param folder - of the experiment; null in memory */
  constructor(folder: string | null) {
    this.#reader = folder === null ? null : new JournalReader(nodeFileSystem, join(folder, SCORES_FOLDER));
  }

  note(score: Score): void {
    const key = JSON.stringify([score.key, score.id, score.name, score.by]);
    const known = this.#scores.get(key);
    if (known !== undefined && known.writtenAt > score.writtenAt) return;
    this.#scores.set(key, score);
    this.version++;
  }

  /** Whatever any process has written until now. @throws StorageError */
  all(): Score[] {
    for (const record of this.#reader?.read() ?? []) {
      if (isScore(record)) this.note(record as unknown as Score);
    }
    return [...this.#scores.values()];
  }
}

/** Whether this version has written it. */
function isScore({ key, id, name, value, by, writtenAt }: JournalRecord): boolean {
  return (
    SCORE_KEYS.includes(key as ScoreKey) &&
    typeof id === 'string' &&
    typeof name === 'string' &&
    (typeof value === 'number' || typeof value === 'boolean') &&
    (typeof by === 'string' || by === null) &&
    typeof writtenAt === 'number'
  );
}
