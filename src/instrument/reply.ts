/**
 * What providers' answers say of a call, in one form: whole answers, and the messages of streamed ones.
 *
 * One table for all of them: each thing is looked for under the names that the providers have for it, which do not
 * contradict each other. Of what is told several times the last counts, since usage is cumulative wherever it is
 * repeated. Numbers of tokens are passed on as they are: enrichment has their meaning (schema/usage.ts).
 */

import type { ReplyWords } from './words.js';

type Part = Readonly<Record<string, unknown>>;

/** Parts of a message that may hold what is looked for, beside the message itself. */
const WRAPPERS: readonly string[] = ['response', 'message', 'delta'];
const USAGE: readonly string[] = ['usage', 'usageMetadata', 'usage_metadata'];
const MODEL: readonly string[] = ['model', 'modelVersion'];
const ID: readonly string[] = ['id', 'responseId'];
const FINISH: readonly string[] = [
  'finish_reason',
  'stop_reason',
  'finishReason',
  'stopReason',
  'done_reason',
];
/** Where choices are: the reason of the first one is the call's. */
const CHOICES: readonly string[] = ['choices', 'candidates'];
/** Ollama counts beside the answer. */
const OLLAMA_COUNTS: readonly (readonly [name: string, as: string])[] = [
  ['prompt_eval_count', 'input_tokens'],
  ['eval_count', 'output_tokens'],
];
/** Types of messages that are a stream's last. */
const LAST: ReadonlySet<string> = new Set([
  'message_stop',
  'response.completed',
  'response.incomplete',
  'response.failed',
]);

export class Reply {
  model: string | null = null;
  responseId: string | null = null;
  finishReason: string | null = null;
  /** As the provider counts; null where it does not. */
  usage: Record<string, unknown> | null = null;
  /** What the provider says went wrong: its name for that kind of error, never its text. */
  error: string | null = null;
  /** The provider has said that this was all. */
  isComplete = false;
  /** It has said that there would have been more. */
  isCut = false;
  /** What it says, where that is wanted. */
  readonly words: ReplyWords | null;

  constructor(words: ReplyWords | null = null) {
    this.words = words;
  }

  /** Takes a message of a stream, or a whole answer. */
  take(message: unknown): void {
    this.words?.take(message);
    this.#take(message);
  }

  #take(message: unknown): void {
    if (Array.isArray(message)) {
      // Gemini streams an array where it is not asked for events.
      for (const part of message) this.#take(part);
      return;
    }
    if (!isPart(message)) return;
    this.#takePart(message);
    for (const name of WRAPPERS) {
      const part = message[name];
      if (isPart(part)) this.#takePart(part);
    }
    this.#takeEnd(message);
  }

  #takePart(part: Part): void {
    this.model = textIn(part, MODEL) ?? this.model;
    this.responseId = this.responseId ?? textIn(part, ID);
    this.finishReason = textIn(part, FINISH) ?? this.finishReason;
    for (const name of CHOICES) {
      const first: unknown = (part[name] as readonly unknown[] | undefined)?.[0];
      if (isPart(first)) this.finishReason = textIn(first, FINISH) ?? this.finishReason;
    }
    for (const name of USAGE) this.#addUsage(part[name]);
    for (const [name, as] of OLLAMA_COUNTS)
      if (typeof part[name] === 'number') this.#addUsage({ [as]: part[name] });
  }

  #takeEnd(message: Part): void {
    const { type, response, error, done, status } = message;
    if (typeof type === 'string' && LAST.has(type)) this.isComplete = true;
    if (done === true) this.isComplete = true;
    const outcome = isPart(response) ? response : message;
    if (outcome.status === 'incomplete') {
      this.isCut = true;
      this.finishReason ??= isPart(outcome.incomplete_details)
        ? textIn(outcome.incomplete_details, ['reason'])
        : null;
    }
    const failure = error ?? (isPart(response) ? response.error : undefined);
    if (failure !== undefined && failure !== null) {
      this.error = isPart(failure) ? (textIn(failure, ['code', 'type', 'status']) ?? 'error') : 'error';
    } else if (outcome.status === 'failed' || status === 'failed') this.error = 'failed';
  }

  /** Later values count; one that is null takes none away. */
  #addUsage(usage: unknown): void {
    if (!isPart(usage)) return;
    for (const name in usage) {
      const value = usage[name];
      if (value === null || value === undefined) continue;
      this.usage ??= {};
      this.usage[name] = value;
    }
  }
}

function isPart(value: unknown): value is Part {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function textIn(part: Part, names: readonly string[]): string | null {
  for (const name of names) {
    const value = part[name];
    if (typeof value === 'string' && value !== '') return value;
  }
  return null;
}
