/**
 * An append-only table of texts in shared memory, text ↔ id, safe for several threads without a lock.
 *
 * An appender reserves an id and bytes by atomic adds, writes the bytes, and then stores the entry's length
 * atomically, which makes the entry ready. Two threads may give one text two ids at the same moment; whoever
 * groups by dictionary value therefore groups by text. Id 0 stands for everything that no longer fitted.
 */
import {
  DICTIONARY_CAPACITY,
  DICTIONARY_COUNT_OFFSET,
  DICTIONARY_ENTRIES_OFFSET,
  DICTIONARY_ENTRY_BYTES,
  DICTIONARY_OVERFLOW_ID,
  DICTIONARY_REFUSED_OFFSET,
  DICTIONARY_TAIL_OFFSET,
  DICTIONARY_TEXT_BYTES,
  DICTIONARY_TEXT_OFFSET,
} from '../../assembly/layout.js';

/** What a reader is shown for id 0. */
export const OVERFLOW_TEXT = '(overflow)';

/** Longer texts are not worth a place: they seldom repeat. */
const TEXT_BYTES_MAX = 65536;

export class Dictionary {
  readonly #bytes: Buffer;
  readonly #words: Int32Array;
  readonly #address: number;
  readonly #entriesIndex: number;
  readonly #ids = new Map<string, number>();
  readonly #texts: (string | undefined)[] = [OVERFLOW_TEXT];
  /** Entries below this id are in #ids. */
  #synced = 1;

  /** @param address - where the table begins in `buffer`, a multiple of 8 */
  constructor(buffer: SharedArrayBuffer, address: number) {
    this.#bytes = Buffer.from(buffer);
    this.#words = new Int32Array(buffer);
    this.#address = address;
    this.#entriesIndex = (address + DICTIONARY_ENTRIES_OFFSET) >> 2;
  }

  /** Ids handed out, id 0 included. */
  get size(): number {
    const handedOut = Atomics.load(this.#words, (this.#address + DICTIONARY_COUNT_OFFSET) >> 2);
    return Math.min(handedOut + 1, DICTIONARY_CAPACITY);
  }

  /** The first id from `id` on whose text is not there yet: not handed out, or a thread is just appending it. */
  firstUnready(id: number): number {
    const size = this.size;
    while (id < size && this.isReady(id)) id++;
    return id;
  }

  /** Texts that found no place. */
  get refused(): number {
    return Atomics.load(this.#words, (this.#address + DICTIONARY_REFUSED_OFFSET) >> 2);
  }

  /** The text's id, which it is given now if it has none; 0 when it finds no place. */
  intern(text: string): number {
    const known = this.#ids.get(text);
    if (known !== undefined) return known;
    this.#sync();
    return this.#ids.get(text) ?? this.#append(text);
  }

  /** Gives the texts of an earlier dictionary the ids they had there, as far as they are not there yet. */
  restore(texts: readonly string[]): void {
    for (let id = this.size; id < texts.length; id++) {
      const given = this.#append(texts[id]);
      // Two threads may have given one text two ids; the first is the one to be found.
      if (given !== id) throw new RangeError(`dictionary id ${id} became ${given}`);
    }
  }

  /** The text of an id that a published row carries. */
  text(id: number): string {
    const known = this.#texts[id];
    if (known !== undefined) return known;
    const text = this.#read(id);
    if (text === undefined) return OVERFLOW_TEXT;
    this.#texts[id] = text;
    return text;
  }

  #append(text: string): number {
    const bytes = Buffer.byteLength(text);
    if (bytes > TEXT_BYTES_MAX || this.size >= DICTIONARY_CAPACITY) return this.#refuse();
    const start = this.#reserve(bytes);
    if (start === undefined) return this.#refuse();
    // Bytes come before the id: an id that is handed out is always made ready.
    const id = Atomics.add(this.#words, (this.#address + DICTIONARY_COUNT_OFFSET) >> 2, 1) + 1;
    if (id >= DICTIONARY_CAPACITY) return this.#refuse();
    this.#bytes.write(text, this.#address + DICTIONARY_TEXT_OFFSET + start);
    const entry = this.#entriesIndex + id * (DICTIONARY_ENTRY_BYTES >> 2);
    this.#words[entry] = start;
    Atomics.store(this.#words, entry + 1, bytes + 1);
    if (!this.#ids.has(text)) this.#ids.set(text, id);
    return id;
  }

  /** Takes bytes for a text if there are so many; a text that is too long must not use up what is left. */
  #reserve(bytes: number): number | undefined {
    const tail = (this.#address + DICTIONARY_TAIL_OFFSET) >> 2;
    for (;;) {
      const start = Atomics.load(this.#words, tail);
      if (start + bytes > DICTIONARY_TEXT_BYTES) return undefined;
      if (Atomics.compareExchange(this.#words, tail, start, start + bytes) === start) return start;
    }
  }

  #refuse(): number {
    Atomics.add(this.#words, (this.#address + DICTIONARY_REFUSED_OFFSET) >> 2, 1);
    return DICTIONARY_OVERFLOW_ID;
  }

  /** Learns what other threads have added, up to the first entry that is not ready yet. */
  #sync(): void {
    const size = this.size;
    for (; this.#synced < size; this.#synced++) {
      const text = this.#read(this.#synced);
      if (text === undefined) return;
      if (!this.#ids.has(text)) this.#ids.set(text, this.#synced);
    }
  }

  isReady(id: number): boolean {
    return Atomics.load(this.#words, this.#entriesIndex + id * (DICTIONARY_ENTRY_BYTES >> 2) + 1) > 0;
  }

  #read(id: number): string | undefined {
    if (!this.isReady(id)) return undefined;
    const entry = this.#entriesIndex + id * (DICTIONARY_ENTRY_BYTES >> 2);
    const bytes = Atomics.load(this.#words, entry + 1) - 1;
    const start = this.#address + DICTIONARY_TEXT_OFFSET + this.#words[entry];
    return this.#bytes.toString('utf8', start, start + bytes);
  }
}
