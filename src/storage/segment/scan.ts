/**
 * Finding out what a segment holds: an index of its record batches and the values of its dictionaries.
 *
 * A segment is read up to the first place where what follows cannot be told: a message that is not as it was written,
 * or a dictionary that is not, since later batches refer to it. A record batch whose body is broken costs that batch
 * only; its length is in the metadata, which is sound. No length is used before it is known to lie inside the file.
 */
import { crc32 } from 'node:zlib';
import { StorageError } from '../../errors.js';
import {
  type ArrowMessage,
  HEADER_BATCH,
  HEADER_DICTIONARY,
  PREFIX_BYTES,
} from '../../formats/arrow/message.js';
import { type FileSystem, readFully } from '../disk/file-system.js';
import { type BatchEntry, type Damage, isBindingText, type SegmentIdentity } from './format.js';
import {
  dictionaryContentOf,
  identityOf,
  openMessage,
  parsed,
  placeOf,
  textsOf,
  Unsound,
} from './message.js';
import { BINDING_DICTIONARY, DECLARED, STRING_DICTIONARY } from './schema.js';
import { headBytesOf, verifyBody } from './seal.js';

/** Where bodies are skipped, a block need not hold much more than a message's metadata. */
const SKIM_BLOCK_BYTES = 1 << 13;
const STREAM_BLOCK_BYTES = 1 << 20;

const CUT = 'it ends within its first message';
/** Lengths of marker and metadata that no message reaches: of the schema, and of others by their columns. */
const SCHEMA_HEAD_BYTES_MAX = 1 << 26;
const headBytesLimit = (columnCount: number): number => 1024 + 64 * columnCount;

export interface SegmentIndex {
  readonly identity: SegmentIdentity;
  /** Batches whose metadata is sound, and with `verifyBodies` whose body is. */
  readonly entries: BatchEntry[];
  /** Where the last whole, sound message ends. */
  readonly validBytes: number;
  readonly fileBytes: number;
  readonly damage: Damage[];
  /** Whether the segment has its end-of-stream marker. */
  readonly ended: boolean;
  /** Whether it ends in the middle of a message. */
  readonly torn: boolean;
  /** Values of the binding dictionary by the ring's ids. */
  readonly bindings: string[];
  /** Values of the declared columns' dictionary by the ring's ids. */
  readonly strings: string[];
  /** How many values each dictionary has. */
  readonly valueCounts: readonly number[];
}

export interface ScanOptions {
  /** Reads all of the file and compares all checksums; otherwise those of metadata and dictionaries. */
  readonly verifyBodies?: boolean;
  /** What was found before, in a segment that has grown: the scan goes on after its `validBytes`. */
  readonly from?: SegmentIndex;
  /** Takes the file for no longer than this. */
  readonly limitBytes?: number;
}

/**
 * @throws StorageError ERR_SEGMENT_CORRUPT when its first message is invalid, ERR_SEGMENT_VERSION when it is in
 * another version of the format; and what `files` throws
 */
export function scanSegment(files: FileSystem, path: string, options: ScanOptions = {}): SegmentIndex {
  const { verifyBodies = false, from, limitBytes = Number.POSITIVE_INFINITY } = options;
  const fd = files.open(path, 'r');
  try {
    const fileBytes = Math.min(files.stat(fd).bytes, limitBytes);
    const file = new FileWindow(files, fd, fileBytes, verifyBodies ? STREAM_BLOCK_BYTES : SKIM_BLOCK_BYTES);
    const scan = new SegmentScan(file, from ?? beginning(file, path));
    scan.run(verifyBodies);
    return scan.index;
  } finally {
    files.close(fd);
  }
}

