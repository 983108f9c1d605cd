/**
 * A thread that encodes an export for a stream, no faster than it is read. It is no thread of the pool: its reader
 * decides when it ends, and may be waiting for an answer of the pool.
 */
import type { MessagePort } from 'node:worker_threads';
import { serializeError, type WireError } from '../errors.js';
import { openExperiment } from './access.js';
import type { RowsAccess } from './analysis.worker.js';
import { type ExportTask, exportedChunks } from './tasks.js';

export interface StreamRequest {
  readonly parts: readonly RowsAccess[];
  readonly task: ExportTask;
}

/** `null` ends the stream. */
export type StreamNews = { readonly chunk: Uint8Array | null } | { readonly error: WireError };

/** @param data - StreamRequest */
export function runStreamThread(data: unknown, port: MessagePort): void {
  const { parts, task } = data as StreamRequest;
  const rows = parts.map(({ access, selection }) => ({ store: openExperiment(access).store, selection }));
  const chunks = exportedChunks(rows, task);

  const tell = (news: StreamNews, transferList: ArrayBuffer[] = []) => {
    port.postMessage(news, transferList);
    if ('error' in news || news.chunk === null) port.close();
  };
  const next = async () => {
    try {
      const { value, done } = await chunks.next();
      if (done === true) tell({ chunk: null });
      else tell({ chunk: value }, [value.buffer as ArrayBuffer]);
    } catch (error) {
      tell({ error: serializeError(error) });
    }
  };
  let last: Promise<void> = Promise.resolve();
  /** A message asks for one chunk more. */
  port.on('message', () => {
    last = last.then(next);
  });
}
