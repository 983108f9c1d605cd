/**
 * The segment being written: its file, what is staged for it, and how far it is written and synced.
 *
 * A write that fails part way is repeated from where it began; bytes already there are the same.
 */
import type { SegmentRecord } from '../disk/document.js';
import { clearUp, ifThere } from '../disk/errors.js';
import { type FileSystem, writeFully } from '../disk/file-system.js';
import { SegmentEncoder } from './encoder.js';
import type { BatchEntry, BatchPlace, SegmentIdentity } from './format.js';

/** Rows of a chunk that became a batch of the segment. */
export interface Take {
  readonly chunk: number;
  readonly generation: number;
  /** First row in the chunk. */
  readonly from: number;
  readonly rows: number;
  /** Chunks that are given back with it, at the least. */
  readonly chunks: number;
  readonly entry: BatchEntry;
}

export class SegmentWriter {
  readonly number: number;
  readonly path: string;
  readonly encoder: SegmentEncoder;
  /** In the encoder, or in `#pending`. */
  staged: Take[] = [];
  /** Written, and not known to be on disk. */
  unsynced: Take[] = [];
  /** What is on disk. */
  readonly synced: Take[] = [];
  readonly #files: FileSystem;
  readonly #fd: number;
  /** The encoder's bytes, while a write of them has not succeeded. A view: nothing may be staged until it has. */
  #pending: Uint8Array | undefined;
  #writtenBytes = 0;
  #syncedBytes = 0;
  #isNamed = false;
  #isEnding = false;

  /** @param fd - a new file, which is this writer's from now on */
  constructor(files: FileSystem, fd: number, path: string, identity: SegmentIdentity) {
    this.#files = files;
    this.#fd = fd;
    this.path = path;
    this.number = identity.segment;
    this.encoder = new SegmentEncoder(identity);
    this.encoder.begin();
  }

  /** Written bytes. */
  get bytes(): number {
    return this.#writtenBytes;
  }

  get unsyncedBytes(): number {
    return this.#writtenBytes - this.#syncedBytes;
  }

  get unsyncedChunks(): number {
    return this.unsynced.reduce((sum, { chunks }) => sum + chunks, 0);
  }

  /** Its end is staged: nothing more may be. */
  get isEnding(): boolean {
    return this.#isEnding;
  }

  beginEnd(): void {
    if (this.#isEnding) return;
    this.encoder.end();
    this.#isEnding = true;
  }

  stage(take: Take): void {
    this.staged.push(take);
  }

  /** Hands everything staged to the file system. @returns what has become written; nothing has when it throws */
  write(): readonly Take[] {
    if (this.#pending === undefined) {
      if (this.encoder.stagedBytes === 0) return [];
      this.#pending = this.encoder.take();
    }
    this.#writtenBytes = writeFully(this.#files, this.#fd, [this.#pending], this.#writtenBytes);
    this.#pending = undefined;
    const written = this.staged;
    this.staged = [];
    this.unsynced.push(...written);
    return written;
  }

  /**
   * Makes what is written, and the file's name, durable.
   * @returns what has become so; undefined when the file is not in place any more, and nothing has
   */
  sync(folder: string): readonly Take[] | undefined {
    this.#files.sync(this.#fd);
    if (!this.#isNamed) this.#files.syncFolder(folder);
    this.#isNamed = true;
    if (!this.isInPlace()) return undefined;
    this.#syncedBytes = this.#writtenBytes;
    const synced = this.unsynced;
    this.unsynced = [];
    this.synced.push(...synced);
    return synced;
  }

  /** Closes a segment of which everything is synced. */
  end(): SegmentRecord {
    this.close();
    return recordOf(this.number, {
      entries: entriesOf(this.synced),
      validBytes: this.#syncedBytes,
      ended: true,
    });
  }

  /**
   * Closes the file after an error, and cuts off what is written again elsewhere.
   * @param kept - how many of `unsynced` are not, and stay in the file, whatever becomes of them
   * @returns undefined when nothing is left of it
   */
  abandon(kept: number): SegmentRecord | undefined {
    const last = this.unsynced[kept - 1];
    const bytes = last === undefined ? this.#syncedBytes : last.entry.offset + last.entry.bytes;
    // The disk may refuse this too; a reader goes by the record and by the sequences of the rows.
    clearUp(() => this.#files.truncate(this.#fd, bytes));
    this.close();
    if (bytes === 0) {
      clearUp(() => this.#files.unlink(this.path));
      return undefined;
    }
    const unsynced = this.unsynced.slice(0, kept);
    const entries = entriesOf([...this.synced, ...unsynced]);
    const record = recordOf(this.number, { entries, validBytes: bytes, ended: false });
    const unsyncedRows = unsynced.reduce((sum, { rows }) => sum + rows, 0);
    return unsyncedRows === 0 ? record : { ...record, unsyncedRows };
  }

  /**
   * Whether readers find the file where they look for it, with all that was written. A folder that is cleared up, or a
   * file that is moved, cut off or replaced, fails no write.
   */
  isInPlace(): boolean {
    const { bytes, links, id } = this.#files.stat(this.#fd);
    if (links === 0 || bytes < this.#writtenBytes) return false;
    return ifThere(() => this.#files.stat(this.path))?.id === id;
  }

  /** Whether the file has no name any more; else it may be somewhere. */
  isDeleted(): boolean {
    return this.#files.stat(this.#fd).links === 0;
  }

  /** Lets go of the file as it is. */
  close(): void {
    clearUp(() => this.#files.close(this.#fd));
  }
}

const entriesOf = (takes: readonly Take[]): BatchEntry[] => takes.map(({ entry }) => entry);

/** What a document says of a segment: the rows that were written to it, and the bytes that it must have. */
export function recordOf(
  segment: number,
  { entries, validBytes, ended }: { entries: readonly BatchPlace[]; validBytes: number; ended: boolean },
): SegmentRecord {
  let rows = 0;
  let timeMinUs = Number.POSITIVE_INFINITY;
  let timeMaxUs = Number.NEGATIVE_INFINITY;
  let lastChunk = -1;
  for (const entry of entries) {
    rows += entry.rows;
    timeMinUs = Math.min(timeMinUs, entry.timeMinUs);
    timeMaxUs = Math.max(timeMaxUs, entry.timeMaxUs);
    lastChunk = Math.max(lastChunk, entry.chunk);
  }
  const isEmpty = rows === 0;
  return {
    segment,
    form: 'arrow',
    bytes: validBytes,
    rows,
    timeMinUs: isEmpty ? null : timeMinUs,
    timeMaxUs: isEmpty ? null : timeMaxUs,
    lastChunk: isEmpty ? null : lastChunk,
    ended,
  };
}
