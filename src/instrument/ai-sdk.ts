/**
 * `crucible-telemetry/ai-sdk`: what the AI SDK tells of its calls and tools (its versions 6 and 7; 5 tells nothing, and
 * its calls are seen by their fetch). The SDK is never imported: it looks for integrations in a global array.
 *
 * Version 7 runs each attempt through the integration, so the transport joins the call. Version 6 tells of a step when
 * it is over; it is counted if no other layer has counted it.
 */
import { type ActiveRun, activeRun } from '../capture/context.js';
import { isAbort } from '../capture/results/watchable.js';
import { checkOptions, type OptionNames } from '../check-options.js';
import { systemClock } from '../clock.js';
import type { Experiment } from '../experiment/experiment.js';
import { type Content, type ContentOptions, contentOf } from './content.js';
import { errorName } from './error-name.js';
import { guarded } from './guard.js';
import { activeCall } from './layers.js';
import { type Called, emitOver, ModelCall } from './model-call.js';
import { Reply } from './reply.js';
import { emitTool } from './tool-call.js';

export interface CrucibleIntegrationOptions {
  /** Whether what is said is stored, and how; default: nothing of it. */
  readonly content?: boolean | ContentOptions | undefined;
  /** Where calls belong that are made outside of any experiment's `run`; default: to every running experiment. */
  readonly experiment?: Experiment | undefined;
}

/** The methods that the AI SDK calls, as far as they are used here. */
export interface CrucibleIntegration {
  onLanguageModelCallStart(event: unknown): void;
  executeLanguageModelCall<T>(options: {
    readonly callId: string;
    readonly execute: () => PromiseLike<T>;
  }): PromiseLike<T>;
  onLanguageModelCallEnd(event: unknown): void;
  onStepError(event: unknown): void;
  onError(event: unknown): void;
  onAbort(event: unknown): void;
  onToolExecutionEnd(event: unknown): void;
  onStepStart(event: unknown): void;
  onStepFinish(event: unknown): void;
  onToolCallFinish(event: unknown): void;
}

interface ModelEvent {
  readonly callId?: string;
  readonly provider?: string;
  readonly modelId?: string;
  readonly responseId?: string;
  readonly finishReason?: string;
  readonly usage?: Readonly<Record<string, unknown>>;
  readonly performance?: { readonly responseTimeMs?: number; readonly timeToFirstOutputMs?: number };
  readonly content?: unknown;
  readonly error?: unknown;
}

interface ToolEvent {
  readonly toolCall?: { readonly toolName?: string; readonly toolCallId?: string; readonly input?: unknown };
  readonly output?: unknown;
  readonly success?: boolean;
  readonly error?: unknown;
  readonly toolOutput?: { readonly type?: string; readonly error?: unknown; readonly output?: unknown };
  readonly durationMs?: number;
  readonly toolExecutionMs?: number;
}

/** A step of version 6. */
interface StepEvent {
  readonly stepNumber?: number;
  readonly model?: { readonly provider?: string; readonly modelId?: string };
  readonly functionId?: string;
  readonly metadata?: unknown;
  readonly finishReason?: string;
  readonly usage?: Readonly<Record<string, unknown>>;
  readonly response?: { readonly id?: string; readonly modelId?: string };
  readonly content?: unknown;
}

interface OpenStep {
  readonly startUs: number;
  readonly run: ActiveRun | undefined;
  readonly key: string;
  readonly metadata: unknown;
  /** What was sent, where content is wanted. */
  readonly prompt: unknown;
}

const METHODS: readonly (keyof CrucibleIntegration)[] = [
  ...(['onLanguageModelCallStart', 'executeLanguageModelCall', 'onLanguageModelCallEnd'] as const),
  ...(['onStepError', 'onError', 'onAbort', 'onToolExecutionEnd'] as const),
  ...(['onStepStart', 'onStepFinish', 'onToolCallFinish'] as const),
];

/** Of calls and steps that are under way; what is older was left, and nobody will tell. */
const OPEN_MAX = 1024;

const OPTIONS: OptionNames<CrucibleIntegrationOptions> = { content: true, experiment: true };

/**
 * An integration for `globalThis.AI_SDK_TELEMETRY_INTEGRATIONS`, or `registerTelemetry`, or the `integrations` of one
 * call. `instrument` with the source `ai-sdk` puts one in the array.
 */
