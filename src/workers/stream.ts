/** A readable stream of an export that a thread of its own encodes. */
import { Readable } from 'node:stream';
import type { Worker } from 'node:worker_threads';
import { AnalysisError, deserializeError } from '../errors.js';
import { startThread } from '../thread.js';
import type { StreamNews, StreamRequest } from './stream.worker.js';

/** Chunks that are asked for before they are wanted. */
const AHEAD = 2;

/** The thread begins when somebody reads, and ends with the stream. Errors are those of exportChunks, on the stream. */
export function exportThread(request: StreamRequest): Readable {
  let worker: Worker | undefined;
  let asked = 0;
  let isOver = false;
  const ask = (thread: Worker) => {
    for (; asked < AHEAD; asked++) thread.postMessage(null);
  };
  const stream = new Readable({
    read() {
      worker ??= start();
      ask(worker);
    },
    destroy(error, done) {
      isOver = true;
      if (worker === undefined) done(error);
      else
        worker.terminate().then(
          () => done(error),
          () => done(error),
        );
    },
  });
  function start(): Worker {
    const thread = startThread('stream', { data: request });
    thread.on('message', (news: StreamNews) => {
      asked--;
      if ('error' in news) {
        stream.destroy(deserializeError(news.error));
      } else if (news.chunk === null) {
        isOver = true;
        stream.push(null);
      } else {
        stream.push(Buffer.from(news.chunk.buffer));
      }
    });
    thread.on('error', (cause) => stream.destroy(died(cause)));
    thread.on('exit', () => {
      if (!isOver) stream.destroy(died());
    });
    return thread;
  }
  return stream;
}

function died(cause?: unknown): AnalysisError {
  const reason = cause instanceof Error ? `: ${cause.message}` : '';
  return new AnalysisError('ERR_WORKER_FAILED', `the thread of an export died${reason}`, {}, { cause });
}
