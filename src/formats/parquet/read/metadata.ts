/** The footer of a Parquet file: its schema, and where the columns of its row groups are. */

import { ImportError } from '../../../errors.js';
import type { ReachableFile } from '../../reader.js';
import { LIST, ThriftReader, type ThriftStruct } from './thrift.js';

const MAGIC = 'PAR1';
/** Instead of it, where the footer is encrypted. */
const ENCRYPTED_MAGIC = 'PARE';
/** The footer's length and the mark that ends a file. */
const TAIL_BYTES = 8;
const FOOTER_BYTES_MAX = 64 * 1024 * 1024;

// Numbers of fields, as parquet.thrift has them.
const FILE_SCHEMA = 2;
const FILE_ROW_GROUPS = 4;
const FILE_KEY_VALUES = 5;
const FILE_ENCRYPTION = 8;

export interface FileMetadata {
  /** The schema's elements, a parent before its children. */
  readonly schema: readonly ThriftStruct[];
  readonly keyValues: ReadonlyMap<string, string>;
  /** Read one at a time, since a footer may be of many. */
  rowGroups(): Generator<RowGroup>;
  /** The footer, its length and the mark that ends the file; and where they begin. */
  readonly end: Uint8Array;
  readonly endStart: number;
}

export interface RowGroup {
  readonly rows: number;
  readonly columns: readonly ChunkMetadata[];
}

/** What the footer says of a column's pages in a row group. */
export interface ChunkMetadata {
  readonly physicalType: number;
  readonly codec: number;
  /** Nulls and empty lists included. */
  readonly values: number;
  /** Of its pages in the file: [start, end). */
  readonly start: number;
  readonly end: number;
}

/** @throws RangeError for what is none, ImportError for what is not supported or too large */
export async function readMetadata(file: ReachableFile, size: number): Promise<FileMetadata> {
  if (size < MAGIC.length + TAIL_BYTES) throw new RangeError('the file is too short');
  const tail = Buffer.from(await file.slice(size - TAIL_BYTES, size));
  const magic = tail.toString('latin1', 4);
  if (magic === ENCRYPTED_MAGIC) throw unsupported('encryption');
  if (magic !== MAGIC) throw new RangeError('the file is cut short: it does not end as a Parquet file does');
  const footerBytes = tail.readUInt32LE(0);
  const footerStart = size - TAIL_BYTES - footerBytes;
  if (footerStart < MAGIC.length) throw new RangeError('the footer is longer than the file');
  if (footerBytes > FOOTER_BYTES_MAX) {
    const message = `the footer has ${footerBytes} bytes, and ${FOOTER_BYTES_MAX} at most can be read`;
    throw new ImportError('ERR_FILE_TOO_LARGE', message, { footerBytes });
  }
  const end = new Uint8Array(await file.slice(footerStart, size));
  return { ...parseFooter(end.subarray(0, footerBytes), footerStart), end, endStart: footerStart };
}

/** @param dataEnd - where the footer begins in the file */
function parseFooter(footer: Uint8Array, dataEnd: number): Omit<FileMetadata, 'end' | 'endStart'> {
  const reader = new ThriftReader(footer, 'the footer');
  let schema: ThriftStruct[] = [];
  let keyValues: ThriftStruct[] = [];
  let groupsAt: number | null = null;
  reader.fields((id, type) => {
    if (id === FILE_SCHEMA && type === LIST) schema = structsOf(reader);
    else if (id === FILE_KEY_VALUES && type === LIST) keyValues = structsOf(reader);
    else {
      if (id === FILE_ROW_GROUPS && type === LIST) groupsAt = reader.position;
      if (id === FILE_ENCRYPTION) throw unsupported('encryption');
      reader.skip(type);
    }
  });
  return {
    schema,
    keyValues: new Map(keyValues.map((pair) => [pair.text(1) ?? '', pair.text(2) ?? ''])),
    *rowGroups() {
      if (groupsAt === null) return;
      const groups = new ThriftReader(footer, 'the footer', groupsAt);
      const { length } = groups.listHead();
      for (let i = 0; i < length; i++) yield rowGroup(groups.struct(), dataEnd);
    },
  };
}

function structsOf(reader: ThriftReader): ThriftStruct[] {
  const { type, length } = reader.listHead();
  if (length > 0 && type !== 12) throw new RangeError('the footer is damaged');
  return Array.from({ length }, () => reader.struct(1));
}

function rowGroup(group: ThriftStruct, dataEnd: number): RowGroup {
  return { rows: group.size(3), columns: group.structs(1).map((column) => chunkOf(column, dataEnd)) };
}

/** Older writers forgot the head of the dictionary's page when they summed up a column's bytes. */
const FORGOTTEN_BYTES = 100;

function chunkOf(column: ThriftStruct, dataEnd: number): ChunkMetadata {
  if (column.has(1)) throw unsupported('columns in other files');
  const metadata = column.struct(3);
  if (column.has(8) || column.has(9)) throw unsupported('encryption');
  if (metadata === undefined) throw new RangeError('the footer is damaged');
  const dataAt = metadata.size(9, dataEnd);
  const dictionaryAt = metadata.has(11) ? metadata.size(11, dataEnd) : 0;
  const start = dictionaryAt > 0 ? Math.min(dictionaryAt, dataAt) : dataAt;
  const bytes = metadata.size(7, dataEnd - start);
  return {
    physicalType: metadata.size(1),
    codec: metadata.size(4),
    values: metadata.size(5),
    start,
    end: Math.min(start + bytes + FORGOTTEN_BYTES, dataEnd),
  };
}

export function unsupported(what: string): ImportError {
  return new ImportError('ERR_UNSUPPORTED_FORMAT', `Parquet with ${what} is an unsupported feature`, {
    feature: what,
  });
}
