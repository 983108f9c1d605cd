// OpenAI, embeddings. With a key: new OpenAI().
import OpenAI from 'openai';
import { url } from './service.js';

const openai = new OpenAI({ baseURL: `${url}/v1`, apiKey: 'none' });
const { data } = await openai.embeddings.create({
  ...{ model: 'text-embedding-3-small', input: 'Say hello', encoding_format: 'float' },
});
console.log(data[0].embedding);
