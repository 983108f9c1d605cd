/** Messages as apache-arrow and Flechette understand them. */
import { tableFromIPC as flechetteTable } from '@uwdata/flechette';
import { tableFromIPC as arrowTable } from 'apache-arrow';
import { describe, expect, it } from 'vitest';
import {
  batchTemplate,
  END_OF_STREAM,
  HEADER_BATCH,
  HEADER_DICTIONARY,
  HEADER_SCHEMA,
  type MessageTemplate,
  PREFIX_BYTES,
  readBatchContent,
  readDictionaryContent,
  readMessage,
  readSchemaMetadata,
} from '../../../src/formats/arrow/message.js';
import { type ArrowField, schemaMessage } from '../../../src/formats/arrow/schema.js';

const FIELDS: ArrowField[] = [
  { name: 'count', type: { kind: 'int', bits: 16, signed: false }, nullable: false, metadata: { unit: 'B' } },
  { name: 'colour', type: { kind: 'utf8' }, nullable: true, dictionary: 7 },
];

/** A template filled in: buffers lie one after the other, each at a multiple of 8. */
function messageOf(template: MessageTemplate, rows: number, nulls: number[], buffers: Uint8Array[]): Buffer {
  const head = Buffer.from(template.bytes);
  const set = (at: number, value: number) => head.writeBigInt64LE(BigInt(value), at);
  const body: Buffer[] = [];
  let bodyBytes = 0;
  buffers.forEach((buffer, index) => {
    set(template.buffersAt + 16 * index, bodyBytes);
    set(template.buffersAt + 16 * index + 8, buffer.length);
    const padded = Buffer.alloc(Math.ceil(buffer.length / 8) * 8);
    padded.set(buffer);
    body.push(padded);
    bodyBytes += padded.length;
  });
  nulls.forEach((count, column) => {
    set(template.nodesAt + 16 * column, rows);
    set(template.nodesAt + 16 * column + 8, count);
  });
  set(template.rowsAt, rows);
  set(template.bodyLengthAt, bodyBytes);
  return Buffer.concat([head, ...body]);
}

const bytesOf = (array: Uint16Array | Int32Array) => new Uint8Array(array.buffer);
const NOTHING = new Uint8Array(0);

function dictionaryMessage(texts: string[], isDelta: boolean): Buffer {
  const template = batchTemplate(1, 3, { note: 'dictionary' }, 7);
  const offsets = Int32Array.from([0, ...texts.map((_, index) => texts.slice(0, index + 1).join('').length)]);
  const message = messageOf(
    template,
    texts.length,
    [0],
    [NOTHING, bytesOf(offsets), Buffer.from(texts.join(''))],
  );
  message[template.isDeltaAt!] = isDelta ? 1 : 0;
  return message;
}

function batchMessage(counts: number[], colours: number[]): Buffer {
  const template = batchTemplate(2, 4, { note: 'batch' });
  const valid = Uint8Array.of(colours.reduce((bits, index, row) => bits | (index < 0 ? 0 : 1 << row), 0));
  const indices = Int32Array.from(colours, (index) => Math.max(index, 0));
  const nulls = colours.filter((index) => index < 0).length;
  return messageOf(
    template,
    counts.length,
    [0, nulls],
    [NOTHING, bytesOf(Uint16Array.from(counts)), valid, bytesOf(indices)],
  );
}

const stream = Buffer.concat([
  schemaMessage(FIELDS, { of: 'schema' }, { of: 'message' }),
  dictionaryMessage(['red', 'green'], false),
  batchMessage([1, 65_535], [1, -1]),
  dictionaryMessage(['blue'], true),
  batchMessage([3], [2]),
  END_OF_STREAM,
]);

