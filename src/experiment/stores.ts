/** Stores: an experiment's memory and everything that looks into it; let go as a whole. */
import { STRINGS } from '../../assembly/layout.js';
import { EventWriter } from '../capture/event-writer.js';
import { Losses } from '../capture/losses.js';
import { anchor, type Clock } from '../clock.js';
import type { RowSource } from '../readers/rows.js';
import { AccumulatorReader } from '../ring/accumulators.js';
import { BindingTable } from '../ring/bindings.js';
import { RingControl } from '../ring/control.js';
import { Dictionary } from '../ring/dictionary.js';
import { MalformedKeys } from '../ring/malformed-keys.js';
import { allocateMemory, type Geometry, prefaultChunks } from '../ring/memory.js';
import { RingReader } from '../ring/reader.js';
import type { SharedMemory } from '../ring/wasm.js';
import type { PriceTable } from '../schema/prices.js';
import type { SourceFields } from '../workers/access.js';
import type { ResolvedOptions } from './options.js';

let lastKey = 0;

export class Stores {
  /** No two of this process have the same. */
  readonly key = ++lastKey;
  readonly memory: SharedMemory;
  readonly geometry: Geometry;
  readonly losses: Losses;
  readonly writer: EventWriter;
  readonly control: RingControl;
  readonly reader: RingReader;
  readonly accumulators: AccumulatorReader;
  readonly bindings: BindingTable;
  readonly strings: Dictionary;
  readonly malformedKeys: MalformedKeys;
  readonly fields: SourceFields;
  readonly source: RowSource;

  constructor(options: ResolvedOptions, { clock, prices }: { clock: Clock; prices: PriceTable }) {
    const { memory, geometry } = allocateMemory({
      capacityRows: options.capacity,
      columns: options.columns,
      producerCount: options.producers,
      overflow: options.overflow,
      blockMs: options.durable?.blockMs ?? 0,
      spooled: options.durable !== null,
      ...anchor(clock),
    });
    if (options.prefault) prefaultChunks(memory, geometry);
    this.memory = memory;
    this.geometry = geometry;
    const { id, name, durable } = options;
    this.losses = new Losses({ id, name, durable: durable !== null });
    this.writer = new EventWriter(memory, geometry, prices, clock, this.losses);
    this.control = new RingControl(memory, geometry);
    this.reader = new RingReader(memory, geometry);
    this.accumulators = new AccumulatorReader(memory, geometry);
    this.bindings = new BindingTable(memory.buffer);
    this.strings = new Dictionary(memory.buffer, STRINGS);
    this.malformedKeys = new MalformedKeys(memory.buffer, this.strings);
    this.fields = {
      experimentId: options.id,
      experimentName: options.name,
      condition: options.condition,
      tags: options.tags,
      priceVersion: prices.version,
      columns: options.columns,
    };
    this.source = {
      ...this.fields,
      binding: (id) => this.bindings.binding(id),
      text: (id) => this.strings.text(id),
    };
  }

  /** Takes over dictionaries from disk, as far as they say more than the memory's. */
  learn(texts: { bindings: readonly string[]; strings: readonly string[] }): void {
    this.bindings.restore(texts.bindings);
    this.strings.restore(texts.strings);
  }
}
