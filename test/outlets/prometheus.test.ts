/** What Prometheus reads, as another parser understands it, from each kind of server. */
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import express from 'express';
import fastify from 'fastify';
import parse from 'parse-prometheus-text-format';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { Crucible, type Experiment } from '../../src/index.js';
import { prometheusHandler, prometheusText } from '../../src/outlets/prometheus.js';

let crucible: Crucible;
let experiment: Experiment;
beforeEach(() => {
  crucible = new Crucible({ workers: 0 });
  experiment = crucible.startExperiment({ name: 'a "quoted"\\\n name', condition: 'control' });
  const call = experiment.recorder('req_llm.request.stop', { model: 'gpt-4', provider: 'openai' });
  for (const latencyMs of [100, 200, 300]) call.record(latencyMs, 0.5, 10, 20, latencyMs < 300);
  experiment.capture('training.step', {}, {});
});
afterEach(() => crucible.close());

interface Family {
  readonly name: string;
  readonly type: string;
  readonly metrics: readonly Readonly<Record<string, unknown>>[];
}
const families = () => parse(prometheusText(crucible, { format: 'text' })) as unknown as Family[];
const family = (name: string) => families().find((found) => found.name === name)!.metrics;

const labels = () => ({
  ...{ experiment: experiment.name, experiment_id: experiment.id, condition: 'control' },
  ...{ event: 'req_llm.request.stop', model: 'gpt-4', provider: 'openai' },
});

it('has sums that are exact, under labels as they are', () => {
  expect(family('crucible_events_total')).toContainEqual({ value: '3', labels: labels() });
  expect(family('crucible_outcomes_total')).toEqual([
    { value: '2', labels: { ...labels(), outcome: 'success' } },
    { value: '1', labels: { ...labels(), outcome: 'failure' } },
  ]);
  expect(family('crucible_cost_usd_total')).toEqual([{ value: '1.5', labels: labels() }]);
  expect(family('crucible_tokens_total')).toEqual([
    { value: '30', labels: { ...labels(), kind: 'input' } },
    { value: '60', labels: { ...labels(), kind: 'output' } },
  ]);
  const [{ quantiles }] = family('crucible_latency_seconds') as [{ quantiles: Record<string, string> }];
  expect(Number(quantiles['0.5'])).toBeCloseTo(0.2, 2);
  // The parser leaves these out where there are quantiles.
  const text = prometheusText(crucible);
  expect(Number(/^crucible_latency_seconds_sum\{.*\} (.*)$/m.exec(text)![1])).toBeCloseTo(0.6, 12);
  expect(text).toMatch(/^crucible_latency_seconds_count\{.*\} 3$/m);
});

it('adds up recorders that differ in what they have bound', () => {
  for (const arm of ['a', 'b']) {
    experiment.recorder('bound', { model: 'm', arm }).record(50);
  }
  const rows = family('crucible_events_total').filter(
    ({ labels: of }) => (of as { event: string }).event === 'bound',
  );
  expect(rows).toMatchObject([{ value: '2', labels: { model: 'm' } }]);
});

it('has no label set twice, and the form of OpenMetrics', () => {
  const text = prometheusText(crucible);
  const samples = text.split('\n').filter((line) => line !== '' && !line.startsWith('#'));
  const keys = samples.map((line) => line.slice(0, line.lastIndexOf(' ')));
  expect(new Set(keys).size).toBe(keys.length);
  expect(text.endsWith('# EOF\n')).toBe(true);
  expect(text).toContain('# TYPE crucible_events counter\n');
  expect(text).toContain('\\"quoted\\"\\\\\\n name');
});

it('leaves out what keeps no sums, and is well formed without experiments', async () => {
  experiment.stopStreamingMetrics();
  expect(family('crucible_events_total') ?? []).toEqual([]);
  await crucible.close();
  expect(prometheusText(crucible).endsWith('# EOF\n')).toBe(true);
});

describe('a handler', () => {
  const OPEN = 'application/openmetrics-text; version=1.0.0; charset=utf-8';
  async function scrape(port: number) {
    const open = await fetch(`http://127.0.0.1:${port}/metrics`, { headers: { accept: OPEN } });
    const plain = await fetch(`http://127.0.0.1:${port}/metrics`);
    expect(open.headers.get('content-type')).toBe(OPEN);
    expect(plain.headers.get('content-type')).toBe('text/plain; version=0.0.4; charset=utf-8');
    expect(await open.text()).toBe(prometheusText(crucible));
    expect(await plain.text()).toBe(prometheusText(crucible, { format: 'text' }));
  }
  const portOf = ({ address }: { address(): unknown }) => (address() as AddressInfo).port;

  it('of node:http', async () => {
    const server = createServer(prometheusHandler(crucible)).listen(0, '127.0.0.1');
    await new Promise((resolve) => server.once('listening', resolve));
    await scrape((server.address() as AddressInfo).port);
    server.closeAllConnections();
    server.close();
  });

  it('of Express', async () => {
    const app = express().get('/metrics', prometheusHandler(crucible));
    const server = app.listen(0, '127.0.0.1');
    await new Promise((resolve) => server.once('listening', resolve));
    await scrape((server.address() as AddressInfo).port);
    server.closeAllConnections();
    server.close();
  });

  it('of Fastify', async () => {
    const app = fastify().get('/metrics', prometheusHandler(crucible));
    await app.listen({ port: 0, host: '127.0.0.1' });
    await scrape(portOf({ address: () => app.server.address() }));
    await app.close();
  });
});
