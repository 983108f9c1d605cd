/** Calls by node:http and by npm's undici: their latency and status. */
import { once } from 'node:events';
import { request } from 'node:http';
import { request as undiciRequest } from 'undici';
import { expect, it } from 'vitest';
import { tellDeferred } from '../../src/capture/deferred.js';
import { useCalls } from './support.js';

const bench = useCalls();
const MODEL = 'anthropic.claude-3-5-sonnet-20240620-v1:0';
const PATH = `/model/${encodeURIComponent(MODEL)}/converse`;
const BODY = JSON.stringify({ model: 'x', messages: [] });

async function post(path: string, until: 'end' | 'leave' = 'end') {
  const sent = request(`${bench.server.url}${path}`, { method: 'POST' }).end(BODY);
  const [response] = await once(sent, 'response');
  if (until === 'leave') {
    response.destroy();
    await once(response, 'close');
    return '';
  }
  let text = '';
  for await (const part of response) text += part;
  return text;
}

async function calls() {
  tellDeferred();
  return bench.calls();
}

it('node:http: its bytes are the same, and its call is an event', async () => {
  expect(await post(PATH)).toContain('Hello');
  expect(await calls()).toMatchObject([
    {
      ...{ model: MODEL, provider: 'bedrock', success: true, tokens: null },
      metadata: { statusCode: 200, outcome: 'ok', operation: 'chat' },
    },
  ]);
});

it('a call that has just ended is not lost to an experiment that stops', async () => {
  await post(PATH);
  const { experiment } = bench;
  await experiment.stop();
  expect(experiment.counts).toMatchObject({ captured: 2, dropped: 0 });
});

it('node:http: failures, refusals and those that are left', async () => {
  await post('/model/none/invoke-nothing');
  await post('/v1/none/chat/completions?fail');
  await post('/v1/messages', 'leave');
  const refused = request('http://127.0.0.1:1/v1/chat/completions', { method: 'POST' }).end(BODY);
  await once(refused, 'error');
  const metadata = (await calls()).map(({ metadata: { outcome, statusCode, error } }) => ({
    outcome,
    statusCode,
    error,
  }));
  expect(metadata).toMatchObject([
    { outcome: 'ok', statusCode: 200 },
    { outcome: 'abandoned', statusCode: 200 },
    { outcome: 'error', error: 'ECONNREFUSED' },
  ]);
});

it("npm's undici", async () => {
  const { body } = await undiciRequest(`${bench.server.url}/v1/messages`, { method: 'POST', body: BODY });
  expect(await body.text()).toContain('Hello');
  expect(await calls()).toMatchObject([
    { provider: 'anthropic', metadata: { statusCode: 200, outcome: 'ok' } },
  ]);
});

it('what fetch does by its own undici is one call', async () => {
  const response = await fetch(`${bench.server.url}/v1/messages`, { method: 'POST', body: BODY });
  await response.text();
  expect(await calls()).toMatchObject([{ model: 'x', tokens: { prompt: 20 } }]);
});
