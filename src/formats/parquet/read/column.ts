/** A column of a row group as entries: values with the levels that tell where in a record they belong. */

import { ImportError } from '../../../errors.js';
import type { Json } from '../../../schema/event.js';
import type { ChunkMetadata } from './metadata.js';
import { type Page, type PageContext, PageReader } from './pages.js';
import type { Leaf } from './schema.js';

/** As much is decoded ahead, unless a single row has more. */
const AHEAD_ENTRIES = 65_536;
const AHEAD_CHARS = 1024 * 1024;
const ROW_ENTRIES_MAX = 4 * 1024 * 1024;
const ENTRIES_A_LOOK = 1024;

export class Column {
  readonly leaf: Leaf;
  readonly #context: PageContext;
  readonly #pages: PageReader;
  #page: Page | null = null;
  #isEnded = false;
  readonly #values: Json[] = [];
  readonly #definitions: number[] = [];
  /** Empty where nothing is repeated: all are 0. */
  readonly #repetitions: number[] = [];
  /** The next entry to be taken. */
  #at = 0;
  /** Entries from it on that begin a row. */
  #begun = 0;

  constructor(context: PageContext, leaf: Leaf, chunk: ChunkMetadata) {
    this.leaf = leaf;
    this.#context = context;
    this.#pages = new PageReader(context, leaf, chunk);
  }

  /** Whole rows that can be taken. */
  get rows(): number {
    // The last one may go on.
    return this.leaf.repetitionMax === 0 || this.#isEnded ? this.#begun : Math.max(0, this.#begun - 1);
  }

  /** Reads ahead up to so many rows, and at least one unless there is none. */
  async fill(rows: number): Promise<number> {
    if (this.rows >= rows || this.#isEnded) return this.rows;
    this.#forget();
    const { pace } = this.#context;
    let chars = 0;
    for (let read = 0; this.rows < rows; read++) {
      if (this.rows > 0 && (read >= AHEAD_ENTRIES || chars >= AHEAD_CHARS)) break;
      if (this.#page === null || this.#page.left === 0) {
        this.#page = await this.#pages.next();
        if (this.#page === null) {
          this.#isEnded = true;
          break;
        }
      }
      chars += this.#read(this.#page);
      if (read > ROW_ENTRIES_MAX) throw tooLong();
      if (read % ENTRIES_A_LOOK === 0 && pace.isDue) await pace.rest();
    }
    return this.rows;
  }

  /** @returns roughly how many characters there are more */
  #read(page: Page): number {
    const { definitionMax, repetitionMax } = this.leaf;
    page.left--;
    if (repetitionMax > 0) {
      const repetition = page.repetition();
      if (
        repetition > repetitionMax ||
        (repetition > 0 && this.#begun === 0 && this.#at === this.#values.length)
      )
        throw new RangeError('a repetition level is none');
      if (repetition === 0) this.#begun++;
      this.#repetitions.push(repetition);
    } else this.#begun++;
    const definition = page.definition();
    if (definition > definitionMax) throw new RangeError('a definition level is none');
    this.#definitions.push(definition);
    const value = definition === definitionMax ? page.value() : null;
    this.#values.push(value);
    return typeof value === 'string' ? value.length : 0;
  }

  /** Definition level of the next entry. @throws RangeError where there is none */
  get definition(): number {
    const definition = this.#definitions[this.#at];
    if (definition === undefined) throw new RangeError('columns of a list have different lengths');
    return definition;
  }

  /** Repetition level of the next entry; 0 where no more are there. */
  get repetition(): number {
    return this.#repetitions[this.#at] ?? 0;
  }

  /** Takes the next entry. */
  take(): Json {
    const value = this.#values[this.#at];
    if (value === undefined) throw new RangeError('columns of a list have different lengths');
    this.#at++;
    return value;
  }

  /** Tells that all of a row has been taken. @throws RangeError where that is not so */
  endRow(): void {
    this.#begun--;
    if (this.repetition !== 0) throw new RangeError('columns of a list have different lengths');
  }

  #forget(): void {
    if (this.#at === 0) return;
    this.#values.splice(0, this.#at);
    this.#definitions.splice(0, this.#at);
    this.#repetitions.splice(0, this.#at);
    this.#at = 0;
  }
}

function tooLong(): ImportError {
  const message = `a row has more than ${ROW_ENTRIES_MAX} values in one column`;
  return new ImportError('ERR_FILE_TOO_LARGE', message, { values: ROW_ENTRIES_MAX });
}
