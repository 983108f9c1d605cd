/** Every dialect is written by a reference writer here, and read back. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { findDialect } from '../../../src/formats/csv/dialect.js';
import { CsvReader } from '../../../src/formats/csv/reader.js';
import { checkEncoding, detectEncoding } from '../../../src/formats/text-decoding.js';
import { type CsvOptions, TextDecoding } from '../../../src/import/index.js';
import { importAll, itemsOf, useScratch } from '../../import/support.js';

const write = useScratch();

interface Dialect {
  readonly delimiter: string;
  readonly lineEnd: string;
  readonly quotes: 'all' | 'needed';
  readonly escape: '"' | '\\';
  readonly blanks: boolean;
  readonly separatorLine: boolean;
  readonly comments: number;
  readonly encoding: 'utf-8' | 'utf-8-bom' | 'utf-16le' | 'utf-16be';
}

const DIALECT: fc.Arbitrary<Dialect> = fc.record({
  delimiter: fc.constantFrom(',', ';', '\t', '|'),
  lineEnd: fc.constantFrom('\n', '\r\n', '\r', '\r\r\n'),
  quotes: fc.constantFrom('all' as const, 'needed' as const),
  escape: fc.constantFrom('"' as const, '\\' as const),
  blanks: fc.boolean(),
  separatorLine: fc.boolean(),
  comments: fc.nat(2),
  encoding: fc.constantFrom('utf-8', 'utf-8-bom', 'utf-16le', 'utf-16be'),
});

/** The reference writer. */
function written(rows: readonly string[][], dialect: Dialect): Buffer {
  const { delimiter, lineEnd, escape: mark } = dialect;
  const quoted = (field: string) =>
    `"${mark === '"' ? field.replaceAll('"', '""') : field.replaceAll('\\', '\\\\').replaceAll('"', '\\"')}"`;
  const needs = (field: string) =>
    /["\r\n\\#]/.test(field) || field.includes(delimiter) || field.trim() !== field;
  const cell = (field: string) => (dialect.quotes === 'all' || needs(field) ? quoted(field) : field);
  const glue = dialect.blanks ? `${delimiter} ` : delimiter;
  const lines = [
    ...(dialect.separatorLine ? [`sep=${delimiter}`] : []),
    ...Array.from({ length: dialect.comments }, (_, i) => `# comment ${i}`),
    ...rows.map((row) => row.map(cell).join(glue)),
  ];
  const text = lines.map((line) => line + lineEnd).join('');
  if (dialect.encoding === 'utf-16be') return Buffer.from(`\ufeff${text}`, 'utf16le').swap16();
  if (dialect.encoding === 'utf-16le') return Buffer.from(`\ufeff${text}`, 'utf16le');
  return Buffer.from(dialect.encoding === 'utf-8-bom' ? `\ufeff${text}` : text);
}

const FIELD = fc.oneof(
  fc.string({ unit: fc.constantFrom('a', 'é', '😀', ' ', '"', ',', ';', '|', '\\', '\n'), maxLength: 8 }),
  fc.integer().map(String),
);

describe('a file of any dialect', () => {
  it('comes out as it was written', async () => {
    const row = fc.tuple(FIELD, FIELD, FIELD);
    await fc.assert(
      fc.asyncProperty(DIALECT, fc.array(row, { minLength: 3, maxLength: 8 }), async (dialect, rows) => {
        const bytes = written([['first', 'second', 'third'], ...rows], dialect);
        const encoding = detectEncoding(bytes);
        const options: CsvOptions = { nulls: [], decimal: '.' };
        // What too few rows show may be stated, and a blank in front of a field belongs to it unless it is said not to.
        const { delimiter, escape: mark, blanks } = dialect;
        const stated = { ...options, delimiter, escape: mark, skipBlanks: blanks };
        const reader = new CsvReader(new TextDecoding([bytes], encoding), stated);
        const items = await itemsOf(reader);
        expect(items.map(({ error }) => error)).toEqual(rows.map(() => null));
        expect(items.map(({ record }) => Object.values(record ?? {}))).toEqual(rows);
      }),
      { numRuns: 500 },
    );
  });

  it('is told by its beginning', async () => {
    const plain = fc.string({ unit: fc.constantFrom('a', 'b', 'é', '1', '-'), minLength: 1, maxLength: 6 });
    const row = fc.tuple(plain, plain, fc.constantFrom('say "hi"', 'x', 'two words'));
    await fc.assert(
      fc.asyncProperty(DIALECT, fc.array(row, { minLength: 5, maxLength: 20 }), async (dialect, rows) => {
        const bytes = written([['first', 'second', 'third'], ...rows], dialect);
        const text = new TextDecoding([bytes], detectEncoding(bytes));
        const items = await itemsOf(new CsvReader(text, { nulls: [] }));
        expect(items.map(({ record }) => Object.values(record ?? {}))).toEqual(rows);
      }),
      { numRuns: 500 },
    );
  });
});

describe('findDialect', () => {
  it.each([
    ['a;b\n1,5;2\n3,25;x\n', { delimiter: ';', decimal: ',' }],
    ['a;b\n1.5;2\n', { delimiter: ';', decimal: '.' }],
    // It may as well be thousands.
    ['a;b\n1,234;2\n', { delimiter: ';', decimal: '.' }],
    ['a\n1\n2\n', { delimiter: ',' }],
    ['sep=|\na|b\n1|2\n', { delimiter: '|', skippedLines: 1 }],
    ['# made by x\n# on Monday\na,b\n1,2\n', { skippedLines: 2 }],
    ['#a,b\n1,2\n', { skippedLines: 0 }],
    ['a, "b", c\n1, "x, y", 3\n', { skipsBlanks: true }],
    ['a,b\n"say \\"hi\\" to",2\n', { escape: '\\' }],
    ['a,b\n"C:\\",2\n', { escape: '"' }],
    ['when,text\n2024-01-01,"a;b;c"\n2024-01-02,"d;e;f"\n', { delimiter: ',' }],
  ])('%j', (sample, expected) => {
    expect(findDialect(sample)).toMatchObject(expected);
  });

  it('takes what is stated', () => {
    expect(findDialect('a;b\n1;2\n', { delimiter: ',' })).toMatchObject({ delimiter: ',' });
    expect(findDialect('a;b\n1;2\n', { delimiter: 'tab' })).toMatchObject({ delimiter: '\t' });
  });

  it('is quick on what is made to be slow', () => {
    for (const text of [
      '"\\'.repeat(30_000),
      ',"'.repeat(30_000),
      '#\n'.repeat(30_000),
      '\\"'.repeat(30_000),
    ]) {
      findDialect(text.slice(0, 65_536));
    }
  });
});

describe('importing CSV', () => {
  const rowsOf = async (name: string, content: string | Uint8Array, options = {}) => {
    const result = await importAll(await write(name, content), options);
    return {
      ...result,
      rows: result.records.map(({ latencyMs, model, metadata }) => [latencyMs, model, metadata]),
    };
  };

  it('reads a file of Excel in Germany', async () => {
    const text =
      'sep=;\r\ntimestamp;latency_ms;model;note\r\n2024-03-01;12,5;gpt;ü\r\n2024-03-02;3;gpt;NA\r\n';
    const { rows } = await rowsOf('excel.csv', Buffer.from(`\ufeff${text}`));
    expect(rows).toEqual([
      [12.5, 'gpt', { note: 'ü' }],
      [3, 'gpt', {}],
    ]);
  });

  it('reads Windows-1252 when told so, and otherwise says the line and what to pass', async () => {
    const bytes = Buffer.from('timestamp,latency_ms,city\n2024-01-01,10,München\n', 'latin1');
    await expect(importAll(await write('latin.csv', bytes))).rejects.toMatchObject({
      code: 'ERR_FILE_ENCODING',
      message: expect.stringMatching(/line 2 .*windows-1252/),
    });
    const { rows } = await rowsOf('latin.csv', bytes, { encoding: 'windows-1252' });
    expect(rows).toEqual([[10, null, { city: 'München' }]]);
    expect(() => checkEncoding('klingon')).toThrow(expect.objectContaining({ code: 'ERR_CONFIG_INVALID' }));
  });

  it('leaves out rows with other bytes that come late', async () => {
    const many = '2024-01-01,1,x\n'.repeat(30_000);
    const text = Buffer.concat([
      Buffer.from(`timestamp,latency_ms,city\n${many}`),
      Buffer.from('2024-01-01,1,M\xfcnchen\n2024-01-01,2,Köln\n', 'latin1'),
    ]);
    const { records, reasons, skipped } = await importAll(await write('late.csv', text));
    expect({ rows: records.length, reasons, skipped }).toEqual({
      rows: 30_000,
      reasons: { encoding: 2 },
      skipped: 2,
    });
  });

  it.each([
    ['1,234.5', 'thousands'],
    ['"1,234"', 'it may mean 1.234 or 1234'],
  ])('refuses %s as a number, and says why', async (value, reason) => {
    const { errors } = await rowsOf('thousands.csv', `timestamp;latency_ms\n2024-01-01;${value}\n`);
    expect(errors[0]!.message).toContain(reason);
  });

  it('refuses data where the names should be, unless it is told the names', async () => {
    const path = await write('bare.csv', '2024-01-01T00:00:00Z,12.5,gpt\n');
    await expect(importAll(path)).rejects.toMatchObject({
      message: expect.stringContaining('pass the names'),
    });
    const columns = ['timestamp', 'latency_ms', 'model'];
    expect((await importAll(path, { columns })).records).toMatchObject([{ latencyMs: 12.5, model: 'gpt' }]);
  });

  it('tells of names that stand twice or not at all', async () => {
    const { errors, reasons, skipped } = await rowsOf('names.csv', 'timestamp,a,a,\n2024-01-01,1,2,3\n');
    expect({ reasons, skipped }).toEqual({ reasons: { header: 2 }, skipped: 0 });
    expect(errors.map(({ line }) => line)).toEqual([1, 1]);
  });

  it('says where a quote opens that is never closed, and reads the lines after it', async () => {
    const lines = Array.from({ length: 40_000 }, (_, i) => `2024-01-01,${i},fine\n`).join('');
    const text = `timestamp,latency_ms,note\n2024-01-01,1,"oops\n${lines}`;
    const { records, errors, skipped } = await importAll(await write('quote.csv', text));
    expect(records).toHaveLength(40_000);
    expect(skipped).toBe(1);
    expect(errors[0]).toMatchObject({ line: 2, message: expect.stringContaining('40000 lines') });
    const midway = `timestamp,latency_ms,note\n2024-01-01,1,"oops\n2024-01-01,2,fine\n2024-01-01,3,"good"\n`;
    expect((await importAll(await write('midway.csv', midway))).records).toHaveLength(2);
  });

  it('leaves out rows whose time is not understood, or gives them the time of the import when told so', async () => {
    const text = 'timestamp,latency_ms\n2024-01-01,1\nyesterday,2\n,3\n1/2/2024,4\n';
    const path = await write('times.csv', text);
    const { records, reasons, errors } = await importAll(path);
    expect(records.map(({ latencyMs }) => latencyMs)).toEqual([1]);
    expect(reasons).toEqual({ time: 3 });
    expect(errors.map(({ message }) => message)).toEqual([
      'timestamp: "yesterday" is not a time',
      'timestamp: there is none',
      expect.stringContaining('pass dateOrder'),
    ]);
    expect(await importAll(path, { time: 'now' })).toMatchObject({ skipped: 0, untimed: 3 });
    expect((await importAll(path, { dateOrder: 'dmy' })).records).toHaveLength(2);
  });

  it('adds a map to what is recognised, and tells of targets that nothing was found for', async () => {
    const text = 'timestamp,latency_ms,model,seconds,empty\n2024-01-01,7,gpt,2,\n';
    const { records, unfilled } = await importAll(await write('map.csv', text), {
      map: { latencyMs: 'seconds * 1000', costUsd: 'empty' },
    });
    expect(records).toMatchObject([{ latencyMs: 2000, model: 'gpt', metadata: { latency_ms: 7 } }]);
    expect(unfilled).toEqual(['costUsd']);
  });
});

describe('a file that is taken for another one', () => {
  const rows = (delimiter: string) =>
    [
      ['timestamp', 'latency_ms', 'model'],
      ['2024-03-01', '12', 'a'],
      ['2024-03-02', '13', 'b'],
    ]
      .map((fields) => `${fields.join(delimiter)}\n`)
      .join('');

  it.each([' ', '^', '~', ':', '&'])('is refused where %j is the delimiter, and says so', async (mark) => {
    const path = await write('other.csv', rows(mark));
    await expect(importAll(path)).rejects.toMatchObject({
      code: 'ERR_UNSUPPORTED_FORMAT',
      message: expect.stringContaining(`3 with ${JSON.stringify(mark)}: pass the delimiter`),
    });
    expect(await importAll(path, { delimiter: mark })).toMatchObject({ rows: 2, untimed: 0 });
  });

  it('may have one column all the same', async () => {
    expect(await importAll(await write('one.csv', 'latency_ms\n1\n2\n'))).toMatchObject({ rows: 2 });
    const said = await importAll(await write('said.csv', 'first words\nof text\nor two\n'), {
      delimiter: ',',
    });
    expect(said.records.map(({ metadata }) => metadata)).toEqual([
      { 'first words': 'of text' },
      { 'first words': 'or two' },
    ]);
  });

  it('is JSON, whatever its name', async () => {
    for (const text of ['{"latency_ms":1}\n', '[{"latency_ms":1}]', '[\n {\n "a": 1}]']) {
      await expect(importAll(await write('json.csv', text))).rejects.toThrow("pass format: 'jsonl'");
    }
  });

  it('is UTF-32, whose mark begins as that of UTF-16', async () => {
    const text = [...'a\n1\n'].flatMap((char) => [char.charCodeAt(0), 0, 0, 0]);
    const path = await write('utf32.csv', Buffer.from([0xff, 0xfe, 0, 0, ...text]));
    await expect(importAll(path)).rejects.toMatchObject({ code: 'ERR_FILE_ENCODING' });
  });
});

describe('decimal commas', () => {
  const latencies = async (text: string, options = {}) => {
    const { records, errors } = await importAll(await write('decimal.csv', text), options);
    return {
      latencies: records.map(({ latencyMs }) => latencyMs),
      errors: errors.map(({ message }) => message),
    };
  };

  it('are read in quoted fields of a file with commas, as its error says', async () => {
    const text = 'timestamp,latency_ms\n2024-03-01,"12,5"\n2024-03-02,"13,5"\n';
    expect((await latencies(text)).errors[0]).toContain("pass decimal: ','");
    for (const options of [{ decimal: ',' }, { decimal: ',', delimiter: ',' }]) {
      expect(await latencies(text, options)).toEqual({ latencies: [12.5, 13.5], errors: [] });
    }
  });

  it.each<CsvOptions>([{ decimal: ',' }, {}])(
    'make 1.234 a number that nobody knows, with %j',
    async (options) => {
      const text = 'latency_ms;cost_usd;version\n1.234;0,5;4.100\n999;0,7;x\n12.345.678;0,7;x\n12,5;1,5;x\n';
      const path = await write('points.csv', text);
      const { records, errors, reasons } = await importAll(path, options);
      expect(records.map(({ latencyMs }) => latencyMs)).toEqual([null, 999, null, 12.5]);
      expect(records.map(({ costUsd }) => costUsd)).toEqual([0.5, 0.7, 0.7, 1.5]);
      // What nobody has asked a number of stays the text that it is.
      expect(records[0]!.metadata).toEqual({ latency_ms: '1.234', version: '4.100' });
      expect(errors[0]).toEqual({
        line: 2,
        message: expect.stringContaining(
          '"1.234" may mean 1234 or a fraction: write it without thousands separators',
        ),
      });
      expect(reasons).toEqual({ value: 2 });
      const computed = await importAll(path, { ...options, map: { latencyMs: 'latency_ms * 2' } });
      expect(computed.records.map(({ latencyMs }) => latencyMs)).toEqual([null, 1998, null, 25]);
    },
  );
});

describe('lines that end in CR', () => {
  it('leave line ends in quotes as they are', async () => {
    const text = 'timestamp,n\r2024-03-01,"a\r\nb\rc\nd"\r2024-03-02,x\r';
    const { records, errors } = await importAll(await write('cr.csv', text));
    expect(records.map(({ metadata }) => metadata.n)).toEqual(['a\r\nb\rc\nd', 'x']);
    const late = await importAll(await write('cr-bad.csv', 'a,b\r1,"x\r2,y\r3\r4,z\r'));
    expect(errors).toEqual([]);
    expect(late.errors.map(({ line }) => line)).toEqual([2, 4]);
    expect(late.records.map(({ metadata }) => metadata.a)).toEqual([2, 4]);
  });
});

it('a backslash escapes in fields without quotes as well, as Python writes them', async () => {
  const text = 'id,n,m\n1,say \\"hi\\",x\n2,"a, \\"b\\"",x\n3,c:\\\\dir\\d,x\n4,a\\,b,x\n';
  const { records, errors } = await importAll(await write('escaped.csv', text), { escape: '\\' });
  expect(errors).toEqual([]);
  expect(records.map(({ metadata }) => metadata.n)).toEqual(['say "hi"', 'a, "b"', 'c:\\dir\\d', 'a,b']);
});

it.each<[object, string]>([
  [{ columns: 'a,b' }, 'columns'],
  [{ ragged: 'pad' }, 'ragged'],
  [{ header: 'no' }, 'header'],
  [{ header: true, columns: ['a', 'b'] }, 'header'],
  [{ maxRecordChars: Number.NaN }, 'maxRecordChars'],
  [{ maxRatio: -1 }, 'maxRatio'],
  [{ maxOutputBytes: 'x' }, 'maxOutputBytes'],
  [{ delimeter: ';' }, 'delimeter: expected no such option (did you mean delimiter?)'],
])('%j is refused before the file is touched', async (options, message) => {
  await expect(importAll('no/such/file.csv', options)).rejects.toMatchObject({
    code: 'ERR_CONFIG_INVALID',
    message: expect.stringContaining(message),
  });
});

it('a row with more fields than records may have is left out, and soon', async () => {
  const path = await write('wide.csv', `a,b\n${','.repeat(3_000_000)}\n1,2\n`);
  const { rows, reasons, errors } = await importAll(path, { ragged: 'keep' });
  expect({ rows, reasons }).toEqual({ rows: 1, reasons: { tooLong: 1 } });
  expect(errors[0]!.message).toBe('there are 3000001 fields, and at most 16384 can be read');
});
