/** The distinct texts of a column, until they are too many to be a dictionary. */

import { wellFormed } from '../text.js';

/** More values than these, or more characters in all, are written as plain text. */
const VALUES_MAX = 16_384;
const CHARACTERS_MAX = 1 << 20;

export class TextSet {
  /** Well formed; undefined when there were too many. */
  private texts: Set<string> | undefined = new Set();
  private characters = 0;
  /** From when they are first asked for; nothing is added after that. */
  private codes: ReadonlyMap<string, number> | undefined;
  private encoded: readonly Uint8Array[] | undefined;
  private readonly valuesMax: number;
  private readonly charactersMax: number;

  constructor(valuesMax = VALUES_MAX, charactersMax = CHARACTERS_MAX) {
    this.valuesMax = valuesMax;
    this.charactersMax = charactersMax;
  }

  add(text: string): void {
    const { texts } = this;
    if (texts === undefined || texts.has(text)) return;
    const valid = wellFormed(text);
    if (valid !== text) {
      this.add(valid);
      return;
    }
    this.characters += text.length;
    if (texts.size >= this.valuesMax || this.characters > this.charactersMax) this.texts = undefined;
    else texts.add(text);
  }

  /** Whether there were too many. */
  get isOverfull(): boolean {
    return this.texts === undefined;
  }

  get size(): number {
    return this.texts?.size ?? 0;
  }

  /** In code-unit order, so that it does not matter which came first; none when there were too many. */
  values(): string[] {
    return [...(this.texts ?? [])].sort();
  }

  /** The text of a code, as UTF-8. */
  bytes(code: number): Uint8Array {
    this.encoded ??= this.values().map((text) => Buffer.from(text));
    return this.encoded[code - 1];
  }

  /** The text's place among `values`, from 1; 0 for a text that was not added. */
  find(text: string): number {
    this.codes ??= new Map(this.values().map((value, index) => [value, index + 1]));
    return this.codes.get(text) ?? this.codes.get(wellFormed(text)) ?? 0;
  }
}
