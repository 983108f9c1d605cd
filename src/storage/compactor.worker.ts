/** The thread that compacts. */
import { parentPort, workerData } from 'node:worker_threads';
import { compactAll } from './compaction.js';
import { type FileSystem, nodeFileSystem } from './file-system.js';
import type { FileSystemModule } from './spooler.worker.js';

export interface CompactorWorkerData {
  readonly folder: string;
  readonly fileSystem: FileSystemModule | null;
}

const { folder, fileSystem } = workerData as CompactorWorkerData;
const port = parentPort;
if (port === null) throw new Error('this module is the beginning of a worker thread');
const files: FileSystem =
  fileSystem === null
    ? nodeFileSystem
    : ((await import(fileSystem.url)) as { default(spec: unknown): FileSystem }).default(fileSystem.spec);

await compactAll(files, folder, (news) => port.postMessage(news));
