import type { OutputStream } from '../../../src/cli/terminal/stream.js';

/** Collects what is written; a terminal if it has columns. */
export class CollectedStream implements OutputStream {
  text = '';
  readonly #decoder = new TextDecoder();
  readonly columns: number | undefined;
  readonly rows: number | undefined;

  readonly #onWrite: (text: string) => void;

  constructor(size?: { columns: number; rows: number }, onWrite: (text: string) => void = () => {}) {
    this.#onWrite = onWrite;
    this.columns = size?.columns;
    this.rows = size?.rows;
  }

  get isTTY(): boolean {
    return this.columns !== undefined;
  }

  write(data: string | Uint8Array, done?: () => void): boolean {
    const text = typeof data === 'string' ? data : this.#decoder.decode(data, { stream: true });
    this.text += text;
    this.#onWrite(text);
    if (done !== undefined) queueMicrotask(done);
    return true;
  }
}
