/**
 * examples/calls, from the package as it is published, beside the real SDKs: each source is captured by `register` as the
 * table says, and an A/B test has its verdict.
 */
import { readdirSync } from 'node:fs';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Crucible, type EventRow } from '../../src/index.js';
import { applicationFolder, link, NAME, run } from '../support/package/installed.js';

const SDKS = ['openai', '@anthropic-ai/sdk', '@google/genai', '@mistralai/mistralai', 'ollama', 'ai'];
const OTHERS = ['@ai-sdk/openai', '@langchain/openai', '@modelcontextprotocol/sdk', 'undici', 'zod'];
const HELPER = 'service.js';

let examples: string;
let application: string;
let folder: string;
beforeAll(async () => {
  application = await applicationFolder();
  for (const name of [...SDKS, ...OTHERS, '@opentelemetry/sdk-trace-base']) await link(name, application);
  examples = join(application, 'node_modules', NAME, 'examples', 'calls');
  folder = await mkdtemp(join(tmpdir(), 'crucible-examples-'));
}, 60_000);
afterAll(() => Promise.all([application, folder].map((path) => rm(path, { recursive: true }))));

type Ends = readonly object[];

/** A call that has gone well. */
const call = (model: string, prompt: number, over: object = {}) => ({
  ...{ eventName: 'req_llm.request.stop', model, success: true },
  tokens: { prompt, completion: 2, total: prompt + 2 },
  ...over,
});
const TOOL = { eventName: 'altar.tool.stop', success: true };
const unseen = (model: string) => ({ eventName: 'req_llm.request.stop', model, success: true, tokens: null });
const hello = (model: string, over: object = {}) => call(model, 2, over);
const BEDROCK = 'anthropic.claude-3-haiku-20240307-v1:0';

/** The ends of calls of each, in order. The words of the questions are the tokens. */
const CAPTURED: Readonly<Record<string, Ends>> = {
  'openai-chat.js': [hello('gpt-4')],
  'openai-stream.js': [hello('gpt-4', { metadata: { stream: true } })],
  'openai-responses.js': [hello('gpt-4')],
  'openai-tools.js': [{ metadata: { finishReason: 'tool_calls' } }, { metadata: { finishReason: 'stop' } }],
  'openai-embeddings.js': [{ model: 'text-embedding-3-small', metadata: { operation: 'embeddings' } }],
  'azure.js': [hello('prod')],
  'openrouter.js': [hello('openai/gpt-4', { costUsd: 0.0004, costSource: 'event' })],
  'litellm.js': [hello('gpt-4', { costUsd: 0.0021, costSource: 'event' })],
  'vllm.js': [hello('meta-llama/Llama-3.1-8B')],
  'anthropic.js': [call('claude-3-opus', 6, { metadata: { cachedTokens: 4, stream: true } })],
  'google-genai.js': [hello('gemini-2.0-flash-exp', { provider: 'google' })],
  'mistral.js': [hello('mistral-small-latest')],
  'bedrock.js': [hello(BEDROCK, { provider: 'bedrock' })],
  'ollama.js': [hello('llama3')],
  'ai-sdk-generate.js': [hello('gpt-4')],
  'ai-sdk-stream.js': [hello('gpt-4', { metadata: { stream: true } })],
  'ai-sdk-tools.js': [
    { metadata: { finishReason: 'tool_calls' } },
    TOOL,
    { metadata: { finishReason: 'stop' } },
  ],
  'langchain.js': [hello('gpt-4')],
  'mcp.js': [TOOL],
  'otel-spans.js': [hello('gpt-4')],
  'openinference.js': [hello('gpt-4')],
  'node-http.js': [unseen(BEDROCK)],
  'undici.js': [unseen('gemini-2.0-flash-exp')],
};
const STUDIES = ['ab-openai.js', 'ab-ai-sdk.js'];

it('all are run here, and each is small', async () => {
  const files = readdirSync('examples/calls').filter((file) => file !== HELPER);
  expect(files.toSorted()).toEqual([...Object.keys(CAPTURED), ...STUDIES].toSorted());
  for (const file of files) {
    const lines = (await readFile(join('examples/calls', file), 'utf8')).split('\n');
    expect(lines.length, file).toBeLessThanOrEqual(30);
  }
});

describe('captured by register', () => {
  it.each(Object.entries(CAPTURED))('%s', { timeout: 30_000 }, async (file, ends) => {
    const dir = join(folder, file);
    const { stdout, stderr } = await run(
      process.execPath,
      ['--import', `${NAME}/register`, join(examples, file)],
      {
        cwd: application,
        env: { PATH: process.env.PATH, CRUCIBLE_DIR: dir, CRUCIBLE_HOSTS: '127.0.0.1' },
        timeout: 25_000,
      },
    );
    expect(stdout).not.toBe('');
    expect(stderr).toBe('');
    expect(await endsIn(dir)).toMatchObject(ends);
  });
});

describe('an A/B test', () => {
  it.each(STUDIES)('%s', { timeout: 30_000 }, async (file) => {
    const { stdout, stderr } = await run(process.execPath, [join(examples, file)], { timeout: 25_000 });
    expect(stdout).toMatch(/^Compared with long, short had a lower mean cost \(-\$0\.000390, -59 %;/);
    expect(stderr).toBe('');
  });
});

async function endsIn(dir: string): Promise<EventRow[]> {
  await using crucible = new Crucible();
  const { experiments } = await crucible.recover(dir, { readOnly: true });
  expect(experiments).toHaveLength(1);
  const rows = await crucible.experiment(experiments[0]!.id).query();
  return rows.filter(({ eventName }) => !eventName.endsWith('.start'));
}
