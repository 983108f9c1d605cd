/** What a program sees of the SDKs is the same with the tap and without: results, errors to the depth of their stacks, retries. */
import Anthropic from '@anthropic-ai/sdk';
import { GoogleGenAI } from '@google/genai';
import OpenAI from 'openai';
import { describe, expect, it } from 'vitest';
import { useCalls } from './support.js';

const bench = useCalls();
const messages = [{ role: 'user' as const, content: 'Say hello' }];

interface Seen {
  readonly depth?: number;
  readonly [told: string]: unknown;
}

/** What is seen of an end: the result, or all that an error says, and where it comes from. */
async function seen(call: () => Promise<unknown>): Promise<Seen> {
  try {
    return { result: JSON.parse(JSON.stringify(await call())) as unknown };
  } catch (thrown) {
    const error = thrown as Error & { status?: unknown; code?: unknown; cause?: unknown };
    const frames = (error.stack ?? '').split('\n').filter((line) => /^\s+at /.test(line));
    const cause = error.cause as (Error & { code?: unknown }) | undefined;
    return {
      class: Object.getPrototypeOf(error)?.constructor?.name,
      ...{ name: error.name, message: error.message, status: error.status, code: error.code },
      cause: cause && [cause.name, cause.message, cause.code],
      keys: Object.keys(error).toSorted(),
      depth: frames.length,
      ours: frames.filter((frame) => /src\/(instrument|capture)\//.test(frame)),
    };
  }
}

const openai = () => new OpenAI({ apiKey: 'x', baseURL: `${bench.server.url}/v1`, maxRetries: 1 });
const anthropic = () => new Anthropic({ apiKey: 'x', baseURL: bench.server.url, maxRetries: 1 });
const google = (baseUrl = bench.server.url) =>
  new GoogleGenAI({ apiKey: 'x', httpOptions: { baseUrl, retryOptions: { attempts: 1 } } });
/** Nobody listens there. */
const NOWHERE = 'http://127.0.0.1:9';

async function read(stream: AsyncIterable<unknown>): Promise<unknown[]> {
  const parts: unknown[] = [];
  for await (const part of stream) parts.push(part);
  return parts;
}

const CALLS: [string, () => Promise<unknown>][] = [
  ['OpenAI, an answer', () => openai().chat.completions.create({ model: 'm', messages })],
  [
    'OpenAI, a stream',
    async () => read(await openai().chat.completions.create({ model: 'm', messages, stream: true })),
  ],
  ['OpenAI, a refusal', () => openai().chat.completions.create({ model: 'fail-400-9', messages })],
  [
    'OpenAI, a failure after retries',
    () => openai().chat.completions.create({ model: 'fail-500-9', messages }),
  ],
  [
    'OpenAI, a stream that breaks',
    async () => read(await openai().chat.completions.create({ model: 'cut', messages, stream: true })),
  ],
  [
    'OpenAI, no server',
    () =>
      new OpenAI({ apiKey: 'x', baseURL: NOWHERE, maxRetries: 0 }).chat.completions.create({
        model: 'm',
        messages,
      }),
  ],
  [
    'OpenAI, aborted before',
    () => openai().chat.completions.create({ model: 'm', messages }, { signal: AbortSignal.abort() }),
  ],
  [
    'OpenAI, a deadline',
    async () => {
      bench.server.hold();
      const stream = await openai().chat.completions.create(
        { model: 'm', messages, stream: true },
        { signal: AbortSignal.timeout(50) },
      );
      return read(stream);
    },
  ],
  ['Anthropic, an answer', () => anthropic().messages.create({ model: 'm', max_tokens: 5, messages })],
  [
    'Anthropic, a failure after retries',
    () => anthropic().messages.create({ model: 'fail-529-9', max_tokens: 5, messages }),
  ],
  [
    'Anthropic, no server',
    () =>
      new Anthropic({ apiKey: 'x', baseURL: NOWHERE, maxRetries: 0 }).messages.create({
        ...{ model: 'm', max_tokens: 5, messages },
      }),
  ],
  ['Google, an answer', () => google().models.generateContent({ model: 'm', contents: 'Hi' })],
  ['Google, a refusal', () => google().models.generateContent({ model: 'fail-400-9', contents: 'Hi' })],
  ['Google, no server', () => google(NOWHERE).models.generateContent({ model: 'm', contents: 'Hi' })],
];

describe('with the tap and without it', () => {
  it.each(CALLS)('%s', async (name, call) => {
    // Once before, so that what is loaded at the first call is no difference.
    await seen(call);
    bench.server.resume();
    bench.server.requests.length = 0;
    const tapped = await seen(call);
    const asked = [...bench.server.requests];
    bench.server.resume();
    bench.server.requests.length = 0;
    // What waits for another attempt is told then.
    await bench.experiment.stop();
    expect((await bench.calls()).length, name).toBeGreaterThan(name.includes('before') ? -1 : 0);
    bench.stop();
    const plain = await seen(call);
    // How many frames there are above a fetch that fails at once is not the same each time.
    const depth = name.includes('no server') ? { depth: expect.any(Number) } : {};
    expect(tapped).toEqual({ ...plain, ...depth });
    expect(tapped.ours ?? []).toEqual([]);
    expect(asked).toEqual(bench.server.requests);
  });
});
