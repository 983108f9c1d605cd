import { describe, expect, it } from 'vitest';
import { ABILITIES, FORMATS, formatNamedBy } from '../../src/cli/formats.js';

describe('formatNamedBy', () => {
  it.each<[path: string, named: object]>([
    ...FORMATS.map((format): [string, object] => [`a.${format}`, { format }]),
    ['data.v2/RUN.CSV', { format: 'csv' }],
    ['a.ndjson', { format: 'jsonl' }],
    ['a.feather', { format: 'arrow', layout: 'file' }],
    ['a.arrows', { format: 'arrow', layout: 'stream' }],
    ['a.csv.gz', { format: 'csv', compression: 'gzip' }],
    ['a.b.jsonl.zst', { format: 'jsonl', compression: 'zstd' }],
    ['a.msgpack.gz', { format: 'msgpack', compression: 'gzip' }],
  ])('reads %s', (path, named) => expect(formatNamedBy(path)).toEqual(named));

  it.each(['a', 'csv', 'a.txt', 'a.csv/b', 'a.gz', 'a.xlsx.gz', 'a.parquet.gz', 'a.arrow.zst', '', '-'])(
    'does not guess at %j',
    (path) => expect(formatNamedBy(path)).toBeNull(),
  );
});

it('says of every format what it can be asked for', () =>
  expect(Object.keys(ABILITIES)).toEqual([...FORMATS]));
