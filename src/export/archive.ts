/**
 * Archives as JSON Lines: first `{"type":"experiment_metadata","data":…}`, then `{"type":"event","data":…}` for each
 * event, whose data are the event as `query` returns it.
 */
import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { StorageError } from '../errors.js';
import { jsonText } from '../formats/text.js';
import type { Modes } from '../make-folder.js';
import type { EventRow, Json } from '../schema/event.js';
import { newStaging } from '../staging.js';
import type { EventSource } from './encoder.js';
import { type StagedFile, stageFile, type WrittenFile } from './file.js';
import { type ExportTarget, publish } from './target.js';

/** Text gathered before it is handed on, in UTF-16 code units. */
const CHUNK_CHARS = 64 * 1024;
const LINE_FEED = 0x0a;

/** What a sequence of events comes to; equal for equal events, in the same order. */
class EventDigest {
  rows = 0;
  readonly #hash = createHash('sha256');

  /** @returns the event as JSON */
  add(event: EventRow): string {
    return this.addText(jsonText(event as unknown as Json));
  }

  addText(text: string): string {
    this.rows++;
    this.#hash.update(text).update('\n');
    return text;
  }

  /** Lower-case hex. Nothing can be added after that. */
  get value(): string {
    return this.#hash.copy().digest('hex');
  }
}

export interface ArchivedFile extends WrittenFile {
  /** Absolute. */
  path: string;
  rows: number;
}

/**
 * Writes an archive, reads it again and compares it with what was to be written; only then it gets its name. Memory is
 * bounded, whatever the number of events.
 * @throws StorageError ERR_STORAGE_FULL, ERR_STORAGE_IO, and the signal's reason; nothing is left of the file then
 */
export async function archiveJsonl(
  target: ExportTarget,
  metadata: Json,
  source: EventSource,
  modes: Modes,
  signal?: AbortSignal,
): Promise<ArchivedFile> {
  const digest = new EventDigest();
  const head = `{"type":"experiment_metadata","data":${jsonText(metadata)}}`;
  const staged = await stageFile(target.path, lines(head, source, digest, signal), newStaging(), modes);
  try {
    await verify(target.path, staged.temporaryPath, staged, head, digest, signal);
    const { path } = await publish(staged, target, null);
    return { path, rows: digest.rows, bytes: staged.bytes, sha256: staged.sha256 };
  } finally {
    await staged.discard();
  }
}

async function* lines(
  head: string,
  source: EventSource,
  digest: EventDigest,
  signal: AbortSignal | undefined,
): AsyncGenerator<string> {
  let text = `${head}\n`;
  for await (const event of source()) {
    text += `{"type":"event","data":${digest.add(event)}}\n`;
    if (text.length < CHUNK_CHARS) continue;
    signal?.throwIfAborted();
    yield text;
    text = '';
  }
  yield text;
}

/** @throws StorageError ERR_STORAGE_IO unless the file holds what was written, and that means what was to be written */
async function verify(
  path: string,
  temporaryPath: string,
  written: WrittenFile,
  head: string,
  digest: EventDigest,
  signal: AbortSignal | undefined,
): Promise<void> {
  const hash = createHash('sha256');
  const read = new EventDigest();
  let isFirst = true;
  const onChunk = (chunk: Buffer) => {
    signal?.throwIfAborted();
    hash.update(chunk);
  };
  try {
    for await (const line of linesOf(temporaryPath, onChunk)) {
      const { type, data } = JSON.parse(line) as { type: string; data: EventRow };
      const isExpected = isFirst ? line === head : type === 'event';
      if (!isExpected) throw archiveDiffers(path, 'a line is none of an archive');
      if (!isFirst) read.add(data);
      isFirst = false;
    }
  } catch (cause) {
    signal?.throwIfAborted();
    throw cause instanceof StorageError ? cause : archiveDiffers(path, 'it cannot be read again', cause);
  }
  if (hash.digest('hex') !== written.sha256) throw archiveDiffers(path, 'it has other bytes');
  if (read.value !== digest.value) throw archiveDiffers(path, 'it holds other events');
}

/**
 * Reads a staged file again.
 * @param path - where it is to be
 * @throws StorageError ERR_STORAGE_IO unless it holds what was written
 */
export async function compareBytes(path: string, { temporaryPath, sha256 }: StagedFile): Promise<void> {
  const hash = createHash('sha256');
  try {
    for await (const chunk of createReadStream(temporaryPath) as AsyncIterable<Buffer>) hash.update(chunk);
  } catch (cause) {
    throw archiveDiffers(path, 'it cannot be read again', cause);
  }
  if (hash.digest('hex') !== sha256) throw archiveDiffers(path, 'it has other bytes');
}

/** Lines without their line feed; one is in memory at a time. */
async function* linesOf(path: string, onChunk: (chunk: Buffer) => void): AsyncGenerator<string> {
  let rest: Buffer[] = [];
  for await (const chunk of createReadStream(path) as AsyncIterable<Buffer>) {
    onChunk(chunk);
    let start = 0;
    for (let end = chunk.indexOf(LINE_FEED); end >= 0; end = chunk.indexOf(LINE_FEED, start)) {
      rest.push(chunk.subarray(start, end));
      yield Buffer.concat(rest).toString('utf8');
      rest = [];
      start = end + 1;
    }
    if (start < chunk.length) rest.push(chunk.subarray(start));
  }
  if (rest.length > 0) yield Buffer.concat(rest).toString('utf8');
}

/** What was read is not what was written. */
function archiveDiffers(path: string, reason: string, cause?: unknown): StorageError {
  return new StorageError(
    'ERR_STORAGE_IO',
    `the archive ${path} is not what was written: ${reason}`,
    { path, reason },
    { cause },
  );
}
