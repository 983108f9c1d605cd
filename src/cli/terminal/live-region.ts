/**
 * A few lines at the bottom of a terminal that are redrawn in place. The cursor is hidden meanwhile and comes
 * back on `close`, or when the process exits without one.
 */

import { rowsOf, type TextStream, widthOf } from './stream.js';
import { printable } from './text.js';
import { truncate } from './width.js';

const HIDE_CURSOR = '\u001b[?25l';
const SHOW_CURSOR = '\u001b[?25h';
const CLEAR_TO_END = '\u001b[J';
const CLEAR_LINE_END = '\u001b[K';

export class LiveRegion {
  private drawn = 0;
  private open = false;
  private readonly stream: TextStream;
  private readonly restoreOnExit = () => void this.stream.write(SHOW_CURSOR);

  constructor(stream: TextStream) {
    this.stream = stream;
  }

  /** Replaces what the region shows. Lines are cut, not wrapped, and what is above the screen is left out. */
  draw(lines: readonly string[]): void {
    const fitting = lines
      .slice(0, rowsOf(this.stream) - 1)
      .map((line) => `${truncate(printable(line), widthOf(this.stream) - 1)}${CLEAR_LINE_END}\n`);
    // One write, and old text overwritten rather than cleared first: no flicker.
    const opening = this.open ? '' : HIDE_CURSOR;
    this.stream.write(`${opening}${this.toTop()}${fitting.join('')}${CLEAR_TO_END}`);
    if (!this.open) process.once('exit', this.restoreOnExit);
    this.open = true;
    this.drawn = fitting.length;
  }

  /** Removes the region, gives the cursor back and leaves it where the region began. */
  close(): void {
    if (!this.open) return;
    this.stream.write(`${this.toTop()}${CLEAR_TO_END}${SHOW_CURSOR}`);
    process.off('exit', this.restoreOnExit);
    this.open = false;
    this.drawn = 0;
  }

  private toTop(): string {
    return this.drawn === 0 ? '' : `\u001b[${this.drawn}A\r`;
  }
}
