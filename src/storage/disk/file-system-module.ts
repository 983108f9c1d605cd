/** The file system that a thread works with, as it can be told to it. */
import { type FileSystem, nodeFileSystem } from './file-system.js';

/** A module whose default export makes the file system to use, and what it is called with. */
export interface FileSystemModule {
  readonly url: string;
  readonly spec?: unknown;
}

/** @param module - null for Node's own */
export async function openFileSystem(module: FileSystemModule | null): Promise<FileSystem> {
  if (module === null) return nodeFileSystem;
  const { default: open } = (await import(module.url)) as { default(spec: unknown): FileSystem };
  return open(module.spec);
}
