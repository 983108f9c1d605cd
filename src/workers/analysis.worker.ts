/** A worker thread's side of the pool. */
import type { MessagePort } from 'node:worker_threads';
import { move, transferableSymbol, valueSymbol } from 'piscina';
import { serializeError, type WireError } from '../errors.js';
import type { DamagedBatch } from '../storage/damage.js';
import { type ExperimentAccess, openExperiment, releaseExperiment } from './access.js';
import { perform, type Selection, type Task } from './tasks.js';
import { buffersIn } from './transfer.js';

/** An experiment's rows, as they are named to a thread. */
export interface RowsAccess {
  readonly access: ExperimentAccess;
  readonly selection: Selection;
}

export interface Request {
  readonly parts: readonly RowsAccess[];
  readonly task: Task;
  /** Where an export's progress is told; null for other tasks. */
  readonly port: MessagePort | null;
}

export interface Outcome {
  readonly result: unknown;
  /** What could not be read. */
  readonly damaged: readonly DamagedBatch[];
}

/** Errors keep their class and code. */
export type Response = Outcome | { readonly error: WireError };

export async function respond({ parts, task, port }: Request): Promise<Response> {
  try {
    const experiments = parts.map(({ access }) => openExperiment(access));
    try {
      const rows = parts.map(({ selection }, i) => ({ store: experiments[i].store, selection }));
      const result = await perform(rows, task, (progress) => port?.postMessage(progress));
      return moved({ result, damaged: experiments.flatMap(({ damaged }) => damaged) });
    } finally {
      for (const { access } of parts) releaseExperiment(access);
    }
  } catch (error) {
    return { error: serializeError(error) };
  } finally {
    port?.close();
  }
}

/** The response such that the memory of its arrays goes over instead of being copied. */
function moved(response: Outcome): Response {
  const sent = { [transferableSymbol]: buffersIn(response.result), [valueSymbol]: response };
  return move(sent) as unknown as Response;
}
