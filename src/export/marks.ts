/** Marks: values that are put in the place of a row's own to find out what becomes of them in a file. */
import { randomInt } from 'node:crypto';
import type { Json } from '../schema/event.js';

/** Values that stand for a row's own, each of which can be recognised in what is written. */
export class Marks {
  /** Token counts; their sum is a mark, too. */
  readonly prompt = randomInt(5e8, 7e8);
  readonly completion = randomInt(3e8, 5e8);
  private readonly counts = [this.prompt, this.completion, this.prompt + this.completion];
  private readonly secret = String(randomInt(1e8, 1e9));

  text(slot: number): string {
    return `\ue000${this.secret}.${slot}\ue001`;
  }

  /**
   * Fifteen digits, so that its text is always these; negative, so that it differs wherever numbers do that look like
   * formulas.
   */
  number(slot: number): number {
    return Number(`-1.${this.secret}${String(slot).padStart(4, '0')}1e-200`);
  }

  /** The slot that the value stands for; undefined for any other. */
  slotOf(value: Json): number | undefined {
    if (typeof value !== 'string' && typeof value !== 'number') return undefined;
    const { text, number } = this.pattern;
    const found = new RegExp(`^${typeof value === 'string' ? text : number}$`).exec(String(value));
    return found === null ? undefined : Number(found[1]);
  }

  /** Whether there is a mark in the text. */
  isIn(text: string): boolean {
    return text.includes(this.secret) || this.counts.some((count) => text.includes(String(count)));
  }

  /** Whether there is a mark in the text that is not all of it. */
  isWithin(text: string): boolean {
    return this.isIn(text) && this.slotOf(text) === undefined;
  }

  /** Places of marks in a text, as the source of a regular expression whose groups tell the slots. */
  get pattern(): { readonly text: string; readonly number: string; readonly counts: string } {
    return {
      text: `\ue000${this.secret}\\.(\\d+)\ue001`,
      number: `-1\\.${this.secret}(\\d{4})1e-200`,
      counts: `(${this.counts.join('|')})`,
    };
  }
}
