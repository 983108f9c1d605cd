import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { uniqueNames } from '../../../src/formats/column-names.js';
import { CsvParser, type CsvRow, RFC_4180 } from '../../../src/formats/csv/parser.js';
import { CsvReader } from '../../../src/formats/csv/reader.js';
import { TextDecoding } from '../../../src/formats/text-decoding.js';
import { chunked, itemsOf } from '../../import/support.js';

function parse(text: string, delimiter = ',', maxRecordChars?: number): CsvRow[] {
  const parser = new CsvParser({ ...RFC_4180, delimiter }, maxRecordChars);
  const rows: CsvRow[] = [];
  parser.push(text, rows);
  parser.end(rows);
  return rows;
}

const fieldsOf = (text: string, delimiter?: string) => parse(text, delimiter).map((row) => row.fields);

const quote = (field: string) => `"${field.replaceAll('"', '""')}"`;
const quoteIfNeeded = (field: string) => (/[",\r\n]/.test(field) ? quote(field) : field);

describe('CsvParser', () => {
  it('reads quoted delimiters, line ends and doubled quotes', () => {
    expect(fieldsOf('a,"b,c","d\r\ne","say ""hi"""\n1,,3,\n')).toEqual([
      ['a', 'b,c', 'd\r\ne', 'say "hi"'],
      ['1', '', '3', ''],
    ]);
  });

  it('takes CRLF, LF and a missing last line end, and keeps a lone CR as data', () => {
    expect(fieldsOf('a,b\r\nc,d\ne\rf,g')).toEqual([
      ['a', 'b'],
      ['c', 'd'],
      ['e\rf', 'g'],
    ]);
    expect(fieldsOf('"a"\r\n"b"\r\n')).toEqual([['a'], ['b']]);
  });

  it('skips blank lines but not a quoted empty field', () => {
    expect(fieldsOf('a\n\n\r\n""\nb')).toEqual([['a'], [''], ['b']]);
  });

  it('keeps a quote inside an unquoted field', () => {
    expect(fieldsOf('5" disk,b"\n')).toEqual([['5" disk', 'b"']]);
  });

  it('splits at another delimiter', () => {
    expect(fieldsOf('a;"b;c";1,5\n', ';')).toEqual([['a', 'b;c', '1,5']]);
  });

  it.each(['', ',,', '"', '\n'])('refuses %j as a delimiter', (delimiter) => {
    expect(() => new CsvReader(new TextDecoding([]), { delimiter })).toThrow(
      expect.objectContaining({ code: 'ERR_CONFIG_INVALID' }),
    );
  });

  it('counts the lines inside quoted fields', () => {
    expect(parse('a\n"b\nb\nb"\nc').map((row) => row.line)).toEqual([1, 2, 5]);
  });

  it('reports text after a closing quote and goes on with the next line', () => {
    const rows = parse('"a"x,b\nc,d\n');
    expect(rows[0]).toMatchObject({ line: 1, fields: null, error: 'text follows a closing quote' });
    expect(rows[1]).toMatchObject({ line: 2, fields: ['c', 'd'] });
  });

  it('reports a quote that is never closed at the line where its record began', () => {
    expect(parse('a\nb,"c\nd\n')).toMatchObject([
      { line: 1 },
      {
        line: 2,
        error: expect.stringMatching(/^a quote that opens on line 2 is never closed; the 1 lines after it/),
      },
      { line: 3, fields: ['d'] },
    ]);
  });

  it('reports a record over the limit and goes on', () => {
    const rows = parse(`${'x'.repeat(50)}\nok\n${','.repeat(50)}\n`, ',', 20);
    expect(rows.map((row) => row.error !== null)).toEqual([true, false, true]);
  });

  it('gives back arbitrary fields, whatever the quoting, line ends and chunk splits', async () => {
    const field = fc.oneof(
      fc.string({ unit: 'binary', maxLength: 12 }),
      fc.string({ unit: fc.constantFrom('"', ',', '\r', '\n', 'é', '😀', ' ', 'a'), maxLength: 12 }),
    );
    const row = fc.tuple(field, field, field);
    await fc.assert(
      fc.asyncProperty(
        fc.array(row, { maxLength: 8 }),
        fc.boolean(),
        fc.constantFrom('\n', '\r\n'),
        fc.array(fc.nat(), { maxLength: 12 }),
        async (rows, quoteAll, lineEnd, cuts) => {
          const write = quoteAll ? quote : quoteIfNeeded;
          const text = [['a', 'b', 'c'], ...rows]
            .map((fields) => fields.map(write).join(',') + lineEnd)
            .join('');
          const items = await itemsOf(
            new CsvReader(new TextDecoding(chunked(text, cuts)), { header: true, nulls: [], delimiter: ',' }),
          );
          expect(items.map((item) => item.error)).toEqual(rows.map(() => null));
          expect(items.map((item) => Object.values(item.record ?? {}))).toEqual(rows);
        },
      ),
      { numRuns: 400 },
    );
  });
});

describe('CsvReader', () => {
  const read = (text: string, options = {}) =>
    itemsOf(new CsvReader(new TextDecoding(chunked(text, [1, 2, 3])), options));

  it('drops a byte order mark and keys records by the header', async () => {
    expect(await read('\uFEFFa,b\n1,2\n')).toEqual([{ line: 2, record: { a: '1', b: '2' }, error: null }]);
  });

  it('reports ragged rows and leaves them out', async () => {
    expect(await read('a,b\n1\n1,2,3\n1,2\n')).toMatchObject([
      { line: 2, record: null, error: 'expected 2 fields, got 1' },
      {
        line: 3,
        record: null,
        error: expect.stringMatching(
          /^expected 2 fields, got 3 \(the first may be a name of the row, .+: pass columns/,
        ),
      },
      { line: 4, record: { a: '1', b: '2' } },
    ]);
  });

  it('keeps ragged rows when asked, still reporting them', async () => {
    expect(await read('a,b\n1\n1,2,3\n', { ragged: 'keep' })).toMatchObject([
      { line: 2, record: { a: '1' }, error: 'expected 2 fields, got 1' },
      {
        line: 3,
        record: { a: '1', b: '2', column_3: '3' },
        error: expect.stringMatching(
          /^expected 2 fields, got 3 \(the first may be a name of the row, .+: pass columns/,
        ),
      },
    ]);
  });

  it('takes column names from the caller for a file without a header', async () => {
    expect(await read('1,2\n', { columns: ['x', 'y'] })).toMatchObject([
      { line: 1, record: { x: '1', y: '2' } },
    ]);
  });

  it('makes empty and repeated names distinct', () => {
    const { names, problems } = uniqueNames(['', ' a ', 'a', 'a', 'a_2']);
    expect(names).toEqual(['column_1', 'a', 'a_2', 'a_3', 'a_2_2']);
    expect(problems).toHaveLength(4);
  });

  it('keeps a column named __proto__', async () => {
    const [item] = await read('__proto__,b\nx,y\n');
    expect(Object.entries(item!.record!)).toEqual([
      ['__proto__', 'x'],
      ['b', 'y'],
    ]);
  });
});
