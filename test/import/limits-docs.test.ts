/** docs/import.md names every limit of the import, as the code has it. */

import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it } from 'vitest';

const page = readFileSync('docs/import.md', 'utf8').split('\n## Limits\n')[1]!.split('\n## ')[0]!;
const FOLDER = 'src/import';
const MI = 2 ** 20;

/** Constants by their file, and the row of the page that names them, with the words for them. */
const LIMITS: readonly (readonly [file: string, name: string, value: number, row: string, words: string])[] =
  [
    ['reader.ts', 'COLUMNS_MAX', 16_384, 'columns, or keys of a record', '16,384'],
    ['reader.ts', 'CSV_MAX_RECORD_CHARS', 80 * MI, 'a record of CSV', '80 Mi characters'],
    ['reader.ts', 'DEFAULT_MAX_RECORD_CHARS', 256 * MI, 'a record of CSV', '256 Mi'],
    ['msgpack.ts', 'VALUE_BYTES_MAX', 512 * MI, 'a record of MessagePack', '512 MiB'],
    ['msgpack-parser.ts', 'DEPTH_MAX', 200, 'nesting', '200 (MessagePack)'],
    ['arrow-schema.ts', 'DEPTH_MAX', 64, 'nesting', '64 (columns of Arrow and Parquet)'],
    ['parquet/schema.ts', 'DEPTH_MAX', 64, 'nesting', '64 (columns of Arrow and Parquet)'],
    ['parquet/thrift.ts', 'DEPTH_MAX', 16, 'nesting', '16 (structures of a Parquet file itself)'],
    ['expression.ts', 'MAX_DEPTH', 100, 'nesting', '100 (expressions)'],
    ['source-file.ts', 'RATIO_MAX', 250, 'bytes out of a file compressed', '250 for each'],
    ['source-file.ts', 'RATIO_FREE_BYTES', 64 * MI, 'bytes out of a file compressed', '64 MiB'],
    ['arrow.ts', 'OUTPUT_RATIO_MAX', 250, 'bytes out of an Arrow batch', '250 for each'],
    ['arrow.ts', 'FREE_OUTPUT_BYTES', 64 * MI, 'bytes out of an Arrow batch', '64 MiB'],
    ['arrow.ts', 'METADATA_BYTES_MAX', 256 * MI, 'an Arrow message', '256 MiB of metadata'],
    ['arrow-columns.ts', 'FREE_ROWS_MAX', MI, 'rows without bytes of an Arrow batch', '1 Mi'],
    ['arrow.ts', 'OUTPUT_RATIO_MAX', 250, 'bytes out of all of an Arrow file', '250 for each'],
    ['msgpack-parser.ts', 'INTEGER_BYTES_MAX', 1024, 'an integer of msgpackr', '1,024 bytes'],
    ['decompress.ts', 'ZSTD_MOVED_BYTES_MAX', 8192 * MI, 'a page or buffer of Zstandard', '8 GiB'],
    ['decompress.ts', 'ZSTD_WINDOW_FREE_BYTES', 8 * MI, 'a page or buffer of Zstandard', '8 MiB'],
    ['parquet/budget.ts', 'VALUES_PER_BYTE_MAX', 1000, 'values of a Parquet file', '1,000 for each'],
    ['parquet/budget.ts', 'FREE_VALUES', 16 * MI, 'values of a Parquet file', '16 Mi'],
    ['parquet/pages.ts', 'PAGE_BYTES_MAX', 512 * MI - 1, 'a Parquet page', '512 MiB'],
    ['parquet/pages.ts', 'HEAD_BYTES_MAX', 16 * MI, 'a Parquet page', '16 MiB'],
    ['parquet/metadata.ts', 'FOOTER_BYTES_MAX', 64 * MI, 'a Parquet page', '64 MiB'],
    ['parquet/column.ts', 'ROW_ENTRIES_MAX', 4 * MI, 'values of one row in a nested Parquet column', '4 Mi'],
    ['parquet/encodings.ts', 'BLOCK_MAX', 16 * MI, 'values of a block of differences', '16 Mi'],
    ['parquet/encodings.ts', 'SIZES_PER_BYTE_MAX', 1000, 'lengths of a Parquet page', '1,000 for each'],
    ['parquet/encodings.ts', 'SIZES_FREE', MI, 'lengths of a Parquet page', '1 Mi'],
    ['parquet/types.ts', 'DECIMAL_BYTES_MAX', 1024, 'a Parquet decimal', '1,024 bytes'],
    ['manifest.ts', 'MANIFEST_BYTES_MAX', 64 * MI, 'a manifest', '64 MiB'],
    ['timestamps.ts', 'MAX_CHARS', 64, 'a time, a number as text', '64 characters'],
    ['values.ts', 'DECIMAL_MAX_CHARS', 400, 'a time, a number as text', '400 characters'],
    ['importFile.ts', 'MAX_ERRORS_KEPT', 20, 'problems that are described', '20'],
    ['bind.ts', 'PEEK_RECORDS', 100, 'records looked at for names', '100'],
    ['../capture/importing.ts', 'CONDITIONS_MAX', 64, 'values of `splitBy`', '64'],
    ['../capture/importing.ts', 'DEPTH_MAX', 16, 'folders inside folders', '16'],
  ];

/** What is worked with, and limits nothing that a file may have. */
const NO_LIMITS = new Set([
  'own.ts TOKENS_MAX',
  'bind.ts SHAPES_MAX',
  'arrow.ts BODY_BYTES_MAX',
  'parquet.ts RECORDS_MAX',
  'parquet.ts WINDOW_BYTES_MAX',
  'parquet/thrift.ts VARINT_BYTES_MAX',
  'msgpack-parser.ts KEY_BYTES_MAX',
  'msgpack-parser.ts SHAPE_ENTRIES_MAX',
  'json-value.ts DIGITS_MAX',
  'arrow-columns.ts VIEW_INLINE_MAX',
  'csv.ts NULL_WORD_MAX_CHARS',
  'mapping.ts MAX_COLUMNS_SHOWN',
]);

const textOf = (file: string) => readFileSync(join(FOLDER, file), 'utf8');
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
  const files = readdirSync(FOLDER, { recursive: true, encoding: 'utf8' }).filter((path) =>
    path.endsWith('.ts'),
  );
  const known = new Set([...LIMITS.map(([file, name]) => `${file} ${name}`), ...NO_LIMITS]);
  const found = files.flatMap((file) =>
    [...textOf(file).matchAll(DECLARED)].map(([, name]) => `${file} ${name}`),
  );
  expect(found.length).toBeGreaterThan(30);
  expect(found.filter((each) => !known.has(each))).toEqual([]);
});
