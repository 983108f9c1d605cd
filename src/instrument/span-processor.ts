/**
 * Spans of OpenTelemetry that are calls of models or tools, as events: of the conventions for generative AI, older names
 * of theirs, OpenLLMetry, OpenInference and the AI SDK. Nothing of OpenTelemetry is imported.
 *
 * Only the spans of inference itself count: those around them (agents, workflows, `ai.generateText`) sum up what is in
 * them, and a span of inference around another one is the same call.
 */
import { type ActiveRun, activeRun } from '../capture/context.js';
import { checkOptions, type OptionNames } from '../check-options.js';
import type { Experiment } from '../experiment/experiment.js';
import type { Metadata } from '../schema/event.js';
import { spellingOf } from '../schema/spellings.js';
import { type Content, type ContentOptions, contentOf } from './content.js';
import { guarded } from './guard.js';
import { type CallOutcome, emitOver } from './model-call.js';
import { Reply } from './reply.js';
import { promptIn, takeWords, toolWordsIn } from './span-words.js';
import { emitTool } from './tool-call.js';
import type { ReplyWords } from './words.js';

type Attributes = Readonly<Record<string, unknown>>;
/** Seconds, and nanoseconds of the next one. */
type HrTime = readonly [number, number];

/** A span that has ended, of the SDK's versions 1 and 2. */
export interface EndedSpan {
  readonly attributes: Attributes;
  readonly startTime: HrTime;
  readonly duration: HrTime;
  readonly status?: { readonly code?: number };
  readonly events?: readonly { readonly name: string; readonly attributes?: Attributes | undefined }[];
  readonly parentSpanId?: string | undefined;
  readonly parentSpanContext?: { readonly spanId: string } | undefined;
  spanContext(): { readonly traceId: string; readonly spanId: string };
}

export interface CrucibleSpanProcessorOptions {
  /** Whether what spans say of prompts and answers is stored, and how; default: nothing of it. */
  readonly content?: boolean | ContentOptions | undefined;
  /** Where calls belong that are made outside of any experiment's `run`; default: to every running experiment. */
  readonly experiment?: Experiment | undefined;
}

const OPTIONS: OptionNames<CrucibleSpanProcessorOptions> = { content: true, experiment: true };

/** Spans whose parents are remembered. */
const PARENTS_MAX = 1024;

/** For `spanProcessors` of a tracer provider. */
export class CrucibleSpanProcessor {
  readonly #otherwise: ActiveRun | undefined;
  readonly #content: Content | null;
  /** Runs that spans were begun in. */
  readonly #runs = new WeakMap<object, ActiveRun>();
  /** Of calls that were counted. */
  readonly #parents = new Set<string>();

  constructor(options: CrucibleSpanProcessorOptions = {}) {
    checkOptions(options, OPTIONS);
    this.#otherwise = options.experiment?.run(() => activeRun.getStore());
    this.#content = contentOf(options.content);
  }

  onStart(span: object): void {
    const run = activeRun.getStore();
    if (run !== undefined) this.#runs.set(span, run);
  }

  onEnd(span: EndedSpan): void {
    guarded(() => this.#take(span), undefined);
  }

  #take(span: EndedSpan): void {
    const kind = kindOf(span.attributes);
    if (kind === null) return;
    const run = this.#runs.get(span) ?? this.#otherwise;
    if (kind === 'tool') this.#tool(span, run);
    else this.#call(span, kind, run);
  }

