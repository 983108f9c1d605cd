// OpenAI, a stream: the time to its first piece, and its tokens, which OpenAI tells when asked. With a key: new OpenAI().
import OpenAI from 'openai';
import { url } from './service.js';

const openai = new OpenAI({ baseURL: `${url}/v1`, apiKey: 'none' });
const stream = await openai.chat.completions.create({
  model: 'gpt-4',
  messages: [{ role: 'user', content: 'Say hello' }],
  stream: true,
  stream_options: { include_usage: true },
});
for await (const { choices } of stream) process.stdout.write(choices[0]?.delta.content ?? '');
console.log();
