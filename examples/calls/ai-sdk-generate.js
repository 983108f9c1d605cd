// AI SDK, a text. With a key: import { openai } from '@ai-sdk/openai'.
import { createOpenAI } from '@ai-sdk/openai';
import { generateText } from 'ai';
import { url } from './service.js';

const openai = createOpenAI({ baseURL: `${url}/v1`, apiKey: 'none' });
const { text } = await generateText({ model: openai.chat('gpt-4'), prompt: 'Say hello' });
console.log(text);
