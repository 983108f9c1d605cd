// OpenRouter, which tells what a call has cost. For real: baseURL: 'https://openrouter.ai/api/v1', and its key.
import OpenAI from 'openai';
import { url } from './service.js';

const client = new OpenAI({ baseURL: `${url}/openrouter/v1`, apiKey: 'none' });
const { choices } = await client.chat.completions.create({
  model: 'openai/gpt-4',
  messages: [{ role: 'user', content: 'Say hello' }],
});
console.log(choices[0].message.content);
