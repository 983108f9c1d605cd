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
    const reply = replyOf(attributes, this.#content?.newReply() ?? null);
    const prompt = this.#content === null ? null : promptIn(attributes);
    const error = errorOf(span);
    const outcome: CallOutcome = error !== null ? 'error' : isCut(attributes) ? 'incomplete' : 'ok';
    emitOver('otel', {
      called: {
        provider: textAt(attributes, PROVIDER),
        operation,
        model: textAt(attributes, MODEL),
        isDeployment: false,
      },
      reply,
      startUs: span.startTime[0] * 1e6 + span.startTime[1] / 1e3,
      durationMs: msOf(span.duration),
      run,
      additions: { traceId, spanId, ...identityOf(attributes) },
      statusCode: numberAt(attributes, STATUS_CODE),
      costUsd: numberAt(attributes, COST),
      isStream: streamOf(attributes),
      attempts: null,
      ...{ content: this.#content, prompt },
      ttftMs: ttftOf(attributes),
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
    emitTool({
      tool: textAt(attributes, TOOL),
      toolCallId: textAt(attributes, TOOL_CALL_ID),
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

const MODEL = [
  'gen_ai.request.model',
  'llm.request.model',
  'llm.model_name',
  'ai.model.id',
  'embedding.model_name',
];
const RESPONSE_MODEL = ['gen_ai.response.model', 'llm.response.model', 'ai.response.model'];
const PROVIDER = [
  ...[
    'gen_ai.provider.name',
    'gen_ai.system',
    'llm.provider',
    'llm.system',
    'llm.vendor',
    'ai.model.provider',
  ],
];
const RESPONSE_ID = ['gen_ai.response.id', 'ai.response.id', 'llm.response.id'];
const FINISH = [
  ...['gen_ai.response.finish_reasons', 'gen_ai.response.finish_reason', 'ai.response.finishReason'],
  ...['llm.response.finish_reason', 'llm.finish_reason', 'gen_ai.completion.0.finish_reason'],
];
const STATUS_CODE = ['http.response.status_code', 'http.status_code'];
const COST = ['gen_ai.usage.cost', 'llm.cost.total'];
const TOOL = ['gen_ai.tool.name', 'tool.name', 'ai.toolCall.name', 'traceloop.entity.name'];
const TOOL_CALL_ID = ['gen_ai.tool.call.id', 'tool_call.id', 'ai.toolCall.id'];
const STREAM = ['gen_ai.request.stream', 'llm.is_streaming', 'gen_ai.is_streaming'];

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

function replyOf(attributes: Attributes, words: ReplyWords | null): Reply {
  const reply = new Reply(words);
  if (words !== null) takeWords(attributes, words);
  reply.model = textAt(attributes, RESPONSE_MODEL);
  reply.responseId = textAt(attributes, RESPONSE_ID);
  reply.finishReason = textAt(attributes, FINISH);
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

/** Whom and what a call is about, by the names that events have for it. */
const IDENTITY: readonly (readonly [as: string, names: readonly string[]])[] = [
  ['sessionId', ['session.id', 'gen_ai.conversation.id', 'traceloop.association.properties.session_id']],
  ['userId', ['user.id', 'enduser.id', 'traceloop.association.properties.user_id']],
];

function identityOf(attributes: Attributes): Metadata {
  const found: Record<string, unknown> = {};
  for (const [as, names] of IDENTITY) {
    const value = textAt(attributes, names);
    if (value !== null) found[as] = value;
  }
  return found;
}

function ttftOf(attributes: Attributes): number | null {
  const seconds = numberAt(attributes, [
    'gen_ai.response.time_to_first_chunk',
    'gen_ai.server.time_to_first_token',
  ]);
  return seconds === null ? numberAt(attributes, ['ai.response.msToFirstChunk']) : seconds * 1000;
}

function streamOf(attributes: Attributes): boolean | null {
  for (const name of STREAM) if (typeof attributes[name] === 'boolean') return attributes[name];
  const sdk = attributes['ai.operationId'];
  return typeof sdk === 'string' ? sdk.endsWith('.doStream') : null;
}

function textAt(attributes: Attributes, names: readonly string[]): string | null {
  for (const name of names) {
    const value = attributes[name];
    if (typeof value === 'string' && value !== '') return value;
    if (Array.isArray(value) && typeof value[0] === 'string') return value[0];
  }
  return null;
}

function numberAt(attributes: Attributes, names: readonly string[]): number | null {
  for (const name of names) if (typeof attributes[name] === 'number') return attributes[name];
  return null;
}

function msOf([seconds, nanoseconds]: HrTime): number {
  return seconds * 1e3 + nanoseconds / 1e6;
}
