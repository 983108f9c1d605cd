/** The spooler's thread. */
import { type MessagePort, receiveMessageOnPort } from 'node:worker_threads';
import { type FileSystemModule, openFileSystem } from '../disk/file-system-module.js';
import { runSpooler, type SpoolerOrder } from './loop.js';
import type { SpoolerOptions } from './spooler.js';

export interface SpoolerWorkerData {
  readonly options: SpoolerOptions;
  readonly fileSystem: FileSystemModule | null;
  /** Where orders come from: it is asked for them, and does not turn its event loop. */
  readonly orders: MessagePort;
}

/** @param data - SpoolerWorkerData */
export async function runSpoolerThread(data: unknown, port: MessagePort): Promise<void> {
  const { options, fileSystem, orders } = data as SpoolerWorkerData;
  runSpooler(options, await openFileSystem(fileSystem), {
    receive: () => receiveMessageOnPort(orders)?.message as SpoolerOrder | undefined,
    post: (news) => port.postMessage(news),
  });
}
