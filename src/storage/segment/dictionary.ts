/** What the encoder knows of a segment's dictionaries. */
import { DICTIONARY_CAPACITY } from '../../../assembly/layout.js';
import { batchTemplate, type MessageTemplate } from '../../formats/arrow/message.js';
import { DICTIONARY_SEAL, SEAL_KEY } from './seal.js';

/**
 * A dictionary no larger than this is brought whole whenever it grows, since some readers (polars) know no deltas; a
 * larger one grows by deltas, since its messages would soon be most of the segment.
 */
export const WHOLE_BYTES_MAX = 1 << 14;

/** Values of one dictionary: those that messages have brought, and after them those that none has yet. */
export class DictionaryValues {
  readonly template: MessageTemplate;
  readonly dictionary: number;
  /** Values that messages have brought; -1 before the first message. */
  written = -1;
  /** Values from number `first` on; the ones before are not needed any more. */
  private texts: string[] = [];
  private first = 0;
  private bytes = 0;

  constructor(dictionary: number) {
    this.dictionary = dictionary;
    this.template = batchTemplate(1, 3, { [SEAL_KEY]: DICTIONARY_SEAL.text }, dictionary);
  }

  get known(): number {
    return this.first + this.texts.length;
  }

  push(text: string): void {
    this.texts.push(text);
    this.bytes += Buffer.byteLength(text);
  }

  /** What the next message is to bring: all values from number `from` on. */
  get next(): { readonly from: number; readonly texts: readonly string[] } {
    const from = this.bytes <= WHOLE_BYTES_MAX ? 0 : Math.max(this.written, 0);
    return { from, texts: this.texts.slice(from - this.first) };
  }

  forgetWritten(): void {
    if (this.bytes <= WHOLE_BYTES_MAX || this.written <= this.first) return;
    this.texts = this.texts.slice(this.written - this.first);
    this.first = this.written;
  }
}

/** A dictionary whose values are told apart by their text. */
export class UniqueValues extends DictionaryValues {
  readonly #numbers = new Map<string, number>();
  /** The value's number by binding; -1 where the binding has none. */
  readonly byBinding = new Int32Array(DICTIONARY_CAPACITY);

  learn(binding: number, text: string | null): void {
    this.byBinding[binding] = text === null ? -1 : this.#number(text);
  }

  #number(text: string): number {
    let number = this.#numbers.get(text);
    if (number === undefined) {
      number = this.known;
      this.#numbers.set(text, number);
      this.push(text);
    }
    return number;
  }
}
