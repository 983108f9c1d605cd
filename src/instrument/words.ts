/**
 * What is said in calls of models: the messages of a request and the text of an answer, whole or in pieces, in one form
 * whatever the provider calls its parts.
 */

type Part = Readonly<Record<string, unknown>>;

export interface Message {
  readonly role: string;
  /** Texts of its parts, a line each; of a part that is none its kind: `[image_url]`. */
  readonly content: string;
}

export interface ToolRequest {
  readonly name: string;
  /** As the model wrote them, mostly JSON. */
  readonly arguments: string;
}

// ── Requests ───────────────────────────────────────────────────────────────────────────────────────

/** Where providers have instructions, and where they have what is said; an item may be a text, a part or a message. */
const INSTRUCTIONS: readonly string[] = ['system', 'instructions', 'systemInstruction', 'system_instruction'];
const MESSAGES: readonly string[] = [
  ...['messages', 'contents', 'input', 'prompt', 'content', 'inputText', 'inputs', 'texts', 'requests'],
];

/** @param request - a body of JSON as text, or what it says */
export function messagesOf(request: unknown): Message[] {
  const body: unknown = typeof request === 'string' ? JSON.parse(request) : request;
  if (Array.isArray(body)) return messagesIn(body, 'user');
  if (!isPart(body)) return [];
  return [
    ...INSTRUCTIONS.flatMap((name) => messagesIn(body[name], 'system')),
    ...MESSAGES.flatMap((name) => messagesIn(body[name], 'user')),
  ];
}

function messagesIn(said: unknown, otherwise: string): Message[] {
  if (said === undefined || said === null) return [];
  if (!Array.isArray(said)) return [messageOf(said, otherwise)];
  const items: readonly unknown[] = said;
  // Tokens that stand for a text.
  if (items.every((item) => typeof item === 'number')) return [];
  // Parts of one message have no role each.
  const isOne = otherwise === 'system' || !items.some((item) => isPart(item) && 'role' in item);
  return isOne && items.every(isPart)
    ? [messageOf(items, otherwise)]
    : items.map((item) => messageOf(item, otherwise));
}

function messageOf(said: unknown, otherwise: string): Message {
  const role = isPart(said) && typeof said.role === 'string' ? said.role : otherwise;
  const calls = isPart(said) && Array.isArray(said.tool_calls) ? textOf(said.tool_calls) : '';
  const content = isPart(said) && calls !== '' ? textOf(said.content) : textOf(said);
  return { role, content: [content, calls].filter((text) => text !== '').join('\n') };
}

/** Names under which a part has its text, or further parts. */
const TEXTS: readonly string[] = ['text', 'content', 'parts', 'refusal', 'output', 'result', 'response'];

function textOf(said: unknown): string {
  if (typeof said === 'string') return said;
  if (said === undefined || said === null) return '';
  if (Array.isArray(said)) {
    return said
      .map(textOf)
      .filter((text) => text !== '')
      .join('\n');
  }
  if (!isPart(said)) return String(said);
  const call = toolIn(said);
  if (call !== null) return `${call.name}(${call.arguments})`;
  for (const name of TEXTS) if (said[name] !== undefined) return textOf(said[name]);
  if (isPart(said.functionResponse)) return JSON.stringify(said.functionResponse.response);
  if (isPart(said.toolResult)) return textOf(said.toolResult);
  if (said.json !== undefined) return JSON.stringify(said.json);
  const kind = typeof said.type === 'string' ? said.type : Object.keys(said).find((key) => key !== 'role');
  return kind === undefined ? '' : `[${kind}]`;
}

// ── Answers ────────────────────────────────────────────────────────────────────────────────────────

/** Text of an answer as it comes. */
export class ReplyWords {
  readonly toolCalls: ToolRequest[] = [];
  isCut = false;
  readonly #charactersMax: number;
  #characters = 0;
  #texts: string[] = [];

  /** @param charactersMax - what is beyond is not kept */
  constructor(charactersMax: number) {
    this.#charactersMax = charactersMax;
  }

  get text(): string {
    return this.#texts.join('');
  }

  get isEmpty(): boolean {
    return this.#characters === 0;
  }

  /** Takes a message of a stream, or a whole answer. */
  take(message: unknown): void {
    if (Array.isArray(message)) {
      for (const part of message) this.take(part);
      return;
    }
    if (!isPart(message)) return;
    const { type } = message;
    if (typeof type === 'string' && type.startsWith('response.')) this.#takeEvent(type, message);
    else if (isPart(message.delta) || isPart(message.start) || isPart(message.content_block)) {
      this.#takeBlock(message);
    } else if (type !== 'message_start') this.#takeAnswer(message);
  }

