/** The thread that compacts. */
import type { MessagePort } from 'node:worker_threads';
import { compactAll } from './compaction.js';
import { type FileSystemModule, openFileSystem } from './file-system-module.js';

export interface CompactorWorkerData {
  readonly folder: string;
  readonly fileSystem: FileSystemModule | null;
}

/** @param data - CompactorWorkerData */
export async function runCompactorThread(data: unknown, port: MessagePort): Promise<void> {
  const { folder, fileSystem } = data as CompactorWorkerData;
  await compactAll(await openFileSystem(fileSystem), folder, (news) => port.postMessage(news));
}
