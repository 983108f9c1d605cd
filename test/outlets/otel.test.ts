/** OpenTelemetry's own SDK reads our metrics; a collector on loopback takes our spans. */
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { DataPointType, MeterProvider, MetricReader } from '@opentelemetry/sdk-metrics';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { Crucible, type Experiment, telemetry } from '../../src/index.js';
import { CrucibleMetricProducer, OtlpExporter } from '../../src/outlets/otel.js';

let crucible: Crucible;
let experiment: Experiment;
beforeEach(() => {
  crucible = new Crucible({ workers: 0 });
  experiment = crucible.startExperiment({ name: 'calls', condition: 'control' });
});
afterEach(() => crucible.close());

class Reader extends MetricReader {
  protected async onShutdown(): Promise<void> {}
  protected async onForceFlush(): Promise<void> {}
}

it("metrics, by the SDK's own reader", async () => {
  const call = experiment.recorder('req_llm.request.stop', { model: 'gpt-4', provider: 'openai' });
  for (const latencyMs of [100, 200, 300]) call.record(latencyMs, 0.5, 10, 20, latencyMs < 300);
  const reader = new Reader({ metricProducers: [new CrucibleMetricProducer(crucible) as never] });
  const provider = new MeterProvider({ readers: [reader] });
  const { resourceMetrics, errors } = await reader.collect();
  expect(errors).toEqual([]);
  const metrics = resourceMetrics.scopeMetrics.flatMap(({ metrics: of }) => of);
  const byName = new Map(metrics.map((metric) => [metric.descriptor.name, metric]));
  const attributes = {
    ...{
      'crucible.experiment.name': 'calls',
      'crucible.condition': 'control',
      'crucible.event': 'req_llm.request.stop',
    },
    ...{ 'gen_ai.request.model': 'gpt-4', 'gen_ai.provider.name': 'openai' },
  };
  expect(byName.get('crucible.events')).toMatchObject({
    ...{ dataPointType: DataPointType.SUM, isMonotonic: true },
    dataPoints: [{ value: 3, attributes }],
  });
  expect(byName.get('crucible.tokens')!.dataPoints.map(({ value }) => value)).toEqual([30, 60]);
  expect(byName.get('crucible.cost')!.dataPoints).toMatchObject([{ value: 1.5 }]);
  expect(byName.get('crucible.failures')!.dataPoints).toMatchObject([{ value: 1 }]);
  const [duration] = byName.get('crucible.duration')!.dataPoints;
  expect(duration!.value).toMatchObject({
    count: 3,
    min: 0.1,
    max: 0.3,
    buckets: { boundaries: [], counts: [3] },
  });
  const quantiles = byName.get('crucible.duration.quantile')!;
  expect(quantiles.dataPointType).toBe(DataPointType.GAUGE);
  expect(quantiles.dataPoints.map(({ attributes: { quantile } }) => quantile)).toEqual([
    0.5, 0.9, 0.95, 0.99, 0.999,
  ]);
  await provider.shutdown();
});

