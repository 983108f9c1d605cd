/** Exports through the page: the same bytes as an export stream, as fast as they are taken. */
import type { ServerResponse } from 'node:http';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { ConfigError, NotFoundError } from '../errors.js';
import { exportedChunks } from '../workers/tasks.js';
import { filterOf } from './api.js';
import type { Shelf } from './shelf.js';
import { openSubject, rowsNow } from './subject.js';

const TYPES: Readonly<Record<string, string>> = {
  csv: 'text/csv; charset=utf-8',
  jsonl: 'application/x-ndjson',
  msgpack: 'application/vnd.msgpack',
  parquet: 'application/vnd.apache.parquet',
  arrow: 'application/vnd.apache.arrow.file',
};

/** @throws NotFoundError, ConfigError for a format that there is none of, before anything is sent */
export async function streamExport(
  shelf: Shelf,
  id: string,
  query: URLSearchParams,
  response: ServerResponse,
): Promise<void> {
  const found = shelf.get(id);
  if (found === null) throw new NotFoundError('experiment', id);
  const format = query.get('format') ?? 'csv';
  const type = Object.hasOwn(TYPES, format) ? TYPES[format] : undefined;
  if (type === undefined) throw new ConfigError('format', Object.keys(TYPES).join(', '), format);
  const filter = filterOf(query);
  const subject = openSubject(found.descriptor, found.access);
  const ended = new AbortController();
  response.once('close', () => ended.abort());
  try {
    const rows = rowsNow(subject, filter);
    const task = { kind: 'export', format, options: {} } as const;
    const chunks = exportedChunks([rows], task, ended.signal);
    response.writeHead(200, {
      'Content-Type': type,
      'Cache-Control': 'no-store',
      // Of the id alone: a name may hold anything.
      'Content-Disposition': `attachment; filename="${id.replaceAll(/[^\w.-]/g, '_')}.${format}"`,
    });
    await pipeline(Readable.from(chunks), response);
  } catch (error) {
    // The reader has gone, or sees that the file is not whole by its end.
    if (!ended.signal.aborted) throw error;
  } finally {
    subject.close();
  }
}
