/** What goes to another thread without being copied. */

import { describe, expect, it } from 'vitest';
import { buffersIn } from '../../src/workers/transfer.js';

describe('the memory in a value', () => {
  it('is that of all its arrays, each once, wherever they are', () => {
    const whole = new ArrayBuffer(16);
    const other = new Float64Array(2);
    const value = {
      a: new Uint8Array(whole, 0, 4),
      b: [{ c: new Uint8Array(whole, 4) }, { d: null }, { e: other }],
      texts: ['x', 'y'],
      n: 1,
    };
    expect(buffersIn(value)).toEqual([whole, other.buffer]);
  });

  it('leaves out what is shared, and finds none in what is no object', () => {
    expect(buffersIn({ shared: new Int32Array(new SharedArrayBuffer(4)) })).toEqual([]);
    expect([null, undefined, 1, 'text', []].map(buffersIn)).toEqual([[], [], [], [], []]);
  });
});
