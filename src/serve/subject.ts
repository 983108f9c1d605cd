/** A subject: an experiment that is looked at, wherever it comes from, opened in the server's thread. */
import { CHUNK_ROWS, STRINGS } from '../../assembly/layout.js';
import type { ExperimentTimes } from '../analysis/metrics.js';
import { anchor, systemClock } from '../clock.js';
import { DurableStore } from '../readers/durable-store.js';
import { limitOf } from '../readers/limit.js';
import type { RowStore } from '../readers/source.js';
import { AccumulatorReader, type Tally } from '../ring/accumulators.js';
import type { Batch } from '../ring/batch.js';
import { BindingTable } from '../ring/bindings.js';
import { RingControl } from '../ring/control.js';
import { Dictionary } from '../ring/dictionary.js';
import { allocateMemory } from '../ring/memory.js';
import { RingReader } from '../ring/reader.js';
import { Replay } from '../ring/replay.js';
import type { Filter } from '../schema/event.js';
import type { DamagedBatch } from '../storage/damage.js';
import { nodeFileSystem } from '../storage/disk/file-system.js';
import { Segments } from '../storage/segment/segments.js';
import { type ExperimentAccess, OpenedExperiment } from '../workers/access.js';
import type { SelectedRows } from '../workers/tasks.js';
import type { Descriptor } from './protocol.js';

export interface Subject {
  readonly store: RowStore;
  readonly bindings: BindingTable;
  /** Whether the sums know only of rows that `fold` was given. */
  readonly isFolded: boolean;
  /** Counts and sums by accumulator slot. */
  tallies(): Map<number, Tally>;
  fold(batch: Batch): void;
  readonly damaged: readonly DamagedBatch[];
  /** Rows that a full ring lost to newer ones. */
  readonly overwritten: number;
  close(): void;
}

/** An experiment of the process: its sums are in the memory that is shared. */
class SharedSubject implements Subject {
  readonly isFolded = false;
  readonly bindings: BindingTable;
  readonly #opened: OpenedExperiment;
  readonly #accumulators: AccumulatorReader;
  readonly #control: RingControl;

  constructor(access: ExperimentAccess) {
    const { memory, geometry } = access;
    this.#opened = new OpenedExperiment(access);
    this.#opened.noteDamaged(access.damaged);
    this.#accumulators = new AccumulatorReader(memory, geometry);
    this.#control = new RingControl(memory, geometry);
    this.bindings = new BindingTable(memory.buffer);
  }

  get store(): RowStore {
    return this.#opened.store;
  }

  get damaged(): readonly DamagedBatch[] {
    return this.#opened.damaged;
  }

  get overwritten(): number {
    return this.#control.counts().overwritten;
  }

  tallies(): Map<number, Tally> {
    return this.#accumulators.read();
  }

  fold(): void {}

  close(): void {
    this.#opened.close();
  }
}

/** An experiment of a folder, which another process may write on: its sums are made here, as its rows are read. */
class FolderSubject implements Subject {
  readonly isFolded = true;
  readonly overwritten = 0;
  readonly bindings: BindingTable;
  readonly store: DurableStore;
  readonly #segments: Segments;
  readonly #accumulators: AccumulatorReader;
  readonly #replay: Replay;

  constructor({ id, name, condition, tags, declared: columns }: Descriptor, folder: string) {
    // A ring in which nothing is ever captured: what is wanted are its dictionaries and accumulators.
    const { memory, geometry } = allocateMemory({
      capacityRows: CHUNK_ROWS,
      columns,
      producerCount: 1,
      overflow: 'reject',
      ...anchor(systemClock),
    });
    this.bindings = new BindingTable(memory.buffer);
    const strings = new Dictionary(memory.buffer, STRINGS);
    const source = {
      experimentId: id,
      experimentName: name,
      condition,
      tags,
      priceVersion: '',
      columns,
      binding: (binding: number) => this.bindings.binding(binding),
      text: (text: number) => strings.text(text),
    };
    this.#segments = new Segments(nodeFileSystem, folder, columns, id);
    this.store = new DurableStore(this.#segments, new RingReader(memory, geometry), source, (texts) => {
      this.bindings.restore(texts.bindings);
      strings.restore(texts.strings);
    });
    this.#accumulators = new AccumulatorReader(memory, geometry);
    this.#replay = new Replay(memory, geometry);
  }

  get damaged(): readonly DamagedBatch[] {
    return this.#segments.damaged;
  }

  tallies(): Map<number, Tally> {
    return this.#accumulators.read();
  }

  fold(batch: Batch): void {
    this.#replay.add(batch);
  }

  close(): void {
    this.#segments.close();
  }
}

/** @throws StorageError, MemoryError */
export function openSubject(descriptor: Descriptor, access: ExperimentAccess | undefined): Subject {
  return access === undefined
    ? new FolderSubject(descriptor, descriptor.folder as string)
    : new SharedSubject(access);
}

/** Its rows as of now, for a task. */
export function rowsNow({ store }: Subject, filter?: Filter): SelectedRows {
  const { refs } = store.snapshot(Number.NEGATIVE_INFINITY, Number.POSITIVE_INFINITY);
  return { store, selection: { filter, range: null, limit: limitOf(refs), scores: [] } };
}

/** How long it has run, as results tell it. */
export function timesOf(
  { startedAt, stoppedAt, pausedAt, pausedUs }: Descriptor,
  nowUs: number,
): ExperimentTimes {
  const endUs = stoppedAt ?? nowUs;
  const wallUs = Math.max(0, endUs - startedAt);
  const paused = pausedUs + (pausedAt === null ? 0 : Math.max(0, endUs - pausedAt));
  return {
    wallClockSeconds: wallUs / 1e6,
    activeSeconds: Math.max(0, wallUs - paused) / 1e6,
    pausedSeconds: paused / 1e6,
  };
}
