/** Compacting all finished segments of an experiment. */
import { serializeError, type WireError } from '../../errors.js';
import { lossOf } from '../damage.js';
import { readDocument } from '../disk/document.js';
import { isCorrupt, reasonOf } from '../disk/errors.js';
import type { FileSystem } from '../disk/file-system.js';
import { segmentName } from '../disk/paths.js';
import { compactSegment } from './segment-to-parquet.js';

/** What a compaction says while it is at work. */
export type CompactionNews =
  /** A segment's Parquet file is there; the document is to list it, and the Arrow file to be deleted after that. */
  | {
      readonly kind: 'compacted';
      readonly segment: number;
      readonly bytesBefore: number;
      readonly bytes: number;
    }
  /** A segment stays as it is, since it is not as it was written. */
  | { readonly kind: 'skipped'; readonly file: string; readonly reason: string }
  /** There is nothing left to do, or it cannot be done. */
  | { readonly kind: 'ended'; readonly error: WireError | null };

/**
 * Writes the Parquet files of all segments that the document lists and that have none.
 * @param goesOn - asked before each of them
 */
export async function compactAll(
  files: FileSystem,
  folder: string,
  post: (news: CompactionNews) => void,
  goesOn = () => true,
): Promise<void> {
  try {
    for (const record of readDocument(files, folder).segments) {
      if (record.form === 'parquet') continue;
      if (!goesOn()) break;
      try {
        const bytes = await compactSegment(files, folder, record);
        post({ kind: 'compacted', segment: record.segment, bytesBefore: record.bytes, bytes });
      } catch (error) {
        // Deleted meanwhile, since it had become too old.
        if (!isListed(files, folder, record.segment)) continue;
        const file = segmentName(record.segment);
        const loss = lossOf(files, folder, record);
        if (loss !== undefined) post({ kind: 'skipped', file, reason: loss.reason });
        else if (!isCorrupt(error)) throw error;
        else post({ kind: 'skipped', file, reason: reasonOf(error) });
      }
    }
    post({ kind: 'ended', error: null });
  } catch (error) {
    post({ kind: 'ended', error: serializeError(error) });
  }
}

function isListed(files: FileSystem, folder: string, segment: number): boolean {
  return readDocument(files, folder).segments.some((record) => record.segment === segment);
}
