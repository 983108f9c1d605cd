/** A column chunk: the gathered values of one column, encoded and compressed as pages. */

import { crc32 } from 'node:zlib';
import type { ColumnChunk, ColumnMetaData, Encoding, SchemaElement, Statistics } from 'hyparquet';
import type { ByteWriter } from 'hyparquet-writer';
import type { FileColumn } from '../../columns/column.js';
import { FLAG_NULL, FLAG_TRUE, type Stage } from '../../columns/stages.js';
import { Bytes } from './bytes.js';
import type { Codec } from './codecs.js';
import {
  bitWidthOf,
  DELTA_RANGE_MAX,
  writeDeltas,
  writeRun,
  writeRuns,
  writeSplit,
  writeSuffixes,
  writeTexts,
} from './encodings.js';
import type { WritePageHeader } from './library.js';

/** Compressed pages that are not this much smaller are written as they are: reading them costs nothing. */
const WORTHWHILE = 0.97;

/** A page before it is compressed. */
interface Page {
  readonly encoding: Encoding;
  readonly nullCount: number;
  readonly range?: readonly [least: number, greatest: number];
}

export class ChunkWriter {
  private readonly out: ByteWriter;
  private readonly codec: Codec;
  private readonly writeHeader: WritePageHeader;
  private readonly levels = new Bytes();
  private readonly values = new Bytes();
  private readonly dictionary = new Bytes();
  /** Values without the nulls, and 1 or 0 for each row. */
  private numbers = new Float64Array(0);
  private codes = new Int32Array(0);
  private present = new Uint8Array(0);
  private localOffsets = new Int32Array(0);

  constructor(out: ByteWriter, codec: Codec, writeHeader: WritePageHeader) {
    this.out = out;
    this.codec = codec;
    this.writeHeader = writeHeader;
  }

  write(column: FileColumn, element: SchemaElement, stage: Stage, rows: number): ColumnChunk {
    const start = this.out.offset;
    this.reserve(rows);
    this.levels.clear();
    this.values.clear();
    this.dictionary.clear();
    const { nullCount, encoding, range, dictionarySize } = this.encode(column, stage, rows);
    let uncompressed = 0;
    let dictionaryAt: number | undefined;
    if (dictionarySize !== undefined) {
      dictionaryAt = this.out.offset;
      uncompressed += this.writeDictionaryPage(dictionarySize);
    }
    const pageAt = this.out.offset;
    uncompressed += this.writePage(encoding, nullCount, rows);
    const metadata: ColumnMetaData = {
      type: element.type!,
      encodings: dictionarySize === undefined ? [encoding, 'RLE'] : ['PLAIN', encoding, 'RLE'],
      path_in_schema: [element.name],
      codec: this.codec.name,
      num_values: BigInt(rows),
      total_uncompressed_size: BigInt(uncompressed),
      total_compressed_size: BigInt(this.out.offset - start),
      data_page_offset: BigInt(pageAt),
      ...(dictionaryAt === undefined ? {} : { dictionary_page_offset: BigInt(dictionaryAt) }),
      statistics: statisticsOf(column, nullCount, range),
    };
    return { file_offset: BigInt(start), meta_data: metadata };
  }

  private encode(
    column: FileColumn,
    stage: Stage,
    rows: number,
  ): Page & { readonly dictionarySize?: number } {
    switch (stage.kind) {
      case 'numbers':
        return this.encodeNumbers(column, stage.stage.values, stage.stage.isConstant, rows);
      case 'flags':
        return this.encodeFlags(column, stage.stage.values, stage.stage.isConstant, rows);
      case 'codes':
        return this.encodeCodes(column, stage, rows);
      case 'texts':
        return this.encodeTexts(column, stage, rows);
    }
  }