describe('a stream', () => {
  it('is read by apache-arrow', () => {
    const table = arrowTable(stream);
    expect(table.schema.metadata.get('of')).toBe('schema');
    expect(table.schema.fields[0]!.metadata.get('unit')).toBe('B');
    expect(table.schema.fields.map(({ nullable }) => nullable)).toEqual([false, true]);
    expect([...table.getChild('count')!]).toEqual([1, 65_535, 3]);
    expect([...table.getChild('colour')!]).toEqual(['green', null, 'blue']);
  });

  it('is read by Flechette', () => {
    const table = flechetteTable(new Uint8Array(stream));
    expect(table.toArray()).toEqual([
      { count: 1, colour: 'green' },
      { count: 65_535, colour: null },
      { count: 3, colour: 'blue' },
    ]);
  });

  it('can have fields of every type', () => {
    const types: ArrowField['type'][] = [
      ...([8, 16, 32, 64] as const).flatMap((bits) =>
        [true, false].map((signed) => ({ kind: 'int', bits, signed }) as const),
      ),
      { kind: 'float64' },
      { kind: 'bool' },
      { kind: 'utf8' },
      { kind: 'binary' },
      { kind: 'timestampUs' },
    ];
    const fields = types.map((type, index) => ({ name: `f${index}`, type, nullable: true }));
    const { schema } = arrowTable(Buffer.concat([schemaMessage(fields), END_OF_STREAM]));
    expect(schema.fields.map(({ type }) => `${type}`)).toEqual([
      'Int8',
      'Uint8',
      'Int16',
      'Uint16',
      'Int32',
      'Uint32',
      'Int64',
      'Uint64',
      'Float64',
      'Bool',
      'Utf8',
      'Binary',
      'Timestamp<MICROSECOND, UTC>',
    ]);
  });
});

describe('a message', () => {
  const open = (message: Uint8Array) => {
    const metadataBytes = new DataView(message.buffer, message.byteOffset).getInt32(4, true);
    expect((PREFIX_BYTES + metadataBytes) % 8).toBe(0);
    return readMessage(message.subarray(PREFIX_BYTES, PREFIX_BYTES + metadataBytes));
  };

  it('says what it is, and what is in its body', () => {
    const schema = open(schemaMessage(FIELDS, { of: 'schema' }));
    expect([schema.headerType, schema.bodyBytes]).toEqual([HEADER_SCHEMA, 0]);
    expect([...readSchemaMetadata(schema.header)]).toEqual([['of', 'schema']]);

    const batch = open(batchMessage([1, 2], [0, 1]));
    expect([batch.headerType, batch.bodyBytes]).toEqual([HEADER_BATCH, 24]);
    expect(readBatchContent(batch.header, 24)).toEqual({ rows: 2, buffers: [0, 0, 0, 4, 8, 1, 16, 8] });

    const dictionary = open(dictionaryMessage(['a', 'bc'], true));
    expect(dictionary.headerType).toBe(HEADER_DICTIONARY);
    expect(readDictionaryContent(dictionary.header, dictionary.bodyBytes)).toEqual({
      dictionary: 7,
      isDelta: true,
      rows: 2,
      buffers: [0, 0, 0, 12, 16, 3],
    });
  });

  it('is refused when its buffers are not inside its body, or not aligned', () => {
    const { header } = open(batchMessage([1, 2], [0, 1]));
    expect(() => readBatchContent(header, 23)).toThrow(RangeError);
    const template = batchTemplate(1, 2, {});
    const message = messageOf(template, 1, [0], [NOTHING, new Uint8Array(8)]);
    message.writeInt32LE(4, template.buffersAt + 16);
    expect(() => readBatchContent(open(message).header, 100)).toThrow(RangeError);
  });

  it('keeps its metadata’s last value at its end', () => {
    for (const message of [
      schemaMessage(FIELDS, { of: 'schema' }, { key: 'v'.repeat(255) }),
      batchTemplate(3, 7, { key: 'v'.repeat(255) }).bytes,
      batchTemplate(1, 3, { key: 'v'.repeat(255) }, 2).bytes,
    ]) {
      expect(Buffer.from(message.subarray(-256)).toString('latin1')).toBe(`${'v'.repeat(255)}\0`);
    }
  });
});