describe('spans', () => {
  interface Posted {
    readonly headers: Readonly<Record<string, unknown>>;
    readonly body: {
      readonly resourceSpans: [{ readonly scopeSpans: [{ readonly spans: Record<string, unknown>[] }] }];
    };
  }
  const posted: Posted[] = [];
  let status = 200;
  let collector: Server;
  let url: string;
  beforeEach(async () => {
    posted.length = 0;
    status = 200;
    collector = createServer(async (request, response) => {
      let text = '';
      for await (const part of request) text += part;
      posted.push({ headers: request.headers, body: JSON.parse(text) as Posted['body'] });
      response.writeHead(status).end('{}');
    }).listen(0, '127.0.0.1');
    await new Promise((resolve) => collector.once('listening', resolve));
    url = `http://127.0.0.1:${(collector.address() as AddressInfo).port}/v1/traces`;
  });
  afterEach(() => {
    collector.closeAllConnections();
    collector.close();
  });
  const spans = () => posted.flatMap(({ body }) => body.resourceSpans[0].scopeSpans[0].spans);
  const stop = (metadata: object) =>
    telemetry.execute(
      'req_llm.request.stop',
      { duration: 250e6 },
      { model: 'gpt-4o', provider: 'openai', ...metadata },
    );

  it('of calls, under the names of the conventions', async () => {
    await using exporter = new OtlpExporter({ url, headers: { authorization: 'Bearer x' }, intervalMs: 1e6 });
    const traceId = 'a'.repeat(32);
    experiment.run(
      () =>
        stop({
          ...{
            operation: 'chat',
            traceId,
            spanId: 'b'.repeat(16),
            responseId: 'r',
            finishReason: 'stop',
            ttftMs: 50,
          },
          ...{
            usage: { prompt_tokens: 20, completion_tokens: 10 },
            cachedTokens: 8,
            outcome: 'ok',
            stream: true,
          },
        }),
      { sessionId: 's' },
    );
    telemetry.execute('altar.tool.exception', { duration: 1e6 }, { tool: 'weather', error: 'RangeError' });
    await exporter.flush();
    expect(posted[0]!.headers).toMatchObject({
      authorization: 'Bearer x',
      'content-type': 'application/json',
    });
    const [call, tool] = spans();
    expect(call).toMatchObject({
      ...{ traceId, parentSpanId: 'b'.repeat(16), name: 'chat gpt-4o', kind: 3, status: { code: 0 } },
      spanId: expect.stringMatching(/^[0-9a-f]{16}$/),
    });
    expect(Number(call!.endTimeUnixNano) - Number(call!.startTimeUnixNano)).toBeCloseTo(250e6, -4);
    const attributes = call!.attributes as { key: string; value: object }[];
    expect(Object.fromEntries(attributes.map(({ key, value }) => [key, value]))).toEqual({
      'gen_ai.operation.name': { stringValue: 'chat' },
      'gen_ai.request.model': { stringValue: 'gpt-4o' },
      'gen_ai.provider.name': { stringValue: 'openai' },
      'gen_ai.response.id': { stringValue: 'r' },
      'gen_ai.response.finish_reasons': { arrayValue: { values: [{ stringValue: 'stop' }] } },
      'gen_ai.response.time_to_first_chunk': { doubleValue: 0.05 },
      'gen_ai.request.stream': { boolValue: true },
      'gen_ai.usage.input_tokens': { intValue: '20' },
      'gen_ai.usage.output_tokens': { intValue: '10' },
      'gen_ai.usage.cache_read.input_tokens': { intValue: '8' },
      'gen_ai.conversation.id': { stringValue: 's' },
      'crucible.outcome': { stringValue: 'ok' },
    });
    expect(tool).toMatchObject({ name: 'execute_tool weather', kind: 1, status: { code: 2 } });
    expect(exporter).toMatchObject({ delivered: 2, dropped: 0 });
  });

  it('what is not taken, or too much, is dropped and counted', async () => {
    const exporter = new OtlpExporter({ url, intervalMs: 1e6, queueMax: 2 });
    for (let i = 0; i < 3; i++) stop({});
    expect(exporter.dropped).toBe(1);
    status = 503;
    await exporter.flush();
    expect(exporter).toMatchObject({ delivered: 0, dropped: 3 });
    collector.closeAllConnections();
    await new Promise((resolve) => collector.close(resolve));
    stop({});
    await exporter[Symbol.asyncDispose]();
    expect(exporter.dropped).toBe(4);
    stop({});
    expect(exporter.dropped).toBe(4);
  });

  it('options that are of no use are refused', () => {
    expect(() => new OtlpExporter({ url: 'nowhere' })).toThrow(/url/);
    expect(() => new OtlpExporter({ url, intervalMs: 0 })).toThrow(/intervalMs/);
  });
});
