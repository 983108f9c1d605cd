/** A ring without an experiment round it: the memory, and everything that writes and reads it, in one thread. */

import { EventWriter } from '../../src/capture/event-writer.js';
import { systemClock } from '../../src/clock.js';
import { AccumulatorReader } from '../../src/ring/accumulators.js';
import type { Batch } from '../../src/ring/batch.js';
import { BindingTable } from '../../src/ring/bindings.js';
import { RingControl } from '../../src/ring/control.js';
import { allocateMemory, type Geometry, type MemoryOptions } from '../../src/ring/memory.js';
import { RingReader } from '../../src/ring/reader.js';
import type { SharedMemory } from '../../src/ring/wasm.js';
import { REFERENCE_PRICES } from '../../src/schema/prices.js';

export interface TestRing {
  readonly memory: SharedMemory;
  readonly geometry: Geometry;
  readonly reader: RingReader;
  readonly control: RingControl;
  readonly bindings: BindingTable;
  readonly accumulators: AccumulatorReader;
  /** Becomes another producer, as another thread would. */
  writer(): EventWriter;
}

export function makeRing(options: Partial<MemoryOptions> = {}): TestRing {
  const { memory, geometry } = allocateMemory({
    capacityRows: 1024,
    columns: [],
    producerCount: 2,
    overflow: 'overwrite',
    anchorNs: 0n,
    anchorUs: 0,
    ...options,
  });
  return {
    memory,
    geometry,
    reader: new RingReader(memory, geometry),
    control: new RingControl(memory, geometry),
    bindings: new BindingTable(memory.buffer),
    accumulators: new AccumulatorReader(memory, geometry),
    writer: () => new EventWriter(memory, geometry, REFERENCE_PRICES, systemClock),
  };
}

/** Every batch that can be read now, in capture order. */
export function batchesOf(ring: TestRing): Batch[] {
  return ring.reader.chunks().flatMap((view) => ring.reader.read(view) ?? []);
}

/** The latencies of all readable rows, in capture order. */
export function latenciesOf(ring: TestRing): number[] {
  return batchesOf(ring).flatMap((batch) => [...batch.latencyMs]);
}

/**
 * Runs `meanwhile` inside the first Atomics.add or compareExchange on `index` that `fn` makes, after it has taken effect: what another
 * thread might do between two steps of this one, at a chosen step.
 */
export function interleave(index: number, meanwhile: () => void, fn: () => void): void {
  const { add, compareExchange } = Atomics;
  let pending = true;
  const after = <T>(array: unknown, at: number, result: T): T => {
    if (pending && at === index && array instanceof Int32Array) {
      pending = false;
      meanwhile();
    }
    return result;
  };
  const hook = (name: 'add' | 'compareExchange', value: unknown) =>
    Object.defineProperty(Atomics, name, { value, configurable: true, writable: true });
  hook('add', (array: Int32Array, at: number, value: number) => after(array, at, add(array, at, value)));
  hook('compareExchange', (array: Int32Array, at: number, expected: number, value: number) =>
    after(array, at, compareExchange(array, at, expected, value)),
  );
  try {
    fn();
  } finally {
    hook('add', add);
    hook('compareExchange', compareExchange);
  }
}
