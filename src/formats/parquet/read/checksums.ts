/** What one of our own Parquet files says of its bytes: a CRC-32 of its footer, and of each row group. */

import { crc32 } from 'node:zlib';
import type { FileMetadata } from './metadata.js';
import type { PageContext } from './pages.js';

const KEY = 'crucible.checksums';
const TEXT = /^crc-32 footer=([0-9a-f]{8}) groups=((?:\d{1,15}:[0-9a-f]{8}(?:,(?=\d)|$))*)$/;
const FOOTER_AT = 'crc-32 footer='.length;
const DIGITS = 8;
/** The mark that a file begins with. */
const HEAD_BYTES = 4;
const READ_BYTES = 1024 * 1024;

export interface SealedGroup {
  readonly start: number;
  readonly end: number;
  readonly crc: string;
}

/**
 * Where the row groups are, in their order, and their checksums; null of a file that does not tell.
 * @throws RangeError unless the footer is as it was written
 */
export function sealedGroups({ keyValues, end: written, endStart }: FileMetadata): SealedGroup[] | null {
  const text = keyValues.get(KEY) ?? '';
  const stated = TEXT.exec(text);
  if (stated === null) return null;
  const footer = Buffer.from(written);
  const at = footer.lastIndexOf(text) + FOOTER_AT;
  footer.fill('0', at, at + DIGITS);
  let start = HEAD_BYTES;
  const groups = stated[2]!.split(',').flatMap((group): SealedGroup[] => {
    const [bytes, crc] = group.split(':');
    if (crc === undefined) return [];
    const end = start + Number(bytes);
    const sealed = { start, end, crc };
    start = end;
    return [sealed];
  });
  if (hex(crc32(footer)) !== stated[1] || start !== endStart)
    throw new RangeError('the footer does not have its checksum');
  return groups;
}

/** @throws RangeError unless the row group is as it was written */
export async function verifyGroup(
  { file, pace }: PageContext,
  group: SealedGroup | undefined,
): Promise<void> {
  if (group === undefined) throw new RangeError('there are more row groups than checksums');
  let crc = 0;
  for (let at = group.start; at < group.end; at += READ_BYTES) {
    crc = crc32(new Uint8Array(await file.slice(at, Math.min(at + READ_BYTES, group.end))), crc);
    if (pace.isDue) await pace.rest();
  }
  if (hex(crc) !== group.crc) throw new RangeError('a row group does not have its checksum');
}

const hex = (crc: number) => crc.toString(16).padStart(DIGITS, '0');
