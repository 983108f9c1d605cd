/** docs/import.md names every limit of the import, as the code has it. */

import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it } from 'vitest';

const page = readFileSync('docs/import.md', 'utf8').split('\n## Limits\n')[1]!.split('\n## ')[0]!;
/** Of all that reads files. */
const FOLDERS = ['src/import', 'src/formats'];
const MI = 2 ** 20;

/** Constants by their file, and the row of the page that names them, with the words for them. */
const LIMITS: readonly (readonly [file: string, name: string, value: number, row: string, words: string])[] =
  [
    ['formats/reader.ts', 'COLUMNS_MAX', 16_384, 'columns, or keys of a record', '16,384'],
    ['formats/reader.ts', 'CSV_MAX_RECORD_CHARS', 80 * MI, 'a record of CSV', '80 Mi characters'],
    ['formats/reader.ts', 'DEFAULT_MAX_RECORD_CHARS', 256 * MI, 'a record of CSV', '256 Mi'],
    ['formats/msgpack/reader.ts', 'VALUE_BYTES_MAX', 512 * MI, 'a record of MessagePack', '512 MiB'],
    ['formats/msgpack/parser.ts', 'DEPTH_MAX', 200, 'nesting', '200 (MessagePack)'],
    ['formats/arrow/schema-reader.ts', 'DEPTH_MAX', 64, 'nesting', '64 (columns of Arrow and Parquet)'],
    ['formats/parquet/read/schema.ts', 'DEPTH_MAX', 64, 'nesting', '64 (columns of Arrow and Parquet)'],
    [
      'formats/parquet/read/thrift.ts',
      'DEPTH_MAX',
      16,
      'nesting',
      '16 (structures of a Parquet file itself)',
    ],
    ['import/expression.ts', 'MAX_DEPTH', 100, 'nesting', '100 (expressions)'],
    ['import/source-file.ts', 'RATIO_MAX', 250, 'bytes out of a file compressed', '250 for each'],
    ['import/source-file.ts', 'RATIO_FREE_BYTES', 64 * MI, 'bytes out of a file compressed', '64 MiB'],
    ['formats/arrow/reader.ts', 'OUTPUT_RATIO_MAX', 250, 'bytes out of an Arrow batch', '250 for each'],
    ['formats/arrow/reader.ts', 'FREE_OUTPUT_BYTES', 64 * MI, 'bytes out of an Arrow batch', '64 MiB'],
    ['formats/arrow/reader.ts', 'METADATA_BYTES_MAX', 256 * MI, 'an Arrow message', '256 MiB of metadata'],
    ['formats/arrow/column-reader.ts', 'FREE_ROWS_MAX', MI, 'rows without bytes of an Arrow batch', '1 Mi'],
    ['formats/arrow/reader.ts', 'OUTPUT_RATIO_MAX', 250, 'bytes out of all of an Arrow file', '250 for each'],
    ['formats/msgpack/parser.ts', 'INTEGER_BYTES_MAX', 1024, 'an integer of msgpackr', '1,024 bytes'],
    [
      'formats/compression/decompress.ts',
      'ZSTD_MOVED_BYTES_MAX',
      8192 * MI,
      'a page or buffer of Zstandard',
      '8 GiB',
    ],
    [
      'formats/compression/decompress.ts',
      'ZSTD_WINDOW_FREE_BYTES',
      8 * MI,
      'a page or buffer of Zstandard',
      '8 MiB',
    ],
    [
      'formats/parquet/read/budget.ts',
      'VALUES_PER_BYTE_MAX',
      1000,
      'values of a Parquet file',
      '1,000 for each',
    ],
    ['formats/parquet/read/budget.ts', 'FREE_VALUES', 16 * MI, 'values of a Parquet file', '16 Mi'],
    ['formats/parquet/read/pages.ts', 'PAGE_BYTES_MAX', 512 * MI - 1, 'a Parquet page', '512 MiB'],
    ['formats/parquet/read/pages.ts', 'HEAD_BYTES_MAX', 16 * MI, 'a Parquet page', '16 MiB'],
    ['formats/parquet/read/metadata.ts', 'FOOTER_BYTES_MAX', 64 * MI, 'a Parquet page', '64 MiB'],
    [
      'formats/parquet/read/column.ts',
      'ROW_ENTRIES_MAX',
      4 * MI,
      'values of one row in a nested Parquet column',
      '4 Mi',
    ],
    ['formats/parquet/read/encodings.ts', 'BLOCK_MAX', 16 * MI, 'values of a block of differences', '16 Mi'],
    [
      'formats/parquet/read/encodings.ts',
      'SIZES_PER_BYTE_MAX',
      1000,
      'lengths of a Parquet page',
      '1,000 for each',
    ],
    ['formats/parquet/read/encodings.ts', 'SIZES_FREE', MI, 'lengths of a Parquet page', '1 Mi'],
    ['formats/parquet/read/types.ts', 'DECIMAL_BYTES_MAX', 1024, 'a Parquet decimal', '1,024 bytes'],
    ['import/manifest.ts', 'MANIFEST_BYTES_MAX', 64 * MI, 'a manifest', '64 MiB'],
    ['formats/timestamps.ts', 'MAX_CHARS', 64, 'a time, a number as text', '64 characters'],
    ['formats/text-values.ts', 'DECIMAL_MAX_CHARS', 400, 'a time, a number as text', '400 characters'],
    ['import/importFile.ts', 'MAX_ERRORS_KEPT', 20, 'problems that are described', '20'],
    ['import/bind.ts', 'PEEK_RECORDS', 100, 'records looked at for names', '100'],
    ['experiment/importing.ts', 'CONDITIONS_MAX', 64, 'values of `splitBy`', '64'],
    ['experiment/importing.ts', 'DEPTH_MAX', 16, 'folders inside folders', '16'],
  ];