  private encodeNumbers(column: FileColumn, values: Float64Array, isConstant: boolean, rows: number): Page {
    const { numbers, present } = this;
    if (isConstant) values.fill(values[0], 1, rows);
    let count = 0;
    let least = Number.POSITIVE_INFINITY;
    let greatest = Number.NEGATIVE_INFINITY;
    for (let row = 0; row < rows; row++) {
      const value = values[row];
      const isPresent = Number.isNaN(value) ? 0 : 1;
      present[row] = isPresent;
      numbers[count] = value;
      count += isPresent;
      if (value < least) least = value;
      if (value > greatest) greatest = value;
    }
    this.encodeLevels(column, rows, count);
    const page = { nullCount: rows - count, ...(count > 0 ? { range: [least, greatest] as const } : {}) };
    if (column.type === 'float64') {
      writeSplit(this.values, numbers, count);
      return { ...page, encoding: 'BYTE_STREAM_SPLIT' };
    }
    if (column.type === 'int32' || column.type === 'uint32' || column.type === 'uint16') {
      for (let i = 0; i < count; i++) this.codes[i] = numbers[i];
      writeDeltas(this.values, this.codes, count);
      return { ...page, encoding: 'DELTA_BINARY_PACKED' };
    }
    if (isDense(least, greatest)) {
      writeDeltas(this.values, numbers, count);
      return { ...page, encoding: 'DELTA_BINARY_PACKED' };
    }
    const at = this.values.take(8 * count);
    const view = new DataView(this.values.array.buffer, at);
    for (let i = 0; i < count; i++) view.setBigInt64(8 * i, BigInt(numbers[i]), true);
    return { ...page, encoding: 'PLAIN' };
  }

  private encodeFlags(column: FileColumn, values: Uint8Array, isConstant: boolean, rows: number): Page {
    const { codes, present } = this;
    if (isConstant) values.fill(values[0], 1, rows);
    let count = 0;
    for (let row = 0; row < rows; row++) {
      const isPresent = values[row] === FLAG_NULL ? 0 : 1;
      present[row] = isPresent;
      codes[count] = values[row] === FLAG_TRUE ? 1 : 0;
      count += isPresent;
    }
    this.encodeLevels(column, rows, count);
    // Unlike other runs these have their length before them.
    const at = this.values.take(4);
    writeRuns(this.values, codes, count, 1);
    new DataView(this.values.array.buffer).setUint32(at, this.values.length - at - 4, true);
    return { nullCount: rows - count, encoding: 'RLE' };
  }

  private encodeCodes(
    column: FileColumn,
    { stage: { values, isConstant }, texts }: Extract<Stage, { kind: 'codes' }>,
    rows: number,
  ): Page & { readonly dictionarySize: number } {
    const { codes, present } = this;
    if (isConstant) {
      const isNull = values[0] === 0;
      this.encodeLevels(column, rows, isNull ? 0 : rows, true);
      if (!isNull) this.addToDictionary(texts.bytes(values[0]));
      this.values.byte(1);
      if (!isNull) writeRun(this.values, 0, rows, 1);
      return { nullCount: isNull ? rows : 0, encoding: 'RLE_DICTIONARY', dictionarySize: isNull ? 0 : 1 };
    }
    /** The place in this chunk's dictionary, from 1, of each code. */
    const places = new Int32Array(texts.size + 1);
    let size = 0;
    let count = 0;
    for (let row = 0; row < rows; row++) {
      const code = values[row];
      if (code === 0) {
        present[row] = 0;
        continue;
      }
      present[row] = 1;
      if (places[code] === 0) {
        places[code] = ++size;
        this.addToDictionary(texts.bytes(code));
      }
      codes[count++] = places[code] - 1;
    }
    this.encodeLevels(column, rows, count);
    const width = bitWidthOf(Math.max(size - 1, 0));
    this.values.byte(width);
    writeRuns(this.values, codes, count, width);
    return { nullCount: rows - count, encoding: 'RLE_DICTIONARY', dictionarySize: size };
  }

  private encodeTexts(column: FileColumn, { stage }: Extract<Stage, { kind: 'texts' }>, rows: number): Page {
    const { bytes, offsets, valid, nullCount } = stage;
    let used = offsets;
    if (nullCount > 0) {
      used = this.localOffsets;
      let count = 0;
      for (let row = 0; row < rows; row++) {
        if (valid[row] === 0) continue;
        used[count++] = offsets[row];
        // A null has no bytes: the next text begins where this one ends.
        used[count] = offsets[row + 1];
      }
      this.present.set(valid.subarray(0, rows));
    }
    const count = rows - nullCount;
    this.encodeLevels(column, rows, count);
    // Ids that follow each other differ in their ends only.
    if (column.name === 'event_id') {
      writeSuffixes(this.values, bytes, used, count);
      return { nullCount, encoding: 'DELTA_BYTE_ARRAY' };
    }
    writeTexts(this.values, bytes, used, count);
    return { nullCount, encoding: 'DELTA_LENGTH_BYTE_ARRAY' };
  }

