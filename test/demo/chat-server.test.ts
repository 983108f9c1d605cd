import { afterEach, describe, expect, it } from 'vitest';
import { type ChatServer, startChatServer } from '../../src/demo/chat-server.js';
import { MODEL_PROFILES, type ModelProfile } from '../../src/demo/traffic.js';

const calm: ModelProfile = {
  ...MODEL_PROFILES[0]!,
  id: 'calm',
  failures: { rateLimited: 0, serverError: 0, dropped: 0 },
};
const failing = (failure: keyof ModelProfile['failures']): ModelProfile => ({
  ...calm,
  id: failure,
  failures: { ...calm.failures, [failure]: 1 },
});
const models = [calm, failing('rateLimited'), failing('serverError'), failing('dropped')];

let server: ChatServer | undefined;
afterEach(async () => {
  await server?.close();
  server = undefined;
});

async function start(timeScale = 0, seed = 1): Promise<ChatServer> {
  server = await startChatServer({ seed, timeScale, models });
  return server;
}

function ask(url: string, body: unknown, signal?: AbortSignal): Promise<Response> {
  return fetch(`${url}/v1/chat/completions`, {
    method: 'POST',
    body: typeof body === 'string' ? body : JSON.stringify(body),
    ...(signal === undefined ? {} : { signal }),
  });
}

interface Completion {
  id: string;
  object: string;
  choices: { message: { content: string } }[];
  usage: { prompt_tokens: number; completion_tokens: number; total_tokens: number };
}

async function complete(url: string, body: unknown): Promise<Completion> {
  return (await (await ask(url, body)).json()) as Completion;
}

const question = (model: string, extra: object = {}) => ({
  model,
  messages: [{ role: 'user', content: 'What is 120 + 230?' }],
  ...extra,
});

describe('the chat server', () => {
  it('answers with an id, the model, a message and usage that adds up', async () => {
    const { url } = await start();
    const reply = await complete(url, question('calm'));
    expect(reply).toMatchObject({
      object: 'chat.completion',
      model: 'calm',
      choices: [{ index: 0, message: { role: 'assistant' }, finish_reason: 'stop' }],
    });
    expect(reply.id).toMatch(/^chatcmpl-/);
    expect(reply.choices[0]!.message.content).toMatch(/^Answer: \d+/);
    expect(reply.choices[0]!.message.content.split(' ')).toHaveLength(reply.usage.completion_tokens);
    expect(reply.usage.total_tokens).toBe(reply.usage.prompt_tokens + reply.usage.completion_tokens);
  });

  it('gives the same answer for the same seed, whatever was asked before', async () => {
    const first = await start(0, 9);
    const a = await complete(first.url, question('calm'));
    await first.close();
    const second = await start(0, 9);
    await complete(second.url, question('calm', { seed: 5 }));
    expect(await complete(second.url, question('calm'))).toEqual(a);
  });

  it('streams the same text as it sends whole, one token a chunk, with usage when asked for', async () => {
    const { url } = await start();
    const whole = await complete(url, question('calm'));
    const body = question('calm', { stream: true, stream_options: { include_usage: true } });
    const response = await ask(url, body);
    expect(response.headers.get('content-type')).toBe('text/event-stream');
    const lines = (await response.text()).split('\n\n').filter((line) => line !== '');
    expect(lines.pop()).toBe('data: [DONE]');
    const chunks = lines.map((line) => JSON.parse(line.slice('data: '.length)));
    const text = chunks.map((chunk) => chunk.choices[0]?.delta.content ?? '').join('');
    expect(text).toBe(whole.choices[0]!.message.content);
    expect(chunks.at(-1).usage).toEqual(whole.usage);
    expect(chunks.at(-2).choices[0].finish_reason).toBe('stop');
    // Role, tokens, finish, usage.
    expect(chunks).toHaveLength(whole.usage.completion_tokens + 3);
  });

  it('leaves usage out of a stream that did not ask for it', async () => {
    const { url } = await start();
    expect(await (await ask(url, question('calm', { stream: true }))).text()).not.toContain('usage');
  });

  it('refuses with 429 and 500 in the shape of OpenAI errors', async () => {
    const { url } = await start();
    const limited = await ask(url, question('rateLimited'));
    expect(limited.status).toBe(429);
    expect(limited.headers.get('retry-after')).toBe('1');
    expect(await limited.json()).toMatchObject({ error: { code: 'rate_limit_exceeded' } });
    expect((await ask(url, question('serverError'))).status).toBe(500);
  });

  it('drops a connection: before the answer, or in the middle of a stream', async () => {
    const { url } = await start();
    await expect(ask(url, question('dropped'))).rejects.toThrow();
    const streamed = await ask(url, question('dropped', { stream: true }));
    expect(streamed.status).toBe(200);
    await expect(streamed.text()).rejects.toThrow();
  });

  it('lists its models, and says what is wrong with a request', async () => {
    const { url } = await start();
    const list: unknown = await (await fetch(`${url}/v1/models`)).json();
    expect(list).toMatchObject({ object: 'list', data: models.map(({ id }) => ({ id, object: 'model' })) });
    expect((await ask(url, 'not json')).status).toBe(400);
    expect((await ask(url, { model: 'calm', messages: [] })).status).toBe(400);
    expect((await ask(url, { model: 'calm', messages: [{ role: 'user' }] })).status).toBe(400);
    expect((await ask(url, { ...question('calm'), seed: 'x' })).status).toBe(400);
    expect((await ask(url, question('unknown'))).status).toBe(404);
    expect((await fetch(`${url}/v1/elsewhere`)).status).toBe(404);
    expect((await ask(url, `{"model":"${'x'.repeat(1 << 20)}"}`)).status).toBe(413);
  });

  it('frees what it held for a client that hangs up', async () => {
    // So slow that only the hang-up can end the wait.
    const slow = await start(1000);
    const client = new AbortController();
    const answer = ask(slow.url, question('calm'), client.signal);
    const refused = expect(answer).rejects.toThrow();
    await until(() => slow.pending === 1);
    client.abort();
    await refused;
    await until(() => slow.pending === 0);
  });

  it('closes with requests under way, and leaves no timer behind', async () => {
    const timers = () => process.getActiveResourcesInfo().filter((name) => name === 'Timeout').length;
    const before = timers();
    const slow = await start(1000);
    const cut = expect(ask(slow.url, question('calm'))).rejects.toThrow();
    await until(() => slow.pending === 1);
    await slow.close();
    await cut;
    await until(() => slow.pending === 0 && timers() <= before);
    server = undefined;
  });
});

/** Waits for the sockets to have their say; vitest's timeout is the only clock. */
async function until(condition: () => boolean): Promise<void> {
  while (!condition()) await new Promise((resolve) => setImmediate(resolve));
}
