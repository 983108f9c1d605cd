/** RowTable: rows picked from many batches, as columns that grow. */
import { FLAG_BLOB } from '../../assembly/layout.js';
import type { Batch, Columns, DeclaredValues } from '../ring/batch.js';
import type { EventRow } from '../schema/event.js';
import { decode, type RowSource } from './rows.js';

type Column = Float64Array | Int32Array | Uint32Array;

/** Rows on their way between threads; all its memory can be transferred. */
export interface PackedRows extends Omit<Columns, 'blob'> {
  /** Not a Buffer: what arrives in another thread is none. */
  readonly blob: Uint8Array;
  readonly sequences: Float64Array;
  readonly producers: Int32Array;
}

/** The events in packed rows. */
export function eventsOfPacked(source: RowSource, packed: PackedRows): EventRow[] {
  const { buffer, byteOffset, byteLength } = packed.blob;
  const columns = { ...packed, blob: Buffer.from(buffer, byteOffset, byteLength) };
  const events = new Array<EventRow>(packed.rows);
  for (let row = 0; row < packed.rows; row++) {
    events[row] = decode(source, columns, row, packed.producers[row], packed.sequences[row]);
  }
  return events;
}

const CAPACITY_MIN = 1024;

export class RowTable implements Columns {
  rows = 0;
  timeUs = new Float64Array(0);
  latencyMs = new Float64Array(0);
  costUsd = new Float64Array(0);
  promptTokens = new Int32Array(0);
  completionTokens = new Int32Array(0);
  tags = new Uint32Array(0);
  blobOffsets = new Uint32Array(0);
  blob: Buffer = Buffer.alloc(0);
  declared: DeclaredValues[] = [];
  /** As a batch has it. */
  shared: (Float64Array | null)[] | undefined;
  /** Bytes of `blob` in use. */
  blobBytes = 0;

  /** Where a row's part of `blob` ends. */
  blobEnds = new Uint32Array(0);
  /** Each row's place in capture order. */
  sequences = new Float64Array(0);
  producers = new Int32Array(0);

  /** Forgets the rows and keeps the memory. */
  clear(): void {
    this.rows = 0;
    this.blobBytes = 0;
  }

  /** Appends rows of a batch. @param picked - their indices, ascending */
  add(batch: Batch, picked: Uint32Array): void {
    if (picked.length === 0) return;
    const at = this.rows;
    this.reserve(at + picked.length, batch);
    copy(batch.timeUs, picked, this.timeUs, at);
    copy(batch.latencyMs, picked, this.latencyMs, at);
    copy(batch.costUsd, picked, this.costUsd, at);
    copy(batch.promptTokens, picked, this.promptTokens, at);
    copy(batch.completionTokens, picked, this.completionTokens, at);
    copy(batch.tags, picked, this.tags, at);
    this.declared.forEach((values, column) => {
      copy(batch.declared[column], picked, values, at);
    });
    this.shared?.forEach((numbers, column) => {
      if (numbers !== null) copy(batch.shared![column]!, picked, numbers, at);
    });
    this.addBlobs(batch, picked, at);
    for (let i = 0; i < picked.length; i++) this.sequences[at + i] = batch.firstSequence + picked[i];
    this.producers.fill(batch.producer, at, at + picked.length);
    this.rows += picked.length;
  }

  /** Those of the rows that come after an instant and sequence. */
  after(rows: Uint32Array, timeUs: number, sequence: number): Uint32Array {
    return rows.filter((row) => {
      const time = Math.floor(this.timeUs[row]);
      return time > timeUs || (time === timeUs && this.sequences[row] > sequence);
    });
  }

