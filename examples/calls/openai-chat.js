// OpenAI, chat. With a key: new OpenAI().
import OpenAI from 'openai';
import { url } from './service.js';

const openai = new OpenAI({ baseURL: `${url}/v1`, apiKey: 'none' });
const { choices } = await openai.chat.completions.create({
  model: 'gpt-4',
  messages: [{ role: 'user', content: 'Say hello' }],
});
console.log(choices[0].message.content);
