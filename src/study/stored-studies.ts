/** What studies there are in a folder: their plans and their books. */
import { basename } from 'node:path';
import { serializeError, type WireError } from '../errors.js';
import { absolutePath } from '../system-errors.js';
import { type Contribution, FolderBook, type Look, studyFolders } from './book.js';
import type { StudyPlan } from './plan.js';

/** A study on disk. Times in µs since the Unix epoch. */
export interface StoredStudy {
  /** Null where its plan cannot be read: `error` says why. */
  readonly name: string | null;
  readonly folder: string;
  readonly plan: StudyPlan | null;
  /** SHA-256 of the plan. */
  readonly hash: string | null;
  readonly plannedAt: number | null;
  readonly contributions: readonly Contribution[];
  readonly looks: readonly Look[];
  readonly error: Pick<WireError, 'code' | 'message'> | null;
}

/** The studies under `dir`, in the order of their folders' names. Nothing is changed. @throws StorageError when the folder cannot be read */
export function listStudies(dir: string): StoredStudy[] {
  return studyFolders(absolutePath('dir', dir)).map(look);
}

function look(folder: string): StoredStudy {
  try {
    const book = FolderBook.open(folder, {});
    return {
      name: book.plan.study,
      folder,
      plan: book.plan,
      hash: book.hash,
      plannedAt: book.plannedAt,
      contributions: book.contributions(),
      looks: book.looks(),
      error: null,
    };
  } catch (error) {
    const { code, message } = serializeError(error);
    const nothing = { plan: null, hash: null, plannedAt: null, contributions: [], looks: [] };
    return { name: null, folder: basename(folder), ...nothing, error: { code, message } };
  }
}
