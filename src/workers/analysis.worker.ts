/** A worker thread's side of the pool. */
import type { MessagePort } from 'node:worker_threads';
import { move, transferableSymbol, valueSymbol } from 'piscina';
import { serializeError, type WireError } from '../errors.js';
import type { DamagedBatch } from '../storage/damage.js';
import { type ExperimentAccess, openExperiment, releaseExperiment } from './access.js';
import {
  type CompareTask,
  type ExportTask,
  performCompare,
  performExport,
  performRead,
  type ReadTask,
  type SelectedRows,
  type Selection,
} from './tasks.js';
import { buffersIn } from './transfer.js';

/** An experiment's rows, as they are named to a thread. */
export interface RowsAccess {
  readonly access: ExperimentAccess;
  readonly selection: Selection;
}

export interface ReadRequest extends RowsAccess {
  readonly task: ReadTask;
}

export interface ExportRequest {
  readonly parts: readonly RowsAccess[];
  readonly task: ExportTask;
  /** Where progress is told. */
  readonly port: MessagePort;
}

export interface CompareRequest {
  readonly parts: readonly RowsAccess[];
  readonly task: CompareTask;
}

export type Request = ReadRequest | ExportRequest | CompareRequest;

export interface Outcome {
  readonly result: unknown;
  /** What could not be read. */
  readonly damaged: readonly DamagedBatch[];
}

/** Errors keep their class and code. */
export type Response = Outcome | { readonly error: WireError };

export async function respond(request: Request): Promise<Response> {
  try {
    if ('port' in request) return await runExport(request);
    if ('parts' in request) return await runCompare(request);
    const { access, task, selection } = request;
    return moved(await onRows([{ access, selection }], ([rows]) => performRead(rows, task)));
  } catch (error) {
    return { error: serializeError(error) };
  }
}

/** The response such that the memory of its arrays goes over instead of being copied. */
function moved(response: Outcome): Response {
  const sent = { [transferableSymbol]: buffersIn(response.result), [valueSymbol]: response };
  return move(sent) as unknown as Response;
}

async function runExport({ parts, task, port }: ExportRequest): Promise<Outcome> {
  try {
    return await onRows(parts, (rows) => performExport(rows, task, (progress) => port.postMessage(progress)));
  } finally {
    port.close();
  }
}

function runCompare({ parts, task }: CompareRequest): Promise<Outcome> {
  return onRows(parts, (rows) => performCompare(rows, task));
}

async function onRows(
  parts: readonly RowsAccess[],
  work: (rows: SelectedRows[]) => Promise<unknown>,
): Promise<Outcome> {
  const experiments = parts.map(({ access }) => openExperiment(access));
  try {
    const result = await work(parts.map(({ selection }, i) => ({ store: experiments[i].store, selection })));
    return { result, damaged: experiments.flatMap(({ damaged }) => damaged) };
  } finally {
    for (const { access } of parts) releaseExperiment(access);
  }
}
