/**
 * `crucible-telemetry/langchain`: what LangChain.js tells of its calls of models and tools. Nothing of it is imported:
 * a handler is whatever has these members.
 *
 * LangChain tells of a call when it is over; it is counted if no other layer has counted it.
 */
import { type ActiveRun, activeRun } from '../capture/context.js';
import { isAbort } from '../capture/results/watchable.js';
import { checkOptions, type OptionNames } from '../check-options.js';
import { systemClock } from '../clock.js';
import type { Experiment } from '../experiment/experiment.js';
import type { Metadata } from '../schema/event.js';
import { type Content, type ContentOptions, contentOf } from './content.js';
import { errorName } from './error-name.js';
import { guarded } from './guard.js';
import { emitOver } from './model-call.js';
import { Reply } from './reply.js';
import { emitTool } from './tool-call.js';
import type { ReplyWords } from './words.js';

export interface CrucibleCallbackHandlerOptions {
  /** Whether what is said is stored, and how; default: nothing of it. */
  readonly content?: boolean | ContentOptions | undefined;
  /** Where calls belong that are made outside of any experiment's `run`; default: to every running experiment. */
  readonly experiment?: Experiment | undefined;
}

interface OpenRun {
  readonly startNs: bigint;
  readonly startUs: number;
  readonly run: ActiveRun | undefined;
  /** Of a tool. */
  readonly tool: string | null;
  readonly toolCallId: string | null;
  readonly model: string | null;
  readonly provider: string | null;
  readonly additions: Metadata;
  /** What it was given, where content is wanted. */
  readonly given: unknown;
  ttftMs: number | null;
}

type Parts = Readonly<Record<string, unknown>>;

/** Of runs that are under way; LangChain tells nothing of those that were left. */
const OPEN_MAX = 1024;

const OPTIONS: OptionNames<CrucibleCallbackHandlerOptions> = { content: true, experiment: true };

/** What LangChain calls, for `CrucibleCallbackHandler` and for the hook (langchain-hook.ts). */
export class LangChainCallbacks {
  readonly name = 'crucible';
  readonly lc_serializable = false;
  readonly ignoreLLM = false;
  readonly ignoreChain = true;
  readonly ignoreAgent = false;
  readonly ignoreRetriever = true;
  readonly ignoreCustomEvent = true;
  readonly raiseError = false;
  /** Otherwise LangChain calls it later, out of the caller's async context. */
  readonly awaitHandlers = true;
  readonly #otherwise: ActiveRun | undefined;
  readonly #content: Content | null;
  readonly #open = new Map<string, OpenRun>();

  constructor(otherwise: ActiveRun | undefined, content: Content | null) {
    this.#otherwise = otherwise;
    this.#content = content;
  }

  /** LangChain copies handlers for runs within runs; what is open is told to all of them. */
  copy(): this {
    return this;
  }

