/**
 * Bodies of answers as their bytes pass by: JSON, server-sent events, JSON lines, and AWS's event stream.
 *
 * Nothing is held back from whoever reads. Of a stream only the line that is not complete yet is kept, and only lines
 * are parsed that may say something of the call; a whole answer is parsed when it has ended.
 */
import type { Reply } from './reply.js';

/** Reads a body for a reply. */
export interface BodyReader {
  /** Bytes are the caller's, and not kept. */
  take(bytes: Uint8Array): void;
  /** There are no more. */
  end(): void;
}

/** What is longer is not looked into: it passes, and the call has no usage. */
const BYTES_MAX = 2 ** 24;

/** @param contentType - of the answer's headers */
export function bodyReader(contentType: string | null, reply: Reply): BodyReader {
  // Amazon writes it in one word.
  if (contentType?.includes('amazon.eventstream')) return new AwsEvents(reply);
  if (contentType?.includes('event-stream')) return new Lines(reply, true);
  if (contentType?.includes('ndjson') || contentType?.includes('jsonl')) return new Lines(reply, false);
  return new Whole(reply);
}

/** Whether an answer of this type comes in pieces. */
export function isStreamType(contentType: string | null): boolean {
  return contentType !== null && /event-?stream|ndjson|jsonl/.test(contentType);
}

/** Bytes that are kept until they are complete. */
class Kept {
  #parts: Buffer[] = [];
  bytes = 0;

  add(bytes: Uint8Array): void {
    this.bytes += bytes.byteLength;
    // A copy: the buffer of whoever reads may be used again.
    if (this.bytes <= BYTES_MAX) this.#parts.push(Buffer.from(bytes));
    else this.#parts = [];
  }

  /** All of them, or null where they were too many. None are kept any more. */
  take(): Buffer | null {
    const whole =
      this.bytes > BYTES_MAX ? null : this.#parts.length === 1 ? this.#parts[0] : Buffer.concat(this.#parts);
    this.#parts = [];
    this.bytes = 0;
    return whole;
  }
}

class Whole implements BodyReader {
  readonly #reply: Reply;
  readonly #kept = new Kept();

  constructor(reply: Reply) {
    this.#reply = reply;
  }

  take(bytes: Uint8Array): void {
    this.#kept.add(bytes);
  }

  end(): void {
    const text = this.#kept.take();
    if (text !== null && text.length > 0) this.#reply.take(parsed(text.toString('utf8')));
    this.#reply.isComplete = true;
  }
}

const NEWLINE = 0x0a;
const DATA = 'data:';
const DONE = '[DONE]';
/** What a line has that says more than the next piece of text. A quote inside a text is escaped, and no match. */
const TELLING =
  /"(?:usage|usageMetadata|usage_metadata|error)"\s*:\s*\{|"(?:finish_reason|stop_reason|finishReason)"\s*:\s*"|"done"\s*:\s*true|"type"\s*:\s*"(?:message_st|response\.(?:created|completed|incomplete|failed)|error)/;

/** What a piece has that is more than text: a line that tells something, or the mark of the end. */
const NOT_QUIET = new RegExp(`${TELLING.source}|\\[DONE\\]`);

/** Lines of JSON, or events of which each `data:` line has one. */
class Lines implements BodyReader {
  readonly #reply: Reply;
  readonly #isEvents: boolean;
  readonly #rest = new Kept();
  /** Text is of interest, too. */
  readonly #wantsAll: boolean;
  #isFirst = true;

  constructor(reply: Reply, isEvents: boolean) {
    this.#reply = reply;
    this.#wantsAll = reply.words !== null;
    this.#isEvents = isEvents;
  }

  take(bytes: Uint8Array): void {
    const chunk = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    if (this.#isQuiet(chunk)) return;
    let start = 0;
    for (let at = chunk.indexOf(NEWLINE); at >= 0; at = chunk.indexOf(NEWLINE, start)) {
      if (this.#rest.bytes > 0) {
        this.#rest.add(chunk.subarray(start, at));
        const line = this.#rest.take();
        if (line !== null) this.#line(line.toString('utf8'));
      } else this.#line(chunk.toString('utf8', start, at));
      start = at + 1;
    }
    if (start < chunk.length) this.#rest.add(chunk.subarray(start));
  }

  /** Whole lines of which none is of interest, as most pieces are: a look at their bytes will do. */
  #isQuiet(chunk: Buffer): boolean {
    if (this.#isFirst || this.#wantsAll || this.#rest.bytes > 0 || chunk[chunk.length - 1] !== NEWLINE)
      return false;
    // What is looked for has no other letters than those of ASCII.
    return !NOT_QUIET.test(chunk.toString('latin1'));
  }

  end(): void {
    const line = this.#rest.bytes > 0 ? this.#rest.take() : null;
    if (line !== null) this.#line(line.toString('utf8'));
  }

  #line(line: string): void {
    let text = line;
    if (this.#isEvents) {
      if (!line.startsWith(DATA)) return;
      text = line.slice(DATA.length).trim();
      if (text === DONE) {
        this.#reply.isComplete = true;
        return;
      }
    }
    if (!this.#isFirst && !this.#wantsAll && !TELLING.test(text)) return;
    if (text === '' || text === '\r') return;
    this.#isFirst = false;
    this.#reply.take(parsed(text));
  }
}

const PRELUDE_BYTES = 12;
const CRC_BYTES = 4;

/** Frames of AWS: their length, that of their headers, a checksum, headers, JSON, a checksum. */
class AwsEvents implements BodyReader {
  readonly #reply: Reply;
  #rest: Buffer = Buffer.alloc(0);

  constructor(reply: Reply) {
    this.#reply = reply;
  }

  take(bytes: Uint8Array): void {
    let rest = Buffer.concat([this.#rest, bytes]);
    while (rest.length >= PRELUDE_BYTES) {
      const frameBytes = rest.readUInt32BE(0);
      const headerBytes = rest.readUInt32BE(4);
      const from = PRELUDE_BYTES + headerBytes;
      if (frameBytes > BYTES_MAX || from + CRC_BYTES > frameBytes) {
        rest = Buffer.alloc(0);
        break;
      }
      if (rest.length < frameBytes) break;
      this.#frame(parsed(rest.toString('utf8', from, frameBytes - CRC_BYTES)));
      rest = rest.subarray(frameBytes);
    }
    this.#rest = Buffer.from(rest);
  }

  end(): void {}

  #frame(payload: unknown): void {
    // InvokeModel wraps what the model's own API streams; Converse has messages of its own.
    const { bytes } = (payload ?? {}) as { readonly bytes?: unknown };
    const message =
      typeof bytes === 'string' ? parsed(Buffer.from(bytes, 'base64').toString('utf8')) : payload;
    this.#reply.take(message);
    // The last message of a conversation has its usage.
    if (typeof message === 'object' && message !== null && 'usage' in message) this.#reply.isComplete = true;
  }
}

/** What a text of JSON says; null where it is none, or too long. */
export function parsed(text: string): unknown {
  if (text.length > BYTES_MAX) return null;
  try {
    return JSON.parse(text) as unknown;
  } catch {
    return null;
  }
}
