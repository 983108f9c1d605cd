// vLLM, known by the shape of its calls. For real: baseURL: 'http://localhost:8000/v1', and its key.
import OpenAI from 'openai';
import { url } from './service.js';

const client = new OpenAI({ baseURL: `${url}/v1`, apiKey: 'none' });
const { choices } = await client.chat.completions.create({
  model: 'meta-llama/Llama-3.1-8B',
  messages: [{ role: 'user', content: 'Say hello' }],
});
console.log(choices[0].message.content);