  handleChatModelStart(...args: readonly unknown[]): void {
    guarded(() => this.#begin(args), undefined);
  }

  handleLLMStart(...args: readonly unknown[]): void {
    guarded(() => this.#begin(args), undefined);
  }

  #begin([serialized, said, runId, , extra, tags, metadata]: readonly unknown[]): void {
    const { invocation_params } = (extra ?? {}) as { readonly invocation_params?: Parts };
    const { ls_model_name, ls_provider } = (metadata ?? {}) as Parts;
    this.#hold(String(runId), {
      tool: null,
      toolCallId: null,
      model:
        textOf(invocation_params?.model) ?? textOf(ls_model_name) ?? textOf(invocation_params?.model_name),
      provider: textOf(ls_provider) ?? providerOf(serialized),
      additions: Array.isArray(tags) && tags.length > 0 ? { tags: tags.map(String) } : {},
      given: this.#content === null ? null : messagesFrom(said),
    });
  }

  handleLLMNewToken(...[, , runId]: readonly unknown[]): void {
    guarded(() => {
      const open = this.#open.get(String(runId));
      if (open !== undefined) open.ttftMs ??= elapsedMs(open);
    }, undefined);
  }

  handleLLMEnd(output: unknown, runId: string): void {
    guarded(() => {
      const open = this.#take(runId);
      if (open === undefined) return;
      const reply = replyOf(output, this.#content?.newReply() ?? null);
      this.#emit(open, reply, reply.isCut ? 'incomplete' : 'ok', null);
    }, undefined);
  }

  handleLLMError(error: unknown, runId: string): void {
    guarded(() => {
      const open = this.#take(runId);
      if (open === undefined) return;
      if (isAbort(error)) this.#emit(open, new Reply(), 'aborted', null);
      else this.#emit(open, new Reply(), 'error', errorName(error));
    }, undefined);
  }

  #emit(
    open: OpenRun,
    reply: Reply,
    outcome: 'ok' | 'incomplete' | 'aborted' | 'error',
    error: string | null,
  ) {
    const { model, provider, startUs, ttftMs, run, additions, given } = open;
    emitOver('langchain', {
      called: { provider, model, operation: 'chat', isDeployment: false },
      ...{ reply, startUs, durationMs: elapsedMs(open), run, additions, ttftMs, outcome, error },
      ...{ content: this.#content, prompt: given },
      ...{ statusCode: null, costUsd: null, isStream: ttftMs !== null, attempts: null },
    });
  }

  handleToolStart(...[tool, given, runId, , , , runName, toolCallId]: readonly unknown[]): void {
    guarded(() => {
      const { name, id } = (tool ?? {}) as { readonly name?: unknown; readonly id?: unknown };
      const last: unknown = Array.isArray(id) ? id.at(-1) : null;
      this.#hold(String(runId), {
        tool: textOf(runName) ?? textOf(name) ?? textOf(last),
        toolCallId: textOf(toolCallId),
        model: null,
        provider: null,
        additions: {},
        given: this.#content === null ? null : given,
      });
    }, undefined);
  }

  handleToolEnd(output: unknown, runId: string): void {
    const { status } = (output ?? {}) as { readonly status?: unknown };
    guarded(() => this.#toolEnded(runId, status === 'error' ? 'error' : null, output), undefined);
  }

  handleToolError(error: unknown, runId: string): void {
    guarded(() => this.#toolEnded(runId, errorName(error)), undefined);
  }

  #toolEnded(runId: string, error: string | null, output?: unknown): void {
    const open = this.#take(runId);
    if (open === undefined) return;
    const { tool, toolCallId, run, given } = open;
    const result = isParts(output) && 'content' in output ? output.content : output;
    const said = { content: this.#content, given, result };
    emitTool({ tool, toolCallId, durationMs: elapsedMs(open), error, run, ...said });
  }

  #hold(
    runId: string,
    about: Pick<OpenRun, 'tool' | 'toolCallId' | 'model' | 'provider' | 'additions' | 'given'>,
  ): void {
    const startNs = systemClock.monotonicNs();
    const run = activeRun.getStore() ?? this.#otherwise;
    this.#open.set(runId, { ...about, startNs, startUs: systemClock.nowUs(), run, ttftMs: null });
    const [oldest] = this.#open.keys();
    if (this.#open.size > OPEN_MAX) this.#open.delete(oldest);
  }

  #take(runId: string): OpenRun | undefined {
    const open = this.#open.get(runId);
    this.#open.delete(runId);
    return open;
  }
}

/** Give it to a model, a chain or a call: `model.invoke(input, { callbacks: [new CrucibleCallbackHandler()] })`. */
export class CrucibleCallbackHandler extends LangChainCallbacks {
  constructor(options: CrucibleCallbackHandlerOptions = {}) {
    checkOptions(options, OPTIONS);
    super(
      options.experiment?.run(() => activeRun.getStore()),
      contentOf(options.content),
    );
  }
}

function elapsedMs({ startNs }: OpenRun): number {
  return Number(systemClock.monotonicNs() - startNs) / 1e6;
}

/** The first answer of a result has its counts and what the provider calls it. */
function replyOf(output: unknown, words: ReplyWords | null): Reply {
  const reply = new Reply(words);
  const { generations, llmOutput } = (output ?? {}) as { generations?: Parts[][]; llmOutput?: Parts };
  const message = (generations?.[0]?.[0]?.message ?? {}) as Parts;
  const described = (message.response_metadata ?? {}) as Parts;
  words?.take({
    message: { content: message.content ?? generations?.[0]?.[0]?.text, tool_calls: message.tool_calls },
  });
  reply.take({
    model: described.model_name ?? described.model,
    finish_reason: described.finish_reason ?? described.stop_reason ?? described.finishReason,
    // Ids that LangChain has made up begin so, and no provider knows them.
    ...(/^(run-|lc_run-)/.test(String(message.id)) ? null : { id: message.id }),
    ...(typeof described.id === 'string' ? { id: described.id } : null),
    usage: message.usage_metadata ?? llmOutput?.tokenUsage ?? llmOutput?.estimatedTokenUsage,
  });
  return reply;
}

/** `['langchain', 'chat_models', 'openai', 'ChatOpenAI']`. */
function providerOf(serialized: unknown): string | null {
  const { id } = (serialized ?? {}) as { readonly id?: unknown };
  return Array.isArray(id) && id.length >= 3 ? textOf(id.at(-2)) : null;
}

/** Roles as providers call them. */
const ROLES: Readonly<Record<string, string>> = { human: 'user', ai: 'assistant' };

/** Messages of the first of the given lists, or texts. */
function messagesFrom(said: unknown): unknown {
  const [first] = Array.isArray(said) ? (said as readonly unknown[]) : [];
  if (!Array.isArray(first)) return said;
  return (
    first as readonly { readonly type?: string; readonly content?: unknown; readonly tool_calls?: unknown }[]
  ).map(({ type = 'user', content, tool_calls }) => ({ role: ROLES[type] ?? type, content, tool_calls }));
}

function isParts(value: unknown): value is Parts {
  return typeof value === 'object' && value !== null;
}

function textOf(value: unknown): string | null {
  return typeof value === 'string' && value !== '' ? value : null;
}
