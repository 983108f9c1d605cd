import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  BINDINGS,
  DICTIONARY_CAPACITY,
  DICTIONARY_COUNT_OFFSET,
  DICTIONARY_OVERFLOW_ID,
  DICTIONARY_TAIL_OFFSET,
  HEADER_NEXT_SLOT_OFFSET,
  STRINGS,
} from '../../assembly/layout.js';
import { BindingTable } from '../../src/ring/bindings.js';
import { Dictionary, OVERFLOW_TEXT } from '../../src/ring/dictionary.js';
import { interleave, makeRing } from '../support/ring.js';

const wellFormed = (text: string) => Buffer.from(text).toString();

/** Two views of one table, as two threads have. */
function twoViews(): { a: Dictionary; b: Dictionary; buffer: SharedArrayBuffer } {
  const { buffer } = makeRing().memory;
  return { a: new Dictionary(buffer, STRINGS), b: new Dictionary(buffer, STRINGS), buffer };
}

describe('a dictionary', () => {
  it('gives every text one id and every id its text, on whichever thread it was added', () => {
    fc.assert(
      fc.property(
        fc.array(
          fc.tuple(
            fc.boolean(),
            fc.oneof(fc.string({ unit: 'binary' }), fc.constantFrom('', 'x', 'é', '\0')),
          ),
        ),
        (adds) => {
          const { a, b } = twoViews();
          const ids = new Map<string, number>();
          for (const [onA, raw] of adds) {
            const text = wellFormed(raw);
            const id = (onA ? a : b).intern(text);
            expect(id).toBeGreaterThan(0);
            expect(id).toBe(ids.get(text) ?? id);
            ids.set(text, id);
          }
          expect(new Set(ids.values()).size).toBe(ids.size);
          for (const [text, id] of ids) expect([a.text(id), b.text(id)]).toEqual([text, text]);
          expect(a.size).toBe(ids.size + 1);
        },
      ),
      { numRuns: 30 },
    );
  });

  it('reads a lone surrogate as U+FFFD', () => {
    const { a, b } = twoViews();
    expect(b.text(a.intern('a\ud800b'))).toBe('a\ufffdb');
  });

  it('keeps both ids readable when two threads add one text between two steps of each other', () => {
    for (const step of [DICTIONARY_COUNT_OFFSET, DICTIONARY_TAIL_OFFSET]) {
      const { a, b } = twoViews();
      a.intern('before');
      const ids: number[] = [];
      interleave(
        (STRINGS + step) >> 2,
        () => ids.push(b.intern('same'), b.intern('other')),
        () => ids.push(a.intern('same')),
      );
      for (const view of [a, b]) expect(ids.map((id) => view.text(id))).toEqual(['same', 'other', 'same']);
      // Both have settled on an id, and a third thread on one of the two.
      expect([a.intern('same'), b.intern('same')]).toEqual([ids[2], ids[0]]);
      expect(a.intern('other')).toBe(ids[1]);
    }
  });

  it('counts what finds it full and reads it as (overflow)', () => {
    const { a, b, buffer } = twoViews();
    a.intern('first');
    // As if 65,534 texts had been added.
    new Int32Array(buffer)[(STRINGS + DICTIONARY_COUNT_OFFSET) >> 2] = DICTIONARY_CAPACITY - 2;
    const last = b.intern('last');
    expect(last).toBe(DICTIONARY_CAPACITY - 1);
    expect(a.refused).toBe(0);
    expect(a.intern('too many')).toBe(DICTIONARY_OVERFLOW_ID);
    expect(b.intern('far too many')).toBe(DICTIONARY_OVERFLOW_ID);
    expect([a.refused, b.refused]).toEqual([2, 2]);
    expect(a.text(DICTIONARY_OVERFLOW_ID)).toBe(OVERFLOW_TEXT);
    expect([a.intern('first'), b.text(last)]).toEqual([1, 'last']);
    expect(a.size).toBe(DICTIONARY_CAPACITY);
  });

  it('holds 65,535 different texts and refuses the next', () => {
    const { a, b } = twoViews();
    for (let i = 1; i < DICTIONARY_CAPACITY; i++) {
      if (a.intern(`text ${i}`) !== i) expect.fail(`text ${i} has another id`);
    }
    expect(a.intern('one more')).toBe(DICTIONARY_OVERFLOW_ID);
    expect(a.refused).toBe(1);
    expect(b.intern('text 65535')).toBe(65535);
    expect([b.text(1), b.text(32768), b.text(65535)]).toEqual(['text 1', 'text 32768', 'text 65535']);
  });

  it('refuses a text of 1 MB and takes the next one', () => {
    const { a, b } = twoViews();
    expect(a.intern('x'.repeat(2 ** 20))).toBe(DICTIONARY_OVERFLOW_ID);
    expect(a.refused).toBe(1);
    expect(b.text(a.intern('short'))).toBe('short');
  });

  it('refuses texts once its bytes are used up, without touching what lies behind it', () => {
    const { buffer } = makeRing().memory;
    const table = new Dictionary(buffer, BINDINGS);
    const next = new Dictionary(buffer, STRINGS);
    next.intern('neighbour');
    let taken = 0;
    for (let i = 0; i < 200; i++) {
      if (table.intern(`${i}`.padEnd(65536, '.')) !== DICTIONARY_OVERFLOW_ID) taken++;
    }
    expect(taken).toBe(128);
    expect(table.refused).toBe(72);
    expect(new Dictionary(buffer, STRINGS).text(1)).toBe('neighbour');
    expect(new Dictionary(buffer, BINDINGS).text(128)).toBe('127'.padEnd(65536, '.'));
  });
});

describe('a table of bindings', () => {
  it('gives back what was bound, on another thread too', () => {
    fc.assert(
      fc.property(
        fc.string({ unit: 'binary', minLength: 1 }),
        fc.option(fc.string({ unit: 'binary' })),
        fc.option(fc.string()),
        fc.dictionary(fc.string(), fc.oneof(fc.string(), fc.integer(), fc.boolean(), fc.constant(null))),
        (event, model, provider, bound) => {
          const { memory } = makeRing();
          const id = new BindingTable(memory.buffer).intern(event, model, provider, bound);
          const binding = new BindingTable(memory.buffer).binding(id);
          expect([binding.event, binding.model, binding.provider]).toEqual([event, model, provider]);
          expect(JSON.stringify(binding.bound)).toBe(JSON.stringify(bound));
        },
      ),
      { numRuns: 50 },
    );
  });

  it('assigns the slot before it hands out the id', () => {
    const { memory } = makeRing();
    const table = new BindingTable(memory.buffer);
    const id = table.intern('e', null, null);
    expect(new BindingTable(memory.buffer).slot(id)).toBe(table.slot(id));
    expect(table.slot(id)).toBe(new Int32Array(memory.buffer)[HEADER_NEXT_SLOT_OFFSET >> 2]! - 1);
  });

  it('says (overflow) for the binding that found no place', () => {
    const { bindings } = makeRing();
    expect(bindings.intern('e'.repeat(2 ** 20), null, null)).toBe(0);
    expect(bindings.binding(0)).toEqual({ event: OVERFLOW_TEXT, model: null, provider: null, bound: {} });
    expect(bindings.refused).toBe(1);
  });
});
