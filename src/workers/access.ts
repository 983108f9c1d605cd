/** Access: what a thread needs to read an experiment, and the experiment as it is opened there. */
import { STRINGS } from '../../assembly/layout.js';
import { DurableStore } from '../readers/durable-store.js';
import { MemoryStore } from '../readers/memory-store.js';
import type { RowSource } from '../readers/rows.js';
import type { RowStore } from '../readers/source.js';
import { BindingTable } from '../ring/bindings.js';
import { Dictionary } from '../ring/dictionary.js';
import type { Geometry } from '../ring/memory.js';
import { RingReader } from '../ring/reader.js';
import type { SharedMemory } from '../ring/wasm.js';
import type { DamagedBatch } from '../storage/damage.js';
import { nodeFileSystem } from '../storage/disk/file-system.js';
import { Segments } from '../storage/segment/segments.js';

/** What is the same for all rows of an experiment, as it can be sent. */
export type SourceFields = Omit<RowSource, 'binding' | 'text'>;

/** Structured-cloneable. */
export interface ExperimentAccess {
  /** Never the same for two memories of this process. */
  readonly key: number;
  readonly memory: SharedMemory;
  readonly geometry: Geometry;
  readonly fields: SourceFields;
  /** Of its segments; null for an experiment in memory. */
  readonly folder: string | null;
  /** What is known to be lost of them. */
  readonly damaged: readonly DamagedBatch[];
}

/** An experiment as this thread reads it. Its dictionaries are those in the memory, which know all that is on disk. */
export class OpenedExperiment {
  readonly store: RowStore;
  readonly #segments: Segments | null;

  constructor({ memory, geometry, fields, folder }: ExperimentAccess) {
    const reader = new RingReader(memory, geometry);
    const bindings = new BindingTable(memory.buffer);
    const strings = new Dictionary(memory.buffer, STRINGS);
    const source = {
      ...fields,
      binding: (id: number) => bindings.binding(id),
      text: (id: number) => strings.text(id),
    };
    this.#segments =
      folder === null ? null : new Segments(nodeFileSystem, folder, fields.columns, fields.experimentId);
    this.store =
      this.#segments === null
        ? new MemoryStore(reader, source)
        : new DurableStore(this.#segments, reader, source, () => {});
  }

  /** What somebody else has found lost. */
  noteDamaged(damaged: readonly DamagedBatch[]): void {
    for (const damage of damaged) this.#segments?.ledger.add(damage);
  }

  /** What has been found lost of the files. */
  get damaged(): readonly DamagedBatch[] {
    return this.#segments?.damaged ?? [];
  }

  close(): void {
    this.#segments?.close();
  }
}

/** Opened experiments that nobody has used for so long are let go, and their memory with them, ms. */
const IDLE_MS = 5_000;

interface Opened {
  readonly experiment: OpenedExperiment;
  users: number;
  timer: NodeJS.Timeout | undefined;
}

const opened = new Map<number, Opened>();

/** The experiment, opened once in this thread for all who use it at a time. Who is done with it says so by `releaseExperiment`. */
export function openExperiment(access: ExperimentAccess): OpenedExperiment {
  let known = opened.get(access.key);
  if (known === undefined) {
    known = { experiment: new OpenedExperiment(access), users: 0, timer: undefined };
    opened.set(access.key, known);
  }
  known.users++;
  known.experiment.noteDamaged(access.damaged);
  clearTimeout(known.timer);
  return known.experiment;
}

export function releaseExperiment({ key }: ExperimentAccess): void {
  const known = opened.get(key);
  if (known === undefined || --known.users > 0) return;
  known.timer = setTimeout(() => {
    opened.delete(key);
    known.experiment.close();
  }, IDLE_MS).unref();
}