export function crucibleIntegration(options: CrucibleIntegrationOptions = {}): CrucibleIntegration {
  checkOptions(options, OPTIONS);
  const { experiment, content } = options;
  return new Integration(
    experiment?.run(() => activeRun.getStore()),
    contentOf(content),
  );
}

export class Integration implements CrucibleIntegration {
  readonly #otherwise: ActiveRun | undefined;
  readonly #content: Content | null;
  /** By the id of their generation, which makes one at a time. */
  readonly #calls = new Map<string, ModelCall>();
  readonly #steps: OpenStep[] = [];

  constructor(otherwise: ActiveRun | undefined, content: Content | null) {
    this.#otherwise = otherwise;
    this.#content = content;
    // Version 6 calls them without their object.
    for (const name of METHODS) Object.assign(this, { [name]: this[name].bind(this) });
  }

  // ── Version 7 ────────────────────────────────────────────────────────────────────────────────────

  onLanguageModelCallStart(event: unknown): void {
    guarded(() => {
      const { callId, provider, modelId } = event as ModelEvent;
      if (callId === undefined || this.#isRetried(callId)) return;
      const called = calledOf(provider, modelId);
      const call = new ModelCall('ai-sdk', called, null, this.#otherwise, this.#content);
      if (call.wantsContent) call.prompt = event;
      this.#calls.set(callId, call);
      const [oldest] = this.#calls.keys();
      if (this.#calls.size > OPEN_MAX) this.#end(oldest, (call) => call.end('abandoned'));
    }, undefined);
  }

  /** Streams are begun anew for another attempt; other calls are only executed again. */
  #isRetried(callId: string): boolean {
    const call = this.#calls.get(callId);
    return call !== undefined && !call.isOver;
  }

  executeLanguageModelCall<T>({
    callId,
    execute,
  }: {
    readonly callId: string;
    readonly execute: () => PromiseLike<T>;
  }): PromiseLike<T> {
    const call = this.#calls.get(callId);
    if (call === undefined) return execute();
    guarded(() => {
      if (this.#executed.has(call)) call.retry();
      this.#executed.add(call);
    }, undefined);
    return activeCall.run(call, execute);
  }

  /** Those that have had an attempt. */
  readonly #executed = new WeakSet<ModelCall>();

  onLanguageModelCallEnd(event: unknown): void {
    guarded(() => {
      const { callId, modelId, responseId, finishReason, usage, performance, content } = event as ModelEvent;
      this.#end(callId, (call) => {
        const { reply } = call;
        reply.model ??= modelId ?? null;
        reply.responseId ??= responseId ?? null;
        reply.finishReason ??= finishReason ?? null;
        reply.usage ??= knownUsage(usage);
        // Of a transport that nothing has seen.
        if (reply.words?.isEmpty === true) reply.words.take({ content });
        const { responseTimeMs, timeToFirstOutputMs } = performance ?? {};
        if (timeToFirstOutputMs !== undefined) {
          call.isStream = true;
          call.firstAfter(timeToFirstOutputMs);
        }
        if (finishReason === 'error') call.end('error', reply.error ?? 'error', responseTimeMs);
        else call.end('ok', null, responseTimeMs);
      });
    }, undefined);
  }

  onStepError(event: unknown): void {
    this.#failed(event);
  }

  onError(event: unknown): void {
    this.#failed(event);
  }

  #failed(event: unknown): void {
    guarded(() => {
      const { callId, error } = (event ?? {}) as ModelEvent;
      this.#end(callId, (call) => {
        if (isAbort(error)) call.end('aborted');
        else call.end('error', call.reply.error ?? errorName(error));
      });
    }, undefined);
  }

  onAbort(event: unknown): void {
    guarded(() => this.#end((event as ModelEvent).callId, (call) => call.end('aborted')), undefined);
  }

  #end(callId: string | undefined, end: (call: ModelCall) => void): void {
    const call = callId === undefined ? undefined : this.#calls.get(callId);
    if (callId === undefined || call === undefined) return;
    this.#calls.delete(callId);
    end(call);
  }

  onToolExecutionEnd(event: unknown): void {
    guarded(() => {
      const { toolCall, toolOutput, toolExecutionMs } = event as ToolEvent;
      const error = toolOutput?.type === 'tool-error' ? toolOutput.error : null;
      this.#tool(toolCall, toolExecutionMs, error, toolOutput?.output);
    }, undefined);
  }

  // ── Version 6 ────────────────────────────────────────────────────────────────────────────────────

  onStepStart(event: unknown): void {
    guarded(() => {
      // Version 7 has calls, and no model here.
      const step = event as StepEvent;
      if (step.model === undefined) return;
      const run = activeRun.getStore() ?? this.#otherwise;
      const startUs = systemClock.nowUs();
      const prompt = this.#content === null ? null : event;
      this.#steps.push({ startUs, run, key: keyOf(step), metadata: step.metadata, prompt });
      if (this.#steps.length > OPEN_MAX) this.#steps.shift();
    }, undefined);
  }

  onStepFinish(event: unknown): void {
    guarded(() => {
      const step = event as StepEvent & { readonly callId?: string };
      const { model, response, usage, finishReason } = step;
      if (model === undefined || step.callId !== undefined) return;
      const nowUs = systemClock.nowUs();
      const open = this.#openStep(step);
      const reply = new Reply(this.#content?.newReply() ?? null);
      reply.words?.take({ content: step.content });
      reply.model = response?.modelId ?? null;
      reply.responseId = response?.id ?? null;
      reply.finishReason = finishReason ?? null;
      reply.usage = knownUsage(usage);
      emitOver('ai-sdk', {
        called: calledOf(model.provider, model.modelId),
        reply,
        startUs: open?.startUs ?? nowUs,
        durationMs: open === undefined ? null : (nowUs - open.startUs) / 1000,
        run: activeRun.getStore() ?? this.#otherwise,
        ...{ content: this.#content, prompt: open?.prompt },
        ...{ statusCode: null, costUsd: null, isStream: null, attempts: null, ttftMs: null },
        ...(finishReason === 'error' ? { outcome: 'error', error: 'error' } : { outcome: 'ok', error: null }),
      });
    }, undefined);
  }

  /** The start of a step, where only one is under way that looks like it: nothing else tells them apart. */
  #openStep(step: StepEvent): OpenStep | undefined {
    const key = keyOf(step);
    const run = activeRun.getStore() ?? this.#otherwise;
    const alike = this.#steps.filter(
      (open) => open.key === key && open.metadata === step.metadata && open.run === run,
    );
    const [oldest] = alike;
    if (oldest !== undefined) this.#steps.splice(this.#steps.indexOf(oldest), 1);
    return alike.length === 1 ? oldest : undefined;
  }

  onToolCallFinish(event: unknown): void {
    guarded(() => {
      const { toolCall, success, error, durationMs, output } = event as ToolEvent;
      this.#tool(toolCall, durationMs, success === false ? (error ?? true) : null, output);
    }, undefined);
  }

  #tool(
    toolCall: ToolEvent['toolCall'],
    durationMs: number | undefined,
    error: unknown,
    result: unknown,
  ): void {
    emitTool({
      tool: toolCall?.toolName ?? null,
      toolCallId: toolCall?.toolCallId ?? null,
      durationMs: durationMs ?? null,
      error: error === null ? null : errorName(error),
      run: activeRun.getStore() ?? this.#otherwise,
      ...{ content: this.#content, given: toolCall?.input, result },
    });
  }
}

function keyOf({ stepNumber, model, functionId }: StepEvent): string {
  return JSON.stringify([stepNumber, model?.provider, model?.modelId, functionId]);
}

/** A provider is called `openai.chat` or `openai.responses`: its first part is the provider's name. */
function calledOf(provider: string | undefined, modelId: string | undefined): Called {
  const [name] = provider?.split('.') ?? [];
  return { provider: name ?? null, operation: 'chat', model: modelId ?? null, isDeployment: false };
}

/** Null for one that says nothing: the SDK fills in what it was not told. */
function knownUsage(usage: Readonly<Record<string, unknown>> | undefined): Reply['usage'] {
  if (usage === undefined) return null;
  const { raw: _raw, ...told } = usage;
  return Object.values(told).some((count) => typeof count === 'number') ? told : null;
}
