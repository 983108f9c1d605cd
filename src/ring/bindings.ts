/**
 * Bindings: what is the same for all rows of a recorder (event name, model, provider, bound column values),
 * interned to a 16-bit id, and which accumulator slot each one feeds.
 */
import {
  BAND_BYTES,
  BAND_COUNT_BITS,
  BAND_COUNT_MAX,
  BAND_LISTS,
  BANDS,
  BANDS_MAX,
  BINDINGS,
  DICTIONARY_OVERFLOW_ID,
  HEADER_NEXT_BAND_OFFSET,
  HEADER_NEXT_EVENT_SLOT_OFFSET,
  HEADER_NEXT_SLOT_OFFSET,
  SLOT_COUNT,
  SLOT_EVENT_START,
  SLOT_TABLE,
} from '../../assembly/layout.js';
import type { Json } from '../schema/event.js';
import type { PriceBand } from '../schema/prices.js';
import { Dictionary, OVERFLOW_TEXT } from './dictionary.js';

export interface Binding {
  readonly event: string;
  readonly model: string | null;
  readonly provider: string | null;
  /** Values for rows that bring none of their own. */
  readonly bound: Readonly<Record<string, Json>>;
}

const OVERFLOW_BINDING: Binding = { event: OVERFLOW_TEXT, model: null, provider: null, bound: {} };
const NOTHING_BOUND: Readonly<Record<string, Json>> = Object.freeze({});

export class BindingTable {
  readonly #dictionary: Dictionary;
  readonly #words: Int32Array;
  readonly #slots: Uint16Array;
  readonly #bandLists: Uint32Array;
  readonly #bands: Float64Array;
  /** Lists by whose prices they are. */
  readonly #known = new Map<string, number>();
  readonly #eventSlots = new Map<string, number>();
  #scanned = 1;
  readonly #bindings: (Binding | undefined)[] = [OVERFLOW_BINDING];

  constructor(buffer: SharedArrayBuffer) {
    this.#dictionary = new Dictionary(buffer, BINDINGS);
    this.#words = new Int32Array(buffer, 0, 1024);
    this.#slots = new Uint16Array(buffer, SLOT_TABLE, 65536);
    this.#bandLists = new Uint32Array(buffer, BAND_LISTS, 65536);
    this.#bands = new Float64Array(buffer, BANDS, (BANDS_MAX * BAND_BYTES) / 8);
  }

  get size(): number {
    return this.#dictionary.size;
  }

  /** @see Dictionary.firstUnready */
  firstUnready(id: number): number {
    return this.#dictionary.firstUnready(id);
  }

  isReady(id: number): boolean {
    return this.#dictionary.isReady(id);
  }

  get refused(): number {
    return this.#dictionary.refused;
  }

  /** The binding's id; 0 when the table is full. Its slot is assigned before the id is returned. */
  intern(event: string, model: string | null, provider: string | null, bound = NOTHING_BOUND): number {
    const id = this.#dictionary.intern(JSON.stringify([event, model, provider, bound]));
    if (id !== DICTIONARY_OVERFLOW_ID && Atomics.load(this.#slots, id) === 0) {
      // Of two threads that intern a binding at once the first decides; its rows may be there already.
      Atomics.compareExchange(this.#slots, id, 0, this.#assignSlot(event));
    }
    return id;
  }

  /** @see Dictionary.restore */
  restore(texts: readonly string[]): void {
    const from = this.size;
    this.#dictionary.restore(texts);
    for (let id = from; id < texts.length; id++) this.#slots[id] = this.#assignSlot(this.binding(id).event);
  }

  binding(id: number): Binding {
    let binding = this.#bindings[id];
    if (binding === undefined) {
      const text = this.#dictionary.text(id);
      if (text === OVERFLOW_TEXT) return OVERFLOW_BINDING;
      const [event, model, provider, bound] = JSON.parse(text) as [
        string,
        string | null,
        string | null,
        Record<string, Json>,
      ];
      binding = { event, model, provider, bound };
      this.#bindings[id] = binding;
    }
    return binding;
  }

  /**
   * Says what the tokens of a binding's rows cost, before the first of those that ask for it.
   * @param model - whose prices they are
   * @returns false where there is no room for them
   */
  price(id: number, model: string, bands: readonly PriceBand[]): boolean {
    // All threads have the same table.
    if (this.#bandLists[id] !== 0) return true;
    const list = this.#known.get(model) ?? this.#placeBands(bands);
    if (list === 0) return false;
    this.#known.set(model, list);
    this.#bandLists[id] = list;
    return true;
  }

  /** @returns the list, or 0 */
  #placeBands(bands: readonly PriceBand[]): number {
    if (bands.length === 0 || bands.length > BAND_COUNT_MAX) return 0;
    const first = Atomics.add(this.#words, HEADER_NEXT_BAND_OFFSET >> 2, bands.length);
    if (first + bands.length > BANDS_MAX) return 0;
    const values = bands.flatMap((band) => [
      band.fromUs,
      band.untilUs,
      band.above,
      band.inputUsd,
      band.outputUsd,
    ]);
    this.#bands.set(values, (first * BAND_BYTES) / 8);
    return (first << BAND_COUNT_BITS) | bands.length;
  }

  slot(id: number): number {
    return this.#slots[id];
  }

  /** A slot of its own while there are any, then one per event name, then slot 0. */
  #assignSlot(event: string): number {
    const own = this.#take(HEADER_NEXT_SLOT_OFFSET, SLOT_EVENT_START);
    if (own !== undefined) return own;
    // What other threads have assigned meanwhile; each id is looked at once.
    for (; this.#scanned < this.size; this.#scanned++) {
      const slot = Atomics.load(this.#slots, this.#scanned);
      if (slot >= SLOT_EVENT_START) this.#eventSlots.set(this.binding(this.#scanned).event, slot);
    }
    const known = this.#eventSlots.get(event);
    if (known !== undefined) return known;
    const slot = this.#take(HEADER_NEXT_EVENT_SLOT_OFFSET, SLOT_COUNT) ?? 0;
    if (slot !== 0) this.#eventSlots.set(event, slot);
    return slot;
  }

  #take(counterOffset: number, end: number): number | undefined {
    const index = counterOffset >> 2;
    if (Atomics.load(this.#words, index) >= end) return undefined;
    const slot = Atomics.add(this.#words, index, 1);
    return slot < end ? slot : undefined;
  }
}
