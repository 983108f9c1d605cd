// AI SDK, a stream. With a key: import { openai } from '@ai-sdk/openai'.
import { createOpenAI } from '@ai-sdk/openai';
import { streamText } from 'ai';
import { url } from './service.js';

const openai = createOpenAI({ baseURL: `${url}/v1`, apiKey: 'none' });
const { textStream } = streamText({ model: openai.chat('gpt-4'), prompt: 'Say hello' });
for await (const text of textStream) process.stdout.write(text);
console.log();