/** The index of a segment of which only the schema has been read. @throws StorageError */
function beginning(file: FileWindow, path: string): SegmentIndex {
  try {
    const schema = messageAt(file, 0, SCHEMA_HEAD_BYTES_MAX);
    if (schema === 'cut' || schema === 'end') throw new Unsound(CUT);
    return {
      identity: identityOf(path, schema.message),
      entries: [],
      validBytes: schema.head.length,
      fileBytes: file.bytes,
      damage: [],
      ended: false,
      torn: false,
      bindings: [],
      strings: [],
      valueCounts: [],
    };
  } catch (error) {
    if (!(error instanceof Unsound)) throw error;
    throw new StorageError(
      'ERR_SEGMENT_CORRUPT',
      `${path} is no segment that can be read: ${error.message}`,
      { path, offset: 0, reason: error.message, isCut: error.message === CUT },
      { cause: error },
    );
  }
}

class SegmentScan {
  readonly #file: FileWindow;
  readonly #identity: SegmentIdentity;
  readonly #headBytesMax: number;
  readonly #entries: BatchEntry[];
  readonly #damage: Damage[];
  readonly #bindings: string[];
  readonly #strings: string[];
  readonly #valueCounts: number[];
  #position: number;
  #ended: boolean;
  #torn = false;

  constructor(file: FileWindow, from: SegmentIndex) {
    this.#file = file;
    this.#identity = from.identity;
    this.#headBytesMax = headBytesLimit(DECLARED + from.identity.columns.length);
    this.#entries = [...from.entries];
    // What ended the last scan is looked at again.
    this.#damage = from.damage.filter(({ bytes }) => bytes !== null);
    this.#bindings = [...from.bindings];
    this.#strings = [...from.strings];
    this.#valueCounts = [...from.valueCounts];
    this.#position = from.validBytes;
    this.#ended = from.ended;
  }

  get index(): SegmentIndex {
    return {
      identity: this.#identity,
      entries: this.#entries,
      validBytes: this.#position,
      fileBytes: this.#file.bytes,
      damage: this.#damage,
      ended: this.#ended,
      torn: this.#torn,
      bindings: this.#bindings,
      strings: this.#strings,
      valueCounts: this.#valueCounts,
    };
  }