  /** The picked rows, in the order given, as they can be sent to another thread. */
  pack(picked: Uint32Array): PackedRows {
    const first = picked[0];
    const isRun = picked.every((row, i) => row === first + i);
    const taken = <T extends Column>(column: T): T =>
      (isRun ? column.slice(first, first + picked.length) : gather(column, picked)) as T;
    let blobBytes = 0;
    for (const row of picked) blobBytes += this.blobBytesOf(row);
    const blob = new Uint8Array(blobBytes);
    const blobOffsets = new Uint32Array(picked.length);
    let used = 0;
    picked.forEach((row, i) => {
      blobOffsets[i] = used;
      if (this.hasBlob(row)) used += this.blob.copy(blob, used, this.blobOffsets[row], this.blobEnds[row]);
    });
    return {
      rows: picked.length,
      timeUs: taken(this.timeUs),
      latencyMs: taken(this.latencyMs),
      costUsd: taken(this.costUsd),
      promptTokens: taken(this.promptTokens),
      completionTokens: taken(this.completionTokens),
      tags: taken(this.tags),
      blobOffsets,
      blob,
      declared: this.declared.map((values) => taken(values)),
      sequences: taken(this.sequences),
      producers: taken(this.producers),
    };
  }

  /** Bytes of the row without a column. */
  blobBytesOf(row: number): number {
    return this.hasBlob(row) ? this.blobEnds[row] - this.blobOffsets[row] : 0;
  }

  private hasBlob(row: number): boolean {
    return (this.tags[row] & FLAG_BLOB) !== 0;
  }

  event(source: RowSource, row: number): EventRow {
    return decode(source, this, row, this.producers[row], this.sequences[row]);
  }

  /** Copies the picked rows' parts of the blob. A part ends where the next one begins. */
  private addBlobs({ rows, tags, blobOffsets, blob }: Batch, picked: Uint32Array, at: number): void {
    let end = blob.length;
    for (let row = rows - 1, i = picked.length - 1; i >= 0; row--) {
      const isPicked = picked[i] === row;
      if ((tags[row] & FLAG_BLOB) !== 0) {
        const start = blobOffsets[row];
        if (isPicked) {
          this.blobOffsets[at + i] = this.appendBlob(blob, start, end);
          this.blobEnds[at + i] = this.blobBytes;
        }
        end = start;
      }
      if (isPicked) i--;
    }
  }

  private appendBlob(from: Buffer, start: number, end: number): number {
    const offset = this.blobBytes;
    this.blobBytes = offset + end - start;
    if (this.blobBytes > this.blob.length) {
      const larger = Buffer.allocUnsafe(Math.max(this.blobBytes, this.blob.length * 2));
      this.blob.copy(larger, 0, 0, offset);
      this.blob = larger;
    }
    from.copy(this.blob, offset, start, end);
    return offset;
  }

  private reserve(rows: number, like: Batch): void {
    if (rows <= this.timeUs.length) return;
    const capacity = Math.max(rows, this.timeUs.length * 2, CAPACITY_MIN);
    this.timeUs = grown(this.timeUs, capacity);
    this.latencyMs = grown(this.latencyMs, capacity);
    this.costUsd = grown(this.costUsd, capacity);
    this.promptTokens = grown(this.promptTokens, capacity);
    this.completionTokens = grown(this.completionTokens, capacity);
    this.tags = grown(this.tags, capacity);
    this.blobOffsets = grown(this.blobOffsets, capacity);
    this.blobEnds = grown(this.blobEnds, capacity);
    this.declared = like.declared.map((values, column) => {
      const held = this.declared[column] ?? values.subarray(0, 0);
      return held instanceof Float64Array ? grown(held, capacity) : grown(held, capacity);
    });
    this.shared = like.shared?.map((numbers, column) =>
      numbers === null ? null : grown(this.shared?.[column] ?? numbers.subarray(0, 0), capacity),
    );
    this.sequences = grown(this.sequences, capacity);
    this.producers = grown(this.producers, capacity);
  }
}

function copy(from: Column, picked: Uint32Array, into: Column, at: number): void {
  const first = picked[0];
  const isRun = picked[picked.length - 1] - first === picked.length - 1;
  if (isRun) into.set(from.subarray(first, first + picked.length), at);
  else for (let i = 0; i < picked.length; i++) into[at + i] = from[picked[i]];
}

function grown<T extends Column>(column: T, capacity: number): T {
  const larger = new (column.constructor as new (length: number) => T)(capacity);
  larger.set(column);
  return larger;
}

function gather<T extends Column>(column: T, picked: Uint32Array): T {
  const gathered = new (column.constructor as new (length: number) => T)(picked.length);
  for (let i = 0; i < picked.length; i++) gathered[i] = column[picked[i]];
  return gathered;
}
