/** What a file may cost: work and memory are bounded by its bytes, whatever it says. */

import { ImportError } from '../../../errors.js';

/** A file may have so many values whatever its size, and so many for each of its bytes: runs are short. */
const FREE_VALUES = 2 ** 24;
const VALUES_PER_BYTE_MAX = 1000;

export class Budget {
  readonly #fileBytes: number;
  readonly #outputMax: number;
  #values = 0;
  #output = 0;

  /** @param outputMax - bytes that may come out of it */
  constructor(fileBytes: number, outputMax: number) {
    this.#fileBytes = fileBytes;
    this.#outputMax = outputMax;
  }

  /** @throws ImportError ERR_FILE_TOO_LARGE */
  values(count: number): void {
    this.#values += count;
    if (this.#values <= Math.max(FREE_VALUES, VALUES_PER_BYTE_MAX * this.#fileBytes)) return;
    throw this.#tooLarge(`${this.#values} values`);
  }

  /** Bytes that are decompressed, or made of a dictionary or of parts. @throws ImportError ERR_FILE_TOO_LARGE */
  output(bytes: number): void {
    this.#output += bytes;
    if (this.#output <= this.#outputMax) return;
    throw this.#tooLarge(
      `more than ${this.#outputMax} bytes`,
      '; maxRatio and maxOutputBytes allow for more',
    );
  }

  #tooLarge(what: string, help = ''): ImportError {
    const message = `${what} come out of a file of ${this.#fileBytes} bytes${help}`;
    return new ImportError('ERR_FILE_TOO_LARGE', message, { bytes: this.#fileBytes });
  }
}
