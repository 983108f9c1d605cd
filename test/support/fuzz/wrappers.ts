/** What files are wrapped in: gzip and Zstandard, of blocks as they are. */
import { crc32 } from 'node:zlib';
import { little, type Stated } from './stated.js';

type N = Stated['n'];

/** A frame of Zstandard: one block as it is, and an empty one that ends it. */
export function zstdFrame(bytes: Uint8Array, n: N): Uint8Array {
  const head = [0x28, 0xb5, 0x2f, 0xfd, n(0xa0) & 255, ...little(n(bytes.length), 4)];
  const block = (size: number, isLast: boolean) => little(size * 8 + (isLast ? 1 : 0), 3);
  return Uint8Array.from([...head, ...block(n(bytes.length), false), ...bytes, ...block(n(0), true)]);
}

/** gzip of one stored block. */
export function gzipStored(bytes: Uint8Array, n: N): Uint8Array {
  const size = bytes.length;
  return Uint8Array.from([
    ...[0x1f, 0x8b, n(8) & 255, n(0) & 255, ...little(n(0), 4), 0, 255],
    ...[n(1) & 255, ...little(n(size), 2), ...little(n(~size), 2), ...bytes],
    ...little(n(crc32(bytes)), 4),
    ...little(n(size), 4),
  ]);
}
