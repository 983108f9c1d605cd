/** What was said in a call, as spans of OpenTelemetry have it: as JSON in one attribute, or as an attribute per part. */
import type { ReplyWords } from './words.js';

type Attributes = Readonly<Record<string, unknown>>;

/** JSON, or a text. */
const PROMPTS: readonly string[] = [
  ...['gen_ai.input.messages', 'ai.prompt.messages', 'ai.prompt', 'input.value'],
];
const INSTRUCTIONS = 'gen_ai.system_instructions';
const ANSWERS: readonly string[] = ['gen_ai.output.messages', 'ai.response.text', 'output.value'];
const TOOL_CALLS = 'ai.response.toolCalls';
/** Before and behind the number of a message: OpenLLMetry, OpenInference. */
const NUMBERED_PROMPTS: readonly (readonly [before: string, behind: string])[] = [
  ['gen_ai.prompt.', ''],
  ['llm.input_messages.', 'message.'],
];
const NUMBERED_ANSWERS: readonly (readonly [before: string, behind: string])[] = [
  ['gen_ai.completion.', ''],
  ['llm.output_messages.', 'message.'],
];
const GIVEN: readonly string[] = ['gen_ai.tool.call.arguments', 'ai.toolCall.args', 'input.value'];
const RESULTS: readonly string[] = ['gen_ai.tool.call.result', 'ai.toolCall.result', 'output.value'];
/** A list has no more messages than that. */
const MESSAGES_MAX = 1000;

/** The messages of a request, as `messagesOf` takes them; null where there are none. */
export function promptIn(attributes: Attributes): unknown {
  const messages = numbered(attributes, NUMBERED_PROMPTS) ?? valueAt(attributes, PROMPTS);
  const system = valueAt(attributes, [INSTRUCTIONS]);
  if (messages === undefined && system === undefined) return null;
  return isBody(messages) ? messages : { system, messages };
}

export function takeWords(attributes: Attributes, words: ReplyWords): void {
  const said = numbered(attributes, NUMBERED_ANSWERS) ?? valueAt(attributes, ANSWERS);
  if (typeof said === 'string') words.take({ content: said });
  // The parts of a message are under either name.
  else if (Array.isArray(said)) {
    for (const { parts, content } of said as readonly Attributes[]) words.take({ content: parts ?? content });
  } else words.take(said);
  const calls = valueAt(attributes, [TOOL_CALLS]);
  if (calls !== undefined) words.take({ message: { tool_calls: calls } });
}

export function toolWordsIn(attributes: Attributes): { readonly given: unknown; readonly result: unknown } {
  return { given: valueAt(attributes, GIVEN), result: valueAt(attributes, RESULTS) };
}

/** What is written as JSON is read; other texts are what they are. */
function valueAt(attributes: Attributes, names: readonly string[]): unknown {
  const name = names.find((each) => attributes[each] !== undefined);
  const value = name === undefined ? undefined : attributes[name];
  if (typeof value !== 'string' || !/^\s*[[{]/.test(value)) return value;
  try {
    return JSON.parse(value) as unknown;
  } catch {
    return value;
  }
}

function numbered(
  attributes: Attributes,
  places: readonly (readonly [before: string, behind: string])[],
): unknown[] | undefined {
  for (const [before, behind] of places) {
    const found: { role: unknown; content: unknown }[] = [];
    for (let i = 0; i < MESSAGES_MAX; i++) {
      const [role, content] = ['role', 'content'].map((part) => attributes[`${before}${i}.${behind}${part}`]);
      if (role === undefined && content === undefined) break;
      found.push({ role: role ?? 'user', content });
    }
    if (found.length > 0) return found;
  }
  return undefined;
}

/** A whole request, as OpenInference and the AI SDK may have it. */
function isBody(messages: unknown): boolean {
  return typeof messages === 'object' && messages !== null && !Array.isArray(messages);
}
