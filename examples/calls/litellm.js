// LiteLLM, which tells what a call has cost in a header. For real: baseURL: 'http://localhost:4000/v1', and its key.
import OpenAI from 'openai';
import { url } from './service.js';

const client = new OpenAI({ baseURL: `${url}/litellm/v1`, apiKey: 'none' });
const { choices } = await client.chat.completions.create({
  model: 'gpt-4',
  messages: [{ role: 'user', content: 'Say hello' }],
});
console.log(choices[0].message.content);
