/** Which format a file has: by its first bytes where they tell for certain, else by its name, else by a guess. */

import { extname } from 'node:path';
import { ConfigError } from '../errors.js';
import { MANIFEST_SUFFIX } from './manifest.js';

export type ImportFormat = 'csv' | 'jsonl' | 'msgpack' | 'parquet' | 'arrow';
export type Compression = 'gzip' | 'zstd';

/** As many bytes as are looked at. */
export const HEAD_BYTES = 64;

const FORMATS: readonly string[] = ['csv', 'jsonl', 'msgpack', 'parquet', 'arrow'];
const BY_EXTENSION: Readonly<Record<string, ImportFormat>> = {
  '.csv': 'csv',
  '.tsv': 'csv',
  '.jsonl': 'jsonl',
  '.ndjson': 'jsonl',
  '.json': 'jsonl',
  '.msgpack': 'msgpack',
  '.mpk': 'msgpack',
  '.parquet': 'parquet',
  '.arrow': 'arrow',
  '.arrows': 'arrow',
  '.feather': 'arrow',
  '.ipc': 'arrow',
};
const COMPRESSED_EXTENSION = /\.(?:gz|gzip|zst|zstd)$/i;
const EXPECTED = `one of ${FORMATS.join(', ')}, or a file that its name or its first bytes tell to be one`;

/** The extension of what is in the file, in lower case: of `x.csv.gz` that is `.csv`. */
export function innerExtension(path: string): string {
  return extname(path.replace(COMPRESSED_EXTENSION, '')).toLowerCase();
}

/** Whether a name is one of a file that can be read; the manifest beside an export is none. */
export function isImportable(path: string): boolean {
  return !path.endsWith(MANIFEST_SUFFIX) && Object.hasOwn(BY_EXTENSION, innerExtension(path));
}

/** @throws ConfigError for a format that there is not */
export function checkFormat(format: unknown): void {
  if (format !== undefined && !FORMATS.includes(format as string))
    throw new ConfigError('format', EXPECTED, format);
}

export function compressionOf(head: Uint8Array): Compression | null {
  if (startsWith(head, [0x1f, 0x8b])) return 'gzip';
  return startsWith(head, [0x28, 0xb5, 0x2f, 0xfd]) ? 'zstd' : null;
}

/**
 * @param head - the first bytes, decompressed
 * @throws ConfigError when nothing tells
 */
export function formatOf(path: string, head: Uint8Array): ImportFormat {
  // The second one is of encrypted files, which are refused as such.
  if (startsWith(head, Buffer.from('PAR1')) || startsWith(head, Buffer.from('PARE'))) return 'parquet';
  if (startsWith(head, Buffer.from('ARROW1'))) return 'arrow';
  if (startsWith(head, [0xff, 0xff, 0xff, 0xff])) return 'arrow';
  const format = BY_EXTENSION[innerExtension(path)] ?? guess(head);
  if (format === null) throw new ConfigError('format', EXPECTED, path);
  return format;
}

/** Of a file whose name says nothing, only what begins like a record. */
function guess(head: Uint8Array): ImportFormat | null {
  const first = head[0];
  if (first === undefined) return null;
  if (startsWith(head, [0xd4, 0x72]) || beginsMap(first)) return 'msgpack';
  // A list of maps, or of records.
  const items = first >= 0x90 && first < 0xa0 ? 1 : first === 0xdc ? 3 : first === 0xdd ? 5 : null;
  if (items !== null && (beginsMap(head[items]) || startsWith(head.subarray(items), [0xd4, 0x72])))
    return 'msgpack';
  return /^\s*[{[]/.test(Buffer.from(head).toString('latin1')) ? 'jsonl' : null;
}

function beginsMap(byte: number | undefined): boolean {
  return byte !== undefined && ((byte >= 0x80 && byte < 0x90) || byte === 0xde || byte === 0xdf);
}

function startsWith(bytes: Uint8Array, start: ArrayLike<number>): boolean {
  return bytes.length >= start.length && Array.from(start).every((byte, i) => bytes[i] === byte);
}
