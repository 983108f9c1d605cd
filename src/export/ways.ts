/** How a file is written: what its name says of that, and what the options say. Where both speak, they agree. */
import { extname } from 'node:path';
import { ConfigError } from '../errors.js';
import type { EncodeOptions } from './encoder.js';

type Ways = Pick<EncodeOptions, 'compression' | 'layout'>;

interface NamedWays extends Ways {
  readonly format: string;
}

const BY_EXTENSION: ReadonlyMap<string, NamedWays> = new Map<string, NamedWays>([
  ...['csv', 'jsonl', 'msgpack', 'parquet', 'arrow'].map((format) => [`.${format}`, { format }] as const),
  ['.ndjson', { format: 'jsonl' }],
  ['.feather', { format: 'arrow', layout: 'file' }],
  ['.arrows', { format: 'arrow', layout: 'stream' }],
]);
const SUFFIXES: ReadonlyMap<string, 'gzip' | 'zstd'> = new Map([
  ['.gz', 'gzip'],
  ['.zst', 'zstd'],
]);
/** Of formats that have several. */
const LAYOUTS: ReadonlyMap<string, readonly string[]> = new Map([
  ['msgpack', ['rows', 'columns']],
  ['arrow', ['file', 'stream']],
]);
/** Their readers begin at the end of the file, which so cannot be compressed as a whole. */
const READ_FROM_THE_END: readonly string[] = ['parquet', 'arrow'];

/**
 * The options with what the path says besides: of `x.csv.gz` that it is compressed by gzip. A path with another ending
 * says nothing.
 * @throws ConfigError for a layout that the format has not, and a path that says something else than the options
 */
export function waysOf<Options extends Ways & { path?: string | undefined }>(
  format: string,
  options: Options,
): Options {
  const { layout, path } = options;
  const layouts = LAYOUTS.get(format) ?? [];
  if (layout !== undefined && !layouts.includes(layout)) {
    const known = layouts.map((name) => `'${name}'`).join(' or ');
    throw new ConfigError('layout', layouts.length === 0 ? `none for ${format}` : known, layout);
  }
  if (typeof path !== 'string') return options;
  const { named, compression } = saidBy(path.toLowerCase());
  if (named !== undefined && named.format !== format) {
    throw new ConfigError('path', `a name for ${format}, or one without an ending of another format`, path);
  }
  if (compression !== undefined && READ_FROM_THE_END.includes(format)) {
    throw new ConfigError(
      'path',
      `a name without ${extname(path)}: ${format} files are not compressed as a whole`,
      path,
    );
  }
  const said = { layout: named?.layout, compression };
  for (const option of ['layout', 'compression'] as const) {
    const [given, meant] = [options[option], said[option]];
    if (given !== undefined && meant !== undefined && given !== meant) {
      throw new ConfigError(option, `'${meant}', as the name of ${path} says`, given);
    }
  }
  return {
    ...options,
    ...(said.layout !== undefined && { layout: said.layout }),
    ...(compression !== undefined && { compression }),
  };
}

function saidBy(path: string): { named: NamedWays | undefined; compression: 'gzip' | 'zstd' | undefined } {
  const last = extname(path);
  const compression = SUFFIXES.get(last);
  if (compression === undefined) return { named: BY_EXTENSION.get(last), compression };
  const named = BY_EXTENSION.get(extname(path.slice(0, -last.length)));
  // Of x.gz nobody knows what it is.
  return named === undefined ? { named, compression: undefined } : { named, compression };
}
