// @ts-check
/** A disk that says it has written and synced, and forgets all segments: what a spooler does that gives chunks back too soon. */
import { nodeFileSystem } from '../../dist/src/storage/disk/file-system.js';

/** @returns {import('../../src/storage/disk/file-system.js').FileSystem} */
export default function createFileSystem() {
  /** @type {Set<number>} */
  const segments = new Set();
  return {
    ...nodeFileSystem,
    open(path, mode) {
      const fd = nodeFileSystem.open(path, mode);
      if (path.endsWith('.arrows')) segments.add(fd);
      return fd;
    },
    close(fd) {
      segments.delete(fd);
      nodeFileSystem.close(fd);
    },
    write(fd, buffers, position) {
      if (!segments.has(fd)) return nodeFileSystem.write(fd, buffers, position);
      return buffers.reduce((sum, { byteLength }) => sum + byteLength, 0);
    },
  };
}
