import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import * as layout from '../../assembly/layout.js';
import { planGeometry } from '../../src/ring/memory.js';
import { exportedConstants, sectionIds, wasmBytes } from '../support/wasm.js';

const constants = new Map(Object.entries(layout));
const value = (name: string): number => {
  const found = constants.get(name);
  if (found === undefined) throw new Error(`layout.ts has no ${name}`);
  return found;
};

/** What a field's comment says it is: `i64 atomic, …`. */
interface Field {
  readonly name: string;
  readonly offset: number;
  readonly bytes: number;
  readonly align: number;
}

const TYPES: Readonly<Record<string, { bytes: number; align: number }>> = {
  u16: { bytes: 2, align: 2 },
  i32: { bytes: 4, align: 4 },
  u32: { bytes: 4, align: 4 },
  i64: { bytes: 8, align: 8 },
  f64: { bytes: 8, align: 8 },
  i64x2: { bytes: 16, align: 16 },
  f64x2: { bytes: 16, align: 16 },
};

const SLOT_OF_U16 = 2 * layout.SLOT_COUNT;
/** Fields that are arrays; the rest are single values. */
const ARRAYS: Readonly<Record<string, { bytes: number; align: number }>> = {
  PRODUCER_HEADS_OFFSET: { bytes: SLOT_OF_U16, align: 2 },
  PRODUCER_TOUCHED_OFFSET: { bytes: SLOT_OF_U16, align: 2 },
  PRODUCER_CHAIN_OFFSET: { bytes: 2 * layout.CHUNK_ROWS, align: 2 },
  DICTIONARY_ENTRIES_OFFSET: { bytes: layout.DICTIONARY_CAPACITY * layout.DICTIONARY_ENTRY_BYTES, align: 4 },
  DICTIONARY_TEXT_OFFSET: { bytes: layout.DICTIONARY_TEXT_BYTES, align: 1 },
  SLOT_BINS_OFFSET: { bytes: 4 * layout.BINS_BYTES, align: 8 },
  COLUMN_TIME_OFFSET: { bytes: 8 * layout.CHUNK_ROWS, align: 8 },
  COLUMN_LATENCY_OFFSET: { bytes: 8 * layout.CHUNK_ROWS, align: 8 },
  COLUMN_COST_OFFSET: { bytes: 8 * layout.CHUNK_ROWS, align: 8 },
  COLUMN_TOKENS_OFFSET: { bytes: 8 * layout.CHUNK_ROWS, align: 8 },
  COLUMN_TAG_OFFSET: { bytes: 8 * layout.CHUNK_ROWS, align: 8 },
};

/** The fields of a structure, ascending, with the sizes that layout.ts states beside them. */
function fieldsOf(structure: string): Field[] {
  const source = readFileSync(new URL('../../assembly/layout.ts', import.meta.url), 'utf8');
  const fields: Field[] = [];
  for (const [, name, comment] of source.matchAll(/^export const (\w+_OFFSET) = [^;]+;(?: \/\/ (.*))?$/gm)) {
    if (!name!.startsWith(`${structure}_`)) continue;
    const type = ARRAYS[name!] ?? TYPES[/^(\w+)/.exec(comment ?? '')?.[1] ?? ''];
    if (type === undefined) throw new Error(`${name}: no type in its comment`);
    fields.push({ name: name!, offset: value(name!), ...type });
  }
  return fields.sort((a, b) => a.offset - b.offset);
}

const STRUCTURES: readonly { name: string; bytes: number; fieldsMin: number }[] = [
  { name: 'HEADER', bytes: layout.HEADER_BYTES, fieldsMin: 20 },
  { name: 'PRODUCER', bytes: layout.PRODUCER_BYTES, fieldsMin: 10 },
  { name: 'DICTIONARY', bytes: layout.DICTIONARY_BYTES, fieldsMin: 5 },
  { name: 'SLOT', bytes: layout.SLOT_BYTES, fieldsMin: 12 },
  { name: 'CHUNK', bytes: layout.CHUNK_ENTRY_BYTES, fieldsMin: 8 },
  { name: 'COLUMN', bytes: layout.COLUMNS_END_OFFSET, fieldsMin: 5 },
];

