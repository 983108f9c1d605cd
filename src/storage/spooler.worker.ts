/** The spooler's thread. */
import { parentPort, receiveMessageOnPort, workerData } from 'node:worker_threads';
import { type FileSystem, nodeFileSystem } from './file-system.js';
import type { SpoolerOptions } from './spooler.js';
import { runSpooler, type SpoolerOrder } from './spooler-loop.js';

export interface SpoolerWorkerData {
  readonly options: SpoolerOptions;
  readonly fileSystem: FileSystemModule | null;
}

/** A module whose default export makes the file system to use, and what it is called with. */
export interface FileSystemModule {
  readonly url: string;
  readonly spec?: unknown;
}

const { options, fileSystem } = workerData as SpoolerWorkerData;
const port = parentPort;
if (port === null) throw new Error('this module is the beginning of a worker thread');
const files: FileSystem =
  fileSystem === null
    ? nodeFileSystem
    : ((await import(fileSystem.url)) as { default(spec: unknown): FileSystem }).default(fileSystem.spec);

runSpooler(options, files, {
  receive: () => receiveMessageOnPort(port)?.message as SpoolerOrder | undefined,
  post: (news) => port.postMessage(news),
});
