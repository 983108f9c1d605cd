/**
 * What the documentation's fragments take from what is said around them, at work: the values of
 * ../package/names.d.ts. Loaded before a fragment, whose own names go before these.
 */
import { PassThrough } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { Crucible, ImportSource, telemetry } from 'crucible-telemetry';
import Fastify from 'fastify';
import { fill, importable } from './arms.js';

const crucible = new Crucible({ workers: 0 });
const [control, treatment] = fill(crucible);
const [experiment] = fill(crucible);
const nowUs = Date.now() * 1000;
const response = new PassThrough();
response.resume();

importable('calls.csv');
Object.assign(globalThis, {
  ...{ Crucible, ImportSource, telemetry, pipeline, Fastify },
  ...{ crucible, experiment, control, treatment },
  study: crucible.study({ name: 'of the page', arms: { control: {}, treatment: {} }, unit: 'userId' }),
  userId: 'u1',
  request: { question: 'Why?' },
  answer: async () => 'Because.',
  ...{ timestampUs: nowUs, latencyMs: 12, duration: 12e6, costUsd: 0.01 },
  ...{ promptTokens: 10, completionTokens: 5, success: true, model: 'gpt-4', provider: 'openai' },
  ...{ tokens: { prompt: 10, completion: 5 } },
  query: 'why',
  search: async () => ['found'],
  question: 'Why?',
  async *chat() {
    yield 'Because.';
  },
  response,
  ...{
    error: new Error('refused'),
    name: 'imported',
    path: 'calls.csv',
    map: { latencyMs: 'end_to_end_latency_s * 1000' },
  },
  ...{ fromUs: nowUs - 3_600e6, toUs: nowUs + 3_600e6, options: {} },
});
