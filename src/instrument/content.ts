/**
 * What is said in calls of models, where somebody has asked for it to be stored: `prompt`, `response` and `toolCalls` of
 * their ends, `arguments` and `result` of those of tools.
 */
import { checkOptions, type OptionNames } from '../check-options.js';
import { ConfigError } from '../errors.js';
import { guarded } from './guard.js';
import { messagesOf, ReplyWords } from './words.js';

export interface ContentOptions {
  /**
   * Is given each text before it is stored, and returns what is stored in its place; null for nothing. Where it throws, or
   * returns something else, nothing of that call's content is stored, which is warned of once.
   */
  readonly redact?: ((text: string, about: ContentSubject) => string | null) | undefined;
  /** Bytes in UTF-8 of a prompt, and of an answer; what is beyond is left out, of prompts the beginning. Default: 65,536. */
  readonly maxBytes?: number | undefined;
}

/** What a text is of. */
export interface ContentSubject {
  readonly part: 'prompt' | 'response' | 'toolCalls' | 'arguments' | 'result';
  readonly model: string | null;
  readonly provider: string | null;
  /** Of a call of a tool. */
  readonly tool: string | null;
}

type About = Omit<ContentSubject, 'part'>;

const MAX_BYTES = 65_536;
/** Characters of an answer that are kept beyond, so that what is redacted is not cut in two before. */
const MARGIN = 4096;
const OPTIONS: OptionNames<ContentOptions> = { redact: true, maxBytes: true };

/**
 * @param option - true: with the defaults; false or undefined: nothing is stored, and this is null
 * @throws ConfigError for an invalid one
 */
export function contentOf(option: boolean | ContentOptions | undefined): Content | null {
  if (option === undefined || option === false) return null;
  if (option === true) return new Content(undefined, MAX_BYTES);
  checkOptions(option, OPTIONS, 'content');
  const { redact, maxBytes = MAX_BYTES } = option;
  if (redact !== undefined && typeof redact !== 'function') {
    throw new ConfigError('content.redact', 'a function', redact);
  }
  if (!(Number.isInteger(maxBytes) && maxBytes > 0)) {
    throw new ConfigError('content.maxBytes', 'a whole number of bytes above 0', maxBytes);
  }
  return new Content(redact, maxBytes);
}

export class Content {
  readonly #redact: ContentOptions['redact'];
  readonly #maxBytes: number;

  constructor(redact: ContentOptions['redact'], maxBytes: number) {
    this.#redact = redact;
    this.#maxBytes = maxBytes;
  }

  newReply(): ReplyWords {
    return new ReplyWords(this.#maxBytes + MARGIN);
  }

  /**
   * Adds what was said to the metadata of a call's end.
   * @param prompt - the request's body, or its messages
   */
  tell(metadata: object, about: About, prompt: unknown, reply: ReplyWords | null): void {
    this.#add(metadata, () => ({ ...this.#prompt(prompt, about), ...this.#reply(reply, about) }));
  }

  /** The same for the call of a tool. */
  tellTool(metadata: object, tool: string | null, given: unknown, result: unknown): void {
    const about = { model: null, provider: null, tool };
    this.#add(metadata, () => {
      const parts = [
        ['arguments', given],
        ['result', result],
      ] as const;
      const told: Record<string, unknown> = {};
      for (const [part, value] of parts) {
        if (value === undefined) continue;
        const text = typeof value === 'string' ? value : JSON.stringify(value);
        const kept = this.#kept(this.#redacted(text, { ...about, part }), this.#maxBytes);
        told[part] = kept.text;
        if (kept.isCut) told.contentCut = true;
      }
      return told;
    });
  }

  #add(metadata: object, told: () => object): void {
    guarded(() => Object.assign(metadata, told()), undefined, 'the content of a call was not stored');
  }

  /** The last messages, as far as there is room. */
  #prompt(prompt: unknown, about: About): object {
    if (prompt === null || prompt === undefined) return {};
    const messages = messagesOf(prompt);
    if (messages.length === 0) return {};
    const told: { role: string; content: string | null }[] = [];
    let room = this.#maxBytes;
    for (const { role, content } of messages.reverse()) {
      if (room <= 0) return { prompt: told, contentCut: true };
      const { text, bytes, isCut } = this.#kept(this.#redacted(content, { ...about, part: 'prompt' }), room);
      told.unshift({ role, content: text });
      room -= isCut ? room : bytes;
      if (isCut) return { prompt: told, contentCut: true };
    }
    return { prompt: told };
  }

  #reply(reply: ReplyWords | null, about: About): object {
    if (reply === null) return {};
    const told: Record<string, unknown> = {};
    const response = this.#kept(this.#redacted(reply.text, { ...about, part: 'response' }), this.#maxBytes);
    if (reply.text !== '') told.response = response.text;
    if (reply.toolCalls.length > 0) {
      told.toolCalls = reply.toolCalls.map((call) => ({
        name: call.name,
        arguments: this.#redacted(call.arguments, { ...about, part: 'toolCalls' }),
      }));
    }
    if (reply.isCut || response.isCut) told.contentCut = true;
    return told;
  }

  #redacted(text: string, subject: ContentSubject): string | null {
    if (this.#redact === undefined) return text;
    const redacted: unknown = this.#redact(text, subject);
    if (redacted === null || typeof redacted === 'string') return redacted;
    throw new TypeError(`redact returned ${typeof redacted}, and is to return a text or null`);
  }

  #kept(text: string | null, maxBytes: number) {
    const bytes = text === null ? 0 : Buffer.byteLength(text);
    if (text === null || bytes <= maxBytes) return { text, bytes, isCut: false };
    // At the end of a character: what is left of a broken one is a mark of its own.
    const cut = Buffer.from(text)
      .toString('utf8', 0, maxBytes)
      .replace(/\uFFFD+$/, '');
    return { text: cut, bytes: maxBytes, isCut: true };
  }
}