  run(verifyBodies: boolean): void {
    const file = this.#file;
    try {
      while (!this.#ended && !this.#torn && this.#position < file.bytes) this.#next(verifyBodies);
      if (this.#ended && this.#position < file.bytes) throw new Unsound('something follows the end');
    } catch (error) {
      if (!(error instanceof Unsound)) throw error;
      this.#damage.push({ offset: this.#position, bytes: null, reason: error.message });
    }
  }

  #next(verifyBodies: boolean): void {
    const found = messageAt(this.#file, this.#position, this.#headBytesMax);
    if (found === 'cut') {
      this.#torn = true;
    } else if (found === 'end') {
      this.#position += PREFIX_BYTES;
      this.#ended = true;
    } else {
      const bytes = found.head.length + found.message.bodyBytes;
      const { headerType } = found.message;
      if (headerType === HEADER_BATCH) this.#batch(found, bytes, verifyBodies);
      else if (headerType === HEADER_DICTIONARY) this.#dictionary(found);
      else throw new Unsound('a message is neither record batch nor dictionary');
      this.#position += bytes;
    }
  }

  #batch({ head, message }: FoundMessage, bytes: number, verifyBodies: boolean): void {
    const offset = this.#position;
    const entry = { ...placeOf(head), offset, bytes };
    if (verifyBodies) {
      // The head lies in the window, which moves.
      const seal = Buffer.from(head);
      const crc = this.#file.checksum(offset + head.length, message.bodyBytes);
      try {
        parsed(() => verifyBody(seal, crc));
      } catch (error) {
        if (!(error instanceof Unsound)) throw error;
        this.#damage.push({ offset, bytes, reason: error.message });
        return;
      }
    }
    this.#entries.push(entry);
  }

  #dictionary({ head, message }: FoundMessage): void {
    const content = dictionaryContentOf(head, message, this.#valueCounts);
    const seal = Buffer.from(head);
    const body = this.#file.view(this.#position + head.length, message.bodyBytes);
    if (body === undefined) throw new Unsound('the file became shorter while it was read');
    parsed(() => verifyBody(seal, crc32(body)));
    const { dictionary, rows, isDelta } = content;
    const from = isDelta ? (this.#valueCounts[dictionary] ?? 0) : 0;
    if (dictionary === BINDING_DICTIONARY) setFrom(this.#bindings, from, bindingsOf(textsOf(content, body)));
    if (dictionary === STRING_DICTIONARY) setFrom(this.#strings, from, textsOf(content, body));
    this.#valueCounts[dictionary] = from + rows;
  }
}

/** @throws Unsound unless all of them are bindings */
function bindingsOf(texts: string[]): string[] {
  if (!texts.every(isBindingText)) throw new Unsound('a binding names no event');
  return texts;
}

function setFrom(texts: string[], from: number, more: readonly string[]): void {
  for (let i = 0; i < more.length; i++) texts[from + i] = more[i];
}

interface FoundMessage {
  /** Marker, length and metadata; a view that holds until the window is used again. */
  readonly head: Buffer;
  readonly message: ArrowMessage;
}

/** The message at `offset`: 'end' for the end-of-stream marker, 'cut' when the file ends within it. @throws Unsound */
function messageAt(file: FileWindow, offset: number, headBytesMax: number): FoundMessage | 'end' | 'cut' {
  const prefix = file.view(offset, PREFIX_BYTES);
  if (prefix === undefined) return 'cut';
  const headBytes = parsed(() => headBytesOf(prefix));
  // Such a length is damage, and no sign that the file ends too early.
  if (headBytes > headBytesMax) throw new Unsound('a message has longer metadata than any');
  if (headBytes === PREFIX_BYTES) return 'end';
  const head = file.view(offset, headBytes);
  if (head === undefined) return 'cut';
  const message = openMessage(head);
  return offset + headBytes + message.bodyBytes > file.bytes ? 'cut' : { head, message };
}

/** A file, of which a block is in memory. */
class FileWindow {
  readonly bytes: number;
  readonly #files: FileSystem;
  readonly #fd: number;
  readonly #blockBytes: number;
  #block: Buffer;
  #start = 0;
  #filled = 0;

  constructor(files: FileSystem, fd: number, bytes: number, blockBytes: number) {
    this.bytes = bytes;
    this.#files = files;
    this.#fd = fd;
    this.#blockBytes = blockBytes;
    this.#block = Buffer.allocUnsafe(Math.min(blockBytes, bytes));
  }

  /** `bytes` at `offset`, a view that holds until the next call; undefined when the file ends before. */
  view(offset: number, bytes: number): Buffer | undefined {
    if (offset + bytes > this.bytes) return undefined;
    if (offset < this.#start || offset + bytes > this.#start + this.#filled) this.#load(offset, bytes);
    const at = offset - this.#start;
    return at + bytes <= this.#filled ? this.#block.subarray(at, at + bytes) : undefined;
  }

  /** CRC-32 of `bytes` at `offset`, read block by block. */
  checksum(offset: number, bytes: number): number {
    let crc = 0;
    while (bytes > 0) {
      if (offset < this.#start || offset >= this.#start + this.#filled) this.#load(offset, 1);
      const at = offset - this.#start;
      const part = this.#block.subarray(at, Math.min(at + bytes, this.#filled));
      if (part.length === 0) break;
      crc = crc32(part, crc);
      offset += part.length;
      bytes -= part.length;
    }
    return crc;
  }

  #load(offset: number, bytes: number): void {
    if (bytes > this.#block.length) this.#block = Buffer.allocUnsafe(bytes);
    const wanted = Math.min(Math.max(bytes, this.#blockBytes), this.bytes - offset);
    this.#start = offset;
    this.#filled = readFully(this.#files, this.#fd, this.#block.subarray(0, wanted), offset);
  }
}
