/** Bytes in chunks of any size as runs of a wanted size. */

import type { ByteChunks } from '../reader.js';

export class ByteQueue {
  readonly #chunks: AsyncIterator<Uint8Array> | Iterator<Uint8Array>;
  #waiting: Buffer[] = [];
  #bytes = 0;
  #taken = 0;

  constructor(chunks: ByteChunks) {
    this.#chunks =
      Symbol.asyncIterator in chunks ? chunks[Symbol.asyncIterator]() : chunks[Symbol.iterator]();
  }

  /** Bytes taken so far. */
  get position(): number {
    return this.#taken;
  }

  /** So many bytes, in memory of their own. @throws RangeError when there are fewer */
  async take(size: number): Promise<Buffer> {
    await this.#gather(size);
    if (this.#bytes < size) throw new RangeError(`the file ends ${size - this.#bytes} bytes early`);
    const taken = Buffer.from(new ArrayBuffer(size));
    let at = 0;
    while (at < size) {
      const first = this.#waiting[0];
      const part = first.subarray(0, size - at);
      taken.set(part, at);
      at += part.length;
      if (part.length === first.length) this.#waiting.shift();
      else this.#waiting[0] = first.subarray(part.length);
    }
    this.#bytes -= size;
    this.#taken += size;
    return taken;
  }

  /** The next bytes without taking them; fewer at the end. */
  async peek(size: number): Promise<Buffer> {
    await this.#gather(size);
    const first = this.#waiting[0] ?? Buffer.alloc(0);
    return first.length >= size ? first.subarray(0, size) : Buffer.concat(this.#waiting).subarray(0, size);
  }

  /** Lets go of where the bytes come from. */
  async close(): Promise<void> {
    await this.#chunks.return?.(undefined);
  }

  async #gather(size: number): Promise<void> {
    while (this.#bytes < size) {
      const { done, value } = await this.#chunks.next();
      if (done === true) return;
      this.#waiting.push(Buffer.from(value.buffer, value.byteOffset, value.byteLength));
      this.#bytes += value.length;
    }
  }
}
