/**
 * The segments of an experiment as its readers see them: refs to all record batches in them.
 *
 * What is known of a file is kept, and only what has been appended since is looked at again. A batch's body is read
 * and verified when somebody wants its rows. Of a segment that became Parquet a whole row group is decoded for that,
 * and kept, since the next batch is most likely in it too.
 */
import { join } from 'node:path';
import { CHUNK_ROWS } from '../../../assembly/layout.js';
import { TelemetryError } from '../../errors.js';
import type { Batch, BatchRef } from '../../ring/batch.js';
import { guarded, ofSystem, systemCodeOf } from '../../system-errors.js';
import { readParquetIndex } from '../compaction/parquet-footer.js';
import { DecodedGroups, groupOf, ParquetFileReader } from '../compaction/parquet-reader.js';
import { type DamagedBatch, DamageLedger, lossOf, replacedLoss } from '../damage.js';
import { readDocument, type SegmentRecord } from '../disk/document.js';
import { ifThere, isCorrupt, reasonOf } from '../disk/errors.js';
import { type FileStat, type FileSystem, versionOf } from '../disk/file-system.js';
import {
  compactedName,
  DOCUMENT,
  parseCompactedName,
  parseSegmentName,
  segmentFileName,
  segmentName,
} from '../disk/paths.js';
import type { BatchEntry, BatchPlace, Dictionaries, SegmentColumns, SegmentIdentity } from './format.js';
import { readBatch } from './reader.js';
import { type SegmentIndex, scanSegment } from './scan.js';

/** Which files of a segment are there: both while it is being compacted. */
export interface SegmentFiles {
  readonly segment: number;
  readonly arrow: boolean;
  readonly parquet: boolean;
}

/** The segments that there are files of, ascending. */
export function segmentFiles(files: FileSystem, folder: string): SegmentFiles[] {
  const names = files.list(folder);
  const arrow = new Set(names.flatMap((name) => parseSegmentName(name) ?? []));
  const parquet = new Set(names.flatMap((name) => parseCompactedName(name) ?? []));
  return [...new Set([...arrow, ...parquet])]
    .sort((a, b) => a - b)
    .map((segment) => ({ segment, arrow: arrow.has(segment), parquet: parquet.has(segment) }));
}

interface KnownSegment {
  /** null when it is Parquet: then it does not grow. */
  readonly arrow: SegmentIndex | null;
  readonly identity: SegmentIdentity;
  /** The file as it was when it was looked at. */
  readonly stat: FileStat;
  readonly texts: Dictionaries;
  /** One for each batch. */
  readonly refs: SegmentRef[];
}

export class Segments {
  readonly files: FileSystem;
  readonly columns: SegmentColumns;
  readonly #folder: string;
  readonly #experimentId: string;
  /** What has been found lost. */
  readonly ledger: DamageLedger;
  readonly #known = new Map<number, KnownSegment>();
  /** Files that cannot be used at all, by their paths, and why. */
  readonly #unusable = new Map<string, string>();
  /** Batches that could not be read. */
  readonly #broken = new Set<SegmentRef>();
  /** Finished segments as the document lists them, and the document that did. */
  #listed: ReadonlyMap<number, SegmentRecord> = new Map();
  #documentSeen = '';
  /** The file that was read last stays open for the next batch. */
  #open: { path: string; fd: number } | undefined;
  #openParquet: ParquetFileReader | undefined;
  readonly #groups = new DecodedGroups();

  /** @param ledger - is told of what is found lost */
  constructor(
    files: FileSystem,
    folder: string,
    columns: SegmentColumns,
    experimentId: string,
    ledger = new DamageLedger(folder),
  ) {
    this.files = files;
    this.#folder = folder;
    this.columns = columns;
    this.#experimentId = experimentId;
    this.ledger = ledger;
  }