  #call(span: EndedSpan, operation: string, run: ActiveRun | undefined): void {
    const { traceId, spanId } = span.spanContext();
    if (this.#isCounted(span, spanId)) return;
    const { attributes } = span;
    const told = toldIn(attributes);
    const reply = replyOf(attributes, told, this.#content?.newReply() ?? null);
    const prompt = this.#content === null ? null : promptIn(attributes);
    const error = errorOf(span);
    const outcome: CallOutcome = error !== null ? 'error' : isCut(attributes) ? 'incomplete' : 'ok';
    emitOver('otel', {
      called: { provider: told.provider, operation, model: told.model, isDeployment: false },
      reply,
      startUs: span.startTime[0] * 1e6 + span.startTime[1] / 1e3,
      durationMs: msOf(span.duration),
      run,
      additions: additionsOf(traceId, spanId, told),
      statusCode: told.statusCode,
      costUsd: told.costUsd,
      isStream: told.isStream ?? streamOf(attributes),
      attempts: null,
      content: this.#content,
      prompt,
      ttftMs: ttftOf(told),
      outcome,
      error,
    });
  }

  /** Whether a span inside of this one was the call. */
  #isCounted({ parentSpanContext, parentSpanId }: EndedSpan, spanId: string): boolean {
    const parent = parentSpanContext?.spanId ?? parentSpanId;
    const isCounted = this.#parents.delete(spanId);
    if (parent !== undefined) {
      this.#parents.add(parent);
      const [oldest] = this.#parents;
      if (this.#parents.size > PARENTS_MAX) this.#parents.delete(oldest);
    }
    return isCounted;
  }

  #tool(span: EndedSpan, run: ActiveRun | undefined): void {
    const { attributes, duration } = span;
    const { tool, toolCallId } = toldIn(attributes);
    emitTool({
      tool,
      toolCallId,
      durationMs: msOf(duration),
      error: errorOf(span),
      run,
      content: this.#content,
      ...(this.#content === null ? null : toolWordsIn(attributes)),
    });
  }

  async forceFlush(): Promise<void> {}

  async shutdown(): Promise<void> {}
}

/** What attributes tell, under the names that the conventions have for it, in order of precedence. */
const TEXTS = {
  model: [
    ...['gen_ai.request.model', 'llm.request.model', 'llm.model_name', 'ai.model.id'],
    'embedding.model_name',
  ],
  responseModel: ['gen_ai.response.model', 'llm.response.model', 'ai.response.model'],
  provider: [
    ...['gen_ai.provider.name', 'gen_ai.system', 'llm.provider', 'llm.system', 'llm.vendor'],
    'ai.model.provider',
  ],
  responseId: ['gen_ai.response.id', 'ai.response.id', 'llm.response.id'],
  finishReason: [
    ...['gen_ai.response.finish_reasons', 'gen_ai.response.finish_reason', 'ai.response.finishReason'],
    ...['llm.response.finish_reason', 'llm.finish_reason', 'gen_ai.completion.0.finish_reason'],
  ],
  tool: ['gen_ai.tool.name', 'tool.name', 'ai.toolCall.name', 'traceloop.entity.name'],
  toolCallId: ['gen_ai.tool.call.id', 'tool_call.id', 'ai.toolCall.id'],
  sessionId: ['session.id', 'gen_ai.conversation.id', 'traceloop.association.properties.session_id'],
  userId: ['user.id', 'enduser.id', 'traceloop.association.properties.user_id'],
} as const;
const NUMBERS = {
  statusCode: ['http.response.status_code', 'http.status_code'],
  costUsd: ['gen_ai.usage.cost', 'llm.cost.total'],
  ttftS: ['gen_ai.response.time_to_first_chunk', 'gen_ai.server.time_to_first_token'],
  ttftMs: ['ai.response.msToFirstChunk'],
} as const;
const FLAGS = {
  isStream: ['gen_ai.request.stream', 'llm.is_streaming', 'gen_ai.is_streaming'],
} as const;

type Told = Record<keyof typeof TEXTS, string | null> &
  Record<keyof typeof NUMBERS, number | null> &
  Record<keyof typeof FLAGS, boolean | null>;

/** One of them, and what a value has to be; null where it is something else. */
interface Trait {
  readonly as: keyof Told;
  readonly names: readonly string[];
  readonly read: (value: unknown) => Told[keyof Told];
}

const TRAITS = new Map<string, Trait>();
for (const [table, read] of [
  [TEXTS, textOf],
  [NUMBERS, (value: unknown) => (typeof value === 'number' ? value : null)],
  [FLAGS, (value: unknown) => (typeof value === 'boolean' ? value : null)],
] as const) {
  for (const [as, names] of Object.entries(table) as [keyof Told, readonly string[]][]) {
    for (const name of names) TRAITS.set(name, { as, names, read });
  }
}

const NOTHING_TOLD: Told = {
  ...{ model: null, responseModel: null, provider: null, responseId: null, finishReason: null },
  ...{ tool: null, toolCallId: null, sessionId: null, userId: null },
  ...{ statusCode: null, costUsd: null, ttftS: null, ttftMs: null, isStream: null },
};

/** A span has few of the attributes that there are names for, so it is its own that are looked up. */
function toldIn(attributes: Attributes): Told {
  const told: Record<keyof Told, unknown> = { ...NOTHING_TOLD };
  for (const name in attributes) {
    const trait = TRAITS.get(name);
    if (trait !== undefined) told[trait.as] ??= firstOf(attributes, trait);
  }
  return told as Told;
}

function firstOf(attributes: Attributes, { names, read }: Trait): Told[keyof Told] {
  for (const name of names) {
    const value = read(attributes[name]);
    if (value !== null) return value;
  }
  return null;
}

/** Operations of inference; others are around it, or about something else. */
const INFERENCE: ReadonlySet<unknown> = new Set([
  'chat',
  'generate_content',
  'text_completion',
  'embeddings',
]);
/** What OpenInference and OpenLLMetry call them. */
const OPERATIONS: Readonly<Record<string, string>> = {
  ...{ LLM: 'chat', EMBEDDING: 'embeddings' },
  ...{ chat: 'chat', completion: 'text_completion', embedding: 'embeddings' },
};

/** The operation of a span of inference, or `tool`; null for all others. */
function kindOf(attributes: Attributes): string | null {
  const sdk = attributes['ai.operationId'];
  if (typeof sdk === 'string') {
    if (sdk === 'ai.toolCall') return 'tool';
    if (sdk.endsWith('.doEmbed')) return 'embeddings';
    return /\.do(Generate|Stream)$/.test(sdk) ? 'chat' : null;
  }
  const operation = attributes['gen_ai.operation.name'];
  if (operation !== undefined) {
    if (INFERENCE.has(operation)) return operation as string;
    return operation === 'execute_tool' ? 'tool' : null;
  }
  const inference = attributes['openinference.span.kind'];
  if (typeof inference === 'string') {
    return inference === 'TOOL' ? 'tool' : (OPERATIONS[inference] ?? null);
  }
  const loop = attributes['traceloop.span.kind'];
  if (loop !== undefined) return loop === 'tool' ? 'tool' : null;
  const type = attributes['llm.request.type'];
  if (typeof type === 'string') return OPERATIONS[type] ?? null;
  // The first names had no operation.
  const isOld = attributes['gen_ai.system'] !== undefined && attributes['gen_ai.request.model'] !== undefined;
  return isOld ? 'chat' : null;
}

function replyOf(attributes: Attributes, told: Told, words: ReplyWords | null): Reply {
  const reply = new Reply(words);
  if (words !== null) takeWords(attributes, words);
  reply.model = told.responseModel;
  reply.responseId = told.responseId;
  reply.finishReason = told.finishReason;
  let usage: Record<string, unknown> | null = null;
  for (const name in attributes) {
    if (spellingOf('metadata', name)?.rule.reading !== 'count') continue;
    usage ??= {};
    usage[name] = attributes[name];
  }
  reply.usage = usage;
  return reply;
}

/** The provider has cut the answer off, and the span says so. */
function isCut(attributes: Attributes): boolean {
  return attributes['gen_ai.response.status'] === 'incomplete';
}

const ERROR = 2;

/** The name of what went wrong: never a text. */
function errorOf({ status, attributes, events = [] }: EndedSpan): string | null {
  const type = attributes['error.type'];
  if (status?.code !== ERROR && type === undefined) return null;
  if (typeof type === 'string') return type;
  const thrown = events.find(({ name }) => name === 'exception')?.attributes?.['exception.type'];
  return typeof thrown === 'string' ? thrown : 'error';
}

/** Where the span is, and whom it is about, by the names that events have for it. */
function additionsOf(traceId: string, spanId: string, { sessionId, userId }: Told): Metadata {
  const additions: Record<string, unknown> = { traceId, spanId };
  if (sessionId !== null) additions.sessionId = sessionId;
  if (userId !== null) additions.userId = userId;
  return additions;
}

function ttftOf({ ttftS, ttftMs }: Told): number | null {
  return ttftS === null ? ttftMs : ttftS * 1000;
}

/** Whether the AI SDK says so by the name of its operation. */
function streamOf(attributes: Attributes): boolean | null {
  const sdk = attributes['ai.operationId'];
  return typeof sdk === 'string' ? sdk.endsWith('.doStream') : null;
}

function textOf(value: unknown): string | null {
  const text: unknown = Array.isArray(value) ? value[0] : value;
  return typeof text === 'string' && text !== '' ? text : null;
}

function msOf([seconds, nanoseconds]: HrTime): number {
  return seconds * 1e3 + nanoseconds / 1e6;
}
