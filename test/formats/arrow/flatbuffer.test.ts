import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { FlatTable } from '../../../src/formats/arrow/flatbuffer-reader.js';
import {
  bool,
  type FlatField,
  type FlatFields,
  int8,
  int16,
  int32,
  int64,
  pairs,
  string,
  table,
  tables,
  triples,
  writeFlatBuffer,
} from '../../../src/formats/arrow/flatbuffer-writer.js';

const someField = fc.letrec<{ field: FlatField; fields: FlatFields }>((tie) => ({
  fields: fc.array(fc.option(tie('field')), { maxLength: 6 }),
  field: fc.oneof(
    { depthSize: 'small', withCrossShrink: true },
    fc.integer({ min: -128, max: 127 }).map(int8),
    fc.integer({ min: -32768, max: 32767 }).map(int16),
    fc.integer().map(int32),
    fc.maxSafeNat().map(int64),
    fc.string({ unit: 'grapheme' }).map(string),
    fc.array(fc.tuple(fc.maxSafeNat(), fc.maxSafeNat()), { maxLength: 4 }).map(pairs),
    fc.array(fc.tuple(fc.maxSafeNat(), fc.maxSafeNat(), fc.maxSafeNat()), { maxLength: 4 }).map(triples),
    tie('fields').map((fields) => table(...fields)),
    fc.array(tie('fields'), { maxLength: 3 }).map(tables),
  ),
}));

/** Reads what was written, as it was written. */
function read(flat: FlatTable, fields: FlatFields): FlatFields {
  return fields.map((field, index): FlatField | null => {
    if (field === null) return flat.position(index) === undefined ? null : int8(0);
    return readField(flat, index, field);
  });
}

function readField(flat: FlatTable, index: number, field: FlatField): FlatField {
  switch (field.kind) {
    case 'int8':
      return int8(flat.int8(index));
    case 'int16':
      return int16(flat.int16(index));
    case 'int32':
      return int32(flat.int32(index));
    case 'int64':
      return int64(flat.size(index));
    case 'string':
      return string(flat.string(index)!);
    case 'table':
      return table(...read(flat.table(index)!, field.fields));
    case 'tables': {
      const found = flat.tables(index);
      expect(found.length).toBe(field.tables.length);
      return tables(found.map((each, number) => read(each, field.tables[number]!)));
    }
    case 'structs': {
      const each = field.structs[0]?.length ?? 2;
      const values = flat.structs(index, each);
      const structs = field.structs.map((_, at) => values.slice(each * at, each * (at + 1)));
      return { kind: 'structs', structs };
    }
  }
}

describe('a FlatBuffer', () => {
  it('gives back what was written', () => {
    fc.assert(
      fc.property(someField.fields, (fields) => {
        const bytes = writeFlatBuffer(fields);
        expect(bytes.length % 8).toBe(0);
        expect(read(FlatTable.root(bytes), fields)).toEqual(fields);
      }),
    );
  });

  it('aligns numbers, and what vectors and strings hold', () => {
    const bytes = writeFlatBuffer([bool(true), int64(5), string('a'), pairs([[1, 2]]), int16(3), int32(4)]);
    const flat = FlatTable.root(bytes);
    expect(flat.position(1)! % 8).toBe(0);
    expect(flat.position(4)! % 2).toBe(0);
    expect(flat.position(5)! % 4).toBe(0);
    expect(flat.vector(2, 1)!.position % 8).toBe(0);
    expect(flat.vector(3, 16)!.position % 8).toBe(0);
  });

  it('ends in the last part of its last field', () => {
    const bytes = writeFlatBuffer([string('first'), tables([[string('key'), string('0123456')]])]);
    expect(Buffer.from(bytes.subarray(-8)).toString('latin1')).toBe('0123456\0');
  });

  it('reads fields that are not there as nothing', () => {
    const flat = FlatTable.root(writeFlatBuffer([]));
    expect([flat.int8(0), flat.int16(1), flat.int32(2), flat.size(3)]).toEqual([0, 0, 0, 0]);
    expect([flat.string(4), flat.table(5), flat.tables(6), flat.structs(7, 2)]).toEqual([
      undefined,
      undefined,
      [],
      [],
    ]);
  });

  it('that is damaged is read as something else or refused, never out of bounds or without end', () => {
    let refused = 0;
    fc.assert(
      fc.property(
        someField.fields,
        fc.array(fc.tuple(fc.nat(), fc.nat(255)), { minLength: 1, maxLength: 6 }),
        fc.nat(),
        (fields, changes, length) => {
          const bytes = writeFlatBuffer(fields);
          for (const [at, value] of changes) bytes[at % bytes.length] = value;
          // Beyond the buffer lies other data, which must not be read.
          const around = Buffer.concat([bytes, Buffer.alloc(64, 0x41)]);
          const cut = around.subarray(0, length % 3 === 0 ? length % bytes.length : bytes.length);
          try {
            readAnything(FlatTable.root(cut), 3);
          } catch (error) {
            expect(error).toBeInstanceOf(RangeError);
            refused++;
          }
        },
      ),
      { numRuns: 2000 },
    );
    expect(refused).toBeGreaterThan(100);
  });
});

function readAnything(flat: FlatTable, depth: number): void {
  for (let field = 0; field < 6; field++) {
    flat.int8(field);
    flat.int16(field);
    flat.int32(field);
    for (const attempt of [
      () => flat.size(field),
      () => flat.string(field),
      () => flat.structs(field, 2),
      () => depth > 0 && readAnything(flat.table(field) ?? flat, depth - 1),
      () =>
        depth > 0 &&
        flat
          .tables(field)
          .slice(0, 3)
          .map((each) => readAnything(each, depth - 1)),
    ]) {
      try {
        attempt();
      } catch (error) {
        if (!(error instanceof RangeError)) throw error;
      }
    }
  }
}