  /** What has been found damaged, and what cannot be used in the files as they were last listed. */
  get damaged(): DamagedBatch[] {
    const { entries } = this.ledger;
    const found: DamagedBatch[] = [];
    const note = (path: string, offset: number, reason: string) => {
      const isKnown = entries.some((entry) => entry.path === path && entry.offset <= offset);
      if (!isKnown) found.push({ path, offset, bytes: null, rows: null, reason });
    };
    for (const [path, reason] of this.#unusable) note(path, 0, reason);
    for (const [segment, { arrow }] of this.#known) {
      for (const { offset, reason } of arrow?.damage ?? []) note(this.#path(segment), offset, reason);
    }
    return [...entries, ...found];
  }

  /** The dictionaries that batches refer to: each segment's continue those of the one before. */
  get texts(): Dictionaries {
    let bindings: readonly string[] = [];
    let strings: readonly string[] = [];
    for (const { texts } of this.#known.values()) {
      if (texts.bindings.length > bindings.length) bindings = texts.bindings;
      if (texts.strings.length > strings.length) strings = texts.strings;
    }
    return { bindings, strings };
  }

  /** All batches there are now, by segment; a row may be in two of them. @throws StorageError */
  refs(): BatchRef[] {
    return guarded('list the segments in', this.#folder, () => this.#refs());
  }

  #refs(): BatchRef[] {
    const present = segmentFiles(this.files, this.#folder);
    const numbers = new Set(present.map(({ segment }) => segment));
    this.#unusable.clear();
    for (const number of this.#known.keys()) if (!numbers.has(number)) this.#forget(number);
    for (const found of present) this.#update(found);
    this.#readListed();
    for (const record of this.#listed.values()) this.#compare(record);
    const refs = present.flatMap(({ segment }) => this.#known.get(segment)?.refs ?? []);
    return this.#broken.size === 0 ? refs : refs.filter((ref) => !this.#broken.has(ref));
  }

  /** What the document lists; what it last listed, while it cannot be read. */
  #readListed(): void {
    const stat = ifThere(() => this.files.stat(join(this.#folder, DOCUMENT)));
    if (stat === undefined) return;
    const seen = versionOf(stat);
    if (seen === this.#documentSeen) return;
    try {
      const { segments } = readDocument(this.files, this.#folder);
      this.#listed = new Map(segments.map((record) => [record.segment, record]));
      this.#documentSeen = seen;
    } catch (error) {
      if (!(error instanceof TelemetryError)) throw error;
    }
  }

  /** Whether a finished segment still has the rows that it is listed with. */
  #compare(record: SegmentRecord): void {
    const loss = lossOf(this.files, this.#folder, record) ?? this.#missingIn(record);
    if (loss === undefined) return;
    // It may have expired, or been compacted, since the document was read.
    this.#readListed();
    if (this.#listed.get(record.segment)?.form === record.form) this.ledger.add(loss);
  }

  /** What is missing of a file that is as long as it was. */
  #missingIn(record: SegmentRecord): DamagedBatch | undefined {
    const { segment, form, bytes, rows } = record;
    const path = join(this.#folder, segmentFileName(segment, form));
    const whole = { path, offset: 0, bytes: null };
    const unusable = this.#unusable.get(path);
    if (unusable !== undefined) return { ...whole, rows, reason: unusable };
    const known = this.#known.get(segment);
    if (known !== undefined && (known.arrow === null) === (form === 'parquet')) {
      const places = known.refs.map(({ place }) => place);
      const { identity } = known;
      const replaced = replacedLoss(this.#folder, record, this.#experimentId, { identity, places });
      if (replaced !== undefined) return replaced;
    }
    // Of a file that grows it is the past that was looked at.
    if (known?.arrow == null || form !== 'arrow' || known.arrow.fileBytes < bytes) return undefined;
    const missing = rows - known.refs.reduce((sum, ref) => sum + ref.rows, 0);
    if (missing <= 0) return undefined;
    const at = known.arrow.damage.find((damage) => damage.bytes === null);
    const reason = at?.reason ?? 'it has fewer rows than it had';
    return { ...whole, offset: at?.offset ?? known.arrow.validBytes, rows: missing, reason };
  }

  #update({ segment, arrow }: SegmentFiles): void {
    const path = this.#path(segment);
    if (arrow && this.#attempt(path, () => this.#updateArrow(segment, path))) return;
    // It may have become Parquet since the folder was listed.
    const compacted = this.#compactedPath(segment);
    this.#attempt(compacted, () => this.#updateParquet(segment, compacted));
  }

  /** @returns whether the file is there, of use or not */
  #attempt(path: string, update: () => void): boolean {
    try {
      update();
      return true;
    } catch (error) {
      if (isGone(error)) return false;
      if (!isCorrupt(error)) throw error;
      // Otherwise it is not even begun.
      if (error.context.isCut !== true) this.#unusable.set(path, error.message);
      return true;
    }
  }

  #updateArrow(segment: number, path: string): void {
    let known = this.#known.get(segment);
    if (known?.arrow === null) return;
    const stat = this.files.stat(path);
    if (known?.arrow.ended === true && versionOf(stat) === versionOf(known.stat)) return;
    // Replaced, or changed where nothing was to change any more: what is there now is looked at from its beginning.
    let broken: readonly number[] = [];
    if (known !== undefined && (known.arrow?.ended === true || known.stat.id !== stat.id)) {
      broken = known.refs.filter((ref) => this.#broken.has(ref)).map(({ batch }) => batch);
      this.#forget(segment);
      known = undefined;
    }
    const index = scanSegment(this.files, path, { from: known?.arrow ?? undefined });
    if (known !== undefined && index.fileBytes < index.validBytes) {
      // Cut off: whoever listed it, or is writing it, tells what that has cost.
      this.#forget(segment);
      this.#updateArrow(segment, path);
    } else if (this.#isMine(path, index.identity)) {
      const { identity } = index;
      this.#know(
        segment,
        { arrow: index, identity, stat, texts: index, refs: known?.refs ?? [] },
        index.entries,
      );
      // What was found lost stays so.
      const { refs } = this.#known.get(segment)!;
      for (const ref of refs) if (broken.includes(ref.batch)) this.#broken.add(ref);
    }
  }

  #updateParquet(segment: number, path: string): void {
    const known = this.#known.get(segment);
    const stat = this.files.stat(path);
    if (known?.arrow === null && versionOf(stat) === versionOf(known.stat)) return;
    const index = readParquetIndex(this.files, path);
    this.#forget(segment);
    if (this.#isMine(path, index.identity)) {
      const { identity } = index;
      this.#know(segment, { arrow: null, identity, stat, texts: index, refs: [] }, index.places);
    }
  }

  #isMine(path: string, { experimentId }: SegmentIdentity): boolean {
    if (experimentId === this.#experimentId) return true;
    this.#unusable.set(path, `it belongs to experiment ${experimentId}`);
    return false;
  }

  #know(segment: number, known: KnownSegment, places: readonly (BatchPlace | BatchEntry)[]): void {
    const { refs } = known;
    for (let i = refs.length; i < places.length; i++) refs.push(new SegmentRef(this, segment, i, places[i]));
    this.#known.set(segment, known);
  }

  #forget(segment: number): void {
    // What is open is the file that was there.
    this.close();
    for (const ref of this.#known.get(segment)?.refs ?? []) this.#broken.delete(ref);
    this.#known.delete(segment);
  }

  #path(segment: number): string {
    return join(this.#folder, segmentName(segment));
  }

  #compactedPath(segment: number): string {
    return join(this.#folder, compactedName(segment));
  }

  /** @internal For SegmentRef. */
  read(ref: SegmentRef): MaybePromise<Batch | undefined> {
    const { segment, place } = ref;
    if (!('offset' in place)) return this.#readCompacted(ref);
    const path = this.#path(segment);
    try {
      if (this.#open?.path !== path) {
        this.#closeArrow();
        this.#open = { path, fd: this.files.open(path, 'r') };
      }
      return readBatch(
        this.files,
        this.#open.fd,
        place,
        this.columns,
        this.#known.get(segment)?.texts ?? this.texts,
      );
    } catch (error) {
      // Compacted since the ref was made: it has the same batches.
      if (isGone(error)) return this.#readCompacted(ref);
      if (isCorrupt(error) && this.#isCut(ref, path, place)) return undefined;
      return this.#blame(error, path, [ref]);
    }
  }

  /** Whether the file ends before a batch's end. It was cut off: by its writer, who keeps the rows elsewhere, or by others. */
  #isCut({ segment }: SegmentRef, path: string, { offset, bytes }: BatchEntry): boolean {
    const stat = ifThere(() => this.files.stat(path));
    if (stat !== undefined && stat.bytes >= offset + bytes) return false;
    this.#compareListed(segment);
    return true;
  }

  #compareListed(segment: number): void {
    this.#readListed();
    const record = this.#listed.get(segment);
    if (record !== undefined) this.#compare(record);
  }

  async #readCompacted(ref: SegmentRef): Promise<Batch | undefined> {
    const { segment, batch } = ref;
    const path = this.#compactedPath(segment);
    let affected: readonly SegmentRef[] = [ref];
    try {
      if (this.#openParquet?.path !== path) {
        this.#closeParquet();
        this.#openParquet = new ParquetFileReader(this.files, path, readParquetIndex(this.files, path));
      }
      const reader = this.#openParquet;
      const { firstBatch, batches } = groupOf(reader.index, batch);
      const { refs } = this.#known.get(segment) ?? { refs: affected };
      affected = refs.filter((other) => other.batch >= firstBatch && other.batch < firstBatch + batches);
      return await this.#groups.batch(reader, batch);
    } catch (error) {
      if (!isGone(error)) return this.#blame(error, path, affected);
      this.#compareListed(segment);
      return undefined;
    }
  }

  /** Notes that `refs` cannot be read. @throws the error, unless it says that bytes have changed */
  #blame(error: unknown, path: string, refs: readonly SegmentRef[]): undefined {
    if (!isCorrupt(error)) throw ofSystem(error, 'read a segment at', path);
    for (const ref of refs) this.#broken.add(ref);
    const lost = refs.filter((ref) => !this.#isElsewhere(ref));
    const { offset, bytes } = error.context;
    this.ledger.add({
      path,
      offset: typeof offset === 'number' ? offset : 0,
      bytes: typeof bytes === 'number' ? bytes : null,
      rows: lost.reduce((sum, { rows }) => sum + rows, 0),
      reason: reasonOf(error),
    });
  }

  /** Whether other batches have all of a batch's rows: of a copy, or written again after an error of the disk. */
  #isElsewhere({ firstSequence, rows }: SegmentRef): boolean {
    const end = firstSequence + rows;
    const others = [...this.#known.values()]
      .flatMap(({ refs }) => refs)
      .filter((ref) => ref.firstSequence < end && ref.firstSequence + ref.rows > firstSequence)
      .filter((ref) => !this.#broken.has(ref))
      .sort((a, b) => a.firstSequence - b.firstSequence);
    let covered = firstSequence;
    for (const ref of others)
      if (ref.firstSequence <= covered) covered = Math.max(covered, ref.firstSequence + ref.rows);
    return covered >= end;
  }

  /** Lets go of the open files; reading opens them again. */
  close(): void {
    this.#closeArrow();
    this.#closeParquet();
    this.#groups.clear();
  }

  #closeArrow(): void {
    if (this.#open !== undefined) this.files.close(this.#open.fd);
    this.#open = undefined;
  }

  #closeParquet(): void {
    this.#openParquet?.close();
    this.#openParquet = undefined;
  }
}

type MaybePromise<T> = T | Promise<T>;

class SegmentRef implements BatchRef {
  readonly firstSequence: number;
  readonly rows: number;
  readonly producer: number;
  readonly timeMinUs: number;
  readonly timeMaxUs: number;
  readonly segment: number;
  /** The batch's number within the segment, whichever form that has. */
  readonly batch: number;
  readonly place: BatchPlace | BatchEntry;
  private readonly segments: Segments;

  constructor(segments: Segments, segment: number, batch: number, place: BatchPlace | BatchEntry) {
    this.firstSequence = place.chunk * CHUNK_ROWS + place.firstRow;
    this.rows = place.rows;
    this.producer = place.producer;
    this.timeMinUs = place.timeMinUs;
    this.timeMaxUs = place.timeMaxUs;
    this.segments = segments;
    this.segment = segment;
    this.batch = batch;
    this.place = place;
  }

  read(): MaybePromise<Batch | undefined> {
    return this.segments.read(this);
  }
}

/** Deleted: its rows have expired, are in the segment's other file, or were taken away. */
function isGone(error: unknown): boolean {
  return systemCodeOf(error) === 'ENOENT';
}
