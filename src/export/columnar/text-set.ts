/** The distinct texts of a column, until they are too many to be a dictionary. */

import { wellFormed } from '../text.js';

/** More values than these, or more characters in all, are written as plain text. */
const VALUES_MAX = 16_384;
const CHARACTERS_MAX = 1 << 20;

export class TextSet {
  /** Codes by text, from 1 in the order of their first appearance; undefined when there were too many. */
  private codes: Map<string, number> | undefined = new Map();
  /** All texts as UTF-8, from when they are first asked for; nothing is added after that. */
  private encoded: readonly Uint8Array[] | undefined;
  private characters = 0;
  private readonly valuesMax: number;
  private readonly charactersMax: number;

  constructor(valuesMax = VALUES_MAX, charactersMax = CHARACTERS_MAX) {
    this.valuesMax = valuesMax;
    this.charactersMax = charactersMax;
  }

  add(text: string): void {
    const { codes } = this;
    if (codes === undefined || codes.has(text)) return;
    const valid = wellFormed(text);
    if (valid !== text) {
      this.add(valid);
      return;
    }
    this.characters += text.length;
    if (codes.size >= this.valuesMax || this.characters > this.charactersMax) this.codes = undefined;
    else codes.set(text, codes.size + 1);
  }

  /** Whether there were too many. */
  get isOverfull(): boolean {
    return this.codes === undefined;
  }

  get size(): number {
    return this.codes?.size ?? 0;
  }

  /** In the order of their codes, well formed; none when there were too many. */
  values(): string[] {
    return [...(this.codes?.keys() ?? [])];
  }

  /** The text of a code, as UTF-8. */
  bytes(code: number): Uint8Array {
    this.encoded ??= this.values().map((text) => Buffer.from(text));
    return this.encoded[code - 1];
  }

  /** From 1; 0 for a text that was not added. */
  find(text: string): number {
    return this.codes?.get(text) ?? this.codes?.get(wellFormed(text)) ?? 0;
  }
}
