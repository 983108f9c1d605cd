/**
 * Calls that are captured here, as spans of OpenTelemetry's conventions for generative AI, to whatever takes OTLP over
 * HTTP as JSON. Spans are made of events as they are emitted; what cannot be delivered is dropped, and counted.
 */
import { randomBytes } from 'node:crypto';
import { attach, detach } from '../capture/channels.js';
import { activeRun } from '../capture/context.js';
import { systemClock } from '../clock.js';
import { ConfigError } from '../errors.js';
import { emptyEnriched, enrich, kindOfEvent, newKnownParts } from '../schema/enrich.js';
import type { Measurements, Metadata } from '../schema/event.js';
import { PriceBook } from '../schema/prices.js';
import { VERSION } from '../version.js';

export interface OtlpOptions {
  /** Where traces are posted to: `http://localhost:4318/v1/traces`. */
  readonly url: string;
  readonly headers?: Readonly<Record<string, string>> | undefined;
  /** `service.name` of the resource; default `crucible-telemetry`. */
  readonly service?: string | undefined;
  /** Between two deliveries, ms; default 5,000. */
  readonly intervalMs?: number | undefined;
  /** Spans that may wait for delivery; what comes when there are as many is dropped. Default 2,048. */
  readonly queueMax?: number | undefined;
}

/** A value as OTLP's JSON has it. */
type AnyValue =
  | { readonly stringValue: string }
  | { readonly boolValue: boolean }
  | { readonly intValue: string }
  | { readonly doubleValue: number }
  | { readonly arrayValue: { readonly values: AnyValue[] } };

interface OtlpSpan {
  readonly traceId: string;
  readonly spanId: string;
  readonly parentSpanId?: string;
  readonly name: string;
  readonly kind: number;
  readonly startTimeUnixNano: string;
  readonly endTimeUnixNano: string;
  readonly attributes: { readonly key: string; readonly value: AnyValue }[];
  readonly status: { readonly code: number };
}

const ENDS: readonly string[] = [
  ...['req_llm.request.stop', 'req_llm.request.exception'],
  ...['altar.tool.stop', 'altar.tool.exception'],
];
const CLIENT = 3;
const INTERNAL = 1;
const [UNSET, ERROR] = [0, 2] as const;
const TIMEOUT_MS = 10_000;
let exporters = 0;

/**
 * Delivers what this process captures of calls of models and tools. `flush` delivers what waits, and dispose ends it,
 * after a last delivery.
 * @throws ConfigError for an option that is not understood
 */
export class OtlpExporter implements AsyncDisposable {
  /** Spans that came to nothing: their collector was away, refused them, or was too slow. */
  dropped = 0;
  delivered = 0;
  readonly #url: string;
  readonly #headers: Readonly<Record<string, string>>;
  readonly #service: string;
  readonly #queueMax: number;
  readonly #handler = `otlp:${++exporters}`;
  readonly #timer: NodeJS.Timeout;
  #queue: OtlpSpan[] = [];
  #delivery: Promise<void> | undefined;

