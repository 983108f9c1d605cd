/** Peers that keep what calls add up to: prom-client, the metrics of OpenTelemetry, HdrHistogram. */
import { MeterProvider, MetricReader } from '@opentelemetry/sdk-metrics';
import { build, initWebAssembly } from 'hdr-histogram-js';
import { Counter, Histogram, Registry } from 'prom-client';
import {
  CALLS,
  completions,
  costs,
  LABELS,
  labels,
  latencies,
  type Peer,
  prompts,
  successes,
} from './calls.js';

const LABEL_NAMES = ['model', 'provider', 'event'] as const;
const BUCKETS = 'buckets and sums only';

/** One histogram and four counters, as a service would have them. */
function promInstruments() {
  const common = { help: 'x', labelNames: LABEL_NAMES, registers: [new Registry()] };
  return {
    latency: new Histogram({ ...common, name: 'latency_seconds' }),
    cost: new Counter({ ...common, name: 'cost_usd_total' }),
    prompt: new Counter({ ...common, name: 'prompt_tokens_total' }),
    completion: new Counter({ ...common, name: 'completion_tokens_total' }),
    calls: new Counter({ ...common, name: 'calls_total', labelNames: [...LABEL_NAMES, 'success'] }),
  };
}

export function promClient(operations: number): Peer {
  const { latency, cost, prompt, completion, calls } = promInstruments();
  return {
    keeps: BUCKETS,
    candidate: {
      name: 'prom-client',
      operations,
      run() {
        for (let i = 0; i < operations; i++) {
          const c = i & (CALLS - 1);
          const { event, model, provider } = labels[i & (LABELS - 1)];
          const of = { model, provider, event };
          latency.observe(of, latencies[c] / 1000);
          cost.inc(of, costs[c]);
          prompt.inc(of, prompts[c]);
          completion.inc(of, completions[c]);
          calls.inc({ model, provider, event, success: successes[c] ? 'true' : 'false' });
        }
        return operations;
      },
    },
  };
}

/** With what `labels()` gives kept for each combination; prom-client hashes the labels at every use all the same. */
export function promClientChildren(operations: number): Peer {
  const { latency, cost, prompt, completion, calls } = promInstruments();
  const children = labels.map(({ event, model, provider }) => {
    const of = { model, provider, event };
    return {
      latency: latency.labels(of),
      cost: cost.labels(of),
      prompt: prompt.labels(of),
      completion: completion.labels(of),
      succeeded: calls.labels({ ...of, success: 'true' }),
      failed: calls.labels({ ...of, success: 'false' }),
    };
  });
  return {
    keeps: BUCKETS,
    candidate: {
      name: 'prom-client, children kept',
      operations,
      run() {
        for (let i = 0; i < operations; i++) {
          const c = i & (CALLS - 1);
          const child = children[i & (LABELS - 1)];
          child.latency.observe(latencies[c] / 1000);
          child.cost.inc(costs[c]);
          child.prompt.inc(prompts[c]);
          child.completion.inc(completions[c]);
          (successes[c] ? child.succeeded : child.failed).inc();
        }
        return operations;
      },
    },
  };
}

/** Without a reader an instrument stores nothing; this one never collects. */
class IdleReader extends MetricReader {
  protected override async onShutdown(): Promise<void> {}
  protected override async onForceFlush(): Promise<void> {}
}

export function otelMetrics(operations: number): Peer {
  const provider = new MeterProvider({ readers: [new IdleReader()] });
  const meter = provider.getMeter('peers');
  const latency = meter.createHistogram('latency', { unit: 'ms' });
  const cost = meter.createCounter('cost');
  const prompt = meter.createCounter('prompt_tokens');
  const completion = meter.createCounter('completion_tokens');
  const calls = meter.createCounter('calls');
  return {
    keeps: BUCKETS,
    close: () => provider.shutdown(),
    candidate: {
      name: 'OpenTelemetry metrics',
      operations,
      run() {
        for (let i = 0; i < operations; i++) {
          const c = i & (CALLS - 1);
          const { event, model, provider } = labels[i & (LABELS - 1)];
          const of = { model, provider, event };
          latency.record(latencies[c], of);
          cost.add(costs[c], of);
          prompt.add(prompts[c], of);
          completion.add(completions[c], of);
          calls.add(1, { model, provider, event, success: successes[c] });
        }
        return operations;
      },
    },
  };
}

/** Records the latency only, in whole microseconds up to half an hour, at three digits. */
export async function hdrHistogram(kind: 'JS' | 'wasm', operations: number): Promise<Peer> {
  const useWebAssembly = kind === 'wasm';
  if (useWebAssembly) await initWebAssembly();
  const histograms = labels.map(() =>
    build({
      bitBucketSize: 32,
      lowestDiscernibleValue: 1,
      highestTrackableValue: 2e9,
      numberOfSignificantValueDigits: 3,
      useWebAssembly,
    }),
  );
  return {
    keeps: 'buckets of the latency, nothing else',
    close() {
      for (const histogram of histograms) histogram.destroy();
    },
    candidate: {
      name: `hdr-histogram-js, ${kind}`,
      operations,
      run() {
        for (let i = 0; i < operations; i++) {
          histograms[i & (LABELS - 1)].recordValue(Math.round(latencies[i & (CALLS - 1)] * 1000));
        }
        return histograms[0].totalCount;
      },
    },
  };
}