  /** Definition levels: 1 where `present` says so. */
  private encodeLevels({ nullable }: FileColumn, rows: number, count: number, isConstant = false): void {
    if (!nullable) return;
    if (count === rows || count === 0 || isConstant) writeRun(this.levels, count === 0 ? 0 : 1, rows, 1);
    else writeRuns(this.levels, this.present, rows, 1);
  }

  private addToDictionary(text: Uint8Array): void {
    this.dictionary.uint32(text.length);
    this.dictionary.append(text);
  }

  /** @returns bytes without compression */
  private writeDictionaryPage(size: number): number {
    const start = this.out.offset;
    const { written } = this.dictionary;
    const compressed = this.codec.compress(written);
    this.writeHeader(this.out, {
      type: 'DICTIONARY_PAGE',
      uncompressed_page_size: written.length,
      compressed_page_size: compressed.length,
      crc: crcOf(compressed),
      dictionary_page_header: { num_values: size, encoding: 'PLAIN' },
    });
    const headerBytes = this.out.offset - start;
    this.out.appendBytes(compressed);
    return headerBytes + written.length;
  }

  /** @returns bytes without compression */
  private writePage(encoding: Encoding, nullCount: number, rows: number): number {
    const start = this.out.offset;
    const levels = this.levels.written;
    const values = this.values.written;
    const compressed = this.codec.compress(values);
    const isCompressed = this.codec.name !== 'UNCOMPRESSED' && compressed.length < WORTHWHILE * values.length;
    const stored = isCompressed ? compressed : values;
    this.writeHeader(this.out, {
      type: 'DATA_PAGE_V2',
      uncompressed_page_size: levels.length + values.length,
      compressed_page_size: levels.length + stored.length,
      crc: crcOf(levels, stored),
      data_page_header_v2: {
        num_values: rows,
        num_nulls: nullCount,
        num_rows: rows,
        encoding,
        definition_levels_byte_length: levels.length,
        repetition_levels_byte_length: 0,
        is_compressed: isCompressed,
      },
    });
    const headerBytes = this.out.offset - start;
    this.out.appendBytes(levels);
    this.out.appendBytes(stored);
    return headerBytes + levels.length + values.length;
  }

  private reserve(rows: number): void {
    if (rows <= this.numbers.length) return;
    this.numbers = new Float64Array(rows);
    this.codes = new Int32Array(rows);
    this.present = new Uint8Array(rows);
    this.localOffsets = new Int32Array(rows + 1);
  }
}

/** CRC-32 of bytes that stand one after the other, as the int32 that Parquet has for it. */
function crcOf(...parts: readonly Uint8Array[]): number {
  // Of no bytes at all, zlib's result is 0, whatever it began with.
  return parts.reduce((crc, bytes) => (bytes.length === 0 ? crc : crc32(bytes, crc)), 0) | 0;
}

/** Whether all differences between the numbers, and the numbers themselves, can be worked out exactly. */
function isDense(least: number, greatest: number): boolean {
  return (
    !(greatest - least > DELTA_RANGE_MAX) && !(least < -DELTA_RANGE_MAX) && !(greatest > DELTA_RANGE_MAX)
  );
}

function statisticsOf({ type }: FileColumn, nullCount: number, range: Page['range']): Statistics {
  const statistics = { null_count: BigInt(nullCount) };
  // Readers disagree on the order of unsigned numbers.
  if (range === undefined || type === 'uint32' || type === 'uint16') return statistics;
  const [least, greatest] = range;
  if (type === 'float64') {
    // A zero of either sign is covered.
    return { ...statistics, min_value: least === 0 ? -0 : least, max_value: greatest === 0 ? 0 : greatest };
  }
  if (type === 'int32') return { ...statistics, min_value: least, max_value: greatest };
  return { ...statistics, min_value: BigInt(least), max_value: BigInt(greatest) };
}
