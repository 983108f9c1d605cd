/** A thread that encodes exports for streams: many at a time, each no faster than it is read. */
import type { MessagePort } from 'node:worker_threads';
import { serializeError, type WireError } from '../errors.js';
import type { DamagedBatch } from '../storage/damage.js';
import { type OpenedExperiment, openExperiment, releaseExperiment } from './access.js';
import type { RowsAccess } from './analysis.worker.js';
import { serve } from './serve.js';
import { type ExportTask, exportedChunks } from './tasks.js';

export interface StreamRequest {
  readonly parts: readonly RowsAccess[];
  readonly task: ExportTask;
}

/** What a thread is told of a stream, by its number; `null` ends the thread. */
export type StreamOrder =
  | { readonly stream: number; readonly begin: StreamRequest }
  /** One chunk more is wanted. */
  | { readonly stream: number; readonly next: true }
  /** Nothing more is wanted. It needs not be told of a stream that has come to its end. */
  | { readonly stream: number; readonly end: true };

/** The answer to `next`. */
export type StreamNews =
  | { readonly stream: number; readonly chunk: Uint8Array }
  | { readonly stream: number; readonly done: true; readonly damaged: readonly DamagedBatch[] }
  | { readonly stream: number; readonly error: WireError };

export function runStreamThread(port: MessagePort): void {
  const streams = new Map<number, EncodedStream>();
  const answer = async (number: number): Promise<StreamNews> => {
    const stream = streams.get(number)!;
    try {
      const chunk = await stream.next();
      if (chunk !== undefined) return { stream: number, chunk };
      return { stream: number, done: true, damaged: end(number) };
    } catch (error) {
      end(number);
      return { stream: number, error: serializeError(error) };
    }
  };
  const end = (number: number): readonly DamagedBatch[] => {
    const stream = streams.get(number);
    streams.delete(number);
    return stream?.end() ?? [];
  };
  serve(port, async (order: StreamOrder) => {
    if ('begin' in order) streams.set(order.stream, new EncodedStream(order.begin));
    else if ('end' in order) end(order.stream);
    else {
      const news = await answer(order.stream);
      port.postMessage(news, 'chunk' in news ? [news.chunk.buffer as ArrayBuffer] : []);
    }
  });
}

class EncodedStream {
  readonly #request: StreamRequest;
  readonly #ended = new AbortController();
  #experiments: readonly OpenedExperiment[] = [];
  #chunks: AsyncGenerator<Uint8Array> | undefined;

  constructor(request: StreamRequest) {
    this.#request = request;
  }

  /** @returns undefined at the end */
  async next(): Promise<Uint8Array | undefined> {
    this.#chunks ??= this.#begin();
    const { value, done } = await this.#chunks.next();
    return done === true ? undefined : value;
  }

  /** @returns what could not be read */
  end(): readonly DamagedBatch[] {
    const damaged = this.#experiments.flatMap((experiment) => experiment.damaged);
    // A pass over the rows ends at its next batch, and who waits for a chunk gets none.
    this.#ended.abort();
    this.#chunks?.return(undefined).catch(() => {});
    if (this.#experiments.length > 0) for (const { access } of this.#request.parts) releaseExperiment(access);
    this.#experiments = [];
    return damaged;
  }

  #begin(): AsyncGenerator<Uint8Array> {
    const { parts, task } = this.#request;
    this.#experiments = parts.map(({ access }) => openExperiment(access));
    const rows = parts.map(({ selection }, i) => ({ store: this.#experiments[i].store, selection }));
    return exportedChunks(rows, task, this.#ended.signal);
  }
}
