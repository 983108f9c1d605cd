import { Readable } from 'node:stream';
import { describe, expect, it } from 'vitest';
import { rowsOf, widthOf, writeAll } from '../../../src/cli/terminal/stream.js';
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

describe('writeAll', () => {
  /** An output that lets go of a chunk when it is told to. */
  const slowOutput = () => {
    const pending: ((error?: Error) => void)[] = [];
    const written: (string | Uint8Array)[] = [];
    return {
      pending,
      written,
      write(data: string | Uint8Array, done?: (error?: Error) => void) {
        written.push(data);
        pending.push(done!);
      },
    };
  };
  async function* numbers(asked: number[]) {
    for (let i = 1; i <= 3; i++) {
      asked.push(i);
      yield Uint8Array.of(i);
    }
  }
  const settled = () => new Promise((resolve) => setImmediate(resolve));

  it('asks for a chunk when the one before is gone, and not before', async () => {
    const [output, asked] = [slowOutput(), [] as number[]];
    const done = writeAll(output, numbers(asked));
    for (let i = 1; i <= 3; i++) {
      await settled();
      expect(asked).toHaveLength(i);
      output.pending.shift()!();
    }
    await done;
    expect(output.written).toEqual([1, 2, 3].map((i) => Uint8Array.of(i)));
  });

  it('ends with the error of the output, or of what is written, and asks for no more', async () => {
    const [output, asked] = [slowOutput(), [] as number[]];
    const done = writeAll(output, numbers(asked));
    await settled();
    output.pending.shift()!(new Error('gone'));
    await expect(done).rejects.toThrow('gone');
    expect(asked).toEqual([1]);
    const failing = Readable.from([]).destroy(new Error('no events'));
    await expect(writeAll(slowOutput(), failing)).rejects.toThrow('no events');
  });
});
