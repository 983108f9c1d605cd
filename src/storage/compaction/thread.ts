/** Compaction as the experiment's thread sees it: a thread of its own for each round, and one round at a time. */
import type { Worker } from 'node:worker_threads';
import { deserializeError, StorageError } from '../../errors.js';
import { startThread } from '../../thread.js';
import type { CompactorWorkerData } from './compaction.worker.js';
import type { CompactionNews } from './round.js';

const HEAP_MB = 512;

export interface CompactionReport {
  /** Segments that became Parquet. */
  readonly segments: number;
  /** Of those segments, before and after. */
  readonly bytesBefore: number;
  readonly bytesAfter: number;
  /** Segments that were left as they are because they are not as they were written. */
  readonly skipped: readonly { readonly file: string; readonly reason: string }[];
}

export const NOTHING_COMPACTED: CompactionReport = {
  segments: 0,
  bytesBefore: 0,
  bytesAfter: 0,
  skipped: [],
};

export interface CompactorRun {
  readonly background?: boolean;
  readonly signal?: AbortSignal | undefined;
}

export class Compactor {
  readonly #data: Omit<CompactorWorkerData, 'isEnough'>;
  readonly #list: (segment: number, bytes: number) => Promise<void>;
  #worker: Worker | undefined;
  #round: Promise<CompactionReport> = Promise.resolve(NOTHING_COMPACTED);
  #roundsWaiting = 0;
  #isStopped = false;

  /** @param list - makes the document list a segment's Parquet file, and deletes the Arrow file */
  constructor(
    data: Omit<CompactorWorkerData, 'isEnough'>,
    list: (segment: number, bytes: number) => Promise<void>,
  ) {
    this.#data = data;
    this.#list = list;
  }

  /**
   * Compacts every segment that the document lists now, once the round at work is done.
   * @param options - `background` does not keep the process alive; `signal` ends the round after the segment at work
   * @throws StorageError when that cannot be done; what was compacted until then stays so
   */
  run({ background = false, signal }: CompactorRun = {}): Promise<CompactionReport> {
    this.#roundsWaiting++;
    const round = this.#round
      .catch(() => {})
      .then(() => {
        this.#roundsWaiting--;
        return this.#isStopped || signal?.aborted ? NOTHING_COMPACTED : this.#compact(background, signal);
      });
    this.#round = round;
    return round;
  }

  /** Whether a round will begin that does what one asked for now would. */
  get isDue(): boolean {
    return this.#roundsWaiting > 0;
  }

  /**
   * Ends the round at work: what it has done has been told to `list`, what it had begun is begun again another time.
   * The list may take its time, on a disk that fails: nobody waits for it here.
   */
  async stop(): Promise<void> {
    this.#isStopped = true;
    await this.#worker?.terminate();
  }

  #compact(background: boolean, signal: AbortSignal | undefined): Promise<CompactionReport> {
    const isEnough = new Int32Array(new SharedArrayBuffer(4));
    const data: CompactorWorkerData = { ...this.#data, isEnough };
    const worker = startThread('compactor', { data, heapMb: HEAP_MB });
    const enough = () => void Atomics.store(isEnough, 0, 1);
    signal?.addEventListener('abort', enough, { once: true });
    if (background) worker.unref();
    this.#worker = worker;
    let { segments, bytesBefore, bytesAfter } = NOTHING_COMPACTED;
    const skipped: { file: string; reason: string }[] = [];
    const listing: Promise<void>[] = [];
    return new Promise((resolve, reject) => {
      let failure: Error | undefined;
      worker.on('message', (news: CompactionNews) => {
        if (news.kind === 'compacted') {
          segments++;
          bytesBefore += news.bytesBefore;
          bytesAfter += news.bytes;
          const listed = this.#list(news.segment, news.bytes);
          listing.push(listed);
          // Told at the end of the round.
          listed.catch(() => {});
        } else if (news.kind === 'skipped') {
          skipped.push({ file: news.file, reason: news.reason });
        } else if (news.error !== null) {
          failure = deserializeError(news.error);
        }
      });
      worker.on('error', (error) => {
        failure = died(this.#data.folder, error);
      });
      worker.on('exit', () => {
        this.#worker = undefined;
        signal?.removeEventListener('abort', enough);
        const ended = Promise.all(listing).then(() => {
          if (failure !== undefined) throw failure;
          return { segments, bytesBefore, bytesAfter, skipped };
        });
        ended.then(resolve, reject);
      });
    });
  }
}

function died(folder: string, cause: Error): StorageError {
  return new StorageError(
    'ERR_STORAGE_IO',
    `segments of ${folder} cannot be compacted: ${cause.message}`,
    { path: folder },
    { cause },
  );
}
