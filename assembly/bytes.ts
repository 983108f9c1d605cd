/** Copies `bytes` bytes within the memory; the ranges must not be shared with another writer. */
export function copy(target: i32, source: i32, bytes: i32): void {
  memory.copy(target, source, bytes);
}
