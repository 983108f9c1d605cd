/** The thread that compacts. */
import type { MessagePort } from 'node:worker_threads';
import { type FileSystemModule, openFileSystem } from '../disk/file-system-module.js';
import { compactAll } from './round.js';

export interface CompactorWorkerData {
  readonly folder: string;
  readonly fileSystem: FileSystemModule | null;
  /** Shared; not 0 once no further segment is to be begun. */
  readonly isEnough: Int32Array<SharedArrayBuffer>;
}

/** @param data - CompactorWorkerData */
export async function runCompactorThread(data: unknown, port: MessagePort): Promise<void> {
  const { folder, fileSystem, isEnough } = data as CompactorWorkerData;
  const files = await openFileSystem(fileSystem);
  const goesOn = () => Atomics.load(isEnough, 0) === 0;
  await compactAll(files, folder, (news) => port.postMessage(news), goesOn);
}
