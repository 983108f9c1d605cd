/** Dictionaries and slots near their limits, and between two steps of two threads. */

import { describe, expect, it } from 'vitest';
import { DICTIONARY_TAIL_OFFSET, HEADER_NEXT_SLOT_OFFSET, STRINGS } from '../../assembly/layout.js';
import { attachExperiment, Crucible } from '../../src/index.js';
import { BindingTable } from '../../src/ring/bindings.js';
import { Dictionary } from '../../src/ring/dictionary.js';
import { interleave, makeRing } from '../support/ring.js';

const TEXT_BYTES_MAX = 65536;

/** Fills a dictionary but for 32 KiB. */
function nearlyFull(): { a: Dictionary; b: Dictionary; buffer: SharedArrayBuffer } {
  const { buffer } = makeRing().memory;
  const a = new Dictionary(buffer, STRINGS);
  for (let i = 0; i < 127; i++) a.intern(`${i}`.padEnd(TEXT_BYTES_MAX, '.'));
  a.intern('half'.padEnd(TEXT_BYTES_MAX / 2, '.'));
  return { a, b: new Dictionary(buffer, STRINGS), buffer };
}

describe('a dictionary that is nearly full', () => {
  it('takes short texts after one that was too long for what is left', () => {
    const { a, b } = nearlyFull();
    expect(a.intern('long'.padEnd(TEXT_BYTES_MAX, '.'))).toBe(0);
    const id = a.intern('short');
    expect(id).toBeGreaterThan(0);
    expect(b.text(id)).toBe('short');
  });

  it('uses up no id for a text that it refuses', () => {
    const { a } = nearlyFull();
    const before = a.size;
    a.intern('long'.padEnd(TEXT_BYTES_MAX, '.'));
    expect(a.size).toBe(before);
  });

  it('refuses and never throws, however often it has refused before', () => {
    const { a, buffer } = nearlyFull();
    // As if 32,000 more long texts had been refused.
    new Int32Array(buffer)[(STRINGS + DICTIONARY_TAIL_OFFSET) >> 2] = 2 ** 31 - 100;
    for (let i = 0; i < 3; i++) expect(a.intern(`more ${i}`.padEnd(200, '.'))).toBe(0);
  });
});

describe('a binding that two threads register between two steps of each other', () => {
  it('has one slot, the one that its first rows went to', () => {
    const { memory } = makeRing();
    const [a, b] = [new BindingTable(memory.buffer), new BindingTable(memory.buffer)];
    let slotOfB = 0;
    interleave(
      HEADER_NEXT_SLOT_OFFSET >> 2,
      () => {
        slotOfB = b.slot(b.intern('e', null, null));
      },
      () => a.intern('e', null, null),
    );
    expect(a.intern('e', null, null)).toBe(b.intern('e', null, null));
    expect(a.slot(a.intern('e', null, null))).toBe(slotOfB);
  });

  it('is counted under its name', async () => {
    await using crucible = new Crucible();
    const experiment = crucible.startExperiment({ name: 'race', capacity: 4096 });
    const other = attachExperiment(experiment.share());
    interleave(
      HEADER_NEXT_SLOT_OFFSET >> 2,
      () => {
        other.recorder('e').recordAt(1, 1);
        other.publish();
      },
      () => experiment.recorder('e').recordAt(2, 2),
    );
    expect(experiment.streamingMetrics().eventCounts).toEqual({ e: 2 });
    other.close();
  });
});

describe('registering event names made up at run time', () => {
  it('does not look at all the others for each of them', () => {
    const { bindings } = makeRing();
    for (let i = 0; i < 3000; i++) bindings.intern(`event ${i}`, null, null);
    const original = Atomics.load;
    let loads = 0;
    const counted = (array: Int32Array, index: number): number => {
      loads++;
      return original(array, index);
    };
    Object.defineProperty(Atomics, 'load', { value: counted, configurable: true, writable: true });
    try {
      bindings.intern('one more', null, null);
    } finally {
      Object.defineProperty(Atomics, 'load', { value: original, configurable: true, writable: true });
    }
    expect(loads).toBeLessThan(100);
  });
});
