/** Peers that keep or send off each call: spans of OpenTelemetry, pino, an array, JSON lines. */
import { once } from 'node:events';
import { SpanKind, SpanStatusCode } from '@opentelemetry/api';
import { BasicTracerProvider, BatchSpanProcessor, type SpanProcessor } from '@opentelemetry/sdk-trace-base';
import { pino } from 'pino';
import {
  CALLS,
  completions,
  costs,
  LABELS,
  labels,
  latencies,
  type Peer,
  prompts,
  QUEUE,
  successes,
} from './calls.js';

/** A function that makes call number i a span, with the times of the call and no clock's. */
export function spanMaker(processor: SpanProcessor) {
  const tracerProvider = new BasicTracerProvider({ spanProcessors: [processor] });
  const tracer = tracerProvider.getTracer('peers');
  const startedAt = Date.now();
  const make = (i: number) => {
    const c = i & (CALLS - 1);
    const { event, model, provider } = labels[i & (LABELS - 1)];
    const span = tracer.startSpan(event, {
      kind: SpanKind.CLIENT,
      startTime: startedAt + i,
      attributes: { 'gen_ai.request.model': model, 'gen_ai.provider.name': provider },
    });
    span.setAttributes({
      'gen_ai.usage.input_tokens': prompts[c],
      'gen_ai.usage.output_tokens': completions[c],
      cost: costs[c],
    });
    span.setStatus({ code: successes[c] ? SpanStatusCode.OK : SpanStatusCode.ERROR });
    span.end(startedAt + i + latencies[c]);
  };
  return { make, tracerProvider };
}

export function otelSpans(operations: number): Peer {
  let exported = 0;
  const processor = new BatchSpanProcessor({
    export(spans, done) {
      exported += spans.length;
      done({ code: 0 });
    },
    shutdown: async () => {},
  });
  const { make, tracerProvider } = spanMaker(processor);
  return {
    keeps: 'nothing: every event goes to an exporter',
    close: () => tracerProvider.shutdown(),
    candidate: {
      name: 'OpenTelemetry spans, batched',
      operations,
      run() {
        for (let i = 0; i < operations; i++) {
          make(i);
          if ((i & (QUEUE - 1)) === QUEUE - 1) void processor.forceFlush();
        }
        void processor.forceFlush();
        return exported;
      },
    },
  };
}

export async function pinoLog(operations: number): Promise<Peer> {
  const destination = pino.destination({ dest: '/dev/null', sync: false });
  await once(destination, 'ready');
  const log = pino(destination);
  return {
    keeps: 'text, as JSON lines',
    close: () => destination.end(),
    candidate: {
      name: 'pino to /dev/null',
      operations,
      run() {
        for (let i = 0; i < operations; i++) {
          log.info(call(i));
          if ((i & (QUEUE - 1)) === QUEUE - 1) destination.flushSync();
        }
        destination.flushSync();
        return operations;
      },
    },
  };
}

/** A call as an object of its own. */
export function call(i: number) {
  const c = i & (CALLS - 1);
  const { event, model, provider } = labels[i & (LABELS - 1)];
  return {
    timestamp: 1.7e15 + i,
    event,
    model,
    provider,
    latencyMs: latencies[c],
    costUsd: costs[c],
    promptTokens: prompts[c],
    completionTokens: completions[c],
    success: successes[c],
  };
}

/** Cleared now and then, so that the heap stays small. */
const ARRAY_MAX = 1e5;

export function arrayOfObjects(operations: number): Peer {
  const kept: ReturnType<typeof call>[] = [];
  return {
    keeps: 'every event, until its 1e5 are cleared',
    candidate: {
      name: 'array.push of an object',
      operations,
      run() {
        for (let i = 0; i < operations; i++) {
          if (kept.length >= ARRAY_MAX) kept.length = 0;
          kept.push(call(i));
        }
        return kept.length;
      },
    },
  };
}

export function jsonLines(operations: number): Peer {
  return {
    keeps: 'text, not even written',
    candidate: {
      name: 'JSON.stringify line',
      operations,
      run() {
        let characters = 0;
        for (let i = 0; i < operations; i++) characters += `${JSON.stringify(call(i))}\n`.length;
        return characters;
      },
    },
  };
}