  /** Of OpenAI's responses, whose last event has all of it. */
  #takeEvent(type: string, { delta, response }: Part): void {
    if (type === 'response.output_text.delta' || type === 'response.refusal.delta') this.#add(delta);
    else if (isPart(response) && Array.isArray(response.output) && response.output.length > 0) {
      this.#characters = 0;
      this.#texts = [];
      this.toolCalls.length = 0;
      this.#addParts(response.output);
    }
  }

  /** Of a stream by blocks: Anthropic's, Bedrock's, Cohere's. */
  #takeBlock({ delta, start, content_block }: Part): void {
    const begun = content_block ?? start;
    if (isPart(begun)) {
      const { name } = isPart(begun.toolUse) ? begun.toolUse : begun;
      // What it is called with follows.
      if (typeof name === 'string') this.#addTool({ name, arguments: '' });
      else this.#add(begun.text);
    }
    if (!isPart(delta)) return;
    this.#add(delta.text);
    if (isPart(delta.message) && isPart(delta.message.content)) this.#add(delta.message.content.text);
    this.#addArguments(delta.partial_json ?? (isPart(delta.toolUse) ? delta.toolUse.input : undefined));
  }

  #takeAnswer(message: Part): void {
    const { choices, candidates, output, response, content } = message;
    const choice = firstOf(choices);
    if (choice !== null) {
      const said = [choice.delta, choice.message].find(isPart);
      this.#addParts(said?.content ?? choice.text);
      this.#add(said?.refusal);
      this.#addCalls(said?.tool_calls);
    }
    const candidate = firstOf(candidates)?.content;
    if (isPart(candidate)) this.#addParts(candidate.parts);
    if (Array.isArray(output)) this.#addParts(output);
    else if (isPart(output) && isPart(output.message)) this.#addParts(output.message.content);
    if (isPart(message.message)) {
      this.#addParts(message.message.content);
      this.#addCalls(message.message.tool_calls);
    }
    this.#add(response);
    this.#addParts(content);
  }

  #addParts(parts: unknown): void {
    if (typeof parts === 'string') this.#add(parts);
    if (!Array.isArray(parts)) return;
    for (const part of parts as readonly unknown[]) {
      if (!isPart(part) || part.thought === true) continue;
      const call = toolIn(part);
      if (call !== null) this.#addTool(call);
      else if (Array.isArray(part.content)) this.#addParts(part.content);
      else this.#add(part.text ?? part.content ?? part.refusal);
    }
  }

  /** Whole ones, and those of OpenAI's streams, which follow one another in pieces. */
  #addCalls(calls: unknown): void {
    if (!Array.isArray(calls)) return;
    for (const call of calls as readonly unknown[]) {
      if (!isPart(call)) continue;
      const whole = toolIn(call);
      if (whole !== null) this.#addTool(whole);
      else if (isPart(call.function)) this.#addArguments(call.function.arguments);
    }
  }

  #addTool(call: ToolRequest): void {
    if (this.#hasRoomFor(call.name + call.arguments)) this.toolCalls.push(call);
  }

  #addArguments(text: unknown): void {
    const last = this.toolCalls.pop();
    if (last === undefined) return;
    const fits = typeof text === 'string' && this.#hasRoomFor(text);
    this.toolCalls.push(fits ? { ...last, arguments: last.arguments + text } : last);
  }

  #add(text: unknown): void {
    if (typeof text === 'string' && text !== '' && this.#hasRoomFor(text)) this.#texts.push(text);
  }

  #hasRoomFor({ length }: string): boolean {
    const fits = this.#characters + length <= this.#charactersMax;
    if (fits) this.#characters += length;
    else this.isCut = true;
    return fits;
  }
}

/** The first of several answers is the call's. */
function firstOf(answers: unknown): Part | null {
  if (!Array.isArray(answers)) return null;
  const first: unknown = answers[0];
  return isPart(first) && (first.index ?? 0) === 0 ? first : null;
}

/** A call of a tool, under the names that providers and frameworks have for it. */
function toolIn(part: Part): ToolRequest | null {
  const call = [part.function, part.functionCall, part.toolUse].find(isPart) ?? part;
  const name = call.name ?? call.toolName;
  const given = call.arguments ?? call.input ?? call.args;
  if (typeof name !== 'string' || given === undefined) return null;
  return { name, arguments: typeof given === 'string' ? given : JSON.stringify(given) };
}

function isPart(value: unknown): value is Part {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
