import { describe, expect, it } from 'vitest';
import { rowsOf, widthOf } from '../../../src/cli/terminal/stream.js';
import { CollectedStream } from '../support/streams.js';

const terminal = (columns = 60, rows = 10) => new CollectedStream({ columns, rows });

describe('widthOf', () => {
  it('is the terminal’s, with a floor, and has an answer for a pipe', () => {
    expect(widthOf(terminal(100))).toBe(100);
    expect(widthOf(terminal(10))).toBe(40);
    expect(widthOf(new CollectedStream())).toBe(120);
    expect(rowsOf(new CollectedStream())).toBe(24);
  });
});
