// OpenAI, the responses API. With a key: new OpenAI().
import OpenAI from 'openai';
import { url } from './service.js';

const openai = new OpenAI({ baseURL: `${url}/v1`, apiKey: 'none' });
const { output_text } = await openai.responses.create({ model: 'gpt-4', input: 'Say hello' });
console.log(output_text);