  constructor({
    url,
    headers = {},
    service = 'crucible-telemetry',
    intervalMs = 5000,
    queueMax = 2048,
  }: OtlpOptions) {
    if (!URL.canParse(url)) throw new ConfigError('url', 'the address of a collector', url);
    if (!(intervalMs > 0)) throw new ConfigError('intervalMs', 'milliseconds > 0', intervalMs);
    this.#url = url;
    this.#headers = { 'content-type': 'application/json', ...headers };
    this.#service = service;
    this.#queueMax = queueMax;
    attach(this.#handler, ENDS, (event, measurements, metadata) => this.#take(event, measurements, metadata));
    this.#timer = setInterval(() => void this.flush(), intervalMs).unref();
  }

  #take(event: string, measurements: Measurements, metadata: Metadata): void {
    if (this.#queue.length >= this.#queueMax) this.dropped++;
    else {
      const context = activeRun.getStore()?.context;
      this.#queue.push(spanOf(event, measurements, { ...context, ...metadata }));
    }
  }

  /** Never rejects: what could not be delivered is counted. One delivery is under way at a time. */
  async flush(): Promise<void> {
    await this.#delivery;
    if (this.#queue.length === 0) return;
    const spans = this.#queue;
    this.#queue = [];
    this.#delivery = this.#deliver(spans);
    await this.#delivery;
    this.#delivery = undefined;
  }

  async #deliver(spans: readonly OtlpSpan[]): Promise<void> {
    try {
      const { ok, body } = await fetch(this.#url, {
        method: 'POST',
        headers: this.#headers,
        body: JSON.stringify(requestOf(spans, this.#service)),
        signal: AbortSignal.timeout(TIMEOUT_MS),
      });
      await body?.cancel();
      if (ok) this.delivered += spans.length;
      else this.dropped += spans.length;
    } catch {
      this.dropped += spans.length;
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    clearInterval(this.#timer);
    detach(this.#handler);
    await this.flush();
  }
}

function requestOf(spans: readonly OtlpSpan[], service: string): object {
  const scope = { name: 'crucible-telemetry', version: VERSION };
  const attributes = [attributeOf('service.name', service)];
  return { resourceSpans: [{ resource: { attributes }, scopeSpans: [{ scope, spans }] }] };
}

const NO_PRICES = new PriceBook({ version: '', models: {} });
const known = newKnownParts();

function spanOf(event: string, measurements: Measurements, metadata: Metadata): OtlpSpan {
  const enriched = emptyEnriched();
  enrich(enriched, kindOfEvent(event), known, measurements, metadata, NO_PRICES);
  const { latencyMs, model, provider, success, prompt, completion } = enriched;
  const endUs = systemClock.nowUs();
  const startUs = Number.isNaN(latencyMs) ? endUs : endUs - latencyMs * 1000;
  const isTool = event.startsWith('altar.tool.');
  const { tool, toolCallId, operation, error, traceId, spanId } = metadata;
  const isCallSpan = typeof spanId === 'string' && isId(spanId, 16);
  const told: Readonly<Record<string, unknown>> = {
    'gen_ai.operation.name': isTool ? 'execute_tool' : (operation ?? 'chat'),
    'gen_ai.tool.name': tool,
    'gen_ai.tool.call.id': toolCallId,
    'gen_ai.request.model': model,
    'gen_ai.provider.name': provider,
    'gen_ai.response.model': metadata.responseModel,
    'gen_ai.response.id': metadata.responseId,
    'gen_ai.response.finish_reasons':
      typeof metadata.finishReason === 'string' ? [metadata.finishReason] : null,
    'gen_ai.response.time_to_first_chunk':
      typeof metadata.ttftMs === 'number' ? metadata.ttftMs / 1000 : null,
    'gen_ai.request.stream': metadata.stream,
    'gen_ai.usage.input_tokens': prompt < 0 ? null : prompt,
    'gen_ai.usage.output_tokens': prompt < 0 ? null : completion,
    'gen_ai.usage.cache_read.input_tokens': metadata.cachedTokens,
    'gen_ai.usage.cache_creation.input_tokens': metadata.cacheWriteTokens,
    'gen_ai.usage.reasoning.output_tokens': metadata.reasoningTokens,
    'gen_ai.conversation.id': metadata.sessionId,
    'user.id': metadata.userId,
    'http.response.status_code': metadata.statusCode,
    'error.type': success === false ? (error ?? metadata.outcome ?? '_OTHER') : null,
    'crucible.outcome': metadata.outcome,
    'crucible.attempts': metadata.attempts,
  };
  const what = isTool
    ? `execute_tool ${String(tool ?? '')}`
    : `${String(operation ?? 'chat')} ${model ?? ''}`;
  return {
    traceId: typeof traceId === 'string' && isId(traceId, 32) ? traceId.toLowerCase() : newId(16),
    spanId: newId(8),
    ...(isCallSpan ? { parentSpanId: spanId.toLowerCase() } : null),
    name: what.trimEnd(),
    kind: isTool ? INTERNAL : CLIENT,
    startTimeUnixNano: nanoOf(startUs),
    endTimeUnixNano: nanoOf(endUs),
    attributes: Object.entries(told).flatMap(([key, value]) => {
      const attribute = value === null || value === undefined ? null : attributeOf(key, value);
      return attribute === null ? [] : [attribute];
    }),
    status: { code: success === false ? ERROR : UNSET },
  };
}

function attributeOf(key: string, value: unknown): { key: string; value: AnyValue } {
  return { key, value: anyValue(value) };
}

function anyValue(value: unknown): AnyValue {
  if (typeof value === 'boolean') return { boolValue: value };
  if (typeof value === 'number') {
    // 64-bit numbers are texts in JSON.
    return Number.isSafeInteger(value) ? { intValue: String(value) } : { doubleValue: value };
  }
  if (Array.isArray(value)) return { arrayValue: { values: value.map(anyValue) } };
  return { stringValue: String(value) };
}

function isId(text: string, digits: number): boolean {
  return text.length === digits && /^[0-9a-f]+$/i.test(text) && !/^0+$/.test(text);
}

function newId(bytes: number): string {
  return randomBytes(bytes).toString('hex');
}

function nanoOf(us: number): string {
  return (BigInt(Math.round(us)) * 1000n).toString();
}
