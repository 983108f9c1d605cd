import type { TextStream } from '../../../src/cli/terminal/stream.js';

/** Collects what is written; a terminal if it has columns. */
export class CollectedStream implements TextStream {
  text = '';
  readonly columns: number | undefined;
  readonly rows: number | undefined;

  constructor(size?: { columns: number; rows: number }) {
    this.columns = size?.columns;
    this.rows = size?.rows;
  }

  get isTTY(): boolean {
    return this.columns !== undefined;
  }

  write(text: string): boolean {
    this.text += text;
    return true;
  }
}