describe('the memory layout', () => {
  it('is the same number for number in TypeScript and in the wasm', () => {
    const exported = exportedConstants();
    expect(exported.size).toBeGreaterThan(100);
    expect(Object.fromEntries([...exported].sort())).toEqual(Object.fromEntries([...constants].sort()));
  });

  for (const { name, bytes, fieldsMin } of STRUCTURES) {
    it(`puts the fields of ${name} side by side, aligned, inside the structure`, () => {
      const fields = fieldsOf(name);
      expect(fields.length).toBeGreaterThanOrEqual(fieldsMin);
      let end = 0;
      for (const field of fields) {
        expect(field.offset % field.align, `${field.name} is not aligned to ${field.align}`).toBe(0);
        expect(field.offset, `${field.name} begins before its predecessor ends`).toBeGreaterThanOrEqual(end);
        end = field.offset + field.bytes;
      }
      expect(end, `${fields.at(-1)?.name} reaches out of the structure`).toBeLessThanOrEqual(bytes);
    });
  }

  it('puts the four sets of bins side by side inside the slot', () => {
    const bins = [
      layout.BINS_LATENCY_OFFSET,
      layout.BINS_COST_OFFSET,
      layout.BINS_LATENCY_NEGATIVE_OFFSET,
      layout.BINS_COST_NEGATIVE_OFFSET,
    ];
    bins.forEach((offset, i) => {
      expect(offset).toBe(layout.SLOT_BINS_OFFSET + i * layout.BINS_BYTES);
    });
    expect(layout.BINS_BYTES).toBe(layout.BIN_COUNT * 8);
    expect(layout.BINS_COST_NEGATIVE_OFFSET + layout.BINS_BYTES).toBeLessThanOrEqual(layout.SLOT_BYTES);
  });

  it('puts the fixed regions one behind the other', () => {
    expect(layout.SLOT_TABLE).toBeGreaterThanOrEqual(layout.HEADER_BYTES);
    expect(layout.SLOT_TABLE_BYTES).toBe(layout.DICTIONARY_CAPACITY * 2);
    expect(layout.ROW_CHAIN).toBeGreaterThanOrEqual(layout.SLOT_TABLE + layout.SLOT_TABLE_BYTES);
    expect(layout.ROW_CHAIN_BYTES).toBeGreaterThanOrEqual(layout.CHUNK_ROWS * 2);
    expect(layout.PRODUCERS).toBeGreaterThanOrEqual(layout.ROW_CHAIN + layout.ROW_CHAIN_BYTES);
    expect(layout.BINDINGS).toBeGreaterThanOrEqual(
      layout.PRODUCERS + layout.PRODUCER_MAX * layout.PRODUCER_BYTES,
    );
    expect(layout.STRINGS).toBeGreaterThanOrEqual(layout.BINDINGS + layout.DICTIONARY_BYTES);
    expect(layout.DICTIONARIES_END).toBe(layout.STRINGS + layout.DICTIONARY_BYTES);
    expect(layout.BAND_LISTS).toBeGreaterThanOrEqual(layout.DICTIONARIES_END);
    expect(layout.BAND_LISTS_BYTES).toBe(layout.DICTIONARY_CAPACITY * 4);
    expect(layout.BANDS).toBeGreaterThanOrEqual(layout.BAND_LISTS + layout.BAND_LISTS_BYTES);
    expect(layout.BANDS_END).toBe(layout.BANDS + layout.BANDS_MAX * layout.BAND_BYTES);
    expect(layout.BAND_COUNT_MAX).toBe(2 ** layout.BAND_COUNT_BITS - 1);
    expect(layout.BANDS_MAX).toBeLessThanOrEqual(2 ** (32 - layout.BAND_COUNT_BITS));
    expect(layout.FLAGS_TO_PRICE).toBe(layout.UNPRICED_MASK | layout.FLAG_COST_COMPUTED);
  });

  it('aligns every structure that is repeated, so that all of its copies are aligned', () => {
    for (const address of [
      layout.SLOT_TABLE,
      layout.ROW_CHAIN,
      layout.PRODUCERS,
      layout.BINDINGS,
      layout.STRINGS,
      layout.BANDS,
    ]) {
      expect(address % 16).toBe(0);
    }
    for (const stride of [layout.PRODUCER_BYTES, layout.SLOT_BYTES, layout.CHUNK_ENTRY_BYTES]) {
      expect(stride % 16).toBe(0);
    }
    expect(layout.CHUNK_ALIGN_BYTES % (layout.BATCH_ROWS * 8)).toBe(0);
  });

  it('keeps slots and columns at strides that are no multiple of 4 KiB', () => {
    expect(layout.SLOT_BYTES % 4096).not.toBe(0);
    const columns = fieldsOf('COLUMN').map(({ offset }) => offset);
    columns.slice(1).forEach((offset, i) => {
      expect((offset - columns[i]!) % 4096).not.toBe(0);
    });
  });

  it('keeps contended words of the header on lines of their own', () => {
    const contended = fieldsOf('HEADER').filter(({ offset }) => offset >= layout.HEADER_STATE_OFFSET);
    expect(new Set(contended.map(({ offset }) => Math.floor(offset / 64))).size).toBe(contended.length);
  });

  it('spends at most 42 bytes of fixed columns and directory on a row', () => {
    const bytes = (layout.COLUMNS_END_OFFSET + layout.CHUNK_ENTRY_BYTES) / layout.CHUNK_ROWS;
    expect(bytes).toBeLessThanOrEqual(42);
  });

  it('keeps every flag apart from the others and from the binding', () => {
    let seen = layout.TAG_BINDING_MASK;
    for (const [name, flag] of constants) {
      if (!name.startsWith('FLAG_')) continue;
      expect(seen & flag, `${name} shares a bit`).toBe(0);
      seen |= flag;
    }
    expect(layout.FLAGS_DECIDED).toBe(layout.FLAG_SUCCEEDED | layout.FLAG_FAILED);
    expect(layout.FLAG_FAILED / layout.FLAG_SUCCEEDED).toBeGreaterThan(layout.BATCH_ROWS);
  });

  it('fits binding ids and slots into the 16 bits they are stored in', () => {
    expect(layout.DICTIONARY_CAPACITY - 1).toBeLessThanOrEqual(layout.TAG_BINDING_MASK);
    expect(layout.SLOT_EVENT_START).toBeLessThan(layout.SLOT_COUNT);
    expect(layout.SLOT_COUNT).toBeLessThanOrEqual(65536);
    expect(layout.CHUNK_ROWS + 1).toBeLessThanOrEqual(65535);
  });

  it('places what depends on the capacity behind the fixed regions, aligned, and below 2 GiB', () => {
    const columns = (['f64', 'bool', 'i32', 'dict', 'u32'] as const).map((type) => ({ name: type, type }));
    for (const [capacity, producers] of [
      [1, 1],
      [1025, 2],
      [1_048_576, 8],
      [10_000_000, 8],
    ] as const) {
      const plan = planGeometry(capacity, columns, producers);
      expect(plan.accumulatorsAddress).toBeGreaterThanOrEqual(layout.DICTIONARIES_END);
      expect(plan.scratchAddress).toBe(plan.accumulatorsAddress + producers * layout.ACCUMULATORS_BYTES);
      expect(plan.landingAddress).toBeGreaterThanOrEqual(plan.scratchAddress + producers * plan.scratchBytes);
      expect(plan.landingAddress % layout.CHUNK_ALIGN_BYTES).toBe(0);
      expect(plan.directoryAddress).toBe(plan.landingAddress + producers * layout.LANDING_BYTES);
      expect(plan.chunksAddress).toBeGreaterThanOrEqual(
        plan.directoryAddress + plan.chunkCount * layout.CHUNK_ENTRY_BYTES,
      );
      expect(plan.memoryBytes).toBeGreaterThanOrEqual(
        plan.chunksAddress + plan.chunkCount * plan.chunkStrideBytes,
      );
      expect(plan.memoryBytes).toBeLessThanOrEqual(layout.MEMORY_BYTES_MAX);
      expect(plan.memoryBytes % layout.PAGE_BYTES).toBe(0);
      expect(plan.chunkCount * layout.CHUNK_ROWS).toBeGreaterThanOrEqual(capacity);
      for (const address of [plan.accumulatorsAddress, plan.scratchAddress, plan.directoryAddress]) {
        expect(address % 16).toBe(0);
      }
      expect(plan.chunksAddress % layout.CHUNK_ALIGN_BYTES).toBe(0);
      expect(plan.chunkStrideBytes % layout.CHUNK_ALIGN_BYTES).toBe(0);
      let end = layout.COLUMNS_END_OFFSET;
      for (const { offsetBytes, type } of plan.columns) {
        const width = type === 'bool' || type === 'dict' ? 4 : 8;
        expect(offsetBytes).toBeGreaterThanOrEqual(end);
        expect(offsetBytes % width).toBe(0);
        end = offsetBytes + width * layout.CHUNK_ROWS;
      }
      expect(plan.blobOffsetBytes).toBeGreaterThanOrEqual(end);
      expect(plan.blobOffsetBytes + plan.blobBytes).toBeLessThanOrEqual(plan.chunkStrideBytes);
    }
  });
});

describe('the wasm binary', () => {
  it('has no start section and no data section, so another instance changes nothing in the memory', () => {
    const ids = sectionIds(wasmBytes);
    expect(ids).toContain(10);
    expect(ids).not.toContain(8);
    expect(ids).not.toContain(11);
  });
});