/** What is worked with, and limits nothing that a file may have. */
const NO_LIMITS = new Set([
  'formats/text.ts TIME_US_MAX',
  'formats/columns/text-set.ts VALUES_MAX',
  'formats/columns/text-set.ts CHARACTERS_MAX',
  'formats/columns/whole-numbers.ts SHIFTED_MAX',
  'formats/msgpack/stored-value.ts DEPTH_MAX',
  'formats/msgpack/stored-value.ts TEXT_BYTES_MAX',
  'formats/msgpack/stored-value.ts MAP_ENTRIES_MAX',
  'formats/msgpack/writer.ts MAP16_ENTRIES_MAX',
  'formats/parquet/write/encodings.ts DELTA_RANGE_MAX',

  'import/own.ts TOKENS_MAX',
  'import/bind.ts SHAPES_MAX',
  'formats/arrow/reader.ts BODY_BYTES_MAX',
  'formats/parquet/read/reader.ts RECORDS_MAX',
  'formats/parquet/read/reader.ts WINDOW_BYTES_MAX',
  'formats/parquet/read/thrift.ts VARINT_BYTES_MAX',
  'formats/msgpack/parser.ts KEY_BYTES_MAX',
  'formats/msgpack/parser.ts SHAPE_ENTRIES_MAX',
  'formats/values.ts DIGITS_MAX',
  'formats/arrow/column-reader.ts VIEW_INLINE_MAX',
  'formats/csv/reader.ts NULL_WORD_MAX_CHARS',
  'import/mapping.ts MAX_COLUMNS_SHOWN',
]);

const textOf = (file: string) => readFileSync(join('src', file), 'utf8');
const DECLARED = /^(?:export )?const (\w*(?:MAX|FREE|RATIO)\w*) = ([^;]+);/gm;

/** A constant's value, which is numbers, times and powers. */
function numberOf(file: string, name: string): number {
  const found = [...textOf(file).matchAll(DECLARED)].find(([, declared]) => declared === name);
  const expression = found?.[2] ?? /const PEEK_RECORDS = (\d+)/.exec(textOf(file))?.[1] ?? '';
  expect(expression, `${file} ${name}`).toMatch(/^[\d_ *<-]+$/);
  const [factors, less = '0'] = expression.replaceAll('_', '').split(' - ');
  const powers = factors!.split('<<').map((part) => part.split(/(?<!\*)\*(?!\*)/).map(power));
  const [product, shift] = powers.map((parts) => parts.reduce((all, each) => all * each, 1));
  return product! * 2 ** (shift ?? 0) - Number(less);
}
const power = (text: string) =>
  text
    .split('**')
    .map(Number)
    .reduce((base, exponent) => base ** exponent);

it.each(LIMITS)('%s %s', (file, name, value, row, words) => {
  expect(numberOf(file, name)).toBe(value);
  const line = page.split('\n').find((each) => each.startsWith(`| ${row}`));
  expect(line, row).toContain(words);
});

it('there is no limit that nobody has written down', () => {
  const files = FOLDERS.flatMap((folder) =>
    readdirSync(folder, { recursive: true, encoding: 'utf8' })
      .filter((path) => path.endsWith('.ts'))
      .map((path) => join(folder, path).replace(/^src\//, '')),
  );
  const known = new Set([...LIMITS.map(([file, name]) => `${file} ${name}`), ...NO_LIMITS]);
  const found = files.flatMap((file) =>
    [...textOf(file).matchAll(DECLARED)].map(([, name]) => `${file} ${name}`),
  );
  expect(found.length).toBeGreaterThan(30);
  expect(found.filter((each) => !known.has(each))).toEqual([]);
});
